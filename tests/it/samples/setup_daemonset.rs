//! The `DaemonSet` that sets nodes up: what it may do, and that the program takes what it says.
//! `tests/systemd` runs it on real systemds.

use std::process::Command;

use serde_json::{Value, json};

use super::sample;
use crate::PROGRAM;

const KINDS: [&str; 5] = ["ServiceAccount", "Lease", "Role", "RoleBinding", "DaemonSet"];

fn objects(text: &str) -> Vec<Value> {
    text.split("\n---\n").map(|object| serde_saphyr::from_str(object).unwrap()).collect()
}

pub fn read(_: &str, text: &str) {
    for (object, kind) in objects(text).iter().zip(KINDS) {
        assert_eq!(object["kind"], kind);
        assert_eq!(object["metadata"]["name"], "acr-credential-provider-setup");
        assert_eq!(object["metadata"]["namespace"], "kube-system");
    }
    assert_eq!(objects(text).len(), KINDS.len());
}

#[test]
fn it_may_do_what_it_says_and_no_more() {
    let text = sample("setup-daemonset.yaml");
    let objects = objects(&text);
    let rule = json!({
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "resourceNames": ["acr-credential-provider-setup"],
        "verbs": ["get", "update"],
    });
    assert_eq!(objects[2]["rules"], json!([rule]));
    let pod = &objects[4]["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], "acr-credential-provider-setup");
    assert_eq!(pod["hostNetwork"], true);
    assert_eq!(pod["hostPID"], true);
    assert!(pod.get("hostIPC").is_none());
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    let [container] = &pod["containers"].as_array().unwrap()[..] else { panic!("one container") };
    let allowed = json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"], "add": ["SYS_CHROOT", "CHOWN", "FOWNER", "DAC_OVERRIDE"]},
    });
    assert_eq!(container["securityContext"], allowed);
    for capability in allowed["capabilities"]["add"].as_array().unwrap() {
        assert!(text.contains(capability.as_str().unwrap()));
    }
    let writable: Vec<&Value> = container["volumeMounts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|mount| mount["readOnly"] != true)
        .map(|mount| &mount["mountPath"])
        .collect();
    assert_eq!(writable, ["/host", "/run/aliyun-acr-credential-provider-keep"]);
    // The first answer for an image of this program comes from somewhere else.
    assert!(container["image"].as_str().unwrap().starts_with("localhost/"));
    assert_eq!(container["imagePullPolicy"], "IfNotPresent");
}

/// The options are those of the program, and the Lease is the one that its Role is for.
#[test]
fn the_program_takes_its_arguments() {
    let objects = objects(&sample("setup-daemonset.yaml"));
    let container = &objects[4]["spec"]["template"]["spec"]["containers"][0];
    let texts = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let arguments = texts(&container["args"]);
    let lease = arguments.iter().find(|word| word.starts_with("--lease=")).unwrap();
    assert!(lease.ends_with("/namespaces/kube-system/leases/acr-credential-provider-setup"));
    let root = arguments.iter().position(|word| word == "--root=/host").unwrap();
    let mut run = arguments.clone();
    // Not a folder: it says so, for the options are its own.
    run[root] = "--root=/dev/null/host".to_owned();
    for (words, said) in [
        (run, "/dev/null/host is not a folder"),
        (texts(&container["readinessProbe"]["exec"]["command"])[1..].to_vec(), "not ready"),
    ] {
        let mut command = Command::new(PROGRAM);
        let mut child = command.args(&words).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
        std::io::BufRead::read_line(&mut stderr, &mut line).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(line.contains(said), "{words:?}: {line}");
    }
}
