//! What doctor says of a kubelet that runs the program with pods' tokens and without.
//!
//! A kubelet is played by a script of that name in a process namespace of its own.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::Value as Json;
use simulation::cloud::standard;
use simulation::kubelet::{Exec, Exit, Kubelet};

use crate::node::{ACME, Node};
use crate::{PROGRAM, copied};

const NAME: &str = "aliyun-acr-credential-provider";

/// Exit code of doctor, and what its check of the kubelet says.
struct Look {
    exit: Exit,
    status: String,
    says: String,
    /// The check of that name.
    identity: Json,
}

/// A provider of the kubelet's configuration.
fn provider(name: &str, patterns: &str, with_tokens: bool) -> String {
    let attributes = "    tokenAttributes:\n      serviceAccountTokenAudience: sts.aliyuncs.com\n      cacheType: ServiceAccount\n      requireServiceAccount: false\n";
    let attributes = if with_tokens { attributes } else { "" };
    format!(
        "  - name: {name}\n    apiVersion: credentialprovider.kubelet.k8s.io/v1\n    matchImages: [{patterns}]\n    defaultCacheDuration: 0s\n{attributes}"
    )
}

fn look(providers: &[String], more_names: &[&str]) -> Look {
    look_from(&Node::new("{registry: {local-realm: true}}"), providers, more_names)
}

fn look_from(node: &Node, providers: &[String], more_names: &[&str]) -> Look {
    let folder = node.folder.display();
    let kubelet = node.folder.join("kubelet");
    fs::write(&kubelet, "#!/bin/sh\nwhile :; do sleep 1; done\n").unwrap();
    fs::set_permissions(&kubelet, fs::Permissions::from_mode(0o755)).unwrap();
    let bin = node.folder.join("bin");
    fs::create_dir(&bin).unwrap();
    copied(PROGRAM, bin.join(NAME));
    for name in more_names {
        symlink(NAME, bin.join(name)).unwrap();
    }
    fs::write(bin.join("other"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(bin.join("other"), fs::Permissions::from_mode(0o755)).unwrap();
    let args = format!("    args: [--config, \"{}\"]\n", node.config().display());
    let text = format!(
        "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n{}",
        providers.iter().fold(String::new(), |text, one| text + one + &args)
    );
    Kubelet::release(34).decode_config(&text).unwrap();
    fs::write(node.folder.join("provider.yaml"), text).unwrap();
    let script = format!(
        "'{folder}/kubelet' --image-credential-provider-config={folder}/provider.yaml --image-credential-provider-bin-dir={folder}/bin & until grep -qx kubelet /proc/$!/comm; do sleep 0.05; done; '{folder}/bin/{NAME}' --config '{}' doctor --json; code=$?; kill $!; exit $code",
        node.config().display()
    );
    let mut exec = Exec::new("/usr/bin/unshare");
    exec.args =
        ["--pid", "--fork", "--mount-proc", "/bin/sh", "-c", &script].map(str::to_owned).to_vec();
    exec.config_env = vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())];
    let outcome = exec.run(&[]).unwrap();
    let document: Json = serde_json::from_slice(&outcome.stdout)
        .unwrap_or_else(|_| panic!("{}", outcome.stderr_text()));
    let checks = document["checks"].as_array().unwrap();
    let named = |name| checks.iter().find(|check| check["name"] == name).unwrap();
    let check = named("kubelet");
    let status = check["status"].as_str().unwrap().to_owned();
    Look {
        exit: outcome.exit,
        status,
        says: check.to_string(),
        identity: named("identity").clone(),
    }
}

#[test]
fn the_same_images_in_both_modes_are_a_failure() {
    let both = [
        ("\"*.*.cr.aliyuncs.com\"", "acme-registry.cn-hangzhou.cr.aliyuncs.com"),
        ("acme-registry.cn-hangzhou.cr.aliyuncs.com/team", "acme-registry.*.cr.aliyuncs.com"),
        ("img.example.com, acme-registry.cn-hangzhou.cr.aliyuncs.com", "img.example.com, x.y"),
    ];
    for (node, pods) in both {
        let providers = [
            provider(NAME, node, false),
            provider("aliyun-acr-credential-provider-pods", pods, true),
        ];
        let look = look(&providers, &["aliyun-acr-credential-provider-pods"]);
        assert_eq!((look.exit, look.status.as_str()), (Exit::Code(2), "failed"), "{}", look.says);
        assert!(look.says.contains("match the same images"), "{}", look.says);
        assert!(look.says.contains("lets in a pod that was refused"), "{}", look.says);
    }
}

