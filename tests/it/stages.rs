//! The stages of a pull are the same for the kubelet and for doctor: what changes one changes both.

use serde_json::Value as Json;
use simulation::cloud::{Hop, standard};
use simulation::kubelet::Exit;

use crate::node::{ACME, Node, across_accounts, entry, request};

/// What doctor makes of a pull from a host: its exit code, and the report.
fn doctor(node: &Node, host: &str) -> (i32, Json) {
    let image = format!("{host}/team/app");
    let outcome = node.exec(&["doctor", "--json", "--image", &image]).run(&[]).unwrap();
    let Exit::Code(code) = outcome.exit else { panic!("{}", outcome.exit) };
    (code, serde_json::from_slice(&outcome.stdout).unwrap())
}

/// All of the report's lines about a stage.
fn lines<'r>(report: &'r Json, stage: &str) -> Vec<&'r str> {
    let checks = report["checks"].as_array().or_else(|| report["stations"].as_array()).unwrap();
    let of_stage = checks.iter().filter(|check| check["name"] == stage);
    of_stage
        .flat_map(|check| check["details"].as_array().unwrap())
        .map(|it| it.as_str().unwrap())
        .collect()
}

/// Without request ids, which no two calls share.
fn without_ids(text: &str) -> String {
    let is_id = |word: &&str| word.matches('-').count() >= 4;
    text.split(' ').filter(|word| !is_id(word)).collect::<Vec<_>>().join(" ")
}

/// The pull fails at a stage, and doctor at the same one with the same words.
fn both_fail(node: &Node, stage: &str, exit: i32) {
    let (code, line) = node.refused(ACME);
    let said = line.strip_prefix("error: ").unwrap().replace(&format!("no login for {ACME}: "), "");
    let (doctors, report) = doctor(node, ACME);
    assert_eq!((code, doctors), (exit, exit), "{stage}: {line}\n{report:#}");
    let first = lines(&report, stage)[0];
    assert_eq!(without_ids(first), without_ids(&said), "{stage}");
}

#[test]
fn what_changes_a_stage_of_a_pull_changes_doctor() {
    let acme = entry(ACME, standard::ACME, standard::PULLER);
    let node = Node::new("{}");
    let without_host = acme.replace(&format!("    domains: {ACME}\n"), "");
    node.configure(&format!("{without_host}{without_host}"));
    both_fail(&node, "entry", 2);

    let mut node = Node::new("{}");
    node.set("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true");
    both_fail(&node, "identity", 3);

    let node = Node::new("{}");
    node.configure(&entry(ACME, standard::ACME, &format!("{}-not", standard::PULLER)));
    both_fail(&node, "role", 4);

    let node = Node::new("{}");
    node.configure(&entry(ACME, "cri-notthere00000001", standard::PULLER));
    both_fail(&node, "token", 5);
}

/// A pod without a token is turned away before any call; doctor, which has none, looks at the rest.
#[test]
fn admission_comes_before_any_call_for_both() {
    let node = Node::new("{}");
    let required = format!("{}    podIdentity: required\n", across_accounts(standard::RRSA_ROLE));
    node.configure_all(&format!("rrsa: {{enable: true}}\nacr-registry-info:\n{required}"));
    let (code, line) = node.refused(ACME);
    assert!(code == 3 && line.contains("no service account token"), "{line}");
    assert_eq!(node.cloud.calls().len(), 0);
    let (_, report) = doctor(&node, ACME);
    assert!(lines(&report, "entry")[0].contains("is for pods"), "{report:#}");
    assert_eq!(node.calls(Hop::AssumeRoleWithOidc) + node.calls(Hop::AssumeRole), 0);
}

/// An id and a secret that were swapped: nothing of the secret is shown or written.
#[test]
fn a_secret_in_place_of_an_id_is_nowhere() {
    // Of a key that the cloud does not know.
    const SECRET: &str = "MadeUpSwappedTk9Dw2Mv7Qz4Xc6Ln";
    let mut node = Node::new("{}");
    node.set("ALIBABA_CLOUD_ACCESS_KEY_ID", SECRET);
    node.set("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "LTAI5tSwappedSwapped0001");
    node.configure_all("watch-namespace: all\n");
    let end = SECRET.get(26..).unwrap();
    let outcome = node.ask(ACME);
    assert!(!outcome.stderr_text().contains(end), "{}", outcome.stderr_text());
    let (_, report) = doctor(&node, ACME);
    assert!(!report.to_string().contains(end), "{report:#}");
    for (path, _, contents) in node.kept_as_it_is() {
        assert!(!String::from_utf8_lossy(&contents).contains(end), "{}", path.display());
    }
}

/// Doctor calls what a first pull calls, in the same order.
#[test]
fn both_make_the_same_calls() {
    let hops = |node: &Node| -> Vec<Hop> {
        let asked = [Hop::AssumeRole, Hop::GetAuthorizationToken, Hop::ListInstanceEndpoint];
        node.cloud.calls().iter().map(|call| call.hop).filter(|hop| asked.contains(hop)).collect()
    };
    let [pulled, diagnosed] = [Node::new("{}"), Node::new("{}")];
    pulled.pull(ACME);
    let (code, report) = doctor(&diagnosed, ACME);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(hops(&pulled), hops(&diagnosed));
}

/// A person who wonders why there is no login finds the host in the log, with the one that was meant.
#[test]
fn a_host_that_no_entry_covers_is_reported_with_the_nearest() {
    let mut node = Node::new("{}");
    node.set("ACR_CREDENTIAL_PROVIDER_LOG", "info");
    let other = ACME.replace("acme", "amce").replace("cn-hangzhou.cr", "cn-hangzhou.example");
    let outcome = node.exec(&[]).run(&request(&other)).unwrap();
    let stderr = outcome.stderr_text();
    assert!(outcome.exit == Exit::Code(0) && node.cloud.calls().is_empty(), "{stderr}");
    let says =
        format!("no entry covers {other}: no login; the nearest host in `domains` is {ACME}");
    assert!(stderr.contains(&says), "{stderr}");
}
