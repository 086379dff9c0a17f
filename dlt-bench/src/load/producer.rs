//! The loops that call the logger.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use dlt_logger::Outcome;
use dlt_probe_ebpf::SlotPtr;

use super::plan::{Pass, Plan, Shape, Volume};
use crate::interrupt;
use crate::measure::bursts::Bursts;
use crate::measure::clock::{Clock, monotonic_ns};
use crate::measure::cpu;
use crate::measure::latency::Recorder;

/// Calls between two looks at the time: 250 calls of 10 ns against one clock reading.
const CHUNK: usize = 250;
/// A producer that is in a round when its time is up finishes it, but not for longer than this.
const ROUND_OVERTIME_NS: u64 = 500_000_000;
/// A preemption costs two context switches and another thread's work: a sample below this was none.
const LEAST_PREEMPTION_NS: u64 = 5_000;
/// A timer may be late by about 50 µs: sleep until this long before a call is due, then watch the clock.
const SPIN_BEFORE_DUE_NS: u64 = 80_000;

/// What is called: the logger as one thread sees it.
pub trait Producer {
    /// Logs the message with this sequence number.
    fn log(&mut self, sequence: u32) -> Outcome;
}

/// What the calls of one producer returned. Each call is counted exactly once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Accepted.
    pub accepted: u64,
    /// Refused: lane full.
    pub full: u64,
    /// Refused: too large.
    pub too_large: u64,
    /// Refused: no lane.
    pub no_lane: u64,
    /// Given up after the timeout.
    pub timed_out: u64,
    /// Refused: logger closed.
    pub closed: u64,
    /// Not attempted: below the threshold.
    pub filtered: u64,
}

impl Tally {
    /// Messages that took a sequence number and count as attempted.
    pub const fn attempted(&self) -> u64 {
        self.accepted + self.refused()
    }

    /// Messages that the call itself refused.
    pub const fn refused(&self) -> u64 {
        self.full + self.too_large + self.no_lane + self.timed_out + self.closed + self.filtered
    }

    #[inline(always)]
    pub(crate) fn count(&mut self, outcome: Outcome) {
        if outcome == Outcome::Accepted {
            self.accepted += 1;
        } else {
            self.count_refused(outcome);
        }
    }

    #[inline(never)]
    fn count_refused(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Accepted => self.accepted += 1,
            Outcome::Full => self.full += 1,
            Outcome::TooLarge => self.too_large += 1,
            Outcome::NoLane => self.no_lane += 1,
            Outcome::TimedOut => self.timed_out += 1,
            Outcome::Closed => self.closed += 1,
            Outcome::Filtered => self.filtered += 1,
        }
    }
}

/// Latencies of one producer, in ticks.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    /// Of every call in which the thread was not preempted: from before the call to after it.
    pub service: Recorder,
    /// Of these, the calls whose message was accepted.
    pub accepted: Recorder,
    /// Calls in which the thread was preempted.
    pub preempted: Recorder,
    /// Paced: from the time at which the call was due to its end, preempted or not.
    pub response: Recorder,
    /// Bursts: ticks of a whole burst without clock readings between its calls.
    pub bursts: Bursts,
}

impl Latencies {
    /// Adds another producer's.
    pub fn merge(&mut self, other: &Self) {
        let Self { service, accepted, preempted, response, bursts } = other;
        self.service.merge(service);
        self.accepted.merge(accepted);
        self.preempted.merge(preempted);
        self.response.merge(response);
        self.bursts.merge(bursts);
    }
}

/// What one producer did.
#[derive(Debug, Clone)]
pub struct Worked {
    /// What its calls returned.
    pub tally: Tally,
    /// `CLOCK_MONOTONIC` at the first call.
    pub begin_ns: u64,
    /// `CLOCK_MONOTONIC` after the last call.
    pub end_ns: u64,
    /// CPU time in between.
    pub cpu_ns: u64,
    /// Context switches in between.
    pub switches: cpu::Switches,
    /// Latency pass: what the calls took.
    pub latencies: Latencies,
}

/// One producer at work.
#[derive(Debug)]
pub(crate) struct Work<'a, P> {
    producer: P,
    slot: SlotPtr,
    stop: &'a AtomicBool,
    clock: Clock,
    tally: Tally,
    next: u32,
    latencies: Latencies,
    /// Latency pass: ticks of the calls of a chunk, and whether the message was accepted.
    samples: Vec<(u64, bool)>,
}

