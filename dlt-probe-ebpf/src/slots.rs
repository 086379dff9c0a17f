//! In-call words: 1 while a producer is inside the log call, and how many calls it has finished.
#![expect(unsafe_code, reason = "the words lie in memory that is shared with the kernel")]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed, compiler_fence};

use crate::records::{MAX_SLOTS, Slot};
use crate::sys::Mapping;

/// A table of in-call words, one slot per producer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SlotTable {
    mapping: Arc<Mapping>,
}

impl SlotTable {
    /// A table in ordinary memory, which nobody watches.
    ///
    /// # Panics
    /// If the system refuses 16 KiB.
    pub fn private() -> Self {
        let mapping = Mapping::anonymous(MAX_SLOTS as usize * size_of::<Slot>());
        Self { mapping: Arc::new(mapping.expect("a few pages of memory")) }
    }

    pub(crate) fn mapped(mapping: Mapping) -> Self {
        Self { mapping: Arc::new(mapping) }
    }

    #[expect(clippy::cast_ptr_alignment, reason = "a mapping is page aligned")]
    /// The slot with this index; indices from [`MAX_SLOTS`] on begin again at 0.
    pub fn slot(&self, index: usize) -> SlotPtr {
        let slot = self.mapping.address().cast::<Slot>().wrapping_add(index % MAX_SLOTS as usize);
        SlotPtr { words: slot.cast::<AtomicU64>(), _table: Arc::clone(&self.mapping) }
    }
}

/// Word of a slot in which the programs keep since when its thread has had a processor.
const ON_NS: usize = std::mem::offset_of!(Slot, on_ns) / 8;

/// One producer's in-call words. Only that producer writes them.
#[derive(Clone)]
pub struct SlotPtr {
    words: *const AtomicU64,
    /// Keeps the words mapped.
    _table: Arc<Mapping>,
}

// SAFETY: the words are atomics in a mapping that the pointer keeps alive.
unsafe impl Send for SlotPtr {}
// SAFETY: as above.
unsafe impl Sync for SlotPtr {}

impl fmt::Debug for SlotPtr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotPtr").field("calls", &self.calls()).finish_non_exhaustive()
    }
}

impl SlotPtr {
    #[inline(always)]
    fn word(&self, index: usize) -> &AtomicU64 {
        // SAFETY: `words` points to a `Slot`, which is `repr(C)` and has only words of 64 bits, in a mapping that is kept alive.
        unsafe { &*self.words.add(index) }
    }

    /// The producer enters the log call. One store.
    #[inline(always)]
    pub fn enter(&self) {
        self.word(0).store(1, Relaxed);
        // The kernel looks from the same processor: only the compiler must keep the order.
        compiler_fence(std::sync::atomic::Ordering::SeqCst);
    }

    /// The producer has left the log call. Two stores.
    #[inline(always)]
    pub fn leave(&self) {
        compiler_fence(std::sync::atomic::Ordering::SeqCst);
        self.word(0).store(0, Relaxed);
        let calls = self.word(1);
        calls.store(calls.load(Relaxed) + 1, Relaxed);
    }

    /// The thread is not watched any more: the programs, which would say so at its last switch, no longer see it.
    pub fn retire(&self) {
        self.word(ON_NS).store(0, Relaxed);
    }

    /// Finished calls.
    pub fn calls(&self) -> u64 {
        self.word(1).load(Relaxed)
    }

    /// The thread's window begins: maxima start again.
    pub fn begin_epoch(&self) {
        let epoch = self.word(2);
        epoch.store(epoch.load(Relaxed) + 1, Relaxed);
    }
}
