//! Enterprise Edition: GetAuthorizationToken, the logins it gives, ListInstance,
//! ListInstanceEndpoint.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

use super::super::standard::{
    ACME, ACME_DEV, FOO_REGISTRY, GLOBEX, INHOUSE, PULLER, READER, ROOT_KEY_ID, ROOT_KEY_SECRET,
    WITHOUT_RIGHTS,
};
use super::super::{Cloud, LoginRefused};
use super::client::{
    Credentials, Reply, Rpc, assume_role, get_token, image_puller, login, node, puller, violations,
};

fn session_of(cloud: &Cloud, role: &str, policy: Option<&Json>) -> Credentials {
    let mut call = assume_role(cloud, &node(cloud), role);
    if let Some(policy) = policy {
        call = call.set("Policy", &policy.to_string());
    }
    let reply = call.send(&cloud.sts_url());
    assert_eq!(reply.status, 200, "{}", reply.body);
    Credentials::session(&reply.json()["Credentials"])
}

fn token(cloud: &Cloud, credentials: &Credentials, instance: &str) -> Reply {
    get_token(cloud, credentials, instance).send(&cloud.cr_url())
}

fn pull(cloud: &Cloud, reply: &Reply, instance: &str) -> Result<(), LoginRefused> {
    let (user, password) = login(reply);
    cloud.login_allows_pull(&user, &password, instance, "team/app")
}

/// A session policy as one that is bound to a single instance.
fn pull_only(instance: &str) -> Json {
    json!({"Version": "1", "Statement": [
        {"Effect": "Allow", "Action": "cr:GetAuthorizationToken", "Resource": "*"},
        {"Effect": "Allow", "Action": "cr:PullRepository",
         "Resource": format!("acs:cr:*:*:repository/{instance}/*")},
    ]})
}

#[test]
fn a_login_is_for_its_instance_and_has_its_user_name() {
    let cloud = Cloud::with("{}");
    let puller = puller(&cloud);
    let users = [
        (ACME, "cr_temp_user"),
        (ACME_DEV, "temp_user_cr"),
        (FOO_REGISTRY, "cr_temp_foo"),
        (GLOBEX, "cr_temp_globex"),
    ];
    for (instance, user) in users {
        let reply = token(&cloud, &puller, instance);
        assert_eq!(login(&reply).0, user);
        assert!(login(&reply).1.contains(':'));
        assert_eq!(pull(&cloud, &reply, instance), Ok(()));
    }
    let acme = token(&cloud, &puller, ACME);
    assert_eq!(pull(&cloud, &acme, ACME_DEV), Err(LoginRefused::Elsewhere));
    assert_eq!(pull(&cloud, &acme, "cri-nowhere"), Err(LoginRefused::Elsewhere));
    let (user, password) = login(&acme);
    let wrong = |user: &str, password: &str| cloud.login_allows_pull(user, password, ACME, "a/b");
    assert_eq!(wrong(&user, password.split(':').next().unwrap()), Err(LoginRefused::Unknown));
    assert_eq!(wrong("temp_user_cr", &password), Err(LoginRefused::Unknown));
    assert_eq!(violations(&cloud), [""; 0]);
}

#[test]
fn a_login_lives_an_hour_or_as_long_as_its_session() {
    let cloud = Cloud::with("clock: {offset-seconds: -86400}");
    let life = |reply: &Reply| {
        let expires = Timestamp::from_millisecond(reply.json()["ExpireTime"].as_i64().unwrap());
        expires.unwrap().duration_since(cloud.now())
    };
    let about = |reply: &Reply, minutes| {
        let off = life(reply) - SignedDuration::from_mins(minutes);
        assert!(off.abs() < SignedDuration::from_secs(10), "{:?}", life(reply));
    };
    about(&token(&cloud, &image_puller(), ACME), 60);
    let call = assume_role(&cloud, &node(&cloud), PULLER).set("DurationSeconds", "43200");
    let long = Credentials::session(&call.send(&cloud.sts_url()).json()["Credentials"]);
    about(&token(&cloud, &long, ACME), 12 * 60);
    cloud.advance(11 * 3600);
    let last = token(&cloud, &long, ACME);
    about(&last, 60);
    assert_eq!(pull(&cloud, &last, ACME), Ok(()));
    cloud.advance(3600);
    assert_eq!(pull(&cloud, &last, ACME), Err(LoginRefused::Expired));
}

