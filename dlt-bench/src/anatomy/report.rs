//! The anatomy for people and for programs.

use std::fmt::Write as _;

use serde::Serialize;

use super::summary::{Line, Lines, Summary};
use super::{Bounds, Options};
use crate::load::plan::LoggerKind;
use crate::report::environment::Environment;
use crate::report::human::{add, bytes, count, dash, table};

/// Version of the form in which a report is written. `schemas/anatomy.v1.json` describes it.
pub const SCHEMA_VERSION: u32 = 1;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Request {
    /// Which logger.
    pub logger: &'static str,
    /// The overflow mode; `None`: all.
    pub overflow_mode: Option<String>,
    /// Instructions that a call may execute, where no other bound is named.
    pub max_instructions: Option<usize>,
    /// The same of a call that finds its ring full.
    pub max_when_full: Option<usize>,
    /// The same of a call whose level is off.
    pub max_when_off: Option<usize>,
    /// No locked instruction is allowed.
    pub no_locked: bool,
    /// No call out of the library is allowed, to the kernel neither.
    pub no_calls_out: bool,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Mode and state.
    pub name: String,
    /// The overflow mode.
    pub overflow_mode: String,
    /// The state of the ring, or of the level.
    pub state: &'static str,
    /// What the call returned.
    pub outcome: String,
    /// How often it was traced.
    pub traces: u32,
    /// Every trace has the same addresses.
    pub traces_are_equal: bool,
    /// Counts of the first trace.
    #[serde(flatten)]
    pub summary: Summary,
    /// Bounds that a trace exceeds.
    pub violations: Vec<String>,
    /// The first trace.
    pub listing: Vec<Line>,
}

/// A whole report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Document {
    /// `anatomy`: tells it from other reports.
    pub kind: &'static str,
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Machine and program.
    pub environment: Environment,
    /// What was asked for.
    pub request: Request,
    /// The calls.
    pub rows: Vec<Row>,
    /// Ctrl-C ended it.
    pub interrupted: bool,
    /// Exit code of the program.
    pub exit_code: u8,
}

impl Document {
    /// An empty report.
    pub fn new(environment: Environment, options: &Options) -> Self {
        let Bounds { max_instructions, max_when_full, max_when_off, no_locked, no_calls_out } =
            options.bounds;
        let request = Request {
            logger: options.logger.name(),
            overflow_mode: options.mode.map(|mode| mode.to_string()),
            max_instructions,
            max_when_full,
            max_when_off,
            no_locked,
            no_calls_out,
        };
        Self {
            kind: "anatomy",
            schema_version: SCHEMA_VERSION,
            environment,
            request,
            rows: Vec::new(),
            interrupted: false,
            exit_code: 0,
        }
    }
}

/// The table, and what is to be said about it.
pub fn summary(document: &Document) -> String {
    let rows = &document.rows;
    let mut text = String::from("\nWhat one log call executes: a u32 and a 16-byte string\n");
    let mut shown = table(&[
        "Call",
        "Instructions",
        "Locked",
        "Fences",
        "System calls",
        "Calls out",
        "Branches",
        "taken",
        "Loads",
        "Stores",
        "Bytes stored",
        "Lines read",
        "Lines written",
    ]);
    for row in rows {
        let s = &row.summary;
        add(
            &mut shown,
            vec![
                row.name.clone(),
                count(s.instructions as u64),
                s.locked_instructions.to_string(),
                s.fences.to_string(),
                s.system_calls.to_string(),
                s.calls_out.values().sum::<usize>().to_string(),
                s.branches.to_string(),
                s.branches_taken.to_string(),
                s.loads.to_string(),
                s.stores.to_string(),
                bytes(s.stored_bytes),
                lines(s.cache_lines_read),
                lines(s.cache_lines_written),
            ],
        );
    }
    let _ = writeln!(text, "{shown}");
    text.push_str(
        "· Lines: distinct 64-byte cache lines: anonymous mappings (lane, thread) + others + stack\n",
    );
    text.push_str(
        "· Bytes stored: with the stack's; Branches: conditional ones; Locked: `lock`, and `xchg` with memory\n",
    );
    if document.request.logger != LoggerKind::Dlt.name() {
        text.push_str("· The control's worker is not held back: it may find the lock taken while the call is stepped through\n");
    }
    for row in rows {
        for (name, times) in &row.summary.calls_out {
            let _ = writeln!(text, "· {}: calls {name}, {times} time(s)", row.name);
        }
        let files = &row.summary.instructions_in;
        if files.len() > 1 {
            let files: Vec<_> = files.iter().map(|(file, n)| format!("{n} in {file}")).collect();
            let _ = writeln!(text, "· {}: instructions: {}", row.name, files.join(", "));
        }
        if row.traces_are_equal {
            continue;
        }
        let _ = writeln!(
            text,
            "! {}: its {} traces differ; these are the figures of the first one",
            row.name, row.traces
        );
    }
    for violation in rows.iter().flat_map(|row| &row.violations) {
        let _ = writeln!(text, "✗ {violation}");
    }
    text
}

fn lines(lines: Lines) -> String {
    format!("{} + {} + {}", lines.mapped, lines.other, lines.stack)
}

/// The listing of a call.
pub fn listing(row: &Row) -> String {
    let mut text = format!("\n{} ({})\n", row.name, row.outcome);
    let mut last = None;
    for line in &row.listing {
        let place = (&line.function, &line.place);
        if last != Some(place) {
            let file_line = line.place.clone().unwrap_or_else(dash);
            let _ = writeln!(text, "  {} ({file_line})", line.function);
            last = Some(place);
        }
        let mut notes: Vec<String> = Vec::new();
        notes.extend(line.is_locked.then(|| "LOCKED".to_owned()));
        notes.extend(line.is_system_call.then(|| "SYSTEM CALL".to_owned()));
        notes.extend(line.calls_out.as_ref().map(|name| format!("CALLS {name}")));
        notes.extend(line.is_taken.map(|is_taken| if is_taken { "taken" } else { "not taken" }.to_owned()));
        notes.extend((line.repetitions > 1).then(|| format!("{} times", line.repetitions)));
        let touched = line.memory.iter().map(|memory| {
            let what = match memory.access {
                "read" => "r",
                "write" => "w",
                _ => "rw",
            };
            format!("{what}{} {} {}", memory.bytes, memory.address, memory.on)
        });
        notes.extend(touched);
        let line = format!("    {}  {:<44} {}", line.address, line.text, notes.join(" · "));
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}
