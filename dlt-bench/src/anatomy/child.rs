//! The process under test: one thread that makes single calls when it is told to, with the ring in a known state.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};
use std::time::Duration;

use dlt_logger::{Config, Context, Level, Logger, Outcome, Sink};
use nix::unistd::gettid;

use super::call::{control_call, log_call};
use super::subject::{State, Subject};
use crate::control::lock::{MutexLock, Spin, SpinLock, Yield};
use crate::control::{Control, Lock};
use crate::error::{Error, chain};
use crate::load::message::{APPLICATION, TEXT, producer_name};
use crate::load::plan::LoggerKind;
use crate::load::sink::Endpoint;
use crate::load::target::{Build, Target};
use crate::measure::latency;
use crate::stop::{Child, Zeroed, shared};

/// Messages that the lane holds.
const CAPACITY: u32 = 2048;
/// Before every looked-at call the number of records so far is a multiple of this: the record then lies in the same way on
/// its cache lines, whatever whole number of words it has.
const STRIDE: u32 = 64;
/// For what takes microseconds.
const LIMIT: Duration = Duration::from_secs(10);
/// The thread looks for its orders this often.
const PAUSE: Duration = Duration::from_micros(100);

/// What both processes see. All words count calls, from 1.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Words {
    /// The thread's id; 0 until it runs.
    pub(super) tid: AtomicU32,
    /// The state was brought about for this call …
    pub(super) ready: AtomicU32,
    /// … the call may be made …
    pub(super) go: AtomicU32,
    /// … and has returned.
    pub(super) done: AtomicU32,
    /// What it returned, see [`number`].
    pub(super) outcome: AtomicU32,
    /// The state could not be brought about.
    pub(super) failed: AtomicU32,
}

// SAFETY: atomics only.
#[expect(unsafe_code, reason = "memory that both processes map")]
unsafe impl Zeroed for Words {}

/// A process under test.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) child: Child,
    pub(super) words: &'static Words,
    /// Address of the function that makes the call.
    pub(super) entry: u64,
}

impl Process {
    /// Starts it; its thread waits for the first order.
    pub(super) fn start(subject: Subject) -> Result<Self, Error> {
        let words = shared::<Words>()?;
        let child = Child::fork(|| match run(subject, words) {
            Ok(()) => 0,
            Err(error) => {
                let _ = std::io::Write::write_all(
                    &mut std::io::stderr(),
                    format!("error: in the process under test: {error}\n").as_bytes(),
                );
                1
            }
        })?;
        let mut process = Self { child, words, entry: entry(subject.logger) };
        process.await_word("start its thread", |words| words.tid.load(Acquire) != 0)?;
        Ok(process)
    }

    /// Waits until the thread has done something.
    pub(super) fn await_word(&mut self, what: &str, is_so: impl Fn(&Words) -> bool) -> Result<(), Error> {
        let words = self.words;
        let is_over = || is_so(words) || words.failed.load(Acquire) != 0;
        if self.child.await_that(LIMIT, is_over)? && words.failed.load(Acquire) == 0 {
            return Ok(());
        }
        Err(Error::failed(format!("the process under test did not {what}")))
    }
}

/// The function that makes the call: the same address in both processes.
fn entry(logger: LoggerKind) -> u64 {
    let entry = match logger {
        LoggerKind::Dlt => log_call as *const (),
        LoggerKind::Mutex => control_call::<MutexLock> as *const (),
        LoggerKind::Spin => control_call::<SpinLock<Spin>> as *const (),
        LoggerKind::SpinYield => control_call::<SpinLock<Yield>> as *const (),
    };
    entry as u64
}

/// The child's whole life: it is killed.
fn run(subject: Subject, words: &'static Words) -> Result<(), Error> {
    let config = Config::default()
        .with_num_buffers(1)
        .with_all_buffer_sizes(CAPACITY as usize)
        .with_overflow_mode(subject.mode);
    match subject.logger {
        LoggerKind::Dlt => dlt(subject, &config, words),
        LoggerKind::Mutex => control::<MutexLock>(&config, words),
        LoggerKind::Spin => control::<SpinLock<Spin>>(&config, words),
        LoggerKind::SpinYield => control::<SpinLock<Yield>>(&config, words),
    }
}

