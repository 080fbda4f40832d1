//! Files for pods that pull as themselves: the kubelet's configuration for service account mode,
//! the right to ask for tokens, and the trust policies of the pods' roles.

use serde::Deserialize;
use serde_json::{Value as Json, json};
use simulation::cloud::standard;
use simulation::kubelet::config::{CacheType, Config, ProviderConfig};
use simulation::kubelet::{Exec, Exit, Kubelet, encode_request};

use super::{NEXT, hits, render};
use crate::PROGRAM;
use crate::node::{ACME, Node, V1, entry};

const NODE: &str = "aliyun-acr-credential-provider";
const PODS: &str = "aliyun-acr-credential-provider-pods";
const ISSUER: &str =
    "https://oidc-ack-cn-hangzhou.oss-cn-hangzhou.aliyuncs.com/c0000000000000000000000000000000a";

/// An entry of RRSA, with more of its keys.
fn rrsa(host: &str, more: &str) -> String {
    format!(
        "{}    rrsaRoleARN: {}\n    rrsaOIDCProviderRoleARN: {}\n{more}",
        entry(host, standard::ACME, standard::PULLER),
        standard::TEAM_A_ROLE,
        standard::OIDC_PROVIDER
    )
}

fn node(entries: &str) -> Node {
    let node = Node::new("{}");
    node.configure_all(&format!("rrsa: {{enable: true}}\nacr-registry-info:\n{entries}"));
    node
}

fn of(node: &Node, minor: u32) -> Result<String, (i32, String)> {
    let version = format!("1.{minor}");
    render(node, &["kubelet-config", "--service-accounts", "--kubelet-version", &version])
}

/// As a kubelet with its gate on reads it.
fn decoded(text: &str, minor: u32) -> Result<Config, String> {
    Kubelet::release(minor).with_service_account_tokens(true).decode_config(text)
}

fn provider<'c>(config: &'c Config, name: &str) -> Option<&'c ProviderConfig> {
    config.providers.iter().find(|provider| provider.name == name)
}

#[test]
fn it_is_for_kubernetes_1_33_and_later() {
    let node = node(&rrsa(ACME, ""));
    for minor in [20, 26, 32] {
        let (code, message) = of(&node, minor).unwrap_err();
        assert_eq!(code, 2);
        let version = format!("1.{minor}");
        assert!(message.contains(&version) && message.contains("1.33"), "{message}");
    }
    for minor in 33..=NEXT {
        let text = of(&node, minor).unwrap();
        let config = decoded(&text, minor).unwrap_or_else(|why| panic!("1.{minor}: {why}\n{text}"));
        let [provider] = &config.providers[..] else { panic!("one provider: {text}") };
        assert_eq!(provider.name, PODS, "not the name of the mode without tokens");
        assert_eq!(provider.api_version, V1);
        let attributes = provider.token_attributes.as_ref().unwrap();
        assert_eq!(attributes.audience, "sts.aliyuncs.com");
        let expected = (minor >= 34).then_some(CacheType::ServiceAccount);
        assert_eq!(attributes.cache_type, expected, "1.{minor}");
        let gate = "KubeletServiceAccountTokenForCredentialProviders=true";
        assert_eq!(text.contains(gate), minor == 33, "{text}");
        assert!(text.contains("render rbac"), "{text}");
        assert!(text.contains(&format!("ln -s {NODE} {PODS}")), "no kubelet without it: {text}");
    }
    assert!(decoded(&of(&node, 33).unwrap(), 34).is_err(), "one file cannot serve both");
    assert!(decoded(&of(&node, 34).unwrap(), 33).is_err());
    let newest = render(&node, &["kubelet-config", "--service-accounts"]).unwrap();
    assert_eq!(newest, of(&node, 34).unwrap(), "without a version it is for the newest");
}

