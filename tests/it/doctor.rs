//! What doctor says, and that doing what it says helps.

mod broken_nodes;
mod configuration;
mod followed;
mod kubelet;
mod login;
mod mirrors;
mod names;
mod output;
mod sarif;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value as Json, json};
use simulation::cloud::standard;
use simulation::kubelet::{Exec, Exit};

use crate::node::{ACME, FOO, Node, entry};
use crate::{PROGRAM, copied};

/// The registry of the simulation, with a realm that can be reached.
const WELL: &str = "{registry: {local-realm: true}}";

/// What doctor found: exit code and document.
fn doctor(node: &Node, arguments: &[&str]) -> (i32, Json) {
    let arguments = [&["doctor", "--json"], arguments].concat();
    let outcome = node.exec(&arguments).run(&[]).unwrap();
    let Exit::Code(code) = outcome.exit else { panic!("{}", outcome.exit) };
    let text = String::from_utf8(outcome.stdout).unwrap();
    assert_eq!(node.cloud.leaks(&text), [], "{text}");
    assert_eq!(outcome.stderr, b"", "{}", String::from_utf8_lossy(&outcome.stderr));
    let document: Json = serde_json::from_str(&text).unwrap();
    assert_eq!(document["version"], 2);
    assert_eq!(document["exit"], code);
    (code, document)
}

/// As a person reads it.
fn text(node: &Node, arguments: &[&str]) -> String {
    let outcome = node.exec(&[&["doctor"], arguments].concat()).run(&[]).unwrap();
    let text = String::from_utf8(outcome.stdout).unwrap();
    assert_eq!(node.cloud.leaks(&text), [], "{text}");
    text
}

fn check<'d>(document: &'d Json, name: &str) -> &'d Json {
    let checks = document["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).unwrap()
}

fn lines(check: &Json, key: &str) -> String {
    let lines = check[key].as_array().map(Vec::as_slice).unwrap_or_default();
    lines.iter().map(|line| line.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The policy that a remedy of the failed check gives, behind some words.
fn policy(check: &Json, before: &str) -> Json {
    let remedies = check["remedies"].as_array().unwrap();
    let remedy = remedies.iter().find_map(|remedy| remedy.as_str().unwrap().strip_prefix(before));
    let remedy = remedy.unwrap_or_else(|| panic!("{before} in {remedies:?}"));
    serde_json::from_str(remedy.split_once('\n').unwrap().1).unwrap()
}

#[test]
fn a_good_day_takes_a_line_for_each_check() {
    let node = Node::new(WELL);
    let root = node.machine(&node.folder.join("provider.yaml"), &node.config());
    let (code, document) = doctor(&node, &["--root", &root]);
    assert_eq!(code, 0);
    assert_eq!(document["result"], "ok", "{document:#}");
    let checks = document["checks"].as_array().unwrap();
    let names: Vec<&str> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "kubelet",
            "configuration",
            "entry",
            "identity",
            "endpoints",
            "clock",
            "role",
            "token",
            "registry",
            "cache",
            "last runs"
        ]
    );
    let role = lines(check(&document, "role"), "details");
    assert!(role.starts_with("acs:ram::2000000000000002:role/acr-puller/"), "{role}");
    assert!(lines(check(&document, "token"), "details").contains("cr_temp_user"));
    let short = text(&node, &["--root", &root]);
    assert!(!short.contains('\u{1b}'), "no colour where there is no terminal");
    assert!(short.ends_with("\nAll is well.\n"), "{short}");
    assert!(short.lines().count() <= 14, "short on a good day: {short}");
    assert!(short.lines().all(|line| line.chars().count() <= 100), "{short}");
    let long = text(&node, &["--root", &root, "--verbose"]);
    assert!(long.lines().count() > short.lines().count(), "{long}");
    assert!(!node.cache().exists(), "it changes nothing");
}

/// The first thing that is wrong, why, and what to do; what was not reached takes one line.
#[test]
fn a_bad_day_ends_with_the_check_that_fails() {
    let node = Node::new(
        "{registry: {local-realm: true}, faults: {assume-role: [{instead: {error: {status: 404, code: EntityNotExist.Role}}}]}}",
    );
    let text = text(&node, &[]);
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("FAILED  role ")).unwrap();
    assert!(lines[at].contains("EntityNotExist.Role"), "{text}");
    assert!(lines[at + 1].contains("does not exist"), "{text}");
    assert!(lines[at + 2].contains("do: compare account id"), "{text}");
    let place = format!("do: compare {}:5:5: assumeRoleARN", node.config().display());
    assert!(lines[at + 3].ends_with(&place), "{text}");
    assert!(lines[at + 4].starts_with("--      token"), "{text}");
    assert!(lines.last().unwrap().starts_with("FAILED: role, exit code 4."), "{text}");
}

