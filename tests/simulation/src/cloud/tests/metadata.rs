//! Instance metadata: modes, tokens, items, rotation.

use super::super::clock::parse_iso;
use super::super::standard::WORKER_ROLE_NAME;
use super::super::{Cloud, Hop};
use super::client::{Credentials, Reply, get, get_token, last_call, node, send, violations};

const TTL: &str = "X-aliyun-ecs-metadata-token-ttl-seconds";
const TOKEN: &str = "X-aliyun-ecs-metadata-token";
const ROLES: &str = "/latest/meta-data/ram/security-credentials/";
const REGION: &str = "/latest/meta-data/region-id";

fn put_token(cloud: &Cloud, ttl: &str) -> Reply {
    send(&cloud.metadata_url(), "PUT", "/latest/api/token", &[(TTL, ttl)], "").unwrap()
}

fn get_item(cloud: &Cloud, path: &str, token: Option<&str>) -> Reply {
    let headers: Vec<_> = token.iter().map(|token| (TOKEN, *token)).collect();
    get(&cloud.metadata_url(), path, &headers)
}

fn in_mode(mode: &str) -> Cloud {
    Cloud::with(&format!("metadata: {{mode: {mode}}}"))
}

#[test]
fn both_modes_are_served_by_default() {
    let cloud = Cloud::with("{}");
    let token = put_token(&cloud, "21600").body;
    assert!(token.ends_with('\n'), "clients have to trim");
    assert_eq!(get_item(&cloud, REGION, Some(token.trim())).body, "cn-hangzhou\n");
    assert_eq!(last_call(&cloud), "metadata region by token -> 200");
    assert_eq!(get_item(&cloud, REGION, None).body, "cn-hangzhou\n");
    assert_eq!(last_call(&cloud), "metadata region -> 200");
    assert_eq!(get_item(&cloud, REGION, Some("guessed")).status, 403);
    assert_eq!(violations(&cloud), [""; 0]);
}

#[test]
fn hardened_mode_insists_on_a_token() {
    let cloud = in_mode("hardened-only");
    let token = put_token(&cloud, "60").body;
    assert_eq!(get_item(&cloud, REGION, Some(token.trim())).status, 200);
    assert_eq!(get_item(&cloud, REGION, None).status, 403);
    cloud.advance(61);
    assert_eq!(get_item(&cloud, REGION, Some(token.trim())).status, 403);
}

#[test]
fn a_token_needs_a_ttl_in_bounds() {
    let cloud = Cloud::with("{}");
    for (ttl, status) in [("0", 400), ("1", 200), ("21600", 200), ("21601", 400), ("", 400)] {
        assert_eq!(put_token(&cloud, ttl).status, status, "{ttl}");
    }
    let url = cloud.metadata_url();
    assert_eq!(send(&url, "PUT", "/latest/api/token", &[], "").unwrap().status, 400);
    assert_eq!(get(&url, "/latest/api/token", &[(TTL, "60")]).status, 405);
}

#[test]
fn there_may_be_no_token_to_be_had() {
    for (mode, status) in [("no-token-api", 404), ("token-forbidden", 403)] {
        let cloud = in_mode(mode);
        assert_eq!(put_token(&cloud, "21600").status, status);
        assert_eq!(get_item(&cloud, REGION, None).status, 200);
    }
}

#[test]
fn items_are_the_nodes() {
    let cloud = Cloud::with("metadata: {trailing-newline: false}");
    let item = |name: &str| get_item(&cloud, &format!("/latest/meta-data/{name}"), None).body;
    assert_eq!(item("owner-account-id"), "1000000000000001");
    assert_eq!(item("zone-id"), "cn-hangzhou-k");
    assert_eq!(item("instance-id"), "i-bp1node0000000000001");
    let identity = get_item(&cloud, "/latest/dynamic/instance-identity/document", None).json();
    assert_eq!(identity["region-id"], "cn-hangzhou");
    assert_eq!(get_item(&cloud, "/latest/meta-data/moon-phase", None).status, 404);
    assert_eq!(cloud.calls()[0].hop, Hop::MetadataItem);
}

#[test]
fn the_role_document_opens_the_cloud() {
    let cloud = Cloud::with("{}");
    assert_eq!(get_item(&cloud, ROLES, None).body.trim(), WORKER_ROLE_NAME);
    let path = format!("{ROLES}{WORKER_ROLE_NAME}");
    let document = get_item(&cloud, &path, None).json();
    assert_eq!(document["Code"], "Success");
    let time = |name: &str| parse_iso(document[name].as_str().unwrap()).unwrap();
    assert_eq!(time("Expiration").duration_since(time("LastUpdated")).as_hours(), 6);
    let credentials = Credentials::session(&document);
    let reply = get_token(&cloud, &credentials, "cri-inhouse000000001").send(&cloud.cr_url());
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(get_item(&cloud, &format!("{ROLES}another"), None).status, 404);
}

#[test]
fn no_role_no_document() {
    let cloud = Cloud::with("node: {role: null}");
    assert_eq!(get_item(&cloud, ROLES, None).status, 404);
    assert_eq!(get_item(&cloud, &format!("{ROLES}{WORKER_ROLE_NAME}"), None).status, 404);
    assert_eq!(get_item(&cloud, REGION, None).status, 200);
}

#[test]
fn a_document_can_tell_of_failure() {
    let cloud = Cloud::with("metadata: {role-document-code: Failed}");
    let document = get_item(&cloud, &format!("{ROLES}{WORKER_ROLE_NAME}"), None).json();
    assert_eq!(document["Code"], "Failed");
}

#[test]
fn credentials_rotate_thirty_minutes_before_their_end() {
    let cloud = Cloud::with("node: {credential-age: 19700}");
    let first = node(&cloud);
    assert_eq!(node(&cloud).id, first.id);
    cloud.advance(101);
    let second = node(&cloud);
    assert_ne!(second.id, first.id);
    let use_it = |credentials| {
        get_token(&cloud, credentials, "cri-inhouse000000001").send(&cloud.cr_url()).verdict()
    };
    // Both work in between.
    assert_eq!(use_it(&first), "200 success");
    assert_eq!(use_it(&second), "200 success");
    cloud.advance(1800);
    assert_eq!(use_it(&first), "400 InvalidSecurityToken.Expired");
    assert_eq!(use_it(&second), "200 success");
    assert_eq!(node(&cloud).id, second.id);
}
