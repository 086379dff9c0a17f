//! What each case shows.

use std::collections::BTreeSet;

use crate::support::{
    alone, bench, check_stops, described, float, is_root, number, report, rows, text, unprivileged,
};

#[test]
fn basic() {
    let _alone = alone();
    let report = report(bench("-c suspend-basic --stop-ms 400"), 0);
    let [row] = rows(&report).as_slice() else { panic!("one row") };
    assert_eq!(row["status"], "ok", "{row:#}");
    assert_eq!((number(row, "threads"), number(row, "others")), (8, 6));
    check_stops(row, 2, 400.0);
    assert!(number(row, "least_calls_of_another") >= 1_000, "{row:#}");
    assert!(number(row, "least_deliveries_of_another") > 0, "{row:#}");
    assert_eq!(report["environment"]["probe"], is_root());
}

#[test]
fn basic_without_privileges() {
    let _alone = alone();
    let Some(command) = unprivileged("-c suspend-basic --stop-ms 400 --threads 4") else { return };
    let report = report(command, 0);
    let [row] = rows(&report).as_slice() else { panic!("one row") };
    assert_eq!(row["status"], "ok", "{row:#}");
    assert_eq!((number(row, "threads"), number(row, "others")), (4, 2));
    let stop = &row["stops"][0];
    assert!(stop["kernel_ms"].is_null(), "{stop:#}");
    assert!(row["null_because"]["stops.kernel_ms"].as_str().unwrap().contains("CAP_BPF"), "{row:#}");
}

#[test]
fn cascade() {
    let _alone = alone();
    let report = report(bench("-c suspend-cascade --stop-ms 100 --threads 5"), 0);
    let rows = rows(&report);
    assert_eq!(rows.len(), 5);
    let names: BTreeSet<_> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 5, "each thread is stopped once: {names:?}");
    for row in rows {
        assert_eq!(row["status"], "ok", "{row:#}");
        check_stops(row, 1, 100.0);
        assert!(number(&row["calls_per_s"], "during") > 0, "{row:#}");
    }
    let longest = rows.iter().map(|row| float(&row["stops"][0], "asked_ms")).fold(0.0, f64::max);
    assert!(longest > 400.0, "stops overlap: {longest} ms");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn immediate() {
    let _alone = alone();
    let commands = [
        Some(bench("-c suspend-immediate --stop-ms 500")),
        unprivileged("-c suspend-immediate --stop-ms 300"),
    ];
    for command in commands.into_iter().flatten() {
        let report = report(command, 0);
        let [row] = rows(&report).as_slice() else { panic!("one row") };
        assert_eq!(row["status"], "ok", "{row:#}");
        assert_eq!((number(row, "threads"), number(row, "others"), number(row, "stopped")), (5, 4, 1));
        let place = row["stops"][0]["place"].as_str().unwrap();
        // In the logger, or in what it calls to register.
        assert!(place.starts_with("inside its first call"), "{place}");
    }
}

#[test]
fn worker() {
    let _alone = alone();
    let report = report(bench("-c suspend-worker --stop-ms 300"), 0);
    let rows = rows(&report);
    assert_eq!(rows.len(), 6);
    for row in rows {
        assert_eq!(row["status"], "ok", "{row:#}");
        check_stops(row, 1, 300.0);
        let waits = row["overflow_mode"] == "BlockWithTimeout";
        assert_eq!(number(row, "others") < 8, waits, "{row:#}");
        let remarks = row["remarks"].to_string();
        assert!(remarks.contains("flush(200 ms) returned"), "{remarks}");
        assert_eq!(remarks.contains("gave up"), waits, "{remarks}");
    }
}

#[test]
fn text_for_people() {
    let _alone = alone();
    let output = bench("-c suspend-basic --stop-ms 200").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", described(&output));
    let all = text(&output.stdout);
    assert_eq!((all.matches("SUSPENDED").count(), all.matches("RESUMED").count()), (2, 2), "{all}");
    let figure =
        all.lines().find(|line| line.contains("Throughput")).and_then(|line| line.split_whitespace().nth(3));
    assert!(figure.unwrap().parse::<u64>().unwrap() > 0, "{all}");
}

/// Nothing is ignored in silence.
#[test]
fn options_without_effect_are_refused() {
    for (arguments, word) in [
        ("-c suspend-basic --messages 7", "--messages"),
        ("-c suspend-basic --iterations 2", "--iterations"),
        ("-c suspend-basic --sink null", "--sink"),
        ("-c suspend-basic --profile", "--profile"),
        ("-c suspend-basic --threads 2", "3 threads at least"),
        ("-c suspend-basic -c quick", "quick"),
        ("-c quick --stop-ms 300", "--stop-ms"),
        ("-c suspend-bsaic", "suspend-basic"),
        ("-c suspend-worker --logger mutex", "--logger"),
    ] {
        let output = bench(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments}: {}", described(&output));
        assert!(text(&output.stderr).contains(word), "{arguments}: {}", described(&output));
    }
}

/// The control with a lock stands still in the same stops, for as long as they last: the checks can fail.
#[cfg(target_arch = "x86_64")]
#[test]
fn advantage() {
    let _alone = alone();
    let report = report(bench("-c suspend-advantage --stop-ms 500"), 0);
    let [ours, control, c_library] = rows(&report).as_slice() else { panic!("three rows") };
    assert_eq!((&ours["status"], &ours["logger"]), (&"ok".into(), &"dlt".into()), "{ours:#}");
    check_stops(ours, 1, 500.0);
    assert!(number(ours, "throughput_msgs_per_s") > 0, "{ours:#}");
    assert_eq!((&control["status"], &control["logger"]), (&"stalled".into(), &"mutex".into()), "{control:#}");
    check_stops(control, 1, 500.0);
    assert!(float(control, "longest_call_gap_ms") > 500.0, "{control:#}");
    let place = control["stops"][0]["place"].as_str().unwrap();
    assert!(place.starts_with("inside a call"), "{place}");
    let is_installed = c_library["status"] != "not_installed";
    let libraries = std::process::Command::new("ldconfig").arg("-p").output();
    if let Ok(libraries) = libraries {
        assert_eq!(is_installed, text(&libraries.stdout).contains("libdlt.so.2"), "{c_library:#}");
    }
    if is_installed {
        check_stops(c_library, 1, 500.0);
    } else {
        assert!(c_library["remarks"].to_string().contains("apt-get install libdlt2"), "{c_library:#}");
    }
}
