//! A value against a JSON schema. The checker knows the keywords that this project's schemas use, and no others.

use serde_json::Value;

const DESCRIPTIVE: [&str; 4] = ["$schema", "$defs", "title", "description"];

/// What does not fit, with its place.
pub(crate) fn misfits(root: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
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
