//! Sample output in the pages is what the program prints: a comment before the block names the run.
//!
//! `<!-- sample: tests/scenarios/…/stderr.txt -->` is the output of a scenario, which its own test
//! holds. The other names are those of runs here. With `BLESS=1` the blocks are written.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value as Json;
use simulation::cloud::standard;
use simulation::kubelet::Exec;

use super::{all, root};
use crate::PROGRAM;
use crate::node::{ACME, Node};

const MARK: &str = "<!-- sample: ";
const FENCE: &str = " -->\n```text\n";

/// What differs from run to run, or is a test's own, has what a node would have in its place.
fn as_on_a_node(text: &str, node: &Node) -> String {
    let host = |url: &str| url.split_once("://").unwrap().1.to_owned();
    let cloud = &node.cloud;
    let mut text = text.to_owned();
    for (of_the_test, of_a_node) in [
        (cloud.sts_url(), "https://sts-vpc.cn-hangzhou.aliyuncs.com"),
        (cloud.cr_url(), "https://cr-vpc.cn-hangzhou.aliyuncs.com"),
        (cloud.registry_url(), &format!("https://{ACME}")),
        (cloud.metadata_url(), "http://100.100.100.200"),
    ] {
        text = text.replace(&of_the_test, of_a_node);
        text = text.replace(&host(&of_the_test), &host(of_a_node));
    }
    // The services of the tests have one address and no names; on a node each has its own.
    for (of_the_test, of_a_node) in [
        ("metadata 127.0.0.1: ", "metadata 100.100.100.200: "),
        ("STS 127.0.0.1: ", "STS sts-vpc.cn-hangzhou.aliyuncs.com: "),
        ("ACR 127.0.0.1: ", "ACR cr-vpc.cn-hangzhou.aliyuncs.com: "),
        ("registry      127.0.0.1: ", &format!("registry      {ACME}: ")),
        ("  127.0.0.1: ", "  dockerauth-ee-vpc.cn-hangzhou.aliyuncs.com: "),
    ] {
        text = text.replace(of_the_test, of_a_node);
    }
    let pieces: Vec<&str> = text.split_inclusive(is_border).collect();
    let steady = |at: usize| {
        let next = pieces.get(at + 1).map_or("", |piece| piece.trim_end_matches(is_border));
        let before = at.checked_sub(1).map_or("", |at| pieces[at].trim_end_matches(is_border));
        let word = pieces[at].trim_end_matches(is_border);
        pieces[at].replacen(word, steady(before, word, next), 1)
    };
    (0..pieces.len()).map(steady).collect()
}

fn is_border(c: char) -> bool {
    " ,;()\n".contains(c)
}

/// A number before its unit, a time, an address and an id, as they might be.
fn steady<'t>(before: &str, word: &'t str, next: &str) -> &'t str {
    let is_number = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    let seconds: u32 = word.parse().unwrap_or_default();
    let is_id = word.len() == 36 && word.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    let is_time = word.len() == 20 && word.starts_with("20") && word.ends_with('Z');
    match word {
        _ if is_number && next == "ms" => "3",
        _ if is_time => "2026-12-01T04:00:00Z",
        _ if next == "s" && (3590..3600).contains(&seconds) => "3600",
        _ if before == "id" && is_id => "7B3A9C1E-52D4-4F0B-9E57-0D6A1B2C3D4E",
        "127.0.0.1" => "10.0.0.8",
        _ => word,
    }
}

/// Runs in a mount namespace of its own, where all files are at the places that they have on a node:
/// long lines are cut.
fn doctor(overlay: &str) -> String {
    let node = Node::new(overlay);
    let provider = Path::new("/etc/kubernetes/acr-credential-provider.yaml");
    let config = Path::new("/etc/aliyun-acr-credential-provider/config.yaml");
    let root = node.machine(provider, config);
    let text = fs::read_to_string(node.config()).unwrap();
    let cache = node.cache().display().to_string();
    let text = text.replace(&cache, "/run/aliyun-acr-credential-provider");
    fs::write(node.config(), text).unwrap();
    let script = format!(
        "mount -t tmpfs -o mode=755 none /etc && mount -t tmpfs -o mode=755 none /run && mkdir /etc/kubernetes {} && cp -p {} {} && cp {}/provider.yaml {} && exec {PROGRAM} doctor --image {ACME}/team/app:v1 --root {root}",
        config.parent().unwrap().display(),
        node.config().display(),
        config.display(),
        node.folder.display(),
        provider.display()
    );
    let mut exec = Exec::new("/usr/bin/unshare");
    exec.args = ["--mount", "/bin/sh", "-c", &script].map(str::to_owned).to_vec();
    exec.config_env = vec![("PATH".to_owned(), "/usr/sbin:/usr/bin:/sbin:/bin".to_owned())];
    let outcome = exec.run(&[]).unwrap();
    let text = String::from_utf8(outcome.stdout).unwrap();
    assert_eq!(node.cloud.leaks(&text), [], "{text}");
    as_on_a_node(&text, &node)
}