/// Both modes in one file, and no image is in both: else the node's login rescues a refused pod.
#[test]
fn each_entry_is_in_the_mode_of_its_identity() {
    let globex = format!(
        "  - instanceId: {}\n    regionId: cn-shanghai\n    assumeRoleARN: {}\n",
        standard::GLOBEX,
        standard::PULLER
    );
    let node = node(
        &[
            entry("node.example.com", standard::ACME, standard::PULLER),
            rrsa("auto.example.com,both.example.com", ""),
            rrsa("off.example.com", "    podIdentity: off\n"),
            rrsa("required.example.com:8443", "    podIdentity: required\n"),
            // The entry before it answers for this host.
            entry("both.example.com", standard::ACME, standard::PULLER),
            globex,
        ]
        .concat(),
    );
    for minor in 33..=NEXT {
        let config = decoded(&of(&node, minor).unwrap(), minor).unwrap();
        let [pods, others] = [PODS, NODE].map(|name| provider(&config, name).unwrap());
        assert!(others.token_attributes.is_none());
        for (image, is_for_pods) in [
            ("node.example.com/a", false),
            ("auto.example.com/a", true),
            ("both.example.com/a", true),
            ("off.example.com/a", false),
            ("required.example.com:8443/a", true),
            ("globex-registry.cn-shanghai.cr.aliyuncs.com/a", false),
        ] {
            assert_eq!(hits(&pods.match_images, image), is_for_pods, "{image}");
            assert_eq!(hits(&others.match_images, image), !is_for_pods, "{image}");
        }
    }
    // Without tokens one provider is asked for all, and what cannot work so is told.
    let text = render(&node, &["kubelet-config", "--kubelet-version", "1.34"]).unwrap();
    assert_eq!(decoded(&text, 34).unwrap().providers.len(), 1);
    assert!(text.contains("# entry 4 (line 20) requires a pod's token"), "{text}");
}

#[test]
fn modes_that_cannot_be_kept_apart_are_an_error() {
    let instances = |more: &str| {
        format!(
            "  - instanceId: {}\n    regionId: cn-hangzhou\n    assumeRoleARN: {}\n{more}",
            standard::ACME,
            standard::PULLER
        )
    };
    let as_pods = format!(
        "    rrsaRoleARN: {}\n    rrsaOIDCProviderRoleARN: {}\n",
        standard::TEAM_A_ROLE,
        standard::OIDC_PROVIDER
    );
    for entries in [
        [instances(""), instances(&as_pods)],
        [instances(&as_pods), entry(ACME, standard::ACME, standard::PULLER)],
        [instances(""), rrsa(ACME, "")],
    ] {
        let node = node(&entries.concat());
        let (code, message) = of(&node, 34).unwrap_err();
        assert_eq!(code, 2, "{message}");
        let says = ["match the same images", "entry 1 (line 3)", "entry 2", "`domains`"];
        assert!(says.iter().all(|says| message.contains(says)), "{message}");
    }
}

#[test]
fn where_no_entry_takes_tokens_there_is_nothing_to_send_them_for() {
    for entries in
        [entry(ACME, standard::ACME, standard::PULLER), rrsa(ACME, "    podIdentity: off\n")]
    {
        let node = node(&entries);
        for arguments in [
            &["kubelet-config", "--service-accounts"][..],
            &["rbac", "--service-account", "a/b"],
            &["ram-policy", "--service-account", "a/b"],
        ] {
            let (code, message) = render(&node, arguments).unwrap_err();
            assert_eq!(code, 2);
            assert!(message.contains("no entry takes a pod's token"), "{message}");
        }
    }
}

/// Without a file there is an entry too: by the worker role, or by the environment's RRSA role.
#[test]
fn without_a_file_pods_are_for_the_identity_of_the_environment() {
    let run = |arguments: &[&str], rrsa: bool| {
        let mut exec = Exec::new(PROGRAM);
        exec.args = ["render"].iter().chain(arguments).map(|word| (*word).to_owned()).collect();
        for (name, value) in [
            ("ALIBABA_CLOUD_ROLE_ARN", standard::TEAM_A_ROLE),
            ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", standard::OIDC_PROVIDER),
            ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "/token"),
        ] {
            exec.kubelet_env.extend(rrsa.then(|| (name.to_owned(), value.to_owned())));
        }
        exec.run(&[]).unwrap()
    };
    for arguments in
        [&["kubelet-config", "--service-accounts"][..], &["rbac", "--service-account", "a/b"]]
    {
        let outcome = run(arguments, false);
        assert_eq!(outcome.exit, Exit::Code(2));
        assert!(outcome.stderr_text().contains("no entry takes a pod's token"), "{arguments:?}");
        assert_eq!(run(arguments, true).exit, Exit::Code(0), "{arguments:?}");
    }
    let written = run(&["kubelet-config", "--service-accounts"], true).stdout;
    let config = decoded(&String::from_utf8(written).unwrap(), 34).unwrap();
    let attributes = provider(&config, PODS).unwrap().token_attributes.as_ref().unwrap();
    // No role is allowed there: every pod with the annotation would be refused.
    assert_eq!(attributes.optional_annotation_keys, [""; 0]);
}

