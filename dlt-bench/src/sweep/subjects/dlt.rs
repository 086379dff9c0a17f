//! dlt-logger.

use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dlt_logger::hooks::{self, LaneProbe};
use dlt_logger::{Config, Context, Logger, OverflowMode, Sink};

use super::super::memory::{Books, LOOK_WORDS, NEWCOMER, PRODUCERS, VICTIMS};
use super::super::subject::{Caller, Subject};
use super::receiver::Receiver;
use crate::anatomy::call::log_call;
use crate::load::message::{APPLICATION, TEXT, producer_name};

/// Messages that a lane holds.
const CAPACITY: usize = 256;
/// Words of a lane of that capacity.
const WORDS: u64 = 4096;
/// A record that crosses the end of the ring begins this many words before it.
const CROSSING: u64 = 3;
/// What a full lane's caller waits at most in BlockWithTimeout.
const TIMEOUT: Duration = Duration::from_millis(20);
/// What is delivered within it is delivered at once, and what is not will not be.
const FLUSH: Duration = Duration::from_millis(50);
/// All texts are beginnings of this one.
static LONG: LazyLock<String> = LazyLock::new(|| "0123456789abcdef".repeat(124));
/// Texts of the messages that a full lane gives up for [`LONG`], and of that one: 32 and 252 words with their headers.
static MIDDLE: LazyLock<String> = LazyLock::new(|| "0123456789abcdef".repeat(14));

/// [`OverflowMode::Overwrite`] as a parameter.
pub const OVERWRITE: u8 = OverflowMode::Overwrite as u8;
/// [`OverflowMode::DropNewest`] as a parameter.
pub const DROP_NEWEST: u8 = OverflowMode::DropNewest as u8;
/// [`OverflowMode::BlockWithTimeout`] as a parameter.
pub const BLOCK: u8 = OverflowMode::BlockWithTimeout as u8;

/// How a lane is before a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Empty,
    Half,
    Full,
    /// The record crosses the end of the ring.
    Wrap,
    /// There is room, but the caller does not know it yet.
    Stale,
    /// A message longer than what is left; to make room for it, many have to give way.
    Long,
    /// Full of messages that were kept; then the mode changed to Overwrite.
    ModeChanged,
    /// A thread's first call: its lane is mapped.
    FirstNew,
    /// A thread's first call: it takes the lane of a thread that has ended.
    FirstRecycled,
    /// A thread ends after its call: it gives back its lane. Stopped in that, not in the call.
    Ends,
}

const ALL: [(State, &str); 10] = [
    (State::Empty, "empty"),
    (State::Half, "half full"),
    (State::Full, "full"),
    (State::Wrap, "wraps"),
    (State::Stale, "room unknown"),
    (State::Long, "long message"),
    (State::ModeChanged, "mode changed"),
    (State::FirstNew, "first call, new lane"),
    (State::FirstRecycled, "first call, old lane"),
    (State::Ends, "thread ends"),
];
const NAMES: [&str; ALL.len()] = {
    let mut names = [""; ALL.len()];
    let mut index = 0;
    while index < ALL.len() {
        names[index] = ALL[index].1;
        index += 1;
    }
    names
};

/// dlt-logger in the overflow mode with this number.
#[derive(Debug)]
pub struct Dlt<const MODE: u8> {
    live: Mutex<Arc<Live>>,
    /// Rises with each new logger. Stored with Release after `live`.
    generation: AtomicU64,
    /// Messages that earlier loggers lost.
    counted_before: AtomicU64,
    /// The lane of each victim. Written by its thread.
    lanes: [Mutex<Option<LaneProbe>>; VICTIMS],
    /// The next record is to cross the end of the ring. Written by the victim while delivery is not held.
    wraps: AtomicBool,
    /// Buffers, and messages that a lane holds.
    shape: (usize, usize),
}

/// One logger and what receives from it.
#[derive(Debug)]
struct Live {
    logger: Logger,
    receivers: Mutex<Vec<Receiver>>,
    contexts: [Context; PRODUCERS],
}

/// One thread's way to the logger.
#[derive(Debug)]
pub struct Producer<const MODE: u8> {
    subject: Arc<Dlt<MODE>>,
    generation: u64,
    context: Context,
    index: usize,
    text: &'static str,
}

