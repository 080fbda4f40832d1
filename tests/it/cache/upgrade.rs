//! Another version of the program finds what is kept: in its own form it goes on from there, and in
//! another form it fetches everything again. No pull fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use crate::node::{ACME, Node, request};
use crate::{PROGRAM, copied};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const KINDS: [&str; 3] = ["host", "login", "session"];

/// This program with the number of another release. The number is in it as text.
fn other_release(node: &Node) -> (PathBuf, String) {
    let mut other = VERSION.to_owned();
    let last = other.pop().unwrap();
    other.push(if last == '9' { '8' } else { '9' });
    let program = node.folder.join("other-release");
    copied(PROGRAM, &program);
    let replace = format!("s/{}/{other}/g", VERSION.replace('.', "[.]"));
    let sed =
        Command::new("/bin/sed").env("LC_ALL", "C").args(["-i", &replace]).arg(&program).status();
    assert!(sed.unwrap().success());
    (program, other)
}

/// Writes another record into a file, with the checksum that belongs to it.
fn rewrite(file: &Path, change: impl FnOnce(&mut Value)) {
    let text = fs::read_to_string(file).unwrap();
    let (start, body) = text.split_once('\n').unwrap();
    let mut record: Value = serde_json::from_str(body).unwrap();
    change(&mut record);
    let body = record.to_string();
    let (magic, _) = start.rsplit_once(' ').unwrap();
    let digits = Sha1::digest(&body)
        .iter()
        .fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"));
    fs::write(file, format!("{magic} {digits}\n{body}")).unwrap();
}

/// A developer who changes what is kept raises `FORM` in `src/pull/fast_path.rs`, and changes this.
#[test]
fn the_form_is_the_one_of_its_number() {
    let node = Node::new("{}");
    node.pull(ACME);
    for (kind, expected) in [
        ("host", &["entry", "instance", "login"][..]),
        ("login", &["expire_duration", "host", "margin", "password", "user_name"]),
        ("session", &["access_key_id", "access_key_secret", "owner", "security_token"]),
    ] {
        let [file] = &node.kept(kind)[..] else { panic!("one {kind}") };
        rewrite(file, |record| {
            let fields =
                |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            assert_eq!(fields(record), ["fresh_until", "of", "since", "until", "value"], "{kind}");
            assert_eq!(fields(&record["value"]), expected, "{kind}");
        });
    }
}

#[test]
fn another_release_answers_from_what_is_kept() {
    let node = Node::new("{}");
    let first = node.pull(ACME);
    let calls = node.cloud.calls().len();
    let mut exec = node.exec(&[]);
    let (program, version) = other_release(&node);
    let said = Command::new(&program).arg("--version").output().unwrap();
    assert!(String::from_utf8_lossy(&said.stdout).contains(&version), "{said:?}");
    exec.program = program;
    let second = node.pulled(ACME, &exec.run(&request(ACME)).unwrap());
    assert_eq!((second.password, second.warnings.as_str()), (first.password, ""));
    assert_eq!(node.cloud.calls().len(), calls, "nothing was asked");
}

/// Each kind alone, so that what depends on it is there in the present form.
#[test]
fn a_record_of_another_form_is_fetched_anew() {
    for kind in KINDS {
        let changes: [fn(&mut Value); 3] = [
            |record| record["value"] = json!({"of": "a later version"}),
            |record| record["until"] = json!("2026-12-01T00:00:00Z"),
            |record| drop(record.as_object_mut().unwrap().remove("of")),
        ];
        for change in changes {
            let node = Node::new("{}");
            let first = node.pull(ACME);
            let [file] = &node.kept(kind)[..] else { panic!("one {kind}") };
            rewrite(file, change);
            let pulled = node.pull(ACME);
            assert_eq!(pulled.warnings, "", "{kind}");
            // Nobody reads the session while the login is fresh, and a host leads to the same login.
            assert_eq!(pulled.password == first.password, kind != "login", "{kind}");
            assert_eq!(node.pull(ACME).password, pulled.password, "{kind} is whole again");
        }
    }
}

/// A version whose form has another number gives everything other names.
#[test]
fn what_a_version_with_another_form_has_left_is_ignored_and_cleared_away() {
    let node = Node::new("{}");
    let first = node.pull(ACME);
    let mut left = Vec::new();
    for file in KINDS.iter().flat_map(|kind| node.kept(kind)) {
        let name = file.file_name().unwrap().to_str().unwrap();
        let mut parts: Vec<&str> = name.splitn(3, '-').collect();
        parts[1] = "0123456789abcdef0123";
        let other = file.with_file_name(parts.join("-"));
        fs::rename(&file, &other).unwrap();
        left.push(other);
    }
    assert!(left.len() >= KINDS.len());
    let pulled = node.pull(ACME);
    assert_ne!(pulled.password, first.password);
    assert_eq!(pulled.warnings, "");
    assert!(left.iter().all(|file| !file.exists()), "cleared away");
}
