//! What the tests share.
#![allow(unsafe_code, reason = "thread ids")]

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use dlt_probe_ebpf::{Error, Options, Probe};

/// Held for writing by a test that starts a process, for reading by one that has a probe: a fork makes the memory of all threads
/// read-only, and they wait for one another in the page faults that follow.
static FORKS: RwLock<()> = RwLock::new(());

/// To be held while a process is started.
pub(crate) fn forking() -> RwLockWriteGuard<'static, ()> {
    FORKS.write().unwrap_or_else(PoisonError::into_inner)
}

/// A probe, while which lives no other test forks.
pub(crate) struct Undisturbed {
    probe: Probe,
    _forks: RwLockReadGuard<'static, ()>,
}

impl std::ops::Deref for Undisturbed {
    type Target = Probe;

    fn deref(&self) -> &Probe {
        &self.probe
    }
}

/// Thread id of the calling thread.
pub(crate) fn tid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::gettid() }.cast_unsigned()
}

/// Processor time of the calling thread.
pub(crate) fn own_cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the one live value.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) }, 0);
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}

/// True where a skip would hide a failure: a kernel with BTF, and root's capabilities (a container's root may have few).
fn must_run() -> bool {
    const NEEDED: u64 = 1 << 21;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap().trim();
    u64::from_str_radix(effective, 16).unwrap() & NEEDED != 0
        && std::path::Path::new(dlt_probe_ebpf::facts::VMLINUX).exists()
}

/// The probe, or `None` after saying why not.
pub(crate) fn load(options: Options) -> Option<Undisturbed> {
    load_for(std::process::id(), options)
}

/// The same for another process.
pub(crate) fn load_for(tgid: u32, options: Options) -> Option<Undisturbed> {
    let forks = FORKS.read().unwrap_or_else(PoisonError::into_inner);
    match Probe::load_for(tgid, options) {
        Ok(probe) => Some(Undisturbed { probe, _forks: forks }),
        Err(Error::CannotRun(reason)) => {
            assert!(!must_run(), "a skip is a failure here: {reason}");
            println!("SKIPPED: {reason}");
            None
        }
        Err(error) => panic!("{error:?}"),
    }
}

/// Runs `work` in a new thread between two edges; returns both.
pub(crate) fn between_edges(
    probe: &Probe,
    slot: Option<usize>,
    work: impl FnOnce() + Send,
) -> (dlt_probe_ebpf::Edge, dlt_probe_ebpf::Edge) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            probe.watch(tid(), dlt_probe_ebpf::Role::Other, slot).unwrap();
            let before = probe.edge().unwrap();
            work();
            (before, probe.edge().unwrap())
        });
        thread.join().unwrap()
    })
}

/// A thread that is about to wait for another one of this process, which watches it from outside.
#[derive(Debug, Default)]
pub(crate) struct Waiter(AtomicU32);

impl Waiter {
    /// Called by the waiter: what it does next is to wait.
    pub(crate) fn waits_next(&self) {
        self.0.store(tid(), SeqCst);
    }

    /// Called by the other one: returns once the waiter has been asleep for a time, which it returns. The waiter was away for that
    /// long at least, on a machine as busy as it likes.
    pub(crate) fn seen_asleep(&self) -> Duration {
        let pause = || std::thread::sleep(Duration::from_millis(20));
        let tid = loop {
            match self.0.swap(0, SeqCst) {
                0 => std::thread::yield_now(),
                tid => break tid,
            }
        };
        let is_asleep = || {
            let stat = std::fs::read_to_string(format!("/proc/self/task/{tid}/stat")).unwrap();
            stat.rsplit_once(") ").unwrap().1.starts_with('S')
        };
        // It says so a little before it has left its processor.
        while !is_asleep() {
            std::thread::yield_now();
        }
        pause();
        assert!(is_asleep(), "it waits for us");
        let begin = Instant::now();
        pause();
        begin.elapsed()
    }
}