/// The service's word on which policy denied decides which one is given.
#[test]
fn only_the_policy_that_is_missing_is_given() {
    let trust = format!("add this statement to the trust policy of {}:", standard::PULLER);
    let permission = "attach this policy to the worker role";
    for (roles, account, given, not) in [
        (
            json!({"acr-puller": {"trust": {"Version": "1", "Statement": []}}}),
            standard::REGISTRY_ACCOUNT,
            trust.as_str(),
            permission,
        ),
        (
            json!({standard::WORKER_ROLE_NAME: {"system-policies": [], "policies": {"k8sWorkerRolePolicy": null}}}),
            standard::CLUSTER_ACCOUNT,
            permission,
            trust.as_str(),
        ),
    ] {
        let node = Node::new(&json!({"accounts": {account: {"roles": roles}}}).to_string());
        let (code, document) = doctor(&node, &[]);
        assert_eq!(code, 4, "{document:#}");
        let remedies = lines(check(&document, "role"), "remedies");
        assert!(remedies.contains(given) && !remedies.contains(not), "{remedies}");
    }
}

#[test]
fn each_role_hop_is_told_with_its_length_and_end() {
    let mut node = Node::new(WELL);
    let token = node.folder.join("token");
    let minted = node.cloud.service_account_token(
        standard::OIDC_PROVIDER,
        "kube-system",
        "aliyun-acr-credential-helper",
    );
    fs::write(&token, minted.mint()).unwrap();
    node.settings = format!("{}  oidcTokenFile: {}\n", node.settings, token.display());
    node.configure_all(&format!(
        "rrsa: {{enable: true}}\nacr-registry-info:\n  - instanceId: {}\n    regionId: cn-hangzhou\n    domains: {ACME}\n    rrsaRoleARN: {}\n    rrsaOIDCProviderRoleARN: {}\n    assumeRoleARN: {}\n    expireDuration: 1800\n",
        standard::ACME,
        standard::RRSA_ROLE,
        standard::OIDC_PROVIDER,
        standard::PULLER
    ));
    let (code, document) = doctor(&node, &[]);
    assert_eq!(code, 0, "{document:#}");
    let first = lines(check(&document, "identity"), "details");
    assert!(first.contains("role/acr-rrsa/") && first.contains(" for 900 s, until 20"), "{first}");
    let second = lines(check(&document, "role"), "details");
    assert!(
        second.contains("role/acr-puller/") && second.contains(" for 1800 s, until 20"),
        "{second}"
    );
    let token = lines(check(&document, "token"), "details");
    assert!(token.contains("user cr_temp_user") && token.contains(", until 20"), "{token}");
}

/// Each service: resolved, connected, its TLS, and how long that took.
#[test]
fn services_are_shaken_hands_with() {
    let mut node = Node::new("{tls: true, registry: {local-realm: true}}");
    let pem = node.folder.join("ca.pem");
    fs::write(&pem, node.cloud.ca_pem().unwrap()).unwrap();
    let plain = node.settings.clone();
    node.settings = format!("{plain}  caFile: {}\n", pem.display());
    node.configure(&entry(ACME, standard::ACME, standard::PULLER));
    let (_, document) = doctor(&node, &[]);
    let told = lines(check(&document, "endpoints"), "details");
    for service in ["STS ", "ACR "] {
        let line = told.lines().find(|line| line.starts_with(service)).unwrap();
        assert!(line.contains(" ms, connected in ") && line.contains("TLS 1.3 in "), "{told}");
    }
    node.settings = plain;
    node.configure(&entry(ACME, standard::ACME, standard::PULLER));
    let (_, document) = doctor(&node, &[]);
    let endpoints = check(&document, "endpoints");
    assert_eq!(endpoints["status"], "warning");
    assert!(lines(endpoints, "details").contains("certificate not accepted"), "{endpoints:#}");
    assert!(lines(endpoints, "remedies").contains("caFile"), "{endpoints:#}");
}

