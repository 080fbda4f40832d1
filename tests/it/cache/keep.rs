//! What is kept, for whom, and for how long.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use simulation::cloud::{Hop, SecretKind, standard};
use simulation::kubelet::encode_request;

use crate::node::{ACME, FOO, Node, V1, entry};

#[test]
fn the_second_pull_asks_nobody() {
    let node = Node::new("{}");
    let first = node.pull(ACME);
    let calls = node.cloud.calls().len();
    let second = node.pull(ACME);
    assert_eq!(node.cloud.calls().len(), calls);
    assert_eq!(second.password, first.password);
    assert!(first.is_whole());
    assert!((3560..=3570).contains(&second.cache), "{second:?}");
    assert_eq!(second.warnings, "");
}

/// Before the configuration is understood: that costs more than all the rest.
#[test]
fn the_second_pull_reads_no_yaml() {
    let node = Node::new("{}");
    let ask = || {
        let mut exec = node.exec(&[]);
        exec.config_env.push(("ACR_CREDENTIAL_PROVIDER_LOG".to_owned(), "debug".to_owned()));
        let request = encode_request(V1, &format!("{ACME}/team/app"), None, &[].into());
        exec.run(&request).unwrap().stderr_text()
    };
    assert!(ask().contains("configuration: "));
    assert_eq!(ask(), "debug: answered from the node's cache\n");
}

