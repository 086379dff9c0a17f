//! Producers that begin together, and what they did.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use dlt_peers::Contender;

use super::super::job::Job;
use super::usage::{Cpu, cpu_s_of, started};
use super::warm_up;
use crate::load::message::TEXT;

/// After the warm-up: what was logged is written, and workers are where they wait for more.
const QUIET: Duration = Duration::from_millis(60);
/// Calls between two looks at the time.
const CHUNK: u32 = 100;
/// Messages of all producers, at most: in the longest form of a line they fill half of what the sink may hold.
const MOST_MESSAGES: u64 = 10_000_000;

/// When all began.
#[derive(Debug)]
pub(super) struct Began {
    pub(super) at: Instant,
    pub(super) cpu: Cpu,
    /// What programs that the contender has started had used by then.
    pub(super) others_s: f64,
}

/// Runs `work` in each producer's thread, all at once, after a warm-up and a pause. Returns what each made of it.
pub(super) fn together<C: Contender, T: Send>(
    contender: &C,
    producers: usize,
    work: impl Fn(usize, &mut C::Producer) -> T + Sync,
) -> (Began, Vec<T>) {
    let (warm, go) = (Barrier::new(producers + 1), Barrier::new(producers + 1));
    std::thread::scope(|scope| {
        let one = |index: usize| {
            let (warm, go, work) = (&warm, &go, &work);
            move || {
                let mut producer = contender.producer(index);
                warm_up::<C>(&mut producer);
                warm.wait();
                go.wait();
                work(index, &mut producer)
            }
        };
        let threads: Vec<_> = (0..producers).map(|index| scope.spawn(one(index))).collect();
        warm.wait();
        std::thread::sleep(QUIET);
        // All producers wait already: they go on when this thread arrives.
        let began = Began { others_s: cpu_s_of(&started()), cpu: Cpu::now(), at: Instant::now() };
        go.wait();
        let join = |thread: std::thread::ScopedJoinHandle<'_, T>| match thread.join() {
            Ok(made) => made,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        (began, threads.into_iter().map(join).collect())
    })
}

/// Logs without a pause for the job's time, or its share of the job's messages. Returns the calls.
pub(super) fn flood<C: Contender>(job: &Job, producer: &mut C::Producer) -> u64 {
    let producers = job.producers as u64;
    let most = job.messages.unwrap_or(MOST_MESSAGES).div_ceil(producers);
    let deadline = Instant::now() + Duration::from_millis(job.time_ms);
    let mut done = 0;
    while done < most {
        let calls = (most - done).min(u64::from(CHUNK)) as u32;
        for number in 0..calls {
            C::log(producer, done as u32 + number, TEXT);
        }
        done += u64::from(calls);
        if job.messages.is_none() && Instant::now() >= deadline {
            break;
        }
    }
    done
}
