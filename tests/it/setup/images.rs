//! Images of pods' hosts that every service account may start: a setup for pods says so, and removes
//! them with their records if that is asked for. A fake plays the tool of the container runtime.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use sha2::{Digest, Sha256};

use super::live::Machine;
use super::{PROVIDERS, fails, succeeds};

const ACME: &str = "acme-registry.cn-hangzhou.cr.aliyuncs.com";
const CONFIGURATION: &str = "rrsa: {enable: true}\nacr-registry-info:\n  - instanceId: cri-acmeacmeacme0001\n    regionId: cn-hangzhou\n    domains: acme-registry.cn-hangzhou.cr.aliyuncs.com\n    podIdentity: required\n    rrsaRoleARN: acs:ram::1000000000000001:role/acr-rrsa\n    rrsaOIDCProviderRoleARN: acs:ram::1000000000000001:oidc-provider/ack-rrsa-c0000000000000000000000000000000a\n";
const OPEN: &str = r#"{"nodePodsAccessible":true}"#;
const CLOSED: &str =
    r#"{"kubernetesServiceAccounts":[{"uid":"1","namespace":"team-a","name":"app"}]}"#;

/// Where the kubelet keeps the record of an image.
fn record(id: &str) -> String {
    let digest = Sha256::digest(id);
    let name = digest.iter().fold(String::new(), |name, byte| format!("{name}{byte:02x}"));
    format!("/var/lib/kubelet/image_manager/pulled/sha256-{name}")
}

