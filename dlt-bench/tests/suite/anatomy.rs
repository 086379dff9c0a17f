//! The anatomy of a log call. Needs ptrace on one's own child.

use serde_json::Value;

use crate::schema;
use crate::support::{described, number, run, text};

/// Runs with `--json -`, expects this exit code.
fn anatomy(arguments: &str, code: i32) -> Value {
    let output = run(&format!("anatomy {arguments} --json -"));
    assert_eq!(output.status.code(), Some(code), "{arguments}: {}", described(&output));
    let report = serde_json::from_slice(&output.stdout).expect("standard output is JSON and nothing else");
    let form = include_str!("../../schemas/anatomy.v1.json");
    schema::check_form(&serde_json::from_str(form).expect("the schema is JSON"), &report);
    report
}

fn rows(report: &Value) -> &Vec<Value> {
    report["rows"].as_array().unwrap()
}

fn names(report: &Value) -> Vec<&str> {
    rows(report).iter().map(|row| row["name"].as_str().unwrap()).collect()
}

#[test]
fn the_call_locks_nothing_and_calls_nobody() {
    let report = anatomy("--no-locked --no-calls-out", 0);
    assert_eq!(
        names(&report),
        [
            "Overwrite, ring empty",
            "Overwrite, ring full",
            "DropNewest, ring empty",
            "BlockWithTimeout, ring empty",
            "Overwrite, level off"
        ]
    );
    for row in rows(&report) {
        for none in ["locked_instructions", "system_calls"] {
            assert_eq!(number(row, none), 0, "{}: {none}", row["name"]);
        }
        assert_eq!(row["calls_out"], serde_json::json!({}), "{}", row["name"]);
        assert_eq!(row["traces_are_equal"], true, "{}", row["name"]);
        let whole = serde_json::json!({ "dlt-bench": number(row, "instructions") });
        assert_eq!(row["instructions_in"], whole, "{}", row["name"]);
        let is_off = row["state"] == "level off";
        assert_eq!(row["outcome"], if is_off { "Filtered" } else { "Accepted" }, "{}", row["name"]);
        // Two header words, the number with its type, the string with type, length and final NUL: 16 + 8 + 23 bytes.
        let on_lane = |memory: &&Value| memory["on"] == "mapped" && memory["access"] != "read";
        let stored: u64 = row["listing"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|line| line["memory"].as_array().unwrap())
            .filter(on_lane)
            .map(|memory| number(memory, "bytes"))
            .sum();
        assert!(if is_off { stored == 0 } else { stored >= 47 }, "{}: {stored}", row["name"]);
    }
}

#[test]
fn the_listing_and_the_counts_agree() {
    let report = anatomy("--mode drop-newest", 0);
    let row = &rows(&report)[0];
    let listing = row["listing"].as_array().unwrap();
    assert_eq!(listing.len() as u64, number(row, "instructions"));
    let branches = listing.iter().filter(|line| !line["is_taken"].is_null()).count();
    assert_eq!(branches as u64, number(row, "branches"));
    assert!(listing.last().unwrap()["text"].as_str().unwrap().starts_with("ret"));
    let first = listing[0]["place"].as_str().unwrap();
    assert!(first.starts_with("dlt-bench/src/anatomy/call.rs:"), "{first}");
    assert!(listing.iter().any(|line| {
        line["place"].as_str().is_some_and(|place| place.starts_with("dlt-logger/src/ring/producer.rs:"))
    }));
}

#[test]
fn a_bound_that_is_exceeded_is_named() {
    let output = run("anatomy --mode drop-newest --max-instructions 1");
    assert_eq!(output.status.code(), Some(1), "{}", described(&output));
    let stdout = text(&output.stdout);
    let line = stdout.lines().find(|line| line.starts_with('✗')).unwrap();
    assert!(
        line.contains("DropNewest, ring empty") && line.contains("--max-instructions allows 1"),
        "{line}"
    );
}

#[test]
fn locks_of_controls_are_found() {
    for logger in ["mutex", "spin", "spin-yield"] {
        let report = anatomy(&format!("--logger {logger} --mode drop-newest"), 0);
        assert!(number(&rows(&report)[0], "locked_instructions") > 0, "{logger}");
    }
    let report = anatomy("--logger mutex --mode drop-newest --no-locked", 1);
    assert_eq!(rows(&report)[0]["violations"].as_array().unwrap().len(), 1, "{report:#}");
}

#[test]
fn the_instructions_can_be_read() {
    let output = run("anatomy --mode overwrite --annotate");
    assert_eq!(output.status.code(), Some(0), "{}", described(&output));
    let stdout = text(&output.stdout);
    assert!(stdout.contains("not taken") && stdout.contains("dlt-logger/src/ring/"), "{stdout}");
}

#[test]
fn options_without_effect_are_refused() {
    for option in ["--messages 5", "--sink null", "--threads 2", "--profile"] {
        let output = run(&format!("anatomy {option}"));
        assert_eq!(output.status.code(), Some(2), "{option}: {}", described(&output));
    }
}
