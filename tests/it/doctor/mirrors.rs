//! Mirrors in the files of containerd and CRI-O, on nodes whose files are below a root.

use std::fs;
use std::path::Path;

use serde_json::Value as Json;

use super::{WELL, doctor, lines, text};
use crate::node::{ACME, Node};

const OWN: &str = "/etc/containerd/certs.d/acme-registry.cn-hangzhou.cr.aliyuncs.com/hosts.toml";
const MIRROR: &str =
    "[host.\"https://mirror.example\"]\n  capabilities = [\"pull\", \"resolve\"]\n";

/// A node that is well, with these files.
fn node(files: &[(&str, &str)], entry: &str) -> (Node, String) {
    let node = Node::new(WELL);
    if !entry.is_empty() {
        let text = fs::read_to_string(node.config()).unwrap();
        let domains = text.lines().find(|line| line.contains("domains:")).unwrap().to_owned();
        let indent = &domains[..domains.len() - domains.trim_start_matches([' ', '-']).len()];
        let with = format!("{domains}\n{}{entry}", indent.replace('-', " "));
        fs::write(node.config(), text.replace(&domains, &with)).unwrap();
    }
    let root = node.machine(&node.folder.join("provider.yaml"), &node.config());
    for (path, text) in files {
        let place = Path::new(&root).join(path.trim_start_matches('/'));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, text).unwrap();
    }
    (node, root)
}

/// The check of mirrors, if there is one.
fn found(files: &[(&str, &str)], entry: &str) -> Option<Json> {
    let (node, root) = node(files, entry);
    let (code, document) = doctor(&node, &["--root", &root]);
    assert_eq!(code, 0, "a pull works: {document:#}");
    let checks = document["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == "mirrors").cloned()
}

fn warned(files: &[(&str, &str)], entry: &str, says: &[&str]) {
    let check = found(files, entry).unwrap();
    let details = lines(&check, "details");
    assert_eq!(check["status"], "warning", "{details}");
    let all = format!("{details}\n{}", lines(&check, "remedies"));
    for words in says {
        assert!(all.contains(words), "{words}\n{all}");
    }
}

fn well(files: &[(&str, &str)], entry: &str) -> String {
    let check = found(files, entry).unwrap();
    let details = lines(&check, "details");
    assert_eq!(check["status"], "ok", "{details}");
    details
}

#[test]
fn a_mirror_that_is_not_configured_gets_the_login() {
    warned(
        &[(OWN, MIRROR)],
        "",
        &[
            "containerd gives the login of acme-registry.cn-hangzhou.cr.aliyuncs.com to mirror.example",
            "list it in `mirrors`",
            "certs.d/acme-registry.cn-hangzhou.cr.aliyuncs.com/hosts.toml",
        ],
    );
    let details = well(&[(OWN, MIRROR)], "mirrors: mirror.example");
    assert!(details.contains("containerd asks mirror.example for images of "), "{details}");
}

#[test]
fn a_mirror_over_http_gets_the_login_in_clear() {
    let clear = MIRROR.replace("https:", "http:");
    warned(&[(OWN, &clear)], "mirrors: mirror.example", &["in clear, over http", "use https for"]);
    let unchecked = format!("{MIRROR}  skip_verify = true\n");
    warned(&[(OWN, &unchecked)], "mirrors: mirror.example", &["does not check its certificate"]);
    // Nobody else is on the way.
    let own = "[host.\"http://127.0.0.1:30020\"]\n";
    warned(&[(OWN, own)], "", &["to 127.0.0.1:30020, which is in neither"]);
    let check = found(&[(OWN, own)], "").unwrap();
    assert!(!lines(&check, "details").contains("in clear"));
}

#[test]
fn other_hosts_of_the_same_instance_are_not_mirrors_of_others() {
    let own = MIRROR.replace("mirror.example", &ACME.replace("-registry.", "-registry-vpc."));
    well(&[(OWN, &own)], "");
    let other = MIRROR.replace("mirror.example", &ACME.replace("acme-", "evil-"));
    warned(&[(OWN, &other)], "", &["evil-registry.cn-hangzhou"]);
}

/// Which folder counts is in containerd's configuration, and which configuration on its command line.
#[test]
fn hosts_toml_is_looked_for_where_containerd_looks() {
    const CONFIG: &str = "/etc/containerd/config.toml";
    let at = |folder: &str| format!("{folder}/{ACME}/hosts.toml");
    for (config, folder) in [
        (
            "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"/x:/y\"\n",
            "/y",
        ),
        (
            "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/z/'\n",
            "/z",
        ),
        (
            "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"\"\n",
            "/etc/containerd/certs.d",
        ),
    ] {
        warned(&[(CONFIG, config), (&at(folder), MIRROR)], "", &["mirror.example"]);
        assert!(found(&[(CONFIG, config), (&at("/elsewhere"), MIRROR)], "").is_none(), "{config}");
    }
    let config = "[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"/k3s\"\n";
    let k3s = [
        ("/proc/2/comm", "containerd\n"),
        ("/proc/2/cmdline", "/bin/containerd\0-c\0/k3s/config.toml\0"),
        ("/k3s/config.toml", config),
        (&at("/k3s"), MIRROR),
    ];
    warned(&k3s, "", &["mirror.example"]);
    warned(&[("/etc/containerd/certs.d/_default/hosts.toml", MIRROR)], "", &["_default"]);
    // Its own folder comes first.
    let default = ("/etc/containerd/certs.d/_default/hosts.toml", MIRROR);
    assert!(found(&[default, (OWN, "server = \"https://x.example\"\n")], "").is_none());
    let push = MIRROR.replace("[\"pull\", \"resolve\"]", "[\"push\"]");
    assert!(found(&[(OWN, &push)], "").is_none());
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_not_quoted() {
    let wrong = "[host.\"https://mirror.example\"]\n  header = {authorization = \"hunter2\"\n";
    let check = found(&[(OWN, wrong)], "").unwrap();
    let details = lines(&check, "details");
    assert!(details.contains("hosts.toml are not known: line "), "{details}");
    assert!(!details.contains("hunter2"), "{details}");
}

#[test]
fn crio_and_a_host_that_is_insecure() {
    let registries = "unqualified-search-registries = [\"docker.io\"]\n[[registry]]\nprefix = \"*.cr.aliyuncs.com\"\nlocation = \"x.example\"\ninsecure = true\n[[registry.mirror]]\nlocation = \"mirror.example\"\n";
    let file = ("/etc/containers/registries.conf.d/50-acr.conf", registries);
    assert!(found(&[file], "").is_none(), "CRI-O does not run");
    let crio = ("/proc/3/comm", "crio\n");
    let line = ("/proc/3/cmdline", "/usr/bin/crio\0");
    warned(&[file, crio, line], "", &["CRI-O may send the login", "50-acr.conf"]);
    let safe = registries.replace("true", "false");
    assert!(found(&[(file.0, &safe), crio, line], "").is_none());
}

#[test]
fn a_person_reads_it_in_the_verdict() {
    let (node, root) = node(&[(OWN, MIRROR)], "");
    let text = text(&node, &["--root", &root]);
    assert!(text.ends_with("\nNo check failed. Warnings: mirrors.\n"), "{text}");
}
