//! ACS3-HMAC-SHA256 at the gateway, for RPC and ROA.

use super::super::Cloud;
use super::super::clock::iso;
use super::super::entropy;
use super::super::signature::{
    Acs3Request, acs3_canonical_request, acs3_signature, acs3_string_to_sign, sha256,
};
use super::super::standard::ACME;
use super::client::{Credentials, Reply, image_puller, puller, send, violations};

const FORM: &str = "application/x-www-form-urlencoded";

/// A signed request: right, unless a test spoils its headers or its body.
struct Call {
    method: &'static str,
    path: &'static str,
    headers: Vec<(String, String)>,
    body: String,
    secret: String,
    id: String,
    left_out: Option<&'static str>,
}

impl Call {
    fn new(cloud: &Cloud, credentials: &Credentials) -> Self {
        let body = format!("InstanceId={ACME}");
        let mut call = Self {
            method: "POST",
            path: "/",
            headers: Vec::new(),
            body,
            secret: credentials.secret.clone(),
            id: credentials.id.clone(),
            left_out: None,
        }
        .with("host", "127.0.0.1")
        .with("content-type", FORM)
        .with("x-acs-action", "GetAuthorizationToken")
        .with("x-acs-version", "2018-12-01")
        .with("x-acs-date", &iso(cloud.now()))
        .with("x-acs-signature-nonce", &entropy::alphanumeric(32));
        if let Some(token) = &credentials.token {
            call = call.with("x-acs-security-token", token);
        }
        let hash = sha256(call.body.as_bytes());
        call.with("x-acs-content-sha256", &hash)
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(it, _)| it != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn send(&self, url: &str) -> Reply {
        let mut signed: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        signed.retain(|name| Some(*name) != self.left_out);
        signed.sort_unstable();
        let request = acs3_canonical_request(&Acs3Request {
            method: self.method,
            path: self.path,
            query: &std::collections::BTreeMap::new(),
            headers: &self.headers,
            signed: &signed,
            body: self.body.as_bytes(),
        });
        let signature = acs3_signature(&self.secret, &acs3_string_to_sign(&request.unwrap()));
        let authorization = format!(
            "ACS3-HMAC-SHA256 Credential={},SignedHeaders={},Signature={signature}",
            self.id,
            signed.join(";")
        );
        let mut headers =
            vec![("Authorization", authorization.as_str()), ("Accept", "application/json")];
        headers.extend(self.headers.iter().map(|(name, value)| {
            (if name == "host" { "Host" } else { name.as_str() }, value.as_str())
        }));
        send(url, self.method, self.path, &headers, &self.body).unwrap()
    }
}

#[test]
fn a_right_call_is_let_through() {
    let cloud = Cloud::with("{}");
    for credentials in [image_puller(), puller(&cloud)] {
        let reply = Call::new(&cloud, &credentials).send(&cloud.cr_url());
        assert_eq!(reply.verdict(), "200 success", "{}", reply.body);
        let personal = Call {
            method: "GET",
            path: "/tokens",
            body: String::new(),
            ..Call::new(&cloud, &credentials)
        }
        .with("x-acs-version", "2016-06-07")
        .with("x-acs-content-sha256", &sha256(b""));
        let reply = personal.send(&cloud.cr_url());
        assert!(reply.body.contains("authorizationToken"), "{}", reply.body);
    }
    assert_eq!(violations(&cloud), [""; 0]);
}

#[test]
fn what_is_wrong_is_refused() {
    let cloud = Cloud::with("{}");
    let refused = |call: Call| call.send(&cloud.cr_url()).verdict();
    let call = || Call::new(&cloud, &image_puller());
    assert_eq!(refused(Call { secret: "wrong".to_owned(), ..call() }), "400 SignatureDoesNotMatch");
    let other = Call { body: "InstanceId=cri-acmedev000000001".to_owned(), ..call() };
    assert_eq!(refused(other), "400 IncompleteSignature");
    for name in ["host", "content-type", "x-acs-date", "x-acs-action"] {
        let unsigned = Call { left_out: Some(name), ..call() };
        assert_eq!(refused(unsigned), "400 IncompleteSignature", "{name}");
    }
    let late = call().with("x-acs-date", "2020-01-01T00:00:00Z");
    assert_eq!(refused(late), "400 InvalidTimeStamp.Expired");
    let again = call();
    assert_eq!(again.send(&cloud.cr_url()).verdict(), "200 success");
    assert_eq!(refused(again), "400 SignatureNonceUsed");
}

#[test]
fn a_mismatch_echoes_what_was_signed_security_token_included() {
    let cloud = Cloud::with("{}");
    let wrong = Credentials { secret: "wrong".to_owned(), ..puller(&cloud) };
    let reply = Call::new(&cloud, &wrong).send(&cloud.cr_url());
    let message = reply.json()["Message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("Specified signature does not match our calculation. server StringToSign is [ACS3-HMAC-SHA256\n"));
    let token = wrong.token.unwrap();
    assert!(message.contains(&format!("x-acs-security-token:{token}\n")));
}
