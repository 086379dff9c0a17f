//! A program of its own does exactly known numbers; the probe, in this process, must report exactly those.
#![allow(unsafe_code, reason = "system calls in exact numbers")]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use dlt_probe_ebpf::{Leave, Options, Probe, Role, Thread};

use super::support::{forking, load_for, tid};

const INSIDE: &str = "DLT_PROBE_TEST_HELPER";
const NAME: &str = "suite::helper::a_program_is_counted_exactly";

/// Calls of each futex operation: number, value, calls. A value of 0 is what the word holds: the wait times out.
const FUTEXES: [(usize, u32, u64); 5] = [(0, 1, 31), (0, 0, 3), (9, 1, 17), (9, 0, 4), (1, 1, 23)];
/// `futex_wait` by its own number (since 6.7; before, the calls fail, and are calls all the same).
const FUTEX2_WAITS: u64 = 5;
const BLOCKS: u64 = 9;
const YIELDS: u64 = 250;
/// Iovecs and calls.
const WRITEVS: [(usize, u64); 3] = [(1, 40), (4, 30), (64, 20)];
const BYTES: usize = 10;

/// The helper: says its thread id, waits for a byte, does its work, waits for another byte.
fn help() {
    let mut byte = [0];
    let mut input = std::io::stdin().lock();
    println!("TID {}", tid());
    input.read_exact(&mut byte).unwrap();
    let null = std::fs::OpenOptions::new().write(true).open("/dev/null").unwrap();
    let word = AtomicU32::new(0);
    let call = |number: libc::c_long, a: [usize; 6]| {
        // SAFETY: addresses of live values, or numbers.
        unsafe { libc::syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]) };
    };
    // For WAIT a time from now, for WAIT_BITSET an absolute one that is long over.
    let timeout = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
    let timeout = (&raw const timeout).expose_provenance();
    let address = word.as_ptr().expose_provenance();
    for (operation, value, calls) in FUTEXES {
        for _ in 0..calls {
            call(libc::SYS_futex, [address, operation | 128, value as usize, timeout, 0, u32::MAX as usize]);
        }
    }
    for _ in 0..FUTEX2_WAITS {
        // The word is not 1: EAGAIN.
        call(455, [address, 1, u32::MAX as usize, 2 | 128, 0, 0]);
    }
    for _ in 0..BLOCKS {
        std::thread::sleep(Duration::from_millis(20));
    }
    for _ in 0..YIELDS {
        call(libc::SYS_sched_yield, [0; 6]);
    }
    let bytes = [0u8; BYTES];
    let slices = [std::io::IoSlice::new(&bytes); 64];
    for (count, calls) in WRITEVS {
        for _ in 0..calls {
            use std::os::fd::AsRawFd;
            let fd = null.as_raw_fd() as usize;
            call(libc::SYS_writev, [fd, slices.as_ptr().expose_provenance(), count, 0, 0, 0]);
        }
    }
    let _ = input.read(&mut byte);
}

/// The record once the helper waits for its next byte.
fn when_it_waits(probe: &Probe, tid: u32, reads: u64) -> Thread {
    let begin = Instant::now();
    loop {
        let record = probe.read(tid).unwrap();
        let is_reading = record.call == libc::SYS_read as u64 + 1;
        if is_reading && record.off_ns != 0 && record.writev >= reads {
            return record;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "the helper does not come back: {record:?}");
        std::thread::yield_now();
    }
}

#[test]
fn a_program_is_counted_exactly() {
    if std::env::var_os(INSIDE).is_some() {
        return help();
    }
    let mut helper = Command::new(std::env::current_exe().unwrap());
    let helper = helper.args([NAME, "--exact", "--nocapture", "--test-threads=1"]).env(INSIDE, "1");
    let forking = forking();
    let mut helper = helper.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    drop(forking);
    let mut output = BufReader::new(helper.stdout.take().unwrap());
    let mut input = helper.stdin.take().unwrap();
    let tid: u32 = loop {
        let mut line = String::new();
        assert!(output.read_line(&mut line).unwrap() > 0, "the helper ended early");
        if let Some((_, tid)) = line.split_once("TID ") {
            break tid.trim().parse().unwrap();
        }
    };
    let probe = load_for(helper.id(), Options::default());
    if let Some(probe) = &probe {
        probe.watch(tid, Role::Other, None).unwrap();
    }
    input.write_all(b"1").unwrap();
    if let Some(probe) = probe {
        let writevs = WRITEVS.iter().map(|(_, calls)| calls).sum::<u64>();
        let seen = when_it_waits(&probe, tid, writevs);
        check(&seen, writevs);
        assert!(probe.ledger().unwrap().is_clean(), "{:?}", probe.ledger());
        probe.unwatch(tid).unwrap();
        assert!(probe.read(tid).is_err(), "no longer watched");
    }
    drop(input);
    assert!(helper.wait().unwrap().success());
}

fn check(seen: &Thread, writevs: u64) {
    let all = |operation: usize| seen.futex[operation].iter().sum::<u64>();
    let failed = |operation: usize| seen.futex[operation][1] + seen.futex[operation][3];
    assert_eq!((all(0), failed(0)), (31 + 3, 31 + 3), "WAIT {:?}", seen.futex[0]);
    let bitsets = 17 + 4 + FUTEX2_WAITS;
    assert_eq!((all(9), failed(9)), (bitsets, bitsets), "WAIT_BITSET {:?}", seen.futex[9]);
    assert_eq!((all(1), seen.futex_woke_nobody), (23, 23), "WAKE {:?}", seen.futex[1]);
    let others: u64 = (0..seen.futex.len()).filter(|row| ![0, 1, 9].contains(row)).map(all).sum();
    assert_eq!(others, 0, "{:?}", seen.futex);
    assert_eq!(seen.sleeps, BLOCKS);
    assert_eq!(seen.yields, YIELDS);
    assert_eq!(seen.writev, writevs);
    let iovecs = WRITEVS.iter().map(|(count, calls)| *count as u64 * calls).sum::<u64>();
    assert_eq!(seen.writev_iovecs, iovecs);
    assert_eq!(seen.writev_bytes, iovecs * BYTES as u64);
    assert_eq!((seen.writev_errors, seen.compat, seen.strangers), (0, 0, 0));
    // The sleeps, the read that it is in now, and those waits whose time was not over before they slept.
    let slept: u64 = [0, 9].iter().map(|&row| seen.futex[row][0] + seen.futex[row][1]).sum();
    let blocked: u64 = seen.left[Leave::Blocked as usize].iter().sum();
    assert!(slept <= 3 + 4, "{slept} waits slept");
    assert_eq!(blocked, BLOCKS + 1 + slept, "{slept} waits slept");
    assert_eq!(seen.left[Leave::Blocked as usize][1], 0, "nothing is in call without a slot");
}
