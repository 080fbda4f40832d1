//! While the cloud fails.

use simulation::cloud::{Hop, Service};

use crate::node::{ACME, Node};

/// Fifty minutes into a login of an hour: it should be renewed.
const DUE: i64 = 3000;

#[test]
fn a_login_that_cannot_be_renewed_answers_for_five_minutes_at_a_time() {
    let mut node = Node::new("{}");
    let first = node.pull(ACME);
    node.wait(DUE);
    node.cloud.take_down(Service::Sts).unwrap();
    let old = node.pull(ACME);
    assert_eq!((old.password, old.cache), (first.password, 300));
    assert!(old.warnings.starts_with("warning: the login of acme-registry"), "{}", old.warnings);
    assert!(old.warnings.contains("AssumeRole"), "{}", old.warnings);
    node.cloud.bring_up(Service::Sts).unwrap();
    node.wait(4);
    assert!(node.pull(ACME).is_whole());
}

/// A login of a few seconds could end between the answer and the registry.
#[test]
fn in_its_last_seconds_a_login_that_cannot_be_renewed_is_no_answer() {
    let mut node = Node::new("{}");
    node.pull(ACME);
    node.wait(3600 - 60);
    node.cloud.take_down(Service::Sts).unwrap();
    assert!((10..=30).contains(&node.pull(ACME).cache));
    node.wait(57);
    let (code, line) = node.refused(ACME);
    assert_eq!(code, 4);
    assert!(line.contains("AssumeRole"), "{line}");
}

/// Where the old one is of no use, another has all of the time.
#[test]
fn in_its_last_seconds_a_login_takes_no_time_from_the_next() {
    let mut node = Node::new("{}");
    node.settings += "  timeout: 9s\n";
    node.configure(&crate::node::entry(
        ACME,
        simulation::cloud::standard::ACME,
        simulation::cloud::standard::PULLER,
    ));
    let first = node.pull(ACME);
    node.wait(3600 - 3);
    node.cloud.change("{faults: {get-authorization-token: [{delay-ms: 4000}]}}").unwrap();
    let next = node.pull(ACME);
    assert!(next.is_whole() && next.password != first.password);
}

#[test]
fn a_refusal_is_the_answer_though_the_old_login_lives() {
    let mut node = Node::new("{}");
    node.pull(ACME);
    node.wait(DUE);
    node.cloud
        .change("{faults: {assume-role: [{instead: {error: {status: 403, code: NoPermission}}}]}}")
        .unwrap();
    let (code, line) = node.refused(ACME);
    assert_eq!(code, 4);
    assert!(line.contains("NoPermission"), "{line}");
}

/// A cloud that answers nobody costs a third of the time, not all of it, and others do not queue.
#[test]
fn a_cloud_that_hangs_costs_a_part_of_the_time() {
    let mut node = Node::new("{}");
    node.settings += "  timeout: 9s\n";
    node.configure(&crate::node::entry(
        ACME,
        simulation::cloud::standard::ACME,
        simulation::cloud::standard::PULLER,
    ));
    let first = node.pull(ACME);
    node.wait(DUE);
    node.cloud.change("{faults: {assume-role: [{connection: hang}]}}").unwrap();
    for outcome in node.crowd(20, ACME) {
        let old = node.pulled(ACME, &outcome);
        assert_eq!(old.password, first.password);
        assert!(outcome.duration.as_secs() < 8, "{outcome:?}");
    }
    assert!(node.calls(Hop::AssumeRole) <= 3, "{}", node.calls(Hop::AssumeRole));
}
