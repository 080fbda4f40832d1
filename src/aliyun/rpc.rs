//! RPC calls: a POST with every parameter in the body, so that nothing of it is in a URL.

use std::cell::RefCell;

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::aliyun::call::{CallError, Form, Network, Patience, Stranger, Verdict};
use crate::aliyun::endpoint::Endpoint;
use crate::aliyun::refusal::{self, Refusal, Sent};
use crate::aliyun::signature::{self, Scheme, acs3, v1};
use crate::aliyun::{Credentials, Hop};
use crate::net::http::{Method, Request, Response};
use crate::secret::Secret;
use crate::system::random;

/// An action of a service, with its own parameters.
pub struct Action<'a> {
    pub hop: Hop,
    /// API version, a date.
    pub version: &'static str,
    pub patience: Patience,
    pub parameters: Vec<(&'static str, &'a str)>,
    /// Those of the parameters that must not come back in an error message.
    pub secrets: Vec<&'a Secret>,
}

/// An answer, and when the service gave it by its own clock.
#[derive(Debug)]
pub struct Answer<T> {
    pub value: T,
    pub date: Option<Timestamp>,
}

/// Calls an action; signed with `credentials`, or not at all (`AssumeRoleWithOIDC`).
///
/// # Errors
///
/// See [`CallError`]. A 200 with `IsSuccess: false` is a refusal.
pub fn call<T: DeserializeOwned>(
    network: &Network<'_>,
    endpoint: &Endpoint,
    action: &Action<'_>,
    credentials: Option<&Credentials>,
) -> Result<Answer<T>, CallError> {
    let mut secrets = action.secrets.clone();
    secrets.extend(credentials.into_iter().flat_map(Credentials::secrets));
    // Both closures need what was signed last: one writes it, the other compares.
    let signed = RefCell::new(String::new());
    network.call(
        action.hop,
        endpoint,
        action.patience,
        |candidate, timeout| {
            let post = post(network, action, credentials, candidate.host());
            signed.replace(post.echo);
            Request {
                method: Method::Post,
                url: format!("{}/", candidate.url),
                headers: post.headers,
                body: Some(post.body),
                timeout,
                route: candidate.route(),
            }
        },
        |response| {
            let signed = signed.borrow();
            let sent = Sent { secrets: secrets.clone(), echo: Some(signed.as_str()) };
            if let Some(id) = refusal::request_id(&response.body, &sent) {
                network.journal.request(action.hop.name(), id);
            }
            judge(response, &sent)
        },
    )
}