impl<'a, P: Producer> Work<'a, P> {
    pub(crate) fn new(producer: P, slot: SlotPtr, stop: &'a AtomicBool) -> Self {
        Self {
            producer,
            slot,
            stop,
            clock: Clock::get(),
            tally: Tally::default(),
            next: 0,
            latencies: Latencies::default(),
            samples: Vec::with_capacity(CHUNK),
        }
    }

    /// Logs as `plan` says. `messages` is this producer's share where the plan counts messages.
    pub(crate) fn run(mut self, plan: &Plan, messages: u64) -> Worked {
        if let Shape::Paced { calls, .. } | Shape::Bursts { calls, .. } = plan.shape {
            self.samples.reserve(calls as usize);
        }
        let switches = cpu::switches();
        let cpu_ns = cpu::this_thread_ns();
        let begin_ns = monotonic_ns();
        match plan.shape {
            Shape::Continuous => self.continuous(plan, messages, begin_ns),
            Shape::Bursts { calls, pause } => self.bursts(plan, messages, begin_ns, (calls, pause)),
            Shape::Paced { calls, interval, spacing } => {
                let pace = Pace {
                    calls,
                    interval_ns: interval.as_nanos() as u64,
                    spacing_ns: spacing.as_nanos() as u64,
                };
                self.paced(plan, messages, begin_ns, pace);
            }
        }
        let end_ns = monotonic_ns();
        let cpu_ns = cpu::this_thread_ns() - cpu_ns;
        let after = cpu::switches();
        Worked {
            tally: self.tally,
            begin_ns,
            end_ns,
            cpu_ns,
            switches: cpu::Switches {
                voluntary: after.voluntary - switches.voluntary,
                involuntary: after.involuntary - switches.involuntary,
            },
            latencies: self.latencies,
        }
    }

    fn must_stop(&self) -> bool {
        interrupt::requested() || self.stop.load(Relaxed)
    }

    fn continuous(&mut self, plan: &Plan, messages: u64, begin_ns: u64) {
        let limit = Limit::new(plan, messages, begin_ns);
        let mut done = 0;
        while !limit.is_reached(done) && !self.must_stop() {
            let calls = limit.calls(done);
            done += match plan.pass {
                Pass::Throughput => self.chunk(calls),
                Pass::Latency => self.timed_chunk(calls),
            };
        }
    }

    fn bursts(
        &mut self,
        plan: &Plan,
        messages: u64,
        begin_ns: u64,
        (whole, pause): (u32, std::time::Duration),
    ) {
        let limit = Limit::new(plan, messages, begin_ns);
        let pause = self.clock.ticks_in_ns(pause.as_nanos() as u64);
        let (mut done, mut is_whole) = (0, false);
        while !limit.is_reached(done) && !self.must_stop() {
            let calls = limit.calls_of(done, u64::from(whole));
            // In turn: clock readings around each call, and around the burst as a whole.
            is_whole = !is_whole;
            done += match plan.pass {
                Pass::Throughput => self.chunk(calls),
                Pass::Latency if is_whole => {
                    let before = self.clock.ticks();
                    let done = self.chunk(calls);
                    let ticks = self.clock.ticks().wrapping_sub(before);
                    // The last one may be cut short by the number of messages.
                    if done == u64::from(whole) {
                        self.latencies.bursts.record(ticks);
                    }
                    done
                }
                Pass::Latency => self.timed_chunk(calls),
            };
            let end = self.clock.ticks().wrapping_add(pause);
            while self.clock.ticks().wrapping_sub(end).cast_signed() < 0 {
                std::hint::spin_loop();
            }
        }
    }

    fn paced(&mut self, plan: &Plan, messages: u64, begin_ns: u64, pace: Pace) {
        let limit = Limit::new(plan, messages, begin_ns);
        let mut done = 0;
        for burst in 0.. {
            let due_ns = begin_ns + burst * pace.interval_ns;
            if limit.is_reached(done) || limit.is_past(due_ns) || self.must_stop() {
                break;
            }
            sleep_until(due_ns.saturating_sub(SPIN_BEFORE_DUE_NS));
            let switches = cpu::switches();
            let calls = limit.calls_of(done, u64::from(pace.calls));
            self.samples.clear();
            for call in 0..calls as u64 {
                let due_ns = due_ns + call * pace.spacing_ns;
                while monotonic_ns() < due_ns {
                    std::hint::spin_loop();
                }
                self.timed_call();
                let late_ns = monotonic_ns() - due_ns;
                self.latencies.response.record(self.clock.ticks_in_ns(late_ns));
                done += 1;
            }
            self.book(switches);
        }
    }

