//! `diff` on small reports that are written here.

use serde_json::{Value, json};

use crate::support::{Folder, bench, described, text};

/// A report of one row: its undisturbed call in ns, its rate, and the messages it lost of 1000.
fn report(call_ns: f64, rate: u64, lost: u64) -> Value {
    json!({
        "schema_version": 1,
        "environment": { "kernel": "Linux 6.1", "cpu": "a processor", "cores": 4, "git_revision": "abc" },
        "request": { "cases": ["concurrency-call"], "messages": null },
        "rows": [{
            "case": "concurrency-call",
            "name": "bursts of 20",
            "logger": "dlt",
            "sink": "collector",
            "overflow_mode": "Overwrite",
            "num_buffers": 4,
            "threads": 1,
            "status": "ok",
            "attempted": 1000,
            "delivered": 1000 - lost,
            "throughput_msgs_per_s": rate,
            "undisturbed_call": { "least_slice_ns": call_ns },
            "latency_ns": null,
            "null_because": { "latency_ns": "interrupted before the latency pass" },
        }],
        "interrupted": false,
    })
}

/// Eight runs around these figures: 8 a side give a least p-value of 1/12870.
fn runs(call_ns: f64, rate: f64, lost: u64) -> Vec<Value> {
    (0..8)
        .map(|i| {
            let wobble = 1.0 + f64::from(i - 4) * 0.002;
            report(call_ns * wobble, (rate * wobble) as u64, lost)
        })
        .collect()
}

struct Files(Folder);

impl Files {
    fn new() -> Self {
        Self(Folder::new())
    }

    fn write(&self, name: &str, content: &str) -> String {
        let path = self.0.file(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn reports(&self, name: &str, reports: &[Value]) -> String {
        self.write(name, &Value::from(reports.to_vec()).to_string())
    }
}

fn diff(arguments: &[&str]) -> std::process::Output {
    bench().arg("diff").args(arguments).output().unwrap()
}

/// The comparison as JSON, which fits its schema and holds neither NaN nor a null without a reason.
fn compared(arguments: &[&str], code: i32) -> Value {
    let output = diff(&[arguments, &["--json", "-"]].concat());
    assert_eq!(output.status.code(), Some(code), "{}", described(&output));
    let all = text(&output.stdout) + &text(&output.stderr);
    for word in ["NaN", "inf ", "inf}", "-inf", "Infinity"] {
        assert!(!all.contains(word), "{all}");
    }
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let schema = serde_json::from_str(include_str!("../../schemas/diff.v1.json")).unwrap();
    crate::schema::check_form(&schema, &report);
    assert_eq!(report["exit_code"], code);
    for figure in report["figures"].as_array().unwrap() {
        for (field, value) in figure.as_object().unwrap() {
            let reason = &figure["null_because"][field];
            let is_lacking = value.is_null() || value["samples"] == 0;
            assert_eq!(is_lacking, reason.is_string(), "{field} is {value}, the reason {reason}");
        }
    }
    report
}

fn figure<'a>(report: &'a Value, name: &str) -> &'a Value {
    let figures = report["figures"].as_array().unwrap();
    figures
        .iter()
        .find(|figure| figure["figure"] == name)
        .unwrap_or_else(|| panic!("no {name} in {report:#}"))
}

fn says(report: &Value, words: &[&str]) {
    let all = report.to_string();
    for word in words {
        assert!(all.contains(word), "`{word}` is missing in {report:#}");
    }
}

#[test]
fn a_slower_call_is_a_regression() {
    let files = Files::new();
    let a = files.reports("a.json", &runs(10.0, 1e6, 0));
    let b = files.reports("b.json", &runs(11.0, 1e6, 0));
    let report = compared(&[&a, &b], 1);
    let call = figure(&report, "undisturbed call");
    assert_eq!(call["verdict"], "regression");
    // The median of the ratios of samples that wobble alike around 10 and 11.
    assert!((call["ratio"].as_f64().unwrap() - 1.1).abs() < 0.002, "{call}");
    let (low, high) = (call["interval"][0].as_f64().unwrap(), call["interval"][1].as_f64().unwrap());
    assert!(1.08 < low && low < 1.1 && 1.1 < high && high < 1.12, "{call}");
    assert_eq!(call["delta_worse"], 1.0);
    assert_eq!(figure(&report, "rate delivered")["verdict"], "within");
    says(&report, &["REGRESSION: concurrency-call / bursts of 20: undisturbed call"]);
    // Worst first, and at a threshold beyond the change it is none; nor the other way round.
    assert_eq!(report["figures"][0]["figure"], "undisturbed call");
    assert_eq!(figure(&compared(&[&a, &b, "--threshold", "15"], 0), "undisturbed call")["verdict"], "within");
    assert_eq!(figure(&compared(&[&b, &a], 0), "undisturbed call")["verdict"], "improvement");
}

