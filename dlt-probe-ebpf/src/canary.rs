//! The positive control: a thread that does exactly known numbers of everything, so that a probe that misses something is
//! found out.
//!
//! What must be exact and what cannot be: calls of every kind, their results, iovecs and bytes, calls inside the in-call
//! word, ptrace stops, and the split of switches into voluntary and involuntary are exact on every kernel. Whether a call with
//! a short timeout really slept is not (a preempted thread may find its time over before it sleeps), nor is a yield as a
//! switch (with nobody else to run there is none).

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use crate::error::Error;
use crate::probe::{Edge, Probe};
use crate::records::{FUTEX_WAITV, Leave, Role, Thread};
use crate::slots::SlotPtr;
use crate::sys;

/// Futex operations by number (`include/uapi/linux/futex.h`).
const WAIT: usize = 0;
const WAKE: usize = 1;
const LOCK_PI: usize = 6;
const UNLOCK_PI: usize = 7;
const WAIT_BITSET: usize = 9;

const WAITS: u64 = 10;
const AGAIN: u64 = 100;
const BITSETS: u64 = 11;
const PIS: u64 = 20;
const WAKES: u64 = 100;
const WAITVS: u64 = 5;
const YIELDS: u64 = 50;
const SLEEPS: u64 = 6;
const POLLS: u64 = 4;
const WRITEVS_OF_EACH: u64 = 20;
const IOVECS: [usize; 3] = [1, 3, 16];
const BYTES_OF_EACH: u64 = 100;
/// Inside the in-call word.
const CALLS_INSIDE: [u64; 3] = [7, 5, 2];
const STOPS: u64 = 5;

/// One number that must be exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// What was counted.
    pub what: &'static str,
    /// What was done.
    pub expected: u64,
    /// What the probe saw.
    pub seen: u64,
}

/// What one canary found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The processor that it was confined to.
    pub cpu: usize,
    /// All numbers.
    pub lines: Vec<Line>,
    /// Why the ptrace stops are missing, if they are.
    pub no_stops: Option<&'static str>,
}

impl Report {
    /// Lines whose numbers differ.
    pub fn wrong(&self) -> usize {
        self.lines.iter().filter(|line| line.expected != line.seen).count()
    }
}

