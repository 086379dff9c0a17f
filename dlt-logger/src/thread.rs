//! What a thread keeps between its log calls: its lanes, per logger.
//!
//! Registration (a thread's first call) allocates nothing and takes no lock: the block is a mapping, the list is
//! pushed with one compare-exchange, the end of the thread is noticed by a pthread key ([`crate::sys::thread_key`]).
#![expect(unsafe_code, reason = "blocks live in memory from mmap and are shared with the closer")]

use std::cell::Cell;
use std::ffi::c_void;
use std::io;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicPtr, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use crate::core::Core;
use crate::lane::{Lane, QUIET_OFFSET};
use crate::ring::gate::Gate;
use crate::sys::{mapping, thread_key};

/// Buffers that a logger can have.
pub(crate) const MAX_BUFFERS: usize = 64;
/// Slots before those of buffers: what routing by level chooses, beside what else a call reads of its block.
const ROUTES: usize = 3;
const SLOTS: usize = ROUTES + MAX_BUFFERS;

/// Which of its lanes a call uses: a buffer by number, or one that routing chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot(u8);

impl Slot {
    /// The buffer that the thread keeps for everything that is not routed elsewhere.
    pub(crate) const DEFAULT: Self = Self(0);
    /// Fatal messages: buffer 0.
    pub(crate) const FATAL: Self = Self(1);
    /// Error messages: buffer 1 if there is one.
    pub(crate) const ERROR: Self = Self(2);
    /// The slots that routing by level uses.
    pub(crate) const ROUTED: [Self; ROUTES] = [Self::DEFAULT, Self::FATAL, Self::ERROR];

    /// A buffer by its number, which is below [`MAX_BUFFERS`].
    pub(crate) const fn buffer(index: usize) -> Self {
        assert!(index < MAX_BUFFERS);
        Self((ROUTES + index) as u8)
    }

    fn resolve(self, default_buffer: usize, buffers: usize) -> usize {
        match self {
            Self::DEFAULT => default_buffer,
            Self::FATAL => 0,
            Self::ERROR => 1.min(buffers - 1),
            Self(slot) => usize::from(slot) - ROUTES,
        }
    }
}

/// One thread's state for one logger, in a mapping of its own that a forked child finds zeroed.
///
/// Written by its thread; `gate` is read and `in_use` taken by others.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct ThreadBlock {
    /// A block and a lane are both at the beginning of a page. What a call writes in the one must not agree in the low 12 bits of
    /// its address with what it reads in the other: the load would wait for the store ("4K aliasing").
    _apart: [u64; QUIET_OFFSET / 8],
    // One cache line with all that a log call uses of the block, if it takes one of the routes.
    /// The logger it belongs to; 0 if it belongs to none, also after a fork.
    logger_id: AtomicU64,
    pub(crate) gate: Gate,
    /// 1 while a thread has it. Taken with Acquire, given up with Release.
    in_use: AtomicU32,
    lanes: [AtomicPtr<Lane>; SLOTS],
    default_buffer: AtomicU32,
    /// A strong count of the core, as a raw pointer.
    core: AtomicPtr<Core>,
    /// The same thread's block for another logger.
    next_of_thread: AtomicPtr<ThreadBlock>,
    /// The block made before it for the same logger. Constant.
    next_of_core: AtomicPtr<ThreadBlock>,
}

const _: () = assert!(size_of::<ThreadBlock>() <= mapping::PAGE);

/// What a thread has before its first call: it matches no logger.
static NO_BLOCK: ThreadBlock = ThreadBlock::new(0);

thread_local! {
    /// The block used last. Constant initial value and no destructor: reading it is one load.
    static CURRENT: Cell<&'static ThreadBlock> = const { Cell::new(&NO_BLOCK) };
    /// First of this thread's blocks.
    static FIRST: Cell<*mut ThreadBlock> = const { Cell::new(std::ptr::null_mut()) };
}

