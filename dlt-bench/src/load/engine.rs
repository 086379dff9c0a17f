//! One run.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use dlt_logger::Logger;
use dlt_probe_ebpf::Role;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use super::accounting::{self, Accounts};
use super::message::producer_name;
use super::plan::{LoggerKind, MAX_PRODUCERS, Plan, Volume};
use super::producer::{Tally, Work, Worked};
use super::sink::{self, FILE_LIMIT_BYTES, Opened};
use super::target::{Build, Target};
use super::terms::Terms;
use crate::collector::{self, Collector, Received};
use crate::control::Control;
use crate::control::lock::{MutexLock, Spin, SpinLock, Yield};
use crate::error::Error;
use crate::interrupt;
use crate::measure::clock::{Clock, monotonic_ns};
use crate::measure::cpu;
use crate::measure::latency::{Shared, Summary};
use crate::watch::Watcher;

/// Between two looks of the driver at what goes on.
const LOOK: Duration = Duration::from_millis(10);
/// Longest wait for everything to be delivered.
const DRAIN: Duration = Duration::from_secs(10);
/// The same when the sink has failed or the run is interrupted: what is left is counted as lost.
const SHORT_DRAIN: Duration = Duration::from_millis(500);
/// Longest wait for workers to end and streams to close.
const END: Duration = Duration::from_secs(5);
/// After the last message, before idle wake-ups are counted: workers slow down step by step.
const SETTLE: Duration = Duration::from_millis(300);

/// CPU time in the window of a run, by role, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CpuTime {
    /// Producers, from the first call to the last.
    pub producers_ns: u64,
    /// The logger's workers, until everything was delivered.
    pub workers_ns: u64,
    /// The embedded receiver; `None` if there is none.
    pub collector_ns: Option<u64>,
}

/// What the logger does when it has nothing to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Idle {
    /// Wake-ups per second of all workers together.
    pub wakeups_per_s: f64,
    /// CPU of all workers together, in per cent of a core.
    pub cpu_percent: f64,
}

/// What a run has found.
#[derive(Debug, Clone)]
pub struct Run {
    /// What the producers did, in their order.
    pub producers: Vec<Worked>,
    /// The logger's own account, final.
    pub terms: Terms,
    /// What arrived; `None` if there is no receiver that could tell.
    pub received: Option<Received>,
    /// From the first call until everything was delivered.
    pub duration: Duration,
    /// From the first call to the last.
    pub calling: Duration,
    /// From call to `writev`; `None` if it was not sampled.
    pub delivery: Option<Summary>,
    /// CPU time.
    pub cpu: CpuTime,
    /// What the logger does when idle; `None` if it was not watched.
    pub idle: Option<Idle>,
    /// What the sink failed with.
    pub sink_error: Option<String>,
    /// What does not agree. Empty: the accounting identity holds.
    pub problems: Vec<String>,
    /// Things that the reader should know.
    pub remarks: Vec<String>,
    /// Ctrl-C ended it.
    pub is_interrupted: bool,
}

impl Run {
    /// All producers' calls together.
    pub fn attempted(&self) -> u64 {
        self.producers.iter().map(|worked| worked.tally.attempted()).sum()
    }

    /// Messages that arrived, or, without a receiver that could tell, that the sink took.
    pub fn delivered(&self) -> u64 {
        self.received.as_ref().map_or_else(|| self.terms.total().sent, |received| received.messages)
    }

    /// Messages delivered per second.
    pub fn delivered_per_s(&self) -> f64 {
        self.delivered() as f64 / self.duration.as_secs_f64()
    }
}

/// Runs a plan. `watcher` is told of the threads and of the edges of their work.
///
/// # Errors
/// The sink, the logger or a thread cannot be started.
///
/// # Panics
/// If a producer panics, or the plan has none or more than [`MAX_PRODUCERS`].
pub fn run(plan: &Plan, watcher: &dyn Watcher) -> Result<Run, Error> {
    assert!((1..=MAX_PRODUCERS).contains(&plan.producers), "{} producers", plan.producers);
    match plan.logger {
        LoggerKind::Dlt => run_on::<Logger>(plan, watcher),
        LoggerKind::Mutex => run_on::<Control<MutexLock>>(plan, watcher),
        LoggerKind::Spin => run_on::<Control<SpinLock<Spin>>>(plan, watcher),
        LoggerKind::SpinYield => run_on::<Control<SpinLock<Yield>>>(plan, watcher),
    }
}