/// A node on which these images were pulled: id, names, and what the record has; and two of other
/// hosts that nothing may touch.
fn node(images: &[(&str, &[&str], Option<&str>)]) -> Machine {
    let machine = Machine::new(&[("/run/containerd/containerd.sock", "")]);
    machine.0.beside("config.yaml", CONFIGURATION, 0o600);
    let others: [(&str, &[&str], Option<&str>); 2] = [
        ("sha256:0e", &["registry.example.com/other"], Some(OPEN)),
        ("sha256:0f", &["registry.example.com/preloaded"], None),
    ];
    let mut list = String::new();
    for (id, names, credentials) in images.iter().chain(&others) {
        let tags: Vec<String> = names.iter().map(|name| format!("\"{name}:v1\"")).collect();
        let tags = tags.join(",");
        writeln!(list, r#"{{"id":"{id}","repoTags":[{tags}],"repoDigests":[]}}"#).unwrap();
        let Some(credentials) = credentials else { continue };
        let mapping: Vec<String> =
            names.iter().map(|name| format!("\"{name}\":{credentials}")).collect();
        machine.0.write(
            &record(id),
            &format!(
                r#"{{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1alpha1","lastUpdatedTime":"2026-11-30T08:00:00Z","imageRef":"{id}","credentialMapping":{{{}}}}}"#,
                mapping.join(",")
            ),
        );
    }
    machine.set("images", &list);
    machine
}

fn install(machine: &Machine, options: &[&str]) -> Command {
    machine.install(&[options, &["--service-accounts", "--kubelet-version", "1.36"]].concat())
}

fn images(machine: &Machine) -> String {
    let list = fs::read_to_string(machine.0.beside.join("fake/images")).unwrap();
    let id = |line: &str| line.split('"').nth(3).unwrap().to_owned();
    list.lines().map(id).collect::<Vec<_>>().join(" ")
}

fn app() -> Vec<String> {
    ["app", "web", "old"].iter().map(|name| format!("{ACME}/team/{name}")).collect()
}

/// Open by a record, open without one, and closed.
fn three() -> Machine {
    let names = app();
    node(&[
        ("sha256:0a", &[&names[0]], Some(OPEN)),
        ("sha256:0b", &[&names[1]], Some(CLOSED)),
        ("sha256:0c", &[&names[2]], None),
    ])
}

#[test]
fn they_are_said_and_stay_unless_that_is_asked_for() {
    let machine = three();
    let said = succeeds(install(&machine, &[]));
    for line in [
        "images of pods' hosts that every service account may start from this node: 2",
        "/team/app (sha256:0a): a login of the node pulled it",
        "/team/old (sha256:0c): no record, so it counts as preloaded",
        "setup install --service-accounts --close-images removes them",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(!said.contains("/team/web") && !said.contains("example.com"), "{said}");
    assert_eq!(images(&machine), "sha256:0a sha256:0b sha256:0c sha256:0e sha256:0f");
    assert!(machine.0.path(&record("sha256:0a")).exists());
}

#[test]
fn they_are_removed_with_the_kubelet_stopped_and_do_not_come_back() {
    let machine = three();
    let said = succeeds(install(&machine, &["--close-images"]));
    assert!(said.contains("removed an image: crictl rmi sha256:0a\n"), "{said}");
    assert_eq!(images(&machine), "sha256:0b sha256:0e sha256:0f");
    for (id, stays) in [("sha256:0a", false), ("sha256:0b", true), ("sha256:0e", true)] {
        assert_eq!(machine.0.path(&record(id)).exists(), stays, "{id}");
    }
    let log = machine.log();
    let order =
        ["stop kubelet\n", "crictl rmi sha256:0a\n", "crictl rmi sha256:0c\n", "restart kubelet\n"];
    let places: Vec<usize> = order.iter().map(|line| log.find(line).unwrap()).collect();
    assert!(places.is_sorted(), "{log}");
    assert!(machine.has("kubelet-up") && !machine.has("deaths"));
    let record_of_setup =
        machine.0.read("/var/lib/aliyun-acr-credential-provider/undo.json").unwrap();
    assert!(!record_of_setup.contains("image_manager"), "{record_of_setup}");
    assert!(succeeds(install(&machine, &["--close-images"])).contains("nothing to do"));
    succeeds(machine.uninstall());
    assert!(!machine.0.path(&record("sha256:0a")).exists());
}

#[test]
fn a_node_that_is_set_up_already_is_closed_with_one_restart() {
    let machine = three();
    succeeds(install(&machine, &[]));
    machine.set("log", "");
    let before = machine.0.read(PROVIDERS);
    succeeds(install(&machine, &["--close-images"]));
    assert_eq!(images(&machine), "sha256:0b sha256:0e sha256:0f");
    assert_eq!(machine.log().matches("restart kubelet\n").count(), 1);
    assert_eq!(machine.0.read(PROVIDERS), before);
}

#[test]
fn a_dry_run_shows_it_and_changes_nothing() {
    let machine = three();
    let before = machine.0.snapshot();
    let said = succeeds(install(&machine, &["--close-images", "--dry-run"]));
    for line in [
        "would remove an image: crictl rmi sha256:0a\n",
        "would remove an image: crictl rmi sha256:0c\n",
        &format!("would remove {}", record("sha256:0a")),
        "the kubelet would be restarted",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert_eq!(machine.0.snapshot(), before);
    assert_eq!(images(&machine), "sha256:0a sha256:0b sha256:0c sha256:0e sha256:0f");
    assert!(!machine.log().contains("stop"), "{}", machine.log());
}

#[test]
fn an_image_that_another_host_has_too_stays() {
    let (name, old) = (format!("{ACME}/team/app"), format!("{ACME}/team/old"));
    let machine = node(&[
        ("sha256:0a", &[&name, "registry.example.com/app"], Some(OPEN)),
        ("sha256:0c", &[&old, "registry.example.com/old"], None),
    ]);
    let said = succeeds(install(&machine, &["--close-images"]));
    assert!(said.contains("sha256:0a stays: registry.example.com/app is the same image"), "{said}");
    assert!(said.contains("sha256:0c stays open: registry.example.com/old"), "{said}");
    assert_eq!(images(&machine), "sha256:0a sha256:0c sha256:0e sha256:0f");
    let left = machine.0.read(&record("sha256:0a")).unwrap();
    assert!(!left.contains(ACME) && left.contains("registry.example.com/app"), "{left}");
    assert!(!machine.log().contains("crictl rmi"));
}

#[test]
fn what_cannot_be_removed_leaves_the_node_as_it_was() {
    let machine = three();
    let before = machine.0.snapshot();
    machine.set("in-use", "");
    let said = fails(install(&machine, &["--close-images"]), "image is in use by a container");
    assert!(said.contains("the kubelet is healthy again") && said.contains("drain"), "{said}");
    assert_eq!(machine.0.snapshot(), before);
    assert!(machine.has("kubelet-up"));
}

#[test]
fn an_image_that_is_still_there_afterwards_is_not_closed() {
    let machine = three();
    let before = machine.0.snapshot();
    machine.set("keeps", "");
    fails(install(&machine, &["--close-images"]), "sha256:0a is still there");
    assert_eq!(machine.0.snapshot(), before);
    assert!(machine.has("kubelet-up"));
}

#[test]
fn a_kubelet_that_does_not_come_up_gets_its_records_back() {
    let machine = three();
    let before = machine.0.snapshot();
    machine.set("dislikes-flags", "");
    let said = fails(install(&machine, &["--close-images"]), "is not healthy after its restart");
    assert!(said.contains("images removed before: 2; pods pull them again"), "{said}");
    assert_eq!(machine.0.snapshot(), before);
    assert!(machine.has("kubelet-up"));
}

#[test]
fn a_run_that_is_killed_beside_a_stopped_kubelet_is_ended_by_the_next() {
    let machine = three();
    machine.set("kills", "");
    assert!(!install(&machine, &["--close-images"]).status().unwrap().success());
    assert!(!machine.has("kubelet-up"));
    fs::remove_file(machine.0.beside.join("fake/kills")).unwrap();
    // Without the option the records come back: nothing is half done.
    let said = succeeds(install(&machine, &[]));
    assert!(said.contains("what it had begun is put back first"), "{said}");
    assert!(machine.has("kubelet-up") && machine.0.path(&record("sha256:0a")).exists());
    succeeds(install(&machine, &["--close-images"]));
    assert_eq!(images(&machine), "sha256:0b sha256:0e sha256:0f");
    assert!(!machine.0.path(&record("sha256:0a")).exists());
}

#[test]
fn what_cannot_close_is_refused_before_any_change() {
    let refused = |machine: &Machine, command: Command, why: &str| {
        let before = machine.0.snapshot();
        let said = fails(command, why);
        assert_eq!(machine.0.snapshot(), before, "{why}");
        assert!(!machine.log().contains("stop"), "{why}");
        said
    };
    let machine = three();
    let old =
        machine.install(&["--service-accounts", "--close-images", "--kubelet-version", "1.34"]);
    let feature = "Kubernetes 1.34 without the feature KubeletEnsureSecretPulledImages";
    refused(&machine, old, feature);
    // Without the option it is said.
    let said = succeeds(machine.install(&["--service-accounts", "--kubelet-version", "1.34"]));
    assert!(said.contains(feature), "{said}");

    let machine = three();
    machine.0.beside("config.yaml", super::CONFIGURATION, 0o600);
    let nodes = machine.install(&["--close-images", "--kubelet-version", "1.36"]);
    refused(&machine, nodes, "no provider gets tokens of pods; add --service-accounts");

    let machine = three();
    fs::remove_file(machine.0.path("/run/containerd/containerd.sock")).unwrap();
    let said = refused(&machine, install(&machine, &["--close-images"]), "does not listen at");
    let by_hand = format!(
        "by hand: systemctl stop kubelet; rm {}; crictl rmi sha256:0a; systemctl start kubelet",
        record("sha256:0a")
    );
    assert!(said.contains(&by_hand), "{said}");

    let machine = three();
    let still =
        machine.0.install(&["--close-images", "--service-accounts", "--kubelet-version", "1.36"]);
    refused(&machine, still, "the system of this tree does not run");
}

/// Killed at whichever change: an image is never there without the record that it had while a kubelet
/// runs, and the next run ends what is left.
#[cfg(target_arch = "x86_64")]
#[test]
fn killed_at_any_change_nothing_opens() {
    use super::killed::{killed, stride};

    let opens = |machine: &Machine| {
        let has_record = machine.0.path(&record("sha256:0a")).exists();
        machine.has("kubelet-up") && images(machine).contains("sha256:0a") && !has_record
    };
    let (mut number, mut closed) = (1, 0);
    loop {
        let machine = three();
        let run = install(&machine, &["--close-images"]);
        // The variables as arguments, for who is traced is started by its words alone.
        let mut words = Command::new("/usr/bin/env");
        for (name, value) in run.get_envs() {
            let pair = [name, value.unwrap()].map(|part| part.to_str().unwrap());
            words.arg(pair.join("="));
        }
        words.arg(run.get_program()).args(run.get_args());
        if !killed(&words, number) {
            break;
        }
        assert!(!opens(&machine), "after call {number}");
        succeeds(install(&machine, &[]));
        assert!(machine.has("kubelet-up") && !opens(&machine), "after call {number}");
        succeeds(install(&machine, &["--close-images"]));
        assert_eq!(images(&machine), "sha256:0b sha256:0e sha256:0f", "after call {number}");
        assert!(!machine.0.path(&record("sha256:0a")).exists(), "after call {number}");
        closed += 1;
        number += stride() * 2;
    }
    assert!(closed > 3, "{closed}");
}
