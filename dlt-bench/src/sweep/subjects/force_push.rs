//! `crossbeam_queue::ArrayQueue::force_push`: lock-free in name, yet a thread that is stopped between taking a slot and
//! filling it makes those that come to the slot spin.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_queue::ArrayQueue;

use super::super::memory::{Books, LOOK_WORDS};
use super::super::subject::{Caller, Subject};

/// Messages that the queue holds: fewer than the crowd logs, so that it comes round to the victim's slot.
const CAPACITY: usize = 512;
const TEXT: [u64; 2] = [0x3736_3534_3332_3130, 0x6665_6463_6261_3938];

#[derive(Debug, Clone, Copy)]
struct Message {
    producer: usize,
    id: u64,
    text: [u64; 2],
}

/// One queue for all; when it is full the oldest gives way.
#[derive(Debug)]
pub struct ForcePush {
    queue: ArrayQueue<Message>,
    books: &'static Books,
    /// Pushes so far: where the next one's slot is. Written by callers after their push.
    pushed: AtomicU64,
}

/// One thread's way to it.
#[derive(Debug)]
pub struct Producer {
    subject: Arc<ForcePush>,
    index: usize,
}

/// The function that is swept.
#[inline(never)]
fn log_call(queue: &ArrayQueue<Message>, message: Message) -> Option<Message> {
    queue.force_push(message)
}

impl ForcePush {
    /// An empty one.
    pub fn new(books: &'static Books) -> Self {
        Self { queue: ArrayQueue::new(CAPACITY), books, pushed: AtomicU64::new(0) }
    }

    fn await_empty(&self) {
        while !self.queue.is_empty() {
            std::thread::yield_now();
        }
    }
}

impl Subject for ForcePush {
    type Producer = Producer;

    const STATES: &'static [&'static str] = &["empty", "half full", "full", "wraps"];
    const CROWD_CALLS: u64 = 1000;

    fn producer(self: &Arc<Self>, index: usize) -> Producer {
        Producer { subject: Arc::clone(self), index }
    }

    fn log(producer: &mut Producer, id: u64) {
        let subject = &producer.subject;
        let displaced = log_call(&subject.queue, Message { producer: producer.index, id, text: TEXT });
        subject.pushed.fetch_add(1, Relaxed);
        if let Some(displaced) = displaced {
            subject.books.lose(displaced.producer);
        }
    }

    fn entry() -> usize {
        log_call as *const () as usize
    }

    fn counted(&self) -> u64 {
        0
    }

    fn deliver(&self, books: &Books) -> bool {
        let Some(message) = self.queue.pop() else { return false };
        books.deliver(message.producer, message.id, message.text == TEXT);
        true
    }

    /// Brings the next push to the first slot, or to the last one.
    fn prepare(&self, state: usize, caller: &mut Caller<Self>) {
        let slot = if state == 3 { CAPACITY - 1 } else { 0 };
        self.await_empty();
        while self.pushed.load(Relaxed) as usize % CAPACITY != slot {
            caller.log();
            self.await_empty();
        }
    }

    fn place(&self, state: usize, caller: &mut Caller<Self>) {
        let messages = [0, CAPACITY / 2, CAPACITY, 0][state];
        (0..messages).for_each(|_| caller.log());
    }

    fn look(&self) -> [u64; LOOK_WORDS] {
        [self.queue.len() as u64, 0, 0, 0, 0, 0, 0, 0]
    }
}
