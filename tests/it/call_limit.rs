//! A limit for calls to STS that is used up: what the processes of one node do about it together.

use std::fs;

use simulation::cloud::{Hop, standard};
use simulation::kubelet::Exit;

use crate::node::{ACME, FOO, Node, entry};

/// These calls of `AssumeRole` are refused, and the service says for how long.
fn limited(calls: &str, milliseconds: u32) -> Node {
    let body = r#"{"Code":"Throttling.User","RequestId":"0C8E7B2A-1D3F"}"#;
    refused(calls, milliseconds, &format!("status: 400, body: '{body}'"))
}

/// The same, with this answer.
fn refused(calls: &str, milliseconds: u32, answer: &str) -> Node {
    let hint = format!("Limit:100,Remain:0,TimeLeft:{milliseconds},Reset:1");
    let answer = format!("{{{answer}, headers: {{x-ratelimit-user: '{hint}'}}}}");
    let node = Node::new(&format!(
        "{{faults: {{assume-role: [{{calls: {calls}, instead: {{answer: {answer}}}}}]}}}}"
    ));
    let other = entry(FOO, standard::FOO_REGISTRY, standard::PULLER);
    let acme = entry(ACME, standard::ACME, standard::PULLER);
    // Another session than that of the first entry.
    node.configure(&format!("{acme}{other}    expireDuration: 1800\n"));
    node
}

/// What the node keeps of the limit.
fn notes(node: &Node) -> Vec<String> {
    let Ok(files) = fs::read_dir(node.cache()) else { return Vec::new() };
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("000000000000-") && !name.contains('.')).collect()
}

#[test]
fn while_one_process_is_refused_no_other_asks() {
    let node = limited("all", 60_000);
    let (exit, first) = node.refused(ACME);
    assert_eq!(exit, 6, "{first}");
    assert!(first.contains("Throttling.User: ") && first.contains("out of time: "), "{first}");
    assert!(first.contains("after 1 try"), "{first}");
    let (exit, second) = node.refused(FOO);
    assert_eq!(exit, 6, "{second}");
    assert!(
        second.contains("Throttling.User: ") && second.contains("out of time: another process"),
        "{second}"
    );
    assert!(second.contains("was not begun"), "{second}");
    assert_eq!(node.calls(Hop::AssumeRole), 1);
    assert_eq!(notes(&node).len(), 1);
}

/// What stands between the node and STS may limit calls, too, without a code.
#[test]
fn a_refusal_without_a_code_is_named_to_the_next_process() {
    let node = refused("all", 60_000, "status: 429, body: ''");
    node.refused(ACME);
    let (exit, second) = node.refused(FOO);
    assert_eq!(exit, 6, "{second}");
    assert!(second.starts_with("error: HTTP 429 without an error code: "), "{second}");
    assert_eq!(node.calls(Hop::AssumeRole), 1);
}

#[test]
fn a_key_of_an_account_of_its_own_has_a_limit_of_its_own() {
    let node = limited("1", 60_000);
    assert_eq!(node.refused(ACME).0, 6);
    let (id, secret) = (standard::ACCESS_KEY_ID, standard::ACCESS_KEY_SECRET);
    let key = format!("    customAccessKey: {id}\n    customAccessKeySecret: {secret}\n");
    let entry = entry(ACME, standard::ACME, standard::PULLER);
    node.configure(&format!("{entry}{key}"));
    node.refused(ACME);
    assert_eq!(node.calls(Hop::AssumeRole), 2);
}

#[test]
fn the_first_answer_ends_it() {
    let node = limited("1", 1000);
    node.pull(ACME);
    assert_eq!((node.calls(Hop::AssumeRole), notes(&node)), (2, vec![]));
    node.pull(FOO);
    assert_eq!(node.calls(Hop::AssumeRole), 3);
}

#[test]
fn without_a_cache_a_run_keeps_to_the_same_rules_alone() {
    let mut node = limited("1", 1000);
    node.settings = "  cacheDir: off\n".to_owned();
    node.configure(&entry(ACME, standard::ACME, standard::PULLER));
    node.pull(ACME);
    assert_eq!(node.calls(Hop::AssumeRole), 2);
    let file = node.folder.join("file");
    fs::write(&file, "").unwrap();
    node.settings = format!("  cacheDir: {}\n", file.display());
    node.configure(&entry(ACME, standard::ACME, standard::PULLER));
    assert!(node.pull(ACME).warnings.contains("is not used"));
    assert_eq!(node.calls(Hop::AssumeRole), 3);
}

/// A configured time is kept to, and so is the part of it that a renewal has.
#[test]
fn a_configured_timeout_is_kept_to() {
    let mut node = limited("all", 20_000);
    node.settings = format!("{}  timeout: 10s\n", node.settings);
    node.configure(&entry(ACME, standard::ACME, standard::PULLER));
    let outcome = node.ask(ACME);
    assert_eq!(outcome.exit, Exit::Code(6));
    assert!(outcome.stderr_text().contains("the whole call may take 10s"));
    assert_eq!(node.calls(Hop::AssumeRole), 1);
}
