//! The two sleeps of the logger, as protocols on one word each; the system calls are in `sys::futex`.
//!
//! A producer in BlockWithTimeout waits for room in its lane; an idle worker sleeps. Each side announces itself, then
//! looks a last time; the other side changes the state, then looks for an announcement. A full fence between the two
//! steps on both sides makes one of them see the other (store–load, so Acquire and Release do not do).

use crate::primitives::{
    AtomicU32,
    Ordering::{Relaxed, SeqCst},
};

use super::order::{Site, fence_at};

const NOBODY: u32 = 0;
const ASLEEP: u32 = 1;

/// A producer that waits for room. Written by both sides.
#[derive(Debug, Default)]
pub(crate) struct Waiter(AtomicU32);

impl Waiter {
    /// Producer: from here on the worker will wake it. Look at `head` and at the [`Sleeper`] once more after this.
    pub(crate) fn announce(&self) {
        self.0.store(ASLEEP, Relaxed);
        fence_at(Site::WaitFence, SeqCst);
    }

    /// Producer: it does not wait any more.
    pub(crate) fn withdraw(&self) {
        self.0.store(NOBODY, Relaxed);
    }

    /// Worker, after publishing `head` of one or more lanes and before [`Self::is_waiting`] of any of them.
    pub(crate) fn heads_published() {
        fence_at(Site::WakeFence, SeqCst);
    }

    /// Worker: somebody waits.
    pub(crate) fn is_waiting(&self) -> bool {
        self.0.load(Relaxed) == ASLEEP
    }

    /// Worker: takes the announcement. The caller owes the futex wake if this is true.
    pub(crate) fn take(&self) -> bool {
        self.is_waiting() && self.0.swap(NOBODY, Relaxed) == ASLEEP
    }

    /// Wakes the producer if it waits. The caller has executed a full fence after what the producer is to see.
    #[cfg(not(loom))]
    pub(crate) fn wake(&self) {
        if self.take() {
            crate::sys::futex::wake(&self.0);
        }
    }

    /// The word to sleep on while it is [`Self::EXPECTED`].
    pub(crate) const fn word(&self) -> &AtomicU32 {
        &self.0
    }

    /// Value of the word while a sleeper may sleep.
    pub(crate) const EXPECTED: u32 = ASLEEP;
}

/// A worker that sleeps. Written by the worker and by whoever wakes it.
#[derive(Debug, Default)]
pub(crate) struct Sleeper(AtomicU32);

impl Sleeper {
    /// Worker: from here on it will be woken. Look for waiters once more after this.
    pub(crate) fn announce(&self) {
        self.0.store(ASLEEP, Relaxed);
        fence_at(Site::SleepFence, SeqCst);
    }

    /// Worker: it is awake.
    pub(crate) fn withdraw(&self) {
        self.0.store(NOBODY, Relaxed);
    }

    /// Anybody, after a full fence: takes the announcement. The caller owes the futex wake if this is true.
    pub(crate) fn take(&self) -> bool {
        self.0.load(Relaxed) == ASLEEP && self.0.swap(NOBODY, Relaxed) == ASLEEP
    }

    /// The word to sleep on while it is [`Waiter::EXPECTED`].
    pub(crate) const fn word(&self) -> &AtomicU32 {
        &self.0
    }
}