impl ThreadBlock {
    const fn new(in_use: u32) -> Self {
        Self {
            _apart: [0; QUIET_OFFSET / 8],
            logger_id: AtomicU64::new(0),
            gate: Gate::new(),
            in_use: AtomicU32::new(in_use),
            lanes: [const { AtomicPtr::new(std::ptr::null_mut()) }; SLOTS],
            default_buffer: AtomicU32::new(0),
            core: AtomicPtr::new(std::ptr::null_mut()),
            next_of_thread: AtomicPtr::new(std::ptr::null_mut()),
            next_of_core: AtomicPtr::new(std::ptr::null_mut()),
        }
    }

    #[inline(always)]
    fn lane(&self, slot: Slot) -> Option<&'static Lane> {
        // SAFETY: `Slot` is below SLOTS by construction; a pointer in it is a lane of the block's core, which the block
        // keeps alive.
        unsafe { self.lanes.get_unchecked(usize::from(slot.0)).load(Relaxed).as_ref() }
    }

    /// Gives the block back. Its lanes are drained by their workers and then found by new threads.
    fn release(&self) {
        for buffer in 0..MAX_BUFFERS {
            if let Some(lane) = self.lane(Slot::buffer(buffer)) {
                lane.release();
            }
        }
        for lane in &self.lanes {
            lane.store(std::ptr::null_mut(), Relaxed);
        }
        self.logger_id.store(0, Relaxed);
        let core = self.core.swap(std::ptr::null_mut(), Relaxed);
        self.in_use.store(0, Release);
        if !core.is_null() {
            // SAFETY: `attach` stored a pointer from `Arc::into_raw`; the swap took it, so it is given back once.
            unsafe { Arc::decrement_strong_count(core) };
        }
    }
}

/// The calling thread's block and lane, if it has used both before. A handful of loads.
#[inline(always)]
pub(crate) fn lane(logger_id: u64, slot: Slot) -> Option<(&'static ThreadBlock, &'static Lane)> {
    let block = CURRENT.get();
    if block.logger_id.load(Relaxed) != logger_id {
        return None;
    }
    Some((block, block.lane(slot)?))
}

/// The same, making what is missing. `None` if memory, its limit, or a fork stands against it.
#[cold]
pub(crate) fn lane_or_register(
    core: &Arc<Core>,
    slot: Slot,
    prefault: bool,
) -> Option<(&'static ThreadBlock, &'static Lane)> {
    let block = find(core.id()).or_else(|| attach(core))?;
    CURRENT.set(block);
    if let Some(lane) = block.lane(slot) {
        if prefault {
            lane.prefault();
        }
        return Some((block, lane));
    }
    let buffer = buffer_of(block, core, slot);
    let own = &block.lanes[usize::from(Slot::buffer(buffer).0)];
    if own.load(Relaxed).is_null() {
        let lane = core.acquire_lane(buffer, prefault)?;
        own.store(std::ptr::from_ref(lane).cast_mut(), Relaxed);
    }
    block.lanes[usize::from(slot.0)].store(own.load(Relaxed), Relaxed);
    Some((block, block.lane(slot)?))
}

/// The buffer that the calling thread's calls through `slot` go to (0 for a thread that could not register).
pub(crate) fn buffer_for(core: &Core, slot: Slot) -> usize {
    find(core.id()).map_or_else(|| slot.resolve(0, core.buffers.len()), |block| buffer_of(block, core, slot))
}

fn buffer_of(block: &ThreadBlock, core: &Core, slot: Slot) -> usize {
    slot.resolve(block.default_buffer.load(Relaxed) as usize, core.buffers.len())
}

/// This thread's block for a logger it has used before.
fn find(logger_id: u64) -> Option<&'static ThreadBlock> {
    let mut at = FIRST.get();
    // SAFETY: the list holds blocks that this thread owns; they stay mapped while it does.
    while let Some(block) = unsafe { at.as_ref() } {
        if block.logger_id.load(Relaxed) == logger_id {
            return Some(block);
        }
        at = block.next_of_thread.load(Relaxed);
    }
    None
}

