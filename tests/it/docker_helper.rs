//! The program as `docker-credential-acr`: what docker, podman, skopeo, buildah, crane and oras take
//! for a login, for "go on without one" and for a failure (docs/docker.md).

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};

use serde_json::{Value as Json, json};
use simulation::cloud::{Hop, standard};
use simulation::kubelet::{Exec, Exit, Outcome};

use crate::node::{ACME, Node, request};
use crate::{PROGRAM, with_warnings};

const NOT_FOUND: &str = "credentials not found in native keychain";

/// The helper on a node: a link to the program, and the configuration by its variable, as a client
/// hands on its own environment.
fn helper(node: &Node, verb: &str) -> Exec {
    let link = node.folder.join("docker-credential-acr");
    let _ = symlink(PROGRAM, &link);
    let mut exec = Exec::new(link);
    exec.args = vec![verb.to_owned()];
    let config = node.config().display().to_string();
    exec.config_env = vec![("ACR_CREDENTIAL_PROVIDER_CONFIG".to_owned(), config)];
    exec
}

fn asked(node: &Node, verb: &str, stdin: &str) -> Outcome {
    helper(node, verb).run(stdin.as_bytes()).unwrap()
}

fn stdout(outcome: &Outcome) -> String {
    String::from_utf8(outcome.stdout.clone()).unwrap()
}

/// Exit code, stdout and stderr.
fn seen(outcome: &Outcome) -> (Exit, String, String) {
    (outcome.exit, stdout(outcome), outcome.stderr_text())
}

fn nothing() -> (Exit, String, String) {
    (Exit::Code(0), String::new(), String::new())
}

fn not_found() -> (Exit, String, String) {
    (Exit::Code(1), format!("{NOT_FOUND}\n"), String::new())
}

/// An error stands on both streams: docker shows stderr alone, the others quote stdout alone.
fn failed(outcome: &Outcome, code: i32, says: &str) {
    let (exit, stdout, stderr) = seen(outcome);
    assert_eq!(exit, Exit::Code(code), "{stderr}");
    assert_eq!(stdout, stderr);
    assert!(stderr.starts_with("error: ") && stderr.contains(says), "{stderr}");
    assert!(!stderr.contains(NOT_FOUND), "docker-py would go on without a login");
}

#[test]
fn get_answers_with_a_login_that_pulls() {
    let node = Node::new("{}");
    let outcome = asked(&node, "get", ACME);
    assert_eq!((outcome.exit, outcome.stderr_text().as_str()), (Exit::Code(0), ""));
    let answer: Json = serde_json::from_slice(&outcome.stdout).unwrap();
    let keys: Vec<&String> = answer.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["Secret", "ServerURL", "Username"]);
    let text = |key: &str| answer[key].as_str().unwrap();
    assert_eq!(text("ServerURL"), ACME);
    let (user, secret) = (text("Username"), text("Secret"));
    node.cloud.login_allows_pull(user, secret, standard::ACME, "team/app").unwrap();
}

#[test]
fn get_reads_a_host_as_each_client_writes_it() {
    let node = Node::new("{}");
    for server in [
        ACME.to_owned(),
        format!("https://{ACME}"),
        format!("https://{ACME}/"),
        format!("http://{ACME}/v2/"),
        format!("{ACME}/team/app"),
    ] {
        for end in ["", "\n", "\r\n"] {
            let outcome = asked(&node, "get", &format!("{server}{end}"));
            assert_eq!(outcome.exit, Exit::Code(0), "{server}: {}", outcome.stderr_text());
            let answer: Json = serde_json::from_slice(&outcome.stdout).unwrap();
            // One library takes this text for the address that the login is for.
            assert_eq!(answer["ServerURL"], server);
        }
    }
}

#[test]
fn hosts_that_are_not_ours_are_not_found_without_a_call() {
    let node = Node::new("{}");
    let other_port = format!("{ACME}:5000");
    for server in [
        "quay.io",
        "https://index.docker.io/v1/",
        "docker.io",
        "hub",
        &other_port,
        "127.0.0.1:5000",
    ] {
        assert_eq!(seen(&asked(&node, "get", server)), not_found(), "{server}");
    }
    assert_eq!(node.cloud.calls().len(), 0);
}

#[test]
fn what_is_not_a_host_fails() {
    let node = Node::new("{}");
    for (server, says) in [
        ("", "nothing on stdin"),
        (" \n", "nothing on stdin"),
        ("https://", "nothing on stdin"),
        (NOT_FOUND, "spaces or control characters"),
        ("a\nb", "spaces or control characters"),
    ] {
        failed(&asked(&node, "get", server), 2, says);
    }
}

#[test]
fn a_host_of_ours_that_gets_no_login_fails_with_the_reason() {
    let node = Node::new("{}");
    let no_role = node.config();
    let text = fs::read_to_string(&no_role).unwrap();
    fs::write(&no_role, text.replace("role/acr-puller", "role/nobody")).unwrap();
    failed(&asked(&node, "get", ACME), 4, &format!("no login for {ACME}: "));
}

