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
