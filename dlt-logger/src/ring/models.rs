//! The ring under loom, and a mutant for each of its orderings.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release -p dlt-logger --lib -- models`. Each model has its second side in a
//! spawned thread, for a consumer in the main thread with a bounded number of tries explores a single execution; each
//! asserts that more than one was explored.
//!
//! A mutant is a model with one [`Site`] weakened to Relaxed, or its fence removed; it must fail. Every site is killed by a
//! model here. What loom does not know: `membarrier` (two fences stand for it, as it amounts to one in each thread).

use std::sync::atomic::AtomicUsize;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use crate::format::Level;
use crate::primitives::{AtomicU32, AtomicU64, Ordering::*};

use super::gate::{Gate, heavy_fence};
use super::order::{Site, ord, tests::MUTANT};
use super::park::{Sleeper, Waiter};
use super::record::Header;
use super::{Control, Copied, Cursor, Ring, SLACK_WORDS, Words};

/// A ring of its own, small enough to explore.
struct Owned {
    control: Control,
    words: Vec<AtomicU64>,
    capacity: u64,
    /// One cell for the words of each record, touched with them: relaxed words never race in loom's eyes, and it lets no load
    /// see a store that comes later. A cell that is reused without a happens-before is found all the same.
    shadows: Vec<UnsafeCell<()>>,
}

impl Owned {
    /// `words` a power of two. A record without arguments takes two.
    fn new(words: usize, capacity: u64) -> Self {
        let shadows = (0..words / 2).map(|_| UnsafeCell::new(())).collect();
        Self {
            control: Control::starting_at((0, 0), words as u64, capacity),
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            capacity,
            shadows,
        }
    }

    fn shadow(&self, number: u64) -> &UnsafeCell<()> {
        &self.shadows[number as usize % self.shadows.len()]
    }

    fn ring(&self) -> Ring<'_> {
        Ring { control: &self.control, words: Words::new(&self.words), capacity: self.capacity }
    }
}

/// A record whose second word is a function of its number, so that a torn one shows.
fn header(number: u64) -> Header {
    Header {
        payload_bytes: 0,
        level: Level::Info as u8,
        context: number as u16,
        arguments: 0,
        ticks: number * 1000 + 7,
    }
}

fn log_overwriting(ring: &Ring<'_>, number: u64) {
    if !ring.has_room(0) {
        ring.make_room_overwriting(0);
    }
    ring.publish(0, header(number), &());
}

/// True if there was room.
fn log_if_room(owned: &Owned, number: u64) -> bool {
    let ring = owned.ring();
    if !ring.has_room(0) && !ring.has_room_fresh(0) {
        return false;
    }
    owned.shadow(number).with_mut(|_| ());
    ring.publish(0, header(number), &());
    true
}

/// Copies once. Returns the numbers delivered, and how many were found missing; checks that no record is torn.
fn drain(owned: &Owned, cursor: &mut Cursor, delivered: &mut Vec<u64>, overwrites: bool) -> u64 {
    let ring = owned.ring();
    let mut buffer = [0; 8 + SLACK_WORDS];
    match ring.copy_out(cursor, &mut buffer[..8]) {
        Copied::Nothing { lost } => lost,
        Copied::Overtaken => 0,
        Copied::Words(valid) => {
            let mut records = Ring::records(cursor, &buffer, &valid);
            let mut missing = 0;
            let mut next = cursor.next_record;
            for (lost, record) in &mut records {
                missing += lost;
                next += lost;
                assert_eq!(record.header, header(next), "torn, or not in order");
                if !overwrites {
                    owned.shadow(next).with(|_| ());
                }
                delivered.push(next);
                next += 1;
            }
            assert_eq!(ring.consumed(cursor, &records, &valid), None);
            missing
        }
    }
}

/// Explores a model; counts the executions.
fn explore(model: impl Fn() + Sync + Send + 'static) -> usize {
    static EXECUTIONS: AtomicUsize = AtomicUsize::new(0);
    EXECUTIONS.store(0, SeqCst);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || {
        EXECUTIONS.fetch_add(1, SeqCst);
        model();
    });
    EXECUTIONS.load(SeqCst)
}

