//! Ends in mid-stop: nothing stays behind, least of all a stopped process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::left_behind::{await_the_end_of, only_child_of, states};
use crate::support::{alone, bench, text};

/// Starts a long stop; returns when two threads stand, with the process whose threads they are.
fn in_mid_stop() -> (Child, i32) {
    let mut child = bench("-c suspend-basic --stop-ms 60000")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = child.stdout.as_mut().unwrap();
    let mut suspended =
        BufReader::new(stdout).lines().map(Result::unwrap).filter(|line| line.contains("SUSPENDED"));
    assert!(suspended.next().is_some() && suspended.next().is_some());
    let pid = only_child_of(child.id());
    (child, pid)
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

#[test]
fn a_killed_controller_leaves_nothing_stopped() {
    let _alone = alone();
    let (mut child, pid) = in_mid_stop();
    assert_eq!(states(pid).iter().filter(|&&state| state == 't').count(), 2, "two stand: {:?}", states(pid));
    signal(&child, Signal::SIGKILL);
    child.wait().unwrap();
    await_the_end_of(pid);
}

#[test]
fn ctrl_c_reports_and_leaves_nothing_stopped() {
    let _alone = alone();
    let (child, pid) = in_mid_stop();
    signal(&child, Signal::SIGINT);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    await_the_end_of(pid);
}
