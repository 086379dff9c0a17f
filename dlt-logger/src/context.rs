//! Contexts: what messages are logged through.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};

use crate::call;
use crate::core::Core;
use crate::format::{Args, Id4, Level};
use crate::outcome::Outcome;
use crate::primitives::Padded;
use crate::thread::Slot;

/// What all handles of a context share.
#[derive(Debug)]
pub(crate) struct ContextInfo {
    pub(crate) index: u16,
    pub(crate) id: Id4,
    /// Number of the least severe level that passes; 0 if none does. Written by `set_threshold`.
    threshold: AtomicU8,
    /// Next message counter; only the low byte goes out. Workers take runs of it; padded, since every log call reads what is above.
    pub(crate) counter: Padded<AtomicU32>,
}

impl ContextInfo {
    pub(crate) fn new(index: u16, id: Id4, threshold: Level) -> Self {
        Self { index, id, threshold: AtomicU8::new(threshold as u8), counter: Padded(AtomicU32::new(0)) }
    }
}

/// A part of an application that logs: the message's context id, and a threshold of its own.
///
/// Cheap to clone; usable from any thread. Logging through it never waits, makes no system call and allocates
/// nothing once the thread has logged to that buffer before, except for the wait of
/// [`BlockWithTimeout`](crate::OverflowMode::BlockWithTimeout) while the lane is full.
#[derive(Debug, Clone)]
pub struct Context {
    info: Arc<ContextInfo>,
    core: Arc<Core>,
}

impl Context {
    pub(crate) const fn new(info: Arc<ContextInfo>, core: Arc<Core>) -> Self {
        Self { info, core }
    }

    pub(crate) const fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// The context's id.
    pub fn id(&self) -> Id4 {
        self.info.id
    }

    /// Lets messages of `threshold` and more severe ones pass; `None` lets none pass. Takes effect for all handles of
    /// the context, soon.
    pub fn set_threshold(&self, threshold: Option<Level>) {
        self.info.threshold.store(threshold.map_or(0, |level| level as u8), Relaxed);
    }

    /// True if messages of `level` pass the threshold. One relaxed load.
    #[inline(always)]
    pub fn enabled(&self, level: Level) -> bool {
        level as u8 <= self.info.threshold.load(Relaxed)
    }

    /// Logs one message to the buffer that routing chooses: Fatal to buffer 0, Error to buffer 1 if there is one,
    /// anything else to the buffer that the calling thread keeps.
    ///
    /// The macros ([`dlt_info!`](crate::dlt_info) and its siblings) call this.
    #[inline(always)]
    pub fn log<A: Args>(&self, level: Level, args: &A) -> Outcome {
        let slot = match level {
            Level::Fatal => Slot::FATAL,
            Level::Error => Slot::ERROR,
            _ => Slot::DEFAULT,
        };
        self.log_to_slot(slot, level, args)
    }

    /// Logs one message to the buffer with this number.
    ///
    /// # Panics
    /// If the logger has no such buffer.
    #[inline(always)]
    pub fn log_to<A: Args>(&self, buffer: usize, level: Level, args: &A) -> Outcome {
        assert!(
            buffer < self.core.buffers.len(),
            "no buffer {buffer}: there are {}",
            self.core.buffers.len()
        );
        self.log_to_slot(Slot::buffer(buffer), level, args)
    }

    #[inline(always)]
    fn log_to_slot<A: Args>(&self, slot: Slot, level: Level, args: &A) -> Outcome {
        if !self.enabled(level) {
            return Outcome::Filtered;
        }
        call::log(&self.core, &call::Message { context: self.info.index, level, args }, slot)
    }
}
