//! The gateway: signatures, keys, tokens, nonces, time and form.

use super::super::standard::{ACCESS_KEY_ID, ACME, DISABLED_KEY_ID, DISABLED_KEY_SECRET};
use super::super::{Cloud, SecretKind};
use super::client::{
    Credentials, Rpc, get_token, image_puller, last_call, puller, send, violations,
};

fn call(cloud: &Cloud) -> Rpc {
    get_token(cloud, &image_puller(), ACME)
}

fn refusal(cloud: &Cloud, call: &Rpc) -> String {
    let reply = call.send(&cloud.cr_url());
    assert_ne!(reply.status, 200, "{}", reply.body);
    reply.verdict()
}

#[test]
fn a_right_call_is_let_through() {
    let cloud = Cloud::with("{}");
    let reply = call(&cloud).send(&cloud.cr_url());
    assert_eq!(reply.verdict(), "200 success");
    let answer = reply.json();
    assert_eq!(answer["IsSuccess"], true);
    assert_eq!(cloud.calls()[0].request_id, answer["RequestId"].as_str().unwrap());
    assert_eq!(
        last_call(&cloud),
        format!(
            "GetAuthorizationToken {ACME} by acs:ram::2000000000000002:user/image-puller -> 200"
        )
    );
    assert_eq!(violations(&cloud), [""; 0]);
}

#[test]
fn the_query_counts_as_the_body_does() {
    let cloud = Cloud::with("{}");
    let mut call = call(&cloud);
    call.in_query = true;
    assert_eq!(call.send(&cloud.cr_url()).status, 200);
    let mut call = super::client::get_token(&cloud, &image_puller(), ACME);
    call.in_query = true;
    call.method = "GET";
    assert_eq!(call.send(&cloud.cr_url()).status, 200);
    let violations = violations(&cloud);
    assert_eq!(violations.len(), 3, "{violations:?}");
    assert!(
        violations[0].starts_with("GetAuthorizationToken: parameters in the query: AccessKeyId")
    );
    assert_eq!(violations[1], "GetAuthorizationToken: sent as GET");
}

#[test]
fn a_wrong_signature_is_refused() {
    let cloud = Cloud::with("{}");
    let wrong_secret = Credentials::key(ACCESS_KEY_ID, "not the secret of this key");
    let does_not_match = "400 SignatureDoesNotMatch";
    assert_eq!(refusal(&cloud, &get_token(&cloud, &wrong_secret, ACME)), does_not_match);
    let tampered = call(&cloud).tampered("InstanceId", "cri-acmedev000000001");
    assert_eq!(refusal(&cloud, &tampered), does_not_match);
    let added = call(&cloud).tampered("Extra", "");
    assert_eq!(refusal(&cloud, &added), does_not_match);
    assert_eq!(refusal(&cloud, &call(&cloud).tampered("Signature", "")), "400 IncompleteSignature");
    let other = call(&cloud).set("SignatureMethod", "HMAC-SHA256");
    assert_eq!(refusal(&cloud, &other), "400 IncompleteSignature");
    let other = call(&cloud).set("SignatureVersion", "2.0");
    assert_eq!(refusal(&cloud, &other), "400 IncompleteSignature");
    assert_eq!(violations(&cloud), [""; 0]);
}

#[test]
fn a_mismatch_echoes_what_was_signed_security_token_included() {
    let cloud = Cloud::with("{}");
    let puller = puller(&cloud);
    let wrong = Credentials { secret: "wrong".to_owned(), ..puller };
    let reply = get_token(&cloud, &wrong, ACME).send(&cloud.cr_url());
    let message = reply.json()["Message"].as_str().unwrap().to_owned();
    assert!(message.starts_with(
        "Specified signature is not matched with our calculation. server string to sign is:POST&%2F&"
    ));
    let leaked: Vec<_> = cloud.leaks(&message).into_iter().map(|leak| leak.secret.kind).collect();
    assert_eq!(leaked, [SecretKind::SecurityToken]);
}

