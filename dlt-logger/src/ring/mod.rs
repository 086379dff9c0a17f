//! The ring of one lane: single producer, single consumer, records of any length in 8-byte words.
//!
//! Positions count words and only grow; a position's word is `position & mask`. The producer publishes `tail`, the
//! worker publishes `head`. In Overwrite the producer alone decides which records are given up: it advances `oldest`
//! over whole records before it reuses their words, and the worker validates against `oldest` *after* it has copied.
//! Neither side ever waits for the other. Words that both sides may touch are relaxed atomics, so a copy that was
//! overtaken is garbage but never undefined behaviour; it is thrown away before anything in it is interpreted.
//!
//! The orderings are those of a seqlock whose version is a position (H.-J. Boehm, "Can seqlocks get along with
//! programming language memory models?", MSPC 2012); each is named in [`order`].

#![expect(unsafe_code, reason = "words are reached by `position & mask` without a check")]

mod consumer;
pub(crate) mod gate;
#[cfg(all(test, loom))]
mod models;
pub(crate) mod order;
pub(crate) mod park;
mod producer;
pub(crate) mod record;
#[cfg(all(test, not(loom)))]
mod tests;

use crate::primitives::{AtomicU64, Ordering::Relaxed, Padded};

pub(crate) use consumer::{Copied, Cursor, Record, Records, SLACK_WORDS};

/// The words of a ring; their number is a power of two.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words<'a> {
    first: &'a AtomicU64,
    mask: u64,
}

impl<'a> Words<'a> {
    /// The words of a test.
    ///
    /// # Panics
    /// If the length is not a power of two.
    #[cfg(test)]
    pub(crate) fn new(words: &'a [AtomicU64]) -> Self {
        assert!(words.len().is_power_of_two(), "a ring's length is a power of two");
        Self { first: &words[0], mask: words.len() as u64 - 1 }
    }

    /// # Safety
    /// `first` is followed by `mask + 1` words that live for `'a`, and `mask + 1` is a power of two.
    #[inline(always)]
    pub(crate) const unsafe fn from_raw(first: &'a AtomicU64, mask: u64) -> Self {
        Self { first, mask }
    }

    /// The word at `position`.
    #[inline(always)]
    pub(crate) fn at(self, position: u64) -> &'a AtomicU64 {
        // SAFETY: `position & mask` is at most `mask`, and `mask + 1` words follow `first` for `'a`, by construction.
        unsafe { &*std::ptr::from_ref(self.first).add((position & self.mask) as usize) }
    }

    /// Copies the words from `position` on. `into` is no longer than the ring.
    pub(crate) fn copy_to(self, position: u64, into: &mut [u64]) {
        let until_end = (self.capacity() - (position & self.mask)) as usize;
        let (before, after) = into.split_at_mut(until_end.min(into.len()));
        for (part, start) in [(before, position), (after, position + until_end as u64)] {
            let first = std::ptr::from_ref(self.at(start));
            for (i, word) in part.iter_mut().enumerate() {
                // SAFETY: `part` ends where the ring's words end, or before.
                *word = unsafe { &*first.add(i) }.load(Relaxed);
            }
        }
    }

    /// Number of words.
    #[inline(always)]
    pub(crate) const fn capacity(self) -> u64 {
        self.mask + 1
    }
}

/// Written by the producer, read by the worker once a round.
#[derive(Debug, Default)]
pub(crate) struct ProducerLine {
    /// End of the newest record. Published with Release ([`order::Site::PublishTail`]).
    pub(crate) tail: AtomicU64,
    /// Number of records published so far, which is the number of the next one. Stored after `tail`, with Release
    /// ([`order::Site::PublishAccepted`]).
    pub(crate) accepted: AtomicU64,
    /// Overwrite: start of the oldest record that is still whole. Stored before its predecessors are reused.
    pub(crate) oldest: AtomicU64,
}

/// Written and read by the producer; statistics read the counters.
#[derive(Debug, Default)]
pub(crate) struct PrivateLine {
    /// Position up to which the producer may write: the start of the oldest record whose words it may not reuse yet, as
    /// far as it knows (the *floor*), and the ring's capacity in words.
    pub(crate) room_end: AtomicU64,
    /// Record number up to which it may write: that of the record at the floor, and the capacity in messages.
    pub(crate) record_end: AtomicU64,
    /// Words of the ring minus 1. Constant; a copy for the log call, which has no use for the line that holds the lane's shape.
    pub(crate) mask: u64,
    /// DropNewest: messages refused because the lane was full.
    pub(crate) dropped_full: AtomicU64,
    /// Messages refused because they are larger than the lane or than DLT allows.
    pub(crate) dropped_too_large: AtomicU64,
    /// BlockWithTimeout: messages given up after the timeout.
    pub(crate) timed_out: AtomicU64,
    /// Messages refused because the logger was closed.
    pub(crate) closed: AtomicU64,
}

/// Written by the worker.
#[derive(Debug, Default)]
pub(crate) struct ConsumerLine {
    /// End of what the worker has copied out. Published with Release ([`order::Site::PublishHead`]).
    pub(crate) head: AtomicU64,
    /// Records up to this number are settled: written to the sink, or counted as lost. Stored with Release.
    pub(crate) settled: AtomicU64,
    /// Number of the first record that came after the worker's last drain, or `u64::MAX` before it.
    pub(crate) closed_at: AtomicU64,
}

/// Indices and counters of a ring. Positions and offsets only, no pointers: it could live in shared memory.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Control {
    pub(crate) producer: Padded<ProducerLine>,
    pub(crate) private: Padded<PrivateLine>,
    pub(crate) consumer: Padded<ConsumerLine>,
    pub(crate) waiter: Padded<park::Waiter>,
}

impl Control {
    /// Of an empty ring that begins at `position` with record `number`, with room for these many words and messages.
    pub(crate) fn starting_at((position, number): (u64, u64), words: u64, capacity: u64) -> Self {
        let mut control = Self::default();
        control.private.0.mask = words - 1;
        let (producer, private, consumer) = (&control.producer, &control.private, &control.consumer);
        for index in [&producer.tail, &producer.oldest, &consumer.head] {
            index.store(position, Relaxed);
        }
        for count in [&producer.accepted, &consumer.settled] {
            count.store(number, Relaxed);
        }
        private.room_end.store(position + words, Relaxed);
        private.record_end.store(number + capacity, Relaxed);
        control
    }
}

/// One lane's ring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ring<'a> {
    pub(crate) control: &'a Control,
    pub(crate) words: Words<'a>,
    /// Messages it holds at most.
    pub(crate) capacity: u64,
}

impl Ring<'_> {
    /// There are messages that the worker has not copied yet. A reading, not a promise.
    pub(crate) fn has_messages(&self) -> bool {
        self.control.producer.tail.load(Relaxed) > self.control.consumer.head.load(Relaxed)
    }

    /// Messages in the ring that the worker has not copied yet, and words likewise. A reading, not a promise.
    pub(crate) fn fill(&self) -> (u64, u64) {
        let p = &self.control.producer;
        let start = p.oldest.load(Relaxed).max(self.control.consumer.head.load(Relaxed));
        let words = p.tail.load(Relaxed).saturating_sub(start);
        let accepted = p.accepted.load(Relaxed);
        let records = if words == 0 {
            0
        } else {
            let first = record::record_number(self.words.at(start).load(Relaxed), accepted);
            accepted.saturating_sub(first).min(self.capacity)
        };
        (records, words)
    }
}