fn dlt(subject: Subject, config: &Config, words: &'static Words) -> Result<(), Error> {
    let logger = Logger::builder(APPLICATION)
        .config(config.clone())
        .sink(Sink::Null)
        .build()
        .map_err(|error| Error::failed(format!("failed to start the logger: {}", chain(&error))))?;
    let context = logger
        .context(&producer_name(0))
        .map_err(|error| Error::failed(format!("failed to make a context: {error}")))?;
    in_thread(|| {
        let log = |number: u32| log_call(black_box(&context), number, black_box(TEXT));
        let prepare = |calls: &mut u32| bring_about(subject.state, &logger, &context, calls, log);
        serve(words, prepare, log);
    })
}

/// The state of the ring, with the workers held back. `calls` is the number of records so far.
fn bring_about(
    state: State,
    logger: &Logger,
    context: &Context,
    calls: &mut u32,
    log: impl Fn(u32) -> Outcome,
) -> bool {
    context.set_threshold(Some(Level::Info));
    logger.resume_workers();
    let least = if state == State::Full { 2 * CAPACITY } else { 0 };
    if state == State::Full {
        logger.pause_workers();
    }
    loop {
        log(*calls);
        *calls += 1;
        if *calls >= least && calls.is_multiple_of(STRIDE) {
            break;
        }
    }
    if state != State::Full {
        if logger.flush(LIMIT).is_err() {
            return false;
        }
        logger.pause_workers();
    }
    if state == State::LevelOff {
        context.set_threshold(None);
    } else {
        // The looked-at call makes one more.
        *calls += 1;
    }
    true
}

fn control<L: Lock>(config: &Config, words: &'static Words) -> Result<(), Error> {
    let target = Control::<L>::start(Build {
        config,
        endpoint: Endpoint::Null,
        delivery: Arc::new(latency::Shared::default()),
        sampling: 0,
    })?;
    let mut caller = target.producer(&producer_name(0))?;
    in_thread(move || {
        let caller = std::cell::RefCell::new(&mut caller);
        let log = |number: u32| control_call::<L>(&mut caller.borrow_mut(), number);
        let prepare = |_: &mut u32| {
            (0..STRIDE).for_each(|number| {
                log(number);
            });
            target.flush(LIMIT).is_ok()
        };
        serve(words, prepare, log);
    })
}

/// Runs this in a thread of its own, so that the process is there when the thread is stopped.
fn in_thread(body: impl FnOnce() + Send) -> Result<(), Error> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("caller".into()).spawn_scoped(scope, body);
        thread.map(drop).map_err(|error| Error::failed(format!("failed to start a thread: {error}")))
    })
}

/// The thread: waits for its orders, makes one call for each.
fn serve(words: &Words, mut prepare: impl FnMut(&mut u32) -> bool, log: impl Fn(u32) -> Outcome) {
    words.tid.store(gettid().as_raw().cast_unsigned(), Release);
    let mut calls = 0;
    for order in 1.. {
        if !prepare(&mut calls) {
            words.failed.store(1, Release);
            return;
        }
        words.ready.store(order, Release);
        while words.go.load(Acquire) != order {
            std::thread::sleep(PAUSE);
        }
        let outcome = log(black_box(calls));
        words.outcome.store(number(outcome), Relaxed);
        words.done.store(order, Release);
    }
}

/// An outcome as a word; 0 stands for none.
fn number(outcome: Outcome) -> u32 {
    OUTCOMES.iter().position(|known| *known == outcome).map_or(0, |index| index as u32 + 1)
}

/// The name of an outcome.
pub(super) fn outcome_name(number: u32) -> String {
    let outcome = OUTCOMES.get((number as usize).wrapping_sub(1));
    outcome.map_or_else(|| "unknown".to_owned(), |outcome| format!("{outcome:?}"))
}

const OUTCOMES: [Outcome; 7] = [
    Outcome::Accepted,
    Outcome::Filtered,
    Outcome::Full,
    Outcome::TooLarge,
    Outcome::NoLane,
    Outcome::TimedOut,
    Outcome::Closed,
];
