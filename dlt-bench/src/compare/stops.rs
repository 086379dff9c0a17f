//! `compare-stops`: a thread stands still within its log call; who else does?
//!
//! The processes under test are forked (`sweep`), so that each contender has its own.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::document::Document;
use super::row::{Status, is_ours};
use crate::error::Error;
use crate::exit_code::ExitCode;
use crate::report::document::CaseReport;
use crate::report::human::{add, dash, table};

/// Name of the case.
pub const CASE: &str = "compare-stops";
/// What it shows.
const TITLE: &str = "compare-stops: a thread is stopped within its log call; do others' calls return, do their messages arrive?";
/// Stops of a call unless `--sample` says otherwise.
pub const SAMPLE: usize = 160;
/// The others have to go on within this time.
const WATCHDOG: Duration = Duration::from_millis(500);
/// No stop of a contender is begun after this, so that all of them take less than 2 minutes: those in which nobody waits
/// take two seconds.
const BUDGET: Duration = Duration::from_secs(15);

/// What so many contenders may take.
pub(super) fn most(contenders: usize) -> Duration {
    BUDGET * contenders as u32
}
/// Who must be found to make others wait; else nothing is shown.
const CONTROL: &str = "mutex";

/// One contender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StopsRow {
    /// Its name.
    pub contender: String,
    /// What became of it.
    pub status: Status,
    /// Why there are no figures.
    pub reason: Option<String>,
    /// How it was set up, in its own words.
    pub configuration: Option<String>,
    /// What was found.
    pub stops: Option<Stops>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stops {
    /// Instructions of the call.
    pub instructions: usize,
    /// Stops that were to be made, evenly over the call.
    pub planned: usize,
    /// Stops that were made.
    pub made: usize,
    /// Those at which calls of other threads did not return.
    pub others_stuck: usize,
    /// Those at which they did, but their messages did not arrive in the file.
    pub delivery_stuck: usize,
    /// Those after which messages were missing, twice or out of order.
    pub unbalanced: usize,
    /// The first of these, in words.
    pub first_unbalanced: Option<String>,
}

impl StopsRow {
    fn without(contender: &str, status: Status, reason: String) -> Self {
        let contender = contender.to_owned();
        Self { contender, status, reason: Some(reason), configuration: None, stops: None }
    }

    /// What it means for the program's exit code.
    fn code(&self) -> ExitCode {
        let Some(stops) = &self.stops else {
            return match self.status {
                Status::Failed if is_ours(&self.contender) => ExitCode::Violation,
                Status::Failed => ExitCode::Inconclusive,
                Status::Ok | Status::NotInstalled | Status::Unsupported => ExitCode::Pass,
            };
        };
        let bad = stops.others_stuck + stops.delivery_stuck + stops.unbalanced;
        match &*self.contender {
            ours if is_ours(ours) && bad > 0 => ExitCode::Violation,
            ours if is_ours(ours) && stops.made < stops.planned => ExitCode::Inconclusive,
            CONTROL if stops.others_stuck == 0 => ExitCode::Inconclusive,
            _ => ExitCode::Pass,
        }
    }
}

/// Stops all of them, one after the other. `progress` is told of each stop: contender, stops done, stops planned.
pub(super) fn run(
    contenders: &[String],
    sample: usize,
    folder: &Path,
    progress: &mut dyn FnMut(&str, usize, usize),
) -> Vec<StopsRow> {
    let one = |name: &String| {
        let own = folder.join(name);
        let made = std::fs::create_dir(&own).map_err(|error| Error::failed(error.to_string()));
        let row = made
            .and_then(|()| sampled(name, sample, &own, &mut |done, planned| progress(name, done, planned)));
        row.unwrap_or_else(|error| {
            let status = match error.exit_code() {
                ExitCode::CannotRun => Status::Unsupported,
                _ => Status::Failed,
            };
            StopsRow::without(name, status, error.to_string())
        })
    };
    let left = || !crate::interrupt::requested();
    contenders.iter().take_while(|_| left()).map(one).collect()
}

