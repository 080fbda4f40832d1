//! AssumeRole: permission, trust, parameters.

use serde_json::json;

use super::super::clock::parse_iso;
use super::super::standard::{
    ACCESS_KEY_ID, CLUSTER_ACCOUNT, EXTERNAL_ID, FOR_OTHERS, PULLER, PULLER_EXTERNAL,
    PULLER_ONE_HOUR, ROOT_KEY_ID, ROOT_KEY_SECRET, WORKER_ROLE, WORKER_ROLE_NAME,
};
use super::super::{Cloud, standard};
use super::client::{
    Credentials, Reply, Rpc, assume_role, image_puller, last_call, node, violations,
};

/// What the node gets when it asks for a role.
fn asked_by_node(cloud: &Cloud, role: &str, change: impl Fn(Rpc) -> Rpc) -> Reply {
    change(assume_role(cloud, &node(cloud), role)).send(&cloud.sts_url())
}

fn verdict(role: &str, name: &str, value: &str) -> String {
    let cloud = Cloud::with("{}");
    let reply = asked_by_node(&cloud, role, |call| call.set(name, value));
    assert_eq!(violations(&cloud), [""; 0]);
    reply.verdict()
}

#[test]
fn the_node_assumes_a_role_of_another_account() {
    let cloud = Cloud::with("{}");
    let reply = asked_by_node(&cloud, PULLER, |call| call);
    assert_eq!(reply.status, 200, "{}", reply.body);
    let answer = reply.json();
    assert_eq!(answer["AssumedRoleUser"]["Arn"], format!("{PULLER}/node@cluster-a"));
    let credentials = &answer["Credentials"];
    assert!(credentials["AccessKeyId"].as_str().unwrap().starts_with("STS."));
    let token = credentials["SecurityToken"].as_str().unwrap();
    assert!(token.contains('+') && token.contains('/') && token.contains('='));
    let expires = parse_iso(credentials["Expiration"].as_str().unwrap()).unwrap();
    let life = expires.duration_since(cloud.now()).as_secs();
    assert!((3590..=3600).contains(&life), "{life}");
    assert_eq!(
        last_call(&cloud),
        format!(
            "AssumeRole {PULLER} by acs:ram::{CLUSTER_ACCOUNT}:assumed-role/{WORKER_ROLE_NAME}/… -> 200"
        )
    );
    assert_eq!(violations(&cloud), [""; 0]);
}

#[test]
fn the_caller_needs_the_permission_of_its_own_account() {
    let cloud = Cloud::with(&format!(
        "accounts: {{'{CLUSTER_ACCOUNT}': {{roles: {{{WORKER_ROLE_NAME}: {{system-policies: []}}}}}}}}"
    ));
    let reply = asked_by_node(&cloud, PULLER, |call| call);
    assert_eq!(reply.verdict(), "403 NoPermission");
    let detail = &reply.json()["AccessDeniedDetail"];
    assert_eq!(detail["AuthAction"], "sts:AssumeRole");
    assert_eq!(detail["NoPermissionType"], "ImplicitDeny");
    assert_eq!(detail["PolicyType"], "AccountLevelIdentityBasedPolicy");
    assert_eq!(detail["AuthPrincipalOwnerId"], CLUSTER_ACCOUNT);
}

#[test]
fn a_permission_can_be_bound_to_one_role() {
    let cloud = Cloud::with(&format!(
        "
accounts:
  '{CLUSTER_ACCOUNT}':
    roles:
      {WORKER_ROLE_NAME}:
        system-policies: []
        policies:
          assume:
            Version: '1'
            Statement: [{{Effect: Allow, Action: 'sts:AssumeRole', Resource: 'acs:ram:*:2000000000000002:role/acr-puller'}}]
"
    ));
    assert_eq!(asked_by_node(&cloud, PULLER, |call| call).status, 200);
    let other = asked_by_node(&cloud, PULLER_ONE_HOUR, |call| call);
    assert_eq!(other.verdict(), "403 NoPermission");
}

