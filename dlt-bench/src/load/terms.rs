//! The logger's own account of what became of the messages it was given.

use dlt_logger::{BufferStats, Stats};
use serde::Serialize;

/// Messages that were refused or lost, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Dropped {
    /// Refused by a full lane.
    pub full: u64,
    /// Larger than the lane, or than a DLT message may be.
    pub too_large: u64,
    /// From a thread that could have no lane.
    pub no_lane: u64,
    /// Accepted, then lost because the sink broke.
    pub sink_lost: u64,
    /// Refused or left behind by a logger that was closed.
    pub lost_at_close: u64,
}

impl Dropped {
    /// All of them.
    pub const fn total(&self) -> u64 {
        self.full + self.too_large + self.no_lane + self.sink_lost + self.lost_at_close
    }
}

/// The account of one buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Buffer {
    /// Put into a lane (into the queue, for a control).
    pub accepted: u64,
    /// Taken by the sink.
    pub sent: u64,
    /// Gave way to newer messages.
    pub overwritten: u64,
    /// Given up after the timeout.
    pub timed_out: u64,
    /// Refused or lost.
    pub dropped: Dropped,
    /// Bytes of its lanes.
    pub memory_bytes: u64,
    /// Highest fill of a lane that was seen, in messages.
    pub fill_high_mark: u64,
}

impl Buffer {
    /// Messages that were not delivered.
    pub const fn lost(&self) -> u64 {
        self.overwritten + self.timed_out + self.dropped.total()
    }
}

impl From<&BufferStats> for Buffer {
    fn from(stats: &BufferStats) -> Self {
        Self {
            accepted: stats.accepted,
            sent: stats.sent,
            overwritten: stats.overwritten,
            timed_out: stats.timed_out,
            dropped: Dropped {
                full: stats.dropped_full,
                too_large: stats.dropped_too_large,
                no_lane: stats.dropped_no_lane,
                sink_lost: stats.sink_lost,
                lost_at_close: stats.lost_at_close,
            },
            memory_bytes: stats.memory_bytes,
            fill_high_mark: stats.fill_high_mark,
        }
    }
}

/// The whole account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// One entry per buffer.
    pub buffers: Vec<Buffer>,
    /// `writev` calls of all workers.
    pub writev_calls: u64,
    /// Those that found the sink full.
    pub sink_full: u64,
    /// Sleeps of workers that ended.
    pub wakeups: u64,
    /// Messages about losses that were written.
    pub notes: u64,
}

impl Terms {
    /// All buffers together.
    pub fn total(&self) -> Buffer {
        let mut total = Buffer::default();
        for buffer in &self.buffers {
            let Buffer { accepted, sent, overwritten, timed_out, dropped, memory_bytes, fill_high_mark } =
                buffer;
            total.accepted += accepted;
            total.sent += sent;
            total.overwritten += overwritten;
            total.timed_out += timed_out;
            total.dropped.full += dropped.full;
            total.dropped.too_large += dropped.too_large;
            total.dropped.no_lane += dropped.no_lane;
            total.dropped.sink_lost += dropped.sink_lost;
            total.dropped.lost_at_close += dropped.lost_at_close;
            total.memory_bytes += memory_bytes;
            total.fill_high_mark = total.fill_high_mark.max(*fill_high_mark);
        }
        total
    }
}

impl From<&Stats> for Terms {
    fn from(stats: &Stats) -> Self {
        Self {
            buffers: stats.buffers.iter().map(Buffer::from).collect(),
            writev_calls: stats.writev_calls(),
            sink_full: stats.workers.iter().map(|worker| worker.sink_full).sum(),
            wakeups: stats.wakeups(),
            notes: stats.workers.iter().map(|worker| worker.notes).sum(),
        }
    }
}
