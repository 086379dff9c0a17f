//! What each case shows.

use crate::support::{
    alone, bench, check_stops, described, is_root, number, report, rows, text, unprivileged,
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
    ] {
        let output = bench(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments}: {}", described(&output));
        assert!(text(&output.stderr).contains(word), "{arguments}: {}", described(&output));
    }
}
