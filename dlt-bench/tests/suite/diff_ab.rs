//! `diff --ab` on commands that are shell scripts.

use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{Background, Folder, await_that, bench, described, text};

/// A command whose report says that a call takes 10 ns times `factor`, and 2 % of that more with each run of either: a
/// machine that becomes slower and slower.
fn command(folder: &Folder, factor: f64) -> String {
    let report = r#"{"schema_version":1,"interrupted":false,"rows":[{"case":"c","name":"r","status":"ok","attempted":1000,"delivered":1000,"throughput_msgs_per_s":1000,"burst_ns_per_call":{"mean":%f}}]}"#;
    let counter = folder.file("counter");
    format!(
        "n=$(cat {counter} 2>/dev/null || echo 0); echo $((n + 1)) > {counter}; \
         awk -v n=$n 'BEGIN {{ printf \"{}\\n\", 10 * {factor} * (1 + n * 0.02) }}'",
        report.replace('"', "\\\"")
    )
}

fn run(arguments: &[&str], code: i32) -> (Value, String) {
    let output = bench().arg("diff").args(arguments).args(["--json", "-"]).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", described(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let schema = serde_json::from_str(include_str!("../../schemas/diff.v1.json")).unwrap();
    crate::schema::check_form(&schema, &report);
    (report, text(&output.stderr))
}

fn verdict(report: &Value) -> &str {
    let figures = report["figures"].as_array().unwrap();
    let call = figures.iter().find(|figure| figure["figure"] == "burst mean, per call").unwrap();
    call["verdict"].as_str().unwrap()
}

#[test]
fn pairs_find_what_a_drift_hides() {
    let folder = Folder::new();
    let (a, b, out) = (command(&folder, 1.0), command(&folder, 1.1), folder.file("kept"));
    let (report, said) = run(&["--ab", &a, &b, "--seed", "7", "--out", &out], 1);
    assert_eq!(verdict(&report), "regression");
    assert_eq!((report["pairs"].as_u64(), report["seed"].as_u64()), (Some(20), Some(7)));
    assert_eq!((report["a"]["runs"].as_u64(), report["b"]["source"].as_str()), (Some(20), Some(b.as_str())));
    assert!(said.contains("by seed 7"), "{said}");
    // The runs that were kept give the same, and their order is that of the seed.
    let (a_file, b_file) = (format!("{out}/a.json"), format!("{out}/b.json"));
    let (again, _) = run(&[&a_file, &b_file], 1);
    assert_eq!(again["figures"], report["figures"]);
    let kept = |path: &str| -> Vec<Value> {
        let kept: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        kept["runs"].as_array().unwrap().clone()
    };
    let (of_a, of_b) = (kept(&a_file), kept(&b_file));
    let first_in = |runs: &[Value]| runs.iter().filter(|run| run["position"] == 1).count();
    assert_eq!(first_in(&of_a) + first_in(&of_b), 20);
    assert_eq!(first_in(&of_a), first_in(&of_b));
    // The same reports without the rounds that they belong to: the drift hides the difference.
    let plain = |name: &str, runs: &[Value]| {
        let path = folder.file(name);
        let reports: Vec<Value> = runs.iter().map(|run| run["report"].clone()).collect();
        std::fs::write(&path, Value::from(reports).to_string()).unwrap();
        path
    };
    let (report, _) = run(&[&plain("x.json", &of_a), &plain("y.json", &of_b)], 0);
    assert_eq!((verdict(&report), &report["pairs"]), ("unclear", &Value::Null));
}

#[test]
fn equal_commands_do_not_differ() {
    let folder = Folder::new();
    let a = command(&folder, 1.0);
    let (report, _) = run(&["--ab", &a, &a, "--seed", "1"], 0);
    assert_eq!((verdict(&report), report["regressions"].as_u64()), ("within", Some(0)));
    // The report can be taken from a file as well.
    let to_file = format!("{} > {{json}}; echo table", command(&folder, 1.0));
    let (report, _) = run(&["--ab", &a, &to_file, "--seed", "1"], 0);
    assert_eq!(verdict(&report), "within");
}

/// 3 pairs give 1/8 at best.
#[test]
fn few_rounds_are_inconclusive() {
    let folder = Folder::new();
    let (report, _) = run(&["--ab", &command(&folder, 1.0), &command(&folder, 2.0), "--rounds", "3"], 3);
    assert_eq!((verdict(&report), report["judged"].as_u64()), ("not_judged", Some(0)));
    // 5 give 1/32 at best, which is not enough for three figures; 6 give 1/64.
    let (report, said) = run(&["--ab", &command(&folder, 1.0), &command(&folder, 2.0), "--rounds", "5"], 3);
    assert_eq!(report["judged"].as_u64(), Some(3));
    assert!(said.contains("at least 6 rounds"), "{said}");
    run(&["--ab", &command(&folder, 1.0), &command(&folder, 2.0), "--rounds", "6"], 1);
}

#[test]
fn a_run_that_fails_later_is_left_out() {
    let folder = Folder::new();
    let seen = folder.file("seen");
    let sometimes = format!(
        "echo >> {seen}; if [ $(wc -l < {seen}) = 4 ]; then echo no luck >&2; exit 9; fi; {}",
        command(&folder, 1.0)
    );
    let (report, said) = run(&["--ab", &command(&folder, 1.0), &sometimes, "--rounds", "10"], 0);
    assert_eq!((report["a"]["runs"].as_u64(), report["b"]["runs"].as_u64()), (Some(10), Some(9)));
    assert_eq!(report["pairs"], 9);
    for words in ["round 4, B gave no report", "exit code 9", "no luck"] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

/// The command ends with it, and what was collected is kept.
#[test]
fn ctrl_c_ends_the_command_and_keeps_what_there_is() {
    let folder = Folder::new();
    let (pid, out) = (folder.file("pid"), folder.file("out"));
    let slow = format!("echo $$ > {pid}.part; mv {pid}.part {pid}; sleep 600; true");
    let (a, b) = (
        command(&folder, 1.0),
        format!("if [ -e {pid}.go ]; then {slow}; fi; touch {pid}.go; {}", command(&folder, 1.0)),
    );
    let mut bench = bench();
    bench.args(["diff", "--ab", &a, &b, "--out", &out]);
    let mut program = Background::start(bench);
    await_that("the command waits", || Path::new(&pid).exists());
    program.signal(Signal::SIGINT);
    let output = program.output();
    assert_eq!(output.status.code(), Some(130), "{}", described(&output));
    let shell = std::fs::read_to_string(&pid).unwrap();
    assert!(!Path::new(&format!("/proc/{}", shell.trim())).exists(), "the command is gone");
    let read = |name: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(format!("{out}/{name}.json")).unwrap()).unwrap()
    };
    assert_eq!(read("b")["runs"].as_array().unwrap().len(), 1);
    assert!((1..=2).contains(&read("a")["runs"].as_array().unwrap().len()));
    let report = read("report");
    assert_eq!((report["interrupted"].as_bool(), report["exit_code"].as_u64()), (Some(true), Some(130)));
    assert!(text(&output.stdout).contains("interrupted"), "{}", described(&output));
}