#[cfg(all(feature = "peers", target_arch = "x86_64"))]
fn sampled(
    name: &str,
    sample: usize,
    folder: &Path,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<StopsRow, Error> {
    peers::Visitor { sample, folder, progress }.visit(name)
}

#[cfg(not(all(feature = "peers", target_arch = "x86_64")))]
fn sampled(_: &str, _: usize, _: &Path, _: &mut dyn FnMut(usize, usize)) -> Result<StopsRow, Error> {
    Err(Error::cannot_run("the sweep is for x86-64 and for builds with the feature `peers`"))
}

#[cfg(all(feature = "peers", target_arch = "x86_64"))]
mod peers {
    use std::path::Path;

    use dlt_peers::{Contender, Unavailable, Visit, with};

    use super::{BUDGET, Stops, StopsRow, WATCHDOG};
    use crate::compare::row::Status;
    use crate::error::Error;
    use crate::sweep::Books;
    use crate::sweep::steps::{StepOptions, sweep_by_steps};
    use crate::sweep::subjects::peer::Peer;

    /// Files in a contender's folder: what it writes, what it says of itself, and why it did not start.
    const SINK: &str = "sink";
    const CONFIGURATION: &str = "configuration";
    const NOT_INSTALLED: &str = "not installed";
    const FAILED: &str = "failed";

    pub(super) struct Visitor<'a> {
        pub(super) sample: usize,
        pub(super) folder: &'a Path,
        pub(super) progress: &'a mut dyn FnMut(usize, usize),
    }

    impl Visitor<'_> {
        pub(super) fn visit(self, name: &str) -> Result<StopsRow, Error> {
            with(name, self).unwrap_or_else(|| Err(Error::failed(format!("no contender is called `{name}`"))))
        }
    }

    /// In the process under test. What happens is left in files: the process that reads them is another one.
    fn start<C: Contender>(folder: &Path) -> Peer<C> {
        let (name, text) = match Peer::start(&folder.join(SINK)) {
            Ok(peer) => {
                // If it cannot be written, the report does not say it.
                let _ = std::fs::write(folder.join(CONFIGURATION), peer.configuration());
                return peer;
            }
            Err(Unavailable::NotInstalled(what)) => (NOT_INSTALLED, what),
            Err(Unavailable::Failed(why)) => (FAILED, why),
        };
        let _ = std::fs::write(folder.join(name), text);
        // The controller notices that the process has ended.
        std::process::abort();
    }

    impl Visit for Visitor<'_> {
        type Output = Result<StopsRow, Error>;

        fn visit<C: Contender>(self) -> Self::Output {
            let Self { sample, folder, progress } = self;
            let options = StepOptions { sample, watchdog: WATCHDOG, budget: BUDGET };
            let report = sweep_by_steps(&|_: &'static Books| start::<C>(folder), options, progress);
            let said = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
            if let Some(what) = said(NOT_INSTALLED) {
                return Ok(StopsRow::without(C::NAME, Status::NotInstalled, what));
            }
            if let Some(why) = said(FAILED) {
                return Ok(StopsRow::without(C::NAME, Status::Failed, why));
            }
            let report = report?;
            let stops = Stops {
                instructions: report.instructions,
                planned: report.planned,
                made: report.made,
                others_stuck: report.stalled_calls,
                delivery_stuck: report.stalled_delivery,
                unbalanced: report.broken,
                first_unbalanced: report.reason,
            };
            Ok(StopsRow {
                contender: C::NAME.to_owned(),
                status: Status::Ok,
                reason: None,
                configuration: said(CONFIGURATION),
                stops: Some(stops),
            })
        }
    }
}

/// Puts the rows into the report.
pub(super) fn conclude(rows: Vec<StopsRow>, document: &mut Document) {
    let mut conclusions = Vec::new();
    for row in &rows {
        let code = row.code();
        if code == ExitCode::Pass {
            continue;
        }
        document.errors.push(match &row.stops {
            Some(stops) if row.contender == CONTROL => format!(
                "{CASE}: {CONTROL}: nobody was found to wait at {} stops: what is found of the others shows nothing",
                stops.made
            ),
            Some(stops) => format!(
                "{CASE}: {}: {} stops of {}: others stuck at {}, only delivery at {}, unbalanced after {}",
                row.contender,
                stops.made,
                stops.planned,
                stops.others_stuck,
                stops.delivery_stuck,
                stops.unbalanced
            ),
            None => format!("{CASE}: {}: {}", row.contender, row.reason.as_deref().unwrap_or_default()),
        });
    }
    let clean = |ours: bool| {
        rows.iter().filter(move |row| is_ours(&row.contender) == ours).filter(|row| {
            row.stops.as_ref().is_some_and(|stops| {
                stops.made > 0 && stops.others_stuck + stops.delivery_stuck + stops.unbalanced == 0
            })
        })
    };
    let names = |ours| clean(ours).map(|row| row.contender.as_str()).collect::<Vec<_>>().join(", ");
    conclusions.push(format!(
        "nobody waits for whoever stands: {}; of the others: {}",
        names(true),
        or_none(names(false))
    ));
    document.cases.push(CaseReport { name: CASE.to_owned(), title: TITLE.to_owned(), conclusions });
    document.stops = rows;
}