/// Names in 100.0.0.0/8 that lead nowhere: the vendor's page has a remedy for each kind. The names
/// are mapped in a mount namespace of its own; 100.64.0.0/10 is nobody's here.
#[test]
fn names_of_services_within_a_vpc_have_the_vendors_remedies() {
    let node = Node::new("{}");
    let hosts = node.folder.join("hosts");
    let bucket = format!("{}-registry.oss-cn-hangzhou.aliyuncs.com", standard::ACME);
    let at = "100.64.0.1";
    fs::write(
        &hosts,
        format!(
            "127.0.0.1 localhost\n{at} dockerauth-ee.cn-hangzhou.aliyuncs.com\n{at} {bucket}\n"
        ),
    )
    .unwrap();
    let script = format!(
        "mount --bind '{}' /etc/hosts && exec '{PROGRAM}' --config '{}' doctor --json --oss auto",
        hosts.display(),
        node.config().display()
    );
    let mut exec = Exec::new("/usr/bin/unshare");
    exec.args = ["--mount", "/bin/sh", "-c", &script].map(str::to_owned).to_vec();
    exec.config_env = vec![("PATH".to_owned(), "/usr/sbin:/usr/bin:/sbin:/bin".to_owned())];
    let outcome = exec.run(&[]).unwrap();
    let document: Json = serde_json::from_slice(&outcome.stdout)
        .unwrap_or_else(|_| panic!("{}", outcome.stderr_text()));
    for (name, remedy) in [
        ("registry", "take over the authentication domain"),
        ("storage", "PrivateLink, with a CNAME"),
    ] {
        let check = check(&document, name);
        assert_eq!(check["status"], "warning", "{check:#}");
        assert!(lines(check, "details").contains(at), "{check:#}");
        assert!(lines(check, "remedies").contains(remedy), "{check:#}");
    }
}

/// It ends as the pull does, and the same check is named.
#[test]
fn it_ends_with_the_code_of_the_pull() {
    for (overlay, name) in [
        ("{node: {role: null}}", "identity"),
        ("{faults: {assume-role: [{connection: reset}]}}", "role"),
        ("{faults: {get-authorization-token: [{instead: html}]}}", "token"),
    ] {
        let node = Node::new(overlay);
        let (code, document) = doctor(&node, &[]);
        assert_eq!(code, node.refused(ACME).0, "{overlay}");
        assert_eq!(check(&document, name)["status"], "failed", "{document:#}");
        assert_eq!(document["result"], "failed");
    }
}

/// The policies that it says to add are taken as they are, and then the pull works.
#[test]
fn the_trust_policy_that_it_gives_helps() {
    let role = |policy: &Json| {
        json!({"accounts": {standard::REGISTRY_ACCOUNT: {"roles": {"acr-puller": {"trust": policy}}}}})
            .to_string()
    };
    let node = Node::new(&role(&json!({"Version": "1", "Statement": []})));
    let (code, document) = doctor(&node, &[]);
    assert_eq!(code, 4);
    let trust = policy(
        check(&document, "role"),
        &format!("add this statement to the trust policy of {}:", standard::PULLER),
    );
    assert_eq!(trust["Statement"][0]["Principal"]["RAM"][0], standard::WORKER_ROLE);
    node.cloud.change(&role(&trust)).unwrap();
    node.pull(ACME);
}

#[test]
fn the_pull_policy_that_it_gives_helps() {
    let node = Node::new("{}");
    node.configure(&entry(ACME, standard::ACME, standard::WITHOUT_RIGHTS));
    let (code, document) = doctor(&node, &[]);
    assert_eq!(code, 5);
    let before = format!("attach this policy to {}:", standard::WITHOUT_RIGHTS);
    let pull = policy(check(&document, "token"), &before);
    let roles = json!({"acr-without-rights": {"policies": {"pull": pull}}});
    let overlay = json!({"accounts": {standard::REGISTRY_ACCOUNT: {"roles": roles}}});
    node.cloud.change(&overlay.to_string()).unwrap();
    node.pull(ACME);
}

