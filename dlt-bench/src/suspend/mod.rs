//! The `suspend-*` cases: threads of a process that are really stopped, for a stated time, and the others shown to go on.
//!
//! | module | what |
//! |---|---|
//! | `basic` | two of eight threads stopped while they log |
//! | `cascade` | threads stopped one after the other until one is left |
//! | `immediate` | a thread stopped inside its first call |
//! | `worker` | a worker stopped: in its loop, at its `writev`, while it waits for a full socket |
//! | `advantage` | the same stops in dlt-logger, in a logger with a lock, and in libdlt |
//! | `workload`, `receiver` | the process under test: producers, the logger, a receiver for each of its streams |
//! | `words` | what both processes share: counts, gaps, gates |
//! | `stage` | the controller: stops and resumes threads of that process |
//! | `step` | a producer at a chosen instruction of its call |
//! | `kernel` | the probe, which confirms the stops |
//! | `observe` | the others before, during and after; the judgement |
//! | [`row`], [`document`], `human` | figures, JSON, tables |
//! | [`driver`] | all sections of all cases, and the report |
//!
//! This process stays single-threaded and does the stopping (see [`crate::stop`]); what logs is its child. The probe is
//! loaded by itself where privileges allow it, and says how long each thread stood as the kernel's scheduler saw it;
//! everything else works without privileges.

#[cfg(target_arch = "x86_64")]
mod advantage;
mod basic;
mod cascade;
pub mod document;
pub mod driver;
mod human;
#[cfg(target_arch = "x86_64")]
mod immediate;
mod kernel;
mod observe;
mod receiver;
pub mod row;
mod stage;
#[cfg(target_arch = "x86_64")]
mod step;
mod words;
mod worker;
mod workload;

use std::time::Duration;

use dlt_logger::Config;

use crate::config::Options;
use crate::error::Error;
use crate::report::output::Screen;
use row::Row;
use stage::Stage;
use workload::{Subject, Workload};

/// Rows that belong in one table.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// Name of the case.
    case: &'static str,
    /// What it shows.
    title: &'static str,
    /// Producers unless the user says so.
    default_threads: usize,
    /// With fewer it shows nothing.
    least_threads: usize,
    /// It can be run on another logger.
    takes_logger: bool,
    run: fn(&mut Scene<'_>) -> Result<Vec<Row>, Error>,
}

/// `suspend-basic`.
pub const BASIC: &[Section] = &[basic::SECTION];
/// `suspend-cascade`.
pub const CASCADE: &[Section] = &[cascade::SECTION];
/// `suspend-immediate`.
#[cfg(target_arch = "x86_64")]
pub const IMMEDIATE: &[Section] = &[immediate::SECTION];
/// `suspend-immediate`.
#[cfg(not(target_arch = "x86_64"))]
pub const IMMEDIATE: &[Section] = &[Section::not_here("suspend-immediate")];
/// `suspend-advantage`.
#[cfg(target_arch = "x86_64")]
pub const ADVANTAGE: &[Section] = &[advantage::SECTION];
/// `suspend-advantage`.
#[cfg(not(target_arch = "x86_64"))]
pub const ADVANTAGE: &[Section] = &[Section::not_here("suspend-advantage")];
/// `suspend-all`.
pub const ALL: &[Section] = &[BASIC[0], CASCADE[0], IMMEDIATE[0], WORKER[0], ADVANTAGE[0]];
/// `suspend-worker`.
pub const WORKER: &[Section] = &[worker::SECTION];

/// What a section is run with.
#[derive(Debug)]
struct Scene<'a> {
    options: &'a Options,
    screen: &'a mut Screen,
}

impl Scene<'_> {
    fn threads(&self, section: &Section) -> usize {
        self.options.threads.unwrap_or(section.default_threads)
    }

    /// How long threads are stopped.
    fn stop_time(&self, default_ms: u64) -> Duration {
        Duration::from_millis(self.options.stop_ms.unwrap_or(default_ms))
    }

    /// Producers on the logger and the configuration that the user chose.
    fn workload(&self, producers: usize) -> Result<Workload, Error> {
        let config = Config::from_env()?;
        let subject = Subject::Ours(self.options.logger);
        Ok(Workload { subject, config, producers, held_back: Vec::new() })
    }

    fn stage(&mut self, workload: Workload) -> Result<Stage<'_>, Error> {
        Stage::start(workload, self.screen)
    }
}

impl Section {
    /// It needs registers and breakpoints of another thread, which are known for x86-64 only.
    #[cfg(not(target_arch = "x86_64"))]
    const fn not_here(case: &'static str) -> Self {
        let run = |_: &mut Scene<'_>| Err(Error::cannot_run("breakpoints are implemented for x86-64 only"));
        Self { case, title: case, default_threads: 8, least_threads: 2, takes_logger: true, run }
    }

    /// A row on this workload of which nothing is known yet.
    fn row(&self, name: impl Into<String>, workload: &Workload) -> Row {
        let mut row = Row::new(self.case, name, workload.subject.name(), workload.producers);
        if let Subject::Ours(_) = workload.subject {
            row.overflow_mode = Some(workload.config.overflow_mode.to_string());
        }
        row
    }
}
