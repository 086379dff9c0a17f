//! What a run is asked to do, without a trace of how it was asked.

use std::path::PathBuf;

use crate::case::registry::Case;
use crate::load::plan::LoggerKind;
use crate::load::sink::SinkChoice;
use crate::report::output::JsonTarget;

/// A run of cases.
#[derive(Debug, Clone)]
pub struct Config {
    /// The cases in their order.
    pub cases: Vec<&'static Case>,
    /// What the cases leave open.
    pub options: Options,
    /// Where the JSON report goes.
    pub json: Option<JsonTarget>,
    /// Folder of the run's files.
    pub out: Option<PathBuf>,
    /// Watch with the kernel probe.
    pub profile: bool,
}

/// What the cases leave open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Which logger.
    pub logger: LoggerKind,
    /// Where frames go.
    pub sink: SinkChoice,
    /// Messages per row, instead of whole rounds for at least the case's time.
    pub messages: Option<u64>,
    /// Producers, instead of the case's.
    pub threads: Option<usize>,
    /// How often each row is measured; `None`: as the case says.
    pub iterations: Option<usize>,
    /// How long the suspend cases stop threads; `None`: as the case says.
    pub stop_ms: Option<u64>,
    /// What sweeps leave open.
    pub sweep: SweepOptions,
}

/// What sweeps leave open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SweepOptions {
    /// Stops per state; `None`: what the case says.
    pub sample: Option<usize>,
    /// Chooses the sample and the pairs; `None`: a fixed one.
    pub seed: Option<u64>,
    /// Only subjects whose name contains this.
    pub only: Option<String>,
    /// Stop in every turn of a loop.
    pub every_turn: bool,
}
