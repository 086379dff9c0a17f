//! Contenders that die, hang, or are not installed; and a run that is ended.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use dlt_bench::compare::answer::Answer;
use dlt_bench::compare::plan::{Cell, THROUGHPUT};
use dlt_bench::compare::row::{REFERENCE, Row, Status, rows};
use dlt_bench::compare::run::{Answers, Rounds, Spec, run};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::left_behind::await_the_end_of;
use crate::support::{bench, text};

/// Stands for the program: some contenders end otherwise than they should, the rest are measured.
const SCRIPT: &str = r#"#!/bin/sh
echo "$2" >> "$(dirname "$0")/asked"
case "$2" in
    dies) echo "about to die" >&2; kill -ABRT $$ ;;
    hangs) sleep 1000 ;;
    absent) echo '{"status":"not_installed","reason":"install it"}' ;;
    blind) echo '{"status":"unsupported","reason":"cannot be seen"}' ;;
    *) exec "PROGRAM" "$@" ;;
esac
"#;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("dlt-bench-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn script(&self) -> PathBuf {
        let path = self.0.join("script");
        std::fs::write(&path, SCRIPT.replace("PROGRAM", env!("CARGO_BIN_EXE_dlt-bench"))).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    }

    /// How often a contender was asked.
    fn asked(&self, contender: &str) -> usize {
        let asked = std::fs::read_to_string(self.0.join("asked")).unwrap();
        asked.lines().filter(|line| *line == contender).count()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn cells() -> Vec<Cell> {
    THROUGHPUT.cells().take(4).collect()
}

fn measured(folder: &Folder, contenders: &[&str]) -> (Vec<Row>, Answers) {
    let contenders: Vec<String> = contenders.iter().map(|&name| name.to_owned()).collect();
    let spec = Spec {
        program: folder.script(),
        rounds: Rounds::Fixed(2),
        messages: Some(1000),
        patience: Duration::from_millis(1500),
        ..Spec::new(&folder.0, contenders.clone(), cells(), 7)
    };
    let answers = run(&spec, &mut |_, _| true);
    (rows(&contenders, &cells(), &answers), answers)
}

#[test]
fn what_goes_wrong_is_a_row_and_not_a_missing_one() {
    let folder = Folder::new("compare-failures");
    let contenders = [REFERENCE, "dies", "hangs", "absent", "blind"];
    let (rows, answers) = measured(&folder, &contenders);
    assert_eq!(rows.len(), contenders.len() * cells().len());
    for row in &rows {
        let (status, word) = match row.contender.as_str() {
            "dies" => (Status::Failed, if row.producers <= 2 { "SIGABRT" } else { "not asked any more" }),
            "hangs" => (Status::Failed, if row.producers <= 2 { "was killed" } else { "not asked any more" }),
            "absent" => (Status::NotInstalled, "install it"),
            "blind" => (Status::Unsupported, "cannot be seen"),
            _ => (Status::Ok, ""),
        };
        assert_eq!(row.status, status, "{row:#?}");
        assert!(row.reason.clone().unwrap_or_default().contains(word), "{row:#?}");
        assert_eq!(row.rounds, if status == Status::Ok { 2 } else { 0 }, "{row:#?}");
        assert_eq!(row.figures.is_empty(), status != Status::Ok, "{row:#?}");
    }
    assert!(answers.values().all(|answers| answers.len() == 2));
    let of_death = answers.iter().find(|((name, cell), _)| name == "dies" && cell.producers == 1).unwrap();
    let Answer::Failed { reason } = &of_death.1[0] else { panic!("{of_death:?}") };
    assert!(reason.contains("about to die"), "{reason}");
    // Nobody waits again and again for a contender that is not there or hangs.
    assert_eq!((folder.asked("absent"), folder.asked("hangs"), folder.asked(REFERENCE)), (1, 2, 8));
    assert!(!folder.0.join("sink").exists(), "the sink is taken away");
}

#[test]
fn rounds_are_interleaved() {
    let folder = Folder::new("compare-order");
    let contenders: Vec<String> = ["blind", "absent"].map(str::to_owned).to_vec();
    let spec = Spec {
        program: folder.script(),
        rounds: Rounds::Fixed(2),
        ..Spec::new(&folder.0, contenders, cells(), 7)
    };
    let mut labels: Vec<String> = Vec::new();
    run(&spec, &mut |label, done| {
        if done.is_zero() {
            labels.push(label.to_owned());
        }
        true
    });
    assert_eq!(labels.len(), 2 * 2 * cells().len());
    let (first, second) = labels.split_at(labels.len() / 2);
    assert!(first.iter().all(|label| label.starts_with("round 1")), "{labels:?}");
    assert!(second.iter().all(|label| label.starts_with("round 2")), "{labels:?}");
}

fn children(pid: u32) -> Vec<i32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().map(|child| child.parse().unwrap()).collect()
}

#[test]
fn ctrl_c_reports_what_there_is_and_leaves_nothing_behind() {
    let json = std::env::temp_dir().join(format!("dlt-bench-compare-ctrl-c-{}.json", std::process::id()));
    let mut command = bench("-c compare-delivery --only mutex --iterations 5 --json");
    let child = command.arg(&json).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begin = Instant::now();
    // Its second child: a measurement is under way, and one is complete or about to be.
    let mut seen: Vec<i32> = Vec::new();
    while seen.len() < 2 {
        assert!(begin.elapsed() < Duration::from_secs(60), "no child");
        seen.extend(children(child.id()).into_iter().filter(|pid| !seen.contains(pid)).collect::<Vec<_>>());
        std::thread::sleep(Duration::from_millis(2));
    }
    let folder = Path::new("/dev/shm").join(format!("dlt-bench-compare-{}", child.id()));
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    seen.into_iter().for_each(await_the_end_of);
    assert!(!folder.exists());
    let report: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    std::fs::remove_file(json).unwrap();
    assert_eq!((report["interrupted"].as_bool(), report["exit_code"].as_u64()), (Some(true), Some(130)));
    let rows = report["rows"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["status"] == "ok") && !rows.is_empty(), "{rows:#?}");
}
