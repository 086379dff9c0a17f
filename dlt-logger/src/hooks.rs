//! What the stop sweep needs to put a lane into a state and to look at it. No part of the public interface.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::context::Context;
use crate::core::Core;
use crate::lane::Lane;
use crate::thread::{self, Slot};

/// The lane of one thread.
#[derive(Debug, Clone)]
pub struct LaneProbe {
    lane: &'static Lane,
    /// Keeps the lane mapped.
    _core: Arc<Core>,
}

/// A lane at one moment, in what its call's way depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneLook {
    /// Words of the ring.
    pub words: u64,
    /// Where in the ring the next record begins.
    pub next_word: u64,
    /// Words that the worker has not copied.
    pub waiting_words: u64,
    /// Words that the producer believes it may not reuse.
    pub kept_words: u64,
    /// Records in them.
    pub kept_records: u64,
    /// Records that are not settled.
    pub unsettled: u64,
}

impl LaneProbe {
    /// The calling thread's lane for messages that are routed nowhere else, once it has one.
    pub fn of_this_thread(context: &Context) -> Option<Self> {
        let core = context.core();
        let (_, lane) = thread::lane(core.id(), Slot::DEFAULT)?;
        Some(Self { lane, _core: Arc::clone(core) })
    }

    /// The same after making it, without a message. `None` if there is no memory for it.
    pub fn register(context: &Context) -> Option<Self> {
        let core = context.core();
        let (_, lane) = thread::lane_or_register(core, Slot::DEFAULT, false)?;
        Some(Self { lane, _core: Arc::clone(core) })
    }

    /// The same in the buffer with this number.
    pub fn register_in(context: &Context, buffer: usize) -> Option<Self> {
        let core = context.core();
        let (_, lane) = thread::lane_or_register(core, Slot::buffer(buffer), false)?;
        Some(Self { lane, _core: Arc::clone(core) })
    }

    /// Reads it. Takes no lock, so it may be asked while any thread is stopped.
    pub fn look(&self) -> LaneLook {
        let ring = self.lane.ring();
        let (producer, private, consumer) =
            (&ring.control.producer, &ring.control.private, &ring.control.consumer);
        let (tail, accepted) = (producer.tail.load(Relaxed), producer.accepted.load(Relaxed));
        let taken = consumer.head.load(Relaxed).max(producer.oldest.load(Relaxed));
        LaneLook {
            words: ring.words.capacity(),
            next_word: tail & (ring.words.capacity() - 1),
            waiting_words: tail - taken,
            kept_words: tail + ring.words.capacity() - private.room_end.load(Relaxed),
            kept_records: accepted + ring.capacity - private.record_end.load(Relaxed),
            unsettled: accepted - consumer.settled.load(Relaxed),
        }
    }

    /// Has the producer look how far the worker is. Only its own thread may.
    pub fn refresh(&self) {
        // A reservation that is dropped changes nothing.
        self.lane.ring().has_room_fresh(0);
    }
}

/// Has workers say losses in every round in which there are some, instead of twice a second.
pub fn say_losses_at_once(context: &Context) {
    context.core().note_interval_ns.store(0, Relaxed);
}

/// Has workers compare their clocks in every round, or never, instead of twice a second.
pub fn compare_clocks(context: &Context, in_every_round: bool) {
    let interval_ns = if in_every_round { 0 } else { u64::MAX };
    context.core().anchor_interval_ns.store(interval_ns, Relaxed);
}

/// Address of the function that gives back what a thread had when it ends.
pub fn thread_end() -> usize {
    thread::ended as *const () as usize
}

/// Address of the function in which a worker makes one round.
pub fn worker_round() -> usize {
    crate::worker::round_address()
}
