//! A case and its rows before they are measured.

use std::time::Duration;

use dlt_logger::OverflowMode;
use dlt_logger::config::Overrides;

use crate::config::Options;
use crate::load::plan::Shape;
use crate::report::Row;
use crate::report::human::Extra;

/// Messages of a round, of all producers together.
pub const ROUND: u64 = 50_000;
/// Producers where a case does not say otherwise.
pub const THREADS: usize = 4;

/// One row before it is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct RowSpec {
    /// Its name within the case.
    pub name: String,
    /// What it sets; the environment says the rest.
    pub overrides: Overrides,
    /// Producers.
    pub threads: usize,
    /// How their calls follow each other.
    pub shape: Shape,
    /// Least time of the throughput pass.
    pub time: Duration,
    /// Least time of the latency pass.
    pub latency_time: Duration,
    /// How long to watch the idle logger afterwards.
    pub idle: Option<Duration>,
    /// Measure the floor as well.
    pub floor: bool,
}

impl RowSpec {
    /// Continuous work of [`THREADS`] producers, or of as many as the options say.
    pub fn new(name: impl Into<String>, options: &Options) -> Self {
        Self {
            name: name.into(),
            overrides: Overrides::default(),
            threads: options.threads.unwrap_or(THREADS),
            shape: Shape::Continuous,
            time: Duration::from_secs(2),
            latency_time: Duration::from_secs(1),
            idle: None,
            floor: false,
        }
    }

    /// How long it takes if it is measured this often: for progress, not for figures.
    pub fn planned(&self, iterations: usize) -> Duration {
        // Starting, draining and closing a logger.
        let around = Duration::from_millis(100);
        let is_paced = matches!(self.shape, Shape::Paced { .. });
        let latency = if is_paced { Duration::ZERO } else { self.latency_time + around };
        let floor = if self.floor { Duration::from_secs(1) } else { Duration::ZERO };
        (self.time + self.idle.unwrap_or_default() + around) * iterations as u32 + latency + floor
    }

    /// Sets the overflow mode.
    #[must_use]
    pub fn with_mode(mut self, mode: OverflowMode) -> Self {
        self.overrides.overflow_mode = Some(mode);
        self
    }
}

/// What follows from a case's rows, in words.
pub type Conclude = fn(&[Row]) -> Vec<String>;

/// Rows that belong in one table.
#[derive(Debug, Clone)]
pub struct Section {
    /// Name of the case.
    pub case: &'static str,
    /// What it shows.
    pub title: String,
    /// Its rows.
    pub rows: Vec<RowSpec>,
    /// Columns besides those of all cases.
    pub extra: Extra,
    /// What follows from the rows.
    pub conclude: Conclude,
}