/// Runs a canary on processor `cpu` with in-call slot `slot`, in a thread of its own. Takes about 50 ms.
///
/// # Errors
/// The thread cannot be watched.
///
/// # Panics
/// If no thread can be started.
pub fn run(probe: &Probe, cpu: usize, slot: usize) -> Result<Report, Error> {
    std::thread::scope(|scope| {
        let canary = std::thread::Builder::new().name("canary".into());
        let canary = canary.spawn_scoped(scope, || sing(probe, cpu, slot)).expect("a thread can be started");
        match canary.join() {
            Ok(report) => report,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn sing(probe: &Probe, cpu: usize, slot: usize) -> Result<Report, Error> {
    sys::confine_to(cpu);
    let null = std::fs::OpenOptions::new().write(true).open("/dev/null");
    let null = null.map_err(|source| Error::Io { action: "open /dev/null", source })?;
    let words = probe.slots().slot(slot);
    let tracer = sys::Tracer::start(STOPS as u32);
    probe.watch(sys::gettid(), Role::Canary, Some(slot))?;
    words.begin_epoch();
    // From here to the other edge nothing allocates, starts a thread or takes a lock: all of these may be futexes.
    let before = probe.edge()?;
    futexes();
    let waitvs = waitvs();
    others();
    writevs(&null);
    inside(&words);
    let stops = tracer.as_ref().map(sys::Tracer::go_and_wait);
    let after = probe.edge()?;
    probe.unwatch(sys::gettid())?;
    words.retire();
    drop(tracer);
    let no_stops = match stops {
        Some(true) => None,
        Some(false) => Some("ptrace was refused"),
        None => Some("no process could be started"),
    };
    let stops = if no_stops.is_none() { STOPS } else { 0 };
    Ok(Report { cpu, lines: compare(&before, &after, waitvs, stops), no_stops })
}

fn futexes() {
    let word = AtomicU32::new(0);
    for _ in 0..WAITS {
        futex(&word, WAIT, 0, Some(sys::timespec(1_000_000)));
    }
    for _ in 0..AGAIN {
        futex(&word, WAIT, 1, None);
    }
    for _ in 0..BITSETS {
        // An absolute deadline that is long over: the call returns at once, in error.
        futex(&word, WAIT_BITSET, 0, Some(sys::timespec(1)));
    }
    for _ in 0..PIS {
        futex(&word, LOCK_PI, 0, None);
        futex(&word, UNLOCK_PI, 0, None);
    }
    for _ in 0..WAKES {
        futex(&word, WAKE, 1, None);
    }
}

/// `futex_waitv` exists since Linux 5.16; before, the calls fail, and are calls all the same.
fn waitvs() -> u64 {
    const U32_PRIVATE: u64 = 2 | 128;
    let word = AtomicU32::new(0);
    for _ in 0..WAITVS {
        let waiter: [u64; 3] = [1, word.as_ptr().expose_provenance() as u64, U32_PRIVATE];
        sys::raw_call(libc::SYS_futex_waitv, [waiter.as_ptr().expose_provenance(), 1, 0, 0, 0, 0]).ok();
    }
    WAITVS
}

fn others() {
    for _ in 0..YIELDS {
        sys::raw_call(libc::SYS_sched_yield, [0; 6]).ok();
    }
    let short = sys::timespec(300_000);
    let short = (&raw const short).expose_provenance();
    for _ in 0..SLEEPS / 2 {
        sys::raw_call(libc::SYS_nanosleep, [short, 0, 0, 0, 0, 0]).ok();
        sys::raw_call(libc::SYS_clock_nanosleep, [libc::CLOCK_MONOTONIC as usize, 0, short, 0, 0, 0]).ok();
    }
    for _ in 0..POLLS {
        sys::raw_call(libc::SYS_ppoll, [0, 0, short, 0, 8, 0]).ok();
    }
}

fn writevs(null: &std::fs::File) {
    use std::os::fd::AsRawFd;
    let bytes = [0u8; BYTES_OF_EACH as usize];
    let slices = [std::io::IoSlice::new(&bytes); 16];
    let address = slices.as_ptr().expose_provenance();
    for count in IOVECS {
        for _ in 0..WRITEVS_OF_EACH {
            sys::raw_call(libc::SYS_writev, [null.as_raw_fd() as usize, address, count, 0, 0, 0]).ok();
        }
    }
    // No such descriptor: a call, two iovecs asked for, an error.
    sys::raw_call(libc::SYS_writev, [usize::MAX, address, 2, 0, 0, 0]).ok();
}

/// Calls inside the in-call word: the probe must see each of them as inside.
fn inside(words: &SlotPtr) {
    let word = AtomicU32::new(0);
    let short = sys::timespec(300_000);
    words.enter();
    for _ in 0..CALLS_INSIDE[0] {
        futex(&word, WAIT, 1, None);
    }
    for _ in 0..CALLS_INSIDE[1] {
        sys::raw_call(libc::SYS_sched_yield, [0; 6]).ok();
    }
    for _ in 0..CALLS_INSIDE[2] {
        sys::raw_call(libc::SYS_nanosleep, [(&raw const short).expose_provenance(), 0, 0, 0, 0, 0]).ok();
    }
    words.leave();
}

fn futex(word: &AtomicU32, operation: usize, value: usize, timeout: Option<libc::timespec>) {
    const PRIVATE: usize = 128;
    let timeout = timeout.as_ref().map_or(0, |timeout| std::ptr::from_ref(timeout).expose_provenance());
    let address = word.as_ptr().expose_provenance();
    sys::raw_call(libc::SYS_futex, [address, operation | PRIVATE, value, timeout, 0, u32::MAX as usize]).ok();
    word.load(SeqCst);
}

fn compare(before: &Edge, after: &Edge, waitvs: u64, stops: u64) -> Vec<Line> {
    let line = |what, expected, read: &dyn Fn(&Thread) -> u64| Line {
        what,
        expected,
        seen: read(&after.thread) - read(&before.thread),
    };
    let calls = |operation: usize| move |t: &Thread| t.futex[operation].iter().sum::<u64>();
    let errors = |operation: usize| move |t: &Thread| t.futex[operation][1] + t.futex[operation][3];
    let iovecs: u64 = IOVECS.iter().map(|&n| n as u64).sum::<u64>() * WRITEVS_OF_EACH;
    let inside: u64 = CALLS_INSIDE.iter().sum();
    vec![
        line("futex WAIT calls", WAITS + AGAIN + CALLS_INSIDE[0], &calls(WAIT)),
        line("futex WAIT ended in error", WAITS + AGAIN + CALLS_INSIDE[0], &errors(WAIT)),
        line("futex WAIT_BITSET calls", BITSETS, &calls(WAIT_BITSET)),
        line("futex WAIT_BITSET timed out", BITSETS, &errors(WAIT_BITSET)),
        line("futex LOCK_PI at once", PIS, &|t| t.futex[LOCK_PI][2]),
        line("futex UNLOCK_PI at once", PIS, &|t| t.futex[UNLOCK_PI][2]),
        line("futex WAKE of nobody", WAKES, &|t| t.futex_woke_nobody),
        line("futex WAKE at once", WAKES, &|t| t.futex[WAKE][2]),
        line("futex_waitv calls", waitvs, &calls(FUTEX_WAITV)),
        line("sched_yield calls", YIELDS + CALLS_INSIDE[1], &|t| t.yields),
        line("nanosleep calls", SLEEPS + CALLS_INSIDE[2], &|t| t.sleeps),
        line("poll calls", POLLS, &|t| t.polls),
        line("writev calls", WRITEVS_OF_EACH * IOVECS.len() as u64 + 1, &|t| t.writev),
        line("writev iovecs", iovecs + 2, &|t| t.writev_iovecs),
        line("writev bytes", iovecs * BYTES_OF_EACH, &|t| t.writev_bytes),
        line("writev errors", 1, &|t| t.writev_errors),
        line("system calls inside the in-call word", inside, &|t| t.syscalls_in_call),
        line("ptrace stops", stops, &|t| t.left[Leave::Traced as usize].iter().sum()),
        line("voluntary switches, as getrusage has them", after.voluntary - before.voluntary, &|t| {
            t.voluntary
        }),
        line("involuntary switches, as getrusage has them", after.involuntary - before.involuntary, &|t| {
            t.involuntary
        }),
        line("returns without entry", 0, &|t| t.returns_without_entry),
    ]
}
