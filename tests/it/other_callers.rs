//! Programs other than the kubelet that run its plugins (docs/other-callers.md), played by stand-ins that
//! do what the sources of these programs do. The real binary runs on a read-only root.

use serde_json::{Value as Json, json};
use simulation::cloud::standard;
use simulation::kubelet::{Exec, Exit};

use crate::node::{ACME, Node, V1};

const DIGEST: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

/// Makes every file system that it sees read-only, and drops every capability.
const CONTAINER: &str = "mount --make-rprivate /; mount -o remount,bind,ro /; exec setpriv --bounding-set=-all --inh-caps=-all \"$@\"";

/// How a caller gives the settings.
#[derive(Clone, Copy)]
enum Settings {
    Arguments,
    Environment,
}

/// What a caller passes on, and how it writes an image.
struct Caller {
    environment: &'static [(&'static str, &'static str)],
    image: String,
    /// What follows the JSON.
    end: &'static str,
}

/// Runs the plugin as the caller does and returns its answer, which comes with nothing on stderr.
fn answer(node: &Node, caller: &Caller, settings: Settings) -> Json {
    let plugin = node.exec(&[]).program;
    let config = node.config().display().to_string();
    let mut exec = Exec::new("/usr/bin/unshare");
    let words = ["--mount", "/bin/sh", "-euc", CONTAINER, "sh"].map(str::to_owned);
    exec.args = [words.to_vec(), vec![plugin.display().to_string()]].concat();
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    exec.kubelet_env = caller.environment.iter().map(pair).collect();
    match settings {
        Settings::Arguments => exec.args.extend(["--config".to_owned(), config]),
        Settings::Environment => {
            exec.config_env = vec![("ACR_CREDENTIAL_PROVIDER_CONFIG".to_owned(), config)];
        }
    }
    let request =
        json!({"kind": "CredentialProviderRequest", "apiVersion": V1, "image": caller.image});
    let outcome = exec.run(format!("{request}{}", caller.end).as_bytes()).unwrap();
    assert_eq!((outcome.exit, outcome.stderr_text().as_str()), (Exit::Code(0), ""));
    serde_json::from_slice(&outcome.stdout).unwrap()
}

/// The one login of an answer, under the very host, which pulls.
fn pulls(node: &Node, answer: &Json) {
    assert_eq!(
        (&answer["apiVersion"], &answer["kind"]),
        (&json!(V1), &json!("CredentialProviderResponse"))
    );
    let logins = answer["auth"].as_object().unwrap();
    let (key, login) = logins.iter().next().unwrap();
    assert_eq!((logins.len(), key.as_str()), (1, ACME));
    let text = |name: &str| login[name].as_str().unwrap();
    node.cloud
        .login_allows_pull(text("username"), text("password"), standard::ACME, "team/app")
        .unwrap();
}

/// The kubelet's own library: the repository alone, strict decoding, every key that matches.
#[test]
fn kruise_daemon_pulls() {
    for settings in [Settings::Arguments, Settings::Environment] {
        let node = Node::new("{}");
        let caller = Caller {
            environment: &[("NODE_NAME", "node-1")],
            image: format!("{ACME}/team/app"),
            end: "\n",
        };
        let found = answer(&node, &caller, settings);
        pulls(&node, &found);
        let known = ["apiVersion", "auth", "cacheDuration", "cacheKeyType", "kind"];
        assert!(found.as_object().unwrap().keys().all(|key| known.contains(&key.as_str())));
    }
}

/// The image with tag and digest, nothing behind the JSON, keys compared as they are.
#[test]
fn nydus_snapshotter_pulls() {
    for settings in [Settings::Arguments, Settings::Environment] {
        let node = Node::new("{}");
        for reference in [":v1".to_owned(), format!("@{DIGEST}"), format!(":v1@{DIGEST}")] {
            let image = format!("{ACME}/team/app{reference}");
            let caller = Caller { environment: &[("HOME", "/root")], image, end: "" };
            pulls(&node, &answer(&node, &caller, settings));
        }
    }
}

/// It throws the answer away at any text on stderr.
#[test]
fn an_image_of_others_gets_no_login_and_no_text() {
    let node = Node::new("{}");
    let caller = Caller { environment: &[], image: "docker.io/library/nginx".to_owned(), end: "" };
    assert_eq!(answer(&node, &caller, Settings::Environment)["auth"], Json::Null);
}
