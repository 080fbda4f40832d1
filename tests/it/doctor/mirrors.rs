//! Mirrors in the files of containerd and CRI-O, on nodes whose files are below a root.

use std::fs;
use std::path::Path;

use serde_json::Value as Json;

use super::{WELL, doctor, lines, text};
use crate::node::{ACME, Node};

const OWN: &str = "/etc/containerd/certs.d/acme-registry.cn-hangzhou.cr.aliyuncs.com/hosts.toml";
const CONFIG: &str = "/etc/containerd/config.toml";
const PATH: &str =
    "[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"/etc/containerd/certs.d\"\n";
/// containerd reads `hosts.toml` where its configuration names the folder.
const CERTS: (&str, &str) = (CONFIG, PATH);
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
        &[CERTS, (OWN, MIRROR)],
        "",
        &[
            "containerd gives the login of acme-registry.cn-hangzhou.cr.aliyuncs.com to mirror.example",
            "list it in `mirrors`",
            "certs.d/acme-registry.cn-hangzhou.cr.aliyuncs.com/hosts.toml",
        ],
    );
    let details = well(&[CERTS, (OWN, MIRROR)], "mirrors: mirror.example");
    assert!(details.contains("containerd asks mirror.example for images of "), "{details}");
}

#[test]
fn a_mirror_over_http_gets_the_login_in_clear() {
    let clear = MIRROR.replace("https:", "http:");
    warned(
        &[CERTS, (OWN, &clear)],
        "mirrors: mirror.example",
        &["in clear, over http", "use https for"],
    );
    let unchecked = format!("{MIRROR}  skip_verify = true\n");
    warned(
        &[CERTS, (OWN, &unchecked)],
        "mirrors: mirror.example",
        &["does not check its certificate"],
    );
    // Nobody else is on the way.
    let own = "[host.\"http://127.0.0.1:30020\"]\n";
    warned(&[CERTS, (OWN, own)], "", &["to 127.0.0.1:30020, which is in neither"]);
    let check = found(&[CERTS, (OWN, own)], "").unwrap();
    assert!(!lines(&check, "details").contains("in clear"));
}

#[test]
fn other_hosts_of_the_same_instance_are_not_mirrors_of_others() {
    let own = MIRROR.replace("mirror.example", &ACME.replace("-registry.", "-registry-vpc."));
    well(&[CERTS, (OWN, &own)], "");
    let other = MIRROR.replace("mirror.example", &ACME.replace("acme-", "evil-"));
    warned(&[CERTS, (OWN, &other)], "", &["evil-registry.cn-hangzhou"]);
}

/// Which folder counts is in containerd's configuration, and which configuration on its command line.
#[test]
fn hosts_toml_is_looked_for_where_containerd_looks() {
    const IMPORTED: &str =
        "[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"/imported\"\n";
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
            "imports = [\"conf.d/*.toml\"]\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"/x\"\n",
            "/imported",
        ),
        ("version = 1\n[plugins.cri.registry]\nconfig_path = \"/v1\"\n", "/v1"),
    ] {
        let drop_in = ("/etc/containerd/conf.d/90-acr.toml", IMPORTED);

        warned(&[(CONFIG, config), drop_in, (&at(folder), MIRROR)], "", &["mirror.example"]);
        let elsewhere = (&*at("/elsewhere"), MIRROR);
        assert!(found(&[(CONFIG, config), drop_in, elsewhere], "").is_none(), "{config}");
    }
    // Without `config_path` none of containerd 1.6, 1.7 and 2.1 reads them.
    for config in ["version = 2\n", &PATH.replace("/etc/containerd/certs.d", "")] {
        assert!(found(&[(CONFIG, config), (OWN, MIRROR)], "").is_none(), "{config}");
    }
    let config = "[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"/k3s\"\n";
    let k3s = [
        ("/proc/2/comm", "containerd\n"),
        ("/proc/2/cmdline", "/bin/containerd\0-c\0/k3s/config.toml\0"),
        ("/k3s/config.toml", config),
        (&at("/k3s"), MIRROR),
    ];
    warned(&k3s, "", &["mirror.example"]);
    let default = ("/etc/containerd/certs.d/_default/hosts.toml", MIRROR);
    warned(&[CERTS, default], "", &["_default"]);
    // Its own folder comes first.
    assert!(found(&[CERTS, default, (OWN, "")], "").is_none());
    let push = MIRROR.replace("[\"pull\", \"resolve\"]", "[\"push\"]");
    assert!(found(&[CERTS, (OWN, &push)], "").is_none());
}

