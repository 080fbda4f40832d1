//! What makes the accounts, with Terraform and with the vendor's command line: each role gets the
//! policies that `render ram-policy` writes for the configuration of its identity, and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hcl::eval::{Context, Evaluate, FuncArgs, FuncDef, ParamType};
use hcl::{Block, Body};
use serde_json::{Value, json};

use super::identities::{CLUSTER, PROVIDER, REGISTRY, WORKER, filled_in};
use super::{folder, sample, scratch};
use crate::PROGRAM;

const ISSUER: &str =
    "https://oidc-ack-cn-hangzhou.oss-cn-hangzhou.aliyuncs.com/c0000000000000000000000000000000a";
const USER_DATA: &str = "#!/bin/sh\necho made by build-user-data.sh\n";

const FILES: [&str; 5] = [
    "terraform/cluster.tf",
    "terraform/node-pool.tf",
    "terraform/registry.tf",
    "terraform/variables.tf",
    "terraform/versions.tf",
];

/// Each identity, and its configuration.
const IDENTITIES: [(&str, &str); 2] =
    [("worker-role", "config.worker-role.yaml"), ("rrsa", "config.rrsa.yaml")];

pub fn read_terraform(name: &str, text: &str) {
    hcl::parse(text).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
    read_script(name, text);
}

pub fn read_script(name: &str, text: &str) {
    assert!(text.starts_with('#'), "{name} says at its top what it is for");
    let text = text.to_lowercase();
    for secret in ["access_key", "secret_key", "password", "ltai"] {
        assert!(!text.contains(secret), "{name}: {secret}");
    }
}

/// A policy, where it belongs. A list of one is the same as its element.
fn attached(to: &str, kind: &str, policy: &Value) -> String {
    fn plain(value: &Value) -> Value {
        match value {
            Value::Array(list) if list.len() == 1 => plain(&list[0]),
            Value::Array(list) => list.iter().map(plain).collect(),
            Value::Object(map) => {
                map.iter().map(|(key, value)| (key.clone(), plain(value))).collect()
            }
            other => other.clone(),
        }
    }
    format!("{to} {kind} {}", plain(policy))
}

