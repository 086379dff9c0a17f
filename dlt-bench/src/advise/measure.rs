//! Running a load with settings, and counting what is lost.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use dlt_logger::{Config, Context, Logger, Outcome, Sink, dlt_info};
use serde::Serialize;

use super::load::Load;
use super::model::{Settings, lane_bytes, lanes};
use super::receiver::{Received, Receiver};
use crate::error::{Error, chain};
use crate::interrupt;
use crate::load::message::{APPLICATION, PAYLOAD_BYTES, TEXT, producer_name};
use crate::measure::clock::monotonic_ns;

/// A thread that keeps a rate logs what is due this often.
const TICK_NS: u64 = 1_000_000;
/// From the start of the threads to the first message.
const LEAD: Duration = Duration::from_millis(50);
/// Wanted length of a run.
const TIME: Duration = Duration::from_secs(3);
/// Bursts or stalls of a run at most.
const MOST_EVENTS: u32 = 30;
/// Longest wait for the rest to be delivered.
const DRAIN: Duration = Duration::from_secs(20);

/// When what comes in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schedule {
    /// Length of the run.
    pub(super) time: Duration,
    /// When stalls begin, from the start; without stalls, when bursts come.
    pub(super) events: Vec<Duration>,
}

impl Schedule {
    /// Some three seconds with as many bursts and stalls as come in them, but one at least.
    pub(super) fn of(load: &Load) -> Self {
        if !load.has_events() {
            return Self { time: TIME, events: Vec::new() };
        }
        let count = (TIME.as_nanos() / load.every.as_nanos().max(1)).clamp(1, u128::from(MOST_EVENTS)) as u32;
        let first = (load.every / 2).min(Duration::from_secs(1));
        let events: Vec<_> = (0..count).map(|index| first + load.every * index).collect();
        let after = load.every.saturating_sub(load.stall).min(Duration::from_secs(1));
        Self { time: first + load.every * (count - 1) + load.stall + after, events }
    }
}

/// What became of the messages.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// Messages that were logged.
    pub attempted: u64,
    /// Messages that arrived.
    pub delivered: u64,
    /// Gave way to newer ones.
    pub overwritten: u64,
    /// Refused.
    pub dropped: u64,
    /// Given up after the timeout.
    pub timed_out: u64,
    /// Highest fill of a lane that was seen, in messages.
    pub high_mark_msgs: u64,
    /// Bytes of all lanes.
    pub memory_bytes: u64,
    /// Longest time in which a thread logged what was due at once.
    pub longest_turn_ms: f64,
    /// What does not agree; empty if every message arrived or is counted as lost.
    pub problems: Vec<String>,
}

impl Measured {
    /// Messages that did not arrive.
    pub const fn lost(&self) -> u64 {
        self.overwritten + self.dropped + self.timed_out
    }
}

/// The library's configuration.
pub(super) fn config(load: &Load, settings: &Settings) -> Config {
    // Room for the lanes, whatever the budget was: that has been compared already.
    let memory = lane_bytes(settings.capacity_msgs) * lanes(load.threads, settings.buffers) as u64;
    let config = Config::default()
        .with_num_buffers(settings.buffers)
        .with_all_buffer_sizes(settings.capacity_msgs)
        .with_batch_size(settings.batch_msgs)
        .with_overflow_mode(settings.mode)
        .with_memory_limit_bytes(memory);
    config.with_timeout(Duration::from_millis(settings.timeout_ms))
}

/// The string that makes a message of this size, together with its number.
pub(super) fn text(payload_bytes: usize) -> String {
    TEXT.chars().cycle().take((payload_bytes + TEXT.len()).saturating_sub(PAYLOAD_BYTES)).collect()
}

