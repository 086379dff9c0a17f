//! What producers, workers and the logger's handle share.
#![expect(unsafe_code, reason = "unmaps lanes when the last user is gone")]

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{
    AtomicU8, AtomicU32, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

use crate::clock::Clock;
use crate::config::{Config, OverflowMode};
use crate::context::ContextInfo;
use crate::format::{Id4, Level};
use crate::lane::{Lane, LaneList, size_for};
use crate::primitives::Padded;
use crate::ring::park::Sleeper;
use crate::ring::record::MAX_CONTEXTS;
use crate::sys::{futex, mapping};
use crate::thread::BlockList;

/// Value of [`Core::mode`] once the logger is closed.
pub(crate) const CLOSED: u8 = 3;

/// One ring buffer: its lanes, and counters that only its worker writes (Relaxed; read by statistics).
#[derive(Debug)]
pub(crate) struct Buffer {
    /// Messages per lane.
    pub(crate) capacity: usize,
    pub(crate) lanes: LaneList,
    /// Messages refused because a thread could not have a lane. Written by producers, off the hot path.
    pub(crate) no_lane: AtomicU64,
    /// Bytes of its lanes' mappings, and their number. Written by registering threads.
    pub(crate) memory_bytes: AtomicU64,
    pub(crate) lane_count: AtomicU64,
    pub(crate) counters: Padded<BufferCounters>,
}

/// Counters of a buffer. Each is incremented where its event happens.
#[derive(Debug, Default)]
pub(crate) struct BufferCounters {
    /// Messages that the sink took.
    pub(crate) sent: AtomicU64,
    /// Records that the worker found missing.
    pub(crate) overwritten: AtomicU64,
    /// Messages that were copied out and then lost with the sink.
    pub(crate) sink_lost: AtomicU64,
    /// Records that the worker left behind when it ended.
    pub(crate) lost_at_close: AtomicU64,
    /// Copies that the producer overtook.
    pub(crate) overtaken: AtomicU64,
    /// Highest fill of a lane that the worker saw, in messages.
    pub(crate) fill_high_mark: AtomicU64,
}

/// A worker as others see it.
#[derive(Debug, Default)]
pub(crate) struct WorkerShared {
    pub(crate) sleeper: Padded<Sleeper>,
    /// 0 until the worker has set it.
    pub(crate) tid: AtomicU32,
    /// 1 after its last drain. Stored with Release, waited for with Acquire.
    pub(crate) done: AtomicU32,
    /// 1 while it sleeps for long because it found nothing. Only that worker writes it; a hint for the others, so Relaxed.
    pub(crate) is_idle: AtomicU32,
    /// 1 while it is held back by [`Core::paused`]. Stored with Release, waited for with Acquire.
    pub(crate) is_paused: AtomicU32,
    pub(crate) wakeups: AtomicU64,
    pub(crate) writev_calls: AtomicU64,
    pub(crate) bytes_sent: AtomicU64,
    /// `writev` calls that found the sink full.
    pub(crate) sink_full: AtomicU64,
    /// Loss notes written; not part of `sent`.
    pub(crate) notes: AtomicU64,
    /// 1 while the sink takes nothing because it failed.
    pub(crate) sink_down: AtomicU32,
}

impl WorkerShared {
    /// Wakes the worker if it sleeps. The caller has executed a full fence after what the worker is to see.
    pub(crate) fn wake(&self) {
        if self.sleeper.take() {
            futex::wake(self.sleeper.word());
        }
    }
}

/// What every log call reads, on a cache line of its own.
#[derive(Debug)]
#[repr(C, align(64))]
struct Hot {
    /// Never 0 and never reused.
    id: u64,
    /// An [`OverflowMode`] or [`CLOSED`]. Written by `set_overflow_mode` and `close`.
    mode: AtomicU8,
    clock: Clock,
}

/// A logger without its handle. Lives until its handle, its contexts, its workers and the threads that used it are
/// gone.
#[derive(Debug)]
pub(crate) struct Core {
    hot: Hot,
    pub(crate) application: Id4,
    pub(crate) ecu: Id4,
    pub(crate) config: Config,
    pub(crate) buffers: Box<[Buffer]>,
    pub(crate) workers: Box<[WorkerShared]>,
    pub(crate) blocks: BlockList,
    /// Contexts by their index; filled in ascending order.
    contexts: Box<[OnceLock<Arc<ContextInfo>>]>,
    context_count: AtomicUsize,
    /// Bytes of all lanes' mappings.
    memory_used: AtomicU64,
    next_default_buffer: AtomicUsize,
    /// A word that is 1 here and 0 in a forked child.
    home: ForkMark,
    /// CLOCK_MONOTONIC by which the workers end after a close, in ns. Stored before `mode` becomes [`CLOSED`].
    pub(crate) close_deadline_ns: AtomicU64,
    /// 1 once no call is under way any more after a close: what a drain that begins later does not find came too late.
    pub(crate) last_drain: AtomicU32,
    /// Test hook: 1 holds the workers back.
    pub(crate) paused: AtomicU32,
    /// Least time between two loss notes of a worker. Only a test hook changes it.
    pub(crate) note_interval_ns: AtomicU64,
    /// Time between two comparisons of the clocks by a worker. Only a test hook changes it.
    pub(crate) anchor_interval_ns: AtomicU64,
    /// What the sink last failed with.
    pub(crate) sink_error: crate::sink::ErrorCell,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Core {
    pub(crate) fn new(application: Id4, ecu: Id4, config: Config, workers: usize) -> std::io::Result<Self> {
        let buffers = config.buffer_sizes.iter().map(|&capacity| Buffer {
            capacity,
            lanes: LaneList::default(),
            no_lane: AtomicU64::new(0),
            memory_bytes: AtomicU64::new(0),
            lane_count: AtomicU64::new(0),
            counters: Padded::default(),
        });
        Ok(Self {
            hot: Hot {
                id: NEXT_ID.fetch_add(1, Relaxed),
                mode: AtomicU8::new(config.overflow_mode as u8),
                clock: Clock::new(),
            },
            application,
            ecu,
            buffers: buffers.collect(),
            workers: (0..workers).map(|_| WorkerShared::default()).collect(),
            blocks: BlockList::default(),
            contexts: (0..MAX_CONTEXTS).map(|_| OnceLock::new()).collect(),
            context_count: AtomicUsize::new(0),
            memory_used: AtomicU64::new(0),
            next_default_buffer: AtomicUsize::new(0),
            home: ForkMark::new()?,
            close_deadline_ns: AtomicU64::new(u64::MAX),
            last_drain: AtomicU32::new(0),
            paused: AtomicU32::new(0),
            note_interval_ns: AtomicU64::new(crate::worker::NOTE_INTERVAL_NS),
            anchor_interval_ns: AtomicU64::new(crate::clock::ANCHOR_INTERVAL_NS),
            sink_error: crate::sink::ErrorCell::default(),
            config,
        })
    }

    /// Never 0, and no other logger of the process has it.
    #[inline(always)]
    pub(crate) const fn id(&self) -> u64 {
        self.hot.id
    }

    #[inline(always)]
    pub(crate) const fn clock(&self) -> Clock {
        self.hot.clock
    }

    /// The mode as a number: an [`OverflowMode`] or [`CLOSED`].
    #[inline(always)]
    pub(crate) fn mode(&self) -> u8 {
        self.hot.mode.load(Relaxed)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.hot.mode.load(Acquire) == CLOSED
    }

    /// Changes the mode unless the logger is closed.
    pub(crate) fn set_mode(&self, mode: OverflowMode) {
        let change = |now| (now != CLOSED).then_some(mode as u8);
        // A refusal means that the logger is closed, and then the mode has no effect.
        if self.hot.mode.fetch_update(Release, Relaxed, change).is_ok() {
            self.wake_producers();
        }
    }

    /// Closes; false if it was closed already.
    pub(crate) fn close(&self) -> bool {
        let closes = self.hot.mode.swap(CLOSED, Release) != CLOSED;
        self.wake_producers();
        closes
    }

    /// Closed, and its time to deliver is over.
    pub(crate) fn is_past_close(&self) -> bool {
        self.is_closed() && crate::sys::clock::monotonic_ns() >= self.close_deadline_ns.load(Relaxed)
    }

    /// False in a forked child: there the workers do not exist.
    pub(crate) fn is_in_its_process(&self) -> bool {
        self.home.is_original()
    }

    /// Threads are spread over the buffers in turn.
    pub(crate) fn next_default_buffer(&self) -> usize {
        self.next_default_buffer.fetch_add(1, Relaxed) % self.buffers.len()
    }

    /// A lane for the calling thread: a drained one of an ended thread, else a new one, else (at the memory limit) one
    /// of an ended thread that still holds messages.
    pub(crate) fn acquire_lane(&self, index: usize, prefault: bool) -> Option<&'static Lane> {
        let buffer = &self.buffers[index];
        let drained = |lane: &&Lane| lane.is_ended() && lane.ring().fill().1 == 0;
        let lane = buffer.lanes.iter().filter(drained).find(|lane| lane.adopt());
        if let Some(lane) = lane {
            if prefault {
                lane.prefault();
            }
            return Some(lane);
        }
        self.map_lane(index, prefault).or_else(|| buffer.lanes.iter().find(|lane| lane.adopt()))
    }

    fn map_lane(&self, index: usize, prefault: bool) -> Option<&'static Lane> {
        let buffer = &self.buffers[index];
        let bytes = size_for(buffer.capacity).1 as u64;
        let limit = self.config.memory_limit_bytes;
        let reserve = |used: u64| used.checked_add(bytes).filter(|&sum| sum <= limit);
        self.memory_used.fetch_update(Relaxed, Relaxed, reserve).ok()?;
        let Ok(lane) = Lane::map(buffer.capacity, self.worker_of(index), prefault) else {
            self.memory_used.fetch_sub(bytes, Relaxed);
            return None;
        };
        buffer.memory_bytes.fetch_add(bytes, Relaxed);
        buffer.lane_count.fetch_add(1, Relaxed);
        buffer.lanes.push(lane);
        Some(lane)
    }

    /// The context with this id, made if there is none yet. `None` if there are too many.
    pub(crate) fn context(&self, id: Id4, threshold: Level) -> Option<Arc<ContextInfo>> {
        if let Some(known) = self.contexts.iter().map_while(OnceLock::get).find(|known| known.id == id) {
            return Some(Arc::clone(known));
        }
        let index = self.context_count.fetch_add(1, Relaxed);
        let cell = self.contexts.get(index)?;
        Some(Arc::clone(cell.get_or_init(|| Arc::new(ContextInfo::new(index as u16, id, threshold)))))
    }

    pub(crate) fn context_by_index(&self, index: u16) -> Option<&Arc<ContextInfo>> {
        self.contexts.get(usize::from(index))?.get()
    }

    /// Index of the worker that drains this buffer.
    pub(crate) fn worker_of(&self, buffer: usize) -> usize {
        buffer % self.workers.len()
    }

    /// A lane that this worker drains holds messages. A reading, not a promise.
    pub(crate) fn has_messages_for(&self, worker: usize) -> bool {
        let buffers = self.buffers.iter().skip(worker).step_by(self.workers.len());
        buffers.flat_map(|buffer| buffer.lanes.iter()).any(|lane| lane.ring().has_messages())
    }

    /// Wakes every worker that sleeps.
    pub(crate) fn wake_workers(&self) {
        full_fence();
        self.workers.iter().for_each(WorkerShared::wake);
    }

    /// Wakes every producer that waits for room: it looks at the mode again.
    fn wake_producers(&self) {
        full_fence();
        for lane in self.buffers.iter().flat_map(|buffer| buffer.lanes.iter()) {
            lane.ring().control.waiter.wake();
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        for lane in self.buffers.iter().flat_map(|buffer| buffer.lanes.iter()) {
            // SAFETY: the core is dropped: no thread has a block with its lanes, no worker runs, and the iterator has
            // read the successor before it yields. Each lane is in one list once.
            unsafe { lane.unmap() };
        }
    }
}

fn full_fence() {
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

/// A page that a forked child finds zeroed.
#[derive(Debug)]
struct ForkMark(std::ptr::NonNull<AtomicU32>);

// SAFETY: the mark is an atomic word in a mapping that lives as long as the mark.
unsafe impl Send for ForkMark {}
// SAFETY: as above.
unsafe impl Sync for ForkMark {}

impl ForkMark {
    fn new() -> std::io::Result<Self> {
        let word = mapping::map(mapping::PAGE, true)?.cast::<AtomicU32>();
        // SAFETY: a fresh, writable, page-aligned mapping.
        unsafe { word.as_ref() }.store(1, Relaxed);
        Ok(Self(word))
    }

    fn is_original(&self) -> bool {
        // SAFETY: the mapping lives until the mark is dropped.
        unsafe { self.0.as_ref() }.load(Relaxed) == 1
    }
}

impl Drop for ForkMark {
    fn drop(&mut self) {
        // SAFETY: made by `new`, one page, and nobody else has its address.
        unsafe { mapping::unmap(self.0.cast(), mapping::PAGE) };
    }
}
