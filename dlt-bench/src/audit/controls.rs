//! Negative controls: loggers with a lock, under the same load and the same eyes. Each must fail, and for its own reason;
//! otherwise nothing that passes means anything.

use std::time::Duration;

use serde::Serialize;

use super::evidence::Evidence;
use super::inspector::{confinement, explain_waits};
use super::judge::{self, Cause, Judgement, Verdict};
use super::repeat;
use super::session::Session;
use crate::case::spec::{ROUND, THREADS};
use crate::interrupt;
use crate::load::plan::{LoggerKind, Plan, Volume};
use crate::load::{self};
use crate::stacks::names::Names;
use crate::stacks::svg::control_label;

/// Length of a control's window.
const TIME: Duration = Duration::from_millis(1200);

/// How one control came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ControlResult {
    /// Its name.
    pub logger: &'static str,
    /// It failed the audit for the right reason.
    pub is_found: bool,
    /// What it was found by, or why it was not.
    pub found_by: String,
    /// All reasons of its verdict.
    pub reasons: Vec<String>,
    /// All windows that were measured, in order: the last one counts.
    pub attempts: Vec<Judgement>,
    /// Where it waited.
    pub waits: Vec<String>,
}

/// Runs the three controls.
pub fn run(session: &Session, config: &dlt_logger::Config, names: &mut Names) -> Vec<ControlResult> {
    let controls = [LoggerKind::Mutex, LoggerKind::Spin, LoggerKind::SpinYield];
    controls.into_iter().map(|logger| one(session, config, logger, names)).collect()
}

fn one(
    session: &Session,
    config: &dlt_logger::Config,
    logger: LoggerKind,
    names: &mut Names,
) -> ControlResult {
    let failed = |found_by: String| ControlResult {
        logger: logger.name(),
        is_found: false,
        found_by,
        reasons: Vec::new(),
        attempts: Vec::new(),
        waits: Vec::new(),
    };
    let label = control_label(logger.name());
    let plan = Plan {
        logger,
        producer_cpus: confinement(THREADS),
        ..Plan::new(config.clone(), THREADS, Volume::AtLeast { time: TIME, round: ROUND })
    };
    let mut attempts = Vec::new();
    let (evidence, judgement) = loop {
        let evidence = match window(session, &label, &plan) {
            Ok(evidence) => evidence,
            Err(reason) => return failed(reason),
        };
        let judgement = judge::judge(&evidence);
        attempts.push(judgement.clone());
        // No canary sings in these windows.
        if interrupt::requested() || !repeat::is_due(&attempts, &[Cause::Passing, Cause::NoCanary]) {
            break (evidence, judgement);
        }
    };
    let reason = right_reason(logger, &evidence);
    ControlResult {
        logger: logger.name(),
        is_found: judgement.verdict == Verdict::Fail && reason.is_some(),
        found_by: reason
            .unwrap_or_else(|| format!("verdict {}, not by what it does", judgement.verdict.name())),
        reasons: judgement.reasons,
        attempts,
        waits: explain_waits(session, &label, names),
    }
}

fn window(session: &Session, label: &str, plan: &Plan) -> Result<Evidence, String> {
    session.begin(label, false).map_err(|error| error.to_string())?;
    let run = load::run(plan, session).map_err(|error| error.to_string())?;
    if !run.problems.is_empty() {
        // A control that loses messages unseen proves nothing.
        return Err(run.problems.join("; "));
    }
    Ok(session.finish().map_err(|error| error.to_string())?.0)
}

/// What a control must be found by.
pub fn right_reason(logger: LoggerKind, evidence: &Evidence) -> Option<String> {
    let (count, what) = match logger {
        LoggerKind::Dlt => return None,
        LoggerKind::Mutex => (evidence.sum(|p| p.blocked_in_call), "blocking switches inside a call"),
        LoggerKind::Spin => {
            (evidence.sum(|p| p.long_slices), "time slices of more than 0.5 ms within one call")
        }
        LoggerKind::SpinYield => (evidence.sum(|p| p.yielded_in_call), "yields inside a call"),
    };
    (count > 0).then(|| format!("{count} {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::evidence::ThreadEvidence;

    fn with(change: impl Fn(&mut ThreadEvidence)) -> Evidence {
        let mut producer = ThreadEvidence::default();
        change(&mut producer);
        Evidence { producers: vec![ThreadEvidence::default(), producer], ..Evidence::default() }
    }

    /// Each control's mark, and only that, is its right reason.
    #[test]
    fn each_control_has_its_own_mark() {
        let marks: [(LoggerKind, Evidence, &str); 3] = [
            (LoggerKind::Mutex, with(|p| p.blocked_in_call = 3), "3 blocking switches inside a call"),
            (
                LoggerKind::Spin,
                with(|p| p.long_slices = 4),
                "4 time slices of more than 0.5 ms within one call",
            ),
            (LoggerKind::SpinYield, with(|p| p.yielded_in_call = 5), "5 yields inside a call"),
        ];
        for (logger, _, words) in &marks {
            for (other, evidence, _) in &marks {
                let expected = (logger == other).then(|| (*words).to_owned());
                assert_eq!(right_reason(*logger, evidence), expected, "{logger:?} by the mark of {other:?}");
            }
        }
        assert_eq!(right_reason(LoggerKind::Dlt, &with(|p| p.blocked_in_call = 1)), None);
    }
}
