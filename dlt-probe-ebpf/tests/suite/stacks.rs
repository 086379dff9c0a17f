//! Stacks lead to the function that waited, or ran.

use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

use dlt_probe_ebpf::{Options, Role, StackKind};

use super::support::{load, tid};

/// The lock's waiter, in a frame of its own.
#[inline(never)]
fn waits_here(mutex: &Mutex<()>) {
    drop(mutex.lock().unwrap());
    std::hint::black_box(());
}

#[inline(never)]
fn runs_here(until: Instant) {
    while Instant::now() < until {
        std::hint::black_box(());
    }
}

/// True if one of the addresses lies within the first 4 KiB of the function.
fn is_in(function: usize, addresses: &[u64]) -> bool {
    addresses.iter().any(|&address| (function as u64..function as u64 + 4096).contains(&address))
}

#[test]
fn futex_stack_names_the_waiter_and_its_time() {
    let Some(probe) = load(Options { stacks: true, ..Options::default() }) else { return };
    let (mutex, barrier) = (Mutex::new(()), Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            probe.watch(tid(), Role::Producer, Some(0)).unwrap();
            barrier.wait();
            waits_here(&mutex);
        });
        let guard = mutex.lock().unwrap();
        barrier.wait();
        std::thread::sleep(Duration::from_millis(50));
        drop(guard);
    });
    let stacks = probe.take_stacks().unwrap();
    let longest = stacks.iter().filter(|s| s.kind == StackKind::Futex).max_by_key(|s| s.weight_ns).unwrap();
    assert!(is_in(waits_here as *const () as usize, &longest.user), "{longest:x?}");
    assert!((40_000_000..5_000_000_000).contains(&longest.weight_ns), "{longest:?}");
    assert_eq!(longest.role, Some(Role::Producer));
    assert!(probe.ledger().unwrap().is_clean());
}

#[test]
fn sampled_stacks_name_what_runs() {
    let Some(probe) = load(Options { sample_hz: 499, ..Options::default() }) else { return };
    probe.watch(tid(), Role::Other, None).unwrap();
    runs_here(Instant::now() + Duration::from_millis(300));
    let own = tid();
    let stacks = probe.take_stacks().unwrap();
    let on_cpu: Vec<_> = stacks.iter().filter(|s| s.kind == StackKind::OnCpu && s.tid == own).collect();
    let here = on_cpu.iter().filter(|s| is_in(runs_here as *const () as usize, &s.user)).count();
    assert!(on_cpu.len() > 20, "{} samples", on_cpu.len());
    assert!(here * 2 > on_cpu.len(), "{here} of {}", on_cpu.len());
}
