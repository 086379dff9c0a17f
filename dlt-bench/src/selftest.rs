//! `dlt-bench selftest`: does the probe work on this kernel? Loads it, compares the canary's numbers, and audits
//! dlt-logger and a logger with a mutex for a second each.
//!
//! The canary decides. How often a thread is preempted depends on the machine, so a verdict that is inconclusive is said
//! and does no harm. On an emulated processor time says nothing: there a long time slice is no spinning, and a mutex that
//! nobody happened to fight over is no failure of the probe.

use std::io::Write;
use std::time::Duration;

use dlt_logger::OverflowMode;
use dlt_probe_ebpf::Error;

use crate::audit::controls::right_reason;
use crate::audit::evidence::{CanaryEvidence, Evidence};
use crate::audit::inspector::confinement;
use crate::audit::judge::{self, Verdict};
use crate::audit::session::{OPTIONS, Session};
use crate::case::spec::{ROUND, THREADS};
use crate::exit_code::ExitCode;
use crate::load::plan::{LoggerKind, Plan, Volume};
use crate::load::{self};

const TIME: Duration = Duration::from_secs(1);

/// Runs it; prints a line for each step.
pub fn run() -> ExitCode {
    let session = match Session::start(OPTIONS) {
        Ok(session) => session,
        Err(Error::CannotRun(reason)) => {
            print(&format!("CANNOT RUN: {reason}"));
            return ExitCode::CannotRun;
        }
        Err(error) => {
            print(&format!("CANNOT RUN: {:#}", anyhow::Error::new(error)));
            return ExitCode::CannotRun;
        }
    };
    let mut code = say(ExitCode::Pass, "probe", "loaded and attached");
    let is_emulated = is_emulated();
    if is_emulated {
        print("      (an emulated processor: counts must be exact, time says nothing)");
    }
    let mut canary = session.sing();
    for logger in [LoggerKind::Dlt, LoggerKind::Mutex] {
        let name = format!("audit of {}", logger.name());
        code = code.and(match audited(&session, logger) {
            Ok(evidence) => {
                canary.add(evidence.canary.clone());
                let (code, text) = weigh(logger, &evidence, is_emulated);
                say(code, &name, &text)
            }
            Err(error) => say(ExitCode::Violation, &name, &format!("failed to run: {error}")),
        });
    }
    canary.add(session.sing());
    code = code.and(match session.probe().ledger() {
        Ok(ledger) if ledger.is_clean() => say(ExitCode::Pass, "ledger", "all zero: nothing was lost"),
        Ok(ledger) => say(ExitCode::Inconclusive, "ledger", &format!("evidence was lost: {ledger:?}")),
        Err(error) => say(ExitCode::Inconclusive, "ledger", &format!("failed to read: {error}")),
    });
    let (exact, text) = of_canary(&canary);
    code.and(say(exact, "canary", &text))
}

fn audited(session: &Session, logger: LoggerKind) -> Result<Evidence, String> {
    let config = dlt_logger::Config::default().with_overflow_mode(OverflowMode::DropNewest);
    let plan = Plan {
        logger,
        producer_cpus: confinement(THREADS),
        ..Plan::new(config, THREADS, Volume::AtLeast { time: TIME, round: ROUND })
    };
    session.begin(logger.name(), true).map_err(|error| error.to_string())?;
    let run = load::run(&plan, session).map_err(|error| error.to_string())?;
    let (evidence, _) = session.finish().map_err(|error| error.to_string())?;
    match run.problems.first() {
        Some(problem) => Err(problem.clone()),
        None => Ok(evidence),
    }
}

/// What the audit of a logger says of the probe.
fn weigh(logger: LoggerKind, evidence: &Evidence, is_emulated: bool) -> (ExitCode, String) {
    let judgement = judge::judge(evidence);
    let text = format!("{} · {}", judgement.verdict.name(), judgement.reasons.join("; "));
    if logger == LoggerKind::Dlt {
        let is_slow_only = evidence.sum(|p| p.blocked_in_call + p.yielded_in_call + p.syscalls_in_call) == 0;
        return match judgement.verdict {
            Verdict::Fail if is_emulated && is_slow_only => (ExitCode::Pass, text),
            Verdict::Fail => (ExitCode::Violation, text),
            Verdict::Pass | Verdict::Inconclusive | Verdict::NotJudged => (ExitCode::Pass, text),
        };
    }
    if judgement.verdict == Verdict::Fail && right_reason(logger, evidence).is_some() {
        return (ExitCode::Pass, format!("FAIL, as it must · {}", judgement.reasons.join("; ")));
    }
    (if is_emulated { ExitCode::Pass } else { ExitCode::Inconclusive }, format!("not found to wait: {text}"))
}

