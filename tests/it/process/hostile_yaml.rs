//! Configurations made to take all memory or all time.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::PROGRAM;
use crate::node::{ACME, Node, request};

/// Seconds of processor time, for a debug build; each takes less than one.
const LONGEST: u64 = 3;

/// Within so many KiB of address space, the program's own and its libraries' included.
const SPACE: u64 = 96 * 1024;

/// Runs it, with as much memory and time as it may have; gives what it says first.
fn told(config: &str) -> String {
    let node = Node::new("{}");
    fs::write(node.config(), config).unwrap();
    let mut child = Command::new("/bin/sh")
        .args([
            "-c",
            &format!(r#"ulimit -v {SPACE}; ulimit -t {LONGEST}; exec "$0" --config "$1""#),
        ])
        .args([PROGRAM.as_ref(), node.config().as_os_str()])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&request(ACME)).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let first = stderr.lines().next().unwrap_or_default().to_owned();
    assert_eq!(output.status.code(), Some(2), "{first}");
    assert!(first.starts_with("error: configuration "), "{first}");
    first
}

fn says(config: &str, expected: &str) {
    let first = told(config);
    assert!(first.contains(expected), "{first}");
}

const TOO_MUCH: &str = "nested deeper than 32 levels, more than 20000 values or 60000 commas, colons, quotes and brackets, or too much text by aliases";

#[test]
fn a_billion_laughs() {
    let mut config = "a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for (name, of) in ('b'..='j').zip('a'..) {
        let laughs = vec![format!("*{of}"); 10].join(", ");
        writeln!(config, "{name}: &{name} [{laughs}]").unwrap();
    }
    says(&config, TOO_MUCH);
}

#[test]
fn one_long_text_repeated() {
    let text = "x".repeat(500_000);
    says(&format!("a: &a {text}\nb: [{}]\n", vec!["*a"; 19_000].join(",")), TOO_MUCH);
}

#[test]
fn anchors_around_anchors() {
    let open: String = (0..30).fold(String::new(), |text, level| text + &format!("&a{level} ["));
    says(&format!("a: {open}{}{}\n", vec!["x"; 15_000].join(","), "]".repeat(30)), TOO_MUCH);
}

#[test]
fn ten_thousand_levels() {
    says(&"[".repeat(10_000), "not valid YAML: recursion limit exceeded");
    says(&"{a: ".repeat(10_000), "not valid YAML: recursion limit exceeded");
    says(&(("- ".repeat(10_000)) + "x\n"), TOO_MUCH);
    let block = (0..1400).fold(String::new(), |text, level| text + &" ".repeat(level) + "a:\n");
    says(&block, TOO_MUCH);
    // And once more in a text of a ConfigMap.
    let inner = format!("data:\n  acr-registry-info: '{}'\n", "[".repeat(10_000));
    says(&inner, "not valid YAML: recursion limit exceeded");
}

#[test]
fn a_mebibyte_of_something() {
    told(&("a: 'x\n".to_owned() + &"\n".repeat(1_000_000)));
    told(&"!".repeat(1_000_000));
    told(&format!("[{}", ",".repeat(500_000)));
    told(&"a:".repeat(500_000));
    told(&"---\n".repeat(250_000));
    says(&"? ".repeat(10_000), "a key must be a single word");
    let many = (0..80_000).fold(String::new(), |text, key| text + &format!("k{key}: v\n"));
    says(&many, TOO_MUCH);
}

/// Each of which hides what is behind it, so that the file is read again without it.
#[test]
fn many_slips_behind_much() {
    let much = (0..9_000).fold(String::new(), |text, key| text + &format!("- a{key}: v\n"));
    let slips = "- domains:\"a\"\n  regionId: x\n".repeat(1000);
    says(&format!("acr-registry-info:\n{much}{slips}"), "9002:11: a blank is missing");
}

/// The parser takes in everything between two brackets before it gives the first of it away: a
/// quarter of a gibibyte for a file of one mebibyte.
#[test]
fn a_mebibyte_in_brackets() {
    for part in ["a: b, ", "a, ", ",", "[],", "{},", "a:", "?,", "\"\"", "''", "&a ", "*a ", "!a "]
    {
        let inside = part.repeat((1 << 20) / part.len() - 10);
        for whole in [format!("[{inside}]"), format!("{{{inside}}}")] {
            says(&whole, TOO_MUCH);
        }
    }
    // And in a text of a ConfigMap.
    says(&format!("data:\n  rrsa: |\n    [{}]\n", "a: b, ".repeat(150_000)), TOO_MUCH);
    // As many as are read, each of which makes three parts of the parser's.
    says(&format!("[{}]", "a: ".repeat(59_990)), "not valid YAML");
    says(&format!("acr-registry-info: [{{domains: '{}b.c'}}]", "_,".repeat(500_000)), TOO_MUCH);
}

/// Keys that are no names, and are compared with none.
#[test]
fn long_keys() {
    let key = "x".repeat(300_000);
    let entries = ["*a"; 3].join(",");
    says(
        &format!("a: &a {{ ? {key} : 1}}\nacr-registry-info: [{entries}]\n"),
        "unknown key `xxxxxxx…`",
    );
}

/// A pull tells a few, not a mebibyte in the kubelet's log each time.
#[test]
fn many_warnings() {
    let node = Node::new("{}");
    let keys = (0..9000).fold(String::new(), |text, key| text + &format!("{key:060}: v\n"));
    fs::write(node.config(), keys).unwrap();
    let outcome = node.ask("quay.io");
    let stderr = outcome.stderr_text();
    assert_eq!(stderr.lines().count(), 11, "{stderr}");
    assert!(stderr.contains(": 8990 more; see aliyun-acr-credential-provider doctor"), "{stderr}");
}

/// Places in a text of a ConfigMap are told as places in the file: not by counting anew each time.
#[test]
fn many_lines_in_a_text() {
    let lines = (0..9_900).fold(String::new(), |text, key| text + &format!("    - a{key}: v\n"));
    says(&format!("data:\n  acr-registry-info: |\n{lines}"), "unknown key `a0`");
    let long = format!("      # {}\n", "x".repeat(60)).repeat(9_000);
    says(
        &format!("data:\n  acr-registry-info: |\n    - instanceId: cri-a\n{long}{lines}"),
        "unknown key `a0`",
    );
}
