//! The figures of a sweep, with names for addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use super::finding::{Finding, StateReport, SubjectReport};
use super::jobs::{Expected, Job, Victim};
use super::outcome::{Outcome, Stalled};
use crate::code::{Coverage, Image, cover};
use crate::error::Error;
use crate::exit_code::ExitCode;

/// Of the stops of dlt-logger's own sweep this share has to be made, in percent.
const LEAST_MADE_PERCENT: usize = 90;

/// What a sweep, or a part of one, showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nobody waited at any stop, and the books balanced after each.
    Ok,
    /// Somebody waited, or a message was not accounted for.
    Violation,
    /// A control in which somebody waited, as must be.
    Found,
    /// Too few stops were made, equal states did not give equal ways, or a control in which nobody waited.
    Inconclusive,
}

impl Status {
    /// Its part of the exit code.
    pub const fn exit_code(self) -> ExitCode {
        match self {
            Self::Ok | Self::Found => ExitCode::Pass,
            Self::Violation => ExitCode::Violation,
            Self::Inconclusive => ExitCode::Inconclusive,
        }
    }
}

/// One state of one subject's ring.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StateRow {
    /// Its name.
    pub state: &'static str,
    /// Instructions of the way.
    pub instructions: usize,
    /// Locked ones among them.
    pub locked_instructions: usize,
    /// Stops that were to be made, and that were.
    pub stops_planned: usize,
    /// See `stops_planned`.
    pub stops_made: usize,
    /// Stops at which calls of others did not return.
    pub calls_stalled: usize,
    /// Stops at which messages of others did not arrive.
    pub delivery_stalled: usize,
    /// Stops at which a chore did not end.
    pub chores_stalled: usize,
    /// Stops after which the books did not balance.
    pub unbalanced: usize,
    /// Stops that the victim did not come to.
    pub not_reached: usize,
    /// Stops at which the ring was not as it was on the recorded way.
    pub other_state: usize,
    /// Positions at which repetitions of the way parted from it.
    pub ways_part_at: Vec<usize>,
    /// Pairs of stops of two victims.
    pub pairs: usize,
    /// Those at which somebody waited, or after which the books did not balance.
    pub pairs_stalled: usize,
    /// Longest time that the others took for their calls, deliveries and chores.
    pub longest_ms: Option<f64>,
    /// How long it took.
    pub duration_s: f64,
    /// Stops and pairs at which somebody waited, or after which the books did not balance.
    pub violations: usize,
    /// What it showed.
    pub status: Status,
}

/// A stop that was not fine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FindingRow {
    /// State of the ring.
    pub state: &'static str,
    /// Instructions that the victims had executed.
    pub instructions_executed: Vec<usize>,
    /// What they were about to execute: address, text, function, file and line.
    pub at: Vec<Position>,
    /// What became of it.
    pub outcome: String,
    /// Somebody waited, or a message was not accounted for.
    pub is_violation: bool,
    /// Threads that stood still, with their functions, innermost first.
    pub stacks: Vec<StackRow>,
}

/// An instruction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// Its address in this run.
    pub address: String,
    /// What it is.
    pub instruction: String,
    /// Function, and file and line in it.
    pub place: String,
}

/// The stack of a thread that stood still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StackRow {
    /// What the thread is.
    pub thread: &'static str,
    /// Innermost first.
    pub frames: Vec<String>,
}

/// One subject.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubjectRow {
    /// Its name.
    pub name: String,
    /// `caller` or `worker`.
    pub victim: &'static str,
    /// True for a control, in which somebody must be found to wait.
    pub is_control: bool,
    /// Calls of each of the two other producers at each stop.
    pub calls_of_each_other: u64,
    /// What other threads did at each stop.
    pub chores: &'static [&'static str],
    /// How long the others had.
    pub watchdog_ms: f64,
    /// Stops per state at most; `None`: every instruction.
    pub sample: Option<usize>,
    /// Its states.
    pub states: Vec<StateRow>,
    /// Stops that were not fine.
    pub findings: Vec<FindingRow>,
    /// What it showed.
    pub status: Status,
}

/// Which instructions of a function and of its direct callees threads were stopped at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CoverageRow {
    /// What it is the code of.
    pub code: &'static str,
    /// Function.
    pub function: String,
    /// Instructions at which a thread was stopped, and that there are.
    pub covered: usize,
    /// See `covered`.
    pub total: usize,
    /// The others, with the reason.
    pub uncovered: Vec<UncoveredRow>,
}