#[test]
fn accounts_are_kept_apart() {
    let cloud = Cloud::with("{}");
    let node = node(&cloud);
    assert_eq!(token(&cloud, &node, INHOUSE).status, 200);
    assert_eq!(token(&cloud, &node, ACME).verdict(), "403 NoPrivilege");
    assert_eq!(token(&cloud, &puller(&cloud), INHOUSE).verdict(), "403 NoPrivilege");
    assert_eq!(token(&cloud, &image_puller(), INHOUSE).verdict(), "403 NoPrivilege");
    assert_eq!(token(&cloud, &puller(&cloud), "cri-nowhere").verdict(), "403 NoPrivilege");
    let none = get_token(&cloud, &node, ACME).without("InstanceId").send(&cloud.cr_url());
    assert_eq!(none.verdict(), "400 MissingParameter");
}

#[test]
fn the_right_is_needed_to_get_a_token_and_to_pull() {
    let cloud = Cloud::with("{}");
    let nothing = session_of(&cloud, WITHOUT_RIGHTS, None);
    let reply = token(&cloud, &nothing, ACME);
    assert_eq!(reply.verdict(), "403 NoPrivilege");
    assert_eq!(reply.json()["AccessDeniedDetail"]["AuthAction"], "cr:GetAuthorizationToken");
    assert_eq!(reply.json()["AccessDeniedDetail"]["AuthPrincipalType"], "AssumedRoleUser");
    let root = Credentials::key(ROOT_KEY_ID, ROOT_KEY_SECRET);
    assert_eq!(pull(&cloud, &token(&cloud, &root, ACME), ACME), Ok(()));

    // The right to pull can be taken away while the login lives.
    let reply = token(&cloud, &puller(&cloud), ACME);
    assert_eq!(pull(&cloud, &reply, ACME), Ok(()));
    cloud
        .change("accounts: {'2000000000000002': {roles: {acr-puller: {policies: null}}}}")
        .unwrap();
    assert_eq!(pull(&cloud, &reply, ACME), Err(LoginRefused::Denied));
}

#[test]
fn a_session_policy_narrows_and_never_widens() {
    let cloud = Cloud::with("{}");
    let narrow = session_of(&cloud, PULLER, Some(&pull_only(ACME)));
    assert_eq!(pull(&cloud, &token(&cloud, &narrow, ACME), ACME), Ok(()));
    // A token can be had (that right knows no resource), but it pulls nothing.
    let other = token(&cloud, &narrow, ACME_DEV);
    assert_eq!(pull(&cloud, &other, ACME_DEV), Err(LoginRefused::Denied));
    let endpoints = endpoints(&cloud, &narrow, ACME);
    assert_eq!(endpoints.verdict(), "403 NoPrivilege");
    assert_eq!(endpoints.json()["AccessDeniedDetail"]["PolicyType"], "SessionPolicy");

    let everything = json!({"Version": "1", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
    ]});
    let wide = session_of(&cloud, WITHOUT_RIGHTS, Some(&everything));
    assert_eq!(token(&cloud, &wide, ACME).verdict(), "403 NoPrivilege");

    // GetAuthorizationToken cannot be bound to an instance.
    let bound = json!({"Version": "1", "Statement": [
        {"Effect": "Allow", "Action": "cr:*", "Resource": format!("acs:cr:*:*:*/{ACME}*")},
    ]});
    let bound = session_of(&cloud, PULLER, Some(&bound));
    assert_eq!(token(&cloud, &bound, ACME).verdict(), "403 NoPrivilege");
}

#[test]
fn an_explicit_deny_wins() {
    let cloud = Cloud::with(
        "
accounts:
  '2000000000000002':
    roles:
      acr-puller:
        policies:
          not-this-one:
            Version: '1'
            Statement:
              - {Effect: Deny, Action: 'cr:PullRepository', Resource: 'acs:cr:*:*:repository/cri-acmeprod00000001/team/*'}
",
    );
    let reply = token(&cloud, &puller(&cloud), ACME);
    let (user, password) = login(&reply);
    let pull = |repository| cloud.login_allows_pull(&user, &password, ACME, repository);
    assert_eq!(pull("team/app"), Err(LoginRefused::Denied));
    assert_eq!(pull("other/app"), Ok(()));
}

