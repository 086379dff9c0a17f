//! dlt-logger's worker as the victim: two buffers, each with a worker and a stream. The first one is stopped.

use std::sync::Arc;
use std::time::Duration;

use dlt_logger::hooks::{self, LaneProbe};
use dlt_logger::{Context, Level};

use super::super::memory::{Books, NEWCOMER, VICTIMS};
use super::super::subject::{Caller, Subject};
use super::dlt::{BLOCK, CHORES, Dlt};
use crate::load::message::TEXT;
use crate::measure::clock::monotonic_ns;

/// Messages that a lane holds: few, so that a round is over after some thousand instructions.
const CAPACITY: usize = 32;
/// The stopped worker's buffer cannot be flushed; that has to end as well.
const FLUSH: Duration = Duration::from_millis(2);
/// DLT counts time in 0.1 ms.
const NS_PER_TICK: u64 = 100_000;

/// What the worker finds in its round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Nothing,
    Few,
    /// Many batches, and the ring's end among them.
    Full,
    /// More than the lane holds: in Overwrite some are lost, which is said in the log; else refused.
    Overload,
    /// A lane that it does not know yet, of a thread that has ended.
    NewLane,
    /// A few messages, and it is time to compare the clocks. In the other states it never is: the way depends on it.
    Clock,
}

const ALL: [State; 6] =
    [State::Nothing, State::Few, State::Full, State::Overload, State::NewLane, State::Clock];

/// dlt-logger with two buffers, in the overflow mode with this number.
#[derive(Debug)]
pub struct DltWorker<const MODE: u8>(Dlt<MODE>);

impl<const MODE: u8> DltWorker<MODE> {
    /// A logger with two buffers.
    pub fn new() -> Self {
        let logger = Dlt::with_capacity(2, CAPACITY);
        hooks::say_losses_at_once(&logger.context(0));
        Self(logger)
    }
}

impl<const MODE: u8> Default for DltWorker<MODE> {
    fn default() -> Self {
        Self::new()
    }
}

/// One thread's way to one of the buffers.
#[derive(Debug)]
pub struct Producer {
    context: Context,
    buffer: usize,
}

/// Waits until a DLT time stamp has just begun: what is logged now has one time, on which the worker's way depends.
fn await_tick() {
    while monotonic_ns() % NS_PER_TICK > NS_PER_TICK / 4 {
        std::hint::spin_loop();
    }
}

impl<const MODE: u8> Subject for DltWorker<MODE> {
    type Producer = Producer;

    const STATES: &'static [&'static str] =
        &["nothing to deliver", "a few messages", "full", "overload", "new lane", "clocks compared"];
    const CHORES: &'static [&'static str] = &CHORES;
    const CROWD_CALLS: u64 = CAPACITY as u64 - 6;

    fn producer(self: &Arc<Self>, index: usize) -> Producer {
        // The second member of the crowd is the one whose messages must arrive.
        let buffer = usize::from(index == VICTIMS + 1);
        Producer { context: self.0.context(index), buffer }
    }

    fn log(producer: &mut Producer, id: u64) {
        producer.context.log_to(producer.buffer, Level::Info, &(id as u32, TEXT));
    }

    fn entry() -> usize {
        Self::log as *const () as usize
    }

    fn counted(&self) -> u64 {
        self.0.counted()
    }

    fn deliver(&self, books: &Books) -> bool {
        self.0.deliver(books)
    }

    fn hold(&self) {
        self.0.hold();
    }

    fn release(&self) {
        self.0.release();
    }

    fn prepare(&self, _state: usize, _caller: &mut Caller<Self>) {
        self.0.flush();
    }

    fn place(&self, state: usize, caller: &mut Caller<Self>) {
        hooks::compare_clocks(&self.0.context(0), ALL[state] == State::Clock);
        let messages = match ALL[state] {
            State::Nothing => 0,
            State::Few | State::Clock => 3,
            State::Full => CAPACITY - 1,
            // In BlockWithTimeout each refused call takes the timeout.
            State::Overload if MODE == BLOCK => CAPACITY + 1,
            State::Overload => CAPACITY + 10,
            State::NewLane => {
                let context = self.0.context(NEWCOMER);
                let _ = std::thread::spawn(move || LaneProbe::register_in(&context, 0)).join();
                1
            }
        };
        await_tick();
        (0..messages).for_each(|_| caller.log());
    }

    fn chore(self: &Arc<Self>, index: usize, newcomer: &mut dyn FnMut()) {
        self.0.do_chore(index, FLUSH, newcomer);
    }

    fn worker(&self) -> Option<u32> {
        Subject::worker(&self.0)
    }
}
