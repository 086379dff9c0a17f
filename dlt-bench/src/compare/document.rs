//! The whole report. It has a form of its own: its rows are contenders.

use serde::Serialize;

use super::row::{REFERENCE, Ranking, Row, Status, is_ours};
use super::stops::{self, StopsRow};
use crate::exit_code::ExitCode;
use crate::report::document::CaseReport;
use crate::report::environment::Environment;

/// Version of the form in which a report is written. `schemas/compare.v1.json` describes it.
pub const SCHEMA_VERSION: u32 = 1;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Request {
    /// Cases by name, in their order.
    pub cases: Vec<String>,
    /// Only contenders with this in their name, and dlt-logger.
    pub only: Option<String>,
    /// Rounds; `None`: as the measurement says.
    pub iterations: Option<usize>,
    /// Messages per measurement; `None`: for its time.
    pub messages: Option<u64>,
    /// Chose the orders of contenders.
    pub seed: u64,
    /// Where contenders wrote to.
    pub sink: String,
}

/// A contender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContenderReport {
    /// Its name.
    pub name: String,
    /// It is one of dlt-logger's modes.
    pub is_dlt_logger: bool,
    /// How it was set up, in its own words; several where that depends on the number of producers.
    pub configurations: Vec<String>,
}

/// A whole report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Document {
    /// `compare`: tells it from reports of another form.
    pub kind: &'static str,
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Machine and program.
    pub environment: Environment,
    /// What was asked for.
    pub request: Request,
    /// The contender that ratios are about.
    pub reference: &'static str,
    /// All contenders.
    pub contenders: Vec<ContenderReport>,
    /// The cases that ran.
    pub cases: Vec<CaseReport>,
    /// All measurements of all contenders.
    pub rows: Vec<Row>,
    /// Who is first in what.
    pub rankings: Vec<Ranking>,
    /// What stops of threads within their calls showed.
    pub stops: Vec<StopsRow>,
    /// What the reader should know.
    pub warnings: Vec<String>,
    /// What went wrong.
    pub errors: Vec<String>,
    /// Ctrl-C ended it.
    pub interrupted: bool,
    /// How long it took.
    pub duration_s: f64,
    /// Exit code of the program.
    pub exit_code: u8,
}

impl Document {
    /// An empty report.
    pub const fn new(environment: Environment, request: Request) -> Self {
        Self {
            kind: "compare",
            schema_version: SCHEMA_VERSION,
            environment,
            request,
            reference: REFERENCE,
            contenders: Vec::new(),
            cases: Vec::new(),
            rows: Vec::new(),
            rankings: Vec::new(),
            stops: Vec::new(),
            warnings: Vec::new(),
            errors: Vec::new(),
            interrupted: false,
            duration_s: 0.0,
            exit_code: 0,
        }
    }

    /// Everything has been measured: exit code. A logger that is not installed is no error. One of the others that failed
    /// leaves the comparison incomplete; dlt-logger must not fail.
    pub fn finish(&mut self) -> ExitCode {
        self.environment.finish();
        let of_row = |row: &Row| match row.status {
            Status::Failed if is_ours(&row.contender) => ExitCode::Violation,
            Status::Failed => ExitCode::Inconclusive,
            Status::Ok | Status::NotInstalled | Status::Unsupported => ExitCode::Pass,
        };
        let of_rows = self.rows.iter().map(of_row).fold(ExitCode::Pass, ExitCode::and);
        let of_end = if self.interrupted { ExitCode::Interrupted } else { ExitCode::Pass };
        let code = of_rows.and(stops::code(&self.stops)).and(of_end);
        self.exit_code = code as u8;
        code
    }
}
