//! What is applied to the cluster: read as strictly as `kubectl apply --validate=strict` does, as
//! far as the fields go that these files use.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use super::{kubelet, sample, scratch};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, tag = "kind")]
pub enum Object {
    ServiceAccount(ServiceAccount),
    DaemonSet(Workload),
    Deployment(Workload),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ServiceAccount {
    api_version: String,
    metadata: Metadata,
    automount_service_account_token: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Workload {
    api_version: String,
    metadata: Metadata,
    spec: WorkloadSpec,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkloadSpec {
    replicas: Option<u32>,
    selector: Selector,
    template: Template,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Selector {
    match_labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    metadata: Metadata,
    spec: Pod,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Pod {
    service_account_name: Option<String>,
    automount_service_account_token: Option<bool>,
    enable_service_links: Option<bool>,
    priority_class_name: Option<String>,
    termination_grace_period_seconds: Option<u64>,
    #[serde(default)]
    tolerations: Vec<Value>,
    affinity: Option<Value>,
    security_context: Option<Value>,
    containers: Vec<Container>,
    #[serde(default)]
    volumes: Vec<Volume>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Container {
    name: String,
    image: String,
    image_pull_policy: Option<String>,
    #[serde(default)]
    command: Vec<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    ports: Vec<BTreeMap<String, u16>>,
    resources: Option<Value>,
    security_context: Option<Value>,
    #[serde(default)]
    volume_mounts: Vec<Mount>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Mount {
    name: String,
    #[serde(rename = "mountPath")]
    path: String,
    #[serde(default)]
    read_only: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Volume {
    name: String,
    projected: Option<Projected>,
    host_path: Option<HostPath>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Projected {
    sources: Vec<Source>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Source {
    service_account_token: TokenSource,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct TokenSource {
    path: String,
    audience: String,
    expiration_seconds: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostPath {
    path: String,
    r#type: String,
}

fn objects(text: &str) -> Vec<Object> {
    serde_saphyr::from_multiple(text).unwrap()
}

/// The API server's own rules for what these files have.
pub fn read(name: &str, text: &str) {
    let objects = objects(text);
    assert!(!objects.is_empty());
    for object in objects {
        let workload = match object {
            Object::ServiceAccount(account) => {
                assert_eq!(account.api_version, "v1", "{name}");
                continue;
            }
            Object::DaemonSet(workload) => {
                assert_eq!(workload.spec.replicas, None, "a DaemonSet has no such field");
                workload
            }
            Object::Deployment(workload) => workload,
        };
        assert_eq!(workload.api_version, "apps/v1", "{name}");
        assert!(workload.metadata.name.is_some(), "{name}");
        let labels = &workload.spec.template.metadata.labels;
        for (label, value) in &workload.spec.selector.match_labels {
            assert_eq!(labels.get(label), Some(value), "{name}: the selector finds its pods");
            assert_eq!(workload.metadata.labels.get(label), Some(value), "{name}");
        }
        let pod = &workload.spec.template.spec;
        for container in &pod.containers {
            assert!(!container.name.is_empty(), "{name}");
            for mount in &container.volume_mounts {
                assert!(pod.volumes.iter().any(|it| it.name == mount.name), "{}", mount.name);
            }
        }
    }
}

/// The image of the Deployment, which no other secret could pull.
pub fn deployed_image() -> String {
    let Ok([Object::Deployment(mut workload)]) =
        <[Object; 1]>::try_from(objects(&sample("deployment.yaml")))
    else {
        panic!("a Deployment")
    };
    let container = workload.spec.template.spec.containers.remove(0);
    assert_eq!(container.image_pull_policy.as_deref(), Some("Always"));
    assert_eq!(container.ports, [BTreeMap::from([("containerPort".to_owned(), 80)])]);
    container.image
}

/// The service account of the token that the `DaemonSet` has projected, as it stands in a subject.
pub fn token_account() -> (String, String) {
    let (account, _) = token_daemonset();
    (account.metadata.namespace.unwrap(), account.metadata.name.unwrap())
}

fn token_daemonset() -> (ServiceAccount, Workload) {
    match <[Object; 2]>::try_from(objects(&sample("token-daemonset.yaml"))) {
        Ok([Object::ServiceAccount(account), Object::DaemonSet(set)]) => (account, set),
        _ => panic!("a ServiceAccount and a DaemonSet"),
    }
}

/// No more rights than a copy of one file takes, and a token for STS alone.
#[test]
fn token_daemonset_has_least_privilege() {
    let (account, set) = token_daemonset();
    assert_eq!(account.automount_service_account_token, Some(false));
    assert_eq!(account.metadata.namespace, set.metadata.namespace);
    let pod = set.spec.template.spec;
    assert_eq!(pod.service_account_name, account.metadata.name);
    assert_eq!(pod.automount_service_account_token, Some(false));
    assert_eq!(pod.enable_service_links, Some(false));
    assert_eq!(pod.priority_class_name.as_deref(), Some("system-node-critical"));
    assert!(pod.termination_grace_period_seconds.unwrap() <= 5);
    assert_eq!(pod.tolerations, [serde_json::json!({"operator": "Exists"})]);
    let virtual_nodes = r#"{"key":"type","operator":"NotIn","values":["virtual-kubelet"]}"#;
    assert!(pod.affinity.unwrap().to_string().contains(virtual_nodes));
    assert_eq!(pod.security_context.unwrap()["seccompProfile"]["type"], "RuntimeDefault");
    let [container] = &pod.containers[..] else { panic!("one container") };
    let allowed = serde_json::json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"]},
    });
    assert_eq!(container.security_context, Some(allowed));
    assert!(container.resources.as_ref().unwrap()["limits"]["memory"].is_string());
    let [token, node] = &pod.volumes[..] else { panic!("the token and the node's folder") };
    let [source] = &token.projected.as_ref().unwrap().sources[..] else { panic!("one token") };
    assert_eq!(source.service_account_token.audience, "sts.aliyuncs.com");
    assert_eq!(source.service_account_token.expiration_seconds, 3600);
    assert!(node.projected.is_none() && token.host_path.is_none());
    let [from, to] = &container.volume_mounts[..] else { panic!("two mounts") };
    assert_eq!((&from.name, from.read_only), (&token.name, true));
    assert_eq!((&to.name, to.read_only), (&node.name, false));

    // The folder and the file are where the configuration looks for the token.
    let folder = node.host_path.as_ref().unwrap();
    assert_eq!(folder.r#type, "DirectoryOrCreate");
    let file = format!("{}/token", folder.path);
    assert!(sample("config.rrsa.yaml").contains(&format!("\n  oidcTokenFile: {file}\n")));
    // Nothing that this program would have to answer for.
    for (version, config) in kubelet::configurations() {
        assert!(!kubelet::asks_for(&config, &container.image), "{version}: {}", container.image);
    }
}

/// The container's script, on folders in place of its mounts: a token comes to the node whole and
/// for its owner alone, again when it was renewed, and the end is prompt.
#[test]
fn token_daemonset_copies() {
    let folder = scratch();
    let first = copy_token(&folder, "e30.e30.first", "");
    assert_eq!(first, "e30.e30.first");
    // A file that a kill left behind, readable by all, does not pass its mode on.
    let left = folder.join("node/.token.new");
    fs::write(&left, "e30.e30.half").unwrap();
    fs::set_permissions(&left, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(copy_token(&folder, "e30.e30.second", ""), "e30.e30.second");
    // A copy that fails half way leaves the token that is there.
    let failing = "cp() { command cp \"$@\"; echo half >/node/.token.new; return 1; }\n";
    assert_eq!(copy_token(&folder, "e30.e30.third", failing), "e30.e30.second");
}

/// Runs the script on `folder` until it waits or fails; what is then the node's token.
pub fn copy_token(folder: &Path, token: &str, prelude: &str) -> String {
    let (_, set) = token_daemonset();
    let pod = set.spec.template.spec;
    let container = &pod.containers[0];
    let [from, to] = &container.volume_mounts[..] else { panic!("two mounts") };
    let path = &pod.volumes[0].projected.as_ref().unwrap().sources[0].service_account_token.path;
    let (projected, node) = (folder.join("token"), folder.join("node"));
    fs::create_dir_all(&projected).unwrap();
    fs::create_dir_all(&node).unwrap();
    fs::write(projected.join(path), token).unwrap();
    let script = format!("{prelude}{}", container.args[0])
        .replace(&format!("{}/", from.path), &format!("{}/", projected.display()))
        .replace(&format!("{}/", to.path), &format!("{}/", node.display()))
        // The first turn is over.
        .replace("sleep 60 &", "echo copied; sleep 60 &");
    let mut child = Command::new(&container.command[0])
        .args(&container.command[1..])
        .arg(&script)
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let ran = child.stdout.as_mut().unwrap().read_exact(&mut [0; 7]).is_ok();
    assert_eq!(ran, prelude.is_empty(), "a copy that fails is not passed over");
    if ran {
        let kill = |signal: &str, who: String| {
            Command::new("kill")
                .args([signal, "--", &who])
                .stderr(Stdio::null())
                .status()
                .unwrap()
                .success()
        };
        let asked = Instant::now();
        assert!(kill("-TERM", child.id().to_string()));
        assert!(child.wait().unwrap().success());
        assert!(asked.elapsed() < Duration::from_secs(30), "it waits for its sleep to end");
        // Its sleep, if it came to that; in a container it ends with the shell.
        kill("-KILL", format!("-{}", child.id()));
        let left: Vec<_> = fs::read_dir(&node).unwrap().collect();
        assert_eq!(left.len(), 1, "no half-written file is left");
    } else {
        assert!(!child.wait().unwrap().success());
    }
    let file = node.join("token");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    fs::read_to_string(file).unwrap()
}
