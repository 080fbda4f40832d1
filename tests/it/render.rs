//! What `render` writes, read by those it is for.

use aliyun_acr_credential_provider::config::{Config, EntryKeys};
use aliyun_acr_credential_provider::system::environment::Environment;
use serde_json::{Value as Json, json};
use simulation::cloud::standard;
use simulation::kubelet::{Exec, Exit, decode_config, urls_match};

use crate::node::{ACME, Node, entry};
use crate::{PROGRAM, TESTS};

pub mod service_accounts;

/// A version of Kubernetes that is not out yet.
const NEXT: u32 = 37;

fn render(node: &Node, arguments: &[&str]) -> Result<String, (i32, String)> {
    let outcome = node.exec(&[&["render"], arguments].concat()).run(&[]).unwrap();
    match outcome.exit {
        Exit::Code(0) => Ok(String::from_utf8(outcome.stdout).unwrap()),
        Exit::Code(code) => Err((code, outcome.stderr_text())),
        other => panic!("{other}"),
    }
}

fn hits(patterns: &[String], image: &str) -> bool {
    patterns.iter().any(|pattern| urls_match(pattern, image).unwrap())
}

#[test]
fn every_kubelet_reads_its_configuration() {
    let node = Node::new("{}");
    node.configure(&format!(
        "{}  - instanceId: {}\n    regionId: cn-shanghai\n    assumeRoleARN: {}\n  - regionId: cn-beijing\n",
        entry("acme-registry.cn-hangzhou.cr.aliyuncs.com:8443,img.example.com", standard::ACME, standard::PULLER),
        standard::GLOBEX,
        standard::PULLER
    ));
    for minor in 20..=NEXT {
        let text =
            render(&node, &["kubelet-config", "--kubelet-version", &format!("1.{minor}")]).unwrap();
        let config =
            decode_config(&text, minor).unwrap_or_else(|why| panic!("1.{minor}: {why}\n{text}"));
        let [provider] = &config.providers[..] else { panic!("one provider") };
        assert_eq!(provider.name, "aliyun-acr-credential-provider");
        for image in [
            "acme-registry.cn-hangzhou.cr.aliyuncs.com:8443/a",
            "img.example.com/a",
            "globex-registry-vpc.cn-shanghai.cr.aliyuncs.com/a",
            "globex-registry.distributed.cn-shanghai.cr.aliyuncs.com/a",
            "registry-vpc.cn-beijing.aliyuncs.com/a",
        ] {
            assert!(hits(&provider.match_images, image), "{image}: {:?}", provider.match_images);
        }
        for image in [
            "quay.io/a",
            "globex-registry.cn-hangzhou.cr.aliyuncs.com/a",
            "registry.cn-hangzhou.aliyuncs.com/a",
        ] {
            assert!(!hits(&provider.match_images, image), "{image}");
        }
        assert!(provider.token_attributes.is_none());
    }
}

#[test]
fn a_folder_of_configurations_came_with_1_34() {
    let node = Node::new("{}");
    let of =
        |version| render(&node, &["kubelet-config", "--directory", "--kubelet-version", version]);
    assert_eq!(of("1.33").unwrap_err().0, 2);
    assert!(decode_config(&of("1.34").unwrap(), 34).is_ok());
}

/// The folder `tests/render`: what is written for one configuration. With `BLESS=1` it is written.
#[test]
fn it_writes_what_it_wrote() {
    let path = format!("{TESTS}/render");
    for (name, arguments) in [
        ("kubelet-config.1.22.yaml", &["kubelet-config", "--kubelet-version", "1.22.3"][..]),
        ("kubelet-config.1.25.yaml", &["kubelet-config", "--kubelet-version", "v1.25"]),
        ("kubelet-config.1.30.yaml", &["kubelet-config", "--kubelet-version", "1.30.1-aliyun.1"]),
        ("kubelet-config.directory.yaml", &["kubelet-config", "--directory"]),
        ("ram-policy.json", &["ram-policy"]),
        ("config-map.yaml", &["config-map"]),
    ] {
        let mut exec = Exec::new(PROGRAM);
        let config = format!("{path}/config.yaml");
        let words = ["--config", &config, "render"];
        exec.args = words.iter().chain(arguments).map(|word| (*word).to_owned()).collect();
        let outcome = exec.run(&[]).unwrap();
        assert_eq!(outcome.exit, Exit::Code(0), "{name}: {}", outcome.stderr_text());
        let text = String::from_utf8(outcome.stdout).unwrap().replace(&path, "/etc");
        let file = format!("{path}/{name}");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&file, text).unwrap();
        } else {
            let golden = std::fs::read_to_string(&file).unwrap();
            assert_eq!(text, golden, "{name}; BLESS=1 cargo test --test it render writes it");
        }
    }
}

/// Puts what is rendered in place of what the standard cloud has for the roles.
fn attach(rendered: &[Json], roles: &[(&str, &str, &[&str])]) -> Json {
    let mut accounts = json!({});
    for (account, role, replaced) in roles {
        let arn = format!("acs:ram::{account}:role/{role}");
        let mut attached = json!({"system-policies": [], "policies": {}});
        for name in *replaced {
            attached["policies"][name] = Json::Null;
        }
        for policy in rendered.iter().filter(|policy| policy["attachTo"] == arn) {
            match policy["kind"].as_str().unwrap() {
                "trust" => attached["trust"] = policy["policy"].clone(),
                _ => attached["policies"]["rendered"] = policy["policy"].clone(),
            }
        }
        accounts[account]["roles"][role] = attached;
    }
    json!({"accounts": accounts})
}

