//! A lane: one producer's ring in one buffer, in a mapping of its own.
#![expect(unsafe_code, reason = "control block and words live in memory from mmap")]

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{
    AtomicPtr, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use crate::primitives::Padded;
use crate::ring::order::{Site, ord};
use crate::ring::{Control, Ring, Words};
use crate::sys::mapping;

/// Bytes of a lane per message of its capacity: records of this size on average fill both limits at once.
pub(crate) const BYTES_PER_MESSAGE: usize = 128;
/// Offset of the words in a lane's mapping.
const WORDS_OFFSET: usize = 1024;
/// A lane has no fewer words: one page, so that a small capacity still takes messages of ordinary size.
const MIN_WORDS: usize = mapping::PAGE / 8;

/// No thread owns the lane. What it holds is still delivered.
const ENDED: u32 = 0;
/// A thread owns the lane and may be writing it.
const OWNED: u32 = 1;

const _: () = assert!(size_of::<Lane>() <= WORDS_OFFSET);

/// Set when the lane is made and constant from then on.
#[derive(Debug)]
struct Shape {
    mask: u64,
    capacity: u64,
    mapped_bytes: usize,
    /// Index of the worker that drains it.
    worker: usize,
    /// The lane that was made before it for the same buffer.
    next: AtomicPtr<Lane>,
}

/// The head of a lane's mapping; the words follow at [`WORDS_OFFSET`].
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Lane {
    control: Control,
    shape: Padded<Shape>,
    /// [`OWNED`] or [`ENDED`]. Taken by a compare-exchange (Acquire), given up by its owner (Release).
    owner: Padded<AtomicU32>,
}

/// An offset in a lane's mapping at which there is a cache line that nobody uses: padding of the shape.
pub(crate) const QUIET_OFFSET: usize = std::mem::offset_of!(Lane, shape) + 64;
const _: () = assert!(size_of::<Shape>() <= 64);

/// Size of a lane for `capacity` messages: words, and bytes of its mapping.
pub(crate) fn size_for(capacity: usize) -> (usize, usize) {
    let words = (capacity * BYTES_PER_MESSAGE / 8).next_power_of_two().max(MIN_WORDS);
    (words, (WORDS_OFFSET + words * 8).next_multiple_of(mapping::PAGE))
}

impl Lane {
    /// Maps a lane for `capacity` messages that the calling thread owns and `worker` drains.
    pub(crate) fn map(capacity: usize, worker: usize, prefault: bool) -> io::Result<&'static Self> {
        let (words, mapped_bytes) = size_for(capacity);
        let memory = mapping::map(mapped_bytes, prefault)?.cast::<Self>();
        let next = AtomicPtr::new(std::ptr::null_mut());
        let shape = Shape { mask: words as u64 - 1, capacity: capacity as u64, mapped_bytes, worker, next };
        let control = Control::starting_at((0, 0), words as u64, capacity as u64);
        let lane = Self { control, shape: Padded(shape), owner: Padded(AtomicU32::new(OWNED)) };
        lane.control.consumer.closed_at.store(u64::MAX, Relaxed);
        // SAFETY: the mapping is page aligned, larger than a `Lane`, writable and known to nobody else. It lives until
        // `unmap`, whose caller vouches that nobody uses the lane any more.
        unsafe {
            memory.write(lane);
            Ok(memory.as_ref())
        }
    }

    /// # Safety
    /// Nobody uses the lane any more, and it is unmapped once.
    pub(crate) unsafe fn unmap(&'static self) {
        let bytes = self.shape.mapped_bytes;
        // SAFETY: the lane is the start of a mapping of that size (`map`); the caller vouches that it is unused.
        unsafe { mapping::unmap(NonNull::from(self).cast(), bytes) };
    }

    #[inline(always)]
    pub(crate) fn ring(&self) -> Ring<'_> {
        self.ring_of(self.shape.mask)
    }

    /// The same for the lane's owner: nothing but lines that it writes itself is read.
    #[inline(always)]
    pub(crate) fn own_ring(&self) -> Ring<'_> {
        self.ring_of(self.control.private.mask)
    }

    #[inline(always)]
    fn ring_of(&self, mask: u64) -> Ring<'_> {
        let words = std::ptr::from_ref(self).wrapping_byte_add(WORDS_OFFSET).cast::<AtomicU64>();
        // SAFETY: `mask + 1` zeroed words follow at WORDS_OFFSET in the same mapping, which outlives `self`; zeroed
        // memory is a valid AtomicU64. The provenance of a `&Lane` made in `map` is that of the whole mapping, since
        // it was derived from the mapping's pointer and exposes only atomics.
        let words = unsafe { Words::from_raw(&*words, mask) };
        Ring { control: &self.control, words, capacity: self.shape.capacity }
    }

    /// Takes a lane whose thread has ended. What it still holds stays in it.
    pub(crate) fn adopt(&self) -> bool {
        self.owner.load(Relaxed) == ENDED
            && self.owner.compare_exchange(ENDED, OWNED, ord(Site::AdoptLane, Acquire), Relaxed).is_ok()
    }

    /// The owner's thread ends.
    pub(crate) fn release(&self) {
        self.owner.store(ENDED, ord(Site::ReleaseLane, Release));
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.owner.load(Relaxed) == ENDED
    }

    /// Makes the lane's pages present. Only its owner may: it falls back to touching the words.
    pub(crate) fn prefault(&self) {
        // SAFETY: the lane is the start of a mapping of that size which is in use and stays mapped.
        if !unsafe { mapping::populate(NonNull::from(self).cast(), self.shape.mapped_bytes) } {
            let words = self.ring().words;
            for position in (0..words.capacity()).step_by(mapping::PAGE / 8) {
                words.at(position).fetch_add(0, Relaxed);
            }
        }
    }

    pub(crate) fn worker(&self) -> usize {
        self.shape.worker
    }
}

/// A list that only grows. Lanes are pushed by any thread and found by all.
#[derive(Debug, Default)]
pub(crate) struct LaneList {
    /// The lane made last. Pushed with Release, read with Acquire.
    newest: AtomicPtr<Lane>,
}

impl LaneList {
    pub(crate) fn push(&self, lane: &'static Lane) {
        let pointer = std::ptr::from_ref(lane).cast_mut();
        let mut newest = self.newest.load(Relaxed);
        loop {
            lane.shape.next.store(newest, Relaxed);
            match self.newest.compare_exchange_weak(newest, pointer, Release, Relaxed) {
                Ok(_) => return,
                Err(now) => newest = now,
            }
        }
    }

    /// Lanes that were made after `known`, the newest first.
    pub(crate) fn since(&self, known: Option<&'static Lane>) -> impl Iterator<Item = &'static Lane> + use<> {
        self.iter().take_while(move |&lane| !known.is_some_and(|known| std::ptr::eq(known, lane)))
    }

    /// All lanes, the newest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static Lane> + use<> {
        let mut at = self.newest.load(Acquire);
        std::iter::from_fn(move || {
            // SAFETY: pointers in the list come from `push`, whose lanes live until the list's owner is dropped and
            // unmaps them; whoever iterates holds that owner.
            let lane = unsafe { at.as_ref() }?;
            at = lane.shape.next.load(Relaxed);
            Some(lane)
        })
    }
}
