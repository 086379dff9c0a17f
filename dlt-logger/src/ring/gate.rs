//! Is a log call under way? Asked only when a logger closes, so that the asker pays (`membarrier`).

use crate::primitives::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};

use super::order::{Site, ord};

/// 1 while its thread is inside a log call of one logger. Written by that thread with plain stores.
#[derive(Debug, Default)]
pub(crate) struct Gate(AtomicU32);

impl Gate {
    /// A gate that nobody is inside of.
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// The thread enters a call. What it loads afterwards is loaded after the closer's barrier, or the closer sees it.
    #[inline(always)]
    pub(crate) fn enter(&self) {
        self.0.store(1, Relaxed);
        light_fence();
    }

    /// The thread leaves the call: what it published is seen by a closer that finds the gate free.
    #[inline(always)]
    pub(crate) fn leave(&self) {
        self.0.store(0, ord(Site::LeaveCall, Release));
    }

    /// Closer, after [`heavy_fence`].
    pub(crate) fn is_busy(&self) -> bool {
        self.0.load(ord(Site::ReadBusy, Acquire)) != 0
    }
}

/// The producer's half of the barrier: the compiler keeps the order, the closer's `membarrier` the processor.
#[cfg(not(loom))]
#[inline(always)]
fn light_fence() {
    std::sync::atomic::compiler_fence(crate::primitives::Ordering::SeqCst);
}

/// The closer's half. False if the kernel offers no `membarrier`: then a call that began before the closing may
/// publish later, and what it publishes is counted as lost at the close.
#[cfg(not(loom))]
pub(crate) fn heavy_fence() -> bool {
    crate::primitives::fence(crate::primitives::Ordering::SeqCst);
    crate::sys::barrier::everywhere()
}

/// Loom knows no `membarrier`: a full fence on each side is what it amounts to.
#[cfg(loom)]
fn light_fence() {
    super::order::fence_at(Site::CloseBarrier, crate::primitives::Ordering::SeqCst);
}

#[cfg(loom)]
pub(crate) fn heavy_fence() -> bool {
    super::order::fence_at(Site::CloseBarrier, crate::primitives::Ordering::SeqCst);
    true
}
