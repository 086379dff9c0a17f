//! Ends in mid-stop: nothing stays behind, least of all a stopped process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

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
    let path = format!("/proc/{0}/task/{0}/children", child.id());
    let children = std::fs::read_to_string(path).unwrap();
    let [pid] = children.split_whitespace().collect::<Vec<_>>()[..] else { panic!("children: {children}") };
    (child, pid.parse().unwrap())
}

fn states(pid: i32) -> Vec<char> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let state = |task: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    };
    tasks.filter_map(state).collect()
}

/// Gone, or a zombie that waits for whoever adopted it.
fn await_the_end_of(pid: i32) {
    let begin = Instant::now();
    while !states(pid).iter().all(|&state| matches!(state, 'Z' | 'X')) {
        assert!(begin.elapsed() < Duration::from_secs(10), "process {pid} is in states {:?}", states(pid));
        std::thread::sleep(Duration::from_millis(2));
    }
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
