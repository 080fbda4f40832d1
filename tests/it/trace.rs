//! What can be read afterwards of runs that asked the cloud.

use std::fs;
use std::path::PathBuf;

use serde_json::Value as Json;
use simulation::cloud::{SecretKind, standard};

use crate::node::{ACME, Node, entry};

/// The file, and the runs in it.
fn trace(node: &Node) -> Option<(PathBuf, Vec<Json>)> {
    let files = fs::read_dir(node.cache()).ok()?.map(|file| file.unwrap().path());
    let path = files.into_iter().find(|path| path.to_string_lossy().ends_with("-trace"))?;
    let text = fs::read_to_string(&path).unwrap();
    let record: Json = serde_json::from_str(text.split_once('\n').unwrap().1).unwrap();
    Some((path, record.as_array().unwrap().clone()))
}

#[test]
fn a_fetch_and_a_failure_are_noted_with_hops_and_request_ids() {
    let node = Node::new("{}");
    node.pull(ACME);
    node.cloud
        .change("{faults: {assume-role: [{instead: {error: {status: 403, code: NoPermission}}}]}}")
        .unwrap();
    // Another configuration, so that it is asked for again; what is noted stays.
    node.configure(&entry(ACME, standard::ACME, standard::PULLER_ONE_HOUR));
    node.refused(ACME);
    let (_, runs) = trace(&node).unwrap();
    let outcomes: Vec<&str> = runs.iter().map(|run| run["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["fetched", "failed"]);
    let names: Vec<&str> = runs[0]["hops"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hop| hop["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "metadata token",
            "metadata role name",
            "metadata role document",
            "AssumeRole",
            "GetAuthorizationToken"
        ]
    );
    let calls = node.cloud.calls();
    let id = &runs[0]["hops"][3]["request_ids"][0];
    assert!(calls.iter().any(|call| call.request_id == id.as_str().unwrap()), "{id}");
    assert!(runs[1]["message"].as_str().unwrap().contains("NoPermission"), "{}", runs[1]);
    assert_eq!(runs[0]["host"], ACME);
}

#[test]
fn an_answer_from_the_cache_writes_nothing_and_no_secret_is_in_it() {
    let node = Node::new("{}");
    node.pull(ACME);
    let (path, runs) = trace(&node).unwrap();
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    node.pull(ACME);
    assert_eq!(trace(&node).unwrap().1, runs);
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before);
    let text = fs::read_to_string(path).unwrap();
    let leaks = node.cloud.leaks(&text);
    assert!(leaks.is_empty(), "{leaks:?}");
    assert!(node.keeps(SecretKind::RegistryPassword), "the cache beside it does hold one");
}

#[test]
fn only_the_last_runs_stay() {
    let node = Node::new(
        "{accounts: {\"2000000000000002\": {roles: {acr-puller: {trust: {Statement: []}}}}}}",
    );
    for number in 0..55 {
        node.configure(&format!("{}# {number}\n", entry(ACME, standard::ACME, standard::PULLER)));
        node.refused(ACME);
    }
    let (path, runs) = trace(&node).unwrap();
    assert_eq!(runs.len(), 50);
    assert!(fs::metadata(path).unwrap().len() < 64 * 1024);
}

/// It is no part of the answer: without room for it the answer is the same.
#[test]
fn one_that_cannot_be_written_is_no_matter() {
    let node = Node::new("{}");
    node.pull(ACME);
    let (path, _) = trace(&node).unwrap();
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    node.configure(&entry(ACME, standard::ACME, standard::PULLER_ONE_HOUR));
    assert_eq!(node.pull(ACME).warnings, "");
}
