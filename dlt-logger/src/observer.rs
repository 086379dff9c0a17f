//! What an application can be told while it runs.

use std::sync::Arc;

/// Messages that were lost on their way, as a worker noticed them. Counts are since the last report of the same worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Loss {
    /// Gave way to newer messages (Overwrite).
    pub overwritten: u64,
    /// Refused: the lane was full (DropNewest), the message too large, or the thread had no lane.
    pub dropped: u64,
    /// Given up after the timeout (BlockWithTimeout).
    pub timed_out: u64,
    /// CLOCK_MONOTONIC between which it happened, in nanoseconds.
    pub between_ns: (u64, u64),
}

impl Loss {
    /// All messages lost.
    pub const fn total(&self) -> u64 {
        self.overwritten + self.dropped + self.timed_out
    }
}

/// Called by workers, never by the log call. What it does delays delivery, so it should be short.
pub trait Observer: Send + Sync {
    /// A sampled message was delivered: time from the log call to the end of the `writev` that carried it.
    fn delivered(&self, _latency_ns: u64) {}

    /// Messages were lost. The same is said in the log.
    fn lost(&self, _loss: &Loss) {}
}

/// The observer of a worker, and how many messages make one sample.
#[derive(Clone, Default)]
pub(crate) struct Delivery {
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) every: u32,
}

impl Delivery {
    /// Every how many messages one is timed; 0 for none.
    pub(crate) fn sampling(&self) -> u32 {
        if self.observer.is_some() { self.every } else { 0 }
    }

    pub(crate) fn lost(&self, loss: &Loss) {
        if let Some(observer) = &self.observer {
            observer.lost(loss);
        }
    }

    pub(crate) fn delivered(&self, latency_ns: u64) {
        if let Some(observer) = &self.observer {
            observer.delivered(latency_ns);
        }
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("observed", &self.observer.is_some())
            .field("every", &self.every)
            .finish()
    }
}