#[test]
fn higher_is_better_for_rates() {
    let files = Files::new();
    let a = files.reports("a.json", &runs(10.0, 1e6, 0));
    let b = files.reports("b.json", &runs(10.0, 9e5, 0));
    let report = compared(&[&a, &b], 1);
    let rate = figure(&report, "rate delivered");
    assert_eq!((rate["verdict"].as_str(), &rate["higher_is_better"]), (Some("regression"), &json!(true)));
    assert!((rate["ratio"].as_f64().unwrap() - 0.9).abs() < 0.002, "{rate}");
    assert_eq!(figure(&compared(&[&b, &a], 0), "rate delivered")["verdict"], "improvement");
}

/// Figures that scatter far more than the threshold say nothing.
#[test]
fn noise_is_no_regression() {
    let files = Files::new();
    let scattered = |factor: f64| -> Vec<Value> {
        [8.0, 14.0, 9.0, 16.0, 10.0, 13.0, 12.0, 11.0].map(|ns| report(ns * factor, 1_000_000, 0)).to_vec()
    };
    let (a, b) = (files.reports("a.json", &scattered(1.0)), files.reports("b.json", &scattered(1.08)));
    let report = compared(&[&a, &b], 0);
    assert_eq!(figure(&report, "undisturbed call")["verdict"], "unclear");
    says(&report, &["too noisy to exclude 5 %"]);
    // With nothing but this figure there is nothing that could be said.
    let alone = compared(&[&a, &b, "--only", "undisturbed"], 3);
    assert_eq!(alone["figures"].as_array().unwrap().len(), 1);
}

#[test]
fn losses_are_compared_in_points() {
    let files = Files::new();
    let of = |lost| runs(10.0, 1e6, lost);
    let none = files.reports("none.json", &of(0));
    let (few, some, many) = (
        files.reports("few.json", &of(1)),
        files.reports("some.json", &of(30)),
        files.reports("many.json", &of(90)),
    );
    let verdict = |a: &str, b: &str, code| {
        let report = compared(&[a, b], code);
        let losses = figure(&report, "loss share").clone();
        assert!(losses["ratio"].is_null(), "{losses}");
        (losses["verdict"].as_str().unwrap().to_owned(), losses["difference"].as_f64().unwrap())
    };
    assert_eq!(verdict(&none, &none, 0).0, "within");
    assert_eq!(verdict(&none, &few, 1), ("regression".to_owned(), 0.001));
    assert_eq!(verdict(&few, &some, 0).0, "within");
    assert_eq!(verdict(&few, &many, 1).0, "regression");
    assert_eq!(verdict(&many, &few, 0).0, "improvement");
}

#[test]
fn zeros_have_no_ratio() {
    let files = Files::new();
    let a = files.reports("a.json", &runs(10.0, 1e6, 0));
    let b = files.reports("b.json", &runs(10.0, 0.0, 0));
    let report = compared(&[&a, &b], 1);
    let rate = figure(&report, "rate delivered");
    assert_eq!((rate["verdict"].as_str(), rate["b"]["median"].as_f64()), (Some("regression"), Some(0.0)));
    assert!(rate["ratio"].is_null() && rate["interval"].is_null());
    assert_eq!(rate["null_because"]["ratio"], "8 of 16 samples are zero");
    assert!(rate["difference"].as_f64().unwrap() < -9e5);
    // Zero on both sides is no difference.
    let both = compared(&[&b, &b], 0);
    assert_eq!(figure(&both, "rate delivered")["verdict"], "within");
}

#[test]
fn what_is_missing_is_said() {
    let files = Files::new();
    let a = runs(10.0, 1e6, 0);
    let mut b = a.clone();
    for run in &mut b {
        run["rows"][0]["undisturbed_call"] = Value::Null;
        run["rows"][0]["null_because"]["undisturbed_call"] = "fewer than 100 bursts".into();
        let mut other = run["rows"][0].clone();
        other["name"] = "another".into();
        run["rows"].as_array_mut().unwrap().push(other);
    }
    b[0]["rows"] = json!([]);
    let (a, b) = (files.reports("a.json", &a), files.reports("b.json", &b));
    let report = compared(&[&a, &b], 0);
    let call = figure(&report, "undisturbed call");
    assert_eq!((call["verdict"].as_str(), call["a"]["samples"].as_u64()), (Some("not_judged"), Some(8)));
    assert_eq!(call["null_because"]["b"], "fewer than 100 bursts");
    says(&report, &["concurrency-call / another: missing in A; B has it", "missing in 1 of 8 runs of B"]);
    // Nothing at all in common.
    let other = files.reports("c.json", &[json!({ "schema_version": 1, "rows": [] })]);
    says(&compared(&[&a, &other], 3), &["missing in B; A has it", "no figure in common"]);
}