fn or_none(names: String) -> String {
    if names.is_empty() { "none".to_owned() } else { names }
}

/// The worst of all rows.
pub(super) fn code(rows: &[StopsRow]) -> ExitCode {
    rows.iter().map(StopsRow::code).fold(ExitCode::Pass, ExitCode::and)
}

/// The table, and how each was set up.
pub(super) fn human(document: &Document) -> String {
    let mut text = format!("\n{TITLE}\n");
    let mut rows =
        table(&["Contender", "Instructions", "Stops", "Others stuck", "Only delivery stuck", "Unbalanced"]);
    for row in &document.stops {
        let mut cells = vec![row.contender.clone()];
        match &row.stops {
            Some(stops) => cells.extend([
                stops.instructions.to_string(),
                if stops.made == stops.planned {
                    stops.made.to_string()
                } else {
                    format!("{} of {}", stops.made, stops.planned)
                },
                stops.others_stuck.to_string(),
                stops.delivery_stuck.to_string(),
                stops.unbalanced.to_string(),
            ]),
            None => cells.extend(std::iter::repeat_n(dash(), 5)),
        }
        add(&mut rows, cells);
    }
    let _ = writeln!(text, "{rows}");
    let _ = writeln!(
        text,
        "· stops evenly over the call, libraries included; required are 250 calls of each of 2 others and their messages in the file within {} ms\n\
         · calls do not wait for room, and there is room for everything: who is stuck waits for the stopped thread\n\
         · at most {} s for each contender: where others are often stuck, fewer stops are made",
        WATCHDOG.as_millis(),
        BUDGET.as_secs()
    );
    for row in &document.stops {
        match row.status {
            Status::Ok => {}
            Status::NotInstalled => {
                let _ = writeln!(
                    text,
                    "· {}: not installed: {}",
                    row.contender,
                    row.reason.as_deref().unwrap_or_default()
                );
            }
            Status::Unsupported | Status::Failed => {
                let _ = writeln!(text, "✗ {}: {}", row.contender, row.reason.as_deref().unwrap_or_default());
            }
        }
        if let Some(reason) = row.stops.as_ref().and_then(|stops| stops.first_unbalanced.as_ref()) {
            let _ = writeln!(text, "· {}: unbalanced: {reason}", row.contender);
        }
        if let Some(configuration) = &row.configuration {
            let _ = writeln!(text, "· {}: {configuration}", row.contender);
        }
    }
    for case in document.cases.iter().filter(|case| case.name == CASE) {
        for line in &case.conclusions {
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(contender: &str, others_stuck: usize, made: usize) -> StopsRow {
        let stops = Stops {
            instructions: 200,
            planned: 10,
            made,
            others_stuck,
            delivery_stuck: 0,
            unbalanced: 0,
            first_unbalanced: None,
        };
        let (contender, stops) = (contender.to_owned(), Some(stops));
        StopsRow { contender, status: Status::Ok, reason: None, configuration: None, stops }
    }

    #[test]
    fn a_stop_of_ours_that_others_wait_for_is_a_violation() {
        assert_eq!(row("dlt-logger-drop", 0, 10).code(), ExitCode::Pass);
        assert_eq!(row("dlt-logger-drop", 1, 10).code(), ExitCode::Violation);
        assert_eq!(row("slog-async", 1, 4).code(), ExitCode::Pass);
        assert_eq!(code(&[row("dlt-logger-drop", 1, 10), row("mutex", 3, 10)]), ExitCode::Violation);
    }

    #[test]
    fn what_shows_nothing_is_no_pass() {
        assert_eq!(row("dlt-logger-drop", 0, 9).code(), ExitCode::Inconclusive);
        assert_eq!(row(CONTROL, 0, 10).code(), ExitCode::Inconclusive);
        let failed = |name| StopsRow::without(name, Status::Failed, "it does not start".to_owned());
        assert_eq!(failed("dlt-logger-drop").code(), ExitCode::Violation);
        assert_eq!(failed("ftlog").code(), ExitCode::Inconclusive);
    }
}