/// A logger on streams of a receiver, with a context for each thread.
pub(super) fn logger(
    config: Config,
    streams: Vec<std::os::fd::OwnedFd>,
    threads: usize,
) -> Result<(Logger, Vec<Context>), Error> {
    let failed = |error: &dyn std::error::Error| {
        Error::failed(format!("failed to start the logger: {}", chain(error)))
    };
    let builder = Logger::builder(APPLICATION).config(config).sink(Sink::Streams(streams));
    let logger = builder.build().map_err(|error| failed(&error))?;
    let context = |index| logger.context(&producer_name(index)).map_err(|error| failed(&error));
    let contexts = (0..threads).map(context).collect::<Result<_, _>>()?;
    Ok((logger, contexts))
}

/// Runs the load.
///
/// # Errors
/// A logger, receiver or thread cannot be started.
pub(super) fn run(load: &Load, settings: &Settings, schedule: &Schedule) -> Result<Measured, Error> {
    let start_ns = monotonic_ns() + LEAD.as_nanos() as u64;
    let ns = |time: Duration| time.as_nanos() as u64;
    let stalls =
        schedule.events.iter().map(|&at| (start_ns + ns(at), start_ns + ns(at + load.stall))).collect();
    let (receiver, streams) = Receiver::start(settings.buffers, stalls)?;
    let (logger, contexts) = logger(config(load, settings), streams, load.threads)?;
    let all_ready = Barrier::new(load.threads);
    let work = |(index, context): (usize, &Context)| {
        logger.prepare_thread();
        all_ready.wait();
        Thread {
            load,
            context,
            text: &text(load.payload_bytes),
            index,
            next: 0,
            refused: [0; 3],
            longest_ns: 0,
        }
        .run(start_ns, schedule)
    };
    let work = &work;
    let worked: Result<Vec<Worked>, Error> = std::thread::scope(|scope| {
        let started: Vec<_> = contexts.iter().enumerate().map(|one| scope.spawn(move || work(one))).collect();
        started
            .into_iter()
            .map(|thread| thread.join().map_err(|_| Error::failed("a thread has failed")))
            .collect()
    });
    let worked = worked?;
    // What is left over is counted as lost, and so noticed.
    let _ = logger.flush(if interrupt::requested() { Duration::from_millis(500) } else { DRAIN });
    let report = logger.shutdown(Duration::from_secs(2));
    let total = report.stats.total();
    let received = receiver.finish()?;
    let attempted = worked.iter().map(|worked| worked.attempted).sum();
    let mut measured = Measured {
        attempted,
        delivered: received.messages,
        overwritten: total.overwritten,
        dropped: total.dropped(),
        timed_out: total.timed_out,
        high_mark_msgs: total.fill_high_mark,
        memory_bytes: total.memory_bytes,
        longest_turn_ms: worked.iter().map(|worked| worked.longest_ns).max().unwrap_or_default() as f64 / 1e6,
        problems: Vec::new(),
    };
    measured.problems = problems(&measured, &worked, &received);
    Ok(measured)
}

/// Every account against every other.
fn problems(measured: &Measured, worked: &[Worked], received: &Received) -> Vec<String> {
    let mut problems = received.problems.clone();
    let mut expect = |what: &str, left: u64, right_name: &str, right: u64| {
        if left != right {
            problems.push(format!("{what} {left} != {right_name} {right}"));
        }
    };
    let accounted = measured.delivered + measured.lost();
    expect("logged", measured.attempted, "arrived + overwritten + dropped + timed out", accounted);
    let refused: u64 = worked.iter().map(|worked| worked.refused).sum();
    expect("calls refused", refused, "dropped + timed out", measured.dropped + measured.timed_out);
    // What is missing at the receiver, by the numbers that it saw, is what the logger says it lost.
    let seen = worked.iter().zip(&received.producers);
    let missing: u64 = seen.map(|(worked, (count, next))| worked.attempted.max(*next) - count).sum();
    expect("numbers missing at the receiver", missing, "lost", measured.lost());
    expect("losses said in the log", received.noted_losses, "lost", measured.lost());
    problems
}

/// What a thread did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Worked {
    attempted: u64,
    refused: u64,
    longest_ns: u64,
}