fn run_on<T: Target>(plan: &Plan, watcher: &dyn Watcher) -> Result<Run, Error> {
    Clock::get();
    let Opened { endpoint, collector, file } = sink::open(&plan.sink, T::streams(&plan.config))?;
    let delivery = Arc::new(Shared::default());
    let build = Build {
        config: &plan.config,
        endpoint,
        delivery: Arc::clone(&delivery),
        sampling: plan.delivery_sampling,
    };
    let target = T::start(build)?;
    let threads = Threads::register(&target, collector.as_ref(), watcher);

    let (producers, before, mut remarks) = work(plan, &target, &threads, file.as_deref(), watcher)?;

    let begin_ns = producers.iter().map(|worked| worked.begin_ns).min().unwrap_or_default();
    let calls_end_ns = producers.iter().map(|worked| worked.end_ns).max().unwrap_or_default();
    let is_interrupted = interrupt::requested();
    let is_cut_short = is_interrupted || target.sink_error().is_some();
    let flushed = target.flush(if is_cut_short { SHORT_DRAIN } else { DRAIN });
    let mut drained_ns = monotonic_ns();
    if let Some(collector) = &collector {
        // If they do not come, the accounts will not agree.
        collector.wait_for(target.terms().total().sent, END);
    }
    let after = threads.cpu_ns();
    watcher.close();
    if let Err(undelivered) = flushed {
        remarks.push(format!("{undelivered} messages were not delivered when the logger was closed"));
    }
    if plan.logger != LoggerKind::Dlt {
        remarks.push(
            "a control has one queue with the capacity of all buffers together, and one worker".to_owned(),
        );
    }
    let idle = plan.idle.filter(|_| !is_cut_short).map(|time| watch_idle(&target, &threads, time));
    let sink_error = target.sink_error();
    let streams = T::streams(&plan.config);
    let (terms, is_final) = target.shutdown(if is_cut_short { SHORT_DRAIN } else { END });

    let received = collector.map(|collector| collector.finish(END));
    let received = match (received, file) {
        (None, Some(path)) => check_file(&path, &mut remarks),
        (received, _) => received,
    };
    if let Some(received) = received.as_ref().filter(|received| received.last_ns > 0) {
        drained_ns = received.last_ns;
    }
    let tallies: Vec<Tally> = producers.iter().map(|worked| worked.tally).collect();
    let mut problems = accounting::check(&Accounts {
        tallies: &tallies,
        terms: &terms,
        received: received.as_ref(),
        one_stream_per_buffer: streams == terms.buffers.len() && plan.sink == sink::SinkChoice::Collector,
        says_losses: plan.logger == LoggerKind::Dlt,
        sink_failed: sink_error.is_some(),
    });
    if !is_final {
        problems.insert(
            0,
            format!("the logger did not end within {} s: its account is not final", END.as_secs()),
        );
    }
    Ok(Run {
        cpu: CpuTime {
            producers_ns: producers.iter().map(|worked| worked.cpu_ns).sum(),
            workers_ns: after.0.saturating_sub(before.0),
            collector_ns: received
                .as_ref()
                .filter(|r| r.last_ns > 0)
                .map(|_| after.1.saturating_sub(before.1)),
        },
        producers,
        terms,
        received,
        duration: Duration::from_nanos(drained_ns.max(calls_end_ns) - begin_ns),
        calling: Duration::from_nanos(calls_end_ns - begin_ns),
        delivery: delivery.summary(),
        idle,
        sink_error,
        problems,
        remarks,
        is_interrupted,
    })
}

/// Threads that are not producers.
struct Threads {
    workers: Vec<u32>,
    collector: Vec<u32>,
}

impl Threads {
    fn register(target: &impl Target, collector: Option<&Collector>, watcher: &dyn Watcher) -> Self {
        let workers = target.worker_tids();
        for (index, &tid) in workers.iter().enumerate() {
            watcher.register_tid(Role::Worker, tid, &format!("worker-{index}"));
        }
        let collector = collector.map(Collector::tids).unwrap_or_default();
        for (index, &tid) in collector.iter().enumerate() {
            watcher.register_tid(Role::Collector, tid, &format!("collector-{index}"));
        }
        Self { workers, collector }
    }

    /// CPU time so far: workers, collector.
    fn cpu_ns(&self) -> (u64, u64) {
        let sum = |tids: &[u32]| tids.iter().filter_map(|&tid| cpu::thread_ns(tid)).sum();
        (sum(&self.workers), sum(&self.collector))
    }
}

/// What the producers did, the CPU times when they began, remarks.
type WorkDone = (Vec<Worked>, (u64, u64), Vec<String>);

