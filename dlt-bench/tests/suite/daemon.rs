//! `dlt-daemon` end to end.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixListener, UnixStream};

use nix::sys::signal::Signal;

use crate::support::{Background, Folder, await_that, bench, daemon, described, number, rows, text};

/// A daemon with sockets of its own; returns its TCP address.
fn start(folder: &Folder, more: &[&str]) -> (Background, String) {
    let mut command = daemon();
    command.args(["--unix", &folder.file("d.sock"), "--tcp", "127.0.0.1:0"]).args(more);
    let mut daemon = Background::start(command);
    let mut line = String::new();
    BufReader::new(daemon.child().stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().rsplit("TCP ").next().unwrap().to_owned();
    assert!(line.contains("listening") && address.starts_with("127.0.0.1:"), "{line}");
    (daemon, address)
}

/// Ends it; returns what it printed.
fn end(mut daemon: Background, signal: Signal) -> String {
    daemon.signal(signal);
    let output = daemon.output();
    assert_eq!(output.status.code(), Some(0), "{}", described(&output));
    text(&output.stdout)
}

fn bench_into(sink: &str) {
    // Waiting mode: nothing is lost, so both passes deliver all of their messages.
    let output = bench()
        .args([
            "-c",
            "overflow-timeout",
            "--messages",
            "4000",
            "--json",
            "-",
            "--sink",
            &format!("daemon:{sink}"),
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", described(&output));
    let report = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(number(&rows(&report)[0], "delivered"), 4000);
    assert!(rows(&report)[0]["null_because"]["verified_by"].as_str().unwrap().contains("dlt-daemon"));
}

#[test]
fn it_counts_and_stores_what_the_benchmark_sends() {
    let folder = Folder::new();
    let file = folder.file("trace.dlt");
    let (mut daemon, address) = start(&folder, &["--output", &file]);
    bench_into(&folder.file("d.sock"));
    bench_into(&address);
    daemon.signal(Signal::SIGUSR1);
    let mut line = String::new();
    BufReader::new(daemon.child().stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("messages "), "statistics at SIGUSR1: {line}");
    let statistics = end(daemon, Signal::SIGTERM);
    assert!(statistics.contains("messages 16000, "), "{statistics}");
    assert!(statistics.contains("errors 0, bytes skipped 0, messages not stored 0"), "{statistics}");
    assert!(!std::path::Path::new(&folder.file("d.sock")).exists(), "the socket is gone");
    let stored = dlt_bench::collector::file::check(file.as_ref()).unwrap();
    // The benchmark's sequence numbers begin anew with every pass, which the checker calls out of order: count frames.
    assert_eq!(stored.messages + stored.violation_count, 16_000, "{:?}", stored.violations);
}

const MESSAGE: &[u8] =
    b"DUH\x01\x01\0\0\0\x3d\x19\x00\x22ECU1\0\0\x12\x34\0\0\0\x07\x41\x01APP1CTX1\x43\0\0\0\x2a\0\0\0";

/// A client that sends garbage and one that stops in mid-message hold nobody up.
#[test]
fn bad_clients_hurt_nobody() {
    let folder = Folder::new();
    let (daemon, address) = start(&folder, &[]);
    let mut stuck = UnixStream::connect(folder.file("d.sock")).unwrap();
    stuck.write_all(&MESSAGE[..20]).unwrap();
    let mut garbage = UnixStream::connect(folder.file("d.sock")).unwrap();
    garbage.write_all(b"no DLT at all").unwrap();
    garbage.write_all(MESSAGE).unwrap();
    drop(garbage);
    let mut foreign = TcpStream::connect(&address).unwrap();
    foreign.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    // It is closed for that.
    await_that("the connection is closed", || {
        matches!(std::io::Read::read(&mut foreign, &mut [0; 8]), Ok(0) | Err(_))
    });
    bench_into(&folder.file("d.sock"));
    stuck.write_all(&MESSAGE[20..]).unwrap();
    let statistics = end(daemon, Signal::SIGINT);
    assert!(statistics.contains("messages 8002, "), "{statistics}");
    assert!(statistics.contains("errors 2, bytes skipped 31,"), "{statistics}");
    assert!(statistics.contains("closed for what they sent 1"), "{statistics}");
    assert!(statistics.contains("APP1 2"), "{statistics}");
}

fn refused(arguments: &[&str], code: i32, words: &[&str]) {
    let output = daemon().args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", described(&output));
    let message = text(&output.stderr);
    assert!(words.iter().all(|word| message.contains(word)), "{message}");
}

#[test]
fn places_that_are_taken_or_wrong() {
    let folder = Folder::new();
    let (running, address) = start(&folder, &[]);
    let socket = folder.file("d.sock");
    refused(&["--no-tcp", "--unix", &socket], 4, &[&socket, "already listens"]);
    refused(&["--no-unix", "--tcp", &address], 4, &[&address, "taken"]);
    end(running, Signal::SIGTERM);
    refused(&["--no-unix", "--tcp", "0.0.0.0:0"], 2, &["0.0.0.0:0", "--allow-remote"]);
    let file = folder.file("file");
    std::fs::write(&file, "precious").unwrap();
    refused(&["--no-tcp", "--unix", &file], 2, &[&file, "no socket"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    refused(&["--no-tcp", "--unix", &socket, "--output", "/proc/no/a.dlt"], 2, &["/proc/no/a.dlt"]);
    assert!(!std::path::Path::new(&socket).exists(), "nothing is left behind");
}

#[test]
fn a_stale_socket_is_replaced() {
    let folder = Folder::new();
    // Dropping a listener leaves its file, as a killed daemon does.
    drop(UnixListener::bind(folder.file("d.sock")).unwrap());
    let (daemon, _) = start(&folder, &[]);
    UnixStream::connect(folder.file("d.sock")).unwrap().write_all(MESSAGE).unwrap();
    let statistics = end(daemon, Signal::SIGTERM);
    assert!(statistics.contains("messages 1, "), "{statistics}");
}
