//! Running the programs, and looking at what they said.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::Value;

/// `dlt-bench` with no `DLT_USER_` variable set.
pub(crate) fn bench() -> Command {
    clean(env!("CARGO_BIN_EXE_dlt-bench"))
}

/// `dlt-daemon`.
pub(crate) fn daemon() -> Command {
    clean(env!("CARGO_BIN_EXE_dlt-daemon"))
}

fn clean(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DLT_USER_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// Runs `dlt-bench` with these arguments, separated by spaces.
pub(crate) fn run(arguments: &str) -> Output {
    bench().args(arguments.split_whitespace()).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is UTF-8")
}

/// Everything about a run that went otherwise than expected.
pub(crate) fn described(output: &Output) -> String {
    format!("{}\nstdout:\n{}\nstderr:\n{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// Runs with `--json -`, expects this exit code, and returns the report.
pub(crate) fn report(arguments: &str, code: i32) -> Value {
    let output = run(&format!("{arguments} --json -"));
    assert_eq!(output.status.code(), Some(code), "{arguments}: {}", described(&output));
    let report = serde_json::from_slice(&output.stdout).expect("standard output is JSON and nothing else");
    check_rows(&report);
    report
}

pub(crate) fn rows(report: &Value) -> &Vec<Value> {
    report["rows"].as_array().expect("rows")
}

pub(crate) fn number(row: &Value, field: &str) -> u64 {
    row[field].as_u64().unwrap_or_else(|| panic!("{field} is {}", row[field]))
}

/// The identity in every row, and a reason for every null.
pub(crate) fn check_rows(report: &Value) {
    for row in rows(report) {
        let of = |field| number(row, field);
        let sum = of("delivered") + of("dropped") + of("overwritten") + of("timed_out");
        assert_eq!(of("attempted"), sum, "{row:#}");
        let reasons: u64 =
            row["dropped_by_reason"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
        assert_eq!(of("dropped"), reasons, "{row:#}");
        check_nulls(row);
    }
    check_nulls(&report["environment"]);
}

fn check_nulls(object: &Value) {
    for (field, value) in object.as_object().unwrap() {
        let reason = &object["null_because"][field];
        assert_eq!(value.is_null(), reason.is_string(), "{field} is {value}, the reason for null {reason}");
    }
}

/// The integer that the classic snippet takes from the output; exactly one line has the word.
pub(crate) fn throughput(output: &Output) -> u64 {
    let all = text(&output.stdout) + &text(&output.stderr);
    let lines: Vec<_> = all.lines().filter(|line| line.contains("Throughput")).collect();
    assert_eq!(lines.len(), 1, "{all}");
    lines[0].split_whitespace().nth(3).expect("four fields").parse().expect("an integer")
}

/// A folder that goes away with the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("dlt-bench-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A program in the background that is killed if the test fails.
pub(crate) struct Background(Option<Child>);

impl Background {
    pub(crate) fn start(mut command: Command) -> Self {
        Self(Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()))
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("it runs")
    }

    pub(crate) fn signal(&mut self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.child().id().try_into().unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn output(mut self) -> Output {
        self.0.take().expect("it runs").wait_with_output().unwrap()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits until something is so.
pub(crate) fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(30), "waited 30 s in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
