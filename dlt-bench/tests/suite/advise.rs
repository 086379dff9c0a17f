//! Advice for a load, and whether it holds.

use dlt_logger::Config;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::schema;
use crate::support::{Background, Folder, bench, described, number, run, text};

fn check(report: &Value) {
    let form = include_str!("../../schemas/advise.v1.json");
    schema::check_form(&serde_json::from_str(form).expect("the schema is JSON"), report);
}

/// Runs with `--json -`, expects this exit code.
fn advise(arguments: &str, code: i32) -> Value {
    let output = run(&format!("advise {arguments} --json -"));
    assert_eq!(output.status.code(), Some(code), "{arguments}: {}", described(&output));
    let report = serde_json::from_slice(&output.stdout).expect("standard output is JSON and nothing else");
    check(&report);
    report
}

fn lost(measured: &Value) -> u64 {
    ["overwritten", "dropped", "timed_out"].iter().map(|term| number(measured, term)).sum()
}

/// A burst of 20,000 into half of what is advised for it loses, whatever else this machine does: the receiver takes
/// nothing until it is over.
#[test]
fn the_advice_holds_and_half_of_it_does_not() {
    for allowed in ["oldest", "newest"] {
        let report = advise(
            &format!(
                "--rate 2000 --burst 20000 --stall 150ms --every 500ms --threads 2 --allow-loss {allowed}"
            ),
            0,
        );
        let [advised, half] = &report["tried"].as_array().unwrap()[..] else { panic!("{report:#}") };
        for tried in [advised, half] {
            let measured = &tried["measured"];
            assert_eq!(number(measured, "attempted"), number(measured, "delivered") + lost(measured));
            assert!(number(measured, "attempted") >= 6 * 20_000, "{measured:#}");
            assert_eq!(measured["problems"], serde_json::json!([]));
        }
        assert_eq!(lost(&advised["measured"]), 0);
        assert!(
            lost(&half["measured"]) > 0 && half["predicted_loss"]["least"].as_f64().unwrap() > 0.0,
            "{half:#}"
        );
        let term = if allowed == "oldest" { "overwritten" } else { "dropped" };
        assert_eq!(number(&half["measured"], term), lost(&half["measured"]));
        assert_eq!(number(&advised["measured"], "memory_bytes"), number(&report["advice"], "memory_bytes"));
    }
}

#[test]
fn calls_that_may_wait_lose_nothing_with_half_of_it_either() {
    let report = advise("--rate 2000 --burst 20000 --stall 150ms --every 500ms --allow-loss none", 0);
    for tried in report["tried"].as_array().unwrap() {
        assert_eq!(tried["settings"]["mode"], "BlockWithTimeout");
        assert_eq!(lost(&tried["measured"]), 0, "{tried:#}");
    }
    // The calls of the second one did wait: from the middle of a stall to its end at least.
    let waited = report["tried"][1]["measured"]["longest_turn_ms"].as_f64().unwrap();
    assert!(waited > 50.0, "{waited}");
}

#[test]
fn the_last_lines_can_be_exported() {
    let output = run("advise --rate 1000 --threads 3 --memory 1M --no-measure");
    assert_eq!(output.status.code(), Some(0), "{}", described(&output));
    let stdout = text(&output.stdout);
    let lines: Vec<_> = stdout.lines().rev().take_while(|line| line.starts_with("DLT_USER_")).collect();
    let config = Config::from_vars(lines.iter().map(|line| line.split_once('=').unwrap())).unwrap();
    config.validate().unwrap();
    assert_eq!((lines.len(), config.memory_limit_bytes), (5, 1 << 20));
    assert!(stdout.contains("Not measured"), "{stdout}");
}

#[test]
fn a_budget_that_is_too_small_is_an_error_with_the_loss() {
    let report = advise("--burst 100000 --memory 1M --no-measure", 1);
    assert_eq!(report["advice"]["is_cut"], true);
    assert!(number(&report["advice"], "memory_bytes") <= 1 << 20);
    let said = report["errors"][0].as_str().unwrap();
    assert!(said.contains("1.0 MiB") && said.contains("will be lost"), "{said}");
    let report = advise("--rate 900000000 --no-measure", 1);
    assert!(report["errors"][0].as_str().unwrap().contains("no capacity is enough"), "{report:#}");
}

