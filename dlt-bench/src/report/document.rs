//! The whole report.

use serde::Serialize;

use super::environment::Environment;
use super::row::{Row, Status};
use crate::exit_code::ExitCode;

/// Version of the form in which a report is written. `schemas/report.v1.json` describes it.
pub const SCHEMA_VERSION: u32 = 1;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Request {
    /// Cases by name, in their order.
    pub cases: Vec<String>,
    /// Which logger.
    pub logger: &'static str,
    /// Where frames go.
    pub sink: String,
    /// Messages per row; `None`: whole rounds for at least the case's time.
    pub messages: Option<u64>,
    /// Producers; `None`: the case's.
    pub threads: Option<usize>,
    /// How often each row is measured; `None`: as the case says.
    pub iterations: Option<usize>,
    /// The kernel probe was asked for.
    pub profile: bool,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseReport {
    /// Its name.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// What follows from its rows.
    pub conclusions: Vec<String>,
}

/// The best row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Best {
    /// Its case.
    pub case: String,
    /// Its name.
    pub name: String,
    /// Its rate.
    pub throughput_msgs_per_s: u64,
}

/// A whole report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Document {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Machine and program.
    pub environment: Environment,
    /// What was asked for.
    pub request: Request,
    /// The cases that ran.
    pub cases: Vec<CaseReport>,
    /// Their rows.
    pub rows: Vec<Row>,
    /// The row with the greatest rate; `None` if no row is in order.
    pub best: Option<Best>,
    /// What the reader should know, with what to do about it.
    pub warnings: Vec<String>,
    /// What went wrong.
    pub errors: Vec<String>,
    /// The audit's account of the whole run: controls, canary, ledger, cost; `None` without `--profile`.
    pub audit: Option<serde_json::Value>,
    /// Ctrl-C ended it.
    pub interrupted: bool,
    /// Exit code of the program.
    pub exit_code: u8,
}

impl Document {
    /// An empty report.
    pub const fn new(environment: Environment, request: Request) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            environment,
            request,
            cases: Vec::new(),
            rows: Vec::new(),
            best: None,
            warnings: Vec::new(),
            errors: Vec::new(),
            audit: None,
            interrupted: false,
            exit_code: 0,
        }
    }

    /// Says something once.
    pub fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// The last case has ended: best row, exit code. `verdict` is the audit's part of it.
    pub fn finish(&mut self, verdict: ExitCode) -> ExitCode {
        self.environment.finish();
        self.best = best(&self.rows).map(|row| Best {
            case: row.case.clone(),
            name: row.name.clone(),
            throughput_msgs_per_s: row.throughput_msgs_per_s,
        });
        let of_row = |row: &Row| match row.status {
            Status::Ok => ExitCode::Pass,
            Status::Violation | Status::SinkFailed => ExitCode::Violation,
            Status::Interrupted => ExitCode::Interrupted,
        };
        let of_rows = self.rows.iter().map(of_row).fold(verdict, ExitCode::and);
        let of_errors = if self.errors.is_empty() { ExitCode::Pass } else { ExitCode::Violation };
        let of_end = if self.interrupted { ExitCode::Interrupted } else { ExitCode::Pass };
        let code = of_rows.and(of_errors).and(of_end);
        self.exit_code = code as u8;
        code
    }
}

/// The row with the greatest rate among those that are in order, or that only Ctrl-C ended.
pub fn best(rows: &[Row]) -> Option<&Row> {
    let is_sound = |row: &&Row| matches!(row.status, Status::Ok | Status::Interrupted) && row.delivered > 0;
    rows.iter().filter(is_sound).max_by_key(|row| row.throughput_msgs_per_s)
}
