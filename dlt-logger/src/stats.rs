//! Counters, readable at any time without a lock.

use std::sync::atomic::Ordering::Relaxed;

use crate::core::{Buffer, Core};

/// What a logger has done so far. Values of one reading were not all taken at the same instant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// One entry per buffer.
    pub buffers: Vec<BufferStats>,
    /// One entry per worker.
    pub workers: Vec<WorkerStats>,
}

/// Counters of one buffer, in messages unless the name says otherwise.
///
/// Once everything is drained, attempted = `sent` + `overwritten` + `dropped` + `timed_out`; each term was incremented
/// where its event happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BufferStats {
    /// Put into a lane.
    pub accepted: u64,
    /// Taken by the sink (by the kernel, that is; for `/dev/null` nobody has received them).
    pub sent: u64,
    /// Overwrite: gave way to newer messages.
    pub overwritten: u64,
    /// BlockWithTimeout: given up after the timeout.
    pub timed_out: u64,
    /// DropNewest: refused by a full lane.
    pub dropped_full: u64,
    /// Larger than the lane, or than a DLT message may be.
    pub dropped_too_large: u64,
    /// From threads that could not have a lane.
    pub dropped_no_lane: u64,
    /// Copied out of their lane, then lost because the sink broke.
    pub sink_lost: u64,
    /// Refused or left behind by a logger that was closed.
    pub lost_at_close: u64,
    /// Copies that were thrown away because the producer had overwritten them (a count of copies).
    pub overtaken: u64,
    /// Lanes that were made.
    pub lanes: u64,
    /// Bytes of their mappings; pages that were never touched cost nothing.
    pub memory_bytes: u64,
    /// Messages in the fullest lane now.
    pub fill: u64,
    /// Highest fill of a lane that the worker found, or the capacity once a call found a lane full.
    pub fill_high_mark: u64,
    /// Messages that a lane holds.
    pub capacity: u64,
}

impl BufferStats {
    /// Messages refused or lost for any reason that is not the overflow mode Overwrite or a timeout.
    pub const fn dropped(&self) -> u64 {
        self.dropped_full
            + self.dropped_too_large
            + self.dropped_no_lane
            + self.sink_lost
            + self.lost_at_close
    }

    /// Messages that will not be delivered.
    pub const fn lost(&self) -> u64 {
        self.dropped() + self.overwritten + self.timed_out
    }

    fn read(buffer: &Buffer) -> Self {
        let counters = &buffer.counters;
        let mut stats = Self {
            sent: counters.sent.load(Relaxed),
            overwritten: counters.overwritten.load(Relaxed),
            sink_lost: counters.sink_lost.load(Relaxed),
            lost_at_close: counters.lost_at_close.load(Relaxed),
            overtaken: counters.overtaken.load(Relaxed),
            fill_high_mark: counters.fill_high_mark.load(Relaxed),
            dropped_no_lane: buffer.no_lane.load(Relaxed),
            lanes: buffer.lane_count.load(Relaxed),
            memory_bytes: buffer.memory_bytes.load(Relaxed),
            capacity: buffer.capacity as u64,
            ..Self::default()
        };
        for lane in buffer.lanes.iter() {
            let ring = lane.ring();
            let (private, accepted) = (&ring.control.private, ring.control.producer.accepted.load(Relaxed));
            stats.accepted += accepted;
            stats.dropped_full += private.dropped_full.load(Relaxed);
            stats.dropped_too_large += private.dropped_too_large.load(Relaxed);
            stats.timed_out += private.timed_out.load(Relaxed);
            stats.lost_at_close += private.closed.load(Relaxed);
            // Published by a call that was under way when the worker drained for the last time.
            stats.lost_at_close += accepted.saturating_sub(ring.control.consumer.closed_at.load(Relaxed));
            stats.fill = stats.fill.max(ring.fill().0);
        }
        if stats.dropped_full + stats.timed_out + stats.overwritten > 0 {
            stats.fill_high_mark = stats.capacity;
        }
        stats
    }
}

impl std::ops::AddAssign for BufferStats {
    /// Sums; the fills and the capacity are those of the fuller buffer.
    fn add_assign(&mut self, other: Self) {
        let Self {
            accepted,
            sent,
            overwritten,
            timed_out,
            dropped_full,
            dropped_too_large,
            dropped_no_lane,
            sink_lost,
            lost_at_close,
            overtaken,
            lanes,
            memory_bytes,
            fill,
            fill_high_mark,
            capacity,
        } = other;
        self.accepted += accepted;
        self.sent += sent;
        self.overwritten += overwritten;
        self.timed_out += timed_out;
        self.dropped_full += dropped_full;
        self.dropped_too_large += dropped_too_large;
        self.dropped_no_lane += dropped_no_lane;
        self.sink_lost += sink_lost;
        self.lost_at_close += lost_at_close;
        self.overtaken += overtaken;
        self.lanes += lanes;
        self.memory_bytes += memory_bytes;
        self.fill = self.fill.max(fill);
        self.fill_high_mark = self.fill_high_mark.max(fill_high_mark);
        self.capacity = self.capacity.max(capacity);
    }
}

/// Counters of one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WorkerStats {
    /// Its thread id; 0 until it runs.
    pub tid: u32,
    /// `writev` calls, also those that failed or were cut short.
    pub writev_calls: u64,
    /// Bytes of whole frames that the sink took.
    pub bytes_sent: u64,
    /// `writev` calls that found the sink full.
    pub sink_full: u64,
    /// Sleeps that ended.
    pub wakeups: u64,
    /// Loss notes written; they are no part of `sent`.
    pub notes: u64,
    /// The sink failed and has not taken anything since.
    pub sink_down: bool,
}

impl Stats {
    pub(crate) fn read(core: &Core) -> Self {
        let workers = core.workers.iter().map(|worker| WorkerStats {
            tid: worker.tid.load(Relaxed),
            writev_calls: worker.writev_calls.load(Relaxed),
            bytes_sent: worker.bytes_sent.load(Relaxed),
            sink_full: worker.sink_full.load(Relaxed),
            wakeups: worker.wakeups.load(Relaxed),
            notes: worker.notes.load(Relaxed),
            sink_down: worker.sink_down.load(Relaxed) != 0,
        });
        Self { buffers: core.buffers.iter().map(BufferStats::read).collect(), workers: workers.collect() }
    }

    /// All buffers together.
    pub fn total(&self) -> BufferStats {
        let mut total = BufferStats::default();
        self.buffers.iter().for_each(|&buffer| total += buffer);
        total
    }

    /// `writev` calls of all workers.
    pub fn writev_calls(&self) -> u64 {
        self.workers.iter().map(|worker| worker.writev_calls).sum()
    }

    /// Wake-ups of all workers.
    pub fn wakeups(&self) -> u64 {
        self.workers.iter().map(|worker| worker.wakeups).sum()
    }

    /// Bytes that the sink took, of all workers.
    pub fn bytes_sent(&self) -> u64 {
        self.workers.iter().map(|worker| worker.bytes_sent).sum()
    }
}
