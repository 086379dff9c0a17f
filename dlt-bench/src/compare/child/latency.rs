//! What a call costs its thread.

use std::time::{Duration, Instant};

use dlt_peers::Contender;

use super::super::answer::{Answer, Measured};
use super::super::job::{BURST, Job, RATE_PER_S};
use super::usage::Cpu;
use super::{start, warm_up};
use crate::load::message::TEXT;
use crate::measure::clock::Clock;
use crate::measure::cpu;
use crate::measure::latency::Recorder;

/// After a burst. The thread stays awake, so that caches and clock are those of a busy thread.
const PAUSE_NS: u64 = 100_000;
/// Before the first burst that counts: workers are where they wait for more.
const QUIET: Duration = Duration::from_millis(60);

const CALLS: usize = BURST as usize;

/// Bursts with pauses. In every other burst each call is timed by itself, in the rest the burst as a whole, so that the
/// clock's cost can be told from the call's.
pub(super) fn bursts<C: Contender>(job: &Job) -> Result<Measured, Answer> {
    let (contender, mut measured) = start::<C>(job)?;
    let mut producer = contender.producer(0);
    warm_up::<C>(&mut producer);
    std::thread::sleep(QUIET);
    let clock = Clock::get();
    let pause = clock.ticks_in_ns(PAUSE_NS);
    let (mut whole, mut single, mut empty) = (Recorder::new(), Recorder::new(), Recorder::new());
    let mut number = 0;
    let until = End::of(job, 2 * BURST);
    while !until.is_reached(number) {
        wait(clock, pause);
        let begin = clock.ticks();
        for _ in 0..BURST {
            C::log(&mut producer, number, TEXT);
            number += 1;
        }
        whole.record(clock.ticks() - begin);

        wait(clock, pause);
        let mut edges = [0; CALLS + 1];
        edges[0] = clock.ticks();
        for edge in &mut edges[1..] {
            C::log(&mut producer, number, TEXT);
            number += 1;
            *edge = clock.ticks();
        }
        record(&mut single, &edges);

        wait(clock, pause);
        let mut edges = [0; CALLS + 1];
        edges[0] = clock.ticks();
        for edge in &mut edges[1..] {
            *edge = std::hint::black_box(clock.ticks());
        }
        record(&mut empty, &edges);
    }
    drop(producer);
    note_losses(&contender.finish(), &mut measured);
    if let Some(whole) = whole.summary(clock) {
        let per_call = whole.divided_by(BURST);
        measured.set("burst_call_p50_ns", per_call.p50);
        measured.set("burst_call_p99_ns", per_call.p99);
        measured.set("burst_call_p999_ns", per_call.p999);
    }
    set(&mut measured, "call", &single, clock);
    if let Some(empty) = empty.summary(clock) {
        measured.set("clock_p50_ns", empty.p50);
    }
    Ok(measured)
}

/// A fixed rate: from when a call was due to its end.
pub(super) fn paced<C: Contender>(job: &Job) -> Result<Measured, Answer> {
    let (contender, mut measured) = start::<C>(job)?;
    let mut producer = contender.producer(0);
    warm_up::<C>(&mut producer);
    std::thread::sleep(QUIET);
    let clock = Clock::get();
    let interval = clock.ticks_in_ns(1_000_000_000 / u64::from(RATE_PER_S));
    let mut response = Recorder::new();
    let (cpu_before, own_before_ns) = (Cpu::now(), cpu::this_thread_ns());
    let mut number = 0;
    let until = End::of(job, 1);
    let mut due = clock.ticks() + interval;
    while !until.is_reached(number) {
        while clock.ticks() < due {
            std::hint::spin_loop();
        }
        C::log(&mut producer, number, TEXT);
        response.record(clock.ticks() - due);
        number += 1;
        // Never from now on: a call that was late does not excuse the next.
        due += interval;
    }
    let own_s = (cpu::this_thread_ns() - own_before_ns) as f64 / 1e9;
    let cpu_s = Cpu::now().since(cpu_before).own_s;
    drop(producer);
    note_losses(&contender.finish(), &mut measured);
    set(&mut measured, "response", &response, clock);
    // The producer watches the clock all the time: its own share says nothing.
    measured.set("background_cpu_s_per_million", (cpu_s - own_s).max(0.0) / (f64::from(number) / 1e6));
    Ok(measured)
}

fn wait(clock: Clock, ticks: u64) {
    let begin = clock.ticks();
    while clock.ticks() - begin < ticks {
        std::hint::spin_loop();
    }
}

fn record(recorder: &mut Recorder, edges: &[u64; CALLS + 1]) {
    for pair in edges.windows(2) {
        recorder.record(pair[1] - pair[0]);
    }
}

fn set(measured: &mut Measured, what: &str, recorder: &Recorder, clock: Clock) {
    let Some(summary) = recorder.summary(clock) else { return };
    measured.set(&format!("{what}_p50_ns"), summary.p50);
    measured.set(&format!("{what}_p99_ns"), summary.p99);
    measured.set(&format!("{what}_p999_ns"), summary.p999);
    measured.set(&format!("{what}_max_ns"), summary.max);
    measured.set("samples", summary.samples as f64);
}

/// A call that drops its message costs less than one that does its work.
fn note_losses(finished: &dlt_peers::Finished, measured: &mut Measured) {
    measured.set("dropped", finished.dropped as f64);
}

/// When it is enough.
struct End {
    at: Instant,
    messages: Option<u32>,
    every: u32,
}

impl End {
    fn of(job: &Job, every: u32) -> Self {
        Self {
            at: Instant::now() + Duration::from_millis(job.time_ms),
            messages: job.messages.map(|messages| u32::try_from(messages).unwrap_or(u32::MAX)),
            every,
        }
    }

    /// After at least one round.
    fn is_reached(&self, done: u32) -> bool {
        if done < self.every {
            return false;
        }
        self.messages.map_or_else(|| Instant::now() >= self.at, |messages| done >= messages)
    }
}
