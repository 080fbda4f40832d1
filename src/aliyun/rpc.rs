//! RPC calls: a POST with every parameter in the body, so that nothing of it is in a URL.

use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::aliyun::call::{CallError, Network, Patience, Verdict};
use crate::aliyun::endpoint::Endpoint;
use crate::aliyun::refusal::{self, Sent};
use crate::aliyun::{Credentials, Hop, signature};
use crate::http::{Method, Request, Response, Route};
use crate::random;
use crate::secret::Secret;

/// An action of a service, with its own parameters.
pub struct Action<'a> {
    pub hop: Hop,
    /// API version, a date.
    pub version: &'static str,
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
    let mut string_to_sign = String::new();
    let mut secrets = action.secrets.clone();
    if let Some(credentials) = credentials {
        secrets.push(&credentials.access_key_secret);
        secrets.extend(&credentials.security_token);
    }
    // Both closures need the string that was signed last: one writes it, the other compares.
    let signed = std::cell::RefCell::new(&mut string_to_sign);
    network.call(
        action.hop,
        endpoint,
        Patience::FULL,
        |candidate, timeout| {
            let (body, text) = body(network, action, credentials);
            **signed.borrow_mut() = text;
            post(&candidate.url, candidate.quick, body, timeout)
        },
        |response| {
            let signed = signed.borrow();
            let sent = Sent { secrets: secrets.clone(), string_to_sign: Some(signed.as_str()) };
            if let Some(id) = refusal::request_id(&response.body) {
                network.journal.request(action.hop.name(), id);
            }
            judge(response, &sent)
        },
    )
}

fn body(
    network: &Network<'_>,
    action: &Action<'_>,
    credentials: Option<&Credentials>,
) -> (String, String) {
    let nonce = random::nonce();
    let now = network.clock.now().to_string();
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
    let text = signature::rpc_string_to_sign("POST", &parameters);
    let signature = signature::rpc_signature(credentials.access_key_secret.expose(), &text);
    parameters.push(("Signature", &signature));
    (signature::form_encode(&parameters), text)
}

fn post(base_url: &str, quick: bool, body: String, timeout: Duration) -> Request {
    Request {
        method: Method::Post,
        url: format!("{base_url}/"),
        headers: vec![
            ("accept", "application/json".to_owned()),
            ("content-type", "application/x-www-form-urlencoded".to_owned()),
        ],
        body: Some(body),
        timeout,
        route: if quick { Route::CloudQuick } else { Route::Cloud },
    }
}

/// Reads a JSON answer, of RPC and ROA services alike.
pub fn judge<T: DeserializeOwned>(response: &Response, sent: &Sent<'_>) -> Verdict<Answer<T>> {
    if (300..400).contains(&response.status) {
        return Verdict::NotTheService(format!(
            "HTTP {}: a redirect, which is not followed",
            response.status
        ));
    }
    if let Some(refusal) = refusal::read(response.status, &response.body, sent) {
        return Verdict::Refused(refusal);
    }
    // serde would take an array for the fields in their order.
    if response.body.trim_ascii_start().starts_with(b"[") {
        return Verdict::NotTheService(unexpected(response, "a JSON list"));
    }
    match serde_json::from_slice(&response.body) {
        Ok(value) => Verdict::Done(Answer { value, date: response.date }),
        Err(error) if error.is_data() => {
            let what = "JSON without the fields of this API";
            Verdict::NotTheService(unexpected(response, what))
        }
        Err(_) => Verdict::NotTheService(unexpected(response, "not JSON")),
    }
}

/// Tells of an answer without quoting it: it may hold a credential.
fn unexpected(response: &Response, what: &str) -> String {
    let id = refusal::request_id(&response.body);
    let id = id.map_or_else(String::new, |id| format!(" (request id {id})"));
    format!(
        "HTTP {} with {} bytes of `{}` that are {what}{id}",
        response.status,
        response.body.len(),
        refusal::printable(response.content_type.as_deref().unwrap_or("no content type"), &[]),
    )
}
