//! Programs other than the kubelet that run its plugins (docs/other-callers.md), played by stand-ins that
//! do what the sources of these programs do. The real binary runs on a read-only root, without
//! capabilities.

mod situations;

use std::path::Path;

use serde_json::{Value as Json, json};
use simulation::cloud::standard;
use simulation::kubelet::{Exec, Exit, Outcome};

use crate::node::{ACME, Node, V1};

const GROUP: &str = "credentialprovider.kubelet.k8s.io";
const DIGEST: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const SAMPLE: &str = "config/callers/credential-provider-config.json";

/// Makes every file system that it sees read-only but the folders in front of `--`, and drops every
/// capability.
const CONTAINER: &str = r#"
    mount --make-rprivate /
    while [ "$1" != -- ]; do mount --bind "$1" "$1"; shift; done
    shift
    mount -o remount,bind,ro /
    exec setpriv --bounding-set=-all --inh-caps=-all "$@""#;

/// How a caller gives the settings.
#[derive(Clone, Copy)]
enum Settings {
    Arguments,
    Environment,
}

const BOTH: [Settings; 2] = [Settings::Arguments, Settings::Environment];

/// A program in such a container, with folders that can be written to.
fn contained(program: &Path, writable: &[&Path]) -> Exec {
    let mut exec = Exec::new("/usr/bin/unshare");
    let words = ["--mount", "/bin/sh", "-euc", CONTAINER, "sh"].into_iter();
    let writable = writable.iter().map(|folder| folder.to_str().unwrap());
    let words = words.chain(writable).chain(["--", program.to_str().unwrap()]);
    exec.args = words.map(str::to_owned).collect();
    exec
}

/// The plugin of a node as a caller runs it.
fn plugin(node: &Node, settings: Settings) -> Exec {
    let mut exec = contained(&node.exec(&[]).program, &[]);
    let config = node.config().display().to_string();
    match settings {
        Settings::Arguments => exec.args.extend(["--config".to_owned(), config]),
        Settings::Environment => {
            exec.config_env = vec![("ACR_CREDENTIAL_PROVIDER_CONFIG".to_owned(), config)];
        }
    }
    exec
}

fn request(version: &str, image: &str) -> String {
    json!({"kind": "CredentialProviderRequest", "apiVersion": version, "image": image}).to_string()
}

/// The answer to a request, which comes with nothing on stderr.
fn answer(exec: &Exec, request: &str) -> Json {
    let outcome = exec.run(request.as_bytes()).unwrap();
    assert_eq!((outcome.exit, outcome.stderr_text().as_str()), (Exit::Code(0), ""));
    serde_json::from_slice(&outcome.stdout).unwrap()
}

/// The one login of an answer, under the very host, which pulls.
fn pulls(node: &Node, answer: &Json) {
    assert_eq!(
        (&answer["apiVersion"], &answer["kind"]),
        (&json!(V1), &json!("CredentialProviderResponse"))
    );
    login_pulls(node, ACME, answer);
}

fn login_pulls(node: &Node, host: &str, answer: &Json) {
    let logins = answer["auth"].as_object().unwrap();
    let (key, login) = logins.iter().next().unwrap();
    assert_eq!((logins.len(), key.as_str()), (1, host));
    let text = |name: &str| login[name].as_str().unwrap();
    node.cloud
        .login_allows_pull(text("username"), text("password"), standard::ACME, "team/app")
        .unwrap();
}

/// An image as people write it: by tag, by digest, and by both.
fn references() -> [String; 3] {
    [":v1".to_owned(), format!("@{DIGEST}"), format!(":v1@{DIGEST}")]
        .map(|reference| format!("{ACME}/team/app{reference}"))
}

/// The kubelet's own library: the repository alone, strict decoding, every key that matches, each of
/// the three versions.
#[test]
fn kruise_daemon_pulls() {
    for settings in BOTH {
        let node = Node::new("{}");
        let mut exec = plugin(&node, settings);
        exec.kubelet_env = vec![("NODE_NAME".to_owned(), "node-1".to_owned())];
        let image = format!("{ACME}/team/app");
        let found = answer(&exec, &format!("{}\n", request(V1, &image)));
        pulls(&node, &found);
        let known = ["apiVersion", "auth", "cacheDuration", "cacheKeyType", "kind"];
        assert!(found.as_object().unwrap().keys().all(|key| known.contains(&key.as_str())));
        for version in ["v1alpha1", "v1beta1", "v1"] {
            let version = format!("{GROUP}/{version}");
            assert_eq!(answer(&exec, &request(&version, &image))["apiVersion"], version);
        }
    }
}

/// The image with tag and digest, nothing behind the JSON, keys compared as they are.
#[test]
fn nydus_snapshotter_pulls() {
    for settings in BOTH {
        let node = Node::new("{}");
        let mut exec = plugin(&node, settings);
        exec.kubelet_env = vec![("HOME".to_owned(), "/root".to_owned())];
        for image in references() {
            pulls(&node, &answer(&exec, &request(V1, &image)));
        }
    }
}