#[test]
fn the_load_of_a_report() {
    let folder = Folder::new();
    let json = folder.file("report.json");
    let output = run(&format!("-c overflow-drop --messages 4000 --json {json}"));
    assert_eq!(output.status.code(), Some(0), "{}", described(&output));
    let mut rows: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    // What four threads without a pause reach is more than a sink takes.
    rows["rows"][0]["calls_per_s"] = 12_000.into();
    rows["rows"][0]["fill_high_mark_msgs"] = 500.into();
    std::fs::write(&json, rows.to_string()).unwrap();
    let report = advise(&format!("--from {json} --case overflow-drop --no-measure --every 60s"), 0);
    assert_eq!((&report["load"]["rate_per_s"], &report["load"]["threads"]), (&12_000.0.into(), &4.into()));
    // 3000/s a thread explain 57 of the 500.
    assert!((1700..1800).contains(&number(&report["load"], "burst_msgs")), "{report:#}");
    for (more, word) in [("--row nope", "`nope`"), ("--case nope", "`nope`"), ("--threads 2", "--threads")] {
        refused(&format!("--from {json} {more}"), &[word]);
    }
    refused(&format!("--from {json} --rate 5"), &["--rate"]);
    let other = folder.file("other.json");
    std::fs::write(&other, r#"{"kind": "floor", "schema_version": 1, "rows": []}"#).unwrap();
    refused(&format!("--from {other}"), &["other.json", "no report of load rows"]);
    refused("--from /nowhere.json", &["/nowhere.json"]);
}

fn refused(arguments: &str, words: &[&str]) {
    let output = run(&format!("advise {arguments}"));
    assert_eq!(output.status.code(), Some(2), "{arguments}: {}", described(&output));
    assert_eq!(text(&output.stdout), "", "nothing has run");
    let said = text(&output.stderr);
    assert!(words.iter().all(|word| said.contains(word)), "{arguments}: {said}");
}

#[test]
fn values_that_are_not_accepted_are_named() {
    refused("", &["no load", "--rate"]);
    refused("--rate fast", &["--rate", "fast"]);
    refused("--rate 0", &["--rate", "0"]);
    refused("--burst 0", &["--burst", "0"]);
    refused("--rate 1 --stall 5", &["--stall", "5"]);
    refused("--rate 1 --stall 2s", &["--stall", "2s", "--every", "1s"]);
    refused("--rate 1 --memory lots", &["--memory", "lots"]);
    refused("--rate 1 --memory 8k --threads 2", &["--memory", "8192", "2 thread(s)"]);
    refused("--rate 1 --message 5", &["--message", "5"]);
    refused("--rate 1 --allow-loss some", &["--allow-loss", "some"]);
    refused("--rate 1 --row x", &["--from"]);
    refused("--rate 1 --sink null", &["--sink"]);
    refused("--rate 1 --profile", &["--profile"]);
}

#[test]
fn ctrl_c_ends_it() {
    let folder = Folder::new();
    let json = folder.file("advise.json");
    let mut command = bench();
    command.args(["advise", "--rate", "1000", "--stall", "20s", "--every", "60s", "--json", &json]);
    let mut program = Background::start(command);
    // Its first lines come once Ctrl-C is handled, the advice before the run.
    let mut said = String::new();
    let stdout = program.child().stdout.take().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stdout));
    while !said.contains("capacity") {
        said = lines.next().expect("the advice is printed").unwrap();
    }
    program.signal(Signal::SIGINT);
    let rest: Vec<_> = lines.map(Result::unwrap).collect();
    let output = program.output();
    assert_eq!(output.status.code(), Some(130), "{}", described(&output));
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    check(&report);
    assert_eq!((report["interrupted"].as_bool(), report["exit_code"].as_u64()), (Some(true), Some(130)));
    assert!(rest.iter().any(|line| line.starts_with("DLT_USER_")), "{rest:?}");
}
