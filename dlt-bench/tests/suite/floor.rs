//! What the machine allows.

use serde_json::Value;

use nix::sys::signal::Signal;

use crate::schema;
use crate::support::{Background, Folder, await_that, bench, described, number, run, text};

fn check(report: &Value) {
    let form = include_str!("../../schemas/floor.v1.json");
    schema::check_form(&serde_json::from_str(form).expect("the schema is JSON"), report);
}

fn median(report: &Value, name: &str, figures: &str) -> f64 {
    let rows = report["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no row {name}"));
    row[figures]["median"].as_f64().unwrap_or_else(|| panic!("{row:#}"))
}

/// Orders that hold on every machine, with margins for one that is busy.
#[test]
fn figures_are_in_the_order_of_nature() {
    let output = run("-c floor --iterations 5 --json -");
    assert_eq!(output.status.code(), Some(0), "{}", described(&output));
    let report: Value =
        serde_json::from_slice(&output.stdout).expect("standard output is JSON and nothing else");
    check(&report);
    for row in report["rows"].as_array().unwrap().iter().filter(|row| row["null_because"].is_null()) {
        assert_eq!(number(row, "slices"), 5, "{row:#}");
        let of = |figure: &str| row["operation_ns"][figure].as_f64().unwrap();
        assert!(of("min") <= of("median") && of("median") <= of("p90") && of("p90") > 0.0, "{row:#}");
    }
    let least = |name: &str| {
        let rows = report["rows"].as_array().unwrap();
        rows.iter().find(|row| row["name"] == name).unwrap()["operation_ns"]["min"].as_f64().unwrap()
    };
    // The least of five slices, since other tests run meanwhile.
    assert!(least("store Release, own line") < least("system call (getppid)"));
    assert!(least("system call (getppid)") < least("from the wake until the sleeper runs"));
    assert!(least("/dev/null: writev ×1") < least("/dev/null: writev ×256"));
    for sink in ["/dev/null", "tmpfs file", "pipe", "Unix stream socket", "TCP over loopback"] {
        for layout in
            ["writev ×1", "writev ×16", "writev ×64", "writev ×256", "one buffer of 16", "one buffer of 256"]
        {
            let name = format!("{sink}: {layout}");
            let (whole, message) =
                (median(&report, &name, "operation_ns"), median(&report, &name, "message_ns"));
            let n = layout.rsplit(['×', ' ']).next().unwrap().parse::<f64>().unwrap();
            assert!((whole / n - message).abs() < 0.02, "{name}: {whole} {message}");
        }
    }
    let call = "floor of a log call: clock, copy of the record, publish";
    let rows = report["rows"].as_array().unwrap();
    let of_call = rows.iter().find(|row| row["name"] == call).unwrap();
    assert_eq!(of_call["floor_multiple"], 1.0, "{of_call:#}");
}

#[test]
fn it_stands_alone() {
    for (arguments, word) in [
        ("-c floor -c quick", "quick"),
        ("-c suspend-basic -c floor", "suspend-basic"),
        ("-c floor --sink null", "--sink"),
        ("-c floor --threads 2", "--threads"),
        ("-c floor --logger mutex", "--logger"),
        ("-c floor --sample 3", "sweeps"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments}: {}", described(&output));
        let said = text(&output.stderr);
        assert!(said.contains(word) && said.contains("hint"), "{said}");
    }
}

#[test]
fn ctrl_c_reports_what_was_measured() {
    let folder = Folder::new();
    let json = folder.file("floor.json");
    let mut command = bench();
    command.args(["-c", "floor", "--iterations", "1000", "--json", &json]);
    let mut program = Background::start(command);
    let pid = program.child().id();
    // Its receivers run once it measures.
    let has_begun = || std::fs::read_dir(format!("/proc/{pid}/task")).is_ok_and(|tasks| tasks.count() > 3);
    await_that("it measures", has_begun);
    program.signal(Signal::SIGINT);
    let output = program.output();
    assert_eq!(output.status.code(), Some(130), "{}", described(&output));
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    check(&report);
    assert_eq!((report["interrupted"].as_bool(), report["exit_code"].as_u64()), (Some(true), Some(130)));
}
