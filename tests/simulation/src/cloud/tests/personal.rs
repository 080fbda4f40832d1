//! Personal Edition: `GET /tokens`, signed in headers.

use super::super::clock::http_date;
use super::super::entropy;
use super::super::signature::{RoaRequest, roa_signature, roa_string_to_sign};
use super::super::standard::{CLUSTER_ACCOUNT, REGISTRY_ACCOUNT, WITHOUT_RIGHTS};
use super::super::{Cloud, LoginRefused};
use super::client::{
    Credentials, Reply, assume_role, get, image_puller, last_call, node, puller, violations,
};

/// Right headers, changed as a test wants before and after they are signed.
fn tokens(
    cloud: &Cloud,
    credentials: &Credentials,
    target: &str,
    before: &[(&str, &str)],
    after: &[(&str, &str)],
) -> Reply {
    let mut headers: Vec<(String, String)> = [
        ("accept", "application/json"),
        ("date", &http_date(cloud.now())),
        ("x-acs-version", "2016-06-07"),
        ("x-acs-signature-method", "HMAC-SHA1"),
        ("x-acs-signature-version", "1.0"),
        ("x-acs-signature-nonce", &entropy::alphanumeric(32)),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    if let Some(token) = &credentials.token {
        headers.push(("x-acs-security-token".to_owned(), token.clone()));
    }
    change(&mut headers, before);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = super::super::parameters::decode(query).unwrap().into_iter().collect();
    let request = RoaRequest { method: "GET", headers: &headers, path, query: &query };
    let signature = roa_signature(&credentials.secret, &roa_string_to_sign(&request));
    headers.push(("authorization".to_owned(), format!("acs {}:{signature}", credentials.id)));
    change(&mut headers, after);
    let headers: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    get(&cloud.cr_url(), target, &headers)
}

/// An empty value takes a header away.
fn change(headers: &mut Vec<(String, String)>, changes: &[(&str, &str)]) {
    for (name, value) in changes {
        headers.retain(|(it, _)| it != name);
        if !value.is_empty() {
            headers.push(((*name).to_owned(), (*value).to_owned()));
        }
    }
}

#[test]
fn a_login_for_the_personal_registry() {
    let cloud = Cloud::with("{}");
    let reply = tokens(&cloud, &image_puller(), "/tokens", &[], &[]);
    assert_eq!(reply.status, 200, "{}", reply.body);
    let answer = reply.json();
    assert!(answer["requestId"].is_string());
    let data = &answer["data"];
    assert_eq!(data["tempUserName"], "cr_temp_user");
    let password = data["authorizationToken"].as_str().unwrap();
    let life = data["expireDate"].as_i64().unwrap() - cloud.now().as_millisecond();
    assert!((3_590_000..=3_600_000).contains(&life), "{life}");
    let pull = |account: &str, region: &str| {
        cloud.login_allows_personal_pull("cr_temp_user", password, account, region, "team/app")
    };
    assert_eq!(pull(REGISTRY_ACCOUNT, "cn-hangzhou"), Ok(()));
    assert_eq!(pull(CLUSTER_ACCOUNT, "cn-hangzhou"), Err(LoginRefused::Elsewhere));
    assert_eq!(pull(REGISTRY_ACCOUNT, "eu-central-1"), Err(LoginRefused::Elsewhere));
    let enterprise =
        cloud.login_allows_pull("cr_temp_user", password, "cri-acmeprod00000001", "a/b");
    assert_eq!(enterprise, Err(LoginRefused::Elsewhere));
    assert_eq!(
        last_call(&cloud),
        "GET /tokens by acs:ram::2000000000000002:user/image-puller -> 200"
    );
    assert_eq!(violations(&cloud), [""; 0]);
}

#[test]
fn the_region_comes_from_the_host() {
    let cloud = Cloud::with("{}");
    let at = |host: &str| tokens(&cloud, &node(&cloud), "/tokens", &[("Host", host)], &[]);
    assert_eq!(at("cr-vpc.cn-hangzhou.aliyuncs.com").status, 200);
    // The cluster's account has no Personal registry there.
    assert_eq!(at("cr.cn-shanghai.aliyuncs.com").verdict(), "403 NoPrivilege");
}

#[test]
fn sessions_send_their_token_in_a_header() {
    let cloud = Cloud::with("{}");
    let puller = puller(&cloud);
    assert_eq!(tokens(&cloud, &puller, "/tokens", &[], &[]).status, 200);
    let without = tokens(&cloud, &puller, "/tokens", &[("x-acs-security-token", "")], &[]);
    assert_eq!(without.verdict(), "404 InvalidAccessKeyId.NotFound");
    let unsigned = tokens(
        &cloud,
        &puller,
        "/tokens",
        &[("x-acs-security-token", "")],
        &[("x-acs-security-token", puller.token.as_ref().unwrap())],
    );
    assert_eq!(unsigned.verdict(), "400 SignatureDoesNotMatch");
}

#[test]
fn what_is_wrong_with_a_request_is_told() {
    let cloud = Cloud::with("clock: {offset-seconds: 7200}");
    let before = |name: &str, value: &str| {
        tokens(&cloud, &image_puller(), "/tokens", &[(name, value)], &[]).verdict()
    };
    let machine_time = http_date(cloud.now() - jiff::SignedDuration::from_secs(7200));
    assert_eq!(before("date", &machine_time), "400 InvalidTimeStamp.Expired");
    assert_eq!(before("date", "2026-01-01T00:00:00Z"), "400 InvalidTimeStamp.Format");
    assert_eq!(before("date", ""), "400 MissingParameter");
    assert_eq!(before("x-acs-version", ""), "400 MissingParameter");
    assert_eq!(before("x-acs-version", "2018-12-01"), "400 InvalidVersion");
    assert_eq!(before("x-acs-signature-method", "HMAC-SHA256"), "400 IncompleteSignature");
    let after = |name: &str, value: &str| {
        tokens(&cloud, &image_puller(), "/tokens", &[], &[(name, value)]).verdict()
    };
    assert_eq!(after("x-acs-extra", "1"), "400 SignatureDoesNotMatch");
    assert_eq!(after("content-type", "text/plain"), "400 SignatureDoesNotMatch");
    assert_eq!(after("authorization", ""), "400 IncompleteSignature");
    assert_eq!(after("authorization", "Bearer x"), "400 IncompleteSignature");
    assert_eq!(after("authorization", "acs LTAI5tNobody:x"), "404 InvalidAccessKeyId.NotFound");
    let wrong = Credentials { secret: "wrong".to_owned(), ..image_puller() };
    let reply = tokens(&cloud, &wrong, "/tokens", &[], &[]);
    assert_eq!(reply.verdict(), "400 SignatureDoesNotMatch");
}

#[test]
fn the_query_is_signed_too() {
    let cloud = Cloud::with("{}");
    let reply = tokens(&cloud, &image_puller(), "/tokens?RegionId=cn-hangzhou&B=a%20b", &[], &[]);
    assert_eq!(reply.status, 200, "{}", reply.body);
}

#[test]
fn a_nonce_is_optional_and_good_once() {
    let cloud = Cloud::with("{}");
    let with = |nonce: &str| {
        tokens(&cloud, &image_puller(), "/tokens", &[("x-acs-signature-nonce", nonce)], &[])
    };
    assert_eq!(with("").status, 200);
    assert_eq!(with("once").status, 200);
    assert_eq!(with("once").verdict(), "400 SignatureNonceUsed");
    assert_eq!(violations(&cloud), ["GET /tokens: a signature nonce was used again"]);
}

#[test]
fn the_right_is_needed() {
    let cloud = Cloud::with("{}");
    let reply = assume_role(&cloud, &node(&cloud), WITHOUT_RIGHTS).send(&cloud.sts_url());
    let nothing = Credentials::session(&reply.json()["Credentials"]);
    assert_eq!(tokens(&cloud, &nothing, "/tokens", &[], &[]).verdict(), "403 NoPrivilege");
}

#[test]
fn without_an_accept_header_for_json_the_answer_is_xml() {
    let cloud = Cloud::with("{}");
    let reply = tokens(&cloud, &image_puller(), "/tokens", &[("accept", "*/*")], &[]);
    assert!(reply.body.starts_with("<?xml"), "{}", reply.body);
}
