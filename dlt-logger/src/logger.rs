//! The logger's handle: building, flushing, closing.
#![expect(clippy::disallowed_types, reason = "locks that no log call and no worker ever touches")]

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::config::{Config, OverflowMode};
use crate::context::Context;
use crate::core::Core;
use crate::error::Error;
use crate::format::{Id4, Level};
use crate::observer::{Delivery, Observer};
use crate::ring::gate;
use crate::ring::record::MAX_CONTEXTS;
use crate::sink::Sink;
use crate::stats::Stats;
use crate::sys::{barrier, clock::monotonic_ns, exit, futex};
use crate::thread::{self, Slot};
use crate::worker::Worker;

/// How long a logger that is dropped, or alive when the process exits, may take to deliver what it holds.
const DROP_TIMEOUT: Duration = Duration::from_secs(1);
/// How long closing waits at most for log calls under way. A call lasts well under a microsecond unless its thread is
/// taken off the processor.
const CALLS_UNDER_WAY: Duration = Duration::from_millis(100);
/// Between two looks at something that is about to happen.
const LOOK_AGAIN: Duration = Duration::from_micros(200);

/// Collects what a [`Logger`] is made of.
#[derive(Debug)]
#[must_use]
pub struct Builder {
    application: String,
    ecu: String,
    config: Config,
    sink: Sink,
    threshold: Level,
    delivery: Delivery,
}

impl Builder {
    /// Sets the configuration ([`Config::from_env`] reads it from the environment).
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets where frames go. Default: [`Sink::Null`].
    pub fn sink(mut self, sink: Sink) -> Self {
        self.sink = sink;
        self
    }

    /// Sets the ECU id. Default: `ECU1`.
    pub fn ecu(mut self, ecu: &str) -> Self {
        ecu.clone_into(&mut self.ecu);
        self
    }

    /// Sets the threshold that new contexts have. Default: [`Level::Info`].
    pub fn threshold(mut self, threshold: Level) -> Self {
        self.threshold = threshold;
        self
    }

    /// Sets who is told of losses and of delivery times.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.delivery.observer = Some(observer);
        self
    }

    /// Has every `every`-th message of a worker timed for [`Observer::delivered`]; 0, the default, for none.
    pub const fn delivery_sampling(mut self, every: u32) -> Self {
        self.delivery.every = every;
        self
    }

    /// Starts the workers.
    ///
    /// # Errors
    /// A configured value or id that is not accepted; a file that cannot be opened; memory or threads that the system
    /// refuses. A socket that is not there is no error: it is connected to when it appears.
    pub fn build(self) -> Result<Logger, Error> {
        let Self { application, ecu, config, sink, threshold, delivery } = self;
        config.validate()?;
        let (application, ecu) = (Id4::new(&application)?, Id4::new(&ecu)?);
        let workers = sink.workers(config.num_buffers);
        let what = sink.to_string();
        let mut outputs = sink.into_outputs(workers);
        for output in &mut outputs {
            if let Err(source) = output.open()
                && output.opens_at_start()
            {
                return Err(Error::Sink { what, source });
            }
        }
        let core = Core::new(application, ecu, config, workers).map_err(|source| Error::Memory {
            what: "the fork mark",
            bytes: crate::sys::mapping::PAGE,
            source,
        })?;
        let core = Arc::new(core);
        barrier::register();
        if !crate::sys::thread_key::create(thread::ended) {
            let source = std::io::Error::from_raw_os_error(libc::EAGAIN);
            return Err(Error::Thread { name: "pthread key".into(), source });
        }
        let logger = Logger { inner: Arc::new(Inner { core, workers: Mutex::default(), threshold }) };
        for (index, output) in outputs.into_iter().enumerate() {
            // If one cannot be started, dropping the logger ends those that were.
            logger.inner.start_worker(index, output, delivery.clone())?;
        }
        register(&logger.inner);
        Ok(logger)
    }
}

/// A DLT logger: the handle by which an application makes contexts, looks at statistics and closes.
///
/// Dropping it closes it and gives it one second to deliver. A logger that still exists when the process exits (in a
/// `static`, say) is closed by an `atexit` handler with the same limit; what could not be delivered is said on
/// standard error.
///
/// After a `fork` the child has no workers: its calls return [`Outcome::NoLane`](crate::Outcome::NoLane); a child that
/// wants to log makes a logger of its own.
#[derive(Debug)]
pub struct Logger {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    core: Arc<Core>,
    /// Taken by whoever closes.
    workers: Mutex<Vec<JoinHandle<()>>>,
    threshold: Level,
}

