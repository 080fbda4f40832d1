//! No other program is ever run, so nothing depends on a shell, on PATH or on what a child would
//! inherit.

use simulation::kubelet::Exec;

use super::traced::{self, Seen};
use crate::node::{ACME, FOO, Node, entry, request};

/// Runs it and sees that nothing else ran.
fn alone(exec: &Exec, request: &[u8]) -> Seen {
    let seen = traced::run(exec, request);
    assert_eq!((seen.processes, seen.programs), (0, 0), "of {:?}", exec.args);
    seen
}

#[test]
fn no_process_is_started_for_an_answer() {
    let node = Node::new("{}");
    let cold = alone(&node.exec(&[]), &request(ACME));
    assert_eq!(cold.exit, 0);
    assert!(cold.threads > 0, "HTTP has a thread of its own, so the tracer sees what is started");
    assert_eq!(alone(&node.exec(&[]), &request(ACME)).threads, 0, "none for one from the cache");
}

#[test]
fn nor_for_a_failure_or_by_any_other_command() {
    let node = Node::new("{faults: {assume-role: [{connection: reset}]}}");
    assert_eq!(alone(&node.exec(&[]), &request(ACME)).exit, 4);
    for arguments in
        [&["doctor"][..], &["doctor", "--config-only"], &["refresh"], &["render", "ram-policy"]]
    {
        alone(&node.exec(arguments), &[]);
    }
    let node = Node::new("{}");
    node.configure(&entry(
        FOO,
        simulation::cloud::standard::FOO_REGISTRY,
        simulation::cloud::standard::PULLER,
    ));
    assert_eq!(alone(&node.exec(&["doctor", "--image", FOO]), &[]).processes, 0);
}

/// The check can fail.
#[test]
fn a_program_that_starts_others_is_seen() {
    let mut exec = Exec::new("/bin/sh");
    exec.args = ["-c", "/bin/true; exec /bin/true"].map(str::to_owned).to_vec();
    let seen = traced::run(&exec, b"");
    assert!(seen.processes == 1 && seen.programs >= 1, "{} {}", seen.processes, seen.programs);
}
