//! The report is written as the checks end, and who waits at a terminal sees what is under way.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use simulation::cloud::standard;
use simulation::kubelet::Exec;

use super::WELL;
use crate::PROGRAM;
use crate::node::{ACME, Node, entry};

#[test]
fn lines_come_before_the_end() {
    let mut node =
        Node::new("{registry: {local-realm: true}, faults: {assume-role: [{connection: hang}]}}");
    node.settings += "  timeout: 5s\n";
    node.configure(&entry(ACME, standard::ACME, standard::PULLER));
    let exec = node.exec(&["doctor"]);
    let mut child = Command::new(&exec.program)
        .args(&exec.args)
        .env_clear()
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("\nok      configuration") {
        assert_ne!(lines.read_line(&mut text).unwrap(), 0, "{text}");
    }
    assert!(child.try_wait().unwrap().is_none(), "the pull that hangs comes behind it: {text}");
    lines.read_to_string(&mut text).unwrap();
    assert!(text.lines().last().unwrap().starts_with("FAILED: role, exit code 6."), "{text}");
    assert_eq!(child.wait().unwrap().code(), Some(6));
}

#[test]
fn a_terminal_shows_what_is_under_way() {
    let node = Node::new(WELL);
    let command = format!("{PROGRAM} --config {} doctor", node.config().display());
    let mut exec = Exec::new("/usr/bin/script");
    exec.args = ["-qec", &command, "/dev/null"].map(str::to_owned).to_vec();
    let outcome = exec.run(&[]).unwrap();
    let text = String::from_utf8(outcome.stdout).unwrap();
    assert!(text.starts_with("..      the kubelet of this machine\r\u{1b}[K"), "{text:?}");
    assert!(text.contains(&format!("..      a pull from {ACME}\r\u{1b}[K")), "{text:?}");
    let piped = String::from_utf8(node.exec(&["doctor"]).run(&[]).unwrap().stdout).unwrap();
    assert!(!piped.contains("..  ") && !piped.contains('\r'), "{piped:?}");
}

/// What cannot be written is an error, as for all commands.
#[test]
fn a_full_disk_behind_stdout_is_an_error() {
    let node = Node::new(WELL);
    let exec = node.exec(&["doctor", "--config-only"]);
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let outcome =
        Command::new(&exec.program).args(&exec.args).env_clear().stdout(full).output().unwrap();
    assert_eq!(outcome.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&outcome.stderr).into_owned();
    assert!(stderr.contains("cannot be written to stdout"), "{stderr}");
}
