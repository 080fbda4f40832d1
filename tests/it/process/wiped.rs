//! No secret that passed through the program is whole in its memory when it ends: what is freed is
//! wiped, in the buffers of HTTP and JSON as well, that are none of ours. Pieces may stay on the
//! stack, such as a block that was hashed. What a connection still holds that is
//! open at the end is not freed before the process is: the metadata service's token here, which is
//! good for a minute and for this machine alone, and what TLS has decrypted last.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use simulation::cloud::{Cloud, SecretKind, standard};
use simulation::kubelet::encode_request;

use super::traced;
use crate::node::{ACME, Node, V1, across_accounts, request};

/// In the process's environment, which is no memory of the program's own.
const CANARY: &str = "canary-that-nobody-wipes-0123456789";

fn remembered(node: &Node, seen: &traced::Seen, cloud: &Cloud) -> Vec<String> {
    assert!(seen.remembers(CANARY), "the memory was read");
    assert!(node.cloud.secrets().len() > 3);
    let secrets = cloud
        .secrets()
        .into_iter()
        .filter(|secret| secret.kind != SecretKind::MetadataToken && seen.remembers(&secret.value));
    secrets.map(|secret| format!("{secret:?}")).collect()
}

#[test]
fn no_secret_is_left_of_a_cold_run() {
    let mut node = Node::new("{}");
    node.set("CANARY", CANARY);
    let seen = traced::run(&node.exec(&[]), &request(ACME));
    assert_eq!(seen.exit, 0);
    let left = remembered(&node, &seen, &node.cloud);
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn nor_of_an_answer_from_the_cache() {
    let mut node = Node::new("{}");
    node.set("CANARY", CANARY);
    node.pull(ACME);
    let seen = traced::run(&node.exec(&[]), &request(ACME));
    let left = remembered(&node, &seen, &node.cloud);
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn nor_of_an_access_key_in_the_configuration() {
    let mut node = Node::new("{}");
    node.set("CANARY", CANARY);
    node.configure(&format!(
        "  - instanceId: {}\n    regionId: cn-hangzhou\n    domains: {ACME}\n    customAccessKey: {}\n    customAccessKeySecret: {}\n",
        standard::ACME,
        standard::ACCESS_KEY_ID,
        standard::ACCESS_KEY_SECRET
    ));
    let seen = traced::run(&node.exec(&[]), &request(ACME));
    assert_eq!(seen.exit, 0);
    let left = remembered(&node, &seen, &node.cloud);
    assert!(left.is_empty(), "{left:?}");
    assert!(fs::read_to_string(node.config()).unwrap().contains(standard::ACCESS_KEY_SECRET));
    assert!(node.cloud.secrets().iter().any(|secret| secret.kind == SecretKind::RegistryPassword));
}

/// Neither of the token that came with the request nor of what it obtained.
#[test]
fn nor_of_a_pods_token() {
    let (node, token) = of_a_pod("{}");
    let image = format!("{ACME}/team/app");
    let request = encode_request(V1, &image, Some(&token), &BTreeMap::new());
    let seen = traced::run(&node.exec(&[]), &request);
    assert_eq!(seen.exit, 0);
    assert!(node.cloud.secrets().iter().any(|secret| secret.value == token));
    let left = remembered(&node, &seen, &node.cloud);
    assert!(left.is_empty(), "{left:?}");
}

/// What fails on the way holds secrets, too.
#[test]
fn nor_of_a_run_that_fails() {
    let (node, token) = of_a_pod(
        "{faults: {get-authorization-token: [{instead: {answer: {status: 403, content-type: text/html, body: none}}}]}}",
    );
    fs::write(node.folder.join("token"), &token).unwrap();
    fs::set_permissions(node.folder.join("token"), fs::Permissions::from_mode(0o600)).unwrap();
    let seen = traced::run(&node.exec(&[]), &request(ACME));
    assert_eq!(seen.exit, 5);
    let left = remembered(&node, &seen, &node.cloud);
    assert!(left.is_empty(), "{left:?}");
}

/// A node that is what a token says, and one that it says a pod is.
fn of_a_pod(overlay: &str) -> (Node, String) {
    let mut node = Node::new(overlay);
    node.set("CANARY", CANARY);
    node.settings = format!("  oidcTokenFile: {}/token\n  cacheDir: off\n", node.folder.display());
    let entry = across_accounts(standard::TEAM_A_ROLE);
    node.configure_all(&format!("rrsa: {{enable: true}}\nacr-registry-info:\n{entry}"));
    let token =
        node.cloud.service_account_token(standard::OIDC_PROVIDER, "team-a", "puller").mint();
    (node, token)
}
