//! The configurations and the policies that go with them: each identity pulls in the simulated
//! accounts with the rights that the files of its kind give it, and no other's.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};
use simulation::cloud::Cloud;
use simulation::kubelet::{Exec, Exit, Outcome, encode_request, normalise_image, registry_of};

use super::{kubelet, manifests, sample, scratch};
use crate::PROGRAM;

const V1: &str = "credentialprovider.kubelet.k8s.io/v1";
pub const CLUSTER: &str = "1000000000000001";
pub const REGISTRY: &str = "2000000000000002";
pub const WORKER: &str = "KubernetesWorkerRole-3a1c5a0e-7b0e-4d3f-9c55-0c1f2e3d4a5b";
pub const INSTANCE: &str = "cri-acmeprod00000001";
pub const PROVIDER: &str =
    "acs:ram::1000000000000001:oidc-provider/ack-rrsa-c0000000000000000000000000000000a";

/// What stands for the reader's own values in the samples, and what the simulated world has there.
const PLACEHOLDERS: [(&str, &str); 6] = [
    ("LTAI5t…", "LTAI5tImagePullerOfB0001"),
    ("Secret: …", "Secret: MadeUpB3pullTk9Dw2Mv7Qz4Xc6Ln0"),
    ("KubernetesWorkerRole-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", WORKER),
    ("cri-xxxxxxxxxxxxxxxx", INSTANCE),
    ("LTAI5tXXXXXXXXXXXXXXXXXX", "LTAI5tImagePullerOfB0001"),
    ("XXXXXXXXXXXXXXXXXXXXXXXXXXXXXX", "MadeUpB3pullTk9Dw2Mv7Qz4Xc6Ln0"),
];

/// A configuration is accepted without a warning, once its placeholders are filled in.
pub fn read_configuration(name: &str, text: &str) {
    let folder = scratch();
    let outcome = ask(&folder, &filled(text.to_owned()), "docker.io/library/nginx");
    assert_eq!(outcome.exit, Exit::Code(0), "{name}: {}", outcome.stderr_text());
    assert_eq!(outcome.stderr_text(), "", "{name}");
}

/// A policy is what RAM takes: the simulation refuses anything that its own reader does not know.
pub fn read_permissions(name: &str, text: &str) {
    let policy: Value = serde_json::from_str(text).unwrap();
    assert!(!text.contains("\"Principal\""), "{name}");
    Cloud::with(
        &json!({"accounts": {CLUSTER: {"roles": {"of-the-sample": {
            "trust": value("ram/registry-trust-policy.json"), "policies": {"the-sample": policy},
        }}}}})
        .to_string(),
    );
}

pub fn read_trust(name: &str, text: &str) {
    let policy: Value = serde_json::from_str(text).unwrap();
    assert!(!text.contains("\"Resource\""), "{name}");
    let role = json!({"trust": policy});
    Cloud::with(&json!({"accounts": {CLUSTER: {"roles": {"of-the-sample": role}}}}).to_string());
}

pub fn value(name: &str) -> Value {
    serde_json::from_str(&filled_in(name)).unwrap()
}

pub fn filled_in(name: &str) -> String {
    filled(sample(name))
}

fn filled(text: String) -> String {
    PLACEHOLDERS.iter().fold(text, |text, (placeholder, own)| text.replace(placeholder, own))
}

/// The accounts with nothing but the samples' rights, the registry's role open to one identity.
fn accounts(rrsa_trust: &str, registry_trust: &str) -> Cloud {
    let assume = json!({"the-sample": value("ram/cluster-assume-role-policy.json")});
    let pull = json!({"pull-images": value("ram/registry-pull-policy.json")});
    Cloud::with(
        &json!({"accounts": {
            CLUSTER: {"roles": {
                WORKER: {"system-policies": [], "policies": assume},
                "acr-rrsa": {"system-policies": [], "policies": assume, "trust": value(rrsa_trust)},
            }},
            REGISTRY: {
                "roles": {"acr-puller": {"policies": pull, "trust": value(registry_trust)}},
                "users": {"image-puller": {"policies": pull}},
            },
        }})
        .to_string(),
    )
}

/// Asks for an image by a sample on the simulated cloud, with a token of the service account at
/// the place that the sample names.
fn pull(cloud: &Cloud, name: &str, account: (&str, &str), image: &str) -> Outcome {
    let folder = scratch();
    let token = cloud.service_account_token(PROVIDER, account.0, account.1).mint();
    assert_eq!(manifests::copy_token(&folder, &token, ""), token);
    let settings = format!(
        "credential-provider:\n  cacheDir: off\n  endpoints: {{metadata: \"{}\", sts: \"{}\", cr: \"{}\"}}\n",
        cloud.metadata_url(),
        cloud.sts_url(),
        cloud.cr_url(),
    );
    let text = filled_in(name);
    let text = if text.contains("credential-provider:\n") {
        text.replace("credential-provider:\n", &settings)
    } else {
        text + &settings
    };
    let token_file = "/var/run/secrets/ack.alibabacloud.com/rrsa-tokens/token";
    let own_token_file = folder.join("node/token").display().to_string();
    ask(&folder, &text.replace(token_file, &own_token_file), image)
}