    /// Calls without a clock around them. Returns how many: a call that timed out ends the chunk, since 250 of them
    /// may take minutes.
    #[inline(never)]
    fn chunk(&mut self, calls: usize) -> u64 {
        for done in 1..=calls as u64 {
            self.slot.enter();
            let outcome = self.producer.log(self.next);
            self.slot.leave();
            self.tally.count(outcome);
            self.next += 1;
            if outcome == Outcome::TimedOut {
                return done;
            }
        }
        calls as u64
    }

    /// The same with a clock reading on both sides of each call.
    #[inline(never)]
    fn timed_chunk(&mut self, calls: usize) -> u64 {
        let switches = cpu::switches();
        self.samples.clear();
        let mut done = 0;
        while done < calls as u64 {
            done += 1;
            if self.timed_call() == Outcome::TimedOut {
                break;
            }
        }
        self.book(switches);
        done
    }

    #[inline(always)]
    fn timed_call(&mut self) -> Outcome {
        let before = self.clock.ticks();
        self.slot.enter();
        let outcome = self.producer.log(self.next);
        self.slot.leave();
        let ticks = self.clock.ticks().wrapping_sub(before);
        self.tally.count(outcome);
        self.next += 1;
        self.samples.push((ticks, outcome == Outcome::Accepted));
        outcome
    }

    /// Records the samples of a chunk. The kernel says how often the thread was preempted in it; where is not known, so
    /// as many of the longest samples are taken for preempted ones, if they are long enough for that.
    fn book(&mut self, before: cpu::Switches) {
        let preemptions = cpu::switches().involuntary - before.involuntary;
        for _ in 0..preemptions {
            let longest = self.samples.iter().enumerate().max_by_key(|(_, (ticks, _))| *ticks);
            let Some((index, &(ticks, _))) = longest else { break };
            if self.clock.ns(ticks) < LEAST_PREEMPTION_NS as f64 {
                break;
            }
            self.samples.swap_remove(index);
            self.latencies.preempted.record(ticks);
        }
        for &(ticks, is_accepted) in &self.samples {
            self.latencies.service.record(ticks);
            if is_accepted {
                self.latencies.accepted.record(ticks);
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Pace {
    calls: u32,
    interval_ns: u64,
    spacing_ns: u64,
}

/// When a producer has done its part.
#[derive(Debug, Clone, Copy)]
enum Limit {
    Messages(u64),
    Time { end_ns: u64, round: u64 },
}

impl Limit {
    fn new(plan: &Plan, messages: u64, begin_ns: u64) -> Self {
        match plan.volume {
            Volume::Messages(_) => Self::Messages(messages),
            Volume::AtLeast { time, round } => {
                let round = (round / plan.producers as u64).max(1);
                Self::Time { end_ns: begin_ns + time.as_nanos() as u64, round }
            }
        }
    }

    fn is_reached(&self, done: u64) -> bool {
        match *self {
            Self::Messages(messages) => done >= messages,
            Self::Time { end_ns, round } => {
                let now = monotonic_ns();
                now >= end_ns && (done.is_multiple_of(round) || now >= end_ns + ROUND_OVERTIME_NS)
            }
        }
    }

    /// True if a call that is due then is none of this run's.
    fn is_past(&self, due_ns: u64) -> bool {
        matches!(*self, Self::Time { end_ns, .. } if due_ns >= end_ns)
    }

    /// Calls of the next chunk: it ends where a round ends.
    fn calls(&self, done: u64) -> usize {
        self.calls_of(done, CHUNK as u64)
    }

    fn calls_of(&self, done: u64, most: u64) -> usize {
        let left = match *self {
            Self::Messages(messages) => messages - done,
            Self::Time { round, .. } => round - done % round,
        };
        left.min(most) as usize
    }
}

fn sleep_until(time_ns: u64) {
    let left = time_ns.saturating_sub(monotonic_ns());
    if left > 0 {
        std::thread::sleep(std::time::Duration::from_nanos(left));
    }
}