fn work<T: Target>(
    plan: &Plan,
    target: &T,
    threads: &Threads,
    file: Option<&Path>,
    watcher: &dyn Watcher,
) -> Result<WorkDone, Error> {
    let callers: Vec<T::Producer> =
        (0..plan.producers).map(|index| target.producer(&producer_name(index))).collect::<Result<_, _>>()?;
    let cpus = plan.producer_cpus.as_deref().map(cpu_set).transpose()?;
    let (gate, stop) = (Gate::default(), AtomicBool::new(false));
    let mut remarks = Vec::new();
    std::thread::scope(|scope| {
        let start_one = |(index, caller)| {
            let (gate, stop) = (&gate, &stop);
            let messages = share(plan, index);
            std::thread::Builder::new().name(producer_name(index)).spawn_scoped(scope, move || {
                if let Some(cpus) = &cpus {
                    sched_setaffinity(Pid::from_raw(0), cpus).expect("the set was tried before");
                }
                let slot = watcher.register(Role::Producer, &producer_name(index));
                let is_prepared = target.prepare_thread();
                let work = Work::new(caller, slot, stop);
                if !gate.pass() {
                    return None;
                }
                watcher.begin();
                let worked = work.run(plan, messages);
                watcher.end();
                Some((worked, is_prepared))
            })
        };
        let started: Result<Vec<_>, _> = callers.into_iter().enumerate().map(start_one).collect();
        let handles = match started {
            Ok(handles) => handles,
            Err(error) => {
                gate.open(false);
                return Err(Error::failed(format!("failed to start producer: {error}"))
                    .with_hint("use fewer --threads, or raise the limit of processes (ulimit -u)"));
            }
        };
        gate.await_all(plan.producers);
        watcher.open();
        let before = threads.cpu_ns();
        gate.open(true);
        while !handles.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            std::thread::sleep(LOOK);
            let is_large = |path: &Path| path.metadata().is_ok_and(|meta| meta.len() >= FILE_LIMIT_BYTES);
            if file.is_some_and(is_large) && !stop.swap(true, Relaxed) {
                remarks.push(format!("ended early: the file has {} GiB", FILE_LIMIT_BYTES >> 30));
            }
        }
        let done = handles.into_iter().filter_map(|handle| handle.join().expect("a producer does not panic"));
        let (worked, prepared): (Vec<_>, Vec<_>) = done.unzip();
        let unprepared = prepared.iter().filter(|&&is_prepared| !is_prepared).count();
        if unprepared > 0 {
            remarks.push(format!("{unprepared} producers could have no lane: raise DLT_USER_MEMORY_LIMIT"));
        }
        Ok((worked, before, remarks))
    })
}

fn cpu_set(cpus: &[usize]) -> Result<CpuSet, Error> {
    let mut set = CpuSet::new();
    let refused = |error: nix::Error| {
        Error::cannot_run(format!("producers cannot be confined to processors {cpus:?}: {error}"))
    };
    cpus.iter().try_for_each(|&cpu| set.set(cpu)).map_err(refused)?;
    // On a thread of its own, so that this one keeps its processors.
    let tried = std::thread::scope(|scope| {
        scope
            .spawn(|| sched_setaffinity(Pid::from_raw(0), &set))
            .join()
            .expect("setting an affinity does not panic")
    });
    tried.map_err(refused)?;
    Ok(set)
}

/// Messages of this producer where the plan counts them.
fn share(plan: &Plan, index: usize) -> u64 {
    match plan.volume {
        Volume::AtLeast { .. } => 0,
        Volume::Messages(all) => {
            let (producers, index) = (plan.producers as u64, index as u64);
            all / producers + u64::from(index < all % producers)
        }
    }
}

fn watch_idle(target: &impl Target, threads: &Threads, time: Duration) -> Idle {
    std::thread::sleep(SETTLE);
    let read = || (target.terms().wakeups, threads.cpu_ns().0, monotonic_ns());
    let (wakeups, cpu_ns, ns) = read();
    std::thread::sleep(time);
    let (later_wakeups, later_cpu_ns, later_ns) = read();
    let elapsed_ns = (later_ns - ns) as f64;
    Idle {
        wakeups_per_s: (later_wakeups - wakeups) as f64 / elapsed_ns * 1e9,
        cpu_percent: later_cpu_ns.saturating_sub(cpu_ns) as f64 / elapsed_ns * 100.0,
    }
}

fn check_file(path: &Path, remarks: &mut Vec<String>) -> Option<Received> {
    if !path.is_file() {
        remarks
            .push(format!("`{}` is no regular file: accepted by the kernel, not verified", path.display()));
        return None;
    }
    match collector::file::check(path) {
        Ok(received) => Some(received),
        Err(error) => {
            remarks.push(format!("failed to read `{}` back: {error}: not verified", path.display()));
            None
        }
    }
}

/// The barrier at the start of a run.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    waiting: usize,
    opened: Option<bool>,
}

impl Gate {
    /// A producer is ready. Returns when all may start: true; or when the run is given up: false.
    fn pass(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting += 1;
        self.changed.notify_all();
        loop {
            if let Some(opened) = state.opened {
                return opened;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn await_all(&self, producers: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.waiting < producers {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn open(&self, go: bool) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).opened = Some(go);
        self.changed.notify_all();
    }
}
