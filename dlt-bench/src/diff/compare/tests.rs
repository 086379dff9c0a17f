//! Whatever the figures are, what comes out can be printed.

use proptest::prelude::*;

use super::*;
use crate::diff::read::run;

/// A figure of any size, often zero.
fn any_figure() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(1e300), Just(1e-300), 0.0..100.0f64]
}

fn side(values: &[f64], series: Option<&str>) -> Side {
    let report = |value: f64| {
        serde_json::json!({
            "schema_version": 1,
            "rows": [{
                "case": "c", "name": "r", "status": "ok", "attempted": 100, "delivered": 50,
                "throughput_msgs_per_s": value, "latency_ns": { "p50": value, "mean": value },
            }],
        })
    };
    let runs = (1..).zip(values).map(|(round, value)| run(&report(*value), "", round).unwrap());
    Side { source: "x".to_owned(), series: series.map(str::to_owned), runs: runs.collect() }
}

proptest! {
    #[test]
    fn neither_nan_nor_infinity(
        a in prop::collection::vec(any_figure(), 1..12),
        b in prop::collection::vec(any_figure(), 1..12),
        is_paired in any::<bool>(),
        threshold in 0.0..0.99f64,
    ) {
        let series = is_paired.then_some("s");
        let comparison = compare(&side(&a, series), &side(&b, series), threshold, None);
        prop_assert_eq!(comparison.figures.len(), 4);
        for figure in &comparison.figures {
            let numbers = [
                figure.difference, figure.ratio, figure.confidence, figure.delta_worse, figure.p_worse, figure.p_better,
                figure.interval.map(|[low, _]| low), figure.interval.map(|[_, high]| high),
            ];
            prop_assert!(numbers.iter().flatten().all(|number| number.is_finite()), "{:?}", figure);
            for p in [figure.p_worse, figure.p_better].into_iter().flatten() {
                prop_assert!((0.0..=1.0).contains(&p), "{:?}", figure);
            }
            for (field, is_null) in [("ratio", figure.ratio.is_none()), ("interval", figure.interval.is_none())] {
                prop_assert_eq!(is_null, figure.null_because.contains_key(field), "{}", field);
            }
            if let (Some(ratio), Some([low, high])) = (figure.ratio, figure.interval) {
                prop_assert!(low <= ratio && ratio <= high, "{:?}", figure);
            }
        }
    }

    /// The same runs on both sides, in any order: never a regression.
    #[test]
    fn the_same_runs_are_no_regression(a in prop::collection::vec(any_figure(), 1..30)) {
        let mut b = a.clone();
        b.reverse();
        let comparison = compare(&side(&a, None), &side(&b, None), 0.0, None);
        prop_assert!(comparison.figures.iter().all(|figure| figure.verdict != Verdict::Regression));
    }
}

/// Least slices of 20 processes each, in pairs, as recorded on a virtual machine with a busy neighbour: the call of the third
/// list has 8 % more instructions.
const LEAST_A: [f64; 20] = [
    10.52, 10.3, 10.3, 10.37, 10.25, 10.38, 10.35, 10.37, 10.45, 10.38, 10.4, 10.32, 16.02, 10.36, 10.34,
    10.34, 10.41, 10.3, 13.45, 14.06,
];
const LEAST_SAME: [f64; 20] = [
    10.45, 10.31, 10.33, 10.44, 14.08, 14.15, 10.28, 10.53, 10.37, 10.29, 10.39, 10.52, 11.98, 15.22, 11.04,
    10.24, 10.55, 14.33, 10.32, 14.98,
];
const LEAST_SLOWER: [f64; 20] = [
    11.11, 11.2, 11.28, 11.23, 11.24, 11.22, 11.18, 16.9, 11.19, 11.21, 11.15, 11.15, 11.73, 11.27, 11.22,
    11.29, 11.43, 11.14, 11.23, 11.23,
];

fn least(values: &[f64], series: &str) -> Side {
    let report = |value: f64| {
        serde_json::json!({
            "schema_version": 1,
            "rows": [{
                "case": "c", "name": "r", "status": "ok", "attempted": 100, "delivered": 100,
                "throughput_msgs_per_s": 100.0, "undisturbed_call": { "least_slice_ns": value },
            }],
        })
    };
    let runs = (1..).zip(values).map(|(round, value)| run(&report(*value), "", round).unwrap());
    Side { source: "x".to_owned(), series: Some(series.to_owned()), runs: runs.collect() }
}

/// A neighbour that disturbs a fifth of the runs hides nothing and feigns nothing.
#[test]
fn disturbed_runs_are_outvoted() {
    let verdict = |a: &[f64], b: &[f64]| {
        let comparison = compare(&least(a, "s"), &least(b, "s"), 0.05, None);
        comparison.figures.iter().find(|found| found.figure == "undisturbed call").map(|found| found.verdict)
    };
    assert_eq!(verdict(&LEAST_A, &LEAST_SLOWER), Some(Verdict::Regression));
    assert_ne!(verdict(&LEAST_A, &LEAST_SAME), Some(Verdict::Regression));
    assert_ne!(verdict(&LEAST_SAME, &LEAST_A), Some(Verdict::Regression));
    assert_eq!(verdict(&LEAST_SLOWER, &LEAST_A), Some(Verdict::Improvement));
}