/// Instructions in a row at which no thread was stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UncoveredRow {
    /// Address of the first one.
    pub address: String,
    /// How many there are.
    pub instructions: usize,
    /// Where the first one comes from.
    pub place: String,
    /// Why.
    pub because: String,
}

/// A whole sweep.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sweep {
    /// Stops per state; `None`: all.
    pub sample: Option<usize>,
    /// What chose the sample and the pairs.
    pub seed: u64,
    /// Stops that were made, pairs included.
    pub stops: usize,
    /// Its subjects.
    pub subjects: Vec<SubjectRow>,
    /// Coverage of their code.
    pub coverage: Vec<CoverageRow>,
    /// Direct callees that are not counted: panics, and functions of libraries.
    pub callees_not_counted: Vec<String>,
    /// False if it was interrupted.
    pub is_complete: bool,
    /// How long it took.
    pub duration_s: f64,
    /// What it showed.
    pub status: Status,
}

impl Sweep {
    /// Nothing yet.
    pub(super) const fn new(sample: Option<usize>, seed: u64) -> Self {
        Self {
            sample,
            seed,
            stops: 0,
            subjects: Vec::new(),
            coverage: Vec::new(),
            callees_not_counted: Vec::new(),
            is_complete: true,
            duration_s: 0.0,
            status: Status::Ok,
        }
    }

    /// Adds a subject.
    pub(super) fn add(&mut self, job: &Job, report: &SubjectReport, image: &Image) -> Result<(), Error> {
        let states = report.states.iter().map(|state| state_row(job, state, image));
        let states: Vec<_> = states.collect::<Result<_, _>>()?;
        self.stops += states.iter().map(|state| state.stops_made + state.pairs).sum::<usize>();
        let findings = report.states.iter().flat_map(|state| {
            state.findings.iter().map(move |finding| finding_row(state.state, finding, report, image))
        });
        let findings = findings.collect::<Result<_, _>>()?;
        let status = match job.expected {
            Expected::Clean => worst(states.iter().map(|state| state.status)),
            Expected::Stalls if report.states.iter().any(|state| state.violations() > 0) => Status::Found,
            Expected::Stalls => Status::Inconclusive,
        };
        self.subjects.push(SubjectRow {
            name: report.name.clone(),
            victim: match job.victim {
                Victim::Caller => "caller",
                Victim::Worker => "worker",
            },
            is_control: job.expected == Expected::Stalls,
            calls_of_each_other: report.crowd_calls,
            chores: report.chores,
            watchdog_ms: ms(report.watchdog),
            sample: report.sample,
            states,
            findings,
            status,
        });
        self.status = worst(self.subjects.iter().map(|subject| subject.status));
        Ok(())
    }

    /// Adds the coverage of what the stops of these subjects have in common.
    pub(super) fn cover(
        &mut self,
        code: &'static str,
        entry: u64,
        stopped_at: &BTreeSet<u64>,
        image: &Image,
    ) -> Result<(), Error> {
        let Coverage { functions, never_return, of_libraries } = cover(image, entry, stopped_at)?;
        for function in functions {
            let uncovered = function.uncovered.iter().map(|part| UncoveredRow {
                address: format!("{:#x}", part.start),
                instructions: part.instructions,
                place: part.place.to_string(),
                because: part.because.to_string(),
            });
            self.coverage.push(CoverageRow {
                code,
                uncovered: uncovered.collect(),
                function: function.name,
                covered: function.covered,
                total: function.total,
            });
        }
        for callee in never_return.into_iter().chain(of_libraries) {
            if !self.callees_not_counted.contains(&callee) {
                self.callees_not_counted.push(callee);
            }
        }
        Ok(())
    }
}

/// Addresses at which threads were stopped.
pub(super) fn stopped_at(report: &SubjectReport) -> BTreeSet<u64> {
    let made = |state: &StateReport| {
        let at = |&(index, _): &(usize, u64)| state.way.get(index).copied();
        state.times_ns.iter().filter_map(at).collect::<Vec<_>>()
    };
    report.states.iter().flat_map(made).collect()
}

fn worst(statuses: impl Iterator<Item = Status>) -> Status {
    let weight = |status: &Status| match status {
        Status::Ok => 0,
        Status::Found => 1,
        Status::Inconclusive => 2,
        Status::Violation => 3,
    };
    let worst = statuses.max_by_key(weight).unwrap_or(Status::Inconclusive);
    // That controls were found out is as it must be.
    if worst == Status::Found { Status::Ok } else { worst }
}