#[test]
fn other_circumstances_are_said() {
    let files = Files::new();
    let a = runs(10.0, 1e6, 0);
    let mut b = a.clone();
    for run in &mut b {
        run["environment"]["kernel"] = "Linux 6.2".into();
        run["environment"]["cores"] = 64.into();
        run["request"]["messages"] = 7.into();
    }
    let (a_file, b_file) = (files.reports("a.json", &a), files.reports("b.json", &b));
    let output = diff(&[&a_file, &b_file]);
    assert_eq!(output.status.code(), Some(0), "{}", described(&output));
    for words in [
        "kernel differs: Linux 6.1 in A, Linux 6.2 in B",
        "cores differs: 4 in A, 64 in B",
        "--messages differs: unknown in A, 7 in B",
        "the machines are not the same",
    ] {
        assert!(text(&output.stdout).contains(words), "{words}: {}", described(&output));
    }
    // A row that ran with another configuration is another row.
    let mut c = a.clone();
    for run in &mut c {
        run["rows"][0]["threads"] = 2.into();
    }
    let c = files.reports("c.json", &c);
    says(&compared(&[&a_file, &c], 3), &["not compared: threads is 1 in A and 2 in B"]);
}

#[test]
fn broken_accounts_are_a_regression() {
    let files = Files::new();
    let a = runs(10.0, 1e6, 0);
    let mut b = a.clone();
    b[3]["rows"][0]["status"] = "violation".into();
    let (a, b) = (files.reports("a.json", &a), files.reports("b.json", &b));
    says(&compared(&[&a, &b], 1), &["status `violation` in 1 run(s) of B", "accounts do not agree in B"]);
    says(&compared(&[&b, &a], 0), &["status `violation` in 1 run(s) of A"]);
}

#[test]
fn one_report_a_side() {
    let files = Files::new();
    let one = |ns, rate| report(ns, rate, 0);
    let a = files.write("a.json", &one(10.0, 1_000_000).to_string());
    let b = files.write("b.json", &one(12.0, 1_000_000).to_string());
    let report = compared(&[&a, &b], 3);
    says(&report, &["too few samples for statistics"]);
    let call = figure(&report, "undisturbed call");
    assert_eq!((call["verdict"].as_str(), call["ratio"].as_f64()), (Some("not_judged"), Some(1.2)));
    // The same file twice: nothing is worse, and that it is the same is said.
    says(&compared(&[&a, &a], 0), &["the same figures, one by one"]);
}

#[test]
fn repetitions_of_one_report_are_samples() {
    let files = Files::new();
    let with = |rate: f64| {
        let mut report = report(10.0, rate as u64, 0);
        let one = |i: i32| {
            let rate = (rate * (1.0 + f64::from(i) * 0.001)) as u64;
            json!({ "throughput_msgs_per_s": rate, "attempted": 1000, "lost": 0 })
        };
        report["rows"][0]["repetitions"] = (0..8).map(one).collect();
        report.to_string()
    };
    let (a, b) = (files.write("a.json", &with(1e6)), files.write("b.json", &with(8e5)));
    let report = compared(&[&a, &b], 1);
    let rate = figure(&report, "rate delivered");
    assert_eq!((rate["verdict"].as_str(), rate["a"]["samples"].as_u64()), (Some("regression"), Some(8)));
    assert_eq!(figure(&report, "undisturbed call")["verdict"], "not_judged");
    says(&report, &["from one process to the next"]);
}

/// Each of five runs a side beyond all of the other side is p = 1/252, and with three figures 1/84; three a side are
/// 1/20, which three figures make 3/20.
#[test]
fn too_few_runs_are_inconclusive() {
    let files = Files::new();
    let some = |n: usize, ns| runs(ns, 1e6, 0)[..n].to_vec();
    let (a, b) = (files.reports("a3.json", &some(3, 10.0)), files.reports("b3.json", &some(3, 12.0)));
    let report = compared(&[&a, &b], 3);
    assert_eq!((report["judged"].as_u64(), report["regressions"].as_u64()), (Some(3), Some(0)));
    says(&report, &["cannot tell a regression from chance among 3 figures"]);
    let (a, b) = (files.reports("a5.json", &some(5, 10.0)), files.reports("b5.json", &some(5, 12.0)));
    assert_eq!(compared(&[&a, &b], 1)["regressions"], 1);
}