#[test]
fn the_role_must_trust_the_caller() {
    let cloud = Cloud::with("{}");
    let reply = asked_by_node(&cloud, FOR_OTHERS, |call| call);
    assert_eq!(reply.verdict(), "403 NoPermission");
    assert_eq!(
        reply.json()["Message"],
        "You are not authorized to do this action. You should be authorized by RAM."
    );
    assert_eq!(reply.json()["AccessDeniedDetail"]["PolicyType"], "AssumeRolePolicy");
    // A user of the right account still lacks the permission of its own.
    let reply = assume_role(&cloud, &image_puller(), FOR_OTHERS).send(&cloud.sts_url());
    assert_eq!(reply.verdict(), "403 NoPermission");
    assert_eq!(reply.json()["AccessDeniedDetail"]["PolicyType"], "AccountLevelIdentityBasedPolicy");
}

#[test]
fn a_root_account_assumes_no_role() {
    let cloud = Cloud::with("{}");
    let root = Credentials::key(ROOT_KEY_ID, ROOT_KEY_SECRET);
    let reply = assume_role(&cloud, &root, FOR_OTHERS).send(&cloud.sts_url());
    assert_eq!(reply.verdict(), "403 NoPermission");
}

#[test]
fn trust_follows_the_world_as_it_changes() {
    let cloud = Cloud::with("{}");
    let node = node(&cloud);
    let ask = || assume_role(&cloud, &node, PULLER).send(&cloud.sts_url()).verdict();
    assert_eq!(ask(), "200");
    cloud.change("accounts: {'2000000000000002': {roles: {acr-puller: null}}}").unwrap();
    assert_eq!(ask(), "404 EntityNotExist.Role");
}

#[test]
fn the_duration_has_bounds() {
    let message = "The Min/Max value of DurationSeconds is 15min/1hr.";
    for (role, seconds, expected) in [
        (PULLER, "899", "400 InvalidParameter.DurationSeconds"),
        (PULLER, "900", "200"),
        (PULLER, "43200", "200"),
        (PULLER, "43201", "400 InvalidParameter.DurationSeconds"),
        (PULLER, "1h", "400 InvalidParameter.DurationSeconds"),
        (PULLER_ONE_HOUR, "3600", "200"),
        (PULLER_ONE_HOUR, "3601", "400 InvalidParameter.DurationSeconds"),
    ] {
        let cloud = Cloud::with("{}");
        let reply = asked_by_node(&cloud, role, |call| call.set("DurationSeconds", seconds));
        assert_eq!(reply.verdict(), expected, "{role} {seconds}");
        if reply.status != 200 {
            assert_eq!(reply.json()["Message"], message);
        }
    }
}

#[test]
fn the_external_id_must_be_the_agreed_one() {
    let ask = |id: &str| verdict(PULLER_EXTERNAL, "ExternalId", id);
    assert_eq!(ask(EXTERNAL_ID), "200");
    assert_eq!(ask("cluster-b/2026"), "403 NoPermission");
    assert_eq!(ask("x"), "400 InvalidParameter.ExternalId");
    assert_eq!(ask("not allowed"), "400 InvalidParameter.ExternalId");
    assert_eq!(ask(&"x".repeat(1225)), "400 InvalidParameter.ExternalId");
    let cloud = Cloud::with("{}");
    let none = asked_by_node(&cloud, PULLER_EXTERNAL, |call| call);
    assert_eq!(none.verdict(), "403 NoPermission");
    // Nobody asked for one.
    assert_eq!(verdict(PULLER, "ExternalId", "whatever"), "200");
}

#[test]
fn names_have_their_form() {
    let session = |name: &str| verdict(PULLER, "RoleSessionName", name);
    assert_eq!(session("ab"), "200");
    assert_eq!(session(&"a".repeat(64)), "200");
    for wrong in ["a", &"a".repeat(65), "a/b", "a b", "acs:x", "ä-ö"] {
        assert_eq!(session(wrong), "400 InvalidParameter.RoleSessionName", "{wrong}");
    }
    let role = |arn: &str| verdict(PULLER, "RoleArn", arn);
    for wrong in [
        "acr-puller",
        "acs:ram::2000000000000002:user/image-puller",
        "acs:ram::account:role/x",
        "acs:ram::2000000000000002:role/",
        "acs:ram::2000000000000002:role/a/b",
        "arn:aws:iam::2000000000000002:role/x",
        " acs:ram::2000000000000002:role/acr-puller",
    ] {
        assert_eq!(role(wrong), "400 InvalidParameter.RoleArn", "{wrong}");
    }
    assert_eq!(role("acs:ram::2000000000000002:role/nobody"), "404 EntityNotExist.Role");
    assert_eq!(role(""), "400 MissingParameter");
}

