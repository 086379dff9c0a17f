//! Ctrl-C, readers that go away, disks that are full.

use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::schema;
use crate::support::{Background, Folder, await_that, bench, check_rows, described, rows, text};

fn read(path: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn ctrl_c_reports_what_was_done() {
    let folder = Folder::new();
    let (json, file) = (folder.file("report.json"), folder.file("a.dlt"));
    let mut command = bench();
    command.args(["-c", "overflow-all", "--json", &json, "--sink", &format!("file:{file}")]);
    let mut program = Background::start(command);
    await_that("messages are written", || std::fs::metadata(&file).is_ok_and(|meta| meta.len() > 100_000));
    program.signal(Signal::SIGINT);
    let output = program.output();
    assert_eq!(output.status.code(), Some(130), "{}", described(&output));
    let report = read(&json);
    schema::check(&report);
    check_rows(&report);
    assert_eq!((report["interrupted"].as_bool(), report["exit_code"].as_u64()), (Some(true), Some(130)));
    assert_eq!(rows(&report).len(), 1, "the row that was under way, and no other");
    assert_eq!(rows(&report)[0]["status"], "interrupted");
    assert_eq!(rows(&report)[0]["problems"], serde_json::json!([]), "the identity holds all the same");
    assert!(text(&output.stdout).contains("interrupted"));
}

/// A call that waits for room at a receiver that reads nothing must not hold up Ctrl-C.
#[test]
fn ctrl_c_while_calls_wait() {
    let folder = Folder::new();
    let path = folder.file("deaf.sock");
    let deaf = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let json = folder.file("report.json");
    let mut command = bench();
    command.args(["-c", "overflow-timeout", "--json", &json, "--sink", &format!("unix:{path}")]);
    let mut program = Background::start(command);
    // The first connection is the program's look whether somebody is there; the next ones are the logger's.
    let clients: Vec<_> = (0..2).map(|_| deaf.accept().unwrap()).collect();
    program.signal(Signal::SIGINT);
    let output = program.output();
    assert_eq!(output.status.code(), Some(130), "{}", described(&output));
    check_rows(&read(&json));
    drop(clients);
}

#[test]
fn a_second_ctrl_c_ends_at_once() {
    let folder = Folder::new();
    let file = folder.file("a.dlt");
    let mut command = bench();
    command.args(["-c", "overflow-all", "--sink", &format!("file:{file}")]);
    let mut program = Background::start(command);
    await_that("messages are written", || std::fs::metadata(&file).is_ok_and(|meta| meta.len() > 0));
    program.signal(Signal::SIGINT);
    program.signal(Signal::SIGINT);
    let output = program.output();
    assert_eq!(output.status.code(), Some(130), "{}", described(&output));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    for arguments in [vec!["list"], vec!["-c", "overflow-all", "--messages", "1000"]] {
        let mut child =
            bench().args(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", described(&output));
        assert_eq!(text(&output.stderr), "");
    }
}

/// A small file system that is unmounted with the test.
struct SmallDisk(Folder);

impl SmallDisk {
    /// `None` where mounting is not permitted; a skip is a failure in CI as root.
    #[expect(clippy::print_stderr, reason = "a skip is said")]
    fn mount() -> Option<Self> {
        let folder = Folder::new();
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k", "dlt-bench-test"])
            .arg(folder.path())
            .output()
            .unwrap();
        if output.status.success() {
            return Some(Self(folder));
        }
        let reason = text(&output.stderr);
        assert!(
            std::env::var_os("CI").is_none() || !nix::unistd::geteuid().is_root(),
            "in CI as root a tmpfs can be mounted: {reason}"
        );
        eprintln!("skipped: no tmpfs can be mounted: {}", reason.trim());
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_a_failed_sink() {
    let Some(disk) = SmallDisk::mount() else { return };
    let folder = Folder::new();
    let (file, json) = (disk.0.file("a.dlt"), folder.file("report.json"));
    let sink = format!("file:{file}");
    for logger in ["dlt", "mutex"] {
        let arguments = ["-c", "overflow-drop", "--messages", "100000", "--logger", logger];
        let output = bench().args(arguments).args(["--json", &json, "--sink", &sink]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", described(&output));
        assert!(text(&output.stdout).contains("No space left on device"), "{}", described(&output));
        let report = read(&json);
        schema::check(&report);
        check_rows(&report);
        assert_eq!(rows(&report)[0]["status"], "sink_failed", "{:#}", rows(&report)[0]);
    }
}

#[test]
fn a_report_that_finds_the_disk_full_is_said() {
    let Some(disk) = SmallDisk::mount() else { return };
    let json = disk.0.file("report.json");
    std::fs::write(disk.0.file("filler"), vec![0; 255 << 10]).unwrap();
    let output = bench().args(["-c", "overflow-all", "--messages", "400", "--json", &json]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", described(&output));
    assert!(text(&output.stderr).contains("No space left on device"), "{}", described(&output));
}
