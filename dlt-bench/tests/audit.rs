//! The audit against loggers whose waits are known, and against dlt-logger. Needs CAP_BPF and CAP_PERFMON.
//!
//! Without the privileges a test says so and counts as skipped; as root in CI (`CI=true`) a skip is a failure.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests as well")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dlt_bench::audit::controls;
use dlt_bench::audit::evidence::Evidence;
use dlt_bench::audit::inspector::{confinement, explain_waits};
use dlt_bench::audit::judge::{Cause, Judgement, Verdict, judge};
use dlt_bench::audit::repeat;
use dlt_bench::audit::session::{OPTIONS, Session};
use dlt_bench::load::{
    self,
    plan::{Plan, Volume},
};
use dlt_bench::stacks::names::Names;
use dlt_logger::{Config, OverflowMode};
use dlt_probe_ebpf::{Error, Options};
use serde_json::Value;

/// One audit at a time: others would take the processors that its producers are to be preempted on.
static ALONE: Mutex<()> = Mutex::new(());

/// The probe and the right to run alone, or `None` after saying why not.
fn session(options: Options) -> Option<(MutexGuard<'static, ()>, Session)> {
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    match Session::start(options) {
        Ok(session) => Some((alone, session)),
        Err(Error::CannotRun(reason)) => {
            let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
            assert!(!(in_ci && nix::unistd::geteuid().is_root()), "a skip is a failure here: {reason}");
            println!("SKIPPED: {reason}");
            None
        }
        Err(error) => panic!("{error:?}"),
    }
}

/// `runs` audited runs of four producers, as one row.
fn audited(session: &Session, mode: OverflowMode, runs: usize) -> Evidence {
    let config = Config::default().with_overflow_mode(mode);
    let volume = Volume::AtLeast { time: Duration::from_millis(1500), round: 50_000 };
    let plan = Plan { producer_cpus: confinement(4), ..Plan::new(config, 4, volume) };
    session.begin("test", true).unwrap();
    for _ in 0..runs {
        let run = load::run(&plan, session).unwrap();
        assert_eq!(run.problems, Vec::<String>::new());
    }
    let evidence = session.finish().unwrap().0;
    Evidence { waits: explain_waits(session, "test", &mut Names::new()), ..evidence }
}

/// The same, again if the evidence did not suffice: a hypervisor that steals time, say, is not this test's subject. A wait
/// that was found is a wait.
fn judged(session: &Session, mode: OverflowMode, runs: usize) -> (Evidence, Judgement) {
    let mut judged = Vec::new();
    loop {
        let evidence = audited(session, mode, runs);
        let judgement = judge(&evidence);
        judged.push(judgement.clone());
        if !repeat::is_due(&judged, &[Cause::Passing]) {
            return (evidence, judgement);
        }
        println!("once more: {:?}", judgement.reasons);
    }
}

/// Each control by what it does, and by nothing that it does not do; the mutex with the place of its lock.
#[test]
fn negative_controls_fail_each_for_its_own_reason() {
    let Some((_alone, session)) = session(OPTIONS) else { return };
    let results = controls::run(&session, &Config::default(), &mut Names::new());
    let [mutex, spin, spin_yield] = results.as_slice() else { panic!("{results:#?}") };
    for (result, name, found_by) in [
        (mutex, "mutex", "blocking switches inside a call"),
        (spin, "spin", "time slices of more than 0.5 ms within one call"),
        (spin_yield, "spin-yield", "yields inside a call"),
    ] {
        assert_eq!(result.logger, name);
        assert!(result.is_found && result.found_by.ends_with(found_by), "{result:#?}");
    }
    let stack = mutex.waits.first().unwrap_or_else(|| panic!("no stack: {mutex:#?}"));
    assert!(stack.contains("dlt-bench/src/control/lock.rs:"), "the lock's place is missing: {stack}");
    assert!(mutex.reasons.iter().any(|reason| reason.contains("(futex)")), "{mutex:#?}");
    let says = |result: &controls::ControlResult, word: &str| result.reasons.iter().any(|r| r.contains(word));
    assert!(!says(spin, "system calls") && !says(spin, "yields"), "{spin:#?}");
    assert!(says(spin_yield, "(sched_yield)"), "{spin_yield:#?}");
}

#[test]
fn dlt_logger_passes_in_both_modes_that_never_wait() {
    let Some((_alone, session)) = session(OPTIONS) else { return };
    for mode in [OverflowMode::Overwrite, OverflowMode::DropNewest] {
        let (evidence, Judgement { verdict, reasons, .. }) = judged(&session, mode, 1);
        assert_eq!(verdict, Verdict::Pass, "{mode}: {reasons:?} {:#?}", evidence.waits);
        assert!(
            reasons[0].starts_with("0 waits in ") && reasons[0].contains("by 4 producers"),
            "{reasons:?}"
        );
        // The canary sang in the window, on each processor.
        assert!(evidence.canary.runs > 0 && evidence.canary.wrong.is_empty(), "{:?}", evidence.canary);
        assert!(
            evidence.worker_writevs() > 0,
            "the workers' system calls are seen: {:?}",
            evidence.companions
        );
    }
}