#[test]
fn the_trust_policy_for_a_service_account_helps() {
    let role = |policy: &Json| {
        json!({"accounts": {standard::CLUSTER_ACCOUNT: {"roles": {"acr-rrsa": {"trust": policy}}}}})
            .to_string()
    };
    let mut node = Node::new(&role(&json!({"Version": "1", "Statement": []})));
    let token = node.folder.join("token");
    let subject = ("kube-system", "acr-credential-provider-token");
    let minted = node.cloud.service_account_token(standard::OIDC_PROVIDER, subject.0, subject.1);
    fs::write(&token, minted.mint()).unwrap();
    node.settings = format!("{}  oidcTokenFile: {}\n", node.settings, token.display());
    node.configure_all(&format!(
        "rrsa: {{enable: true}}\nacr-registry-info:\n  - instanceId: {}\n    regionId: cn-hangzhou\n    domains: {ACME}\n    rrsaRoleARN: {}\n    rrsaOIDCProviderRoleARN: {}\n    assumeRoleARN: {}\n",
        standard::ACME,
        standard::RRSA_ROLE,
        standard::OIDC_PROVIDER,
        standard::PULLER
    ));
    let (code, document) = doctor(&node, &[]);
    assert_eq!(code, 3);
    let before = format!("add this statement to the trust policy of {}:", standard::RRSA_ROLE);
    let trust = policy(check(&document, "identity"), &before);
    node.cloud.change(&role(&trust)).unwrap();
    node.pull(ACME);
}

#[test]
fn it_says_which_entry_an_image_meets_and_why_not_the_others() {
    let node = Node::new(WELL);
    let entries = [
        entry("img.example.com", standard::ACME_DEV, standard::PULLER),
        format!("  - regionId: cn-hangzhou\n    assumeRoleARN: {}\n", standard::PULLER),
        entry(ACME, standard::ACME, standard::PULLER),
    ];
    node.configure(&entries.concat());
    let (_, document) = doctor(&node, &["--image", &format!("{ACME}/team/app:v1")]);
    let details = lines(check(&document, "entry"), "details");
    assert_eq!(
        details,
        format!(
            "{ACME} is {}, by entry 3 (line 8)\nits keys: instanceId (line 8), regionId (line 9), domains (line 10), assumeRoleARN (line 11)\nnot entry 1 (line 2): it names img.example.com\nnot entry 2 (line 6): it is for the Personal Edition",
            standard::ACME
        )
    );
    let (code, document) = doctor(&node, &["--image", &format!("{FOO}/team/app")]);
    assert_eq!(code, 0, "it is not ours: a pull gets no login, and that is no failure");
    let entry = check(&document, "entry");
    assert_eq!(entry["status"], "warning");
    assert!(lines(entry, "remedies").contains(&format!("domains: {FOO}")));
    let vpc = ACME.replace("registry", "registry-vpc");
    let (_, document) = doctor(&node, &["--image", &format!("{vpc}/team/app")]);
    let beside = format!("add {vpc} to `domains` of entry 3 (line 8)");
    assert_eq!(lines(check(&document, "entry"), "remedies"), beside);
}

#[test]
fn a_clock_that_is_off_and_a_wrong_instance_are_told() {
    let node = Node::new(WELL);
    node.cloud.advance(600);
    node.configure(&entry(ACME, standard::ACME_DEV, standard::PULLER));
    let (code, document) = doctor(&node, &[]);
    assert_eq!(code, 5, "a login of another instance does not pull");
    let clock = check(&document, "clock");
    assert_eq!(clock["status"], "warning", "{document:#}");
    // All times of a report are of one clock, the services'.
    let end = |name| {
        let told = lines(check(&document, name), "details");
        told.rsplit_once("until ").unwrap().1.parse::<jiff::Timestamp>().unwrap().as_second()
    };
    assert!(end("role").abs_diff(end("token")) < 60, "{document:#}");
    let registry = check(&document, "registry");
    assert!(
        lines(registry, "details")
            .contains(&format!("the registry says that it is {}", standard::ACME)),
        "{registry:#}"
    );
}

#[test]
fn the_cache_is_told_and_not_touched() {
    let node = Node::new(WELL);
    node.pull(ACME);
    let before = node.kept_as_it_is();
    assert!(!before.is_empty());
    let (_, document) = doctor(&node, &[]);
    let runs = check(&document, "last runs");
    assert!(lines(runs, "details").contains("fetched (metadata token "), "{runs:#}");
    assert_eq!(node.kept_as_it_is(), before, "it writes neither login nor trace");
    let details = lines(check(&document, "cache"), "details");
    assert!(details.contains("1 of 1 logins"), "{details}");
    assert!(details.contains(ACME), "{details}");
    // A pull closes it to others; doctor leaves it to the pull.
    fs::set_permissions(node.cache(), fs::Permissions::from_mode(0o755)).unwrap();
    doctor(&node, &[]);
    assert_eq!(fs::metadata(node.cache()).unwrap().permissions().mode() & 0o777, 0o755);
    fs::set_permissions(node.cache(), fs::Permissions::from_mode(0o777)).unwrap();
    let (_, document) = doctor(&node, &[]);
    assert_eq!(check(&document, "cache")["status"], "warning");
    assert_eq!(fs::metadata(node.cache()).unwrap().permissions().mode() & 0o777, 0o777);
}

