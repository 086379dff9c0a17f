//! The mutex logger of this tree: its lock and its queue. A thread that is stopped with the lock stops everybody.

use std::sync::Arc;

use dlt_logger::format::Template;
use dlt_logger::format::decode::split;
use dlt_logger::{Id4, OverflowMode};

use super::super::memory::{Books, LOOK_WORDS};
use super::super::subject::{Caller, Subject};
use crate::control::lock::{Lock, MutexLock};
use crate::control::queue::{Pushed, Queue};
use crate::load::message::{APPLICATION, producer_index, producer_name, sequence_number};

/// Messages that the queue holds.
const CAPACITY: usize = 512;
/// Messages that are taken out at once.
const BATCH: usize = 64;

/// A queue of messages behind one mutex; when it is full the oldest gives way.
#[derive(Debug)]
pub struct MutexLogger {
    lock: MutexLock,
}

/// One thread's way to it.
#[derive(Debug)]
pub struct Producer {
    subject: Arc<MutexLogger>,
    template: Template,
}

/// The function that is swept.
#[inline(never)]
fn log_call(lock: &MutexLock, template: &Template, number: u32) -> Pushed {
    lock.with(|queue| queue.push(template, 0, number))
}

impl MutexLogger {
    /// An empty one.
    pub fn new() -> Self {
        Self { lock: MutexLock::new(Queue::new(CAPACITY, OverflowMode::Overwrite)) }
    }

    fn is_empty(&self) -> bool {
        self.lock.with(|queue| queue.len() == 0)
    }
}

impl Default for MutexLogger {
    fn default() -> Self {
        Self::new()
    }
}

impl Subject for MutexLogger {
    type Producer = Producer;

    const STATES: &'static [&'static str] = &["empty", "half full", "full"];
    const CROWD_CALLS: u64 = 250;

    fn producer(self: &Arc<Self>, index: usize) -> Producer {
        let id = |text: &str| Id4::try_new(text).unwrap_or(Id4::NONE);
        let template = Template::new(id("ECU1"), 0, id(APPLICATION), id(&producer_name(index)));
        Producer { subject: Arc::clone(self), template }
    }

    fn log(producer: &mut Producer, id: u64) {
        log_call(&producer.subject.lock, &producer.template, id as u32);
    }

    fn entry() -> usize {
        log_call as *const () as usize
    }

    fn counted(&self) -> u64 {
        self.lock.with(|queue| queue.terms.overwritten)
    }

    fn deliver(&self, books: &Books) -> bool {
        let mut batch = Vec::with_capacity(BATCH);
        self.lock.with(|queue| queue.take(BATCH, &mut batch));
        for entry in &batch {
            let frame = split(&entry.frame).ok().flatten().map(|(frame, _)| frame);
            let producer = frame.as_ref().and_then(|frame| producer_index(frame.ctid()));
            let number = frame.as_ref().and_then(|frame| sequence_number(frame.payload));
            let id = u64::from(number.unwrap_or_default());
            books.deliver(producer.unwrap_or(usize::MAX), id, number.is_some());
        }
        !batch.is_empty()
    }

    fn prepare(&self, _state: usize, _caller: &mut Caller<Self>) {
        while !self.is_empty() {
            std::thread::yield_now();
        }
    }

    fn place(&self, state: usize, caller: &mut Caller<Self>) {
        (0..state * CAPACITY / 2).for_each(|_| caller.log());
    }

    fn look(&self) -> [u64; LOOK_WORDS] {
        // Whether the victim has the lock is part of the state, and `with` would wait for it.
        let length = self.lock.try_with(|queue| queue.len() as u64);
        [u64::from(length.is_none()), length.unwrap_or_default(), 0, 0, 0, 0, 0, 0]
    }
}
