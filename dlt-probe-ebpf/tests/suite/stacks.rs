//! Stacks lead to the function that waited, or ran.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use dlt_probe_ebpf::{Options, Role, StackKind};

use super::support::{Waiter, load, own_cpu_time, tid};

/// The lock's waiter, in a frame of its own.
#[inline(never)]
fn waits_here(mutex: &Mutex<()>) {
    drop(mutex.lock().unwrap());
    std::hint::black_box(());
}

#[inline(never)]
fn runs_here(cpu_time: Duration) {
    let end = own_cpu_time() + cpu_time;
    while own_cpu_time() < end {
        for _ in 0..100_000 {
            std::hint::black_box(());
        }
    }
}

/// True if one of the addresses lies within the first 4 KiB of the function.
fn is_in(function: usize, addresses: &[u64]) -> bool {
    addresses.iter().any(|&address| (function as u64..function as u64 + 4096).contains(&address))
}

#[test]
fn futex_stack_names_the_waiter_and_its_time() {
    let Some(probe) = load(Options { stacks: true, ..Options::default() }) else { return };
    let (mutex, waiter, begin) = (Mutex::new(()), Waiter::default(), Instant::now());
    let asleep = std::thread::scope(|scope| {
        let guard = mutex.lock().unwrap();
        scope.spawn(|| {
            probe.watch(tid(), Role::Producer, Some(0)).unwrap();
            waiter.waits_next();
            waits_here(&mutex);
        });
        let asleep = waiter.seen_asleep();
        drop(guard);
        asleep
    });
    let passed = begin.elapsed();
    let stacks = probe.take_stacks().unwrap();
    let longest = stacks.iter().filter(|s| s.kind == StackKind::Futex).max_by_key(|s| s.weight_ns).unwrap();
    assert!(is_in(waits_here as *const () as usize, &longest.user), "{longest:x?}");
    let away = Duration::from_nanos(longest.weight_ns);
    assert!((asleep..passed).contains(&away), "{longest:?}, seen asleep for {asleep:?} of {passed:?}");
    assert_eq!(longest.role, Some(Role::Producer));
    assert!(probe.ledger().unwrap().is_clean());
}

#[test]
fn sampled_stacks_name_what_runs() {
    let Some(probe) = load(Options { sample_hz: 499, ..Options::default() }) else { return };
    probe.watch(tid(), Role::Other, None).unwrap();
    runs_here(Duration::from_millis(300));
    let own = tid();
    let stacks = probe.take_stacks().unwrap();
    let on_cpu: Vec<_> = stacks.iter().filter(|s| s.kind == StackKind::OnCpu && s.tid == own).collect();
    let here = on_cpu.iter().filter(|s| is_in(runs_here as *const () as usize, &s.user)).count();
    assert!(on_cpu.len() > 20, "{} samples", on_cpu.len());
    assert!(here * 2 > on_cpu.len(), "{here} of {}", on_cpu.len());
}
