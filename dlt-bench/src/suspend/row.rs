//! What a stop showed.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::exit_code::ExitCode;

/// How a row ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The others went on.
    Ok,
    /// Another logger, whose others stood still.
    Stalled,
    /// Others stood still, or accounts do not agree.
    Violation,
    /// A stop could not be confirmed, or a control did not stall.
    Inconclusive,
    /// What the row needs is not installed.
    NotInstalled,
    /// Ctrl-C ended it.
    Interrupted,
}

impl Status {
    /// Its part of the exit code.
    pub const fn exit_code(self) -> ExitCode {
        match self {
            Self::Ok | Self::Stalled | Self::NotInstalled => ExitCode::Pass,
            Self::Violation => ExitCode::Violation,
            Self::Inconclusive => ExitCode::Inconclusive,
            Self::Interrupted => ExitCode::Interrupted,
        }
    }

    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Stalled => "STALLED",
            Self::Violation => "VIOLATION",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::NotInstalled => "not installed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// One stop of one thread.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StopRecord {
    /// `producer 3`, `worker 0`.
    pub thread: String,
    /// Its thread id.
    pub tid: u32,
    /// Where it stood.
    pub place: String,
    /// From the stop's confirmation until it was resumed.
    pub asked_ms: f64,
    /// How long it was away from processors because of it, as the kernel's scheduler saw it.
    pub kernel_ms: Option<f64>,
    /// Calls that it finished meanwhile: a thread that stands finishes none.
    pub calls_meanwhile: u64,
}

/// A rate before, during and after a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Around {
    /// Before the stop.
    pub before: Option<u64>,
    /// While the stopped threads stood.
    pub during: Option<u64>,
    /// After they were resumed.
    pub after: Option<u64>,
}

/// The account of all messages of a row's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Calls.
    pub attempted: u64,
    /// Messages that arrived.
    pub delivered: u64,
    /// Refused or lost.
    pub dropped: u64,
    /// Gave way to newer ones.
    pub overwritten: u64,
    /// Given up after the timeout.
    pub timed_out: u64,
}

/// One stop, or several at once, and how the others fared. A field that is `None` has its reason in `null_because`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The case it belongs to.
    pub case: String,
    /// Its name within the case.
    pub name: String,
    /// Which logger.
    pub logger: String,
    /// What a full lane does.
    pub overflow_mode: Option<String>,
    /// Producers.
    pub threads: usize,
    /// Stopped threads.
    pub stopped: usize,
    /// Their stops.
    pub stops: Vec<StopRecord>,
    /// Producers that were not stopped and whose calls have to go on.
    pub others: usize,
    /// Producers whose deliveries have to go on.
    pub others_delivered: usize,
    /// Calls of the others.
    pub calls_per_s: Around,
    /// Deliveries of the others.
    pub deliveries_per_s: Around,
    /// Fewest calls that one of the others finished during the stop.
    pub least_calls_of_another: Option<u64>,
    /// Fewest messages of one of the others that arrived during the stop.
    pub least_deliveries_of_another: Option<u64>,
    /// Longest time between two finished calls of one of the others, from before the stop until they were resumed.
    pub longest_call_gap_ms: Option<f64>,
    /// Longest time between two deliveries of one of the others.
    pub longest_delivery_gap_ms: Option<f64>,
    /// A gap that is longer is a violation.
    pub limit_ms: f64,
    /// By how much the machine was late to wake the controller at worst. It is part of `limit_ms`.
    pub machine_late_ms: f64,
    /// `deliveries_per_s.during`, or 0.
    pub throughput_msgs_per_s: u64,
    /// What became of all messages of the process; `None` if it did not live to tell.
    pub account: Option<Account>,
    /// How it ended.
    pub status: Status,
    /// What is not as it must be.
    pub problems: Vec<String>,
    /// What the reader should know.
    pub remarks: Vec<String>,
    /// Why a field is null.
    pub null_because: BTreeMap<&'static str, String>,
}

impl Row {
    /// A row of which nothing is known yet.
    pub(super) fn new(case: &str, name: impl Into<String>, logger: &str, threads: usize) -> Self {
        Self {
            case: case.to_owned(),
            name: name.into(),
            logger: logger.to_owned(),
            overflow_mode: None,
            threads,
            stopped: 0,
            stops: Vec::new(),
            others: 0,
            others_delivered: 0,
            calls_per_s: Around::default(),
            deliveries_per_s: Around::default(),
            least_calls_of_another: None,
            least_deliveries_of_another: None,
            longest_call_gap_ms: None,
            longest_delivery_gap_ms: None,
            limit_ms: 0.0,
            machine_late_ms: 0.0,
            throughput_msgs_per_s: 0,
            account: None,
            status: Status::Ok,
            problems: Vec::new(),
            remarks: Vec::new(),
            null_because: BTreeMap::new(),
        }
    }

    /// The kernel probe watched its stops.
    pub fn was_watched(&self) -> bool {
        self.stops.iter().any(|stop| stop.kernel_ms.is_some())
    }

    /// Something is not as it must be.
    pub(super) fn violated(&mut self, problem: String) {
        self.problems.push(problem);
        self.status = Status::Violation;
    }

    /// Something could not be seen.
    pub(super) fn unclear(&mut self, problem: String) {
        self.problems.push(problem);
        if self.status != Status::Violation {
            self.status = Status::Inconclusive;
        }
    }

    /// Gives every null its reason.
    pub(super) fn explain_nulls(&mut self, why_blind: Option<&str>) {
        let never = "the row was not measured that far";
        let mut note = |field: &'static str, is_null: bool, reason: &str| {
            if is_null {
                self.null_because.entry(field).or_insert_with(|| reason.to_owned());
            }
        };
        note("overflow_mode", self.overflow_mode.is_none(), "the logger has no such modes");
        note("least_calls_of_another", self.least_calls_of_another.is_none(), never);
        note("least_deliveries_of_another", self.least_deliveries_of_another.is_none(), never);
        note("longest_call_gap_ms", self.longest_call_gap_ms.is_none(), never);
        note("longest_delivery_gap_ms", self.longest_delivery_gap_ms.is_none(), never);
        note("account", self.account.is_none(), never);
        let Around { before, during, after } = self.calls_per_s;
        note("calls_per_s", [before, during, after].contains(&None), never);
        let Around { before, during, after } = self.deliveries_per_s;
        note("deliveries_per_s", [before, during, after].contains(&None), never);
        let is_blind = self.stops.iter().any(|stop| stop.kernel_ms.is_none());
        note("stops.kernel_ms", is_blind, why_blind.unwrap_or("the record could not be read"));
    }
}
