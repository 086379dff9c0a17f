//! Bounded rings, one for each thread, as dlt-logger has them; and what can be done wrong with them.

use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Mutex, PoisonError};

/// Nothing is wrong.
pub(crate) const SOUND: u8 = 0;
/// A message can be taken before it is whole.
pub(crate) const EARLY: u8 = 1;
/// One ring for all threads, whose messages become visible in the order in which their slots were claimed.
pub(crate) const SHARED: u8 = 2;
/// Who takes messages out waits for a writer in the middle of its call.
pub(crate) const WAITS: u8 = 3;
/// Threads register under a lock.
pub(crate) const LOCKED: u8 = 4;

/// Messages that a ring holds.
pub(crate) const SLOTS: usize = 256;
/// More than there are threads at a time.
const LANES: usize = 8;
/// Producers below this one are victims.
const VICTIMS: u64 = 2;

/// Words of a message: producer, number, and two by which a torn one is known.
pub(crate) type Message = [u64; 4];

/// One ring.
#[derive(Debug)]
struct Lane {
    /// A thread has it. From false to true by whoever gets it, with Acquire, and back by its thread with Release.
    is_taken: AtomicBool,
    /// A call is under way. Only with [`WAITS`].
    is_written: AtomicBool,
    /// Slots that were claimed, so far.
    claimed: AtomicU64,
    /// Messages that can be taken, so far. Stored with Release once the slot is filled.
    published: AtomicU64,
    /// Messages that were taken. Stored with Release once the slot is read.
    taken: AtomicU64,
    slots: [[AtomicU64; 4]; SLOTS],
}

/// The rings of all threads.
#[derive(Debug)]
pub(crate) struct Rings<const FAULT: u8> {
    lanes: Box<[Lane]>,
    registration: Mutex<()>,
    dropped: AtomicU64,
}

// The stores that the sweep's findings are compared with: functions, so that their instructions can be found.

#[inline(never)]
pub(crate) extern "C" fn publish(published: &AtomicU64, messages: u64) {
    published.store(messages, Release);
}

#[inline(never)]
pub(crate) extern "C" fn write_last(word: &AtomicU64, value: u64) {
    word.store(value, Relaxed);
}

#[inline(never)]
pub(crate) extern "C" fn mark(is_written: &AtomicBool, value: bool) {
    is_written.store(value, Release);
}

impl Lane {
    const fn new() -> Self {
        Self {
            is_taken: AtomicBool::new(false),
            is_written: AtomicBool::new(false),
            claimed: AtomicU64::new(0),
            published: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            slots: [const { [const { AtomicU64::new(0) }; 4] }; SLOTS],
        }
    }

    /// A slot that nobody else has; `None` if there is none.
    fn claim(&self) -> Option<u64> {
        let taken = self.taken.load(Acquire);
        let mut at = self.claimed.load(Relaxed);
        while at - taken < SLOTS as u64 {
            match self.claimed.compare_exchange(at, at + 1, Relaxed, Relaxed) {
                Ok(_) => return Some(at),
                Err(seen) => at = seen,
            }
        }
        None
    }

    /// False: there is no room.
    fn push<const FAULT: u8>(&self, message: Message) -> bool {
        let Some(at) = self.claim() else { return false };
        // The crowd of a broken ring would now and then tear its own messages, at stops that have nothing to do with it.
        let is_early = FAULT == EARLY && message[0] < VICTIMS;
        if FAULT == WAITS {
            mark(&self.is_written, true);
        }
        let slot = &self.slots[at as usize % SLOTS];
        slot[0].store(message[0], Relaxed);
        slot[1].store(message[1], Relaxed);
        if is_early {
            publish(&self.published, at + 1);
        }
        slot[2].store(message[2], Relaxed);
        write_last(&slot[3], message[3]);
        if FAULT == SHARED {
            while self.published.load(Acquire) != at {
                std::thread::yield_now();
            }
        }
        if !is_early {
            publish(&self.published, at + 1);
        }
        if FAULT == WAITS {
            mark(&self.is_written, false);
        }
        true
    }
}

impl<const FAULT: u8> Rings<FAULT> {
    pub(crate) fn new() -> Self {
        let lanes = (0..LANES).map(|_| Lane::new()).collect();
        Self { lanes, registration: Mutex::new(()), dropped: AtomicU64::new(0) }
    }

    fn register(&self) -> Option<usize> {
        if FAULT == SHARED {
            return Some(0);
        }
        let _registering =
            (FAULT == LOCKED).then(|| self.registration.lock().unwrap_or_else(PoisonError::into_inner));
        let take = |lane: &Lane| lane.is_taken.compare_exchange(false, true, Acquire, Relaxed).is_ok();
        self.lanes.iter().position(take)
    }

    /// Logs a message. `lane`: the calling thread's, which it gets at its first call.
    #[inline(never)]
    pub(crate) fn push(&self, lane: &mut Option<usize>, message: Message) {
        if lane.is_none() {
            *lane = self.register();
        }
        if !lane.is_some_and(|lane| self.lanes[lane].push::<FAULT>(message)) {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// A thread ends.
    pub(crate) fn give_back(&self, lane: usize) {
        self.lanes[lane].is_taken.store(false, Release);
    }

    /// Takes out what there is.
    pub(crate) fn take(&self, mut taken: impl FnMut(Message)) {
        for lane in &self.lanes {
            while FAULT == WAITS && lane.is_written.load(Acquire) {
                std::hint::spin_loop();
            }
            for at in lane.taken.load(Relaxed)..lane.published.load(Acquire) {
                taken(lane.slots[at as usize % SLOTS].each_ref().map(|word| word.load(Relaxed)));
                lane.taken.store(at + 1, Release);
            }
        }
    }

    /// Messages that were refused.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Messages claimed and published that are not taken, and lanes that are.
    pub(crate) fn look(&self) -> [u64; 3] {
        let sum = |of: fn(&Lane) -> &AtomicU64| {
            self.lanes.iter().map(|lane| of(lane).load(Acquire) - lane.taken.load(Acquire)).sum()
        };
        let taken = self.lanes.iter().filter(|lane| lane.is_taken.load(Relaxed)).count();
        [sum(|lane| &lane.claimed), sum(|lane| &lane.published), taken as u64]
    }
}
