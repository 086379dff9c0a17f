//! Every case with small counts.

use crate::schema;
use crate::support::{described, number, report, rows, run, text, throughput};

const MESSAGES: &str = "--messages 3000 --iterations 1";

fn case_names() -> Vec<String> {
    let output = run("list");
    assert!(output.status.success());
    text(&output.stdout).lines().map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

/// The report fits the schema, every frame was checked, and the one line for scripts has the best row's rate.
fn check_case(arguments: &str) -> serde_json::Value {
    let report = report(&format!("{arguments} {MESSAGES}"), 0);
    schema::check(&report);
    assert!(!rows(&report).is_empty());
    for row in rows(&report) {
        assert_eq!(row["status"], "ok", "{row:#}");
        assert_eq!(row["verified_by"], "receiver");
        assert!(number(row, "attempted") >= 3000 / 2, "{row:#}");
        assert!(row["latency_ns"]["p50"].as_f64().unwrap() > 0.0);
        assert_eq!(row["iterations"], 1);
    }
    let best = rows(&report).iter().map(|row| number(row, "throughput_msgs_per_s")).max();
    assert_eq!(report["best"]["throughput_msgs_per_s"].as_u64(), best);
    report
}

#[test]
fn the_list_names_the_cases() {
    let expected = [
        "overflow-drop",
        "overflow-overwrite",
        "overflow-timeout",
        "overflow-all",
        "buffer-count",
        "buffer-size",
        "batch-size",
        "buffer-all",
        "concurrency-single",
        "concurrency-call",
        "concurrency-mpsc",
        "concurrency-scale",
        "concurrency-burst",
        "concurrency-all",
        "floor",
        "suspend-basic",
        "suspend-cascade",
        "suspend-immediate",
        "suspend-worker",
        "suspend-advantage",
        "suspend-sweep",
        "suspend-all",
        "compare-latency",
        "compare-throughput",
        "compare-cpu",
        "compare-delivery",
        "compare-kernel",
        "compare-memory",
        "compare-stops",
        "compare-all",
        "quick",
        "full",
    ];
    assert_eq!(case_names(), expected);
}

#[test]
fn overflow_cases() {
    for name in case_names().iter().filter(|name| name.starts_with("overflow")) {
        check_case(&format!("-c {name}"));
    }
    let all = check_case("case overflow-all");
    let modes: Vec<_> = rows(&all).iter().map(|row| row["overflow_mode"].as_str().unwrap()).collect();
    assert_eq!(modes, ["Overwrite", "DropNewest", "BlockWithTimeout"]);
}

/// Each mode loses in its own way: lanes of 2 messages overflow with any load.
#[test]
fn each_mode_has_its_own_losses() {
    let mut command = crate::support::bench();
    command.args("-c overflow-all --messages 200000 --json -".split(' '));
    for buffer in 0..4 {
        command.env(format!("DLT_USER_BUFFER_SIZE_{buffer}"), "2");
    }
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", described(&output));
    let report = serde_json::from_slice(&output.stdout).unwrap();
    crate::support::check_rows(&report);
    let lost =
        |row: usize| ["overwritten", "dropped", "timed_out"].map(|term| number(&rows(&report)[row], term));
    let [overwritten, dropped, timed_out] = lost(0);
    assert!(overwritten > 0 && dropped == 0 && timed_out == 0, "Overwrite: {:?}", lost(0));
    let [overwritten, dropped, timed_out] = lost(1);
    assert!(overwritten == 0 && dropped > 0 && timed_out == 0, "DropNewest: {:?}", lost(1));
    let [overwritten, dropped, _] = lost(2);
    assert!(overwritten == 0 && dropped == 0, "BlockWithTimeout: {:?}", lost(2));
    let capacity = &rows(&report)[0]["buffer_sizes_msgs"];
    assert_eq!(capacity, &serde_json::json!([2, 2, 2, 2]));
}

#[test]
fn buffer_cases() {
    let swept = |name: &str, field: &str| -> Vec<u64> {
        let report = check_case(&format!("-c {name}"));
        rows(&report)
            .iter()
            .map(|row| row[field].as_u64().or_else(|| row[field][0].as_u64()).unwrap())
            .collect()
    };
    assert_eq!(swept("buffer-count", "num_buffers"), [1, 2, 4, 8]);
    assert_eq!(swept("buffer-size", "buffer_sizes_msgs"), [512, 1024, 2048, 4096, 8192]);
    assert_eq!(swept("batch-size", "batch_size_msgs"), [1, 4, 8, 16, 32, 64]);
    let report = check_case("-c buffer-all");
    assert_eq!(rows(&report).len(), 15);
    for row in rows(&report) {
        let messages_per_call = row["msgs_per_writev"].as_f64().unwrap();
        assert!(
            messages_per_call > 0.0 && messages_per_call <= number(row, "batch_size_msgs") as f64,
            "{row:#}"
        );
        let buffers = row["memory_bytes_per_buffer"].as_array().unwrap();
        assert_eq!(buffers.len() as u64, number(row, "num_buffers"));
        assert_eq!(
            buffers.iter().map(|bytes| bytes.as_u64().unwrap()).sum::<u64>(),
            number(row, "memory_bytes")
        );
        assert!(number(row, "memory_bytes") > 0);
    }
}

#[test]
fn concurrency_cases() {
    let single = check_case("-c concurrency-single");
    for row in rows(&single) {
        assert_eq!(row["threads"], 1);
        assert!(row["floor"]["sustained_multiple"].as_f64().unwrap() > 0.0);
    }
    let bursts = &rows(&single)[0];
    assert!(bursts["floor"]["call_p50_multiple"].as_f64().unwrap() > 0.0);
    assert!(bursts["burst_ns_per_call"]["samples"].as_u64().unwrap() > 0);
    assert!(bursts["idle_wakeups_per_s"].as_f64().unwrap() < 200.0);

    let scale = check_case("-c concurrency-scale");
    let threads: Vec<_> = rows(&scale).iter().map(|row| number(row, "threads")).collect();
    assert_eq!(threads, [1, 2, 4, 8, 16]);
    assert_eq!(rows(&scale)[0]["speed_up"], 1.0);

    let burst = check_case("-c concurrency-burst");
    for row in &rows(&burst)[..2] {
        assert_eq!(row["response_ns"]["samples"].as_u64(), row["attempted"].as_u64());
        assert!(row["delivery_latency_ns"]["p50"].as_f64().unwrap() > 0.0);
    }
    check_case("-c concurrency-mpsc");
    assert_eq!(rows(&check_case("-c concurrency-all")).len(), 13);
}

#[test]
fn quick_and_full() {
    assert_eq!(rows(&check_case("quick")).len(), 5);
    let full = rows(&check_case("-a")).len();
    assert_eq!(full, 31);
}

/// 4000 bursts, of which every other is timed as a whole: 50 slices of 40. And one figure set per repetition.
#[test]
fn what_a_call_costs_undisturbed() {
    let many = report("-c concurrency-call --messages 80000 --iterations 3", 0);
    schema::check(&many);
    let row = &rows(&many)[0];
    let call = &row["undisturbed_call"];
    assert_eq!((call["slices"].as_u64(), call["calls_per_burst"].as_u64()), (Some(50), Some(20)));
    let (least, middle) =
        (call["least_slice_ns"].as_f64().unwrap(), call["median_slice_ns"].as_f64().unwrap());
    assert!(least > 0.0 && least <= middle, "{call}");
    // No slice is faster than the fastest burst, nor the least one slower than the median of all bursts by much.
    assert!(least < row["burst_ns_per_call"]["p50"].as_f64().unwrap() * 1.3, "{row:#}");
    let rates: Vec<_> = row["repetitions"].as_array().unwrap().iter().collect();
    assert_eq!(rates.len(), 3);
    assert!(rates.iter().any(|one| one["throughput_msgs_per_s"] == row["throughput_msgs_per_s"]), "{row:#}");
    for one in rates {
        assert_eq!(number(one, "attempted"), 80_000);
        assert!(number(one, "lost") < 80_000);
    }
    // Too few for a slice: said, not zero.
    let few = report("-c concurrency-call --messages 1000", 0);
    let few = &rows(&few)[0];
    assert!(few["undisturbed_call"].is_null());
    assert!(few["null_because"]["undisturbed_call"].as_str().unwrap().contains("too few bursts"));
}

/// The classic snippet, in a shell.
#[test]
fn the_snippet_gives_one_integer() {
    let program = env!("CARGO_BIN_EXE_dlt-bench");
    let script =
        format!("{program} -c concurrency-single --messages 5000 | grep \"Throughput\" | awk '{{print $4}}'");
    let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    let text = text(&output.stdout);
    assert!(text.trim().parse::<u64>().is_ok_and(|rate| rate > 0), "{}", described(&output));
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn one_line_for_scripts_wherever_it_is_printed() {
    for arguments in
        ["-c overflow-all", "-c buffer-count -c overflow-drop", "-c overflow-all --json /dev/null"]
    {
        let output = run(&format!("{arguments} --messages 1000"));
        assert_eq!(output.status.code(), Some(0), "{}", described(&output));
        assert!(throughput(&output) > 0);
    }
    // With JSON on standard output the text is on standard error.
    let output = run("-c overflow-all --messages 1000 --json -");
    assert!(throughput(&output) > 0);
    assert!(!text(&output.stdout).contains("Throughput"));
}

#[test]
fn controls_account_for_every_message() {
    for logger in ["mutex", "spin", "spin-yield"] {
        let report = report(&format!("-c overflow-all --logger {logger} --messages 50000"), 0);
        schema::check(&report);
        for row in rows(&report) {
            assert_eq!(
                (row["logger"].as_str(), row["verified_by"].as_str()),
                (Some(logger), Some("receiver"))
            );
            assert_eq!(number(row, "attempted"), 50_000);
        }
    }
}

#[test]
fn options_change_the_rows() {
    let report = report("-c overflow-drop --threads 3 --iterations 2 --messages 1000", 0);
    let row = &rows(&report)[0];
    assert_eq!((number(row, "threads"), number(row, "iterations"), number(row, "attempted")), (3, 2, 1000));
}

/// Without --messages a row lasts two seconds and counts whole rounds.
#[test]
fn rounds_go_on_for_the_stated_time() {
    let report = report("-c overflow-drop", 0);
    let row = &rows(&report)[0];
    assert!(row["duration_s"].as_f64().unwrap() >= 2.0, "{row:#}");
    assert!(number(row, "rounds") >= 1 && number(row, "attempted").is_multiple_of(12_500), "{row:#}");
    assert!(number(row, "dropped") > 0, "four producers without a pause overflow their lanes: {row:#}");
}
