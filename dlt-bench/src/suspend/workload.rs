//! What runs in the process under test: producers, the logger, its workers, receivers.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::compiler_fence;
use std::thread::JoinHandle;
use std::time::Duration;

use dlt_logger::{Config, Logger, Outcome};
use nix::unistd::gettid;

use super::receiver;
use super::words::{Phase, ProducerWords, STREAMS, Watch, Words};
use crate::collector::Received;
use crate::control::Control;
#[cfg(feature = "peers")]
use crate::control::libdlt::{self, Libdlt};
use crate::control::lock::{MutexLock, Spin, SpinLock, Yield};
use crate::error::Error;
use crate::load::accounting::{self, Accounts};
use crate::load::message::producer_name;
use crate::load::plan::LoggerKind;
use crate::load::producer::{Producer, Tally};
use crate::load::sink::Endpoint;
use crate::load::target::{Build, Target};
use crate::measure::clock::monotonic_ns;
use crate::measure::latency::Shared as Delivery;

/// Between two looks at a gate or a request.
const LOOK: Duration = Duration::from_micros(200);
/// Longest wait for everything to be delivered at the end.
const DRAIN: Duration = Duration::from_secs(10);

/// A logger that is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    /// dlt-logger or a control.
    Ours(LoggerKind),
    /// The C library, with its pipes in this folder.
    #[cfg_attr(not(feature = "peers"), expect(dead_code, reason = "it is not loaded then"))]
    Libdlt(PathBuf),
}

impl Subject {
    /// Its name in reports.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Ours(kind) => kind.name(),
            Self::Libdlt(_) => "libdlt",
        }
    }
}

/// What is to run.
#[derive(Debug, Clone)]
pub(super) struct Workload {
    /// Which logger.
    pub(super) subject: Subject,
    /// Its configuration.
    pub(super) config: Config,
    /// Number of producers.
    pub(super) producers: usize,
    /// These make their first call when the controller says so, and make nothing ready for it. The others begin at once.
    pub(super) held_back: Vec<usize>,
}

/// Runs it. Returns only when it cannot: the controller ends this process.
pub(super) fn run(workload: &Workload, words: &'static Words) -> i32 {
    let result = match &workload.subject {
        Subject::Ours(LoggerKind::Dlt) => serve::<Logger>(workload, words),
        Subject::Ours(LoggerKind::Mutex) => serve::<Control<MutexLock>>(workload, words),
        Subject::Ours(LoggerKind::Spin) => serve::<Control<SpinLock<Spin>>>(workload, words),
        Subject::Ours(LoggerKind::SpinYield) => serve::<Control<SpinLock<Yield>>>(workload, words),
        #[cfg(feature = "peers")]
        Subject::Libdlt(folder) => {
            libdlt::isolate(folder);
            serve::<Libdlt>(workload, words)
        }
        #[cfg(not(feature = "peers"))]
        Subject::Libdlt(_) => Err(Error::cannot_run("built without the feature `peers`")),
    };
    match result {
        Ok(()) => words.enter(Phase::Ended),
        Err(error) => fail(words, &error),
    }
    // The controller reads what is written and ends this process.
    loop {
        std::thread::park();
    }
}

fn fail(words: &Words, error: &Error) {
    words.text.set(&error.to_string());
    words.enter(Phase::Failed);
}

fn serve<T: Target>(workload: &Workload, words: &'static Words) -> Result<(), Error> {
    let config = &workload.config;
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: std::io::Error| Error::failed(format!("failed to start {what}: {error}"))
    };
    let (receivers, ends) = receiver::start(T::streams(config), words).map_err(failed("receivers"))?;
    let delivery = Arc::new(Delivery::default());
    let target = T::start(Build { config, endpoint: Endpoint::Streams(ends), delivery, sampling: 0 })?;
    let workers = target.worker_tids();
    for (word, &tid) in words.worker_tids.iter().zip(&workers) {
        word.store(tid, Relaxed);
    }
    words.worker_count.store(workers.len().min(STREAMS) as u32, Relaxed);
    words.call_address.store(call::<T::Producer> as *const () as u64, Relaxed);

    let producers = (0..workload.producers).map(|index| target.producer(&producer_name(index)));
    let producers = producers.collect::<Result<Vec<_>, _>>()?;
    let tallies = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (index, producer) in producers.into_iter().enumerate() {
            let (mine, target) = (&words.producers[index], &target);
            let prepares = !workload.held_back.contains(&index);
            let body = move || {
                if prepares {
                    target.prepare_thread();
                }
                produce(producer, mine, words)
            };
            let thread = std::thread::Builder::new().name(format!("producer-{index}"));
            let thread = thread.spawn_scoped(scope, body).map_err(failed("a producer"));
            // Those that wait at their gates leave: the scope waits for them.
            threads.push(thread.inspect_err(|error| fail(words, error))?);
        }
        while words.producers[..workload.producers].iter().any(|mine| mine.tid.load(Acquire) == 0) {
            std::thread::sleep(LOOK);
        }
        words.enter(Phase::Ready);
        while !words.has_reached(Phase::Ending) {
            answer_flush(&target, words);
            std::thread::sleep(LOOK);
        }
        let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined.collect::<Result<Vec<Tally>, _>>().map_err(|_| Error::failed("a producer panicked"))
    })?;
    close(target, workload, &tallies, receivers, words)
}