const ISSUER: &str = "--issuer=https://oidc.example.com/c1";
const TEAM_B: &str = "--service-account=team-b/app=team-b-puller";

/// What `render` writes for the configuration of the page on pod identity, to stdout and stderr.
fn rendered(arguments: &[&str]) -> (String, String) {
    let page = "docs/identities/pod-identity.md";
    let config = super::filled_in("yaml").into_iter().find(|block| block.path == page).unwrap();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("documents-teams.yaml");
    fs::write(&path, config.text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let mut exec = Exec::new(PROGRAM);
    let words = ["--config", path.to_str().unwrap(), "render"];
    exec.args = words.iter().chain(arguments).map(|word| (*word).to_owned()).collect();
    let outcome = exec.run(&[]).unwrap();
    let stderr = outcome.stderr_text();
    (String::from_utf8(outcome.stdout).unwrap(), stderr)
}

/// What `kubectl apply` prints of manifests, one after another: service accounts that are there get
/// their annotation, the rest is created.
fn applied(files: &[&str], account: &str) -> String {
    let mut text = String::new();
    for file in files {
        let manifests = fs::read_to_string(root().join("config/teams").join(file)).unwrap();
        let objects: Vec<Json> = serde_saphyr::from_multiple(&manifests).unwrap();
        for object in objects {
            let kind = object["kind"].as_str().unwrap().to_lowercase();
            let name = object["metadata"]["name"].as_str().unwrap();
            let group = object["apiVersion"].as_str().unwrap().split_once('/');
            let group = group.map_or(String::new(), |(group, _)| format!(".{group}"));
            let outcome = if kind == "serviceaccount" { account } else { "created" };
            writeln!(text, "{kind}{group}/{name} {outcome}").unwrap();
        }
    }
    text
}

fn sample(name: &str) -> String {
    match name {
        "doctor, all is well" => doctor("{registry: {local-realm: true}}"),
        "doctor, the trust policy is missing" => doctor(&format!(
            "{{registry: {{local-realm: true}}, accounts: {{\"{}\": {{roles: {{acr-puller: {{trust: {{Version: \"1\", Statement: []}}}}}}}}}}}}",
            standard::REGISTRY_ACCOUNT
        )),
        "teams, ram-policy of team-b" => rendered(&["ram-policy", TEAM_B, ISSUER]).0,
        "teams, rbac of team-b" => rendered(&["rbac", TEAM_B, ISSUER]).0,
        "teams, trust of acr-puller" => {
            let accounts = ["team-a/app=team-a-puller", "team-a/jobs=team-a-puller"];
            let [first, second] = accounts.map(|account| format!("--service-account={account}"));
            let other = "--service-account=team-c/app=team-c-puller";
            let text = rendered(&["ram-policy", ISSUER, &first, &second, TEAM_B, other]).0;
            let all: Vec<Json> = serde_json::from_str(&text).unwrap();
            let is_it = |one: &&Json| one["attachTo"] == standard::PULLER && one["kind"] == "trust";
            serde_json::to_string_pretty(all.iter().find(is_it).unwrap()).unwrap()
        }
        "teams, a role that is not allowed" => {
            rendered(&["ram-policy", "--service-account=team-d/app=team-d-reader"]).1
        }
        "teams, applied team-b" => applied(&["team-b.yaml"], "configured"),
        "teams, applied all" => applied(&["team-a.yaml", "team-b.yaml", "team-c.yaml"], "created"),
        path => {
            let text = fs::read_to_string(root().join(path));
            let text = text.unwrap_or_else(|why| panic!("sample {path}: {why}"));
            text.replace("<sts>", "sts-vpc.cn-hangzhou.aliyuncs.com")
                .replace("<request id>", "7B3A9C1E-52D4-4F0B-9E57-0D6A1B2C3D4E")
        }
    }
}

#[test]
fn samples_are_what_the_program_prints() {
    let mut seen = 0;
    for document in all() {
        let mut parts = document.text.split(MARK);
        let mut written = parts.next().unwrap().to_owned();
        for part in parts {
            seen += 1;
            let (name, rest) = part.split_once(FENCE).expect("a block after the comment");
            let (_, rest) = rest.split_once("```\n").expect("the block's end");
            let text = sample(name);
            write!(written, "{MARK}{name}{FENCE}{}\n```\n{rest}", text.trim_end()).unwrap();
        }
        if std::env::var_os("BLESS").is_some() {
            fs::write(root().join(&document.path), written).unwrap();
        } else {
            let hint = "run BLESS=1 cargo test --test it documents";
            assert_eq!(document.text, written, "{}: {hint}", document.path);
        }
    }
    assert!(seen >= 3, "only {seen} samples");
}
