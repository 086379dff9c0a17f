//! The report against its published schema. The checker knows the keywords that the schema uses, and no others.

use serde_json::Value;

use crate::support::{Folder, report, run};

fn schema() -> Value {
    serde_json::from_str(include_str!("../../schemas/report.v1.json")).expect("the schema is JSON")
}

const DESCRIPTIVE: [&str; 4] = ["$schema", "$defs", "title", "description"];

/// What does not fit, with its place.
fn misfits(root: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (keyword, rule) in schema.as_object().expect("a schema is an object") {
        match keyword.as_str() {
            "$ref" => {
                let name =
                    rule.as_str().and_then(|name| name.strip_prefix("#/$defs/")).expect("a local reference");
                found.extend(misfits(root, &root["$defs"][name], value, place));
            }
            "type" => {
                let names: Vec<_> = rule.as_array().map_or(vec![rule], |names| names.iter().collect());
                if !names.iter().any(|name| is_of_type(value, name.as_str().unwrap())) {
                    found.push(format!("{place}: {value} is not of type {rule}"));
                }
            }
            "const" if value != rule => found.push(format!("{place}: {value} is not {rule}")),
            "enum" if !rule.as_array().unwrap().contains(value) => {
                found.push(format!("{place}: {value} is none of {rule}"));
            }
            "const" | "enum" => {}
            "minimum" => {
                if value.as_f64().is_some_and(|n| n < rule.as_f64().unwrap()) {
                    found.push(format!("{place}: {value} is less than {rule}"));
                }
            }
            "anyOf" => {
                let branches = rule.as_array().unwrap();
                let all: Vec<_> = branches.iter().map(|branch| misfits(root, branch, value, place)).collect();
                if all.iter().all(|misfits| !misfits.is_empty()) {
                    found.extend(all.into_iter().flatten());
                }
            }
            "required" => {
                for name in rule.as_array().unwrap() {
                    if value.is_object() && value.get(name.as_str().unwrap()).is_none() {
                        found.push(format!("{place}: {name} is missing"));
                    }
                }
            }
            "properties" => {
                for (name, rule) in rule.as_object().unwrap() {
                    if let Some(value) = value.get(name) {
                        found.extend(misfits(root, rule, value, &format!("{place}.{name}")));
                    }
                }
            }
            "additionalProperties" => {
                let known = schema.get("properties").and_then(Value::as_object);
                for (name, value) in value.as_object().into_iter().flatten() {
                    if known.is_some_and(|known| known.contains_key(name)) {
                        continue;
                    }
                    if rule == &Value::Bool(false) {
                        found.push(format!("{place}: {name} is not in the schema"));
                    } else {
                        found.extend(misfits(root, rule, value, &format!("{place}.{name}")));
                    }
                }
            }
            "items" => {
                for (index, value) in value.as_array().into_iter().flatten().enumerate() {
                    found.extend(misfits(root, rule, value, &format!("{place}[{index}]")));
                }
            }
            other => assert!(DESCRIPTIVE.contains(&other), "the checker does not know {other}"),
        }
    }
    found
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        other => panic!("unknown type {other}"),
    }
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
