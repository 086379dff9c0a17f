//! The in-call word: what tells a producer that waits from one that is merely preempted.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::time::Duration;

use dlt_probe_ebpf::{Leave, Options, Probe, Role};

use super::support::{load, tid};

const PRODUCERS: usize = 4;
const WINDOW: Duration = Duration::from_millis(1500);
/// Times that a holder was held up while another producer had a processor, before anything is said of who went on.
const ENOUGH: u64 = 20;
/// Windows in which a machine that is busy with other work must give that many.
const MOST_WINDOWS: usize = 20;

#[derive(Debug, Default)]
struct Seen {
    syscalls: u64,
    blocked: u64,
    yielded: u64,
    preempted: u64,
    long_slices: u64,
    held_up: u64,
    others_ran: u64,
    others_went_on: u64,
    calls: u64,
}

/// What the probe sees of four producers that do `call` without a pause.
fn watch(probe: &Probe, call: impl Fn(&mut [u64; 64]) + Sync) -> Seen {
    let mut seen = Seen::default();
    watch_on(probe, &mut seen, call);
    seen
}

/// The same until others had a processor often enough while one was held up.
fn watch_long(probe: &Probe, call: impl Fn(&mut [u64; 64]) + Sync) -> Seen {
    let mut seen = Seen::default();
    for _ in 0..MOST_WINDOWS {
        watch_on(probe, &mut seen, &call);
        if seen.others_ran >= ENOUGH {
            break;
        }
    }
    assert!(seen.others_ran >= ENOUGH, "too busy a machine: {seen:?}");
    seen
}

/// Adds one window. Each producer goes on calling while another is at an edge of its window: from edge to edge, all have a call to
/// finish.
fn watch_on(probe: &Probe, seen: &mut Seen, call: impl Fn(&mut [u64; 64]) + Sync) {
    let stop = AtomicBool::new(false);
    let [begun, ended] = [const { AtomicUsize::new(0) }; 2];
    std::thread::scope(|scope| {
        let producer = |index| {
            let slot = probe.slots().slot(index);
            probe.watch(tid(), Role::Producer, Some(index)).unwrap();
            slot.begin_epoch();
            let mut own = [0; 64];
            let mut call_while = |goes_on: &dyn Fn() -> bool| {
                while goes_on() {
                    slot.enter();
                    call(&mut own);
                    slot.leave();
                }
            };
            begun.fetch_add(1, Relaxed);
            call_while(&|| begun.load(Relaxed) < PRODUCERS);
            let (before, calls) = (probe.edge().unwrap().thread, slot.calls());
            call_while(&|| !stop.load(Relaxed));
            let (after, calls) = (probe.edge().unwrap().thread, slot.calls() - calls);
            ended.fetch_add(1, Relaxed);
            call_while(&|| ended.load(Relaxed) < PRODUCERS);
            (before, after, calls)
        };
        let producers: Vec<_> = (0..PRODUCERS).map(|index| scope.spawn(move || producer(index))).collect();
        std::thread::sleep(WINDOW);
        stop.store(true, Relaxed);
        for producer in producers {
            let (a, b, calls) = producer.join().unwrap();
            let left = |why: Leave| b.left[why as usize][1] - a.left[why as usize][1];
            seen.syscalls += b.syscalls_in_call - a.syscalls_in_call;
            seen.blocked += left(Leave::Blocked);
            seen.yielded += left(Leave::Yielded);
            seen.preempted += left(Leave::Preempted);
            seen.long_slices += b.long_slices - a.long_slices;
            seen.held_up += b.held_up - a.held_up;
            seen.others_ran += b.held_up_others_ran - a.held_up_others_ran;
            seen.others_went_on += b.held_up_others_went_on - a.held_up_others_went_on;
            seen.calls += calls;
        }
    });
}

fn work(own: &mut [u64; 64]) {
    for word in own.iter_mut() {
        *word = word.wrapping_add(1);
    }
    std::hint::black_box(own);
}

#[test]
fn private_work_is_only_preempted_and_others_go_on() {
    let Some(probe) = load(Options::default()) else { return };
    let seen = watch_long(&probe, work);
    assert_eq!((seen.syscalls, seen.blocked, seen.yielded, seen.long_slices), (0, 0, 0, 0), "{seen:?}");
    assert!(seen.held_up > 10, "{seen:?}");
    // On a busy machine all producers may be off the processors at once: nobody can go on then.
    assert!(seen.others_went_on >= seen.others_ran, "{seen:?}");
}

#[test]
fn a_mutex_blocks_in_call() {
    let Some(probe) = load(Options::default()) else { return };
    let mutex = Mutex::new([0; 64]);
    let seen = watch(&probe, |_| work(&mut mutex.lock().unwrap()));
    assert!(seen.blocked > 0 && seen.syscalls >= seen.blocked, "{seen:?}");
}

/// A spinning waiter makes no system call and never blocks; what gives it away is a time slice within one call.
#[test]
fn a_spinlock_spends_slices_in_one_call() {
    let Some(probe) = load(Options::default()) else { return };
    let lock = AtomicBool::new(false);
    let seen = watch_long(&probe, |own| {
        while lock.swap(true, Acquire) {
            std::hint::spin_loop();
        }
        work(own);
        lock.store(false, Release);
    });
    assert_eq!((seen.syscalls, seen.blocked), (0, 0), "{seen:?}");
    assert!(seen.long_slices > 0, "{seen:?}");
    assert!(
        seen.others_went_on < seen.others_ran,
        "others stood still while a holder was preempted: {seen:?}"
    );
}

#[test]
fn a_yielding_spinlock_is_seen_by_its_system_calls() {
    let Some(probe) = load(Options::default()) else { return };
    let lock = AtomicBool::new(false);
    let seen = watch(&probe, |own| {
        while lock.swap(true, Acquire) {
            std::thread::yield_now();
        }
        work(own);
        lock.store(false, Release);
    });
    assert_eq!(seen.blocked, 0, "{seen:?}");
    assert!(seen.syscalls > 0 && seen.yielded > 0, "{seen:?}");
}