/// A producer that overwrites and a worker that copies meanwhile: what is delivered is whole and in order, and every
/// record is delivered or missing.
fn overwrite_against_copy() {
    const RECORDS: u64 = 3;
    let owned = Arc::new(Owned::new(4, 2));
    let worker = {
        let owned = Arc::clone(&owned);
        thread::spawn(move || {
            let ring = owned.ring();
            let mut cursor = Cursor::at_head(&ring);
            let mut delivered = Vec::new();
            let missing = drain(&owned, &mut cursor, &mut delivered, true);
            (cursor, delivered, missing)
        })
    };
    for number in 0..RECORDS {
        log_overwriting(&owned.ring(), number);
    }
    let (mut cursor, mut delivered, mut missing) = worker.join().unwrap();
    loop {
        let before = delivered.len() as u64 + missing;
        missing += drain(&owned, &mut cursor, &mut delivered, true);
        if delivered.len() as u64 + missing == before {
            break;
        }
    }
    assert_eq!(delivered.len() as u64 + missing, RECORDS, "{delivered:?}, {missing} missing");
}

/// A producer that drops, in a ring that wraps: words are reused only after they were copied.
fn reuse_after_copy() {
    let owned = Arc::new(Owned::new(4, 2));
    let worker = {
        let owned = Arc::clone(&owned);
        thread::spawn(move || {
            let ring = owned.ring();
            let mut cursor = Cursor::at_head(&ring);
            let mut delivered = Vec::new();
            let missing = drain(&owned, &mut cursor, &mut delivered, false);
            assert_eq!(missing, 0, "nothing is overwritten in this mode");
            (cursor, delivered)
        })
    };
    let accepted = (0..3).fold(0, |number, _| number + u64::from(log_if_room(&owned, number)));
    let (mut cursor, mut delivered) = worker.join().unwrap();
    while delivered.len() < accepted as usize {
        assert_eq!(drain(&owned, &mut cursor, &mut delivered, false), 0);
    }
    assert_eq!(delivered, (0..accepted).collect::<Vec<_>>());
}

/// An empty lane says what it lost, and never more: `accepted` is not seen before the records it counts.
fn empty_lane_counts_no_record_as_lost() {
    let owned = Arc::new(Owned::new(8, 4));
    let worker = {
        let owned = Arc::clone(&owned);
        thread::spawn(move || {
            let ring = owned.ring();
            let mut cursor = Cursor::at_head(&ring);
            let mut delivered = Vec::new();
            let missing = drain(&owned, &mut cursor, &mut delivered, false);
            assert_eq!(missing, 0, "nothing was lost");
        })
    };
    log_if_room(&owned, 0);
    worker.join().unwrap();
}

/// A producer that finds the ring full and a worker that drains: never does the producer sleep unwoken.
fn no_lost_wakeup_of_a_producer() {
    let owned = Arc::new(Owned::new(4, 1));
    assert!(log_if_room(&owned, 0));
    let worker = {
        let owned = Arc::clone(&owned);
        thread::spawn(move || {
            let ring = owned.ring();
            drain(&owned, &mut Cursor::at_head(&ring), &mut Vec::new(), false);
            Waiter::heads_published();
            ring.control.waiter.take()
        })
    };
    let ring = owned.ring();
    ring.control.waiter.announce();
    let sleeps = !ring.has_room_fresh(0);
    let wakes = worker.join().unwrap();
    assert!(!sleeps || wakes, "the producer sleeps and nobody wakes it");
}

/// A worker that goes to sleep and a producer that begins to wait: one of them sees the other.
fn no_lost_nudge_of_a_worker() {
    let pair = Arc::new((Waiter::default(), Sleeper::default()));
    let worker = {
        let pair = Arc::clone(&pair);
        thread::spawn(move || {
            pair.1.announce();
            !pair.0.is_waiting()
        })
    };
    pair.0.announce();
    let nudges = pair.1.take();
    let sleeps = worker.join().unwrap();
    assert!(!sleeps || nudges, "both sleep");
}