fn rendered(configuration: &str) -> BTreeSet<String> {
    let file = scratch().join("config.yaml");
    fs::write(&file, filled_in(configuration)).unwrap();
    let output = Command::new(PROGRAM)
        .args(["render", "ram-policy", "--issuer", ISSUER, "--config"])
        .arg(file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let text = text.replace("<cluster account>", CLUSTER).replace("<worker role>", WORKER);
    let policies: Vec<Value> = serde_json::from_str(&text).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    policies
        .iter()
        .map(|at| attached(&text(&at["attachTo"]), &text(&at["kind"]), &at["policy"]))
        .collect()
}

/// Roles with their trust policies, policies, and which is attached to which; of both accounts.
#[derive(Default)]
struct Accounts {
    trust: BTreeMap<(String, String), Value>,
    policies: BTreeMap<(String, String), Value>,
    attachments: Vec<(String, String, String)>,
}

impl Accounts {
    fn policies(&self) -> BTreeSet<String> {
        let arn = |account: &str, role: &str| format!("acs:ram::{account}:role/{role}");
        let trust = self
            .trust
            .iter()
            .map(|((account, role), policy)| attached(&arn(account, role), "trust", policy));
        let permissions = self.attachments.iter().map(|(account, role, policy)| {
            let policy = &self.policies[&(account.clone(), policy.clone())];
            attached(&arn(account, role), "permission", policy)
        });
        trust.chain(permissions).collect()
    }
}

fn document(text: &Value) -> Value {
    serde_json::from_str(text.as_str().unwrap()).unwrap()
}

/// The functions of Terraform that the files call.
const FUNCTIONS: [(&str, Function); 3] = [
    ("jsonencode", |arguments| Ok(serde_json::to_string(&arguments[0]).unwrap().into())),
    ("length", |arguments| Ok(arguments[0].as_array().unwrap().len().into())),
    ("filebase64", |arguments| {
        Ok(STANDARD.encode(fs::read(arguments[0].as_str().unwrap()).unwrap()).into())
    }),
];

type Function = fn(FuncArgs) -> Result<hcl::Value, String>;

fn to_hcl(value: &Value) -> hcl::Value {
    serde_json::from_value(value.clone()).unwrap()
}

fn labels(block: &Block) -> Vec<&str> {
    block.labels().iter().map(hcl::BlockLabel::as_str).collect()
}

/// What Terraform would make, resources by type and name. A resource with `count` is a list.
fn planned(given: &Value) -> BTreeMap<String, BTreeMap<String, Value>> {
    let bodies: Vec<Body> = FILES.iter().map(|name| hcl::parse(&sample(name)).unwrap()).collect();
    let blocks = |kind: &'static str| {
        bodies.iter().flat_map(Body::blocks).filter(move |block| block.identifier() == kind)
    };
    let mut context = Context::new();
    for (name, function) in FUNCTIONS {
        context.declare_func(name, FuncDef::builder().param(ParamType::Any).build(function));
    }
    // By the provider, a resource says in which account it is.
    context.declare_var("alicloud", to_hcl(&json!({"cluster": CLUSTER, "registry": REGISTRY})));
    let evaluate = |expression: &hcl::Expression, context: &Context| -> Value {
        let value =
            expression.evaluate(context).unwrap_or_else(|wrong| panic!("{expression}: {wrong}"));
        serde_json::to_value(value).unwrap()
    };
    let mut variables = given.clone();
    let declared: BTreeSet<&str> = blocks("variable").map(|block| labels(block)[0]).collect();
    for name in given.as_object().unwrap().keys() {
        assert!(declared.contains(name.as_str()), "{name} is not a variable");
    }
    for block in blocks("variable") {
        let default = block.body().attributes().find(|attribute| attribute.key() == "default");
        let value = &mut variables[labels(block)[0]];
        if let (Some(default), true) = (default, value.is_null()) {
            *value = evaluate(default.expr(), &context);
        }
    }
    context.declare_var("var", to_hcl(&variables));
    let mut locals = json!({});
    for attribute in blocks("locals").flat_map(|block| block.body().attributes()) {
        locals[attribute.key()] = evaluate(attribute.expr(), &context);
        context.declare_var("local", to_hcl(&locals));
    }
    let mut made: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    // In this order each refers to those before.
    for kind in [
        "alicloud_ims_oidc_provider",
        "alicloud_ram_role",
        "alicloud_ram_policy",
        "alicloud_ram_role_policy_attachment",
        "alicloud_cs_kubernetes_node_pool",
    ] {
        let of_kind = made.entry(kind.to_owned()).or_default();
        for block in blocks("resource").filter(|block| labels(block)[0] == kind) {
            let mut resource = json!({});
            let mut count = None;
            for attribute in block.body().attributes() {
                match attribute.key() {
                    "depends_on" => {}
                    "count" => count = evaluate(attribute.expr(), &context).as_u64(),
                    key if count != Some(0) => resource[key] = evaluate(attribute.expr(), &context),
                    _ => {}
                }
            }
            let value = match count {
                None => resource,
                Some(0) => json!([]),
                Some(_) => json!([resource]),
            };
            of_kind.insert(labels(block)[1].to_owned(), value);
        }
        context.declare_var(kind, to_hcl(&serde_json::to_value(&*of_kind).unwrap()));
    }
    let kinds: BTreeSet<&str> = blocks("resource").map(|block| labels(block)[0]).collect();
    assert_eq!(kinds, made.keys().map(String::as_str).collect(), "each kind is read here");
    made
}

