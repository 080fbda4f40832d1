//! Descriptions: overlays, and what cannot be.

use super::super::{Cloud, Description};

fn impossible(overlay: &str) -> String {
    let description = Description::standard().overlaid(overlay);
    match description {
        Err(error) => error,
        Ok(description) => match Cloud::start(&description) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("this cloud can be: {overlay}"),
        },
    }
}

#[test]
fn an_overlay_reaches_single_things() {
    let world = Description::standard()
        .overlaid(
            "
tls: true
node: {role: null, region: cn-shanghai}
accounts:
  '2000000000000002':
    roles:
      acr-puller: {max-session: 3600}
      acr-reader: null
",
        )
        .unwrap();
    assert!(world.tls);
    assert_eq!(world.node.role, None);
    assert_eq!(world.node.region, "cn-shanghai");
    assert_eq!(world.node.zone, "cn-hangzhou-k");
    let roles = &world.accounts["2000000000000002"].roles;
    assert_eq!(roles["acr-puller"].max_session, 3600);
    assert!(!roles["acr-puller"].policies.is_empty());
    assert!(!roles.contains_key("acr-reader"));
    assert!(roles.contains_key("acr-puller-one-hour"));
}

#[test]
fn an_empty_overlay_changes_nothing() {
    let world = Description::standard();
    assert_eq!(world.overlaid("{}").unwrap(), world);
    let faults =
        "faults: {assume-role: [{calls: 1-2, connection: reset}, {calls: 3-, instead: huge}]}";
    let faulty = world.overlaid(faults).unwrap();
    assert_eq!(faulty.overlaid("{}").unwrap(), faulty);
}

#[test]
fn mistakes_are_told() {
    assert!(impossible("meta-data: {}").contains("unknown field `meta-data`"));
    assert!(impossible("metadata: {mode: hard}").contains("unknown variant `hard`"));
    assert!(impossible("faults: {assume-rolle: []}").contains("assume-rolle"));
    assert!(impossible("faults: {assume-role: [{calls: 0}]}").contains("calls: `0`"));
    assert!(
        impossible("faults: {assume-role: [{calls: 1, connection: refuse}]}").contains("counted")
    );
    assert!(impossible("node: {role: nobody}").contains("no role `nobody`"));
    assert!(impossible("node: {credential-age: 19800}").contains("has been replaced"));
    let registry =
        |change: &str| impossible(&format!("accounts: {{'2000000000000002': {change}}}"));
    assert!(registry("{roles: {acr-puller: {max-session: 7}}}").contains("3600 to 43200"));
    assert!(registry("{roles: {acr-puller: {system-policies: [Nope]}}}").contains("`Nope`"));
    assert!(registry("{roles: {acr-puller: {trust: {Version: '2'}}}}").contains("acr-puller"));
    assert!(registry("{instances: {cri-x: {name: acme, region: cn-hangzhou}}}").contains("twice"));
    assert!(registry("{root-access-keys: {LTAI5tX: {secret: ''}}}").contains("that short"));
    assert!(impossible("accounts: {prod: {}}").contains("`prod`"));
    // The role of a node has to trust ECS.
    let attached =
        "accounts: {'1000000000000001': {roles: {acr-rrsa: {}}}}\nnode: {role: acr-rrsa}";
    assert!(impossible(attached).contains("does not trust ecs.aliyuncs.com"));
}
