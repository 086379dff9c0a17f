//! Sinks other than the collector.

use std::io::Read;
use std::os::unix::net::UnixListener;

use dlt_logger::format::decode::split;

use crate::support::{Folder, bench, described, number, report, rows};

#[test]
fn null_says_that_nobody_has_verified() {
    let report = report("-c overflow-all --sink null --messages 1000", 0);
    for row in rows(&report) {
        assert!(row["verified_by"].is_null());
        assert!(row["null_because"]["verified_by"].as_str().unwrap().contains("not verified"));
        assert!(row["cpu_by_role"]["collector"].is_null());
    }
}

/// Messages and loss notes in whole frames.
fn count(bytes: &[u8]) -> (u64, u64) {
    let (mut at, mut messages, mut notes) = (0, 0, 0);
    while at < bytes.len() {
        let (frame, used) = split(&bytes[at..]).unwrap().expect("whole frames");
        if frame.ctid().to_string() == "LOSS" {
            notes += 1;
        } else {
            messages += 1;
        }
        at += used;
    }
    (messages, notes)
}

#[test]
fn a_file_is_verified_and_holds_the_last_row() {
    let folder = Folder::new();
    let file = folder.file("a.dlt");
    let report = report(&format!("-c overflow-all --sink file:{file} --messages 3000"), 0);
    for row in rows(&report) {
        assert_eq!(
            (row["verified_by"].as_str(), row["status"].as_str()),
            (Some("file"), Some("ok")),
            "{row:#}"
        );
    }
    // The latency pass of the last row is what is in the file: 3,000 messages, none lost by waiting.
    assert_eq!(count(&std::fs::read(file).unwrap()), (3000, 0));
}

/// What the row says was delivered is what another program received.
#[test]
fn a_unix_socket_gets_what_was_said() {
    let folder = Folder::new();
    let path = folder.file("a.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let receiver = std::thread::spawn(move || {
        let mut all = Vec::new();
        // One look whether somebody is there, then four workers in each of two passes.
        let clients: Vec<_> = (0..9)
            .map(|_| {
                let mut client = listener.accept().unwrap().0;
                std::thread::spawn(move || {
                    let mut bytes = Vec::new();
                    client.read_to_end(&mut bytes).unwrap();
                    count(&bytes)
                })
            })
            .collect();
        all.extend(clients.into_iter().map(|client| client.join().unwrap()));
        all.iter().fold((0, 0), |(messages, notes), (m, n)| (messages + m, notes + n))
    });
    let output = bench()
        .args([
            "-c",
            "overflow-timeout",
            "--messages",
            "4000",
            "--json",
            "-",
            "--sink",
            &format!("unix:{path}"),
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", described(&output));
    let report = serde_json::from_slice(&output.stdout).unwrap();
    let (messages, _) = receiver.join().unwrap();
    let delivered = number(&rows(&report)[0], "delivered");
    assert_eq!((delivered, messages), (4000, 8000), "two passes of 4,000 messages");
}