/// Service accounts may have the annotation for what runs in their pods; an entry without
/// `allowedRoles` would refuse them for it.
#[test]
fn the_annotation_is_asked_for_where_roles_are_allowed() {
    for (more, keys) in [
        ("", &[][..]),
        ("    allowedRoles: [team-a-*]\n", &["pod-identity.alibabacloud.com/role-name"]),
    ] {
        let config = decoded(&of(&node(&rrsa(ACME, more)), 34).unwrap(), 34).unwrap();
        let attributes = config.providers[0].token_attributes.as_ref().unwrap();
        assert_eq!(attributes.optional_annotation_keys, keys);
        assert_eq!(attributes.required_annotation_keys, [""; 0]);
    }
}

/// What `rbac.authorization.k8s.io/v1` has, and no more.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, tag = "kind")]
enum Manifest {
    #[serde(rename_all = "camelCase", alias = "Role")]
    ClusterRole { api_version: String, metadata: Metadata, rules: Vec<Rule> },
    #[serde(rename_all = "camelCase", alias = "RoleBinding")]
    ClusterRoleBinding {
        api_version: String,
        metadata: Metadata,
        role_ref: Reference,
        subjects: Vec<Reference>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    name: String,
    namespace: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Rule {
    api_groups: Vec<String>,
    resources: Vec<String>,
    #[serde(default)]
    resource_names: Vec<String>,
    verbs: Vec<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Reference {
    api_group: String,
    kind: String,
    name: String,
}

/// As the authorizer decides on the kubelet's question: may a node have a token of this audience
/// for a service account of this name in this namespace?
pub fn lets_nodes_ask(text: &str, audience: &str, namespace: &str, account: &str) -> bool {
    let manifests: Vec<Manifest> = serde_saphyr::from_multiple(text).unwrap();
    let group = "rbac.authorization.k8s.io";
    let reference = |kind: &str, name: &str| Reference {
        api_group: group.to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
    };
    let has = |list: &[String], wanted: &str| list.iter().any(|one| one == wanted || one == "*");
    manifests.chunks(2).any(|pair| {
        let [
            Manifest::ClusterRole { api_version: first, metadata, rules },
            Manifest::ClusterRoleBinding {
                api_version: second,
                metadata: bound,
                role_ref,
                subjects,
            },
        ] = pair
        else {
            panic!("a role and its binding: {text}")
        };
        assert!([first, second].iter().all(|version| **version == format!("{group}/v1")));
        assert!(!metadata.name.is_empty() && !bound.name.is_empty());
        assert_eq!(metadata.namespace, bound.namespace);
        let kind = if metadata.namespace.is_some() { "Role" } else { "ClusterRole" };
        assert_eq!(*role_ref, reference(kind, &metadata.name));
        metadata.namespace.as_deref().is_none_or(|its| its == namespace)
            && subjects.contains(&reference("Group", "system:nodes"))
            && rules.iter().any(|rule| {
                has(&rule.api_groups, "")
                    && has(&rule.resources, audience)
                    && (rule.resource_names.is_empty()
                        || rule.resource_names.iter().any(|name| name == account))
                    && has(&rule.verbs, "request-serviceaccounts-token-audience")
            })
    })
}

#[test]
fn rbac_lets_nodes_ask_for_tokens_of_this_audience() {
    let node = node(&rrsa(ACME, ""));
    let any = render(&node, &["rbac"]).unwrap();
    let named =
        render(&node, &["rbac", "--service-account", "a/app", "--service-account", "b/other.v1"])
            .unwrap();
    for (text, namespace, account, expected) in [
        (&any, "a", "app", true),
        (&any, "c", "default", true),
        (&named, "a", "app", true),
        (&named, "b", "other.v1", true),
        (&named, "a", "default", false),
        // The same name in another namespace.
        (&named, "b", "app", false),
        (&named, "c", "app", false),
    ] {
        let asks = |audience: &str| lets_nodes_ask(text, audience, namespace, account);
        assert_eq!(asks("sts.aliyuncs.com"), expected, "{namespace}/{account}");
        assert!(!asks("https://kubernetes.default.svc"));
        assert!(!asks(""), "the API server's own audience");
    }
    // Two calls for one namespace, each applied, would leave the second one's names.
    let replaces = "# This manifest replaces the list of service accounts";
    assert!(named.starts_with(replaces) && !any.contains(replaces), "{named}{any}");
    assert!(named.contains("# The names are without a namespace"), "{named}");
    assert!(!any.contains("without a namespace"), "{any}");
    assert!(named.contains("--service-account NAMESPACE/NAME=ROLE"), "{named}");
    // It needs no configuration.
    let bare = Node::new("{}");
    bare.configure_all("acr-registry-info:\n");
    assert_eq!(render(&bare, &["rbac"]).unwrap(), any);
    for wrong in ["app", "a/*", "a/b/c", "A/b"] {
        let (code, message) = render(&node, &["rbac", "--service-account", wrong]).unwrap_err();
        assert!(code == 2 && message.contains("<namespace>/<name>"), "{message}");
    }
}

/// The trust policies in the comments of the output.
fn trusts(text: &str) -> Vec<(String, Json)> {
    let mut all = Vec::new();
    for part in text.split("# Trust policy for RAM, of ").skip(1) {
        let (roles, rest) = part.split_once(":\n").unwrap();
        let policy: String =
            rest.lines().map_while(|line| line.strip_prefix("#   ")).collect::<Vec<_>>().join("\n");
        let policy: Json = serde_json::from_str(&policy).unwrap_or_else(|e| panic!("{e}: {text}"));
        all.extend(roles.split(", ").map(|role| (role.to_owned(), policy.clone())));
    }
    all
}

/// Attached as they are they let in the named service accounts, and no others.
#[test]
fn the_trust_policies_let_in_the_named_service_accounts() {
    let node = node(&rrsa(
        ACME,
        "    podIdentity: required\n    allowedRoles: [team-b-puller, team-c-*]\n",
    ));
    let arguments = ["rbac", "--issuer", ISSUER, "--service-account", "team-a/app"];
    let text = render(&node, &arguments).unwrap();
    let found = trusts(&text);
    let roles: Vec<&str> = found.iter().map(|(role, _)| role.as_str()).collect();
    let in_cluster = |name: &str| format!("acs:ram::1000000000000001:role/{name}");
    assert_eq!(
        roles,
        [standard::TEAM_A_ROLE, &in_cluster("team-b-puller"), &in_cluster("<team-c-*>")]
    );
    let trust = &found[0].1;
    let equals = &trust["Statement"][0]["Condition"]["StringEquals"];
    assert_eq!(equals["oidc:sub"], json!(["system:serviceaccount:team-a:app"]));
    assert_eq!(equals["oidc:aud"], "sts.aliyuncs.com");
    assert_eq!(equals["oidc:iss"], ISSUER);
    let roles = json!({"team-a-puller": {"trust": trust}});
    let overlay = json!({"accounts": {standard::CLUSTER_ACCOUNT: {"roles": roles}}});
    node.cloud.change(&overlay.to_string()).unwrap();
    for (account, expected) in
        [(("team-a", "app"), 0), (("team-a", "default"), 3), (("team-b", "app"), 3)]
    {
        let token =
            node.cloud.service_account_token(standard::OIDC_PROVIDER, account.0, account.1).mint();
        let request = encode_request(V1, &format!("{ACME}/a"), Some(&token), &[].into());
        let outcome = node.exec(&[]).run(&request).unwrap();
        assert_eq!(outcome.exit, Exit::Code(expected), "{account:?}: {outcome:?}");
    }
    let without =
        render(&node, &arguments[..1].iter().chain(&arguments[3..]).copied().collect::<Vec<_>>())
            .unwrap();
    assert!(without.contains("--issuer URL") && !without.contains("oidc:iss\":"), "{without}");
}

/// The same in one document with everything else that the roles need: two modes behind one role
/// have one trust policy.
#[test]
fn the_policies_are_all_that_pods_need() {
    let entries = rrsa(ACME, "    podIdentity: required\n")
        + &entry("img.example.com", standard::ACME, standard::PULLER);
    let node = node(&entries);
    let text = render(&node, &["ram-policy", "--service-account", "team-a/app"]).unwrap();
    let rendered: Vec<Json> = serde_json::from_str(&text).unwrap();
    let of = |role: &str, kind: &str| {
        let fits = |one: &&Json| one["attachTo"] == role && one["kind"] == kind;
        let found: Vec<&Json> = rendered.iter().filter(fits).collect();
        assert_eq!(found.len(), 1, "{kind} of {role}: {text}");
        found[0]["policy"].clone()
    };
    let bare = json!({"accounts": {
        standard::CLUSTER_ACCOUNT: {"roles": {"team-a-puller": {
            "system-policies": [],
            "trust": of(standard::TEAM_A_ROLE, "trust"),
            "policies": {"pull-images": null, "assume": of(standard::TEAM_A_ROLE, "permission")},
        }}},
        standard::REGISTRY_ACCOUNT: {"roles": {"acr-puller": {
            "trust": of(standard::PULLER, "trust"),
            "policies": {"pull-images": null, "pull": of(standard::PULLER, "permission")},
        }}},
    }});
    node.cloud.change(&bare.to_string()).unwrap();
    let token = node.cloud.service_account_token(standard::OIDC_PROVIDER, "team-a", "app").mint();
    let request = encode_request(V1, &format!("{ACME}/team/app"), Some(&token), &[].into());
    node.pulled(ACME, &node.exec(&[]).run(&request).unwrap());
}

/// Each team's role lets in that team alone, and the registry's role lets in these roles.
#[test]
fn each_team_has_a_policy_of_its_own() {
    let more = "    podIdentity: required\n    allowedRoles: [team-*-puller]\n";
    let node = node(&rrsa(ACME, more));
    let teams =
        ["team-a/app=team-a-puller", "team-a/web=team-a-puller", "team-b/app=team-b-puller"];
    let arguments: Vec<&str> = ["ram-policy", "--issuer", ISSUER]
        .into_iter()
        .chain(teams.iter().flat_map(|team| ["--service-account", *team]))
        .collect();
    let text = render(&node, &arguments).unwrap();
    let rendered: Vec<Json> = serde_json::from_str(&text).unwrap();
    let of = |role: &str, kind: &str| {
        let arn = format!("acs:ram::1000000000000001:role/{role}");
        let fits = |one: &&Json| {
            (one["attachTo"] == arn || one["attachTo"] == role) && one["kind"] == kind
        };
        let found: Vec<&Json> = rendered.iter().filter(fits).collect();
        assert_eq!(found.len(), 1, "{kind} of {role}: {text}");
        found[0].clone()
    };
    let equals = |role: &str| {
        of(role, "trust")["policy"]["Statement"][0]["Condition"]["StringEquals"].clone()
    };
    let a = json!(["system:serviceaccount:team-a:app", "system:serviceaccount:team-a:web"]);
    assert_eq!(equals("team-a-puller")["oidc:sub"], a);
    assert_eq!(equals("team-b-puller")["oidc:sub"], json!(["system:serviceaccount:team-b:app"]));
    assert_eq!(equals("team-b-puller")["oidc:iss"], ISSUER);
    let callers =
        of(standard::PULLER, "trust")["policy"]["Statement"][0]["Principal"]["RAM"].clone();
    let arn = |role: &str| format!("acs:ram::1000000000000001:role/{role}");
    assert_eq!(callers, json!([arn("team-a-puller"), arn("team-b-puller")]));
    assert!(!text.contains('<') && !text.contains("\"note\""), "{text}");

    // What is missing is said beside the policy.
    let without = render(&node, &["ram-policy", "--service-account", teams[0]]).unwrap();
    let without: Vec<Json> = serde_json::from_str(&without).unwrap();
    let trust = &without[0];
    assert!(
        trust["note"].as_str().unwrap().contains("oidc:iss is missing: give --issuer"),
        "{trust}"
    );
    let other = ["ram-policy", "--service-account", "team-c/app=other"];
    let (code, message) = render(&node, &other).unwrap_err();
    assert!(code == 2 && message.contains("no entry's allowedRoles has other"), "{message}");
}