/// What [`Logger::shutdown`] leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// All workers ended within the timeout, so the statistics are final.
    pub is_complete: bool,
    /// Final statistics.
    pub stats: Stats,
    /// What the sink last failed with.
    pub sink_error: Option<String>,
}

/// [`Logger::flush`] did not see everything delivered in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{undelivered} messages were not delivered within the timeout")]
pub struct FlushTimeout {
    /// Messages that were in lanes when the flush began and were not settled when it ended.
    pub undelivered: u64,
}

impl Logger {
    /// Begins a logger for the application with this id, 1 to 4 printable ASCII characters.
    pub fn builder(application: &str) -> Builder {
        Builder {
            application: application.to_owned(),
            ecu: "ECU1".to_owned(),
            config: Config::default(),
            sink: Sink::Null,
            threshold: Level::Info,
            delivery: Delivery::default(),
        }
    }

    /// Makes a context, or another handle to the one with this id.
    ///
    /// # Errors
    /// An id that is not 1 to 4 printable ASCII characters, or too many contexts.
    pub fn context(&self, id: &str) -> Result<Context, Error> {
        let ctid = Id4::new(id)?;
        let info = self.core().context(ctid, self.inner.threshold);
        let info = info.ok_or_else(|| Error::TooManyContexts { ctid: id.to_owned(), max: MAX_CONTEXTS })?;
        Ok(Context::new(info, Arc::clone(self.core())))
    }

    /// Makes the calling thread's lanes for the buffers that routing can choose, and makes their pages present, so that
    /// its first log call makes no system call and takes no page fault. False if a lane could not be had.
    pub fn prepare_thread(&self) -> bool {
        Slot::ROUTED.iter().all(|&slot| thread::lane_or_register(self.core(), slot, true).is_some())
    }

    /// The same for a buffer that the thread names in its calls.
    ///
    /// # Panics
    /// If there is no such buffer.
    pub fn prepare_thread_for(&self, buffer: usize) -> bool {
        assert!(
            buffer < self.core().buffers.len(),
            "no buffer {buffer}: there are {}",
            self.core().buffers.len()
        );
        thread::lane_or_register(self.core(), Slot::buffer(buffer), true).is_some()
    }

    /// Changes what full lanes do. Calls that wait for room look at the new mode at once.
    pub fn set_overflow_mode(&self, mode: OverflowMode) {
        self.core().set_mode(mode);
    }

    /// Statistics. No lock is taken; any thread may call this at any time.
    pub fn stats(&self) -> Stats {
        Stats::read(self.core())
    }

    /// What the sink last failed with, if it ever did.
    pub fn sink_error(&self) -> Option<std::io::Error> {
        self.core().sink_error.get()
    }

