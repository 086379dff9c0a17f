//! iceoryx2's safely overflowing queue, one for each thread.
//!
//! It holds numbers of 8 bytes; the messages lie in slots beside it, and what it gives up is the number of a slot, which is
//! used again. Slots whose message was taken come back through a second queue of that crate.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use iceoryx2_bb_concurrency::cell::UnsafeCell;
use iceoryx2_bb_elementary_traits::owning_pointer::OwningPointer;
use iceoryx2_bb_lock_free::spsc::index_queue::{self, IndexQueue};
use iceoryx2_bb_lock_free::spsc::safely_overflowing_index_queue::{
    self as overflowing, SafelyOverflowingIndexQueue,
};

use super::{IDLE, Message, Queue, Receive, WAIT};
use crate::{Setup, TEXT_BYTES, Unavailable};

/// Besides those in the queue: one in the caller's hand, one in the worker's.
const SPARE: usize = 2;
/// Bytes of a word.
const WORD: usize = size_of::<u64>();

/// One message. Owned by whoever has its number; the queues order its loads after its stores.
#[derive(Debug, Default)]
struct Slot {
    logged_ns: AtomicU64,
    text: [AtomicU64; TEXT_BYTES / WORD],
    /// And who logged it, in the upper half.
    number: AtomicU64,
}

impl Slot {
    fn store(&self, message: &Message) {
        self.logged_ns.store(message.logged_ns, Relaxed);
        let (words, _) = message.text.as_chunks::<WORD>();
        for (word, bytes) in self.text.iter().zip(words) {
            word.store(u64::from_le_bytes(*bytes), Relaxed);
        }
        self.number.store(u64::from(message.producer) << 32 | u64::from(message.number), Relaxed);
    }

    fn load(&self) -> Message {
        let mut text = [0; TEXT_BYTES];
        let (words, _) = text.as_chunks_mut::<WORD>();
        for (bytes, word) in words.iter_mut().zip(&self.text) {
            *bytes = word.load(Relaxed).to_le_bytes();
        }
        let number = self.number.load(Relaxed);
        let logged_ns = self.logged_ns.load(Relaxed);
        Message { logged_ns, text, number: number as u32, producer: (number >> 32) as u32 }
    }
}

/// What a caller and the worker share. It stays until the process ends: the ends of the queues borrow it.
#[derive(Debug)]
struct Lane {
    queue: SafelyOverflowingIndexQueue,
    /// Numbers of slots without a message.
    free: IndexQueue,
    slots: Box<[Slot]>,
}

type Numbers = OwningPointer<UnsafeCell<u64>>;

/// One queue for each producer.
#[derive(Debug)]
pub struct Lanes(Vec<&'static Lane>);

/// A caller's end.
pub struct Sender {
    lane: &'static Lane,
    /// `None`: another thread has them, and nothing can be logged through this one.
    ends: Option<(overflowing::Producer<'static, Numbers>, index_queue::Consumer<'static, Numbers>)>,
    /// A slot that was given up by the queue.
    spare: Option<u64>,
}

/// The worker's end of one of them.
struct Source {
    lane: &'static Lane,
    queue: overflowing::Consumer<'static, Numbers>,
    free: index_queue::Producer<'static, Numbers>,
}

/// The worker's end of all.
pub struct Sources(Vec<Source>);

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("spare", &self.spare).finish_non_exhaustive()
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|source| source.lane)).finish()
    }
}

impl Lane {
    fn new(capacity: usize) -> Self {
        let slots: Box<[Slot]> = (0..capacity + SPARE).map(|_| Slot::default()).collect();
        Self { queue: SafelyOverflowingIndexQueue::new(capacity), free: IndexQueue::new(slots.len()), slots }
    }

    /// The worker's end. All slots are free.
    fn source(&'static self) -> Option<Source> {
        let (queue, mut free) = (self.queue.acquire_consumer()?, self.free.acquire_producer()?);
        (0..self.slots.len() as u64).all(|slot| free.push(slot)).then_some(Source { lane: self, queue, free })
    }
}

impl Queue for Lanes {
    type Sender = Sender;
    type Receiver = Sources;

    const NAME: &'static str = "iceoryx2-queue";

    fn describe(setup: &Setup<'_>) -> String {
        let full = if setup.lossless { "calls sleep for 50 us" } else { "the oldest gives way" };
        format!(
            "iceoryx2-bb-lock-free {}: SafelyOverflowingIndexQueue of {} numbers of slots with a message, one for each thread; \
             when it is full {full}, when all are empty the worker sleeps for {} ms",
            env!("VERSION_ICEORYX2_BB_LOCK_FREE"),
            setup.capacity,
            IDLE.as_millis()
        )
    }

    fn make(setup: &Setup<'_>) -> Result<(Self, Sources), Unavailable> {
        let lane = |_| -> &'static Lane { Box::leak(Box::new(Lane::new(setup.capacity.max(1)))) };
        let lanes: Vec<_> = (0..setup.producers).map(lane).collect();
        let sources: Option<_> = lanes.iter().map(|lane| lane.source()).collect();
        let sources = sources.ok_or_else(|| Unavailable::failed("a new queue has no room"))?;
        Ok((Self(lanes), Sources(sources)))
    }

    fn sender(&self, index: usize) -> Sender {
        let lane = self.0[index];
        Sender { lane, ends: lane.queue.acquire_producer().zip(lane.free.acquire_consumer()), spare: None }
    }

    #[inline(always)]
    fn offer(sender: &mut Sender, message: Message) -> bool {
        let Some((queue, free)) = &mut sender.ends else { return true };
        // There is always one: see `SPARE`.
        let Some(slot) = sender.spare.take().or_else(|| free.pop()) else { return true };
        sender.lane.slots[slot as usize].store(&message);
        sender.spare = queue.push(slot);
        sender.spare.is_some()
    }

    fn wait(sender: &mut Sender, message: Message) {
        while sender.lane.queue.is_full() {
            std::thread::sleep(WAIT);
        }
        Self::offer(sender, message);
    }
}

impl Receive for Sources {
    /// As much of the first as there is, then of the next: the first is another one each time.
    fn take(&mut self, most: usize, batch: &mut Vec<Message>) {
        let by_one = usize::from(self.0.len() > 1);
        self.0.rotate_left(by_one);
        for source in &mut self.0 {
            while batch.len() < most {
                let Some(slot) = source.queue.pop() else { break };
                batch.push(source.lane.slots[slot as usize].load());
                // There is room for all slots.
                source.free.push(slot);
            }
        }
    }
}
