//! The mistakes of a configuration for code hosts: SARIF 2.1.0.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;

use crate::PROGRAM;

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sarif").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("deploy here")).unwrap();
    folder
}

/// What a code host is given for a file of a repository, and the exit code.
fn sarif(name: &str, config: &str) -> (Json, i32) {
    let folder = folder(name);
    fs::write(folder.join("deploy here/config.yaml"), config).unwrap();
    let output = Command::new(PROGRAM)
        .args(["doctor", "--config", "deploy here/config.yaml", "--config-only", "--sarif"])
        .current_dir(folder)
        .env_clear()
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let document: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["version"], "2.1.0");
    let run = &document["runs"][0];
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    let ids: Vec<&Json> =
        run["tool"]["driver"]["rules"].as_array().unwrap().iter().map(|rule| &rule["id"]).collect();
    for result in run["results"].as_array().unwrap() {
        assert!(ids.contains(&&result["ruleId"]), "{result}");
    }
    (run["results"].clone(), output.status.code().unwrap())
}

#[test]
fn each_mistake_is_at_its_line_and_column() {
    let (results, code) = sarif(
        "mistakes",
        "acr-registry-info:\n  - instanceId: cri-xxxxxxxxxxxxxxxx\n    domains: \"ＡＣＭＥ\" # 例\ncredential-provider: {timeout: 1h}\n",
    );
    assert_eq!(code, 2);
    let results = results.as_array().unwrap();
    let places: Vec<(u64, u64)> = results
        .iter()
        .map(|result| {
            assert_eq!((&result["ruleId"], &result["level"]), (&"mistake".into(), &"error".into()));
            let place = &result["locations"][0]["physicalLocation"];
            assert_eq!(place["artifactLocation"]["uri"], "deploy%20here/config.yaml");
            let number = |name: &str| place["region"][name].as_u64().unwrap();
            (number("startLine"), number("startColumn"))
        })
        .collect();
    assert_eq!(places, [(2, 17), (3, 14), (4, 32)], "{results:#?}");
    let text = results[2]["message"]["text"].as_str().unwrap();
    assert!(text.starts_with("`timeout` is `1h`"), "{text}");
}

#[test]
fn a_warning_is_not_an_error_and_a_right_file_has_nothing() {
    let right = "acr-registry-info:\n  - instanceId: cri-acmeprod00000001\n    domains: acme-registry.cn-hangzhou.cr.aliyuncs.com\n";
    let (results, code) = sarif("right", right);
    assert_eq!((results.as_array().unwrap().len(), code), (0, 0));
    let (results, code) = sarif("warning", &format!("{right}brand-new-vendor-key: 1\n"));
    assert_eq!(code, 0);
    assert_eq!(results[0]["level"], "warning");
    assert_eq!(results[0]["locations"][0]["physicalLocation"]["region"]["startLine"], 4);
}

/// A file that is not there has no lines.
#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = folder("missing");
    let output = Command::new(PROGRAM)
        .args(["doctor", "--config", "nowhere.yaml", "--config-only", "--sarif"])
        .current_dir(folder)
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let document: Json = serde_json::from_slice(&output.stdout).unwrap();
    let place = &document["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "nowhere.yaml");
    assert!(place["region"].is_null());
}