#[test]
fn unknown_and_disabled_keys_are_refused() {
    let cloud = Cloud::with("{}");
    let unknown = Credentials::key("LTAI5tNobody", "x");
    assert_eq!(
        refusal(&cloud, &get_token(&cloud, &unknown, ACME)),
        "404 InvalidAccessKeyId.NotFound"
    );
    assert_eq!(
        last_call(&cloud),
        format!("GetAuthorizationToken {ACME} by LTAI5tNobody -> 404 InvalidAccessKeyId.NotFound")
    );
    let disabled = Credentials::key(DISABLED_KEY_ID, DISABLED_KEY_SECRET);
    assert_eq!(
        refusal(&cloud, &get_token(&cloud, &disabled, ACME)),
        "400 InvalidAccessKeyId.Inactive"
    );
}

#[test]
fn a_security_token_goes_with_its_key_and_no_other() {
    let cloud = Cloud::with("{}");
    let one = puller(&cloud);
    let other = puller(&cloud);
    let with = |token: Option<&str>| {
        let token = token.map(str::to_owned);
        get_token(&cloud, &Credentials { token, ..one.clone() }, ACME)
    };
    assert_eq!(with(one.token.as_deref()).send(&cloud.cr_url()).status, 200);
    assert_eq!(refusal(&cloud, &with(None)), "404 InvalidAccessKeyId.NotFound");
    let mismatch = "400 InvalidSecurityToken.MismatchWithAccessKey";
    assert_eq!(refusal(&cloud, &with(other.token.as_deref())), mismatch);
    let key = Credentials { token: other.token.clone(), ..image_puller() };
    assert_eq!(refusal(&cloud, &get_token(&cloud, &key, ACME)), mismatch);
    // What a `+` becomes that was not encoded.
    let spoilt = one.token.as_ref().map(|token| token.replace('+', " "));
    assert_eq!(refusal(&cloud, &with(spoilt.as_deref())), "400 InvalidSecurityToken.Malformed");
}

#[test]
fn an_expired_session_is_refused() {
    let cloud = Cloud::with("{}");
    let puller = puller(&cloud);
    cloud.advance(3599 - 5);
    assert_eq!(get_token(&cloud, &puller, ACME).send(&cloud.cr_url()).status, 200);
    cloud.advance(10);
    let expired = get_token(&cloud, &puller, ACME);
    assert_eq!(refusal(&cloud, &expired), "400 InvalidSecurityToken.Expired");
}

#[test]
fn a_nonce_is_good_once() {
    let cloud = Cloud::with("{}");
    let call = call(&cloud).set("SignatureNonce", "just-this-one");
    assert_eq!(call.send(&cloud.cr_url()).status, 200);
    assert_eq!(refusal(&cloud, &call), "400 SignatureNonceUsed");
    let later = call.set("InstanceId", "cri-acmedev000000001");
    assert_eq!(refusal(&cloud, &later), "400 SignatureNonceUsed");
    assert_eq!(violations(&cloud), ["GetAuthorizationToken: a signature nonce was used again"; 2]);
}

#[test]
fn a_nonce_is_used_up_by_a_refused_call_too() {
    let cloud = Cloud::with("{}");
    let call = call(&cloud).set("SignatureNonce", "n");
    let wrong = call.clone().tampered("InstanceId", "x");
    assert_eq!(refusal(&cloud, &wrong), "400 SignatureDoesNotMatch");
    assert_eq!(refusal(&cloud, &call), "400 SignatureNonceUsed");
}

#[test]
fn the_time_stamp_is_held_against_the_services_clock() {
    let cloud = Cloud::with("clock: {offset-seconds: 7200}");
    let at = |seconds: i64| {
        let at = cloud.now() + jiff::SignedDuration::from_secs(seconds);
        call(&cloud).set("Timestamp", &super::super::clock::iso(at))
    };
    for seconds in [-880, 0, 880] {
        assert_eq!(at(seconds).send(&cloud.cr_url()).status, 200, "{seconds}");
    }
    // The machine's own time is two hours behind.
    for seconds in [-7200, -920, 920] {
        assert_eq!(refusal(&cloud, &at(seconds)), "400 InvalidTimeStamp.Expired", "{seconds}");
    }
    let fraction = call(&cloud).set("Timestamp", "2026-01-01T00:00:00.5Z");
    assert_eq!(refusal(&cloud, &fraction), "400 InvalidTimeStamp.Format");
    assert_eq!(refusal(&cloud, &call(&cloud).without("Timestamp")), "400 MissingTimestamp");
}

