//! What a comparison that goes well reports.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::misfits::misfits;
use crate::support::{bench, text};

/// Runs, expects this exit code, and returns the report, which is checked against its schema, with the text beside it.
pub(crate) fn report(arguments: &str, code: i32) -> (Value, String) {
    let output = bench(arguments).args(["--json", "-"]).output().unwrap();
    let text = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    let report: Value =
        serde_json::from_slice(&output.stdout).expect("standard output is JSON and nothing else");
    let schema: Value = serde_json::from_str(include_str!("../../schemas/compare.v1.json")).unwrap();
    let misfits = misfits(&schema, &schema, &report, "report");
    assert!(misfits.is_empty(), "{}", misfits.join("\n"));
    (report, text)
}

fn rows(report: &Value) -> &Vec<Value> {
    report["rows"].as_array().unwrap()
}

fn median(report: &Value, contender: &str, measurement: &str, figure: &str) -> Option<f64> {
    let is_it = |row: &&Value| row["contender"] == contender && row["measurement"] == measurement;
    rows(report).iter().find(is_it)?["figures"][figure]["median"].as_f64()
}

/// Every contender has a row for every measurement, whatever became of it.
#[test]
fn all_contenders_have_all_rows() {
    let (report, text) = report("-c compare-throughput --messages 3000 --iterations 1", 0);
    let names: Vec<&str> =
        report["contenders"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, dlt_peers::NAMES);
    let pairs: BTreeSet<_> =
        rows(&report).iter().map(|row| (row["contender"].as_str(), row["measurement"].as_str())).collect();
    assert_eq!((pairs.len(), rows(&report).len()), (names.len() * 5, names.len() * 5));
    for name in names {
        assert!(
            text.lines().any(|line| line.contains(&format!("│ {name} "))),
            "{name} is in no table:\n{text}"
        );
    }
    for row in rows(&report).iter().filter(|row| row["status"] == "ok") {
        let of = |figure: &str| {
            row["figures"][figure]["median"].as_f64().unwrap_or_else(|| panic!("{figure}: {row:#}"))
        };
        let producers = row["producers"].as_f64().unwrap();
        // What was asked for, to the next whole share, and each producer's 1000 calls of warm-up.
        let most = 3000.0 + producers + 1000.0 * producers;
        assert!((3000.0 + 1000.0 * producers..=most).contains(&of("attempted")), "{row:#}");
        if row["null_because"]["dropped"].is_string() {
            assert!(row["figures"]["messages_per_s"].is_null(), "a rate of what nobody has counted: {row:#}");
            continue;
        }
        assert!(of("dropped") <= of("attempted") && of("messages_per_s") > 0.0, "{row:#}");
        if row["figures"]["bytes_per_message"].is_object() {
            // The text and something that says the number.
            assert!(of("bytes_per_message") > 17.0, "{row:#}");
        }
    }
}

/// Ratios say what rows say, in the right direction.
#[test]
fn ratios_follow_from_the_rows() {
    let (report, _) =
        report("-c compare-cpu -c compare-throughput --only mutex --messages 4000 --iterations 3", 0);
    let rankings = report["rankings"].as_array().unwrap();
    let figures: BTreeSet<_> = rankings.iter().map(|ranking| ranking["figure"].as_str().unwrap()).collect();
    assert_eq!(figures, BTreeSet::from(["messages_per_s", "cpu_s_per_million"]));
    for ranking in rankings {
        let (measurement, figure) =
            (ranking["measurement"].as_str().unwrap(), ranking["figure"].as_str().unwrap());
        let own = median(&report, "dlt-logger-block", measurement, figure).unwrap();
        assert!((ranking["dlt_logger"].as_f64().unwrap() - own).abs() < 1e-9);
        let [other] = ranking["others"].as_array().unwrap().as_slice() else { panic!("{ranking:#}") };
        let value = median(&report, "mutex", measurement, figure).unwrap();
        let (times, is_better) = match figure {
            "messages_per_s" => (own / value, value > own),
            _ => (value / own, value < own),
        };
        let Some(said) = other["dlt_logger_times_better"].as_f64() else {
            assert!(own == 0.0 || value == 0.0, "{ranking:#}");
            continue;
        };
        assert!((said / times - 1.0).abs() < 1e-9, "{said} {times}: {ranking:#}");
        assert_eq!(ranking["dlt_logger_place"].as_u64(), Some(1 + u64::from(is_better)), "{ranking:#}");
    }
    for row in rows(&report) {
        assert_eq!(row["rounds"], 3, "{row:#}");
        for figure in row["figures"].as_object().unwrap().values() {
            let of = |name: &str| figure[name].as_f64().unwrap();
            assert!(of("least") <= of("median") && of("median") <= of("most"), "{row:#}");
        }
    }
}

/// Every measurement says what its columns show.
#[test]
fn every_column_has_its_figure() {
    use dlt_bench::compare::plan::ALL;
    let folder = std::env::temp_dir().join(format!("dlt-bench-compare-test-{}", std::process::id()));
    let (report, text) = report(
        &format!("-c compare-all --only mutex --messages 500 --iterations 1 --out {}", folder.display()),
        0,
    );
    let is_root = nix::unistd::geteuid().is_root();
    let may_lack = ["daemon_cpu_s_per_million", "daemon_resident_bytes", "undelivered"];
    for section in ALL {
        assert!(text.contains(section.title), "{text}");
        for column in section.tables.iter().flat_map(|table| table.columns) {
            let (measurement, figure) = (column.cell.name(), column.figure);
            let is_optional = may_lack.contains(&figure)
                || measurement.contains("null sink")
                || (measurement.contains("probe") && !is_root);
            for contender in ["dlt-logger-block", "mutex"] {
                let value = median(&report, contender, &measurement, figure);
                assert!(value.is_some() || is_optional, "{contender}, {measurement}: no {figure}");
            }
        }
    }
    let clock = median(&report, "mutex", "bursts of 20, 1 producer", "clock_p50_ns").unwrap();
    let call = median(&report, "mutex", "bursts of 20, 1 producer", "call_p50_ns").unwrap();
    assert!(clock <= call, "a call takes no less than the clock: {clock} {call}");
    let svg = std::fs::read_to_string(folder.join("compare.svg")).unwrap();
    assert!(svg.contains("<svg") && svg.contains("mutex"), "{svg}");
    assert!(folder.join("report.json").is_file());
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_has_no_effect_is_refused() {
    for (arguments, word) in [
        ("-c compare-cpu --sink null", "--sink"),
        ("-c compare-cpu --logger mutex", "--logger"),
        ("-c compare-cpu --threads 3", "--threads"),
        ("-c compare-cpu --profile", "--profile"),
        ("-c compare-cpu -c quick", "quick"),
        ("-c compare-cpu -c suspend-basic", "suspend-basic"),
        ("-c compare-cpu --only nobody", "nobody"),
        ("contender nobody --measure bursts --write-to /dev/null --time-ms 1", "nobody"),
    ] {
        let output = bench(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments}: {output:?}");
        assert!(text(&output.stderr).contains(word), "{arguments}: {output:?}");
    }
}
