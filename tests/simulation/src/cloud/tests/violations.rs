//! What no good client does, noted even where the answer is friendly.

use std::io::Write;
use std::net::TcpStream;

use super::super::standard::ACME;
use super::super::{Cloud, SecretKind};
use super::client::{get, get_token, image_puller, login, node, puller, send, violations};

const REGION: &str = "/latest/meta-data/region-id";

#[test]
fn metadata_through_a_proxy() {
    let cloud = Cloud::with("{}");
    let url = cloud.metadata_url();
    get(&url, &format!("http://100.100.100.200{REGION}"), &[]);
    get(&url, REGION, &[("Via", "1.1 squid")]);
    get(&url, REGION, &[("Proxy-Connection", "keep-alive")]);
    assert_eq!(
        violations(&cloud),
        [
            "metadata region: asked as a proxy is asked (absolute-form target)",
            "metadata region: went through a proxy (header via)",
            "metadata region: went through a proxy (header proxy-connection)",
        ]
    );
}

#[test]
fn secrets_where_they_do_not_belong() {
    let cloud = Cloud::with("{}");
    let node = node(&cloud);
    let token = node.token.clone().unwrap();
    assert_eq!(violations(&cloud), [""; 0]);
    // In a URL, and at a service that it is not for.
    get(&cloud.registry_url(), &format!("/v2/?t={}", token.replace('+', "%2B")), &[]);
    let noted = violations(&cloud);
    assert_eq!(
        noted,
        [
            format!("GET /v2/: SecurityToken of {} in the URL", node.id),
            format!("GET /v2/: SecurityToken of {} was sent to Registry", node.id),
        ]
    );
    // The secret of a key goes nowhere at all.
    send(&cloud.sts_url(), "POST", "/", &[], &node.secret).unwrap();
    let last = violations(&cloud).pop().unwrap();
    assert_eq!(last, format!("unrecognised: AccessKeySecret of {} was sent to Sts", node.id));
}

#[test]
fn what_is_not_http() {
    let cloud = Cloud::with("{}");
    let mut stream = TcpStream::connect(cloud.sts_url().replace("http://", "")).unwrap();
    stream.write_all(b"\x16\x03\x01 a TLS hello to a plain port\r\n\r\n").unwrap();
    drop(std::io::copy(&mut stream, &mut std::io::sink()));
    assert_eq!(violations(&cloud).len(), 1);
    assert!(violations(&cloud)[0].starts_with("unrecognised: Sts was sent no HTTP"));
}

#[test]
fn a_parameter_sent_twice() {
    let cloud = Cloud::with("{}");
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let body = "Action=AssumeRoleWithOIDC&RoleArn=a&RoleArn=b";
    send(&cloud.sts_url(), "POST", "/", &form, body).unwrap();
    assert_eq!(violations(&cloud), ["AssumeRoleWithOIDC: parameter RoleArn is there twice"]);
}

#[test]
fn the_common_parameters_of_an_unsigned_call_may_be_in_the_query() {
    let cloud = Cloud::with("{}");
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let target = "/?Action=AssumeRoleWithOIDC&Version=2015-04-01&Format=JSON";
    send(&cloud.sts_url(), "POST", target, &form, "OIDCToken=abcd").unwrap();
    assert_eq!(violations(&cloud), [""; 0]);
}

#[test]
fn every_kind_of_secret_is_known() {
    let cloud = Cloud::with("{}");
    let puller = puller(&cloud);
    let reply = get_token(&cloud, &puller, ACME).send(&cloud.cr_url());
    let (_, password) = login(&reply);
    let minted =
        cloud.service_account_token(super::super::standard::OIDC_PROVIDER, "team-a", "x").mint();
    let kinds_in = |text: &str| -> Vec<SecretKind> {
        cloud.leaks(text).into_iter().map(|leak| leak.secret.kind).collect()
    };
    assert_eq!(kinds_in(&image_puller().secret), [SecretKind::AccessKeySecret]);
    assert_eq!(kinds_in(&puller.secret), [SecretKind::AccessKeySecret]);
    assert_eq!(kinds_in(puller.token.as_ref().unwrap()), [SecretKind::SecurityToken]);
    assert_eq!(kinds_in(&password), [SecretKind::RegistryPassword]);
    assert_eq!(kinds_in(&minted), [SecretKind::OidcToken]);
    let kinds: Vec<_> = cloud.secrets().into_iter().map(|secret| secret.kind).collect();
    assert!(kinds.contains(&SecretKind::MetadataToken));
    assert_eq!(kinds_in("nothing to see here"), []);
    assert!(!format!("{:?}", cloud.secrets()).contains(&password));
}

#[test]
fn a_failure_of_the_simulation_itself() {
    let cloud = Cloud::with("{}");
    let answer = super::super::serve::guarded(&cloud.backend, || -> u8 { panic!("a bug in it") });
    assert_eq!(answer, None);
    assert_eq!(violations(&cloud), ["unrecognised: the simulation itself failed: a bug in it"]);
}
