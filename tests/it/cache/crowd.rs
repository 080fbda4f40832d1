//! Many processes at once.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use simulation::cloud::{Hop, Service, standard};
use simulation::kubelet::Exit;

use crate::node::{ACME, FOO, Node, entry};

/// As many as a node starts at boot for one registry.
const CROWD: usize = 40;

#[test]
fn forty_at_once_make_one_call_of_each() {
    let node = Node::new("{faults: {assume-role: [{delay-ms: 200}]}}");
    let outcomes = node.crowd(CROWD, ACME);
    let mut passwords: Vec<String> =
        outcomes.iter().map(|outcome| node.pulled(ACME, outcome).password).collect();
    passwords.dedup();
    assert_eq!(passwords.len(), 1);
    assert_eq!(node.assumed_and_fetched(), (1, 1));
}

#[test]
fn instances_behind_one_role_share_its_session_from_the_start() {
    let node = Node::new("{faults: {assume-role: [{delay-ms: 200}]}}");
    let entries = [
        entry(ACME, standard::ACME, standard::PULLER),
        entry(FOO, standard::FOO_REGISTRY, standard::PULLER),
    ];
    node.configure(&entries.concat());
    thread::scope(|scope| {
        for host in [ACME, FOO] {
            let node = &node;
            scope.spawn(move || {
                node.crowd(10, host).iter().for_each(|o| drop(node.pulled(host, o)));
            });
        }
    });
    assert_eq!(node.assumed_and_fetched(), (1, 2));
}

#[test]
fn a_refusal_is_shared_and_a_permission_seen_by_the_next_pull() {
    let denied = format!(
        r#"{{accounts: {{"{}": {{roles: {{acr-puller: {{trust: {{Statement: []}}}}}}}}}}}}"#,
        standard::REGISTRY_ACCOUNT
    );
    let node = Node::new(&denied);
    let began = Instant::now();
    for outcome in node.crowd(CROWD, ACME) {
        assert_eq!(outcome.exit, Exit::Code(4), "{outcome:?}");
        assert!(outcome.stderr_text().contains("NoPermission"), "{outcome:?}");
    }
    // A refusal is shared for three seconds. On a busy machine the crowd takes longer than that.
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
    let calls = node.calls(Hop::AssumeRole);
    assert!((1..=1 + seconds / 3).contains(&calls), "{calls} calls in {seconds} s");
    thread::sleep(Duration::from_millis(3100));
    assert_eq!(node.refused(ACME).0, 4, "still refused, and asked again");
    assert_eq!(node.calls(Hop::AssumeRole), calls + 1);
    let trust = format!(
        r#"{{accounts: {{"{}": {{roles: {{acr-puller: {{trust: {{Version: "1", Statement: [{{Effect: Allow, Action: "sts:AssumeRole", Principal: {{RAM: ["{}"]}}}}]}}}}}}}}}}}}"#,
        standard::REGISTRY_ACCOUNT,
        standard::WORKER_ROLE
    );
    node.cloud.change(&trust).unwrap();
    thread::sleep(Duration::from_millis(3100));
    node.pull(ACME);
}

fn signal(name: &str, process: u32) {
    let kill = Command::new("kill").args([name, &process.to_string()]).status().unwrap();
    assert!(kill.success());
}

/// The lock dies with its process.
#[test]
fn who_waits_goes_on_when_the_holder_is_killed() {
    let mut node = Node::new("{faults: {assume-role: [{calls: 1, connection: hang}]}}");
    node.settings += "  timeout: 50s\n";
    node.configure(&entry(ACME, standard::ACME, standard::PULLER));
    let mut holder = node.start(ACME);
    while node.cloud.connections(Service::Sts) == 0 {
        thread::sleep(Duration::from_millis(5));
    }
    thread::scope(|scope| {
        let waiting = scope.spawn(|| node.ask(ACME));
        thread::sleep(Duration::from_millis(200));
        signal("-KILL", holder.id());
        holder.wait().unwrap();
        let outcome = waiting.join().unwrap();
        node.pulled(ACME, &outcome);
        // Who is not woken up goes on after half of the timeout, which is 25 seconds.
        assert!(outcome.duration < Duration::from_secs(20), "{outcome:?}");
    });
}

/// A holder that is stopped never ends and never lets go.
#[test]
fn a_holder_that_hangs_does_not_hang_the_rest() {
    let mut node = Node::new("{faults: {assume-role: [{calls: 1, delay-ms: 1000}]}}");
    node.settings += "  timeout: 20s\n";
    node.configure(&entry(ACME, standard::ACME, standard::PULLER));
    let mut holder = node.start(ACME);
    while node.calls(Hop::MetadataRoleDocument) == 0 {
        thread::sleep(Duration::from_millis(5));
    }
    signal("-STOP", holder.id());
    let outcomes = node.crowd(20, ACME);
    signal("-KILL", holder.id());
    holder.wait().unwrap();
    for outcome in &outcomes {
        node.pulled(ACME, outcome);
    }
    assert!(node.calls(Hop::AssumeRole) <= 2, "one for the holder, one for all the others");
}