impl Live {
    fn new(mode: OverflowMode, buffers: usize, capacity: usize) -> Result<Self, Box<dyn std::error::Error>> {
        let (receivers, streams): (Vec<_>, Vec<_>) =
            (0..buffers).map(|_| Receiver::pair()).collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        let config = Config::default()
            .with_num_buffers(buffers)
            .with_all_buffer_sizes(capacity)
            .with_overflow_mode(mode)
            .with_timeout(TIMEOUT);
        let logger = Logger::builder(APPLICATION).config(config).sink(Sink::Streams(streams)).build()?;
        let contexts = (0..PRODUCERS).map(|index| logger.context(&producer_name(index)));
        let contexts: Vec<_> = contexts.collect::<Result<_, _>>()?;
        let contexts = contexts.try_into().map_err(|_| "a context for each producer")?;
        Ok(Self { logger, receivers: Mutex::new(receivers), contexts })
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<const MODE: u8> Dlt<MODE> {
    /// With one buffer.
    ///
    /// # Panics
    /// If no logger can be made; in the process under test, which its controller notices.
    pub fn new() -> Self {
        Self::with_capacity(1, CAPACITY)
    }

    /// The same with this many buffers, of which each lane holds this many messages.
    #[expect(clippy::expect_used, reason = "the process under test has nothing else to do then")]
    pub(super) fn with_capacity(buffers: usize, capacity: usize) -> Self {
        let live = Live::new(Self::mode(), buffers, capacity).expect("a logger");
        Self {
            live: Mutex::new(Arc::new(live)),
            generation: AtomicU64::new(1),
            counted_before: AtomicU64::new(0),
            lanes: [const { Mutex::new(None) }; VICTIMS],
            wraps: AtomicBool::new(false),
            shape: (buffers, capacity),
        }
    }

    fn mode() -> OverflowMode {
        OverflowMode::ALL.into_iter().find(|&mode| mode as u8 == MODE).unwrap_or(OverflowMode::Overwrite)
    }

    /// Does something with the caller's lane, which it has by now.
    #[expect(clippy::expect_used, reason = "as in `new`")]
    fn with_lane<R>(&self, caller: &Caller<Self>, action: impl FnOnce(&LaneProbe) -> R) -> R {
        let lane = LaneProbe::of_this_thread(&caller.producer.context).expect("a lane");
        let result = action(&lane);
        *locked(&self.lanes[caller.index()]) = Some(lane);
        result
    }

    /// Logs and delivers until the next record crosses the end of the ring.
    fn move_to_end(&self, caller: &mut Caller<Self>) {
        loop {
            let look = self.with_lane(caller, LaneProbe::look);
            if look.unsettled > CAPACITY as u64 / 2 {
                self.flush();
            }
            let left = (look.words - CROSSING).wrapping_sub(look.next_word) % look.words;
            let words = match left {
                0 => break,
                4..=9 => left,
                10 | 11 => left - 6,
                _ => 6,
            };
            // 15 bytes of the payload and two words of header are not text.
            let bytes = (words - 2) * 8 - 15;
            caller.producer.text = &LONG[..bytes as usize];
            caller.log();
        }
        caller.producer.text = TEXT;
    }

    /// The context of this producer.
    pub(super) fn context(&self, index: usize) -> Context {
        self.live().contexts[index].clone()
    }

    /// Everything that was logged is delivered, if nobody stands.
    pub(super) fn flush(&self) {
        let _ = self.live().logger.flush(FLUSH);
    }

    /// One of [`CHORES`].
    pub(super) fn do_chore(&self, index: usize, flush: Duration, newcomer: &mut dyn FnMut()) {
        let live = self.live();
        match index {
            0 => newcomer(),
            1 => {
                let other =
                    if MODE == DROP_NEWEST { OverflowMode::Overwrite } else { OverflowMode::DropNewest };
                live.logger.set_overflow_mode(other);
                live.logger.set_overflow_mode(Self::mode());
            }
            2 => {
                std::hint::black_box(live.logger.stats());
            }
            3 => second_logger(),
            _ => {
                let _ = live.logger.flush(flush);
            }
        }
    }

    fn live(&self) -> Arc<Live> {
        Arc::clone(&locked(&self.live))
    }

    #[expect(clippy::expect_used, reason = "as in `new`")]
    fn renew(&self) {
        let (buffers, capacity) = self.shape;
        let new = Arc::new(Live::new(Self::mode(), buffers, capacity).expect("a logger"));
        let old = std::mem::replace(&mut *locked(&self.live), new);
        self.counted_before.fetch_add(lost(&old.logger), Relaxed);
        self.generation.fetch_add(1, Release);
    }
}

impl<const MODE: u8> Default for Dlt<MODE> {
    fn default() -> Self {
        Self::new()
    }
}

fn lost(logger: &Logger) -> u64 {
    let total = logger.stats().total();
    total.overwritten
        + total.timed_out
        + total.dropped_full
        + total.dropped_too_large
        + total.dropped_no_lane
        + total.sink_lost
        + total.lost_at_close
}

impl<const MODE: u8> Producer<MODE> {
    fn catch_up(&mut self) {
        let generation = self.subject.generation.load(Acquire);
        if generation != self.generation {
            self.context = self.subject.context(self.index);
            self.generation = generation;
        }
    }
}

/// Another logger of the same process, from its beginning to its end.
fn second_logger() {
    let config = Config::default().with_num_buffers(1).with_all_buffer_sizes(2);
    let Ok(logger) = Logger::builder("SCND").config(config).build() else { return };
    if let Ok(context) = logger.context("SCND") {
        dlt_logger::dlt_info!(context, 1u32);
    }
    logger.shutdown(FLUSH);
}

/// What threads do besides logging while a victim stands.
pub(super) const CHORES: [&str; 5] = [
    "register, log and end a thread",
    "change the mode and change it back",
    "read statistics",
    "make, use and close a second logger",
    "flush",
];

impl<const MODE: u8> Subject for Dlt<MODE> {
    type Producer = Producer<MODE>;

    const STATES: &'static [&'static str] = &NAMES;
    const CHORES: &'static [&'static str] = &CHORES;
    const CROWD_CALLS: u64 = CAPACITY as u64 - 6;

