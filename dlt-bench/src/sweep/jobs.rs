//! What `suspend-sweep` sweeps, and in which order.

use std::time::Duration;

use dlt_logger::hooks;

use super::finding::SubjectReport;
use super::run::{Options, sweep_calls, sweep_worker};
use super::subjects::{BLOCK, DROP_NEWEST, Dlt, DltWorker, ForcePush, MutexLogger, OVERWRITE};
use crate::error::Error;

/// dlt-logger's own callers and deliveries have to go on within this time.
const WATCHDOG: Duration = Duration::from_secs(1);
/// A control costs this at each stop at which somebody waits. Everything else takes 1 to 3 ms.
const CONTROL_WATCHDOG: Duration = Duration::from_millis(100);

/// Stops per state of a worker in the modes in which not every instruction is stopped at.
const SAMPLE: usize = 200;

/// What is expected of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// Nobody ever waits.
    Clean,
    /// Somebody waits at some stop; else the sweep is blind.
    Stalls,
}

/// Which thread is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Victim {
    Caller,
    Worker,
}

/// Told of each stop: state, stops done, stops planned.
pub(super) type Progress<'a> = &'a mut dyn FnMut(&str, usize, usize);

/// One subject.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    pub(super) name: &'static str,
    pub(super) expected: Expected,
    pub(super) victim: Victim,
    /// Stops per state at most: the code is that of another job, and there is nothing in it that knows of the mode.
    pub(super) sample: Option<usize>,
    /// Jobs with the same code, whose coverage is one.
    pub(super) code: &'static str,
    sweep: fn(&str, &Options, Progress<'_>) -> Result<SubjectReport, Error>,
}

impl Job {
    pub(super) const fn watchdog(&self) -> Duration {
        match self.expected {
            Expected::Clean => WATCHDOG,
            Expected::Stalls => CONTROL_WATCHDOG,
        }
    }

    pub(super) fn run(&self, options: &Options, progress: Progress<'_>) -> Result<SubjectReport, Error> {
        let sample = match (options.sample, self.sample) {
            (Some(asked), Some(most)) => Some(asked.min(most)),
            (asked, most) => asked.or(most),
        };
        let options = Options { watchdog: self.watchdog(), sample, ..options.clone() };
        (self.sweep)(self.name, &options, progress)
    }
}

fn calls<const MODE: u8>(
    name: &str,
    options: &Options,
    progress: Progress<'_>,
) -> Result<SubjectReport, Error> {
    sweep_calls::<Dlt<MODE>>(name, &|_| Dlt::new(), options, progress)
}

fn rounds<const MODE: u8>(
    name: &str,
    options: &Options,
    progress: Progress<'_>,
) -> Result<SubjectReport, Error> {
    sweep_worker::<DltWorker<MODE>>(name, &|_| DltWorker::new(), hooks::worker_round(), options, progress)
}

const fn call(
    name: &'static str,
    sweep: fn(&str, &Options, Progress<'_>) -> Result<SubjectReport, Error>,
) -> Job {
    Job { name, expected: Expected::Clean, victim: Victim::Caller, sample: None, code: "log call", sweep }
}

const fn worker(
    name: &'static str,
    sample: Option<usize>,
    sweep: fn(&str, &Options, Progress<'_>) -> Result<SubjectReport, Error>,
) -> Job {
    Job { name, expected: Expected::Clean, victim: Victim::Worker, sample, code: "worker's round", sweep }
}

/// All of them; the controls last.
pub(super) const JOBS: [Job; 8] = [
    call("dlt-logger, DropNewest", calls::<DROP_NEWEST>),
    call("dlt-logger, Overwrite", calls::<OVERWRITE>),
    call("dlt-logger, BlockWithTimeout", calls::<BLOCK>),
    worker("dlt-logger's worker, Overwrite", None, rounds::<OVERWRITE>),
    worker("dlt-logger's worker, DropNewest", Some(SAMPLE), rounds::<DROP_NEWEST>),
    worker("dlt-logger's worker, BlockWithTimeout", Some(SAMPLE), rounds::<BLOCK>),
    Job {
        name: "mutex logger",
        expected: Expected::Stalls,
        victim: Victim::Caller,
        sample: None,
        code: "mutex logger's call",
        sweep: |name, options, progress| {
            sweep_calls::<MutexLogger>(name, &|_| MutexLogger::new(), options, progress)
        },
    },
    Job {
        name: "ArrayQueue::force_push",
        expected: Expected::Stalls,
        victim: Victim::Caller,
        sample: None,
        code: "force_push",
        sweep: |name, options, progress| {
            sweep_calls::<ForcePush>(name, &|books| ForcePush::new(books), options, progress)
        },
    },
];
