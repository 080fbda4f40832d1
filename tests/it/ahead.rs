//! ACR is connected to while STS answers.

use std::thread;
use std::time::{Duration, Instant};

use simulation::cloud::{Hop, Service};
use simulation::kubelet::Exit;

use crate::node::{ACME, Node};

fn connections(node: &Node) -> usize {
    node.cloud.connections(Service::Cr)
}

/// What the cloud has accepted is counted a moment later than the program sees it.
fn soon(what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < Duration::from_secs(20), "it never came to that");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn acr_is_connected_to_before_sts_has_answered_and_is_asked_nothing() {
    let node = Node::new("{faults: {assume-role: [{connection: hang}]}}");
    let mut child = node.start(ACME);
    soon(|| connections(&node) == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(node.calls(Hop::GetAuthorizationToken), 0);
}

#[test]
fn the_login_is_asked_for_over_that_connection() {
    let node = Node::new("{faults: {assume-role: [{delay-ms: 1000}]}}");
    node.pull(ACME);
    assert_eq!((connections(&node), node.calls(Hop::GetAuthorizationToken)), (1, 1));
}

#[test]
fn a_connection_that_is_older_than_five_seconds_is_not_used() {
    let node = Node::new("{faults: {assume-role: [{delay-ms: 5500}]}}");
    node.pull(ACME);
    assert_eq!((connections(&node), node.calls(Hop::GetAuthorizationToken)), (2, 1));
}

/// Who learns of the refusal from another process connects to nobody.
#[test]
fn a_role_that_is_refused_costs_acr_one_connection_for_each_time_that_sts_says_so() {
    let refused = "{delay-ms: 1000, instead: {error: {status: 403, code: NoPermission}}}";
    let node = Node::new(&format!("{{faults: {{assume-role: [{refused}]}}}}"));
    for outcome in node.crowd(5, ACME) {
        assert_eq!(outcome.exit, Exit::Code(4));
    }
    let said = node.calls(Hop::AssumeRole);
    assert!(said < 5, "the processes share a refusal");
    soon(|| connections(&node) == said);
    assert_eq!(node.calls(Hop::GetAuthorizationToken), 0);
}
