//! Remedies that name a change of the configuration, followed exactly: afterwards the pull works,
//! or there is another remedy, and what worked before works.

use simulation::cloud::standard;

use super::{WELL, check, doctor, lines};
use crate::node::{ACME, FOO, Node, entry};

struct Case {
    entries: String,
    host: &'static str,
    /// The check that names the change.
    check: &'static str,
    /// Words of the remedy.
    says: &'static str,
    /// The change: text that goes, and what comes in its place.
    from: &'static str,
    to: String,
    /// What pulls from the host end with afterwards.
    exit: i32,
}

const VPC: &str = "acme-registry-vpc.cn-hangzhou.cr.aliyuncs.com";

fn cases() -> Vec<Case> {
    let acme = || entry(ACME, standard::ACME, standard::PULLER);
    let external = "acs:ram::2000000000000002:role/acr-puller-external";
    vec![
        Case {
            entries: acme(),
            host: VPC,
            check: "entry",
            says: "add acme-registry-vpc.cn-hangzhou.cr.aliyuncs.com to `domains` of entry 1",
            from: "domains: acme",
            to: format!("domains: {VPC},acme"),
            exit: 0,
        },
        Case {
            entries: acme(),
            host: FOO,
            check: "entry",
            says: "add this entry to acr-registry-info, and assumeRoleARN for a registry of another account:",
            from: "credential-provider:",
            to: format!(
                "  - instanceId: {}\n    regionId: cn-hangzhou\n    domains: {FOO}\ncredential-provider:",
                standard::FOO_REGISTRY
            ),
            // The node's own role is not of the registry's account.
            exit: 5,
        },
        Case {
            entries: acme().replace("regionId: cn-hangzhou", "regionId: cn-shanghai"),
            host: ACME,
            check: "configuration",
            says: "correct regionId",
            from: "cn-shanghai",
            to: "cn-hangzhou".to_owned(),
            exit: 0,
        },
        Case {
            entries: format!(
                "{}    expireDuration: 7200\n",
                entry(ACME, standard::ACME, "acs:ram::2000000000000002:role/acr-puller-one-hour")
            ),
            host: ACME,
            check: "configuration",
            says: "or take expireDuration out",
            from: "    expireDuration: 7200\n",
            to: String::new(),
            exit: 0,
        },
        Case {
            entries: entry(ACME, standard::ACME, external),
            host: ACME,
            check: "role",
            says: "if the policy has sts:ExternalId, set externalId to its value",
            from: "    assumeRoleARN:",
            to: "    externalId: cluster-a/2026\n    assumeRoleARN:".to_owned(),
            exit: 0,
        },
        Case {
            entries: format!(
                "{}    externalId: cluster-b\n",
                entry(ACME, standard::ACME, external)
            ),
            host: ACME,
            check: "role",
            says: "externalId with sts:ExternalId in the trust policy",
            from: "cluster-b",
            to: "cluster-a/2026".to_owned(),
            exit: 0,
        },
        Case {
            entries: format!("{}{}", acme(), entry(ACME, standard::ACME_DEV, standard::PULLER)),
            host: ACME,
            check: "configuration",
            says: "take acme-registry.cn-hangzhou.cr.aliyuncs.com out of one of them",
            from: "    domains: acme-registry.cn-hangzhou.cr.aliyuncs.com\n    assumeRoleARN: acs:ram::2000000000000002:role/acr-puller\ncredential",
            to: "    assumeRoleARN: acs:ram::2000000000000002:role/acr-puller\ncredential"
                .to_owned(),
            exit: 0,
        },
        Case {
            entries: entry(ACME, "cri-notthere00000001", standard::PULLER),
            host: ACME,
            check: "token",
            says: "instanceId",
            from: "cri-notthere00000001",
            to: standard::ACME.to_owned(),
            exit: 0,
        },
        Case {
            entries: entry(ACME, standard::ACME, "acs:ram::2000000000000002:role/acr-pullr"),
            host: ACME,
            check: "role",
            says: "assumeRoleARN",
            from: "acr-pullr",
            to: "acr-puller".to_owned(),
            exit: 0,
        },
    ]
}

#[test]
fn no_remedy_leads_to_a_worse_node() {
    for Case { entries, host, check: name, says, from, to, exit } in cases() {
        let node = Node::new(WELL);
        node.configure(&entries);
        let image = format!("{host}/team/app");
        let (_, before) = doctor(&node, &["--image", &image]);
        let remedies = lines(check(&before, name), "remedies");
        assert!(remedies.contains(says), "{says}: {before:#}");
        let text = std::fs::read_to_string(node.config()).unwrap();
        assert!(text.contains(from), "{from} in\n{text}");
        std::fs::write(node.config(), text.replacen(from, &to, 1)).unwrap();
        let (code, after) = doctor(&node, &["--image", &image]);
        assert_eq!(code, exit, "{says}: {after:#}");
        assert_ne!(check(&after, "configuration")["status"], "failed", "{says}: {after:#}");
        let again = lines(check(&after, name), "remedies");
        assert!(!again.contains(says), "the same again: {after:#}");
        let (acme, _) = doctor(&node, &["--image", &format!("{ACME}/team/app")]);
        assert_eq!(acme, 0, "{says}: what worked before");
    }
}