fn of_canary(canary: &CanaryEvidence) -> (ExitCode, String) {
    let CanaryEvidence { runs, lines, wrong, no_stops } = canary;
    if !wrong.is_empty() {
        return (ExitCode::Violation, format!("WRONG: {}", wrong.join("; ")));
    }
    if *runs == 0 {
        return (ExitCode::Inconclusive, "none ran".into());
    }
    let stops = no_stops.as_ref().map_or_else(String::new, |reason| format!(" (no ptrace stops: {reason})"));
    (ExitCode::Pass, format!("{runs} runs, {lines} numbers, all exact{stops}"))
}

/// QEMU names its processors so when it translates instructions itself; under KVM it shows the host's.
fn is_emulated() -> bool {
    std::fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| names_emulator(&text))
}

fn names_emulator(cpuinfo: &str) -> bool {
    cpuinfo.lines().any(|line| line.starts_with("model name") && line.contains("QEMU"))
}

fn say(code: ExitCode, what: &str, text: &str) -> ExitCode {
    let word = match code {
        ExitCode::Pass => "PASS",
        ExitCode::Inconclusive => "????",
        _ => "FAIL",
    };
    print(&format!("{word}  {what}: {text}"));
    code
}

fn print(line: &str) {
    // If nobody reads it, the exit code still says it.
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::evidence::ThreadEvidence;

    fn with(change: impl Fn(&mut ThreadEvidence)) -> Evidence {
        let mut producer = ThreadEvidence::default();
        change(&mut producer);
        Evidence { producers: vec![producer], ..Evidence::default() }
    }

    #[test]
    fn a_wait_of_dlt_logger_is_a_violation_even_under_emulation() {
        let waits = with(|p| p.blocked_in_call = 1);
        assert_eq!(weigh(LoggerKind::Dlt, &waits, false).0, ExitCode::Violation);
        assert_eq!(weigh(LoggerKind::Dlt, &waits, true).0, ExitCode::Violation);
    }

    #[test]
    fn a_long_slice_says_nothing_under_emulation() {
        let slow = with(|p| p.long_slices = 1);
        assert_eq!(weigh(LoggerKind::Dlt, &slow, false).0, ExitCode::Violation);
        assert_eq!(weigh(LoggerKind::Dlt, &slow, true).0, ExitCode::Pass);
    }

    #[test]
    fn a_mutex_must_be_found_where_time_says_something() {
        let (code, text) = weigh(LoggerKind::Mutex, &with(|p| p.blocked_in_call = 9), false);
        assert_eq!(code, ExitCode::Pass);
        assert!(text.starts_with("FAIL, as it must · 9 blocking switches"), "{text}");
        assert_eq!(weigh(LoggerKind::Mutex, &with(|_| {}), false).0, ExitCode::Inconclusive);
        assert_eq!(weigh(LoggerKind::Mutex, &with(|_| {}), true).0, ExitCode::Pass);
    }

    #[test]
    fn the_canary_decides() {
        let exact = CanaryEvidence { runs: 2, lines: 42, ..CanaryEvidence::default() };
        assert_eq!(of_canary(&exact), (ExitCode::Pass, "2 runs, 42 numbers, all exact".into()));
        let wrong = CanaryEvidence { wrong: vec!["polls 4, seen 3".into()], ..exact };
        assert_eq!(of_canary(&wrong).0, ExitCode::Violation);
        assert_eq!(of_canary(&CanaryEvidence::default()).0, ExitCode::Inconclusive);
    }

    #[test]
    fn emulators_are_known_by_their_processors() {
        assert!(names_emulator("processor\t: 0\nmodel name\t: QEMU Virtual CPU version 2.5+\n"));
        assert!(names_emulator("model name\t: QEMU TCG CPU version 2.5+\n"));
        assert!(!names_emulator("model name\t: AMD EPYC\nflags\t: hypervisor\n"));
    }
}
