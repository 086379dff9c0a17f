//! What the tests share.
#![allow(unsafe_code, reason = "thread ids and user ids")]

use dlt_probe_ebpf::{Error, Options, Probe};

/// Thread id of the calling thread.
pub(crate) fn tid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::gettid() }.cast_unsigned()
}

fn is_root() -> bool {
    // SAFETY: as above.
    unsafe { libc::geteuid() == 0 }
}

/// The probe, or `None` after saying why not.
pub(crate) fn load(options: Options) -> Option<Probe> {
    match Probe::load(options) {
        Ok(probe) => Some(probe),
        Err(Error::CannotRun(reason)) => {
            let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
            assert!(!(in_ci && is_root()), "a skip is a failure here: {reason}");
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
