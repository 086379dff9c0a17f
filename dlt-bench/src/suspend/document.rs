//! The whole report. It has a form of its own: a row of it is no load row.

use serde::Serialize;

use super::row::{Row, Status};
use crate::exit_code::ExitCode;
use crate::report::document::{Best, CaseReport};
use crate::report::environment::Environment;

/// Version of the form in which a report is written. `schemas/suspend.v1.json` describes it.
pub const SCHEMA_VERSION: u32 = 1;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Request {
    /// Cases by name, in their order.
    pub cases: Vec<String>,
    /// Which logger.
    pub logger: &'static str,
    /// Producers; `None`: the case's.
    pub threads: Option<usize>,
    /// How long threads are stopped; `None`: the case's time.
    pub stop_ms: Option<u64>,
}

/// A whole report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Document {
    /// `suspend`: tells it from a report of load rows.
    pub kind: &'static str,
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
    /// The sweep, if there was one.
    pub sweep: Option<serde_json::Value>,
    /// The row in which the others had most delivered during the stop.
    pub best: Option<Best>,
    /// What the reader should know.
    pub warnings: Vec<String>,
    /// What went wrong.
    pub errors: Vec<String>,
    /// Ctrl-C ended it.
    pub interrupted: bool,
    /// Exit code of the program.
    pub exit_code: u8,
}

impl Document {
    /// An empty report.
    pub const fn new(environment: Environment, request: Request) -> Self {
        Self {
            kind: "suspend",
            schema_version: SCHEMA_VERSION,
            environment,
            request,
            cases: Vec::new(),
            rows: Vec::new(),
            sweep: None,
            best: None,
            warnings: Vec::new(),
            errors: Vec::new(),
            interrupted: false,
            exit_code: 0,
        }
    }

    /// The last case has ended. `errors`: what the cases that could not be run say.
    pub fn finish(&mut self, errors: ExitCode) -> ExitCode {
        self.environment.finish();
        let is_sound = |row: &&Row| row.status == Status::Ok;
        let best = self.rows.iter().filter(is_sound).max_by_key(|row| row.throughput_msgs_per_s);
        self.best = best.map(|row| Best {
            case: row.case.clone(),
            name: row.name.clone(),
            throughput_msgs_per_s: row.throughput_msgs_per_s,
        });
        let of_rows = self.rows.iter().map(|row| row.status.exit_code()).fold(errors, ExitCode::and);
        let of_end = if self.interrupted { ExitCode::Interrupted } else { ExitCode::Pass };
        let code = of_rows.and(of_end);
        self.exit_code = code as u8;
        code
    }
}
