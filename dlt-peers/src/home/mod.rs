//! Loggers as one would write them at home: a queue, and a thread that takes messages out and writes frames.
//!
//! Only the queue differs ([`Queue`]). All carry the same [`Message`], with the same clock, to the same worker: DLT frames
//! with storage headers, up to 64 with one `write`. The worker sleeps for 1 ms when there is nothing, so that no call has
//! to wake it; `std::sync::mpsc` waits in `recv` instead, as its users do.

mod array;
mod mpsc;
mod mutex;
mod overflow;
mod worker;

use std::fs::OpenOptions;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, Release},
};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::{Contender, Finished, Format, Setup, TEXT_BYTES, Unavailable};
use worker::{BATCH, IDLE, Worker};

/// A caller that waits for room looks again after this long.
const WAIT: Duration = Duration::from_micros(50);

/// A `VecDeque` behind a `std::sync::Mutex`.
pub type Mutex = Home<mutex::Locked>;
/// `std::sync::mpsc::sync_channel`.
pub type Mpsc = Home<mpsc::Channel>;
/// `crossbeam_queue::ArrayQueue`.
pub type Array = Home<array::Shared>;
/// iceoryx2's safely overflowing queue, one for each thread.
pub type Overflowing = Home<overflow::Lanes>;

/// What goes through the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// `CLOCK_MONOTONIC`.
    pub(crate) logged_ns: u64,
    pub(crate) text: [u8; TEXT_BYTES],
    pub(crate) number: u32,
    pub(crate) producer: u32,
}

/// A bounded queue.
pub trait Queue: Sized + Send + Sync + 'static {
    /// Name of the contender.
    const NAME: &'static str;
    /// Which queue it is, and what happens when it is full.
    fn describe(setup: &Setup<'_>) -> String;
    /// A caller's end.
    type Sender;
    /// The worker's end.
    type Receiver: Receive;

    /// An empty one.
    fn make(setup: &Setup<'_>) -> Result<(Self, Self::Receiver), Unavailable>;
    /// The end of one caller.
    fn sender(&self, index: usize) -> Self::Sender;
    /// Puts a message in. True: one is lost. There was no room for it, or it was the oldest and gave way.
    fn offer(sender: &mut Self::Sender, message: Message) -> bool;
    /// Puts a message in when there is room.
    fn wait(sender: &mut Self::Sender, message: Message);
}

/// The worker's end of a queue.
pub trait Receive: Send + 'static {
    /// Moves the oldest messages, at most `most`, to `batch`.
    fn take(&mut self, most: usize, batch: &mut Vec<Message>);
}

/// Repeats `attempt` until it takes the message.
fn until_room(mut message: Message, mut attempt: impl FnMut(Message) -> Result<(), Message>) {
    while let Err(back) = attempt(message) {
        message = back;
        std::thread::sleep(WAIT);
    }
}

/// What the queues that nobody is woken by have in common.
fn polled(setup: &Setup<'_>) -> String {
    let full = if setup.lossless { "calls sleep for 50 us" } else { "the newest is dropped" };
    format!("when it is full {full}, when it is empty the worker sleeps for {} ms", IDLE.as_millis())
}

/// A logger with this queue.
#[derive(Debug)]
pub struct Home<Q> {
    queue: Q,
    /// Raised by producers when they end.
    lost: Arc<AtomicU64>,
    /// Set after the last message; the worker ends when it has it.
    is_closed: Arc<AtomicBool>,
    worker: JoinHandle<Result<(), u64>>,
    lossless: bool,
    configuration: String,
}

/// One thread's way to it.
#[derive(Debug)]
pub struct Producer<S> {
    sender: S,
    index: u32,
    lossless: bool,
    lost: u64,
    total: Arc<AtomicU64>,
}

impl<S> Drop for Producer<S> {
    fn drop(&mut self) {
        self.total.fetch_add(self.lost, Relaxed);
    }
}

impl<Q: Queue> Contender for Home<Q> {
    type Producer = Producer<Q::Sender>;

    const NAME: &'static str = Q::NAME;
    const FORMAT: Format = Format::Dlt;

    fn start(setup: &Setup<'_>) -> Result<Self, Unavailable> {
        let sink =
            OpenOptions::new().append(true).create(true).open(setup.sink).map_err(Unavailable::failed)?;
        let (queue, receiver) = Q::make(setup)?;
        let is_closed = Arc::new(AtomicBool::new(false));
        let worker = Worker::new(receiver, sink, setup.producers, Arc::clone(&is_closed));
        let worker = std::thread::Builder::new().name(Q::NAME.into()).spawn(move || worker.run());
        let worker = worker.map_err(Unavailable::failed)?;
        let configuration =
            format!("{}; DLT frames with storage headers, up to {BATCH} a write", Q::describe(setup));
        let lost = Arc::new(AtomicU64::new(0));
        Ok(Self { queue, lost, is_closed, worker, lossless: setup.lossless, configuration })
    }

    fn configuration(&self) -> String {
        self.configuration.clone()
    }

    fn producer(&self, index: usize) -> Self::Producer {
        let sender = self.queue.sender(index);
        let total = Arc::clone(&self.lost);
        Producer { sender, index: index as u32, lossless: self.lossless, lost: 0, total }
    }

    #[inline(always)]
    fn log(producer: &mut Self::Producer, number: u32, text: &str) {
        let mut bytes = [0; TEXT_BYTES];
        let used = text.len().min(TEXT_BYTES);
        bytes[..used].copy_from_slice(&text.as_bytes()[..used]);
        let message = Message { logged_ns: monotonic_ns(), text: bytes, number, producer: producer.index };
        if producer.lossless {
            Q::wait(&mut producer.sender, message);
        } else if Q::offer(&mut producer.sender, message) {
            producer.lost += 1;
        }
    }

    fn finish(self) -> Finished {
        let Self { queue, lost, is_closed, worker, .. } = self;
        // Pairs with the worker's Acquire: who sees it sees all messages before it.
        is_closed.store(true, Release);
        drop(queue);
        let unwritten = match worker.join() {
            Ok(Ok(())) => 0,
            Ok(Err(messages)) => messages,
            Err(_) => return Finished::at_least(lost.load(Relaxed)),
        };
        Finished::exactly(lost.load(Relaxed) + unwritten)
    }
}

fn monotonic_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_or(0, |time| time.tv_sec().cast_unsigned() * 1_000_000_000 + time.tv_nsec().cast_unsigned())
}
