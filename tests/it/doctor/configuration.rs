//! The check of the configuration, for those who change it: every mistake and what will bite, each
//! with its place, and nobody is called.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use simulation::cloud::standard;
use simulation::kubelet::{Exec, Exit};

use super::{WELL, check, doctor, lines};
use crate::PROGRAM;
use crate::node::{ACME, Node, entry};

const KEY: &str = "  - instanceId: cri-acmeprod00000001\n    regionId: cn-hangzhou\n    domains: acme-registry.cn-hangzhou.cr.aliyuncs.com\n    customAccessKey: LTAI5tExampleExample\n    customAccessKeySecret: 0123456789abcdef0123456789abcd\n";

/// What will bite, each with what to do.
#[test]
fn the_configuration_is_checked_without_any_call() {
    let node = Node::new("{}");
    let good = entry(ACME, standard::ACME, standard::PULLER);
    for (entries, says) in [
        (
            format!("{good}    expireDuration: 7200\n"),
            "config.yaml:6:5: `expireDuration` 7200 is refused",
        ),
        (
            format!("{good}{}", entry(ACME, standard::ACME_DEV, standard::PULLER)),
            "config.yaml:8:5: entry 1 (line 2) has `acme-registry.cn-hangzhou.cr.aliyuncs.com` too",
        ),
        (
            good.replace("cn-hangzhou\n", "cn-shanghai\n"),
            "config.yaml:3:5: `regionId` is cn-shanghai",
        ),
        (
            format!(
                "  - instanceId: {}\n    regionId: cn-hangzhou\n    domains: {ACME}\n    customAccessKey: {}\n    customAccessKeySecret: {}\n",
                standard::ACME,
                standard::ACCESS_KEY_ID,
                standard::ACCESS_KEY_SECRET
            ),
            "config.yaml:5:5: an AccessKey",
        ),
    ] {
        node.configure(&entries);
        let (code, document) = doctor(&node, &["--config-only"]);
        assert_eq!((code, document["result"].as_str()), (0, Some("warning")), "{document:#}");
        let details = lines(check(&document, "configuration"), "details");
        assert!(details.contains(says), "{details}");
    }
    // A session by annotation is one as well, unless another role comes behind it.
    let mut node = node;
    node.settings += "  accountId: \"1\"\n";
    let annotated = "acr-registry-info:\n  - instanceId: cri-a\n    regionId: cn-hangzhou\n    rrsaOIDCProviderRoleARN: acs:ram::1:oidc-provider/c\n    podIdentity: required\n    allowedRoles: [a, team-*]\n    expireDuration: 7200\n";
    for (more, remedy) in [
        ("", "the maximum session duration of every role by annotation (a, team-*) to 7200"),
        ("    assumeRoleARN: acs:ram::2:role/x\n", "session duration of acs:ram::2:role/x to 7200"),
    ] {
        node.configure_all(&format!("{annotated}{more}"));
        let (code, document) = doctor(&node, &["--config-only"]);
        assert_eq!((code, document["result"].as_str()), (0, Some("warning")), "{document:#}");
        let told = check(&document, "configuration");
        let details = lines(told, "details");
        assert!(details.contains("config.yaml:7:5: `expireDuration` 7200 is refused"), "{details}");
        assert!(lines(told, "remedies").contains(remedy), "{told:#}");
    }
    node.configure("  - instanceId: no id\n    regionId: no region\n    expireDuration: 1\n");
    let (code, document) = doctor(&node, &["--config-only"]);
    assert_eq!(code, 2);
    let details = lines(check(&document, "configuration"), "details");
    assert_eq!(details.lines().count(), 3, "every mistake at once: {details}");
    assert!(details.lines().all(|line| line.contains("config.yaml:")), "{details}");
    assert_eq!(node.cloud.calls(), []);
}

