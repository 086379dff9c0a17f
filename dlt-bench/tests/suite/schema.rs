//! The report against its published schema.

use serde_json::Value;

use crate::misfits::misfits;
use crate::support::{Folder, report, run};

fn schema() -> Value {
    serde_json::from_str(include_str!("../../schemas/report.v1.json")).expect("the schema is JSON")
}

/// Fails with every misfit.
pub(crate) fn check(report: &Value) {
    check_form(&schema(), report);
}

/// The same for a report of another form.
pub(crate) fn check_form(schema: &Value, report: &Value) {
    let misfits = misfits(schema, schema, report, "report");
    assert!(misfits.is_empty(), "{}", misfits.join("\n"));
}

/// The checker finds what it should: each of these changes is a misfit.
#[test]
fn the_checker_finds_misfits() {
    type Change = fn(&mut Value);
    let good = report("-c overflow-drop --messages 400", 0);
    check(&good);
    let schema = schema();
    let changes: [(&str, Change); 6] = [
        ("schema_version", |report| report["schema_version"] = 2.into()),
        ("attempted", |report| report["rows"][0]["attempted"] = (-1).into()),
        ("throughput_msgs_per_s", |report| report["rows"][0]["throughput_msgs_per_s"] = Value::Null),
        ("p99", |report| drop(report["rows"][0]["latency_ns"].as_object_mut().unwrap().remove("p99"))),
        ("surprise", |report| report["environment"]["surprise"] = 1.into()),
        ("status", |report| report["rows"][0]["status"] = "fine".into()),
    ];
    for (word, change) in changes {
        let mut bad = good.clone();
        change(&mut bad);
        let misfits = misfits(&schema, &schema, &bad, "report");
        assert!(misfits.iter().any(|misfit| misfit.contains(word)), "{word}: {misfits:?}");
    }
}

/// The file, the folder and standard output carry the same form.
#[test]
fn files_fit_the_schema() {
    let folder = Folder::new();
    let (json, out) = (folder.file("a.json"), folder.file("deep/er"));
    std::fs::write(&json, "an older and much longer report ".repeat(2000)).unwrap();
    let output = run(&format!("-c overflow-drop --messages 400 --json {json} --out {out}"));
    assert_eq!(output.status.code(), Some(0), "{}", crate::support::described(&output));
    for path in [json, format!("{out}/report.json")] {
        let report = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        check(&report);
        crate::support::check_rows(&report);
    }
}