/// A link under any name is this program.
#[test]
fn the_program_is_known_by_its_file_too() {
    let acme = "acme-registry.cn-hangzhou.cr.aliyuncs.com";
    let providers = [provider(NAME, acme, false), provider("acr-of-pods", acme, true)];
    let look = look(&providers, &["acr-of-pods"]);
    assert_eq!((look.exit, look.status.as_str()), (Exit::Code(2), "failed"), "{}", look.says);
}

#[test]
fn disjoint_images_are_well() {
    let providers = [
        provider(NAME, "acme-registry.cn-hangzhou.cr.aliyuncs.com", false),
        provider(
            "aliyun-acr-credential-provider-pods",
            "acme-dev-registry.cn-hangzhou.cr.aliyuncs.com, \"acme-registry.cn-hangzhou.cr.aliyuncs.com:8443\"",
            true,
        ),
    ];
    let look = look(&providers, &["aliyun-acr-credential-provider-pods"]);
    assert_eq!((look.exit, look.status.as_str()), (Exit::Code(0), "ok"), "{}", look.says);
}

/// Whose logins another program hands out is not known; that they would be tried is told.
#[test]
fn another_programs_images_are_a_warning() {
    let acme = "acme-registry.cn-hangzhou.cr.aliyuncs.com";
    for (with_tokens, status) in [(true, "warning"), (false, "ok")] {
        let providers = [
            provider("other", "\"*.*.cr.aliyuncs.com\"", false),
            provider(NAME, acme, with_tokens),
        ];
        let look = look(&providers, &[]);
        assert_eq!((look.exit, look.status.as_str()), (Exit::Code(0), status), "{}", look.says);
        assert_eq!(look.says.contains("another program"), with_tokens, "{}", look.says);
    }
}

/// A node whose entry is for pods.
fn for_pods(more: &str) -> Node {
    let node = Node::new("{registry: {local-realm: true}}");
    node.configure_all(&entries(more));
    node
}

fn entries(more: &str) -> String {
    format!(
        "rrsa: {{enable: true}}\nacr-registry-info:\n  - instanceId: {}\n    regionId: cn-hangzhou\n    domains: {ACME}\n    rrsaRoleARN: {}\n    rrsaOIDCProviderRoleARN: {}\n{more}",
        standard::ACME,
        standard::RRSA_ROLE,
        standard::OIDC_PROVIDER
    )
}

/// A pull ends so: the kubelet asks without the token that the entry requires.
#[test]
fn an_entry_for_pods_needs_a_provider_with_tokens() {
    let node = for_pods("    podIdentity: required\n");
    assert_eq!(node.refused(ACME).0, 3);
    let look = look_from(&node, &[provider(NAME, ACME, false)], &[]);
    assert_eq!((look.exit, look.status.as_str()), (Exit::Code(3), "failed"), "{}", look.says);
    for says in
        ["entry 1 (line 3) requires a pod's token", "render kubelet-config --service-accounts"]
    {
        assert!(look.says.contains(says), "{}", look.says);
    }
    let node = for_pods("    podIdentity: required\n");
    let look = look_from(&node, &[provider(NAME, ACME, true)], &[]);
    assert_eq!((look.exit, look.status.as_str()), (Exit::Code(0), "ok"), "{}", look.says);
}

/// Without the annotation no service account can choose a role.
#[test]
fn roles_named_by_annotations_need_the_annotation() {
    let key =
        "      optionalServiceAccountAnnotationKeys: [pod-identity.alibabacloud.com/role-name]\n";
    for (sent, status) in [("", "warning"), (key, "ok")] {
        let node = for_pods("    podIdentity: required\n    allowedRoles: [\"team-*\"]\n");
        let look = look_from(&node, &[provider(NAME, ACME, true) + sent], &[]);
        assert_eq!((look.exit, look.status.as_str()), (Exit::Code(0), status), "{}", look.says);
        assert_eq!(look.says.contains("has allowedRoles"), sent.is_empty(), "{}", look.says);
    }
}

/// By default an entry takes the token file for requests without a token; where it has none and the
/// kubelet sends tokens, pods pull anyway.
#[test]
fn a_node_without_a_token_file_serves_pods() {
    for (with_tokens, exit, check) in [(true, 0, "warning"), (false, 3, "failed")] {
        let mut node = for_pods("");
        node.settings += "  oidcTokenFile: /nowhere/token\n";
        node.configure_all(&entries(""));
        let look = look_from(&node, &[provider(NAME, ACME, with_tokens)], &[]);
        assert_eq!(look.exit, Exit::Code(exit), "{}", look.says);
        assert_eq!(look.identity["status"], check, "{}", look.identity);
    }
}
