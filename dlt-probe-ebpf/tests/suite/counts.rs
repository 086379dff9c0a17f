//! Exactly known numbers: what the probe counts is what was done, no more and no less.
#![allow(unsafe_code, reason = "system calls in exact numbers")]

use std::io::{IoSlice, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

use dlt_probe_ebpf::{Leave, Options, Probe, canary};

use super::support::{Waiter, between_edges, forking, load};

/// Slots of canaries, away from those of producers.
const SLOT: usize = 100;

fn assert_exact(report: &canary::Report) {
    assert_eq!(report.no_stops, None, "ptrace stops");
    let wrong: Vec<_> = report.lines.iter().filter(|line| line.expected != line.seen).collect();
    assert!(wrong.is_empty(), "cpu {}: {wrong:#?}", report.cpu);
    assert!(report.lines.len() >= 20);
}

#[test]
fn canary_is_exact_on_each_processor_also_in_a_crowd() {
    let Some(probe) = load(Options::default()) else { return };
    let cpus = std::thread::available_parallelism().unwrap().get();
    for cpu in 0..cpus {
        assert_exact(&canary::run(&probe, cpu, SLOT + cpu).unwrap());
    }
    let stop = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 * cpus {
            scope.spawn(|| while stop.load(SeqCst) == 0 {});
        }
        let canaries: Vec<_> = (0..cpus)
            .map(|cpu| {
                scope.spawn({
                    let probe = &probe;
                    move || canary::run(probe, cpu, SLOT + cpu).unwrap()
                })
            })
            .collect();
        let reports: Vec<_> = canaries.into_iter().map(|canary| canary.join().unwrap()).collect();
        stop.store(1, SeqCst);
        reports.iter().for_each(assert_exact);
    });
    assert!(probe.ledger().unwrap().is_clean(), "{:?}", probe.ledger());
}

/// Negative control: an offset that is wrong by one member is found out.
#[test]
fn canary_finds_a_shifted_offset() {
    let Some(probe) = load(Options { shift_offsets: 8, ..Options::default() }) else { return };
    let report = canary::run(&probe, 0, SLOT).unwrap();
    assert!(report.wrong() >= 2, "{:#?}", report.lines);
}

/// Waits of Rust's own locks, which tools that look for FUTEX_WAIT alone do not see.
#[test]
fn waits_of_a_std_mutex_are_seen_with_their_time() {
    let Some(probe) = load(Options::default()) else { return };
    let (mutex, barrier, waiter) = (Mutex::new(()), Barrier::new(2), Waiter::default());
    let ((before, after), asleep) = std::thread::scope(|scope| {
        let holder = scope.spawn(|| {
            let hold = || {
                let guard = mutex.lock().unwrap();
                barrier.wait();
                let asleep = waiter.seen_asleep();
                drop(guard);
                barrier.wait();
                asleep
            };
            (0..3).map(|_| hold()).sum::<Duration>()
        });
        let edges = between_edges(&probe, None, || {
            for _ in 0..3 {
                barrier.wait();
                waiter.waits_next();
                drop(mutex.lock().unwrap());
                barrier.wait();
            }
        });
        (edges, holder.join().unwrap())
    });
    let waited = after.thread.futex_wait_ns - before.thread.futex_wait_ns;
    let bitset = |t: &dlt_probe_ebpf::Thread| t.futex[9][0] + t.futex[9][1];
    assert!(bitset(&after.thread) - bitset(&before.thread) >= 3, "{:?}", after.thread.futex[9]);
    assert!(u128::from(waited) >= asleep.as_nanos(), "{waited} ns, seen asleep for {asleep:?}");
}

/// Reads that wait for another thread: their number, and time between what was seen from outside and what passed inside.
#[test]
fn blocks_have_their_number_and_time() {
    let Some(probe) = load(Options::default()) else { return };
    let (mut near, mut far) = UnixStream::pair().unwrap();
    let waiter = Waiter::default();
    let ((before, after, passed), asleep) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let release = |_| {
                let asleep = waiter.seen_asleep();
                far.write_all(b"x").unwrap();
                asleep
            };
            (0..7).map(release).sum::<Duration>()
        });
        let begin = Instant::now();
        let (before, after) = between_edges(&probe, None, || {
            for _ in 0..7 {
                waiter.waits_next();
                near.read_exact(&mut [0]).unwrap();
            }
        });
        ((before, after, begin.elapsed()), writer.join().unwrap())
    });
    let (a, b, blocked) = (before.thread, after.thread, Leave::Blocked as usize);
    assert_eq!(b.left[blocked][0] - a.left[blocked][0], 7);
    let away = Duration::from_nanos(b.away_ns[blocked][0] - a.away_ns[blocked][0]);
    assert!((asleep..passed).contains(&away), "{away:?}, seen asleep for {asleep:?} of {passed:?}");
}

