//! What the tests share.
#![allow(unsafe_code, reason = "thread ids")]

use dlt_probe_ebpf::{Error, Options, Probe};

/// Thread id of the calling thread.
pub(crate) fn tid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::gettid() }.cast_unsigned()
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
pub(crate) fn load(options: Options) -> Option<Probe> {
    load_for(std::process::id(), options)
}

/// The same for another process.
pub(crate) fn load_for(tgid: u32, options: Options) -> Option<Probe> {
    match Probe::load_for(tgid, options) {
        Ok(probe) => Some(probe),
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
