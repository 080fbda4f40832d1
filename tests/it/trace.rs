//! What can be read afterwards of runs that asked the cloud.

use std::fs;
use std::path::PathBuf;

use serde_json::Value as Json;
use simulation::cloud::{SecretKind, standard};

use simulation::kubelet::Exec;

use crate::PROGRAM;
use crate::node::{ACME, Node, entry, request};

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

/// Nothing was kept before, and the directory is not even there.
#[test]
fn a_first_run_that_fails_is_noted() {
    let node = Node::new("{node: {role: null}}");
    node.refused(ACME);
    let (_, runs) = trace(&node).unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0]["outcome"], "failed");
    assert!(runs[0]["message"].as_str().unwrap().contains("no RAM role"), "{}", runs[0]);
    let time = runs[0]["time"].as_str().unwrap();
    assert!(time.len() == 20 && time.ends_with('Z'), "{time}");
}

/// Nothing was asked: the token of RRSA is not on the node.
#[test]
fn a_failure_before_any_call_is_noted() {
    let node = Node::new("{}");
    let token = node.folder.join("no-token").display().to_string();
    node.configure_all(&format!(
        "rrsa: {{enable: true}}\nacr-registry-info:\n{}    rrsaRoleARN: {}\n    rrsaOIDCProviderRoleARN: {}\n",
        entry(ACME, standard::ACME, standard::PULLER),
        "acs:ram::1000000000000001:role/acr-rrsa",
        "acs:ram::1000000000000001:oidc-provider/ack-rrsa-c1",
    ));
    let text = fs::read_to_string(node.config()).unwrap();
    let text = text.replace(
        "credential-provider:\n",
        &format!("credential-provider:\n  oidcTokenFile: {token}\n"),
    );
    fs::write(node.config(), text).unwrap();
    let (code, _) = node.refused(ACME);
    let (_, runs) = trace(&node).unwrap();
    assert_eq!(code, 3);
    assert_eq!((runs.len(), &runs[0]["outcome"]), (1, &Json::from("failed")));
    assert_eq!(runs[0]["hops"], Json::Array(Vec::new()));
    assert!(runs[0]["message"].as_str().unwrap().contains("no-token"), "{}", runs[0]);
}

/// Twenty processes at once, each for a host of its own: the file stays whole, and nobody waits
/// for it for long.
#[test]
fn many_at_once_leave_it_whole() {
    let node = Node::new("{}");
    let hosts: Vec<String> = (0..20).map(|number| format!("img{number}.example.com")).collect();
    node.configure(&entry(&hosts.join(","), standard::ACME, standard::PULLER));
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let started: Vec<_> = hosts.iter().map(|host| scope.spawn(|| node.ask(host))).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(outcomes.iter().all(|outcome| outcome.stderr.is_empty()));
    let (path, runs) = trace(&node).unwrap();
    assert!(!runs.is_empty() && runs.len() <= 20, "{}", runs.len());
    assert_eq!(node.cloud.leaks(&fs::read_to_string(path).unwrap()), []);
    node.configure(&format!("{}# again\n", entry(ACME, standard::ACME, standard::PULLER)));
    let before = runs.len();
    node.pull(ACME);
    assert_eq!(trace(&node).unwrap().1.len(), before + 1);
}

/// Whatever it was replaced by, the answer is the same, and what is unreadable is begun again.
#[test]
fn garbage_is_replaced() {
    let node = Node::new("{}");
    node.pull(ACME);
    let (path, _) = trace(&node).unwrap();
    for (number, garbage) in ["", "garbage", "[]\n"].into_iter().enumerate() {
        fs::write(&path, garbage).unwrap();
        node.configure(&format!("{}# {number}\n", entry(ACME, standard::ACME, standard::PULLER)));
        assert_eq!(node.pull(ACME).warnings, "");
        assert_eq!(trace(&node).unwrap().1.len(), 1, "{garbage}");
    }
}

/// One directory on a disk without room, one that cannot be written.
#[test]
fn a_directory_without_room_is_no_matter() {
    let node = Node::new("{}");
    fs::create_dir(node.cache()).unwrap();
    for options in ["size=4k,nr_inodes=2", "ro"] {
        let mut exec = Exec::new("/usr/bin/unshare");
        let script = format!(
            "mount -t tmpfs -o mode=700,{options} none '{}' && exec '{PROGRAM}' --config '{}'",
            node.cache().display(),
            node.config().display()
        );
        exec.args = ["--mount", "/bin/sh", "-c", &script].map(str::to_owned).to_vec();
        exec.config_env = vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())];
        let outcome = exec.run(&request(ACME)).unwrap();
        node.pulled(ACME, &outcome);
        let stderr = outcome.stderr_text();
        assert!(!stderr.contains("trace"), "the trace is never a warning: {stderr}");
    }
}