/// Also for hosts of others: which ones are ours is not known then.
#[test]
fn a_broken_configuration_fails_for_every_host() {
    let node = Node::new("{}");
    fs::write(node.config(), "acr-registry-info: [\n").unwrap();
    for server in [ACME, "quay.io"] {
        failed(&asked(&node, "get", server), 2, "configuration");
    }
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

#[test]
fn erase_and_list_do_nothing_and_succeed() {
    let node = Node::new("{}");
    for stdin in ["", ACME, "quay.io", "a b"] {
        assert_eq!(seen(&asked(&node, "erase", stdin)), nothing());
    }
    for stdin in ["", "unused"] {
        let listed = (Exit::Code(0), "{}\n".to_owned(), String::new());
        assert_eq!(seen(&asked(&node, "list", stdin)), listed);
    }
    assert_eq!(node.cloud.calls().len(), 0);
}

/// docker stores the very login that `get` gave, and takes a refusal for a login that failed.
#[test]
fn store_succeeds_for_our_hosts_and_keeps_nothing() {
    let node = Node::new("{}");
    let given: Json = serde_json::from_str(&stdout(&asked(&node, "get", ACME))).unwrap();
    assert_eq!(seen(&asked(&node, "store", &format!("{given}\n"))), nothing());
    let other = json!({"ServerURL": ACME, "Username": "u", "Secret": "p"}).to_string();
    assert_eq!(seen(&asked(&node, "store", &other)), nothing());
    let mut told = helper(&node, "store");
    told.kubelet_env = with_warnings();
    let told = told.run(other.as_bytes()).unwrap().stderr_text();
    assert!(told.starts_with("warning: nothing is stored"), "{told}");
    let answer: Json = serde_json::from_str(&stdout(&asked(&node, "get", ACME))).unwrap();
    assert_eq!(answer, given);
}

#[test]
fn store_for_others_fails_and_quotes_nothing() {
    let node = Node::new("{}");
    let other = json!({"ServerURL": "quay.io", "Username": "u-ser", "Secret": "hunter2"});
    failed(&asked(&node, "store", &other.to_string()), 2, "quay.io is not configured");
    for wrong in ["hunter2", "{\"Secret\":\"hunter2\"}", "[\"hunter2\"]", ""] {
        let outcome = asked(&node, "store", wrong);
        failed(&outcome, 2, "what `store` gets");
        assert!(!outcome.stderr_text().contains("hunter2"));
    }
}

#[test]
fn another_verb_fails() {
    let node = Node::new("{}");
    for verb in ["frob", "", "GET", "--config"] {
        failed(&asked(&node, verb, ACME), 2, "get, store, erase or list");
    }
    let mut two = helper(&node, "get");
    two.args.push(ACME.to_owned());
    failed(&two.run(b"").unwrap(), 2, "get, store, erase or list");
}

/// A caller that is ready for text beside an answer asks for it; others drop the answer.
#[test]
fn warnings_beside_an_answer_are_printed_on_request_alone() {
    let node = Node::new("{}");
    let text = fs::read_to_string(node.config()).unwrap();
    fs::write(node.config(), format!("private-link-mode: strict\n{text}")).unwrap();
    let (mut kubelet, mut docker) = (node.exec(&[]), helper(&node, "get"));
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

/// With a failure they are printed: somebody reads that.
#[test]
fn warnings_behind_an_error_are_printed() {
    let node = Node::new("{}");
    let text = fs::read_to_string(node.config()).unwrap();
    let text = text.replace("role/acr-puller", "role/nobody");
    fs::write(node.config(), format!("private-link-mode: strict\n{text}")).unwrap();
    let stderr = asked(&node, "get", ACME).stderr_text();
    assert!(stderr.starts_with("error: ") && stderr.contains("\nwarning: "), "{stderr}");
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
        start(&helper(&node, "get"), ACME.as_bytes()),
        start(&helper(&node, "get"), b""),
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

/// A user other than root. The user exists in a namespace alone, and owns there what the test has made.
#[test]
fn a_person_has_a_configuration_in_their_home() {
    let node = Node::new("{}");
    let folder = node.folder.join("home/.config/aliyun-acr-credential-provider");
    fs::create_dir_all(&folder).unwrap();
    fs::rename(node.config(), folder.join("config.yaml")).unwrap();
    let mut exec = helper(&node, "get");
    let link = exec.program.display().to_string();
    let home = ("HOME".to_owned(), node.folder.join("home").display().to_string());
    let words = ["--user", "--map-user=1000", "--map-group=1000", &link, "get"];
    exec.program = "/usr/bin/unshare".into();
    exec.args = words.map(str::to_owned).to_vec();
    exec.config_env = vec![home];
    let outcome = exec.run(ACME.as_bytes()).unwrap();
    assert_eq!((outcome.exit, outcome.stderr_text().as_str()), (Exit::Code(0), ""));
    assert!(stdout(&outcome).starts_with(&format!("{{\"ServerURL\":\"{ACME}\"")));
}

/// By its name alone, wherever it lies: what is called otherwise speaks the kubelet's protocol.
#[test]
fn another_name_is_not_a_helper() {
    let node = Node::new("{}");
    let mut exec = helper(&node, "get");
    exec.program = PROGRAM.into();
    let outcome = exec.run(ACME.as_bytes()).unwrap();
    assert_eq!((outcome.exit, stdout(&outcome).as_str()), (Exit::Code(2), ""));
}