/// What a profile says stands in a file of its own: another content may be another identity.
#[test]
fn a_change_of_the_profile_takes_effect_at_once() {
    let mut node = Node::new("{}");
    let file = node.config().with_file_name("aliyun.json");
    let write = |role: &str| {
        let profile = format!(r#"{{"name":"ci","mode":"EcsRamRole","ram_role_name":"{role}"}}"#);
        fs::write(&file, format!(r#"{{"profiles":[{profile}]}}"#)).unwrap();
    };
    node.set("ALIBABA_CLOUD_CONFIG_FILE", file.to_str().unwrap());
    let entry = entry(ACME, standard::ACME, standard::PULLER);
    node.configure(&format!("{entry}    profile: ci\n"));
    write(standard::WORKER_ROLE_NAME);
    let first = node.pull(ACME);
    let calls = node.cloud.calls().len();
    assert_eq!(node.pull(ACME).password, first.password);
    assert_eq!(node.cloud.calls().len(), calls);
    write("AnotherRole");
    let (exit, stderr) = node.refused(ACME);
    assert_eq!(exit, 3, "{stderr}");
    assert!(stderr.contains("this instance has no role `AnotherRole`"), "{stderr}");
}

#[test]
fn only_the_owner_can_read_it() {
    let node = Node::new("{}");
    node.pull(ACME);
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(node.cache()), 0o700);
    for file in fs::read_dir(node.cache()).unwrap() {
        assert_eq!(mode(file.unwrap().path()), 0o600);
    }
}

#[test]
fn a_host_that_is_not_ours_leaves_no_trace() {
    let node = Node::new("{}");
    let outcome = node.ask("quay.io");
    assert!(outcome.answer(V1).unwrap().auth.is_none());
    assert!(!node.cache().exists());
}

/// And nothing stays of what the configuration no longer has.
#[test]
fn a_change_of_configuration_takes_effect_at_once() {
    let node = Node::new("{}");
    let acme = entry(ACME, standard::ACME, standard::PULLER);
    node.configure(&format!("{acme}{}", entry(FOO, standard::FOO_REGISTRY, standard::PULLER)));
    let (first, foo) = (node.pull(ACME).password, node.pull(FOO).password);
    for changed in [
        entry(ACME, standard::ACME, standard::PULLER_ONE_HOUR),
        format!("{acme}    roleSessionName: another\n"),
        format!("{acme}    sessionPolicy: pull-only\n"),
        format!("{acme}    expireDuration: 7200\n"),
        format!("{acme}# only a word beside it\n"),
    ] {
        let (assumed, _) = node.assumed_and_fetched();
        node.configure(&changed);
        let pulled = node.pull(ACME);
        assert_ne!(pulled.password, first, "{changed}");
        assert_eq!(node.assumed_and_fetched().0, assumed + 1, "{changed}");
        assert_eq!(node.kept("login").len(), 1, "{changed}");
        assert_eq!(node.kept("session").len(), 1, "{changed}");
        let files = fs::read_dir(node.cache()).unwrap().map(|file| file.unwrap().path());
        let all: String = files
            .map(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned())
            .collect();
        assert!(!all.contains(&first) && !all.contains(&foo), "{changed}");
    }
}

/// Even if nothing is fetched.
#[test]
fn a_pull_from_elsewhere_clears_away_what_the_configuration_no_longer_has() {
    let node = Node::new("{}");
    node.pull(ACME);
    node.configure(&entry(FOO, standard::FOO_REGISTRY, standard::PULLER));
    node.ask("quay.io");
    assert!(!node.keeps(SecretKind::RegistryPassword) && !node.keeps(SecretKind::SecurityToken));
}

#[test]
fn a_file_that_others_may_read_is_another_configuration() {
    let node = Node::new("{}");
    let key = format!(
        "  - instanceId: {}\n    regionId: cn-hangzhou\n    domains: {ACME}\n    customAccessKey: {}\n    customAccessKeySecret: {}\n",
        standard::ACME,
        standard::ACCESS_KEY_ID,
        standard::ACCESS_KEY_SECRET
    );
    node.configure(&key);
    node.pull(ACME);
    fs::set_permissions(node.config(), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(node.refused(ACME).0, 2);
}

/// One login has all the hosts of its instance.
#[test]
fn two_hosts_of_one_instance_share_a_login() {
    let node = Node::new("{}");
    node.configure(&entry(&format!("{ACME},img.example.com"), standard::ACME, standard::PULLER));
    let first = node.pull(ACME).password;
    assert_eq!(node.pull("img.example.com").password, first);
    assert_eq!(node.assumed_and_fetched(), (1, 1));
}

/// A login lives no longer than its session, so only a young session is used again.
#[test]
fn another_instance_behind_the_same_role_needs_no_new_session_for_a_while() {
    let mut node = Node::new("{}");
    let entries = [
        entry(ACME, standard::ACME, standard::PULLER),
        entry(FOO, standard::FOO_REGISTRY, standard::PULLER),
    ];
    node.configure(&entries.concat());
    node.pull(ACME);
    node.wait(300);
    let foo = node.pull(FOO);
    assert_eq!(node.assumed_and_fetched(), (1, 2));
    assert!((3260..=3270).contains(&foo.cache), "{foo:?}");
    let mut node = Node::new("{}");
    node.configure(&entries.concat());
    node.pull(ACME);
    node.wait(400);
    assert!(node.pull(FOO).is_whole());
    assert_eq!(node.assumed_and_fetched(), (2, 2));
}

#[test]
fn entries_with_other_roles_share_nothing() {
    let node = Node::new("{}");
    let entries = [
        entry(ACME, standard::ACME, standard::PULLER),
        entry(FOO, standard::FOO_REGISTRY, standard::PULLER_ONE_HOUR),
    ];
    node.configure(&entries.concat());
    node.pull(ACME);
    node.pull(FOO);
    assert_eq!(node.assumed_and_fetched(), (2, 2));
}

#[test]
fn a_login_is_renewed_once_it_has_less_than_the_threshold_left() {
    let mut node = Node::new("{}");
    let first = node.pull(ACME);
    node.wait(2600);
    let old = node.pull(ACME);
    assert_eq!(old.password, first.password);
    assert!((960..=970).contains(&old.cache), "{old:?}");
    node.wait(220);
    let new = node.pull(ACME);
    assert_ne!(new.password, first.password);
    assert!(new.is_whole());
    assert_eq!(node.assumed_and_fetched(), (2, 2));
}

#[test]
fn the_threshold_is_never_more_than_a_third_of_a_life() {
    let mut node = Node::new("{}");
    node.configure(&format!(
        "{}    expireDuration: 900\n",
        entry(ACME, standard::ACME, standard::PULLER)
    ));
    let first = node.pull(ACME);
    node.wait(590);
    assert_eq!(node.pull(ACME).password, first.password);
    node.wait(50);
    assert_ne!(node.pull(ACME).password, first.password);
}

#[test]
fn which_instance_a_host_belongs_to_is_asked_once() {
    let mut node = Node::new("{}");
    node.configure(&format!(
        "  - instanceId: {},{}\n    regionId: cn-hangzhou\n    assumeRoleARN: {}\n",
        standard::ACME,
        standard::FOO_REGISTRY,
        standard::PULLER
    ));
    node.pull(ACME);
    node.wait(3000);
    node.pull(ACME);
    assert_eq!(node.calls(Hop::RegistryChallenge), 1);
    assert_eq!(node.assumed_and_fetched(), (2, 2));
}

/// What had been learnt of the host no longer holds: it is learnt again in the same run.
#[test]
fn an_instance_that_has_been_made_anew_is_found() {
    let mut node = Node::new("{}");
    node.configure(&format!(
        "  - instanceId: {},{}\n    regionId: cn-hangzhou\n    assumeRoleARN: {}\n",
        standard::ACME,
        standard::FOO_REGISTRY,
        standard::PULLER
    ));
    node.pull(ACME);
    let accounts = standard::REGISTRY_ACCOUNT;
    let gone = format!(
        r#"{{accounts: {{"{accounts}": {{instances: {{{}: null, {}: {{name: acme}}}}}}}}}}"#,
        standard::ACME,
        standard::FOO_REGISTRY
    );
    node.cloud.change(&gone).unwrap();
    node.wait(3000);
    let outcome = node.ask(ACME);
    assert!(outcome.answer(V1).unwrap().auth.is_some(), "{outcome:?}");
    assert_eq!(node.calls(Hop::RegistryChallenge), 2);
}

#[test]
fn off_keeps_nothing() {
    let mut node = Node::new("{}");
    node.settings = "  cacheDir: off\n".to_owned();
    node.configure(&entry(ACME, standard::ACME, standard::PULLER));
    node.pull(ACME);
    node.pull(ACME);
    assert_eq!(node.assumed_and_fetched(), (2, 2));
    assert!(!node.cache().exists());
}

#[test]
fn what_a_pods_token_obtains_is_not_kept() {
    let node = Node::new("{}");
    node.configure_all(&format!(
        "rrsa: {{enable: true}}\nacr-registry-info:\n  - instanceId: {},{}\n    regionId: cn-hangzhou\n    rrsaRoleARN: {}\n    rrsaOIDCProviderRoleARN: {}\n    assumeRoleARN: {}\n",
        standard::ACME,
        standard::FOO_REGISTRY,
        standard::TEAM_A_ROLE,
        standard::OIDC_PROVIDER,
        standard::PULLER
    ));
    let token =
        node.cloud.service_account_token(standard::OIDC_PROVIDER, "team-a", "puller").mint();
    let image = format!("{ACME}/team/app");
    let request = encode_request(V1, &image, Some(&token), &std::collections::BTreeMap::new());
    for times in 1..=2 {
        let outcome = node.exec(&[]).run(&request).unwrap();
        node.pulled(ACME, &outcome);
        assert_eq!(node.calls(Hop::AssumeRoleWithOidc), times);
    }
    for kind in [SecretKind::RegistryPassword, SecretKind::SecurityToken, SecretKind::OidcToken] {
        assert!(!node.keeps(kind), "{kind:?}");
    }
    // And without the token the node's own file is asked for, not what the pod had.
    assert_eq!(node.refused(ACME).0, 3);
}

/// Whose it is cannot be told, and another one may belong to somebody else.
#[test]
fn what_a_temporary_access_key_obtains_is_not_kept() {
    let mut node = Node::new("{}");
    node.set("ALIBABA_CLOUD_ACCESS_KEY_ID", standard::ACCESS_KEY_ID);
    node.set("ALIBABA_CLOUD_ACCESS_KEY_SECRET", standard::ACCESS_KEY_SECRET);
    node.configure_all("watch-namespace: all\n");
    node.pull(ACME);
    node.pull(ACME);
    assert_eq!(node.calls(Hop::GetAuthorizationToken), 1, "a long-lived one is");
    node.set("ALIBABA_CLOUD_SECURITY_TOKEN", "not-a-token-of-this-cloud");
    assert_eq!(node.refused(ACME).0, 5);
    assert_eq!(node.kept("login").len(), 1, "that of the long-lived one");
}

/// Nothing but the boot clock counts.
#[test]
fn a_login_that_has_ended_is_never_served() {
    let mut node =
        Node::new("{faults: {get-authorization-token: [{calls: 2-, connection: reset}]}}");
    node.pull(ACME);
    node.wait(3601);
    assert_eq!(node.refused(ACME).0, 5);
}
