//! The file for `node_exporter`: what is in it, who can read it, and that no pull depends on it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value as Json;

use crate::TESTS;
use crate::node::{ACME, Node};

/// A node with the file, and where that is.
fn node(overlay: &str) -> (Node, PathBuf) {
    let mut node = Node::new(overlay);
    let file = node.folder.join("textfile/acr.prom");
    fs::create_dir(file.parent().unwrap()).unwrap();
    node.settings = format!("{}  metrics: {}\n", node.settings, file.display());
    node.configure(&crate::node::entry(
        ACME,
        simulation::cloud::standard::ACME,
        simulation::cloud::standard::PULLER,
    ));
    (node, file)
}

fn promtool(arguments: &[&str], stdin: Option<&str>) -> String {
    let mut command = Command::new("promtool");
    command.args(arguments);
    if let Some(path) = stdin {
        command.stdin(fs::File::open(path).unwrap());
    }
    let output = command.output().expect("promtool (Debian: prometheus)");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert!(output.status.success(), "{text}");
    text
}

/// Whether the file has a line.
fn has(file: &PathBuf, line: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.lines().any(|it| it.ends_with(line)), "{line}\n{text}");
}

#[test]
fn runs_that_asked_are_counted_and_the_form_is_that_of_prometheus() {
    let (node, file) = node("{}");
    node.pull(ACME);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    let run = format!("runs_total{{host=\"{ACME}\",identity=\"worker-role\",outcome=\"fetched\"}}");
    has(&file, &format!("{run} 1"));
    has(&file, "_bucket{hop=\"AssumeRole\",le=\"+Inf\"} 1");
    has(&file, "acr_credential_provider_logins 1");
    let complaints = promtool(&["check", "metrics"], file.to_str());
    assert_eq!(complaints, "");
    // From the cache: nothing is written.
    let before = fs::metadata(&file).unwrap().modified().unwrap();
    node.pull(ACME);
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), before);
    // Another configuration asks again and fails; the counters go on.
    node.cloud
        .change("{faults: {assume-role: [{instead: {error: {status: 403, code: NoPermission}}}]}}")
        .unwrap();
    node.configure(&crate::node::entry(
        ACME,
        simulation::cloud::standard::ACME,
        simulation::cloud::standard::PULLER_ONE_HOUR,
    ));
    node.refused(ACME);
    has(&file, &format!("{run} 1"));
    has(&file, "failures_total{hop=\"role\",code=\"NoPermission\"} 1");
    assert_eq!(promtool(&["check", "metrics"], file.to_str()), "");
    let folder = fs::read_dir(file.parent().unwrap()).unwrap();
    assert_eq!(folder.count(), 1, "nothing unfinished is left");
}

#[test]
fn throttled_calls_are_counted() {
    let (node, file) = node(
        "{faults: {assume-role: [{calls: 1-2, instead: {error: {status: 400, code: Throttling.User}}}]}}",
    );
    node.pull(ACME);
    has(&file, "throttled_calls_total 2");
}

/// A file that cannot be written costs no login.
#[test]
fn no_pull_depends_on_it() {
    let (node, file) = node("{}");
    fs::remove_dir(file.parent().unwrap()).unwrap();
    assert!(node.pull(ACME).is_whole());
    // Where somebody else has put a link, that is replaced and what it names stays as it is.
    let (node, file) = self::node("{}");
    let precious = node.folder.join("precious");
    fs::write(&precious, "stays").unwrap();
    let unfinished = file.with_extension("prom.new");
    for link in [&file, &unfinished] {
        std::os::unix::fs::symlink(&precious, link).unwrap();
    }
    assert!(node.pull(ACME).is_whole());
    assert_eq!(fs::read_to_string(&precious).unwrap(), "stays");
    assert!(fs::symlink_metadata(&file).unwrap().is_file());
}

fn monitoring(name: &str) -> String {
    format!("{TESTS}/../config/monitoring/{name}")
}

#[test]
fn the_rules_are_rules_and_fire() {
    promtool(&["check", "rules", &monitoring("rules.yaml")], None);
    promtool(&["test", "rules", &monitoring("rules.test.yaml")], None);
    let rules = fs::read_to_string(monitoring("rules.yaml")).unwrap();
    let tests = fs::read_to_string(monitoring("rules.test.yaml")).unwrap();
    let alerts: Vec<&str> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert_eq!(alerts.len(), 6);
    let page = fs::read_to_string(format!("{TESTS}/../docs/operations.md")).unwrap();
    for alert in alerts {
        assert!(tests.contains(&format!("runbook: docs/operations.md#{}", alert.to_lowercase())));
        assert!(page.contains(&format!("### {alert}\n")), "no section {alert}");
    }
}

/// Every metric that rules and dashboard name is written.
#[test]
fn names_are_those_of_the_file() {
    let (mut node, file) = node("{}");
    node.pull(ACME);
    node.wait(60);
    let written = fs::read_to_string(&file).unwrap();
    let dashboard = fs::read_to_string(monitoring("dashboard.json")).unwrap();
    let document: Json = serde_json::from_str(&dashboard).unwrap();
    assert_eq!(document["panels"].as_array().unwrap().len(), 5);
    let rules = fs::read_to_string(monitoring("rules.yaml")).unwrap();
    let mut seen = 0;
    for text in [dashboard, rules] {
        for rest in text.split("acr_credential_provider_").skip(1) {
            let end = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap();
            let name = &rest[..end];
            let known = ["failures_total", "runs_total"].contains(&name)
                || written.contains(&format!("acr_credential_provider_{name}"));
            assert!(known, "{name}\n{written}");
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen}");
    let detector = fs::read_to_string(monitoring("node-problem-detector.json")).unwrap();
    let detector: Json = serde_json::from_str(&detector).unwrap();
    assert_eq!(detector["rules"][0]["reason"], "AcrLoginFailed");
}
