//! `dlt-bench diff`: two sets of runs, compared statistically.
//!
//! | module | what |
//! |---|---|
//! | `ab` | runs two commands in turn |
//! | `read` | takes reports apart |
//! | `figure` | what of a row is compared |
//! | `common` | rows that both sides have; what differs besides figures |
//! | `compare` | figure by figure |
//! | `statistics` | rank tests, intervals, effect sizes |
//! | `judge` | what may be said about a figure |
//! | `report` | the table, the sentences, the JSON |
//!
//! A figure is a regression only if three things come together: its 95 % interval lies beyond the threshold; the
//! probability that it is within the threshold, corrected for the number of figures by Holm's procedure, is below 5 %; and
//! the effect is large, so that nearly every run of B is worse than nearly every one of A.

mod ab;
mod common;
mod compare;
mod figure;
mod judge;
mod read;
mod report;
mod statistics;

use std::path::PathBuf;

pub use ab::Commands;

use crate::error::Error;
use crate::exit_code::ExitCode;
use crate::report::output::Outputs;

/// Where the runs come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Files: A, B.
    Files([PathBuf; 2]),
    /// Commands that are run in turn.
    Commands(Commands),
}

/// What is compared, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Where the runs come from.
    pub input: Input,
    /// Per cent by which a figure may be worse; less than 100.
    pub threshold_percent: f64,
    /// Only figures with this in `case / row / figure`.
    pub only: Option<String>,
    /// Folder in which the runs are kept.
    pub keep: Option<PathBuf>,
}

/// Compares and reports.
///
/// # Errors
/// A file that is no report, a command that gives none, an output that cannot be written.
pub fn run(options: &Options, outputs: Outputs) -> Result<ExitCode, Error> {
    let mut screen = outputs.screen();
    let (sides, seed, remarks, files, is_interrupted) = match &options.input {
        Input::Files([a, b]) => ([read::side(a)?, read::side(b)?], None, Vec::new(), Vec::new(), false),
        Input::Commands(commands) => {
            let collected = ab::collect(commands, options.keep.as_deref(), &mut screen)?;
            let ab::Collected { sides, seed, remarks, files, is_interrupted } = collected;
            (sides, Some(seed), remarks, files, is_interrupted)
        }
    };
    let [a, b] = &sides;
    let threshold = options.threshold_percent / 100.0;
    let mut comparison = compare::compare(a, b, threshold, options.only.as_deref());
    if let Some(text) = options.only.as_ref().filter(|_| comparison.figures.is_empty() && !is_interrupted) {
        return Err(Error::usage(format!("no figure has `{text}` of --only in its `case / row / figure`"))
            .with_hint("without --only all figures and their names are shown"));
    }
    comparison.remarks.splice(0..0, remarks);
    let (document, code) = report::Document::new([a, b], threshold, comparison, seed, is_interrupted);
    screen.print(&report::head(&document));
    screen.print(&report::figures(&document));
    screen.print(&report::closing(&document));
    for file in files {
        screen.print(&format!("runs      {}\n", file.display()));
    }
    for file in outputs.write(&document)? {
        screen.print(&format!("report    {}\n", file.display()));
    }
    Ok(code)
}
