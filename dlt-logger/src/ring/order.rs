//! Every memory ordering of the ring by name, so that each can be weakened in a test and shown to be needed.
//!
//! In an ordinary build [`ord`] and [`fence_at`] fold to constants. Under loom a test chooses one [`Site`] to
//! weaken; the model must then fail (`ring/models.rs`).

use crate::primitives::{Ordering, fence};

/// A place in the ring whose ordering carries weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(loom),
    expect(dead_code, reason = "the barrier of a close is a system call outside the models")
)]
pub(crate) enum Site {
    /// Producer stores `tail` after the record. Pairs with [`Site::ReadTail`].
    PublishTail,
    /// Worker loads `tail` before it copies. Pairs with [`Site::PublishTail`].
    ReadTail,
    /// Producer stores `accepted` after `tail`. Pairs with [`Site::ReadAccepted`].
    PublishAccepted,
    /// Worker loads `accepted` before `tail`, to know what an empty lane has lost. Pairs with
    /// [`Site::PublishAccepted`].
    ReadAccepted,
    /// Worker stores `head` after its copy. Pairs with [`Site::ReadHead`].
    PublishHead,
    /// Producer loads `head` before it reuses the words in front of it. Pairs with [`Site::PublishHead`].
    ReadHead,
    /// Producer's Release fence between advancing `oldest` and overwriting. Pairs with [`Site::ValidateFence`].
    OverwriteFence,
    /// Worker's Acquire fence between its copy and re-reading `oldest`. Pairs with [`Site::OverwriteFence`].
    ValidateFence,
    /// Producer: between announcing its wait and its last look at `head` and at the worker's sleep word. Pairs with
    /// [`Site::WakeFence`] and [`Site::SleepFence`].
    WaitFence,
    /// Worker: between publishing `head` and looking for a waiter. Pairs with [`Site::WaitFence`].
    WakeFence,
    /// Worker: between announcing its sleep and its last look for waiters. Pairs with [`Site::WaitFence`].
    SleepFence,
    /// Owner gives up a lane at its thread's end. Pairs with [`Site::AdoptLane`].
    ReleaseLane,
    /// A new owner takes a lane. Pairs with [`Site::ReleaseLane`].
    AdoptLane,
    /// Producer leaves the call. Pairs with [`Site::ReadBusy`].
    LeaveCall,
    /// Closer sees that no call is under way. Pairs with [`Site::LeaveCall`].
    ReadBusy,
    /// Between closing and looking for calls under way; between entering a call and looking whether the logger is
    /// closed. One `membarrier` of the closer is both: a full fence in every thread.
    CloseBarrier,
}

/// The ordering at `site`: `strong`, or `Relaxed` if a test has weakened that site.
#[inline(always)]
pub(crate) fn ord(site: Site, strong: Ordering) -> Ordering {
    if weakened(site) { Ordering::Relaxed } else { strong }
}

/// The fence at `site`, unless a test has removed it.
#[inline(always)]
pub(crate) fn fence_at(site: Site, strong: Ordering) {
    if !weakened(site) {
        fence(strong);
    }
}

#[cfg(not(loom))]
#[inline(always)]
const fn weakened(_: Site) -> bool {
    false
}

#[cfg(loom)]
fn weakened(site: Site) -> bool {
    tests::MUTANT.lock().is_ok_and(|m| *m == Some(site))
}

/// The mutant under test.
#[cfg(loom)]
pub(crate) mod tests {
    /// Read by every ordering of the model; set by one test at a time.
    pub(crate) static MUTANT: std::sync::Mutex<Option<super::Site>> = std::sync::Mutex::new(None);
}