fn ask(folder: &Path, configuration: &str, image: &str) -> Outcome {
    let path = folder.join("config.yaml");
    fs::write(&path, configuration).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let mut exec = Exec::new(PROGRAM);
    exec.args = vec!["--config".into(), path.to_str().unwrap().into()];
    exec.run(&encode_request(V1, image, None, &BTreeMap::new())).unwrap()
}

fn ours() -> (String, String) {
    manifests::token_account()
}

const HELPER: (&str, &str) = ("kube-system", "aliyun-acr-credential-helper");
const NOBODY: (&str, &str) = ("default", "default");

/// The Deployment's image is pulled by each identity.
#[test]
fn each_identity_pulls_the_deployment() {
    let image = manifests::deployed_image();
    let repository = normalise_image(&image).unwrap();
    let host = registry_of(&repository);
    for (version, config) in kubelet::configurations() {
        assert!(kubelet::asks_for(&config, &image), "{version}");
    }
    let (namespace, name) = ours();
    for (configuration, trust) in [
        ("config.worker-role.yaml", "ram/registry-trust-policy.json"),
        ("config.rrsa.yaml", "ram/registry-trust-policy.rrsa.json"),
        ("config.access-key.yaml", "ram/registry-trust-policy.json"),
    ] {
        let cloud = accounts("ram/cluster-rrsa-trust-policy.json", trust);
        let outcome = pull(&cloud, configuration, (&namespace, &name), &repository);
        let answer = outcome.answer(V1).unwrap_or_else(|wrong| panic!("{configuration}: {wrong}"));
        let auth = answer.auth.unwrap_or_else(|| panic!("{configuration}: no login"));
        assert_eq!(auth.len(), 1);
        let login = &auth[host];
        let pulled = repository.strip_prefix(&format!("{host}/")).unwrap();
        cloud.login_allows_pull(&login.username, &login.password, INSTANCE, pulled).unwrap();
        assert_eq!(cloud.violations(), vec![], "{configuration}");
    }
}

#[test]
fn personal_edition_pulls() {
    let cloud = accounts("ram/cluster-rrsa-trust-policy.json", "ram/registry-trust-policy.json");
    let image = "registry.cn-hangzhou.aliyuncs.com/team/app";
    let answer = pull(&cloud, "config.personal.yaml", NOBODY, image).answer(V1).unwrap();
    let login = &answer.auth.unwrap()["registry.cn-hangzhou.aliyuncs.com"];
    cloud
        .login_allows_personal_pull(
            &login.username,
            &login.password,
            REGISTRY,
            "cn-hangzhou",
            "team/app",
        )
        .unwrap();
}

/// Which service account's token opens the RRSA role: ours; the helper's too while moving.
#[test]
fn rrsa_trust() {
    let image = normalise_image(&manifests::deployed_image()).unwrap();
    let (namespace, name) = ours();
    let ours = (namespace.as_str(), name.as_str());
    let alone = "ram/cluster-rrsa-trust-policy.json";
    let moving = "ram/cluster-rrsa-trust-policy.with-helper.json";
    for (trust, account, exit) in [
        (alone, ours, 0),
        (alone, HELPER, 3),
        (alone, NOBODY, 3),
        (moving, ours, 0),
        (moving, HELPER, 0),
        (moving, NOBODY, 3),
    ] {
        let cloud = accounts(trust, "ram/registry-trust-policy.rrsa.json");
        let outcome = pull(&cloud, "config.rrsa.yaml", account, &image);
        assert_eq!(outcome.exit, Exit::Code(exit), "{trust}, {account:?}: {outcome:?}");
    }
}

/// The registry's role trusts the one identity that its policy is for.
#[test]
fn registry_trust() {
    let image = normalise_image(&manifests::deployed_image()).unwrap();
    let (namespace, name) = ours();
    for (configuration, trust) in [
        ("config.worker-role.yaml", "ram/registry-trust-policy.rrsa.json"),
        ("config.rrsa.yaml", "ram/registry-trust-policy.json"),
    ] {
        let cloud = accounts("ram/cluster-rrsa-trust-policy.json", trust);
        let outcome = pull(&cloud, configuration, (&namespace, &name), &image);
        assert_eq!(outcome.exit, Exit::Code(4), "{configuration}, {trust}: {outcome:?}");
    }
}

/// The cluster's permission is for the registry's role alone.
#[test]
fn assume_role_policy() {
    let cloud = accounts("ram/cluster-rrsa-trust-policy.json", "ram/registry-trust-policy.json");
    let folder = scratch();
    let text = filled_in("config.worker-role.yaml").replace("role/acr-puller", "role/acr-reader")
        + &format!(
            "credential-provider:\n  cacheDir: off\n  endpoints: {{metadata: \"{}\", sts: \"{}\", cr: \"{}\"}}\n",
            cloud.metadata_url(),
            cloud.sts_url(),
            cloud.cr_url(),
        );
    let outcome = ask(&folder, &text, "acme-registry.cn-hangzhou.cr.aliyuncs.com/team/app");
    assert_eq!(outcome.exit, Exit::Code(4), "{outcome:?}");
    assert!(outcome.stderr_text().contains("acr-reader"), "{outcome:?}");
}