#[test]
fn several_reports_in_one_file() {
    let files = Files::new();
    let (a, b) = (runs(10.0, 1e6, 0), runs(11.0, 1e6, 0));
    let after_each_other =
        |runs: &[Value]| runs.iter().map(|run| format!("{run:#}")).collect::<Vec<_>>().join("\n");
    let array = (files.reports("a.json", &a), files.reports("b.json", &b));
    let stream =
        (files.write("a.jsons", &after_each_other(&a)), files.write("b.jsons", &after_each_other(&b)));
    let of = |(a, b): &(String, String)| compared(&[a, b], 1)["figures"].clone();
    assert_eq!(of(&array), of(&stream));
}

/// Exit code 2, with the file's name and the place in it.
#[test]
fn files_that_are_no_reports() {
    let files = Files::new();
    let good = files.reports("good.json", &runs(10.0, 1e6, 0));
    let changed = |change: fn(&mut Value)| {
        let mut all = runs(10.0, 1e6, 0);
        change(&mut all[2]);
        Value::from(all).to_string()
    };
    let row = |change: fn(&mut Value)| -> String { changed(change) };
    let cases: [(&str, String, &[&str]); 12] = [
        ("empty.json", String::new(), &["there is no report in it"]),
        ("cut.json", "{\n \"schema_version\": 1,\n \"rows\": [".to_owned(), &["no JSON", "line 3"]),
        ("binary.json", "\u{1}\u{2}".to_owned(), &["no JSON", "line 1 column 1"]),
        ("number.json", "[7]".to_owned(), &["[0]", "is no report of dlt-bench but 7"]),
        ("other.json", "{}".to_owned(), &["it has no `schema_version`"]),
        (
            "future.json",
            changed(|run| run["schema_version"] = 2.into()),
            &["[2]", "schema_version is 2", "up to 1"],
        ),
        ("version.json", changed(|run| run["schema_version"] = "x".into()), &["[2]", "no known one"]),
        ("no-rows.json", changed(|run| run["rows"] = Value::Null), &["[2].rows", "no list"]),
        (
            "suspend.json",
            row(|run| run["rows"][0] = json!({"case": "suspend-basic", "name": "x"})),
            &["rows[0]", "suspend"],
        ),
        (
            "text.json",
            row(|run| run["rows"][0]["undisturbed_call"]["least_slice_ns"] = "NaN".into()),
            &["[2].rows[0].undisturbed_call.least_slice_ns", "must be a number", "NaN"],
        ),
        (
            "negative.json",
            row(|run| run["rows"][0]["throughput_msgs_per_s"] = (-1).into()),
            &["[2].rows[0].throughput_msgs_per_s", "-1"],
        ),
        ("huge.json", good_with_huge_number(), &["out of range"]),
    ];
    for (name, content, words) in cases {
        let bad = files.write(name, &content);
        for arguments in [[&good, &bad], [&bad, &good]] {
            let output = diff(&arguments.map(String::as_str));
            assert_eq!(output.status.code(), Some(2), "{name}: {}", described(&output));
            assert_eq!(text(&output.stdout), "");
            let message = text(&output.stderr);
            for word in words.iter().chain(&[name]) {
                assert!(message.contains(word), "`{word}` is missing in: {message}");
            }
        }
    }
    let output = diff(&[&good, "/no/such/file.json"]);
    assert_eq!(output.status.code(), Some(2), "{}", described(&output));
    assert!(text(&output.stderr).contains("/no/such/file.json"), "{}", described(&output));
}

fn good_with_huge_number() -> String {
    report(10.0, 123_456, 0).to_string().replace("123456", "1e999")
}

#[test]
fn usage_errors() {
    let refused = |arguments: &[&str], words: &[&str]| {
        let output = diff(arguments);
        assert_eq!(output.status.code(), Some(2), "{}", described(&output));
        for word in words {
            assert!(text(&output.stderr).contains(word), "{word}: {}", described(&output));
        }
    };
    let files = Files::new();
    let a = files.reports("a.json", &runs(10.0, 1e6, 0));
    refused(&[], &["FILE"]);
    refused(&[&a], &["2"]);
    refused(&[&a, &a, &a], &["2"]);
    refused(&[&a, &a, "--threshold", "nan"], &["threshold"]);
    refused(&[&a, &a, "--threshold", "100"], &["less than 100"]);
    refused(&[&a, &a, "--rounds", "3"], &["--ab"]);
    refused(&[&a, &a, "--ab", "true", "true"], &["cannot be used with"]);
    refused(&["--ab", "true"], &["2"]);
    refused(&[&a, &a, "--messages", "5"], &["--messages", "no effect"]);
    refused(&[&a, &a, "--seed", "5"], &["--seed", "--ab"]);
    refused(&[&a, &a, "--only", "no such figure"], &["no such figure"]);
    refused(&["--ab", "exit 5", "exit 5"], &["round 1", "exit code 5", "{json}"]);
}
