//! Configurations made to take all memory or all time.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use crate::PROGRAM;
use crate::node::{ACME, Node, request};

/// Seconds of processor time, for a debug build. Each takes less than one on a machine that is idle, and
/// what has no bound takes minutes.
const LONGEST: u64 = 15;

/// Within this many KiB of address space, the program's own and its libraries' included.
const SPACE: u64 = 96 * 1024;

/// Most that is written of such a file, in bytes.
const LONGEST_ANSWER: usize = 300_000;

/// Runs it, with as much memory and time as it may have.
fn run(config: &str, arguments: &[&str], host: &str) -> Output {
    let node = Node::new("{}");
    fs::write(node.config(), config).unwrap();
    let mut child = Command::new("/bin/sh")
        .args(["-c", &format!(r#"ulimit -v {SPACE}; ulimit -t {LONGEST}; exec "$@""#), "sh"])
        .args([PROGRAM.as_ref(), "--config".as_ref(), node.config().as_os_str()])
        .args(arguments)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A doctor does not read it.
    let _ = child.stdin.take().unwrap().write_all(&request(host));
    child.wait_with_output().unwrap()
}

/// Gives what a pull says first.
fn told(config: &str) -> String {
    let output = run(config, &[], ACME);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let first = stderr.lines().next().unwrap_or_default().to_owned();
    assert_eq!(output.status.code(), Some(2), "{first}");
    assert!(first.starts_with("error: configuration "), "{first}");
    first
}

/// All that somebody asks of the file, each within the same bounds and in few words.
fn all_say(config: &str, expected: &str) {
    says(config, expected);
    for arguments in [
        &["doctor", "--config-only"][..],
        &["doctor", "--config-only", "--json"],
        &["render", "config-map"],
    ] {
        let Output { status, stdout, stderr } = run(config, arguments, ACME);
        assert_eq!(status.code(), Some(2), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
        let length = stdout.len() + stderr.len();
        assert!(length < LONGEST_ANSWER, "{arguments:?}: {length}");
        let text = String::from_utf8([stdout, stderr].concat()).unwrap();
        assert!(text.contains(expected), "{arguments:?}: {text}");
    }
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

/// The first of which hides what is behind it.
#[test]
fn many_slips_behind_much() {
    let much = (0..9_000).fold(String::new(), |text, key| text + &format!("- a{key}: v\n"));
    let slips = "- domains:\"a\"\n  regionId: x\n".repeat(1000);
    says(&format!("acr-registry-info:\n{much}{slips}"), "9002:11: a space is missing");
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

/// Places in a text of a ConfigMap are reported as places in the file: not by counting again each time.
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

/// A text that an alias repeats is read as often as it is named. Here 3.8 KB were 160,000 values,
/// each quoted with its 700 characters.
#[test]
fn a_text_read_again_and_again() {
    let list = format!("{{domains: [&x _{},{}]}}", "_".repeat(700), "*x,".repeat(600));
    let entries = "*a,".repeat((1 << 20) / list.len() - 1);
    all_say(&format!("a: &a '{list}'\nacr-registry-info: [{entries}]\n"), TOO_MUCH);
    let keys: Vec<String> = (0..3000).map(|key| format!("k{key:03x}")).collect();
    let entries = "*a,".repeat(60);
    let config = format!("a: &a '{{{}}}'\nacr-registry-info: [{entries}]\n", keys.join(","));
    all_say(&config, "unknown key `k000`");
    let brackets =
        format!("a: &a '[{}]'\nacr-registry-info: [{}]\n", "[],".repeat(15_000), "*a,".repeat(20));
    all_say(&brackets, "is a list");
    let anchors = format!("a: &a '[&x {}, *x]'\n", "x".repeat(20_000));
    all_say(&format!("{anchors}acr-registry-info: [{}]\n", "*a,".repeat(50)), "is a list");
}

/// What stands between commas is a value to us, though not to YAML.
#[test]
fn a_text_of_commas_repeated() {
    let entries = "{domains: *a},".repeat(19);
    let config = |text: String| format!("a: &a '{text}'\nacr-registry-info: [{entries}]\n");
    all_say(&config(",".repeat(50_000)), TOO_MUCH);
    all_say(&config("h,".repeat(9_000)), TOO_MUCH);
}

/// The first mistakes are told, the others counted; a long text is quoted by its beginning.
#[test]
fn many_mistakes() {
    let words = format!("acr-registry-info:\n{}", "- x\n".repeat(9_000));
    all_say(&words, "an entry of `acr-registry-info` is a single value");
    let stderr = run(&words, &[], ACME).stderr;
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(stderr.contains("caused by: and 8997 more"), "{stderr}");
    for arguments in [&["doctor", "--config-only"][..], &["doctor", "--config-only", "--json"]] {
        let text = String::from_utf8(run(&words, arguments, ACME).stdout).unwrap();
        assert!(text.contains("and 8800 more"), "{text}");
    }
    let again = format!("acr-registry-info:\n{}", "a: b\n".repeat(19_000));
    all_say(&again, "`a` is given a second time");
    let warned = (0..9_900).fold(String::new(), |text, key| text + &format!("k{key}: v\n"));
    let text = String::from_utf8(run(&warned, &["doctor", "--config-only"], ACME).stdout).unwrap();
    assert!(text.contains("and 9700 more") && text.len() < LONGEST_ANSWER, "{text}");
    let long = "x".repeat(900_000);
    for key in ["tokenMode", "kind", "expiring-threshold"] {
        all_say(&format!("{key}: {long}\n"), "xxx…`");
    }
    all_say(&format!("acr-registry-info: [{{domains: {long}}}]\n"), "xxx…`");
    let long = "x".repeat(400_000);
    all_say(&format!("{{? {long} : a, ? {long} : b}}\n"), "xxx…` is given a second time");
}

/// The line of a mistake is found at once, however many lines stand before it.
#[test]
fn many_lines_before_many_mistakes() {
    let lines = "#\n".repeat(440_000);
    let after = |items: String| format!("{lines}acr-registry-info:\n{items}");
    all_say(&after("- \"[\"\n".repeat(300)), "not valid YAML");
    all_say(&after("- x\n".repeat(1_000)), "is a single value");
    let texts = (0..1_000).map(|n| format!("- |\n  instanceId: cri-{n}\n  regionId: cn-a\n"));
    let texts = after(texts.collect());
    for arguments in [&[][..], &["doctor", "--config-only"], &["render", "config-map"]] {
        let output = run(&texts, arguments, "quay.io");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
    }
    // Mistakes that hide what is behind them.
    all_say(&after("- instanceId:\"cri-a\"\n  regionId: a\n".repeat(4_000)), "a space is missing");
    all_say(
        &after("- |\n  instanceId:\"cri-a\"\n  regionId: a\n".repeat(4_000)),
        "a space is missing",
    );
    // All of them on one line, of which no more is looked at than a person would write.
    let blanks = " ".repeat(900_000);
    all_say(&format!("acr-registry-info:\n  [{blanks}{}]\n", "x,".repeat(9_000)), "single value");
    let deep = format!("- &a |\n{blanks}x\n{}", "- *a\n".repeat(9_000));
    all_say(&format!("acr-registry-info:\n{deep}"), "is a single value");
}

/// Each host is a value, also where all are one text.
#[test]
fn many_hosts() {
    let config = |number: usize| {
        let hosts: Vec<String> = (0..number).map(|host| format!("h{host}.example.com")).collect();
        let hosts = hosts.join(",");
        format!("acr-registry-info:\n- instanceId: cri-a\n  domains: {hosts}\n")
    };
    let output = run(&config(19_990), &["doctor", "--config-only"], ACME);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    all_say(&config(20_000), TOO_MUCH);
}
