//! The registry's challenge and realm.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value as Json, json};

use super::super::Cloud;
use super::super::standard::{ACME, GLOBEX};
use super::client::{Reply, get, get_token, image_puller, last_call, login, violations};

fn challenge(cloud: &Cloud, host: &str) -> Reply {
    get(&cloud.registry_url(), "/v2/", &[("Host", host)])
}

fn bearer(cloud: &Cloud, host: &str) -> String {
    let reply = challenge(cloud, host);
    assert_eq!(reply.status, 401, "{host}");
    reply.headers["www-authenticate"].clone()
}

#[test]
fn enterprise_hosts_name_their_instance() {
    let cloud = Cloud::with("{}");
    let acme = format!("service=\"registry.aliyuncs.com:cn-hangzhou:china:{ACME}\"");
    let public = "realm=\"https://dockerauth-ee.cn-hangzhou.aliyuncs.com/auth\"";
    let vpc = "realm=\"https://dockerauth-ee-vpc.cn-hangzhou.aliyuncs.com/auth\"";
    for (host, realm) in [
        ("acme-registry.cn-hangzhou.cr.aliyuncs.com", public),
        ("ACME-registry.cn-hangzhou.cr.aliyuncs.com:443", public),
        ("acme-registry-vpc.cn-hangzhou.cr.aliyuncs.com", vpc),
        ("img.example.com", public),
    ] {
        assert_eq!(bearer(&cloud, host), format!("Bearer {realm},{acme}"), "{host}");
    }
    let foo = bearer(&cloud, "foo-registry-registry.cn-hangzhou.cr.aliyuncs.com");
    assert!(foo.contains("china:cri-fooregistry00001\""), "{foo}");
    let globex = "globex-registry.cn-shanghai.cr.aliyuncs.com";
    assert_eq!(
        bearer(&cloud, globex),
        format!(
            "Bearer realm=\"https://{globex}/auth\",\
             service=\"registry.aliyuncs.com:cn-shanghai:china:{GLOBEX}:2a\""
        )
    );
    assert_eq!(last_call(&cloud), format!("GET /v2/ {globex} -> 401 UNAUTHORIZED"));
    assert_eq!(violations(&cloud), [""; 0]);
}

#[test]
fn personal_hosts_name_their_region() {
    let cloud = Cloud::with("{}");
    for (host, realm, region) in [
        ("registry.cn-hangzhou.aliyuncs.com", "dockerauth.cn-hangzhou", "cn-hangzhou"),
        ("registry-vpc.cn-shanghai.aliyuncs.com", "dockerauth-vpc.cn-shanghai", "cn-shanghai"),
        (
            "registry-intl.ap-southeast-1.aliyuncs.com",
            "dockerauth.ap-southeast-1",
            "ap-southeast-1",
        ),
        ("crpi-abc.cn-beijing.personal.cr.aliyuncs.com", "dockerauth.cn-hangzhou", "cn-beijing"),
    ] {
        let expected = format!(
            "Bearer realm=\"https://{realm}.aliyuncs.com/auth\",\
             service=\"registry.aliyuncs.com:{region}:26842\""
        );
        assert_eq!(bearer(&cloud, host), expected, "{host}");
    }
}

#[test]
fn an_instance_can_answer_on_personal_hosts() {
    let cloud = Cloud::with(
        "accounts: {'2000000000000002': {instances: {cri-acmeprod00000001: {answers-personal-hosts: true}}}}",
    );
    assert!(bearer(&cloud, "registry.cn-hangzhou.aliyuncs.com").contains(ACME));
    assert!(bearer(&cloud, "registry.cn-shanghai.aliyuncs.com").contains("26842"));
}

#[test]
fn unknown_hosts_are_nobodys_unless_told() {
    for host in [
        "127.0.0.1",
        "acme-registry.cn-shanghai.cr.aliyuncs.com",
        "acme-registry.cn-hangzhou.cr.aliyuncs.com.example.com",
        "registry.aliyuncs.com.cn",
    ] {
        assert_eq!(challenge(&Cloud::with("{}"), host).status, 404, "{host}");
    }
    let cloud = Cloud::with("registry: {default-host: img.example.com}");
    assert!(bearer(&cloud, "127.0.0.1:1234").contains(ACME));
    assert!(bearer(&cloud, "registry.cn-hangzhou.aliyuncs.com").contains("26842"));
}