    fn producer(self: &Arc<Self>, index: usize) -> Producer<MODE> {
        // In this order: a newer logger than its generation is replaced at the next call.
        let generation = self.generation.load(Acquire);
        let context = self.context(index);
        Producer { subject: Arc::clone(self), generation, context, index, text: TEXT }
    }

    fn log(producer: &mut Producer<MODE>, id: u64) {
        producer.catch_up();
        log_call(&producer.context, id as u32, producer.text);
    }

    fn entry() -> usize {
        log_call as *const () as usize
    }

    fn entry_in(state: usize) -> usize {
        if ALL[state].0 == State::Ends { hooks::thread_end() } else { Self::entry() }
    }

    fn counted(&self) -> u64 {
        self.counted_before.load(Relaxed) + lost(&self.live().logger)
    }

    fn deliver(&self, books: &Books) -> bool {
        let live = self.live();
        let mut receivers = locked(&live.receivers);
        let mut any = false;
        for receiver in receivers.iter_mut() {
            any |= receiver.receive(books, &LONG);
        }
        any
    }

    fn hold(&self) {
        self.live().logger.pause_workers();
    }

    fn release(&self) {
        self.live().logger.resume_workers();
    }

    fn prepare(&self, state: usize, caller: &mut Caller<Self>) {
        let (state, _) = ALL[state];
        if state == State::FirstNew {
            self.renew();
        }
        self.wraps.store(state == State::Wrap, Relaxed);
        let live = self.live();
        live.logger.set_overflow_mode(Self::mode());
        self.flush();
        caller.producer.text = TEXT;
        match state {
            State::FirstNew => {}
            State::FirstRecycled | State::Ends => {
                // Its own thread has no use for its lane now; a lane of another ended thread is there from now on.
                let context = self.context(NEWCOMER);
                let _ = std::thread::spawn(move || LaneProbe::register(&context)).join();
            }
            State::Wrap => {
                caller.log();
                self.move_to_end(caller);
            }
            State::Stale => {
                // Full, then delivered: the caller knows of no room, and there is all of it.
                caller.log();
                self.flush();
                self.with_lane(caller, LaneProbe::refresh);
                (0..CAPACITY).for_each(|_| caller.log());
            }
            _ => caller.log(),
        }
        self.flush();
    }

    fn place(&self, state: usize, caller: &mut Caller<Self>) {
        let (state, _) = ALL[state];
        let live = self.live();
        if state == State::ModeChanged {
            live.logger.set_overflow_mode(OverflowMode::DropNewest);
        }
        if state != State::Stale {
            self.with_lane(caller, LaneProbe::refresh);
        }
        match state {
            State::Half => (0..CAPACITY / 2).for_each(|_| caller.log()),
            State::Full | State::ModeChanged => (0..CAPACITY).for_each(|_| caller.log()),
            State::Long => {
                caller.producer.text = &MIDDLE;
                while self.with_lane(caller, LaneProbe::look).kept_words + 32 <= WORDS {
                    caller.log();
                }
                caller.producer.text = &LONG;
            }
            _ => {}
        }
        live.logger.set_overflow_mode(Self::mode());
    }

    fn look(&self) -> [u64; LOOK_WORDS] {
        let mut words = [0; LOOK_WORDS];
        if let Some(lane) = &*locked(&self.lanes[0]) {
            let look = lane.look();
            words = [
                look.waiting_words,
                look.kept_words,
                look.kept_records,
                look.unsettled,
                // Where in the ring the next record begins makes a difference only at its end.
                if self.wraps.load(Relaxed) { look.words - look.next_word } else { 0 },
                0,
                0,
                0,
            ];
        }
        words
    }

    fn chore(self: &Arc<Self>, index: usize, newcomer: &mut dyn FnMut()) {
        self.do_chore(index, FLUSH, newcomer);
    }

    fn is_first_call(state: usize) -> bool {
        matches!(ALL[state].0, State::FirstNew | State::FirstRecycled | State::Ends)
    }

    fn worker(&self) -> Option<u32> {
        self.live().logger.worker_tids().first().copied()
    }
}