/// What hides the rest of a file, or of a text in it, is reported with what can still be read.
#[test]
fn a_slip_that_is_not_yaml_hides_what_is_behind_it_alone() {
    let node = Node::new("{}");
    for (text, told) in [
        (
            "data:\r\n  acr-registry-info: |\r\n    - instanceId:\"acme\"\r\n      regionId: XX\r\n  tokenMode: pods\r\n  rrsa: |\r\n    enable:yes\r\n",
            &[
                "3:18: a space is missing after `instanceId:`",
                "5:14: `tokenMode` is `pods`",
                "7:12: a space is missing after `enable:`",
            ][..],
        ),
        (
            "rrsa: \"{enabel: true}\"\nacr-registry-info: [{regionId: XX, regionId: YY, instanceId:b}]\n",
            &[
                "1:9: unknown key `enabel`",
                "2:36: `regionId` is given a second time; the first is at 2:22",
                "2:61: a space is missing after `instanceId:`",
            ],
        ),
    ] {
        fs::write(node.config(), text).unwrap();
        let (code, document) = doctor(&node, &["--config-only"]);
        let details = lines(check(&document, "configuration"), "details");
        assert_eq!((code, details.lines().count()), (2, told.len()), "{details}");
        for (line, told) in details.lines().zip(told) {
            assert!(line.contains(&format!("config.yaml:{told}")), "{told} in\n{details}");
        }
        assert_eq!(node.ask("quay.io").exit, Exit::Code(2));
    }
}

/// A mistake in the environment is one of the configuration.
#[test]
fn variables_are_checked() {
    let mut node = Node::new("{}");
    node.set("ALIBABA_CLOUD_STS_REGION", "NOT A REGION");
    let (code, document) = doctor(&node, &["--config-only"]);
    let told = check(&document, "configuration");
    let says = "environment: ALIBABA_CLOUD_STS_REGION is `NOT A REGION`";
    assert!(lines(told, "details").contains(says), "{told:#}");
    assert!(lines(told, "remedies").contains("correct or unset it"), "{told:#}");
    assert_eq!(code, 2);
    node.set("ALIBABA_CLOUD_STS_REGION", "cn-hangzhou");
    node.set("ACR_CREDENTIAL_PROVIDER_LOG", "verbose");
    let outcome = node.exec(&["doctor", "--config-only"]).run(&[]).unwrap();
    let report = String::from_utf8(outcome.stdout).unwrap();
    assert!(report.contains("ACR_CREDENTIAL_PROVIDER_LOG is `verbose`"), "{report}");
    assert_eq!(outcome.exit, Exit::Code(0));
}

/// Keys of the vendor's helper that people may count on.
#[test]
fn what_does_not_restrict_pulls_any_more_is_said_plainly() {
    let node = Node::new(WELL);
    let good = format!("acr-registry-info:\n{}", entry(ACME, standard::ACME, standard::PULLER));
    node.configure_all(&format!(
        "service-account: default\nwatch-namespace: team-a\nnotify-email: a@example.com\n{good}"
    ));
    let (code, document) = doctor(&node, &["--config-only"]);
    let told = check(&document, "configuration");
    let details = lines(told, "details");
    assert_eq!((code, told["status"].as_str()), (0, Some("warning")));
    for says in [
        "config.yaml:1:1: `service-account` does not restrict who pulls: every pod of the node does",
        "config.yaml:2:1: `watch-namespace` does not restrict",
        "without a meaning on a node: service-account (line 1), watch-namespace (line 2), notify-email (line 3)",
    ] {
        assert!(details.contains(says), "{details}");
    }
    for restricting in ["[default, builder]", "[\"*\", default]", "{default: true}", "[[all]]"] {
        node.configure_all(&format!("service-account: {restricting}\n{good}"));
        let (_, document) = doctor(&node, &["--config-only"]);
        let details = lines(check(&document, "configuration"), "details");
        assert!(details.contains("`service-account` does not restrict"), "{restricting} {details}");
    }
    for everybody in ["\"*\"", "all", "", "\"\"", "[]", "{}", "[\"*\"]", "[all]"] {
        node.configure_all(&format!(
            "service-account: {everybody}\nwatch-namespace: {everybody}\n{good}"
        ));
        let (_, document) = doctor(&node, &["--config-only"]);
        let status = &check(&document, "configuration")["status"];
        assert_eq!(status, "ok", "it restricted nothing: {everybody}");
    }
}

#[test]
fn instances_and_regions_that_two_entries_claim_are_told() {
    let node = Node::new("{}");
    let instance = format!("  - instanceId: {}\n    regionId: cn-hangzhou\n", standard::ACME);
    let personal = "  - regionId: cn-hangzhou\n".to_owned();
    for (one, says) in [
        (
            &instance,
            "config.yaml:4:5: entry 1 (line 2) has cri-acmeprod00000001 too: a pull from it ends with an error",
        ),
        (
            &personal,
            "config.yaml:3:5: entry 1 (line 2) has `the Personal Edition of cn-hangzhou` too, and answers",
        ),
    ] {
        node.configure(&format!("{one}{one}"));
        let (_, document) = doctor(&node, &["--config-only"]);
        let details = lines(check(&document, "configuration"), "details");
        assert!(details.contains(says), "{details}");
    }
}