/// A row that is repeated has one window after the other: their overlaps add up, and no producer is lost.
#[test]
fn repeated_rows_are_judged_as_one() {
    let Some((_alone, session)) = session(OPTIONS) else { return };
    let (evidence, Judgement { verdict, reasons, .. }) = judged(&session, OverflowMode::DropNewest, 2);
    assert_eq!(evidence.producers.len(), 8);
    assert_eq!((evidence.lost_producers, evidence.ledger.unwatched_producers), (0, 0));
    assert!(evidence.overlap_ns > 2_000_000_000, "{} ns", evidence.overlap_ns);
    // The map has room for 4096: whoever was watched is out of it.
    let producers = evidence.producers.iter().map(|p| p.tid);
    let watched: Vec<u32> = producers.chain(evidence.companions.iter().map(|c| c.seen.tid)).collect();
    assert!(watched.len() > 8, "producers, workers and collector: {watched:?}");
    assert!(watched.iter().all(|&tid| session.probe().read(tid).is_err()), "{watched:?}");
    assert_eq!(verdict, Verdict::Pass, "{reasons:?} {:#?}", evidence.waits);
}

/// With an offset of another kernel the switches are counted wrong: that must be found, and nothing may pass.
#[test]
fn a_probe_that_counts_wrong_is_inconclusive() {
    let Some((_alone, session)) = session(Options { shift_offsets: 8, ..OPTIONS }) else { return };
    let evidence = audited(&session, OverflowMode::DropNewest, 1);
    let Judgement { verdict, reasons, .. } = judge(&evidence);
    assert_ne!(verdict, Verdict::Pass, "{reasons:?}");
    assert!(!evidence.canary.wrong.is_empty(), "the canary did not find it: {:?}", evidence.canary);
    assert!(
        evidence.producers.iter().any(|p| p.switches_probe != p.switches_rusage),
        "getrusage did not find it: {:#?}",
        evidence.producers
    );
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    folder
}

/// Runs `dlt-bench` with `--profile --out FOLDER`; the report and everything it said.
fn profile(arguments: &str, out: &Path) -> (Output, Value, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dlt-bench"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DLT_USER_")) {
        command.env_remove(name);
    }
    let output = command.args(arguments.split(' ')).args(["--profile", "--out"]).arg(out).output().unwrap();
    let said = format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let report = std::fs::read(out.join("report.json")).ok();
    let report = report.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or(Value::Null);
    (output, report, said)
}

fn read(out: &Path, file: &str) -> String {
    let path = out.join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The command that somebody types who suspects a lock.
#[test]
fn a_mutex_logger_is_fail_with_its_stack_and_exit_1() {
    let Some((_alone, session)) = session(OPTIONS) else { return };
    drop(session);
    let out = folder("mutex");
    let (output, report, said) = profile("-c concurrency-mpsc --logger mutex", &out);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(report["exit_code"], 1, "{said}");
    let audit = &report["rows"][0]["audit"];
    assert_eq!(audit["verdict"], "FAIL", "{said}");
    // A wait is a wait: the window is not measured again.
    assert_eq!(audit["attempts"].as_array().map(Vec::len), Some(1), "{audit:#}");
    assert_eq!(audit["attempts"][0]["verdict"], "FAIL");
    let waits = audit["evidence"]["waits"].as_array().unwrap();
    let names_lock = |wait: &Value| wait.as_str().unwrap().contains("dlt-bench/src/control/lock.rs:");
    assert!(waits.iter().any(names_lock), "{waits:#?}");
    assert!(said.contains("verdict   FAIL"), "{said}");
    // What its producers slept on is this run's picture, not only the controls'.
    let futex = read(&out, "futex.folded");
    assert!(futex.lines().count() > 0 && futex.contains("producer (in call)"), "{futex}");
    assert!(!read(&out, "futex.svg").contains("empty:"));
}

/// Its waits are expected: shown apart, not judged, and the run has nothing to fail by.
#[test]
fn block_with_timeout_is_not_judged() {
    let Some((_alone, session)) = session(OPTIONS) else { return };
    drop(session);
    let out = folder("timeout");
    let (output, report, said) = profile("-c overflow-timeout", &out);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let audit = &report["rows"][0]["audit"];
    assert_eq!(audit["verdict"], "NOT_JUDGED", "{said}");
    assert!(audit["reasons"][0].as_str().unwrap().starts_with("BlockWithTimeout waits"), "{audit:#}");
    let account = &report["audit"];
    assert!(account["controls"].as_array().unwrap().iter().all(|c| c["is_found"] == true), "{account:#}");
    let counters = &report["rows"][0]["counters"];
    assert!(counters["task_clock_ns"]["value"].as_u64().unwrap() > 0, "{counters:#}");
    // A counter that the machine does not have says so, and is never 0.
    for counter in ["cycles", "instructions"] {
        let counter = &counters[counter];
        let is_counted = counter["value"].as_u64().is_some_and(|value| value > 0);
        assert!(is_counted != counter["unsupported"].is_string(), "{counters:#}");
    }
}

/// Without the privileges nothing is run, and the message names what is missing and what grants it.
#[test]
fn missing_privileges_are_exit_4_before_any_case() {
    let out = folder("unprivileged");
    let bench = env!("CARGO_BIN_EXE_dlt-bench");
    let mut command = if nix::unistd::geteuid().is_root() {
        // Still root, so that the files can be read; but without the capabilities.
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-all", "--inh-caps=-all", bench]);
        command
    } else {
        Command::new(bench)
    };
    let output = command.args(["-c", "overflow-all", "--profile", "--out"]).arg(&out).output();
    let output = output.expect("setpriv is part of util-linux");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(said.contains("CANNOT RUN: missing CAP_BPF and CAP_PERFMON"), "{said}");
    assert!(said.contains("setcap cap_bpf,cap_perfmon,cap_sys_ptrace+ep"), "{said}");
    assert!(output.stdout.is_empty(), "a case was run: {}", String::from_utf8_lossy(&output.stdout));
    assert!(!out.join("report.json").exists(), "a report of nothing was left behind");
}