#[test]
fn the_date_header_is_by_the_services_clock() {
    let cloud = Cloud::with("clock: {offset-seconds: -7200}");
    let reply = call(&cloud).send(&cloud.cr_url());
    let date = super::super::clock::parse_http_date(&reply.headers["date"]).unwrap();
    assert!(cloud.now().duration_since(date).abs() < jiff::SignedDuration::from_secs(5));
}

#[test]
fn every_common_parameter_is_required() {
    let cloud = Cloud::with("{}");
    for name in [
        "Action",
        "Version",
        "AccessKeyId",
        "SignatureMethod",
        "SignatureVersion",
        "SignatureNonce",
    ] {
        let reply = call(&cloud).without(name).send(&cloud.cr_url());
        assert_eq!(reply.verdict(), "400 MissingParameter", "{name}");
        assert!(reply.json()["Message"].as_str().unwrap().contains(name), "{name}");
    }
    let wrong = call(&cloud).set("Version", "2016-06-07");
    assert_eq!(refusal(&cloud, &wrong), "400 InvalidVersion");
    let wrong = call(&cloud).set("Action", "DeleteEverything");
    assert_eq!(refusal(&cloud, &wrong), "404 InvalidAction.NotFound");
    assert_eq!(last_call(&cloud), "unrecognised POST / -> 404 InvalidAction.NotFound");
}

#[test]
fn method_path_and_encoding_have_to_be_right() {
    let cloud = Cloud::with("{}");
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let code = |method: &str, target: &str, body: &str| {
        let reply = send(&cloud.sts_url(), method, target, &form, body).unwrap();
        let (_, rest) = reply.body.split_once("<Code>").unwrap();
        format!("{} {}", reply.status, rest.split_once("</Code>").unwrap().0)
    };
    assert_eq!(code("PUT", "/", ""), "405 UnsupportedHTTPMethod");
    assert_eq!(code("POST", "/AssumeRole", ""), "404 InvalidAction.NotFound");
    assert_eq!(code("POST", "/", "Action=%ZZ"), "400 InvalidParameter");
}

#[test]
fn each_service_has_its_own_actions() {
    let cloud = Cloud::with("{}");
    let reply = call(&cloud).send(&cloud.sts_url());
    assert_eq!(reply.verdict(), "404 InvalidAction.NotFound");
}

#[test]
fn without_a_format_the_answer_is_xml() {
    let cloud = Cloud::with("{}");
    let reply = call(&cloud).without("Format").send(&cloud.cr_url());
    assert_eq!(reply.status, 200);
    assert!(reply.headers["content-type"].starts_with("text/xml"));
    assert!(reply.body.contains("<GetAuthorizationTokenResponse><AuthorizationToken>"));
    let wrong = call(&cloud).set("Format", "XML").tampered("Extra", "<&>");
    let reply = wrong.send(&cloud.cr_url());
    assert!(reply.body.contains("<Code>SignatureDoesNotMatch</Code>"), "{}", reply.body);
}

#[test]
fn a_body_needs_a_content_type_that_fits() {
    let cloud = Cloud::with("{}");
    let mut call = call(&cloud);
    call.content_type = "text/plain";
    let reply = call.send(&cloud.cr_url());
    assert!(reply.body.contains("<Code>InvalidParameter.ContentType</Code>"), "{}", reply.body);
    call.content_type = "application/json";
    assert!(call.send(&cloud.cr_url()).body.contains("<Code>MissingParameter</Code>"));
    call.content_type = "application/x-www-form-urlencoded; charset=UTF-8";
    assert_eq!(call.send(&cloud.cr_url()).status, 200);
}

#[test]
fn errors_come_in_the_documented_envelope() {
    let cloud = Cloud::with("{}");
    let mut call = call(&cloud).set("InstanceId", "cri-nowhere");
    call.host = "cr-vpc.cn-hangzhou.aliyuncs.com";
    let reply = call.send(&cloud.cr_url());
    let envelope = reply.json();
    assert_eq!(envelope["Code"], "NoPrivilege");
    assert_eq!(envelope["Message"], "Access denied for this user.");
    assert_eq!(envelope["HostId"], "cr-vpc.cn-hangzhou.aliyuncs.com");
    let id = envelope["RequestId"].as_str().unwrap();
    assert_eq!(id, cloud.calls()[0].request_id);
    assert_eq!(
        envelope["Recommend"],
        format!("https://api.aliyun.com/troubleshoot?q=NoPrivilege&product=cr&requestId={id}")
    );
}