#[test]
fn a_regional_endpoint_knows_its_region_only() {
    let cloud = Cloud::with("cr-per-region: true");
    let puller = puller(&cloud);
    let at = |region: &str, instance| {
        get_token(&cloud, &puller, instance).send(&cloud.cr_url_of(region)).verdict()
    };
    assert_eq!(at("cn-hangzhou", ACME), "200 success");
    assert_eq!(at("cn-shanghai", ACME), "403 NoPrivilege");
    assert_eq!(at("cn-shanghai", GLOBEX), "200 success");
    // By the Host header, where there is one that tells.
    let mut call = get_token(&cloud, &puller, ACME);
    call.host = "cr.cn-shanghai.aliyuncs.com";
    assert_eq!(call.send(&cloud.cr_url()).verdict(), "403 NoPrivilege");
    let mut call = get_token(&cloud, &puller, ACME);
    call.host = "cr-vpc.cn-hangzhou.aliyuncs.com:443";
    assert_eq!(call.send(&cloud.cr_url()).verdict(), "200 success");
}

fn endpoints(cloud: &Cloud, credentials: &Credentials, instance: &str) -> Reply {
    Rpc::signed(cloud, "ListInstanceEndpoint", credentials)
        .set("InstanceId", instance)
        .send(&cloud.cr_url())
}

#[test]
fn endpoints_have_system_and_user_domains() {
    let cloud = Cloud::with("{}");
    let reply = endpoints(&cloud, &puller(&cloud), ACME);
    let answer = reply.json();
    let kinds = |index: usize| answer["Endpoints"][index]["EndpointType"].clone();
    assert_eq!((kinds(0), kinds(1)), (json!("internet"), json!("vpc")));
    assert_eq!(
        answer["Endpoints"][0]["Domains"],
        json!([
            {"Type": "SYSTEM", "Domain": "acme-registry.cn-hangzhou.cr.aliyuncs.com"},
            {"Type": "USER", "Domain": "img.example.com"},
        ])
    );
    assert_eq!(
        answer["Endpoints"][1]["Domains"][0]["Domain"],
        "acme-registry-vpc.cn-hangzhou.cr.aliyuncs.com"
    );
    assert!(answer["Endpoints"][0]["AclEntries"].is_array());
    let call = Rpc::signed(&cloud, "ListInstanceEndpoint", &image_puller());
    let call = call.set("InstanceId", ACME);
    let summary = call.clone().set("Summary", "true").send(&cloud.cr_url());
    assert!(summary.json()["Endpoints"][0]["AclEntries"].is_null());
    let wrong = Rpc::signed(&cloud, "ListInstanceEndpoint", &image_puller())
        .set("InstanceId", ACME)
        .set("ModuleName", "Images");
    assert_eq!(wrong.send(&cloud.cr_url()).verdict(), "400 InvalidParameter.ModuleName");
    assert_eq!(endpoints(&cloud, &puller(&cloud), INHOUSE).verdict(), "403 NoPrivilege");
}

#[test]
fn the_name_filter_of_list_instance_is_not_to_be_trusted() {
    let cloud = Cloud::with("{}");
    let reader = session_of(&cloud, READER, None);
    let list = |parameters: &[(&str, &str)]| {
        let call = Rpc::signed(&cloud, "ListInstance", &reader);
        parameters
            .iter()
            .fold(call, |call, (name, value)| call.set(name, value))
            .send(&cloud.cr_url())
    };
    let names = |reply: &Reply| -> Vec<String> {
        let answer = reply.json();
        let instances = answer["Instances"].as_array().unwrap().iter();
        instances.map(|it| it["InstanceName"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&list(&[("InstanceName", "acme")])), ["acme-dev", "acme"]);
    assert_eq!(names(&list(&[])), ["acme-dev", "acme", "foo-registry", "globex"]);
    let second = list(&[("PageNo", "2"), ("PageSize", "3")]);
    assert_eq!(names(&second), ["globex"]);
    assert_eq!(second.json()["TotalCount"], 4);
    assert_eq!(names(&list(&[("PageNo", "3"), ("PageSize", "3")])), [""; 0]);
    assert_eq!(names(&list(&[("InstanceStatus", "STOPPED")])), [""; 0]);
    for (name, wrong) in [("PageNo", "0"), ("PageSize", "0"), ("PageSize", "101"), ("PageNo", "x")]
    {
        let verdict = list(&[(name, wrong)]).verdict();
        assert_eq!(verdict, format!("400 InvalidParameter.{name}"), "{wrong}");
    }
    let puller = puller(&cloud);
    let denied = Rpc::signed(&cloud, "ListInstance", &puller).send(&cloud.cr_url());
    assert_eq!(denied.verdict(), "403 NoPrivilege");
}
