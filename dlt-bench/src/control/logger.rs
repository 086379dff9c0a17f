//! A control: callers, one queue, one worker.

use std::io;
use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use dlt_logger::format::Template;
use dlt_logger::{Config, Id4, Outcome};
use nix::unistd::gettid;

use super::lock::Lock;
use super::output::Output;
use super::queue::{Entry, FRAME_BYTES, Pushed, Queue};
use crate::error::Error;
use crate::load::message::APPLICATION;
use crate::load::producer::Producer;
use crate::load::target::{Build, Target};
use crate::load::terms::Terms;
use crate::measure::clock::monotonic_ns;
use crate::measure::latency::Shared as Delivery;

/// The worker looks again after this long when there was nothing.
const IDLE: Duration = Duration::from_millis(1);
/// A caller that waits for room looks again after this long.
const WAIT: Duration = Duration::from_micros(50);

#[derive(Debug)]
struct Shared<L> {
    lock: L,
    /// The worker's thread id; 0 until it runs.
    tid: AtomicU32,
    writev_calls: AtomicU64,
    sink_full: AtomicU64,
    wakeups: AtomicU64,
    sink_error: OnceLock<String>,
    config: Config,
}

/// A logger whose callers share one queue behind the lock `L`, with the capacity of all buffers together.
#[derive(Debug)]
pub(crate) struct Control<L> {
    shared: Arc<Shared<L>>,
    worker: Option<JoinHandle<()>>,
}

impl<L: Lock> Target for Control<L> {
    type Producer = Caller<L>;

    fn streams(_config: &Config) -> usize {
        1
    }

    fn start(build: Build<'_>) -> Result<Self, Error> {
        let capacity = build.config.buffer_sizes.iter().sum();
        let shared = Arc::new(Shared {
            lock: L::new(Queue::new(capacity, build.config.overflow_mode)),
            tid: AtomicU32::new(0),
            writev_calls: AtomicU64::new(0),
            sink_full: AtomicU64::new(0),
            wakeups: AtomicU64::new(0),
            sink_error: OnceLock::new(),
            config: build.config.clone(),
        });
        let failed = |what: &str, error: &io::Error| Error::failed(format!("failed to {what}: {error}"));
        let output = Output::open(build.endpoint, ecu()).map_err(|error| failed("open the sink", &error))?;
        let worker = Worker {
            shared: Arc::clone(&shared),
            output,
            delivery: build.delivery,
            sampling: u64::from(build.sampling),
            seen: 0,
        };
        let thread = std::thread::Builder::new().name("control-worker".into()).spawn(move || worker.run());
        let worker = Some(thread.map_err(|error| failed("start the control's worker", &error))?);
        Ok(Self { shared, worker })
    }

    fn producer(&self, name: &str) -> Result<Caller<L>, Error> {
        let id = |text: &str| Id4::new(text).map_err(|error| Error::failed(error.to_string()));
        let template = Template::new(ecu(), std::process::id(), id(APPLICATION)?, id(name)?);
        Ok(Caller { shared: Arc::clone(&self.shared), template, counter: 0 })
    }

    fn prepare_thread(&self) -> bool {
        true
    }

    fn worker_tids(&self) -> Vec<u32> {
        loop {
            match self.shared.tid.load(Acquire) {
                0 => std::thread::yield_now(),
                tid => return vec![tid],
            }
        }
    }

    fn terms(&self) -> Terms {
        let shared = &self.shared;
        Terms {
            buffers: vec![shared.lock.with(|queue| queue.terms)],
            writev_calls: shared.writev_calls.load(Relaxed),
            sink_full: shared.sink_full.load(Relaxed),
            wakeups: shared.wakeups.load(Relaxed),
            notes: 0,
        }
    }

    fn flush(&self, timeout: Duration) -> Result<(), u64> {
        let deadline = monotonic_ns() + timeout.as_nanos() as u64;
        loop {
            match self.shared.lock.with(|queue| queue.unsettled()) {
                0 => return Ok(()),
                undelivered if monotonic_ns() >= deadline => return Err(undelivered),
                _ => std::thread::sleep(WAIT),
            }
        }
    }