/// It is asked last, in place of the registry, and gets the login as well.
#[test]
fn the_server_of_hosts_toml_gets_the_login() {
    let server = |url: &str, more: &str| format!("server = \"{url}\"\n{more}\n{MIRROR}");
    let named = "mirrors: mirror.example";
    for (url, more, says) in [
        ("https://x.example/v2", "", "to x.example, which is in neither"),
        (&format!("http://{ACME}"), "", "in clear, over http"),
        (&format!("https://{ACME}"), "skip_verify = true", "does not check its certificate"),
    ] {
        warned(&[CERTS, (OWN, &server(url, more))], named, &[says]);
    }
    for (url, more) in [
        (&*format!("https://{ACME}"), ""),
        (ACME, ""),
        ("https://x.example", "capabilities = [\"push\"]"),
    ] {
        let details = well(&[CERTS, (OWN, &server(url, more))], named);
        assert_eq!(details.lines().count(), 1, "{details}");
    }
    warned(&[CERTS, (OWN, "server = \"https://x.example\"\n")], "", &["x.example"]);
}

/// The form before `hosts.toml`: the file has it itself, and it counts without `config_path` alone.
#[test]
fn mirrors_in_containerds_own_configuration() {
    let registry = "[plugins.\"io.containerd.grpc.v1.cri\".registry";
    for host in [ACME, "*"] {
        let mirrors =
            format!("{registry}.mirrors.\"{host}\"]\nendpoint = [\"http://m.example\"]\n");
        let file = (CONFIG, mirrors.as_str());
        warned(&[file], "", &["in clear, over http", "to m.example, which is in neither", CONFIG]);
        let with_path = format!("{mirrors}{registry}]\nconfig_path = \"/x\"\n");
        assert!(found(&[(CONFIG, &with_path)], "").is_none());
    }
    let other = format!("{registry}.mirrors.\"quay.io\"]\nendpoint = [\"http://m.example\"]\n");
    assert!(found(&[(CONFIG, &other)], "").is_none());
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_not_quoted() {
    let wrong = "[host.\"https://mirror.example\"]\n  header = {authorization = \"hunter2\"\n";
    let check = found(&[CERTS, (OWN, wrong)], "").unwrap();
    let details = lines(&check, "details");
    assert!(details.contains("hosts.toml are not known: line "), "{details}");
    assert!(!details.contains("hunter2"), "{details}");
}

#[test]
fn crio_and_a_host_that_is_insecure() {
    let registries = "unqualified-search-registries = [\"docker.io\"]\n[[registry]]\nprefix = \"*.cr.aliyuncs.com\"\ninsecure = true\n[[registry.mirror]]\nlocation = \"mirror.example\"\n";
    let file = ("/etc/containers/registries.conf.d/50-acr.conf", registries);
    assert!(found(&[file], "").is_none(), "CRI-O does not run");
    let crio = ("/proc/3/comm", "crio\n");
    let line = ("/proc/3/cmdline", "/usr/bin/crio\0");
    warned(&[file, crio, line], "", &["CRI-O may send the login", "50-acr.conf"]);
    let safe = registries.replace("true", "false");
    assert!(found(&[(file.0, &safe), crio, line], "").is_none());
    // A later file replaces it.
    let later = ("/etc/containers/registries.conf.d/60-acr.conf", safe.as_str());
    assert!(found(&[file, later, crio, line], "").is_none());
    // Another host in its place gets no login.
    let elsewhere = registries.replace("insecure", "location = \"x.example\"\ninsecure");
    assert!(found(&[(file.0, &elsewhere), crio, line], "").is_none());
    let old = format!("[registries.insecure]\nregistries = ['quay.io', '{ACME}']\n");
    let old = ("/etc/containers/registries.conf", old.as_str());
    warned(&[old, crio, line], "", &["CRI-O may send the login", old.0]);
    let mirror =
        format!("{safe}[[registry.mirror]]\nlocation = \"{ACME}/copy\"\ninsecure = true\n");
    warned(&[(file.0, &mirror), crio, line], "", &["CRI-O may send the login"]);
}

#[test]
fn a_person_reads_it_in_the_verdict() {
    let (node, root) = node(&[CERTS, (OWN, MIRROR)], "");
    let text = text(&node, &["--root", &root]);
    assert!(text.ends_with("\nNo check failed. Warnings: mirrors.\n"), "{text}");
}