/// A logger that closes while a call is under way: what a call that the closer did not wait for publishes is refused.
fn close_sees_every_accepted_record() {
    let shared = Arc::new((Owned::new(4, 2), Gate::default(), AtomicU32::new(0)));
    let producer = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            let (owned, gate, closed) = &*shared;
            gate.enter();
            let accepted = closed.load(Relaxed) == 0 && log_if_room(owned, 0);
            gate.leave();
            accepted
        })
    };
    let (owned, gate, closed) = &*shared;
    closed.store(1, Relaxed);
    heavy_fence();
    let waited_for = !gate.is_busy();
    let published = owned.control.producer.tail.load(Relaxed) > 0;
    let accepted = producer.join().unwrap();
    assert!(!waited_for || published == accepted, "accepted after the last drain");
}

/// A lane whose owner ends and that another thread takes over: the new owner goes on behind what the old one wrote.
fn adopted_lane_goes_on() {
    let shared = Arc::new((Owned::new(8, 4), AtomicU32::new(1)));
    let new_owner = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            let (owned, owner) = &*shared;
            // As `Lane::adopt` does it.
            if owner.compare_exchange(0, 1, ord(Site::AdoptLane, Acquire), Relaxed).is_ok() {
                log_if_room(owned, 1);
            }
        })
    };
    let (owned, owner) = &*shared;
    log_if_room(owned, 0);
    // As `Lane::release` does it.
    owner.store(0, ord(Site::ReleaseLane, Release));
    new_owner.join().unwrap();
    let ring = owned.ring();
    let (mut cursor, mut delivered) = (Cursor::at_head(&ring), Vec::new());
    drain(owned, &mut cursor, &mut delivered, false);
    assert_eq!(delivered.len() as u64, owned.control.producer.accepted.load(Relaxed), "{delivered:?}");
    assert!(delivered == [0] || delivered == [0, 1], "{delivered:?}");
}

/// All models by name.
const MODELS: [(&str, fn()); 7] = [
    ("overwrite against copy", overwrite_against_copy),
    ("reuse after copy", reuse_after_copy),
    ("empty lane", empty_lane_counts_no_record_as_lost),
    ("producer's wake-up", no_lost_wakeup_of_a_producer),
    ("worker's nudge", no_lost_nudge_of_a_worker),
    ("close", close_sees_every_accepted_record),
    ("adopted lane", adopted_lane_goes_on),
];

/// Every ordering, with the model that must not survive without it.
const MUTANTS: [(Site, fn()); 16] = [
    (Site::PublishTail, reuse_after_copy),
    (Site::ReadTail, reuse_after_copy),
    (Site::PublishAccepted, empty_lane_counts_no_record_as_lost),
    (Site::ReadAccepted, empty_lane_counts_no_record_as_lost),
    (Site::PublishHead, reuse_after_copy),
    (Site::ReadHead, reuse_after_copy),
    (Site::OverwriteFence, overwrite_against_copy),
    (Site::ValidateFence, overwrite_against_copy),
    (Site::WaitFence, no_lost_wakeup_of_a_producer),
    (Site::WakeFence, no_lost_wakeup_of_a_producer),
    (Site::SleepFence, no_lost_nudge_of_a_worker),
    (Site::ReleaseLane, adopted_lane_goes_on),
    (Site::AdoptLane, adopted_lane_goes_on),
    (Site::LeaveCall, close_sees_every_accepted_record),
    (Site::ReadBusy, close_sees_every_accepted_record),
    (Site::CloseBarrier, close_sees_every_accepted_record),
];

/// One test, since the mutant is chosen for the whole process.
#[test]
fn models_hold_and_every_weakened_ordering_is_found() {
    for (name, model) in MODELS {
        let executions = explore(model);
        println!("{name}: {executions} executions");
        assert!(executions > 1, "{name} explored one execution only");
    }
    // In the order of their declaration, the last of which is the barrier: none is left out.
    assert!(MUTANTS.iter().enumerate().all(|(i, &(site, _))| site as usize == i), "a site without a mutant");
    assert_eq!(MUTANTS.len(), Site::CloseBarrier as usize + 1, "a site without a mutant");
    let mut survivors = Vec::new();
    for (site, model) in MUTANTS {
        *MUTANT.lock().unwrap() = Some(site);
        let result = std::panic::catch_unwind(|| explore(model));
        *MUTANT.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
        println!("mutant {site:?}: {}", if result.is_err() { "killed" } else { "SURVIVED" });
        if result.is_ok() {
            survivors.push(site);
        }
    }
    assert!(survivors.is_empty(), "mutants that no model kills: {survivors:?}");
}
