//! Where such a program runs the plugin: containers that lack what a node has.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use simulation::cloud::{Cloud, Hop, standard};
use simulation::kubelet::Exit;

use super::{Settings, answer, contained, login_pulls, plugin, pulls, request};
use crate::hosts_asked::Proxy;
use crate::node::{ACME, Node, V1};
use crate::{PROGRAM, copied};

const IMAGE: &str = "acme-registry.cn-hangzhou.cr.aliyuncs.com/team/app";

fn config(node: &Node) -> [String; 2] {
    ["--config".to_owned(), node.config().display().to_string()]
}

/// The second run has its login from the cache; without the mount nothing is kept.
#[test]
fn a_cache_that_is_mounted_is_used() {
    for (is_mounted, calls) in [(true, 1), (false, 2)] {
        let node = Node::new("{}");
        fs::create_dir(node.cache()).unwrap();
        let cache = node.cache();
        let writable: &[&Path] = if is_mounted { &[&cache] } else { &[] };
        let mut exec = contained(Path::new(PROGRAM), writable);
        exec.args.extend(config(&node));
        for _ in 0..2 {
            pulls(&node, &answer(&exec, &request(V1, IMAGE)));
        }
        assert_eq!(node.calls(Hop::GetAuthorizationToken), calls);
        assert_eq!(node.kept("login").len(), usize::from(is_mounted));
    }
}

/// The one folder that kruise-daemon mounts has the program and, beside it, its configuration.
#[test]
fn the_configuration_beside_the_program_is_used() {
    let node = Node::new("{}");
    let plugins = node.folder.join("plugins");
    fs::create_dir(&plugins).unwrap();
    let (program, file) =
        (plugins.join("aliyun-acr-credential-provider"), plugins.join("config.yaml"));
    copied(PROGRAM, &program);
    fs::rename(node.config(), &file).unwrap();
    let mut exec = contained(&program, &[]);
    exec.args.extend(["--config".to_owned(), file.display().to_string()]);
    pulls(&node, &answer(&exec, &request(V1, IMAGE)));
}

/// Without a file: the variables that RRSA's webhook puts into a pod, and the way out of the cluster.
#[test]
fn the_variables_of_rrsa_are_enough() {
    const HOST: &str = "inhouse-registry.cn-hangzhou.cr.aliyuncs.com";
    let cloud = Cloud::with("tls: true");
    let proxy = Proxy::start(&cloud, &[]);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("rrsa-variables");
    fs::create_dir_all(&folder).unwrap();
    let (ca, token) = (folder.join("ca.pem"), folder.join("token"));
    fs::write(&ca, cloud.ca_pem().unwrap()).unwrap();
    let minted = cloud.service_account_token(standard::OIDC_PROVIDER, "team-a", "app").mint();
    fs::write(&token, minted).unwrap();
    let mut exec = contained(Path::new(PROGRAM), &[]);
    exec.kubelet_env = [
        ("ALIBABA_CLOUD_ROLE_ARN", "acs:ram::1000000000000001:role/team-a-puller"),
        ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", standard::OIDC_PROVIDER),
        ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", token.to_str().unwrap()),
        ("HTTPS_PROXY", &format!("http://{}", proxy.address)),
        ("SSL_CERT_FILE", ca.to_str().unwrap()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    let found = answer(&exec, &request(V1, &format!("{HOST}/team/app")));
    let login = &found["auth"][HOST];
    let text = |name: &str| login[name].as_str().unwrap();
    let instance = "cri-inhouse000000001";
    cloud.login_allows_pull(text("username"), text("password"), instance, "team/app").unwrap();
    assert_eq!(cloud.violations(), []);
}

/// 50m of CPU: it runs for 5 milliseconds of each 100.
#[test]
fn a_twentieth_of_a_processor_is_enough() {
    let node = Node::new("{}");
    let mut child = Command::new(PROGRAM)
        .args(config(&node))
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(request(V1, IMAGE).as_bytes()).unwrap();
    let pid = Pid::from_child(&child);
    while child.try_wait().unwrap().is_none() {
        kill_process(pid, Signal::STOP).unwrap();
        thread::sleep(Duration::from_millis(95));
        kill_process(pid, Signal::CONT).unwrap();
        thread::sleep(Duration::from_millis(5));
    }
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    pulls(&node, &serde_json::from_str(&text).unwrap());
}

/// A caller that does not read `cacheDuration` keeps what it got. As long as the cloud answers, a login
/// from the cache has 13.5 minutes of its hour left, or three tenths of a shorter life.
#[test]
fn a_login_from_the_cache_has_life_left() {
    for (role_minutes, least) in [(60, 810), (15, 270)] {
        let mut node = Node::new("{}");
        let entry = crate::node::entry(ACME, standard::ACME, standard::PULLER);
        node.configure(&format!("{entry}    expireDuration: {}\n", role_minutes * 60));
        for _ in 0..24 {
            node.wait(role_minutes * 5);
            let outcome = node.ask(ACME);
            assert_eq!(outcome.exit, Exit::Code(0), "{}", outcome.stderr_text());
            let answer: Json = serde_json::from_slice(&outcome.stdout).unwrap();
            login_pulls(&node, ACME, &answer);
            let text = |name: &str| answer["auth"][ACME][name].as_str().unwrap();
            let ends = node.cloud.login_ends(text("username"), text("password")).unwrap();
            let left = ends.duration_since(node.cloud.now()).as_secs();
            assert!(left >= least, "{left} s left of {role_minutes} min");
        }
    }
}

/// Neither file nor variable: with the node's own role, as a kubelet without a configuration.
#[test]
fn nothing_at_all_is_an_answer_for_hosts_of_others() {
    let exec = contained(Path::new(PROGRAM), &[]);
    assert_eq!(answer(&exec, &request(V1, "docker.io/library/nginx"))["auth"], Json::Null);
    let node = Node::new("{}");
    let exec = plugin(&node, Settings::Environment);
    assert_eq!(answer(&exec, &request(V1, "quay.io/team/app"))["auth"], Json::Null);
}
