//! The lanes of one worker, and the way of their records into the staging.

use std::sync::atomic::Ordering::{Relaxed, Release};

use crate::clock::Converter;
use crate::core::{Buffer, Core};
use crate::lane::Lane;
use crate::ring::record::MAX_RECORD_WORDS;
use crate::ring::{Copied, Cursor, Ring, SLACK_WORDS};

use super::pace::Fill;
use super::staging::{Origin, Staging};

/// Words that are copied at a time: about 170 small messages, 8 KiB, so that the copy stays in the first-level cache
/// and is over before a producer at full speed has come round.
const CHUNK_WORDS: usize = 1024;
/// One lane as its worker sees it.
#[derive(Debug)]
pub(crate) struct LaneState {
    pub(crate) lane: &'static Lane,
    pub(crate) buffer: usize,
    cursor: Cursor,
    /// DLT time of its last message: time does not run backwards within a lane.
    last_time: u32,
    /// Words to copy next time: more than a chunk if the next record is longer than that.
    limit: usize,
    /// The cursor moved since [`Self::settle`].
    unsettled: bool,
    /// What its producers had refused when losses were last noted.
    noted: Refused,
}

/// Messages that producers refused at a lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) dropped: u64,
    pub(crate) timed_out: u64,
}

impl LaneState {
    pub(crate) fn new(lane: &'static Lane, buffer: usize) -> Self {
        let cursor = Cursor::at_head(&lane.ring());
        Self {
            lane,
            buffer,
            cursor,
            last_time: 0,
            limit: CHUNK_WORDS,
            unsettled: false,
            noted: Refused::default(),
        }
    }

    /// Copies one chunk of what the lane holds into the staging. Returns how much it held: nothing if it is empty.
    pub(crate) fn drain(
        &mut self,
        core: &Core,
        clock: &mut Converter,
        now: u64,
        copy: &mut Vec<u64>,
        staging: &mut Staging,
    ) -> Fill {
        let ring = self.lane.ring();
        let counters = &core.buffers[self.buffer].counters;
        let capacity = ring.capacity;
        if copy.len() < self.limit + SLACK_WORDS {
            copy.resize(self.limit + SLACK_WORDS, 0);
        }
        let copied = match ring.copy_out(&mut self.cursor, &mut copy[..self.limit]) {
            Copied::Nothing { lost } => {
                add(&counters.overwritten, lost);
                self.unsettled |= lost > 0;
                return Fill { found: 0, capacity };
            }
            Copied::Overtaken => {
                add(&counters.overtaken, 1);
                return Fill { found: capacity, capacity };
            }
            Copied::Words(valid) => valid,
        };
        add(&counters.overtaken, u64::from(copied.overtaken));
        let found = copied.accepted.saturating_sub(self.cursor.next_record).clamp(1, capacity);
        raise(&counters.fill_high_mark, found);
        let mut records = Ring::records(&self.cursor, copy, &copied);
        let origin = Origin { core, buffer: self.buffer, clock, now, last_time: &mut self.last_time };
        let overwritten = staging.push(origin, copied.words.len(), &mut records);
        let too_small = ring.consumed(&mut self.cursor, &records, &copied);
        add(&counters.overwritten, overwritten);
        self.limit = too_small.map_or(CHUNK_WORDS, |words| words.clamp(CHUNK_WORDS, MAX_RECORD_WORDS));
        self.unsettled = true;
        Fill { found, capacity }
    }

    /// Everything that was copied so far has been sent, or its loss counted.
    pub(crate) fn settle(&mut self) {
        if std::mem::take(&mut self.unsettled) {
            self.lane.ring().control.consumer.settled.store(self.cursor.next_record, Release);
        }
    }

    /// Wakes a producer that waits for room, if half of the lane is free or `any` room will do. The heads were
    /// published and fenced before. True if one still waits.
    pub(crate) fn wake_producer(&self, any: bool) -> bool {
        let ring = self.lane.ring();
        let waiter = &ring.control.waiter;
        if !waiter.is_waiting() {
            return false;
        }
        let (records, words) = ring.fill();
        let full = if any { 1 } else { 2 };
        if records * full <= ring.capacity && words * full <= ring.words.capacity() {
            waiter.wake();
            return false;
        }
        true
    }

    /// A producer waits for room.
    pub(crate) fn has_waiter(&self) -> bool {
        self.lane.ring().control.waiter.is_waiting()
    }

    /// What producers refused since the last call.
    pub(crate) fn newly_refused(&mut self) -> Refused {
        let private = &self.lane.ring().control.private;
        let dropped = private.dropped_full.load(Relaxed) + private.dropped_too_large.load(Relaxed);
        let now = Refused { dropped, timed_out: private.timed_out.load(Relaxed) };
        let before = std::mem::replace(&mut self.noted, now);
        Refused { dropped: now.dropped - before.dropped, timed_out: now.timed_out - before.timed_out }
    }

    /// Counts what the worker leaves behind when it ends. What is published later came after `closed_at`.
    pub(crate) fn abandon(&mut self, buffer: &Buffer) {
        let control = self.lane.ring().control;
        let accepted = control.producer.accepted.load(Relaxed);
        let left = accepted.saturating_sub(self.cursor.next_record);
        // Of those, what the producer had given up already was overwritten, not left behind.
        let floor = control.private.record_end.load(Relaxed) - self.lane.ring().capacity;
        let overwritten = floor.saturating_sub(self.cursor.next_record).min(left);
        add(&buffer.counters.overwritten, overwritten);
        add(&buffer.counters.lost_at_close, left - overwritten);
        self.cursor.next_record += left;
        control.consumer.closed_at.store(self.cursor.next_record, Relaxed);
        self.unsettled = true;
        self.settle();
    }
}

/// Only the worker writes the counter, so this is no read-modify-write.
pub(crate) fn add(counter: &std::sync::atomic::AtomicU64, n: u64) {
    if n > 0 {
        counter.store(counter.load(Relaxed) + n, Relaxed);
    }
}

fn raise(counter: &std::sync::atomic::AtomicU64, n: u64) {
    if n > counter.load(Relaxed) {
        counter.store(n, Relaxed);
    }
}