/// Gives the thread a block of this logger.
fn attach(core: &Arc<Core>) -> Option<&'static ThreadBlock> {
    if !core.is_in_its_process() {
        return None;
    }
    forget_closed_loggers();
    let block = core.blocks.take().or_else(|| core.blocks.map().ok())?;
    if !thread_key::set(std::ptr::from_ref(block).cast()) {
        block.in_use.store(0, Release);
        return None;
    }
    block.default_buffer.store(core.next_default_buffer() as u32, Relaxed);
    block.core.store(Arc::into_raw(Arc::clone(core)).cast_mut(), Relaxed);
    block.next_of_thread.store(FIRST.get(), Relaxed);
    block.logger_id.store(core.id(), Relaxed);
    FIRST.set(std::ptr::from_ref(block).cast_mut());
    Some(block)
}

/// Drops this thread's blocks of loggers that are closed, so that a thread that outlives many loggers does not keep
/// their memory. After a fork the inherited blocks are zeroed and the list is dropped.
fn forget_closed_loggers() {
    let mut kept = std::ptr::null_mut();
    let mut at = FIRST.get();
    // SAFETY: as in `find`.
    while let Some(block) = unsafe { at.as_ref() } {
        let next = block.next_of_thread.load(Relaxed);
        // SAFETY: a block that is in use keeps its core alive; a zeroed one has none.
        match unsafe { block.core.load(Relaxed).as_ref() } {
            Some(core) if core.is_closed() => block.release(),
            Some(_) => {
                block.next_of_thread.store(kept, Relaxed);
                kept = at;
            }
            None => {}
        }
        at = next;
    }
    CURRENT.set(&NO_BLOCK);
    FIRST.set(kept);
}

/// The thread ends: the pthread key's destructor. A later call of the same thread (from another key's destructor)
/// registers anew and sets the key again.
pub(crate) unsafe extern "C" fn ended(_: *mut c_void) {
    CURRENT.set(&NO_BLOCK);
    let mut at = FIRST.replace(std::ptr::null_mut());
    // SAFETY: as in `find`.
    while let Some(block) = unsafe { at.as_ref() } {
        at = block.next_of_thread.load(Relaxed);
        // A block that a fork has zeroed has nothing to give back.
        if block.logger_id.load(Relaxed) != 0 {
            block.release();
        }
    }
}

/// All blocks of one logger: a list that only grows; blocks are taken again after their thread's end.
#[derive(Debug, Default)]
pub(crate) struct BlockList {
    /// The block made last. Pushed with Release, read with Acquire.
    newest: AtomicPtr<ThreadBlock>,
}

impl BlockList {
    /// A block that an ended thread left.
    fn take(&self) -> Option<&'static ThreadBlock> {
        self.iter().find(|block| {
            block.in_use.load(Relaxed) == 0 && block.in_use.compare_exchange(0, 1, Acquire, Relaxed).is_ok()
        })
    }

    /// A new block, taken.
    fn map(&self) -> io::Result<&'static ThreadBlock> {
        let memory = mapping::map(mapping::PAGE, true)?.cast::<ThreadBlock>();
        // SAFETY: a fresh, writable, page-aligned mapping that is large enough and known to nobody else; it stays
        // mapped until the list is dropped.
        let block = unsafe {
            memory.write(ThreadBlock::new(1));
            memory.as_ref()
        };
        let mut newest = self.newest.load(Relaxed);
        loop {
            block.next_of_core.store(newest, Relaxed);
            match self.newest.compare_exchange_weak(newest, memory.as_ptr(), Release, Relaxed) {
                Ok(_) => return Ok(block),
                Err(now) => newest = now,
            }
        }
    }

    /// All blocks, taken or not.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static ThreadBlock> + use<> {
        let mut at = self.newest.load(Acquire);
        std::iter::from_fn(move || {
            // SAFETY: blocks in the list stay mapped until the list is dropped, and whoever iterates holds its core.
            let block = unsafe { at.as_ref() }?;
            at = block.next_of_core.load(Relaxed);
            Some(block)
        })
    }
}

impl Drop for BlockList {
    fn drop(&mut self) {
        for block in self.iter() {
            // SAFETY: the core is dropped, so no thread has a block of it (each holds a strong count), and the
            // iterator has read the successor before it yields.
            unsafe { mapping::unmap(NonNull::from(block).cast(), mapping::PAGE) };
        }
    }
}
