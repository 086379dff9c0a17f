//! The queue, and what the sweep has to know about it.

use std::array;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use dlt_bench::sweep::{Books, Caller, LOOK_WORDS, Subject};

/// Room for all that is logged while nothing is taken out: a message that is refused is one that is lost.
const CAPACITY: u64 = 1024;

/// A bounded queue of words other than 0.
#[derive(Debug)]
struct Queue {
    /// Slots that were ever taken. Raised by who pushes.
    claimed: AtomicU64,
    /// Slots that were ever emptied. Written by the thread that pops, with Release after it emptied the slot; pairs with
    /// the Acquire of who takes the slot again.
    popped: AtomicU64,
    /// 0: empty. Filled with Release, which pairs with the Acquire of the thread that pops.
    slots: [AtomicU64; CAPACITY as usize],
}

impl Queue {
    fn new() -> Self {
        Self {
            claimed: AtomicU64::new(0),
            popped: AtomicU64::new(0),
            slots: array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// What is swept. It must be a function of its own, or there is no entry to stop at.
    #[inline(never)]
    fn push(&self, word: u64) -> bool {
        // `popped` may be ahead of a `claimed` that others have raised meanwhile: then the exchange fails.
        let free = |claimed: u64| {
            (claimed.saturating_sub(self.popped.load(Acquire)) < CAPACITY).then_some(claimed + 1)
        };
        let Ok(claimed) = self.claimed.fetch_update(Relaxed, Relaxed, free) else { return false };
        let slot = &self.slots[(claimed % CAPACITY) as usize];
        slot.store(word, Release);
        true
    }

    /// For one thread.
    fn pop(&self) -> Option<u64> {
        let popped = self.popped.load(Relaxed);
        let slot = &self.slots[(popped % CAPACITY) as usize];
        let word = slot.load(Acquire);
        if word == 0 {
            return None;
        }
        slot.store(0, Relaxed);
        self.popped.store(popped + 1, Release);
        Some(word)
    }

    fn length(&self) -> u64 {
        self.claimed.load(Relaxed).saturating_sub(self.popped.load(Relaxed))
    }
}

/// `N` queues; producer `index` has number `index % N`.
#[derive(Debug)]
pub(crate) struct Queues<const N: usize> {
    queues: [Queue; N],
    refused: AtomicU64,
}

impl<const N: usize> Queues<N> {
    pub(crate) fn new() -> Self {
        Self { queues: array::from_fn(|_| Queue::new()), refused: AtomicU64::new(0) }
    }
}

impl<const N: usize> Subject for Queues<N> {
    /// What a thread needs for its calls: here the queues, and which producer it is.
    type Producer = (Arc<Self>, usize);

    const STATES: &'static [&'static str] = &["empty", "half full"];
    const CROWD_CALLS: u64 = 100;

    fn producer(self: &Arc<Self>, index: usize) -> Self::Producer {
        (Arc::clone(self), index)
    }

    /// Messages are numbered from 1, so that no word is 0.
    fn log((subject, index): &mut Self::Producer, id: u64) {
        if !subject.queues[*index % N].push((*index as u64) << 32 | id) {
            subject.refused.fetch_add(1, Relaxed);
        }
    }

    fn entry() -> usize {
        Queue::push as *const () as usize
    }

    fn counted(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// The books notice what is missing, out of order or there twice. A word cannot be torn.
    fn deliver(&self, books: &Books) -> bool {
        let words = self.queues.iter().filter_map(Queue::pop);
        words.map(|word| books.deliver((word >> 32) as usize, word & 0xffff_ffff, true)).count() > 0
    }

    /// Called while nothing is taken out.
    fn place(&self, state: usize, caller: &mut Caller<Self>) {
        (0..state as u64 * CAPACITY / 2).for_each(|_| caller.log());
    }

    /// In equal states `push` must execute the same instructions. This is how a state is told from another.
    fn look(&self) -> [u64; LOOK_WORDS] {
        let mut words = [0; LOOK_WORDS];
        words[0] = self.queues.iter().map(Queue::length).sum();
        words
    }
}