/// Delivers what is left and writes the books.
fn close<T: Target>(
    target: T,
    workload: &Workload,
    tallies: &[Tally],
    receivers: Vec<JoinHandle<Received>>,
    words: &Words,
) -> Result<(), Error> {
    let flushed = target.flush(DRAIN);
    let (terms, is_complete) = target.shutdown(DRAIN);
    let received = receivers.into_iter().map(JoinHandle::join).collect::<Result<Vec<_>, _>>();
    let received = received.map_err(|_| Error::failed("a receiver panicked"))?;
    let received = received.into_iter().reduce(Received::merge).unwrap_or_default();
    let accounts = Accounts {
        tallies,
        terms: &terms,
        received: Some(&received),
        one_stream_per_buffer: T::streams(&workload.config) == workload.config.num_buffers,
        says_losses: workload.subject == Subject::Ours(LoggerKind::Dlt),
        sink_failed: false,
    };
    let mut problems = accounting::check(&accounts);
    if let Err(undelivered) = flushed {
        problems
            .push(format!("{undelivered} messages were not delivered {} s after the end", DRAIN.as_secs()));
    }
    if !is_complete {
        problems.push("the logger did not end in time".to_owned());
    }
    let total = terms.total();
    let books = &words.books;
    books.attempted.store(tallies.iter().map(Tally::attempted).sum(), Relaxed);
    books.delivered.store(received.messages, Relaxed);
    books.dropped.store(total.dropped.total(), Relaxed);
    books.overwritten.store(total.overwritten, Relaxed);
    books.timed_out.store(total.timed_out, Relaxed);
    words.text.set(&problems.join("\n"));
    Ok(())
}

fn answer_flush<T: Target>(target: &T, words: &Words) {
    let flush = &words.flush;
    let request = flush.request.load(Acquire);
    if request == flush.answer.load(Relaxed) {
        return;
    }
    let begin_ns = monotonic_ns();
    let result = target.flush(Duration::from_nanos(flush.timeout_ns.load(Relaxed)));
    flush.took_ns.store(monotonic_ns().saturating_sub(begin_ns), Relaxed);
    flush.undelivered.store(result.err().unwrap_or_default(), Relaxed);
    flush.answer.store(request, Release);
}

/// One producer: calls without a pause, a clock reading after each.
fn produce<P: Producer>(mut producer: P, mine: &ProducerWords, words: &Words) -> Tally {
    let mut watch = Watch::default();
    let mut tally = Tally::default();
    let mut sequence = 0u32;
    mine.tid.store(gettid().as_raw().cast_unsigned(), Release);
    while mine.is_released.load(Acquire) == 0 {
        if words.has_reached(Phase::Ending) {
            return tally;
        }
        std::thread::sleep(LOOK);
    }
    while !words.has_reached(Phase::Ending) {
        mine.in_call.store(1, Relaxed);
        // Whoever stops the thread sees its memory in the order of its instructions.
        compiler_fence(Release);
        let outcome = call(&mut producer, sequence);
        compiler_fence(Acquire);
        mine.in_call.store(0, Relaxed);
        sequence = sequence.wrapping_add(1);
        mine.calls.store(u64::from(sequence), Relaxed);
        watch.note(&mine.call_gaps, monotonic_ns());
        tally.count(outcome);
        if outcome == Outcome::TimedOut {
            mine.timed_out.store(tally.timed_out, Relaxed);
        }
    }
    tally
}

/// The log call as a function of its own: it has an address at which a thread can be stopped.
#[inline(never)]
fn call<P: Producer>(producer: &mut P, sequence: u32) -> Outcome {
    producer.log(sequence)
}
