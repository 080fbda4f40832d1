//! The program as `docker-credential-acr` (docs/docker.md): what a folder of `tests/scenarios` cannot
//! say, because it takes more than one run, or more than text on stdin. The folders are `helper-*`.

use std::fs;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use serde_json::{Value as Json, json};
use simulation::cloud::Hop;
use simulation::kubelet::{Exec, Exit, Outcome};

use crate::PROGRAM;
use crate::node::{ACME, Node, request};

fn asked(node: &Node, verb: &str, stdin: &str) -> Outcome {
    node.docker_helper(verb).run(stdin.as_bytes()).unwrap()
}

fn stdout(outcome: &Outcome) -> String {
    String::from_utf8(outcome.stdout.clone()).unwrap()
}

#[test]
fn the_kubelet_and_the_helper_share_one_cache() {
    let node = Node::new("{}");
    let pulled = node.pull(ACME);
    let answer = stdout(&asked(&node, "get", ACME));
    let answer: Json = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["Secret"], pulled.password);
    assert_eq!(node.assumed_and_fetched(), (1, 1));
}

/// docker stores the very login that `get` gave.
#[test]
fn what_is_stored_changes_no_answer() {
    let node = Node::new("{}");
    let given = stdout(&asked(&node, "get", ACME));
    let other = json!({"ServerURL": ACME, "Username": "u", "Secret": "p"}).to_string();
    for stored in [given.as_str(), &other] {
        assert_eq!(asked(&node, "store", stored).exit, Exit::Code(0));
        assert_eq!(stdout(&asked(&node, "get", ACME)), given);
    }
}

#[test]
fn bytes_that_are_not_text_are_not_a_host() {
    let node = Node::new("{}");
    let outcome = node.docker_helper("get").run(b"\xff\xfeacme").unwrap();
    assert_eq!(outcome.exit, Exit::Code(2));
    assert_eq!(stdout(&outcome), outcome.stderr_text());
    assert!(stdout(&outcome).contains("not UTF-8 text"), "{}", stdout(&outcome));
}

/// A host is read to its end, but not without a bound.
#[test]
fn a_text_without_measure_is_refused() {
    let node = Node::new("{}");
    let outcome = asked(&node, "get", &"a".repeat(1024 * 1024 + 1));
    assert_eq!((outcome.exit, stdout(&outcome)), (Exit::Code(2), outcome.stderr_text()));
}

#[test]
fn the_version_is_that_of_the_program() {
    let node = Node::new("{}");
    let own = Exec { args: vec!["--version".to_owned()], ..Exec::new(PROGRAM) };
    let own = stdout(&own.run(b"").unwrap());
    for verb in ["version", "--version", "-v", "-V"] {
        assert_eq!(stdout(&asked(&node, verb, "")), own, "{verb}");
    }
}

#[test]
fn forty_clients_at_once_make_one_call() {
    let node = Node::new("{}");
    std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..40).map(|_| scope.spawn(|| asked(&node, "get", ACME).exit)).collect();
        assert!(clients.into_iter().all(|client| client.join().unwrap() == Exit::Code(0)));
    });
    assert_eq!(node.calls(Hop::GetAuthorizationToken), 1);
}

/// A caller that is ready for text beside an answer asks for it; others drop the answer.
#[test]
fn warnings_beside_an_answer_are_printed_on_request_alone() {
    let node = Node::new("{}");
    let text = fs::read_to_string(node.config()).unwrap();
    fs::write(node.config(), format!("private-link-mode: strict\n{text}")).unwrap();
    let (mut kubelet, mut docker) = (node.exec(&[]), node.docker_helper("get"));
    for (level, warns) in [(None, false), (Some("error"), false), (Some("warn"), true)] {
        let level = level.map(|it: &str| ("ACR_CREDENTIAL_PROVIDER_LOG".to_owned(), it.to_owned()));
        kubelet.kubelet_env = level.into_iter().collect();
        docker.kubelet_env.clone_from(&kubelet.kubelet_env);
        // From the cloud each time: an answer from the cache does not read the configuration.
        let _ = fs::remove_dir_all(node.cache());
        let answers = kubelet.run(&request(ACME)).unwrap();
        let _ = fs::remove_dir_all(node.cache());
        for outcome in [answers, docker.run(ACME.as_bytes()).unwrap()] {
            assert_eq!(outcome.exit, Exit::Code(0));
            let stderr = outcome.stderr_text();
            assert_eq!(stderr.starts_with("warning: "), warns, "{stderr}");
            assert_eq!(stderr.is_empty(), !warns, "{stderr}");
        }
    }
    // It is kept for doctor.
    let report = node.exec(&["doctor", "--verbose"]).run(&[]).unwrap();
    let report = stdout(&report);
    let is_kept = |line: &str| {
        line.contains(&format!("{ACME}: warning: ")) && line.contains("private-link-mode")
    };
    assert!(report.lines().any(is_kept), "{report}");
}

/// In both protocols.
#[test]
fn a_stdin_that_nobody_closes_ends() {
    let node = Node::new("{}");
    let start = |exec: &Exec, text: &[u8]| {
        let mut command = Command::new(&exec.program);
        command.args(&exec.args).env_clear().envs(exec.config_env.iter().cloned());
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(text).unwrap();
        child
    };
    let children = [
        start(&node.docker_helper("get"), ACME.as_bytes()),
        start(&node.docker_helper("get"), b""),
        start(&node.exec(&[]), &request(ACME)),
    ];
    for mut child in children {
        let stderr = to_its_end(&mut child);
        assert!(stderr.starts_with("error: stdin is still open after 10 s"), "{stderr}");
        assert_eq!(child.wait().unwrap().code(), Some(6));
    }
}

/// Its stderr, with stdin held open until it has ended by itself.
fn to_its_end(child: &mut Child) -> String {
    let stdin = child.stdin.take();
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    drop(stdin);
    text
}