    /// Name of the clock that the log call reads.
    pub fn clock_source(&self) -> &'static str {
        self.core().clock().source()
    }

    /// Waits until all messages that are in lanes now are delivered, or counted as lost.
    ///
    /// # Errors
    /// That was not so within `timeout`.
    pub fn flush(&self, timeout: Duration) -> Result<(), FlushTimeout> {
        let deadline = monotonic_ns().saturating_add(timeout.as_nanos() as u64);
        let lanes = self.core().buffers.iter().flat_map(|buffer| buffer.lanes.iter());
        let marks: Vec<_> =
            lanes.map(|lane| (lane, lane.ring().control.producer.accepted.load(Acquire))).collect();
        loop {
            self.core().wake_workers();
            let left = |(lane, mark): &(&crate::lane::Lane, u64)| {
                mark.saturating_sub(lane.ring().control.consumer.settled.load(Acquire))
            };
            let undelivered = marks.iter().map(left).sum();
            if undelivered == 0 {
                return Ok(());
            }
            if monotonic_ns() >= deadline {
                return Err(FlushTimeout { undelivered });
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Closes the logger: later calls return [`Outcome::Closed`](crate::Outcome::Closed) and are counted. Delivers what
    /// was accepted, for at most `timeout`; what the sink does not take until then is counted as lost.
    pub fn shutdown(self, timeout: Duration) -> ShutdownReport {
        let is_complete = self.inner.close(timeout);
        let sink_error = self.sink_error().map(|error| error.to_string());
        ShutdownReport { is_complete, stats: self.stats(), sink_error }
    }

    /// Test hook: holds the workers back. Returns when all of them are held.
    #[doc(hidden)]
    pub fn pause_workers(&self) {
        self.core().paused.store(1, Relaxed);
        self.core().wake_workers();
        while !self.core().workers.iter().all(|worker| worker.is_paused.load(Acquire) != 0) {
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Test hook: lets them go on.
    #[doc(hidden)]
    pub fn resume_workers(&self) {
        self.core().paused.store(0, Relaxed);
    }

    /// Thread ids of the workers, as this process sees them.
    pub fn worker_tids(&self) -> Vec<u32> {
        let tid = |worker: &crate::core::WorkerShared| {
            loop {
                match worker.tid.load(Acquire) {
                    0 => std::thread::sleep(LOOK_AGAIN),
                    tid => return tid,
                }
            }
        };
        self.core().workers.iter().map(tid).collect()
    }

    fn core(&self) -> &Arc<Core> {
        &self.inner.core
    }
}

impl Drop for Logger {
    fn drop(&mut self) {
        self.inner.close_and_report(DROP_TIMEOUT);
    }
}

impl Inner {
    fn start_worker(
        &self,
        index: usize,
        output: crate::sink::Output,
        delivery: Delivery,
    ) -> Result<(), Error> {
        let worker = Worker::new(Arc::clone(&self.core), index, output, delivery);
        let name = format!("dlt-worker-{index}");
        let thread = std::thread::Builder::new().name(name.clone()).spawn(move || worker.run());
        self.workers().push(thread.map_err(|source| Error::Thread { name, source })?);
        Ok(())
    }

    fn workers(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes. True if every worker ended in time.
    fn close(&self, timeout: Duration) -> bool {
        let core = &self.core;
        let workers = std::mem::take(&mut *self.workers());
        if !core.is_in_its_process() {
            // A forked child: the threads behind the handles do not exist here.
            std::mem::forget(workers);
            return false;
        }
        let start = monotonic_ns();
        let deadline = start.saturating_add(timeout.as_nanos() as u64);
        core.close_deadline_ns.store(deadline, Relaxed);
        if core.close() {
            await_calls_under_way(core, deadline.min(start + CALLS_UNDER_WAY.as_nanos() as u64));
            core.last_drain.store(1, Release);
        }
        core.wake_workers();
        let mut is_complete = true;
        for (thread, worker) in workers.into_iter().zip(&core.workers) {
            // A worker looks at the deadline at least every 50 ms.
            while worker.done.load(Acquire) == 0
                && monotonic_ns() < deadline + CALLS_UNDER_WAY.as_nanos() as u64
            {
                futex::wait_for(&worker.done, 0, CALLS_UNDER_WAY);
            }
            if worker.done.load(Acquire) == 0 {
                // It is stopped or stuck in the kernel. It keeps what it uses alive, and is left alone.
                is_complete = false;
            } else {
                // A worker that panicked has not set `done`, so this cannot fail.
                let _ = thread.join();
            }
        }
        is_complete
    }

    #[expect(clippy::print_stderr, reason = "the last chance to say it")]
    fn close_and_report(&self, timeout: Duration) {
        if self.core.is_closed() || !self.core.is_in_its_process() {
            return;
        }
        let is_complete = self.close(timeout);
        let total = Stats::read(&self.core).total();
        let lost = total.sink_lost + total.lost_at_close;
        if lost > 0 || !is_complete {
            let application = self.core.application;
            let reason = self.core.sink_error.get().map_or_else(String::new, |error| format!(": {error}"));
            let what = if is_complete { "" } else { " or more" };
            eprintln!(
                "dlt-logger: application {application}: {lost}{what} messages were not delivered{reason}"
            );
        }
    }
}

/// Waits for calls that began before the logger was closed: what they publish is still delivered.
fn await_calls_under_way(core: &Core, deadline_ns: u64) {
    if !gate::heavy_fence() {
        // Without `membarrier` a store of the gate may still be on its way.
        std::thread::sleep(Duration::from_millis(10));
    }
    while core.blocks.iter().any(|block| block.gate.is_busy()) && monotonic_ns() < deadline_ns {
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Loggers that exist, for the end of the process.
static ALIVE: Mutex<Vec<Weak<Inner>>> = Mutex::new(Vec::new());

fn register(inner: &Arc<Inner>) {
    static AT_EXIT: OnceLock<bool> = OnceLock::new();
    AT_EXIT.get_or_init(|| exit::at_exit(close_all));
    let mut alive = ALIVE.lock().unwrap_or_else(PoisonError::into_inner);
    alive.retain(|known| known.strong_count() > 0);
    alive.push(Arc::downgrade(inner));
}

/// The process exits.
extern "C" fn close_all() {
    let alive = std::mem::take(&mut *ALIVE.lock().unwrap_or_else(PoisonError::into_inner));
    let deadline = monotonic_ns() + DROP_TIMEOUT.as_nanos() as u64;
    for inner in alive.iter().filter_map(Weak::upgrade) {
        inner.close_and_report(Duration::from_nanos(deadline.saturating_sub(monotonic_ns())));
    }
}