#[test]
fn a_vpc_host_with_public_services_is_told() {
    let mut node = Node::new("{}");
    node.settings += "  network: internet\n";
    let host = "acme-registry-vpc.cn-hangzhou.cr.aliyuncs.com";
    node.configure(&entry(host, standard::ACME, standard::PULLER));
    let (code, document) = doctor(&node, &["--config-only"]);
    let details = lines(check(&document, "configuration"), "details");
    assert_eq!(code, 0);
    assert!(
        details.contains("config.yaml:4:5: `acme-registry-vpc")
            && details.contains("`network: internet`"),
        "{details}"
    );
}

/// It is not used, and everything that is wrong with it is reported.
#[test]
fn mistakes_in_a_file_that_others_can_write() {
    let node = Node::new("{}");
    let text = "acr-registry-info:\n  - instanceId: cri-a\n    regionId: XX\ntokenMode: pods\n";
    fs::write(node.config(), text).unwrap();
    fs::set_permissions(node.config(), fs::Permissions::from_mode(0o664)).unwrap();
    let (code, document) = doctor(&node, &["--config-only"]);
    let check = check(&document, "configuration");
    let details = lines(check, "details");
    assert_eq!(code, 2);
    for says in ["can be written by its group", "config.yaml:3:15: ", "config.yaml:4:12: "] {
        assert!(details.contains(says), "{details}");
    }
    assert_eq!(check["problems"].as_array().unwrap().len(), 3);
}

/// With an AccessKey in it nobody else may read the file.
#[test]
fn the_modes_of_the_file() {
    let node = Node::new("{}");
    for (entries, mode, code, says) in [
        (
            KEY,
            0o644,
            2,
            Some("config.yaml:5:22: an AccessKey in a file that its group or others can read"),
        ),
        (KEY, 0o600, 0, Some("config.yaml:5:5: an AccessKey that does not end by itself")),
        ("  - instanceId: cri-a\n", 0o644, 0, None),
    ] {
        node.configure(entries);
        fs::set_permissions(node.config(), fs::Permissions::from_mode(mode)).unwrap();
        let (exit, document) = doctor(&node, &["--config-only"]);
        let check = check(&document, "configuration");
        assert_eq!(exit, code, "{check:#}");
        match says {
            Some(says) => assert!(lines(check, "details").contains(says), "{check:#}"),
            None => assert_eq!(check["status"], "ok", "{check:#}"),
        }
    }
}

/// In a pipeline: no network at all, not even a loopback device, and no machine of the cloud.
#[test]
fn it_needs_no_network() {
    let node = Node::new("{}");
    let check = |expected| {
        let mut exec = Exec::new("/usr/bin/unshare");
        let config = node.config().to_string_lossy().into_owned();
        exec.args = ["--net", PROGRAM, "doctor", "--config-only", "--json", "--config", &config]
            .map(str::to_owned)
            .to_vec();
        let outcome = exec.run(&[]).unwrap();
        assert_eq!(outcome.exit, Exit::Code(expected), "{}", outcome.stderr_text());
        let document: serde_json::Value = serde_json::from_slice(&outcome.stdout).unwrap();
        assert_eq!(document["checks"].as_array().unwrap().len(), 1, "{document:#}");
    };
    check(0);
    node.configure("  - instanceId: acme\n");
    check(2);
}

/// Places are those of the file, also within a string of the manifest.
#[test]
fn places_in_a_manifest_are_those_of_the_file() {
    let node = Node::new("{}");
    fs::write(node.config(), "apiVersion: v1\nkind: ConfigMap\ndata:\n  watch-namespace: team-a\n  acr-registry-info: |\n    - instanceId: cri-a\n      assumeRoleARN: acs:ram::2000000000000002:role/acr-puller\n      expireDuration: 43200\n").unwrap();
    let (_, document) = doctor(&node, &["--config-only"]);
    let details = lines(check(&document, "configuration"), "details");
    assert!(details.contains("config.yaml:4:3: `watch-namespace`"), "{details}");
    assert!(details.contains("config.yaml:8:7: `expireDuration` 43200"), "{details}");
}