#[test]
fn sleeps_yields_and_writevs_in_exact_numbers() {
    let Some(probe) = load(Options::default()) else { return };
    let mut null = std::fs::OpenOptions::new().write(true).open("/dev/null").unwrap();
    let (before, after) = between_edges(&probe, None, || {
        for _ in 0..7 {
            std::thread::sleep(Duration::from_millis(1));
        }
        for _ in 0..123 {
            std::thread::yield_now();
        }
        for k in [1, 2, 5] {
            for _ in 0..11 {
                assert_eq!(null.write_vectored(&vec![IoSlice::new(&[0; 64]); k]).unwrap(), 64 * k);
            }
        }
    });
    let (a, b) = (before.thread, after.thread);
    assert_eq!(b.sleeps - a.sleeps, 7);
    assert_eq!(b.yields - a.yields, 123);
    assert_eq!(b.writev - a.writev, 33);
    assert_eq!(b.writev_iovecs - a.writev_iovecs, 11 * (1 + 2 + 5));
    assert_eq!(b.writev_bytes - a.writev_bytes, 64 * 11 * (1 + 2 + 5));
    let latencies = |t: &dlt_probe_ebpf::Thread| t.writev_latency.iter().sum::<u64>();
    assert_eq!(latencies(&b) - latencies(&a), 33);
    assert_eq!(b.voluntary - a.voluntary, after.voluntary - before.voluntary);
    assert_eq!(b.involuntary - a.involuntary, after.involuntary - before.involuntary);
}

/// A second probe, and a thread that was registered with neither, change nothing.
#[test]
fn only_what_is_watched_is_counted() {
    let Some(probe) = load(Options::default()) else { return };
    let Ok(_second) = Probe::load(Options::default()) else { panic!("one could be loaded") };
    let busy = std::thread::spawn(|| (0..1000).for_each(|_| std::thread::yield_now()));
    let (before, after) = between_edges(&probe, None, || {});
    busy.join().unwrap();
    assert_eq!(after.thread.yields - before.thread.yields, 0);
    assert!(probe.read(1).is_err(), "another process's thread is not watched");
}

/// Inside a pid namespace ids are others: the whole canary again, in a process that was started in one.
#[test]
fn canary_is_exact_in_a_pid_namespace() {
    const INSIDE: &str = "DLT_PROBE_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        assert!(std::process::id() < 100, "in a new pid namespace, not {}", std::process::id());
        let Some(probe) = load(Options::default()) else { return };
        assert_exact(&canary::run(&probe, 0, SLOT).unwrap());
        println!("INSIDE: exact");
        return;
    }
    if load(Options::default()).is_none() {
        return;
    }
    let name = "suite::counts::canary_is_exact_in_a_pid_namespace";
    let forking = forking();
    let output = Command::new("unshare")
        .args(["--pid", "--fork", "--mount-proc"])
        .arg(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    drop(forking);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("INSIDE: exact"),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Off its tracepoints the probe counts nothing, and on them again it goes on.
#[test]
fn a_detached_probe_counts_nothing() {
    const CALLS: u64 = 1000;
    let Some(probe) = load(Options { sample_hz: 99, ..Options::default() }) else { return };
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let tid = super::support::tid();
            probe.watch(tid, dlt_probe_ebpf::Role::Other, None).unwrap();
            let counted = || {
                for _ in 0..CALLS {
                    // SAFETY: takes nothing and cannot fail.
                    unsafe { libc::syscall(libc::SYS_getppid) };
                }
                probe.read(tid).unwrap().syscalls
            };
            let attached = counted();
            probe.detach();
            let detached = counted();
            probe.attach().unwrap();
            (attached, detached, counted())
        });
        let (attached, detached, again) = thread.join().unwrap();
        assert!(attached >= CALLS, "{attached}");
        // The calls around the detaching are not exactly known: closing the samplers is one each.
        assert!(detached - attached < 50, "{attached}, then {detached}");
        assert!(again - detached >= CALLS, "{detached}, then {again}");
    });
}
