//! `dlt-bench selftest`: does the probe work on this kernel? Loads it, compares the canary's numbers, and audits
//! dlt-logger and a logger with a mutex for a second each.
//!
//! The canary decides. The audits show the whole way; on an emulated processor they are printed and not judged, for there time
//! passes in which the guest's own clock and scheduler are not to be believed.

use std::io::Write;
use std::time::Duration;

use dlt_logger::OverflowMode;
use dlt_probe_ebpf::Error;

use crate::audit::controls::right_reason;
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
            say(&format!("CANNOT RUN: {reason}"));
            return ExitCode::CannotRun;
        }
        Err(error) => {
            say(&format!("CANNOT RUN: {:#}", anyhow::Error::new(error)));
            return ExitCode::CannotRun;
        }
    };
    say("probe     loaded and attached");
    let before = session.sing();
    let dlt = audited(&session, LoggerKind::Dlt);
    let mutex = audited(&session, LoggerKind::Mutex);
    let mut canary = before;
    canary.add(session.sing());
    let code = if is_emulated() {
        say("audits    not judged: the processor is emulated");
        ExitCode::Pass
    } else {
        [&dlt, &mutex].into_iter().fold(ExitCode::Pass, |code, (part, _)| code.and(*part))
    };
    say(&dlt.1);
    say(&mutex.1);
    let ledger = session.probe().ledger();
    say(&format!("ledger    {ledger:?}"));
    if !canary.wrong.is_empty() {
        say(&format!("canary    WRONG: {}", canary.wrong.join("; ")));
        return ExitCode::Violation;
    }
    say(&format!("canary    {} runs, {} numbers, all exact", canary.runs, canary.lines));
    code
}

/// QEMU without hardware virtualisation names its processor so.
fn is_emulated() -> bool {
    std::fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| {
        text.lines().any(|line| line.starts_with("model name") && line.contains("TCG"))
    })
}

fn audited(session: &Session, logger: LoggerKind) -> (ExitCode, String) {
    let name = logger.name();
    let config = dlt_logger::Config::default().with_overflow_mode(OverflowMode::DropNewest);
    let plan = Plan {
        logger,
        producer_cpus: confinement(THREADS),
        ..Plan::new(config, THREADS, Volume::AtLeast { time: TIME, round: ROUND })
    };
    let seen = session.begin(name, true).map_err(|error| error.to_string()).and_then(|()| {
        load::run(&plan, session).map_err(|error| error.to_string())?;
        session.finish().map_err(|error| error.to_string())
    });
    let (evidence, _) = match seen {
        Ok(seen) => seen,
        Err(error) => return (ExitCode::Violation, format!("audit     {name}: FAILED to run: {error}")),
    };
    let judgement = judge::judge(&evidence);
    let text = format!("audit     {name}: {} · {}", judgement.verdict.name(), judgement.reasons.join("; "));
    let is_wrong = match logger {
        LoggerKind::Dlt => judgement.verdict == Verdict::Fail,
        control => judgement.verdict == Verdict::Pass || right_reason(control, &evidence).is_none(),
    };
    let code = match (logger, is_wrong) {
        (LoggerKind::Dlt, true) => ExitCode::Violation,
        // On one slow processor even a mutex may never be contended.
        (_, true) => ExitCode::Inconclusive,
        (_, false) => ExitCode::Pass,
    };
    (code, text)
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