/// The values of a reader's own, as a file of variables has them.
fn values(identity: &str, folder: &Path) -> Value {
    let script = folder.join("user-data.sh");
    fs::write(&script, USER_DATA).unwrap();
    json!({
        "region": "cn-hangzhou",
        "cluster_profile": "a",
        "registry_profile": "b",
        "cluster_account": CLUSTER,
        "registry_account": REGISTRY,
        "identity": identity,
        "worker_role_name": WORKER,
        "oidc_provider_name": PROVIDER.rsplit_once('/').unwrap().1,
        "issuer_url": ISSUER,
        "cluster_id": "c0000000000000000000000000000000a",
        "vswitch_ids": ["vsw-a"],
        "instance_types": ["ecs.g7.large"],
        "key_name": "nodes",
        "user_data_file": script.to_str().unwrap(),
    })
}

fn with_terraform(given: &Value) -> Accounts {
    let made = planned(given);
    let all = |kind: &str| -> Vec<Value> {
        let flat = |value: &Value| match value {
            Value::Array(list) => list.clone(),
            one => vec![one.clone()],
        };
        made[kind].values().flat_map(flat).collect()
    };
    let text = |resource: &Value, key: &str| {
        resource[key].as_str().unwrap_or_else(|| panic!("{key}: {resource}")).to_owned()
    };
    let mut accounts = Accounts::default();
    for role in all("alicloud_ram_role") {
        let key = (text(&role, "provider"), text(&role, "role_name"));
        accounts.trust.insert(key, document(&role["assume_role_policy_document"]));
    }
    for policy in all("alicloud_ram_policy") {
        let key = (text(&policy, "provider"), text(&policy, "policy_name"));
        accounts.policies.insert(key, document(&policy["policy_document"]));
    }
    for attachment in all("alicloud_ram_role_policy_attachment") {
        assert_eq!(attachment["policy_type"], "Custom");
        let [account, role, policy] =
            ["provider", "role_name", "policy_name"].map(|key| text(&attachment, key));
        accounts.attachments.push((account, role, policy));
    }
    accounts
}

/// The calls that the script makes: account, operation, options.
fn called(environment: &[(&str, &str)]) -> Vec<(String, String, BTreeMap<String, String>)> {
    // In place of the vendor's program: writes its arguments.
    let fake = r#"aliyun() { for a; do printf '%s\037' "$a"; done; printf '\036'; }; . "$0""#;
    let output = Command::new("/bin/sh")
        .args(["-c", fake])
        .arg(folder().join("cli/accounts.sh"))
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .envs([("CLUSTER_PROFILE", CLUSTER), ("REGISTRY_PROFILE", REGISTRY)])
        .envs([("CLUSTER_ACCOUNT", CLUSTER), ("REGISTRY_ACCOUNT", REGISTRY)])
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let call = |call: &str| {
        let words: Vec<&str> = call.trim_end_matches('\x1f').split('\x1f').collect();
        let ["--profile", account, product, operation, options @ ..] = &words[..] else {
            panic!("{words:?}")
        };
        // A path stands before the options of a service that has paths.
        let options = options.iter().skip_while(|word| !word.starts_with("--")).collect::<Vec<_>>();
        let pairs = options.chunks(2).map(|pair| (pair[0].to_string(), pair[1].to_string()));
        ((*account).to_owned(), format!("{product} {operation}"), pairs.collect())
    };
    text.split_terminator('\x1e').map(call).collect()
}

fn with_command_line(environment: &[(&str, &str)]) -> Accounts {
    let mut accounts = Accounts::default();
    for (account, operation, options) in called(environment) {
        let option = |name: &str| options[name].clone();
        let policy = |name: &str| serde_json::from_str(&options[name]).unwrap();
        match operation.as_str() {
            "ram CreateRole" => {
                let trust = policy("--AssumeRolePolicyDocument");
                accounts.trust.insert((account, option("--RoleName")), trust);
            }
            "ram CreatePolicy" => {
                let key = (account, option("--PolicyName"));
                accounts.policies.insert(key, policy("--PolicyDocument"));
            }
            "ram AttachPolicyToRole" => {
                assert_eq!(options["--PolicyType"], "Custom");
                accounts.attachments.push((account, option("--RoleName"), option("--PolicyName")));
            }
            "ims CreateOIDCProvider" | "cs POST" => {}
            other => panic!("{other}"),
        }
    }
    accounts
}