/// Who is not root knows nothing of what root's kubelet keeps, and is not told that it is off, nor to
/// change where it is.
#[test]
fn another_user_is_told_that_roots_cache_is_not_to_be_seen() {
    let node = Node::new(WELL);
    node.pull(ACME);
    let folder = std::env::temp_dir().join(format!("acr-another-user-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let program = folder.join("program");
    copied(PROGRAM, &program);
    let named = format!("credential-provider:\n{}", node.settings);
    for settings in [named.as_str(), ""] {
        let mut exec = Exec::new("/usr/bin/setpriv");
        let config = folder.join("config.yaml");
        fs::write(&config, format!("acr-registry-info: []\n{settings}")).unwrap();
        exec.args =
            ["--reuid", "65534", "--regid", "65534", "--clear-groups"].map(str::to_owned).to_vec();
        exec.args.extend([
            program.display().to_string(),
            "--config".to_owned(),
            config.display().to_string(),
        ]);
        exec.args.extend(["doctor", "--json"].map(str::to_owned));
        let outcome = exec.run(&[]).unwrap();
        let document: Json =
            serde_json::from_slice(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:?}"));
        for name in ["cache", "last runs"] {
            let check = check(&document, name);
            assert_eq!(check["status"], "skipped", "{check:#}");
            assert!(lines(check, "details").contains("run doctor as root"), "{check:#}");
        }
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn an_authentication_service_that_is_none_is_told() {
    for (fault, says) in [
        ("{instead: {answer: {status: 404, content-type: text/html, body: hello}}}", "HTTP 404"),
        ("{connection: reset}", "does not answer as itself"),
    ] {
        let overlay =
            format!("{{registry: {{local-realm: true}}, faults: {{registry-auth: [{fault}]}}}}");
        let node = Node::new(&overlay);
        let (code, document) = doctor(&node, &[]);
        assert_eq!(code, 0, "a login is to be had anyway");
        let registry = check(&document, "registry");
        assert_eq!(registry["status"], "warning", "{registry:#}");
        assert!(lines(registry, "details").contains(says), "{registry:#}");
    }
}

/// A hop that takes all of the time is no fault of the checks behind it.
#[test]
fn a_registry_is_looked_at_after_a_pull_that_ran_out_of_time() {
    let mut node =
        Node::new("{registry: {local-realm: true}, faults: {assume-role: [{connection: hang}]}}");
    node.settings += "  timeout: 2s\n";
    node.configure(&entry(ACME, standard::ACME, standard::PULLER));
    let (code, document) = doctor(&node, &[]);
    assert_eq!((code, &check(&document, "role")["status"]), (6, &json!("failed")));
    let registry = check(&document, "registry");
    assert_eq!(registry["status"], "ok", "{registry:#}");
}

/// Who starts it by hand is told what to do, and does not wait for ever.
#[test]
fn without_a_request_on_a_terminal_it_says_what_to_do() {
    let mut exec = Exec::new("/usr/bin/script");
    exec.args = ["-qec", PROGRAM, "/dev/null"].map(str::to_owned).to_vec();
    let outcome = exec.run(&[]).unwrap();
    let text = String::from_utf8_lossy(&outcome.stdout);
    assert_eq!(outcome.exit, Exit::Code(2), "{text}");
    assert!(
        text.contains("doctor --image") && text.contains("CredentialProviderRequest"),
        "{text}"
    );
}

/// Where no entry names a host no pull is followed, and that is not well by itself.
#[test]
fn without_an_image_nobody_is_told_that_all_is_well() {
    let node = Node::new(WELL);
    node.configure(&format!(
        "  - instanceId: {}\n    regionId: cn-hangzhou\n    assumeRoleARN: {}\n",
        standard::ACME,
        standard::PULLER
    ));
    let told = text(&node, &[]);
    assert!(told.ends_with(" Not checked: entry.\n"), "{told}");
    let told = text(&node, &["--image", &format!("{ACME}/team/app")]);
    assert!(!told.contains("Not checked"), "{told}");
}
