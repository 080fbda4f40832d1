//! What `doctor --json` prints, held against the schema that is documented. Fields that the schema
//! does not have are differences, too: they would be undocumented.

use std::fs;

use serde_json::{Value as Json, json};

use crate::TESTS;

/// Where a report is not as documented.
pub fn differences(report: &Json) -> Vec<String> {
    let text = fs::read_to_string(format!("{TESTS}/../docs/doctor.schema.json")).unwrap();
    let mut wrong = Vec::new();
    compare("report", report, &serde_json::from_str(&text).unwrap(), &mut wrong);
    wrong
}

fn compare(at: &str, value: &Json, schema: &Json, wrong: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().unwrap() {
        let fits = match keyword.as_str() {
            "$schema" | "title" | "description" => true,
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "minimum" => value.as_u64() >= rule.as_u64(),
            "maximum" => value.as_u64() <= rule.as_u64(),
            "type" => match rule.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "integer" => value.is_u64(),
                other => panic!("the schema has type {other}"),
            },
            "required" => rule
                .as_array()
                .unwrap()
                .iter()
                .all(|key| value.get(key.as_str().unwrap()).is_some()),
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    compare(&format!("{at}[{index}]"), item, rule, wrong);
                }
                true
            }
            "properties" => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    match rule.get(key) {
                        Some(rule) => compare(&format!("{at}.{key}"), value, rule, wrong),
                        None => wrong.push(format!("{at}.{key} is not documented")),
                    }
                }
                true
            }
            other => panic!("the schema has keyword {other}"),
        };
        if !fits {
            wrong.push(format!("{at}: {value} is not as `{keyword}`: {rule} has it"));
        }
    }
}

#[test]
fn a_report_that_differs_is_found() {
    let check = json!({"name": "token", "status": "ok", "details": ["x"]});
    let report = |changed: Json| {
        let mut report = json!({"version": 2, "program": "p", "result": "ok", "exit": 0, "images": [], "checks": [check]});
        report.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        differences(&report)
    };
    assert_eq!(report(json!({})), Vec::<String>::new());
    for changed in [
        json!({"version": 1}),
        json!({"exit": 7}),
        json!({"result": "fine"}),
        json!({"images": ["a", 1]}),
        json!({"more": 1}),
        json!({"checks": [{"name": "token", "status": "ok"}]}),
        json!({"checks": [{"name": "other", "status": "ok", "details": []}]}),
    ] {
        assert_eq!(report(changed.clone()).len(), 1, "{changed}");
    }
}