/// Attached as it says, they are all that a pull needs.
#[test]
fn the_policies_are_all_that_a_pull_needs() {
    let mut node = Node::new("{}");
    node.settings = format!(
        "{}  workerRoleName: {}\n  accountId: \"{}\"\n",
        node.settings,
        standard::WORKER_ROLE_NAME,
        standard::CLUSTER_ACCOUNT
    );
    let puller = (standard::REGISTRY_ACCOUNT, "acr-puller", &["pull-images"][..]);
    let worker =
        (standard::CLUSTER_ACCOUNT, standard::WORKER_ROLE_NAME, &["k8sWorkerRolePolicy"][..]);
    for external in ["", "    externalId: acme-cluster\n"] {
        node.configure(&format!("{}{external}", entry(ACME, standard::ACME, standard::PULLER)));
        let rendered: Vec<Json> =
            serde_json::from_str(&render(&node, &["ram-policy"]).unwrap()).unwrap();
        let text = serde_json::to_string(&rendered).unwrap();
        assert_eq!(text.contains("sts:ExternalId"), !external.is_empty(), "{text}");
        node.cloud.change(&attach(&rendered, &[worker, puller]).to_string()).unwrap();
        node.pull(ACME);
    }
}

#[test]
fn the_policies_for_a_service_account_are_all_that_a_pull_needs() {
    let mut node = Node::new("{}");
    let token = node.folder.join("token");
    let minted = node.cloud.service_account_token(
        standard::OIDC_PROVIDER,
        "kube-system",
        "acr-credential-provider-token",
    );
    std::fs::write(&token, minted.mint()).unwrap();
    node.settings = format!("{}  oidcTokenFile: {}\n", node.settings, token.display());
    node.configure_all(&format!(
        "rrsa: {{enable: true}}\nacr-registry-info:\n{}    rrsaRoleARN: {}\n    rrsaOIDCProviderRoleARN: {}\n",
        entry(ACME, standard::ACME, standard::PULLER),
        standard::RRSA_ROLE,
        standard::OIDC_PROVIDER
    ));
    let rendered: Vec<Json> =
        serde_json::from_str(&render(&node, &["ram-policy"]).unwrap()).unwrap();
    let roles: [(&str, &str, &[&str]); 2] = [
        (standard::CLUSTER_ACCOUNT, "acr-rrsa", &[]),
        (standard::REGISTRY_ACCOUNT, "acr-puller", &["pull-images"]),
    ];
    node.cloud.change(&attach(&rendered, &roles).to_string()).unwrap();
    node.pull(ACME);
}

/// For an AccessKey the account of its user is for the reader to fill in.
#[test]
fn the_policies_for_an_access_key_leave_one_place_open() {
    let node = Node::new("{}");
    node.configure(&format!(
        "{}    customAccessKey: {}\n    customAccessKeySecret: {}\n",
        entry(ACME, standard::ACME, standard::PULLER),
        standard::ACCESS_KEY_ID,
        standard::ACCESS_KEY_SECRET
    ));
    let rendered: Vec<Json> =
        serde_json::from_str(&render(&node, &["ram-policy"]).unwrap()).unwrap();
    let attached: Vec<(&str, &str)> = rendered
        .iter()
        .map(|policy| (policy["attachTo"].as_str().unwrap(), policy["kind"].as_str().unwrap()))
        .collect();
    assert_eq!(
        attached,
        [
            ("the user of the AccessKey", "permission"),
            (standard::PULLER, "trust"),
            (standard::PULLER, "permission")
        ]
    );
    let trusted = &rendered[1]["policy"]["Statement"][0]["Principal"]["RAM"][0];
    assert_eq!(trusted, "acs:ram::<account of the AccessKey's user>:root");
}

/// The entries mean the same when this program reads the vendor's form again.
#[test]
fn the_config_map_reads_back_the_same() {
    let node = Node::new("{}");
    let entries = format!(
        "{}    expireDuration: 7200\n  - instanceId: {},{}\n    regionId: cn-hangzhou\n    rrsaRoleARN: {}\n    rrsaOIDCProviderRoleARN: {}\n    assumeRoleARN: {}\n",
        entry("img.example.com", standard::ACME, standard::PULLER),
        standard::ACME,
        standard::ACME_DEV,
        standard::RRSA_ROLE,
        standard::OIDC_PROVIDER,
        standard::PULLER_ONE_HOUR
    );
    node.configure_all(&format!(
        "expiring-threshold: 10m\nrrsa: {{enable: true}}\nacr-registry-info:\n{entries}"
    ));
    let text = render(&node, &["config-map"]).unwrap();
    let read = |text: &str| {
        let mut config = Config::resolve(None, text, false, &Environment::default()).unwrap();
        for entry in &mut config.entries {
            entry.name.clear();
            entry.written = EntryKeys::default();
        }
        (format!("{:?}", config.entries), config.expiring_threshold)
    };
    let original = std::fs::read_to_string(node.config()).unwrap();
    assert_eq!(read(&text), read(&original));
}

#[test]
fn no_access_key_is_written() {
    let node = Node::new("{}");
    node.configure(&format!(
        "  - instanceId: {}\n    regionId: cn-hangzhou\n    domains: {ACME}\n    customAccessKey: {}\n    customAccessKeySecret: {}\n",
        standard::ACME,
        standard::ACCESS_KEY_ID,
        standard::ACCESS_KEY_SECRET
    ));
    assert_eq!(render(&node, &["config-map"]).unwrap_err().0, 2);
    for what in ["kubelet-config", "ram-policy", "rbac"] {
        let text = render(&node, &[what]).unwrap();
        assert_eq!(node.cloud.leaks(&text), [], "{what}");
        assert!(!text.contains(standard::ACCESS_KEY_ID), "{what}");
    }
}