/// A configuration in JSON, keys in the order of the alphabet, and whichever login comes first, whatever
/// its key, version and duration say.
#[test]
fn warm_metal_pulls() {
    let node = Node::new("{}");
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(SAMPLE)).unwrap();
    let configuration: Json = serde_json::from_str(&text).unwrap();
    let provider = &configuration["providers"][0];
    assert!(
        provider["matchImages"].as_array().unwrap().iter().all(|it| !it.to_string().contains('/'))
    );
    let version = provider["apiVersion"].as_str().unwrap();
    let exec = plugin(&node, Settings::Arguments);
    let image = format!("{ACME}/team/app");
    let request = format!(
        r#"{{"apiVersion":"{version}","image":"{image}","kind":"CredentialProviderRequest"}}"#
    );
    login_pulls(&node, ACME, &answer(&exec, &request));
    // A configuration without apiVersion: it is copied into the request as it is.
    let outcome = exec.run(request.replace(version, "").as_bytes()).unwrap();
    refuses_the_version(&outcome);
}

/// A file of this name in the plugins' folder is run by docker's protocol.
#[test]
fn warm_metal_pulls_by_dockers_protocol() {
    let node = Node::new("{}");
    let helper = node.folder.join("docker-credential-acr");
    std::os::unix::fs::symlink(node.exec(&[]).program, &helper).unwrap();
    let mut exec = contained(&helper, &[]);
    exec.args.push("get".to_owned());
    let config = node.config().display().to_string();
    exec.config_env = vec![("ACR_CREDENTIAL_PROVIDER_CONFIG".to_owned(), config)];
    let login = answer(&exec, ACME);
    let text = |name: &str| login[name].as_str().unwrap();
    node.cloud
        .login_allows_pull(text("Username"), text("Secret"), standard::ACME, "team/app")
        .unwrap();
}

/// The image as it stands in the person's list, settings by arguments alone, and the answer's version
/// checked.
#[test]
fn image_prefetcher_pulls() {
    let node = Node::new("{}");
    let exec = plugin(&node, Settings::Arguments);
    for image in references() {
        pulls(&node, &answer(&exec, &request(V1, &image)));
    }
    for image in ["nginx", "nginx:1.27", &format!("team/app@{DIGEST}")] {
        assert_eq!(answer(&exec, &request(V1, image))["auth"], Json::Null, "{image}");
    }
    // Until 2026-06 it sent neither kind nor version.
    let image = &references()[0];
    refuses_the_version(&exec.run(json!({"image": image}).to_string().as_bytes()).unwrap());
}

/// Decided on purpose: a version is not guessed.
fn refuses_the_version(outcome: &Outcome) {
    assert_eq!((outcome.exit, outcome.stdout.as_slice()), (Exit::Code(2), &b""[..]));
    let stderr = outcome.stderr_text();
    assert!(stderr.starts_with("error: the request on stdin has "), "{stderr}");
    assert!(stderr.contains("has no kind") || stderr.contains("has no apiVersion"), "{stderr}");
}

/// Every login whose key matches, in any order, each as a Basic header; none if a byte is on stderr.
#[test]
fn noe_reads_the_registry() {
    let node = Node::new("{}");
    let exec = plugin(&node, Settings::Environment);
    for version in ["v1alpha1", "v1beta1", "v1"] {
        let version = format!("{GROUP}/{version}");
        let found = answer(&exec, &request(&version, &format!("{ACME}/team/app")));
        assert_eq!(found["apiVersion"], version);
        login_pulls(&node, ACME, &found);
    }
    assert_eq!(answer(&exec, &request(V1, "docker.io/library/nginx"))["auth"], Json::Null);
}

/// It asks for the image and for the same path at each of its mirrors. An error for one of them takes
/// the login of the other with it.
#[test]
fn dynamic_credential_provider_pulls() {
    const MIRROR: &str = "mirror.example.com:5000";
    let node = Node::new("{}");
    let exec = plugin(&node, Settings::Environment);
    let image = |host: &str| format!("{host}/team/app");
    pulls(&node, &answer(&exec, &request(V1, &image(ACME))));
    assert_eq!(answer(&exec, &request(V1, &image(MIRROR)))["auth"], Json::Null);
    let entry = crate::node::entry(ACME, standard::ACME, standard::PULLER);
    node.configure(&format!("{entry}    mirrors: \"{MIRROR}\"\n"));
    login_pulls(&node, MIRROR, &answer(&exec, &request(V1, &image(MIRROR))));
}

/// Docker Hub as its library writes it, the first login for whatever was asked.
#[test]
fn wharfie_pulls() {
    let node = Node::new("{}");
    let exec = plugin(&node, Settings::Arguments);
    pulls(&node, &answer(&exec, &request(V1, &format!("{ACME}/team/app"))));
    let hub = request(V1, "index.docker.io/library/nginx");
    assert_eq!(answer(&exec, &hub)["auth"], Json::Null);
}

/// Version v1 alone, at most 1 MiB of answer, and the answer's version checked.
#[test]
fn agent_substrate_pulls() {
    for settings in BOTH {
        let node = Node::new("{}");
        let exec = plugin(&node, settings);
        let outcome = exec.run(request(V1, &references()[0]).as_bytes()).unwrap();
        assert!(outcome.stdout.len() < 1024 * 1024);
        pulls(&node, &serde_json::from_slice(&outcome.stdout).unwrap());
    }
}

/// One program by its path: no arguments, no configuration of plugins, its own environment. It takes
/// whichever login comes first.
#[test]
fn a_fork_of_soci_snapshotter_pulls() {
    let node = Node::new("{}");
    let mut exec = contained(&node.exec(&[]).program, &[]);
    let config = node.config().display().to_string();
    exec.kubelet_env = vec![
        ("HOME".to_owned(), "/root".to_owned()),
        ("ACR_CREDENTIAL_PROVIDER_CONFIG".to_owned(), config),
    ];
    login_pulls(&node, ACME, &answer(&exec, &request(V1, &format!("{ACME}/team/app:v1"))));
}