    fn sink_error(&self) -> Option<String> {
        self.shared.sink_error.get().cloned()
    }

    fn shutdown(mut self, timeout: Duration) -> (Terms, bool) {
        self.shared.lock.with(|queue| queue.is_closed = true);
        let deadline = monotonic_ns() + timeout.as_nanos() as u64;
        let Some(worker) = self.worker.take() else { return (self.terms(), true) };
        while !worker.is_finished() && monotonic_ns() < deadline {
            std::thread::sleep(IDLE);
        }
        let is_complete = worker.is_finished() && worker.join().is_ok();
        (self.terms(), is_complete)
    }
}

fn ecu() -> Id4 {
    Id4::try_new("ECU1").unwrap_or(Id4::NONE)
}

/// A thread that logs.
#[derive(Debug)]
pub(crate) struct Caller<L> {
    shared: Arc<Shared<L>>,
    template: Template,
    counter: u8,
}

impl<L: Lock> Producer for Caller<L> {
    fn log(&mut self, sequence: u32) -> Outcome {
        let mut deadline = None;
        loop {
            match self.shared.lock.with(|queue| queue.push(&self.template, self.counter, sequence)) {
                Pushed::Accepted => {
                    self.counter = self.counter.wrapping_add(1);
                    return Outcome::Accepted;
                }
                Pushed::Full => return Outcome::Full,
                Pushed::Closed => return Outcome::Closed,
                Pushed::Wait => {}
            }
            let now = monotonic_ns();
            let timeout_ns = self.shared.config.timeout.as_nanos() as u64;
            if now >= *deadline.get_or_insert(now + timeout_ns) {
                self.shared.lock.with(|queue| queue.terms.timed_out += 1);
                return Outcome::TimedOut;
            }
            std::thread::sleep(WAIT);
        }
    }
}

struct Worker<L> {
    shared: Arc<Shared<L>>,
    output: Output,
    delivery: Arc<Delivery>,
    sampling: u64,
    seen: u64,
}

impl<L: Lock> Worker<L> {
    fn run(mut self) {
        self.shared.tid.store(gettid().as_raw().cast_unsigned(), Release);
        let most = self.shared.config.batch_size;
        let (mut batch, mut bytes) = (Vec::<Entry>::with_capacity(most), Vec::new());
        loop {
            let is_closed = self.shared.lock.with(|queue| {
                queue.take(most, &mut batch);
                queue.is_closed
            });
            if batch.is_empty() {
                if is_closed {
                    return;
                }
                std::thread::sleep(IDLE);
                self.shared.wakeups.fetch_add(1, Relaxed);
                continue;
            }
            for entry in &batch {
                self.output.stage(&entry.frame, &mut bytes);
            }
            self.write(&batch, &bytes);
            batch.clear();
            bytes.clear();
        }
    }

    fn write(&mut self, batch: &[Entry], bytes: &[u8]) {
        let result = self.output.write(bytes);
        self.shared.writev_calls.store(self.output.calls, Relaxed);
        self.shared.sink_full.store(self.output.full, Relaxed);
        let sent = match result {
            Ok(()) => batch.len(),
            Err((written, error)) => {
                // A control does not repair its sink: the rest of the batch is lost, and counted.
                let _ = self.shared.sink_error.set(error.to_string());
                let frame_bytes = FRAME_BYTES + self.output.prefix_bytes();
                self.output.cut(written % frame_bytes);
                written / frame_bytes
            }
        };
        self.shared.lock.with(|queue| {
            queue.terms.sent += sent as u64;
            queue.terms.dropped.sink_lost += (batch.len() - sent) as u64;
        });
        if self.sampling > 0 {
            let now = monotonic_ns();
            for entry in &batch[..sent] {
                self.seen += 1;
                if self.seen.is_multiple_of(self.sampling) {
                    self.delivery.record(now.saturating_sub(entry.logged_ns));
                }
            }
        }
    }
}