#[test]
fn there_may_be_no_challenge() {
    let cloud = Cloud::with("registry: {challenge: none}");
    let reply = challenge(&cloud, "img.example.com");
    assert_eq!(reply.status, 401);
    assert!(!reply.headers.contains_key("www-authenticate"));
}

#[test]
fn nobody_sends_credentials_to_the_challenge() {
    let cloud = Cloud::with("{}");
    let headers = [("Host", "img.example.com"), ("Authorization", "Basic eDp5")];
    assert_eq!(get(&cloud.registry_url(), "/v2/", &headers).status, 401);
    assert_eq!(violations(&cloud), ["GET /v2/: Authorization was sent to an anonymous endpoint"]);
}

#[test]
fn the_realm_takes_good_logins_only() {
    let cloud = Cloud::with("registry: {local-realm: true}");
    let header = bearer(&cloud, "img.example.com");
    let realm = format!("realm=\"{}/auth\"", cloud.registry_url());
    assert!(header.contains(&realm), "{header}");
    let reply = get_token(&cloud, &image_puller(), ACME).send(&cloud.cr_url());
    let (user, password) = login(&reply);
    let ask = |instance: &str, user: &str, password: &str| {
        let basic = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let target = format!(
            "/auth?service=registry.aliyuncs.com:cn-hangzhou:china:{instance}\
             &scope=repository:team/app:pull"
        );
        get(&cloud.registry_url(), &target, &[("Authorization", &basic)])
    };
    let good = ask(ACME, &user, &password);
    assert_eq!(good.status, 200, "{}", good.body);
    assert_eq!(
        access(&good),
        json!([{"type": "repository", "name": "team/app", "actions": ["pull"]}])
    );
    assert_eq!(last_call(&cloud), "GET realm team/app -> 200");
    assert_eq!(ask(ACME, &user, "wrong").status, 401);
    assert_eq!(ask("cri-acmedev000000001", &user, &password).status, 401);
    let anonymous = get(
        &cloud.registry_url(),
        "/auth?service=registry.aliyuncs.com:cn-hangzhou:26842&scope=repository:a/b:pull",
        &[],
    );
    assert_eq!(anonymous.status, 401);
    assert_eq!(get(&cloud.registry_url(), "/auth", &[]).status, 400);
    assert_eq!(violations(&cloud), [""; 0]);
}

#[test]
fn the_realm_gives_no_more_than_pull() {
    let cloud = Cloud::with("registry: {local-realm: true}");
    let reply = get_token(&cloud, &image_puller(), ACME).send(&cloud.cr_url());
    let (user, password) = login(&reply);
    let ask = |actions: &str| {
        let basic = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let target = format!(
            "/auth?service=registry.aliyuncs.com:cn-hangzhou:china:{ACME}\
             &scope=repository:team/app:{actions}"
        );
        get(&cloud.registry_url(), &target, &[("Authorization", &basic)])
    };
    assert_eq!(access(&ask("pull,push"))[0]["actions"], json!(["pull"]));
    for actions in ["push", "*", "pulls", ""] {
        assert_eq!(ask(actions).status, 400, "{actions}");
    }
}

/// As `docker login` asks: whether the login is right, and nothing more.
#[test]
fn the_realm_tries_a_login_alone() {
    let cloud = Cloud::with("registry: {local-realm: true}");
    let reply = get_token(&cloud, &image_puller(), ACME).send(&cloud.cr_url());
    let (user, password) = login(&reply);
    let ask = |instance: &str, password: &str| {
        let basic = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let target = format!("/auth?service=registry.aliyuncs.com:cn-hangzhou:china:{instance}");
        get(&cloud.registry_url(), &target, &[("Authorization", &basic)])
    };
    assert_eq!(access(&ask(ACME, &password)), json!([]));
    assert_eq!(ask(ACME, "wrong").status, 401);
    assert_eq!(ask("cri-acmedev000000001", &password).status, 401);
}

/// What the token in the realm's answer permits.
fn access(reply: &Reply) -> Json {
    assert_eq!(reply.status, 200, "{}", reply.body);
    let answer = reply.json();
    let claims = answer["token"].as_str().unwrap().split('.').nth(1).unwrap();
    let claims: Json = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    claims["access"].clone()
}