#[test]
fn terraform_makes_the_policies_that_are_rendered() {
    for (identity, configuration) in IDENTITIES {
        let accounts = with_terraform(&values(identity, &scratch()));
        assert_eq!(accounts.policies(), rendered(configuration), "{identity}");
    }
}

#[test]
fn terraform_makes_an_oidc_provider_only_where_it_is_asked_to() {
    let mut given = values("rrsa", &scratch());
    assert_eq!(planned(&given)["alicloud_ims_oidc_provider"]["cluster"], json!([]));
    given["oidc_fingerprints"] = json!(["902ef2deeb3c5b13ea4c3d5193629309e231ae55"]);
    let made = planned(&given);
    let provider = &made["alicloud_ims_oidc_provider"]["cluster"][0];
    assert_eq!(provider["provider"], CLUSTER);
    assert_eq!(provider["issuer_url"], ISSUER);
    assert_eq!(provider["client_ids"], json!(["sts.aliyuncs.com"]));
    given["identity"] = json!("worker-role");
    assert_eq!(planned(&given)["alicloud_ims_oidc_provider"]["cluster"], json!([]));
}

#[test]
fn terraform_gives_the_nodes_the_script() {
    let made = planned(&values("worker-role", &scratch()));
    let pool = &made["alicloud_cs_kubernetes_node_pool"]["nodes"];
    assert_eq!(pool["provider"], CLUSTER);
    assert_eq!(pool["user_data"], STANDARD.encode(USER_DATA));
}

#[test]
fn the_command_line_makes_the_policies_that_are_rendered() {
    let provider = PROVIDER.rsplit_once('/').unwrap().1;
    for (environment, configuration) in [
        (&[("WORKER_ROLE", WORKER)][..], "config.worker-role.yaml"),
        (&[("OIDC_PROVIDER", provider), ("ISSUER_URL", ISSUER)], "config.rrsa.yaml"),
    ] {
        let accounts = with_command_line(environment);
        assert_eq!(accounts.policies(), rendered(configuration), "{configuration}");
    }
}

#[test]
fn the_command_line_makes_the_provider_and_the_nodes_if_it_is_asked_to() {
    let script = scratch().join("user-data");
    fs::write(&script, STANDARD.encode(USER_DATA)).unwrap();
    let operations = |calls: &[(String, String, BTreeMap<String, String>)]| {
        calls.iter().map(|(_, operation, _)| operation.clone()).collect::<Vec<_>>()
    };
    let rrsa = [("OIDC_PROVIDER", "own"), ("ISSUER_URL", ISSUER)];
    let few = operations(&called(&rrsa));
    assert!(
        !few.iter().any(|operation| operation.starts_with("ims") || operation.starts_with("cs")),
        "{few:?}"
    );
    let more = [
        ("FINGERPRINT", "902ef2deeb3c5b13ea4c3d5193629309e231ae55"),
        ("CLUSTER_ID", "c0000000000000000000000000000000a"),
        ("VSWITCH_ID", "vsw-a"),
        ("INSTANCE_TYPE", "ecs.g7.large"),
        ("KEY_PAIR", "nodes"),
        ("USER_DATA_FILE", script.to_str().unwrap()),
    ];
    let calls = called(&[&rrsa[..], &more].concat());
    assert_eq!(operations(&calls).first().unwrap(), "ims CreateOIDCProvider");
    assert_eq!(calls[0].2["--IssuerUrl"], ISSUER);
    let (account, _, options) =
        calls.iter().find(|(_, operation, _)| operation == "cs POST").unwrap();
    assert_eq!(account, CLUSTER);
    let body: Value = serde_json::from_str(&options["--body"]).unwrap();
    assert_eq!(body["kubernetes_config"]["user_data"], STANDARD.encode(USER_DATA));
}