#[test]
fn a_session_policy_has_size_and_grammar() {
    let ask = |policy: &str| verdict(PULLER, "Policy", policy);
    let fine = json!({"Version": "1", "Statement": [{"Effect": "Allow", "Action": "cr:*", "Resource": "*"}]});
    assert_eq!(ask(&fine.to_string()), "200");
    let padding = 2048 - fine.to_string().len();
    assert_eq!(ask(&format!("{fine}{}", " ".repeat(padding))), "200");
    let too_long = format!("{fine}{}", " ".repeat(padding + 1));
    assert_eq!(ask(&too_long), "400 InvalidParameter.PolicySize");
    for wrong in [
        "allow everything",
        "{}",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"cr:*","Resource":"*"}]}"#,
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"cr:*"}]}"#,
    ] {
        assert_eq!(ask(wrong), "400 InvalidParameter.PolicyGrammar", "{wrong}");
    }
}

#[test]
fn roles_can_be_assumed_one_from_another() {
    let cloud = Cloud::with(
        "
accounts:
  '2000000000000002':
    roles:
      acr-puller:
        system-policies: [AliyunSTSAssumeRoleAccess]
",
    );
    let reply = asked_by_node(&cloud, PULLER, |call| call);
    let puller = Credentials::session(&reply.json()["Credentials"]);
    let reply = assume_role(&cloud, &puller, FOR_OTHERS).send(&cloud.sts_url());
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(
        last_call(&cloud),
        format!(
            "AssumeRole {FOR_OTHERS} by acs:ram::2000000000000002:assumed-role/acr-puller/… -> 200"
        )
    );
}

#[test]
fn too_many_calls_are_throttled_by_account() {
    let cloud = Cloud::with("throttle: {assume-role-per-second: 2}");
    let node = node(&cloud);
    let ask =
        |credentials| assume_role(&cloud, credentials, PULLER).send(&cloud.sts_url()).verdict();
    assert_eq!([ask(&node), ask(&node)], ["200", "200"]);
    assert!((0..50).any(|_| ask(&node) == "400 Throttling.User"));
    // The other account has a bucket of its own.
    assert_eq!(ask(&image_puller()), "403 NoPermission");
}

#[test]
fn the_standard_names_are_those_of_the_standard_world() {
    let world = super::super::Description::standard();
    let cluster = &world.accounts[CLUSTER_ACCOUNT];
    let registry = &world.accounts[standard::REGISTRY_ACCOUNT];
    let name = |arn: &str| arn.rsplit_once('/').unwrap().1.to_owned();
    for role in [WORKER_ROLE, standard::RRSA_ROLE, standard::TEAM_A_ROLE] {
        assert!(cluster.roles.contains_key(&name(role)), "{role}");
    }
    for role in [
        PULLER,
        PULLER_ONE_HOUR,
        PULLER_EXTERNAL,
        FOR_OTHERS,
        standard::READER,
        standard::WITHOUT_RIGHTS,
    ] {
        assert!(registry.roles.contains_key(&name(role)), "{role}");
    }
    assert!(cluster.oidc_providers.contains_key(&name(standard::OIDC_PROVIDER)));
    assert_eq!(
        registry.users["image-puller"].access_keys[ACCESS_KEY_ID].secret,
        standard::ACCESS_KEY_SECRET
    );
    assert!(cluster.instances.contains_key(standard::INHOUSE));
    for id in [standard::ACME, standard::ACME_DEV, standard::FOO_REGISTRY, standard::GLOBEX] {
        assert!(registry.instances.contains_key(id), "{id}");
    }
}