fn state_row(job: &Job, state: &StateReport, image: &Image) -> Result<StateRow, Error> {
    // A way may come to an instruction often; it is decoded once.
    let mut locked = BTreeMap::new();
    for &address in &state.way {
        if let std::collections::btree_map::Entry::Vacant(entry) = locked.entry(address) {
            entry.insert(image.instruction(address)?.is_locked());
        }
    }
    // A worker's way depends on clocks; a call's must not.
    let is_controlled = job.victim == Victim::Worker || state.unequal.is_empty();
    let is_enough = state.made * 100 >= state.planned * LEAST_MADE_PERCENT;
    let status = match job.expected {
        Expected::Stalls if state.violations() > 0 => Status::Found,
        Expected::Stalls => Status::Ok,
        Expected::Clean if state.violations() > 0 => Status::Violation,
        Expected::Clean if is_controlled && is_enough => Status::Ok,
        Expected::Clean => Status::Inconclusive,
    };
    Ok(StateRow {
        state: state.state,
        instructions: state.way.len(),
        locked_instructions: state.way.iter().filter(|address| locked[address]).count(),
        stops_planned: state.planned,
        stops_made: state.made,
        calls_stalled: state.stalled_calls,
        delivery_stalled: state.stalled_delivery,
        chores_stalled: state.stalled_chores,
        unbalanced: state.broken,
        not_reached: state.not_reached,
        other_state: state.other_state,
        ways_part_at: state.unequal.clone(),
        pairs: state.pairs,
        pairs_stalled: state.stalled_pairs,
        longest_ms: state.times_ns.iter().map(|&(_, ns)| ns).max().map(|ns| ns as f64 / 1e6),
        duration_s: state.duration.as_secs_f64(),
        violations: state.violations(),
        status,
    })
}

fn finding_row(
    state: &'static str,
    finding: &Finding,
    report: &SubjectReport,
    image: &Image,
) -> Result<FindingRow, Error> {
    let position = |&address: &u64| {
        Ok(Position {
            address: format!("{address:#x}"),
            instruction: image.instruction(address)?.text(),
            place: image.symbols().place(address).to_string(),
        })
    };
    let stacks =
        finding.stacks.iter().map(|(thread, stack)| StackRow { thread, frames: frames(stack, image) });
    Ok(FindingRow {
        state,
        instructions_executed: finding.indices.clone(),
        at: finding.addresses.iter().map(position).collect::<Result<_, Error>>()?,
        outcome: outcome_text(&finding.outcome, report),
        is_violation: finding.outcome.is_violation(),
        stacks: stacks.collect(),
    })
}

/// Functions of a stack, innermost first and inlined ones too, without those of the standard library, which are a dozen of
/// each thread's and say nothing; what the thread is executing is always there.
fn frames(stack: &[u64], image: &Image) -> Vec<String> {
    let mut frames = Vec::new();
    for (depth, &address) in stack.iter().enumerate() {
        // A return address lies behind its call.
        let functions = image.symbols().frames(address - u64::from(depth > 0));
        if depth == 0 && functions.is_empty() {
            frames.push(image.symbols().label(address));
        }
        for name in functions.iter().rev() {
            let is_of_std = name.place.as_ref().is_some_and(|place| place.starts_with("library/"));
            match &name.place {
                Some(place) if !is_of_std => frames.push(format!("{} ({place})", name.function)),
                None if depth == 0 => frames.push(name.function.clone()),
                _ => {}
            }
        }
    }
    frames
}

fn outcome_text(outcome: &Outcome, report: &SubjectReport) -> String {
    match outcome {
        Outcome::Fine => "fine".to_owned(),
        Outcome::Stalled(Stalled { calls, delivery, chore }) => {
            let mut what = Vec::new();
            if *calls {
                what.push("calls of others did not return".to_owned());
            }
            if *delivery {
                what.push("messages of others did not arrive".to_owned());
            }
            if let Some(chore) = chore {
                let name = report.chores.get(*chore).copied().unwrap_or("a chore");
                what.push(format!("did not end: {name}"));
            }
            what.join("; ")
        }
        Outcome::Broken(what) => what.clone(),
        Outcome::NotReached => "the victim did not come there".to_owned(),
        Outcome::OtherState => "the ring was in another state than on the recorded way".to_owned(),
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
