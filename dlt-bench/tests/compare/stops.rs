//! Stops within calls.

use serde_json::Value;

use crate::rows::report;

/// A lock makes others wait for whoever stands with it, and dlt-logger nobody.
#[test]
fn who_stands_with_a_lock_is_found() {
    let (report, text) = report("-c compare-stops --only mutex --sample 24", 0);
    let rows = report["stops"].as_array().unwrap();
    let of = |name: &str| rows.iter().find(|row| row["contender"] == name).unwrap();
    let (ours, mutex) = (of("dlt-logger-block"), of("mutex"));
    if ours["status"] == "unsupported" {
        eprintln!("skipped: {}", ours["reason"]);
        return;
    }
    for row in [ours, mutex] {
        let stops = &row["stops"];
        assert_eq!((&stops["planned"], &stops["made"]), (&Value::from(24), &Value::from(24)), "{row:#}");
        assert!(stops["instructions"].as_u64().unwrap() > 100, "{row:#}");
        assert_eq!(stops["unbalanced"], 0, "{row:#}");
        assert!(row["configuration"].as_str().is_some_and(|words| words.contains("messages")), "{row:#}");
    }
    assert_eq!((&ours["stops"]["others_stuck"], &ours["stops"]["delivery_stuck"]), (&0.into(), &0.into()));
    assert!(mutex["stops"]["others_stuck"].as_u64().unwrap() > 0, "{mutex:#}");
    assert!(
        text.contains("nobody waits for whoever stands: dlt-logger-block; of the others: none"),
        "{text}"
    );
}