/// What is sent for an action.
struct Post {
    headers: Vec<(&'static str, String)>,
    body: String,
    /// What a service repeats that has got the same.
    echo: String,
}

fn post(
    network: &Network<'_>,
    action: &Action<'_>,
    credentials: Option<&Credentials>,
    host: &str,
) -> Post {
    let now = network.clock.now();
    match (network.signature, credentials) {
        (Scheme::Acs3, Some(credentials)) => {
            let body = signature::form_encode(&action.parameters);
            let call = acs3::Call {
                method: "POST",
                host,
                path: "/",
                action: action.hop.name(),
                version: action.version,
                body: &body,
            };
            let acs3::Signed { headers, digest } = call.sign(credentials, now, random::nonce());
            Post { headers, body, echo: digest }
        }
        (Scheme::V1, _) | (_, None) => {
            let (body, echo) = body(now, action, credentials);
            let headers = vec![
                ("accept", "application/json".to_owned()),
                ("content-type", "application/x-www-form-urlencoded".to_owned()),
            ];
            Post { headers, body, echo }
        }
    }
}

/// A body with everything in it, and the text that its signature covers.
fn body(
    now: Timestamp,
    action: &Action<'_>,
    credentials: Option<&Credentials>,
) -> (String, String) {
    let nonce = random::nonce();
    let now = now.to_string();
    let mut parameters = vec![
        ("Action", action.hop.name()),
        ("Version", action.version),
        ("Format", "JSON"),
        ("Timestamp", now.as_str()),
        ("SignatureNonce", nonce.as_str()),
    ];
    parameters.extend(&action.parameters);
    let Some(credentials) = credentials else {
        return (signature::form_encode(&parameters), String::new());
    };
    parameters.push(("AccessKeyId", &credentials.access_key_id));
    parameters.push(("SignatureMethod", "HMAC-SHA1"));
    parameters.push(("SignatureVersion", "1.0"));
    if let Some(token) = &credentials.security_token {
        parameters.push(("SecurityToken", token.expose()));
    }
    let text = v1::rpc_string_to_sign("POST", &parameters);
    let signature = v1::rpc_signature(credentials.access_key_secret.expose(), &text);
    parameters.push(("Signature", &signature));
    (signature::form_encode(&parameters), text)
}

/// Reads a JSON answer, of RPC and ROA services alike.
pub fn judge<T: DeserializeOwned>(response: &Response, sent: &Sent<'_>) -> Verdict<Answer<T>> {
    if response.is_redirect() {
        return Verdict::NotTheService(Stranger::Redirect(response.status));
    }
    if let Some(refusal) = refusal::read(response.status, &response.body, sent) {
        return Verdict::Refused(Refusal { limited_for: response.limited_for, ..refusal });
    }
    let form = match serde_json::from_slice(&response.body) {
        // serde would take an array for the fields in their order.
        _ if response.body.trim_ascii_start().starts_with(b"[") => Form::List,
        Ok(value) => return Verdict::Done(Answer { value, date: response.date }),
        Err(error) if error.is_data() => Form::OtherFields,
        Err(_) => Form::NotJson,
    };
    Verdict::NotTheService(Stranger::Unreadable {
        status: response.status,
        bytes: response.body.len(),
        content_type: refusal::content_type(response.content_type.as_deref(), &response.body, sent),
        form,
        request_id: refusal::request_id(&response.body, sent),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Wanted {
        field: u8,
    }

    fn verdict(status: u16, body: &str) -> Result<u8, String> {
        let response = Response {
            status,
            date: None,
            content_type: Some("text/plain\n".to_owned()),
            www_authenticate: Vec::new(),
            limited_for: None,
            body: body.into(),
        };
        match judge::<Wanted>(&response, &Sent::default()) {
            Verdict::Done(answer) => Ok(answer.value.field),
            Verdict::Refused(refusal) => Err(refusal.to_string()),
            Verdict::NotTheService(what) => Err(what.to_string()),
        }
    }

    #[test]
    fn what_an_answer_is() {
        assert_eq!(verdict(200, r#"{"field":7}"#), Ok(7));
        for (status, body, said) in [
            (200, "[7]", "HTTP 200 with 3 bytes of `text/plain` that are a JSON list"),
            (
                200,
                "{}",
                "HTTP 200 with 2 bytes of `text/plain` that are JSON without the fields of this API",
            ),
            (200, "<html>", "HTTP 200 with 6 bytes of `text/plain` that are not JSON"),
            (
                200,
                r#"{"RequestId":"R-1"}"#,
                "HTTP 200 with 19 bytes of `text/plain` that are JSON without the fields of this API (request id R-1)",
            ),
            (302, r#"{"field":7}"#, "HTTP 302, a redirect, which is not followed"),
            (300, r#"{"field":7}"#, "HTTP 300, a redirect, which is not followed"),
            (399, r#"{"field":7}"#, "HTTP 399, a redirect, which is not followed"),
            (400, r#"{"Code":"X"}"#, "X (HTTP 400, no request id)"),
        ] {
            assert_eq!(verdict(status, body), Err(said.to_owned()), "{status} {body}");
        }
    }

    const PARAMETERS: [(&str, &str); 2] =
        [("RoleArn", "acs:ram::1:role/a"), ("Policy", "{\"a\": \"*\"}")];

    fn sent(scheme: Scheme, is_signed: bool) -> Post {
        let (http, clock) =
            (crate::net::http::Http::default(), crate::system::clock::Clock::default());
        let deadline = crate::system::clock::Deadline::new(
            crate::system::clock::instant(),
            std::time::Duration::from_secs(1),
        );
        let journal = crate::system::log::Journal::default();
        let network = Network {
            http: &http,
            clock: &clock,
            deadline: &deadline,
            journal: &journal,
            signature: scheme,
        };
        let action = Action {
            hop: Hop::AssumeRole,
            version: "2015-04-01",
            patience: Patience::FULL,
            parameters: PARAMETERS.to_vec(),
            secrets: vec![],
        };
        let credentials = Credentials {
            access_key_id: "STS.x".to_owned(),
            access_key_secret: Secret::new("secret"),
            security_token: Some(Secret::new("token+/=")),
        };
        post(&network, &action, is_signed.then_some(&credentials), "127.0.0.1:81")
    }

    fn pairs(body: &str) -> Vec<(String, String)> {
        form_urlencoded::parse(body.as_bytes()).into_owned().collect()
    }

    #[test]
    fn what_is_sent_is_what_was_signed() {
        let Post { headers, body, echo } = sent(Scheme::V1, true);
        let accepted = ("accept", "application/json".to_owned());
        let form = ("content-type", "application/x-www-form-urlencoded".to_owned());
        assert_eq!(headers, [accepted, form]);
        let mut pairs = pairs(&body);
        let at = pairs.iter().position(|(name, _)| name == "Signature").unwrap();
        let (_, signature) = pairs.remove(at);
        let plain: Vec<(&str, &str)> =
            pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(echo, v1::rpc_string_to_sign("POST", &plain));
        assert_eq!(signature, v1::rpc_signature("secret", &echo));
        let names: Vec<&str> = plain.iter().map(|(name, _)| *name).collect();
        let all = [
            "AccessKeyId",
            "Action",
            "Format",
            "Policy",
            "RoleArn",
            "SecurityToken",
            "SignatureMethod",
            "SignatureNonce",
            "SignatureVersion",
            "Timestamp",
            "Version",
        ];
        assert_eq!(names, all);
        assert!(
            plain.contains(&("SecurityToken", "token+/="))
                && plain.contains(&("Action", "AssumeRole"))
        );
    }

    #[test]
    fn what_is_sent_by_acs3_is_what_was_signed() {
        let Post { headers, body, echo } = sent(Scheme::Acs3, true);
        let header = |name: &str| {
            headers.iter().find(|(it, _)| *it == name).map(|(_, value)| value.as_str()).unwrap()
        };
        assert_eq!(pairs(&body).len(), 2, "{body}");
        assert_eq!(header("x-acs-content-sha256"), acs3::hash(&body));
        assert_eq!((header("host"), header("x-acs-action")), ("127.0.0.1:81", "AssumeRole"));
        assert_eq!(header("x-acs-security-token"), "token+/=");
        let mut signed: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .filter(|(name, _)| !["accept", "authorization"].contains(name))
            .collect();
        signed.sort_unstable();
        let request = acs3::canonical_request("POST", "/", &[], &signed, &acs3::hash(&body));
        assert_eq!(echo, acs3::hash(&request));
        let signature = acs3::signature("secret", &acs3::string_to_sign(&echo));
        assert_eq!(header("authorization"), acs3::authorization("STS.x", &signed, &signature));
    }

    /// `AssumeRoleWithOIDC` is the same, whatever signature others have.
    #[test]
    fn an_unsigned_call_has_all_in_its_body() {
        for scheme in [Scheme::V1, Scheme::Acs3] {
            let Post { headers, body, echo } = sent(scheme, false);
            assert_eq!((headers.len(), pairs(&body).len(), echo.as_str()), (2, 7, ""));
            assert_ne!(body, sent(scheme, false).body, "each has a nonce of its own");
        }
    }
}