struct Thread<'a> {
    load: &'a Load,
    context: &'a Context,
    text: &'a str,
    index: usize,
    next: u32,
    /// Refused as full, timed out, anything else.
    refused: [u64; 3],
    longest_ns: u64,
}

impl Thread<'_> {
    fn run(mut self, start_ns: u64, schedule: &Schedule) -> Worked {
        let per_ns = self.load.rate_of_thread() / 1e9;
        // In the middle of a stall, so that it meets what the rate has brought until then, and what it still brings.
        let into_stall = self.load.stall.as_nanos() as u64 / 2;
        let mut bursts = schedule.events.iter().map(|at| at.as_nanos() as u64 + into_stall).peekable();
        let end_ns = schedule.time.as_nanos() as u64;
        // Spread, so that threads do not all log in the same instant.
        let offset_ns = TICK_NS * self.index as u64 / self.load.threads as u64;
        let (mut due_ns, mut kept) = (offset_ns, 0_u64);
        while due_ns < end_ns && !interrupt::requested() {
            let burst_ns = bursts.peek().copied().filter(|_| self.load.burst_msgs > 0).unwrap_or(u64::MAX);
            let next_ns = due_ns.min(burst_ns);
            let left_ns = (start_ns + next_ns).saturating_sub(monotonic_ns());
            if left_ns > 0 {
                std::thread::sleep(Duration::from_nanos(left_ns));
            }
            if burst_ns <= due_ns {
                bursts.next();
                self.log(self.load.burst_of_thread());
                continue;
            }
            let due = ((due_ns + TICK_NS) as f64 * per_ns) as u64;
            self.log(due.saturating_sub(kept));
            kept = due.max(kept);
            due_ns += TICK_NS;
        }
        let Self { next, refused, longest_ns, .. } = self;
        Worked { attempted: u64::from(next), refused: refused.iter().sum(), longest_ns }
    }

    fn log(&mut self, messages: u64) {
        let begin = Instant::now();
        for _ in 0..messages {
            match dlt_info!(self.context, self.next, self.text) {
                Outcome::Accepted => {}
                Outcome::Full => self.refused[0] += 1,
                Outcome::TimedOut => self.refused[1] += 1,
                _ => self.refused[2] += 1,
            }
            self.next += 1;
        }
        self.longest_ns = self.longest_ns.max(begin.elapsed().as_nanos() as u64);
    }
}

/// What a burst into lanes with room showed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Drained {
    /// From a call to the next.
    pub(super) call_ns: f64,
    /// Messages per second that arrived.
    pub(super) per_s: f64,
}

/// Has one thread log a burst of this many messages, of this size, to one worker with this batch.
pub(super) fn drain(messages: u64, payload_bytes: usize, settings: &Settings) -> Result<Drained, Error> {
    let load = Load { burst_msgs: messages, payload_bytes, ..Load::default() };
    let (receiver, streams) = Receiver::start(1, Vec::new())?;
    let (logger, contexts) = logger(config(&load, settings), streams, 1)?;
    let call_ns = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for context in &contexts {
            let (logger, load, call_ns) = (&logger, &load, &call_ns);
            scope.spawn(move || {
                logger.prepare_thread();
                let text = text(payload_bytes);
                let (mut thread, begin) = (
                    Thread { load, context, text: &text, index: 0, next: 0, refused: [0; 3], longest_ns: 0 },
                    Instant::now(),
                );
                thread.log(messages);
                call_ns.store(begin.elapsed().as_nanos() as u64, Relaxed);
            });
        }
    });
    let _ = logger.flush(DRAIN);
    drop(contexts);
    let _ = logger.shutdown(Duration::from_secs(2));
    let received = receiver.finish()?;
    let (first, last) =
        received.between_ns.ok_or_else(|| Error::failed("nothing arrived at the receiver"))?;
    Ok(Drained {
        call_ns: call_ns.load(Relaxed) as f64 / messages as f64,
        per_s: received.messages as f64 / ((last - first).max(1) as f64 / 1e9),
    })
}
