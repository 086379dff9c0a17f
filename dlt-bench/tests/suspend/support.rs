//! Running the program one at a time, and looking at what it said.

use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::misfits::misfits;

/// A stop is a measurement of time: two at once would measure each other.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `dlt-bench` with these arguments, separated by spaces, and no `DLT_USER_` variable set.
pub(crate) fn bench(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dlt-bench"));
    with_clean_environment(&mut command);
    command.args(arguments.split_whitespace());
    command
}

/// The same as a user who may nothing. `None`, with a reason, where that cannot be had.
#[expect(clippy::print_stderr, reason = "a skip is said")]
pub(crate) fn unprivileged(arguments: &str) -> Option<Command> {
    if !is_root() {
        return Some(bench(arguments));
    }
    let user = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let program = env!("CARGO_BIN_EXE_dlt-bench");
    let may_run = Command::new("setpriv").args(user).args(["test", "-x", program]).status();
    if !may_run.is_ok_and(|status| status.success()) {
        eprintln!("skipped: there is no setpriv, or other users may not run {program}");
        return None;
    }
    let mut command = Command::new("setpriv");
    command.args(user).arg(program).args(arguments.split_whitespace());
    with_clean_environment(&mut command);
    Some(command)
}

pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn with_clean_environment(command: &mut Command) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DLT_USER_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is UTF-8")
}

/// Everything about a run that went otherwise than expected.
pub(crate) fn described(output: &Output) -> String {
    format!("{}\nstdout:\n{}\nstderr:\n{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// Runs, expects this exit code, and returns the report, which the command sends to standard output.
pub(crate) fn report(mut command: Command, code: i32) -> Value {
    let output = command.args(["--json", "-"]).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", described(&output));
    let report: Value =
        serde_json::from_slice(&output.stdout).expect("standard output is JSON and nothing else");
    assert_eq!((report["kind"].as_str(), report["schema_version"].as_u64()), (Some("suspend"), Some(1)));
    let all = text(&output.stderr);
    assert_eq!(all.lines().filter(|line| line.contains("Throughput")).count(), 1, "{all}");
    let schema: Value = serde_json::from_str(include_str!("../../schemas/suspend.v1.json")).unwrap();
    let misfits = misfits(&schema, &schema, &report, "report");
    assert!(misfits.is_empty(), "{}", misfits.join("\n"));
    for row in rows(&report) {
        check_nulls(row);
        let account = &row["account"];
        if account.is_object() {
            let of = |field| number(account, field);
            let sum = of("delivered") + of("dropped") + of("overwritten") + of("timed_out");
            assert_eq!(of("attempted"), sum, "{row:#}");
        }
    }
    report
}

fn check_nulls(row: &Value) {
    for (field, value) in row.as_object().unwrap() {
        let is_explained = row["null_because"][field].is_string();
        assert!(!value.is_null() || is_explained, "{field} is null without a reason: {row:#}");
    }
}

pub(crate) fn rows(report: &Value) -> &Vec<Value> {
    report["rows"].as_array().expect("rows")
}

pub(crate) fn number(object: &Value, field: &str) -> u64 {
    object[field].as_u64().unwrap_or_else(|| panic!("{field} is {} in {object:#}", object[field]))
}

pub(crate) fn float(object: &Value, field: &str) -> f64 {
    object[field].as_f64().unwrap_or_else(|| panic!("{field} is {} in {object:#}", object[field]))
}

/// The stops of a row, each confirmed by the kernel if this is root, for at least `least_ms`.
pub(crate) fn check_stops(row: &Value, stops: usize, least_ms: f64) {
    let records = row["stops"].as_array().unwrap();
    assert_eq!(records.len(), stops, "{row:#}");
    assert_eq!(number(row, "stopped"), stops as u64);
    for stop in records {
        let asked_ms = float(stop, "asked_ms");
        assert!(asked_ms >= least_ms, "{stop:#}");
        assert_eq!(number(stop, "calls_meanwhile"), 0, "{stop:#}");
        if is_root() {
            let kernel_ms = float(stop, "kernel_ms");
            // A resumed thread waits for its turn behind those that run, and other tests run beside this one.
            assert!((asked_ms - 5.0..asked_ms + 100.0).contains(&kernel_ms), "{stop:#}");
        }
    }
}
