//! RPC calls: a POST with every parameter in the body, so that nothing of it is in a URL.

use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::aliyun::call::{CallError, Form, Network, Patience, Stranger, Verdict};
use crate::aliyun::endpoint::Endpoint;
use crate::aliyun::refusal::{self, Refusal, Sent};
use crate::aliyun::{Credentials, Hop, signature};
use crate::net::http::{Method, Request, Response, Route};
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
    let mut string_to_sign = String::new();
    let mut secrets = action.secrets.clone();
    secrets.extend(credentials.into_iter().flat_map(Credentials::secrets));
    // Both closures need the string that was signed last: one writes it, the other compares.
    let signed = std::cell::RefCell::new(&mut string_to_sign);
    network.call(
        action.hop,
        endpoint,
        action.patience,
        |candidate, timeout| {
            let (body, text) = body(network, action, credentials);
            **signed.borrow_mut() = text;
            post(&candidate.url, candidate.quick, body, timeout)
        },
        |response| {
            let signed = signed.borrow();
            let sent = Sent { secrets: secrets.clone(), string_to_sign: Some(signed.as_str()) };
            if let Some(id) = refusal::request_id(&response.body, &sent) {
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

    #[test]
    fn what_is_sent_is_what_was_signed() {
        let (http, clock) =
            (crate::net::http::Http::default(), crate::system::clock::Clock::default());
        let deadline = crate::system::clock::Deadline::new(
            crate::system::clock::instant(),
            Duration::from_secs(1),
        );
        let journal = crate::system::log::Journal::default();
        let network =
            Network { http: &http, clock: &clock, deadline: &deadline, journal: &journal };
        let parameters = vec![("RoleArn", "acs:ram::1:role/a"), ("Policy", "{\"a\": \"*\"}")];
        let action = Action {
            hop: Hop::AssumeRole,
            version: "2015-04-01",
            patience: Patience::FULL,
            parameters,
            secrets: vec![],
        };
        let credentials = Credentials {
            access_key_id: "STS.x".to_owned(),
            access_key_secret: Secret::new("secret"),
            security_token: Some(Secret::new("token+/=")),
        };
        let sent = |credentials| {
            let (body, text) = body(&network, &action, credentials);
            let pairs: Vec<(String, String)> =
                form_urlencoded::parse(body.as_bytes()).into_owned().collect();
            (pairs, text)
        };
        let (mut pairs, text) = sent(Some(&credentials));
        let at = pairs.iter().position(|(name, _)| name == "Signature").unwrap();
        let (_, signature) = pairs.remove(at);
        let plain: Vec<(&str, &str)> =
            pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(text, signature::rpc_string_to_sign("POST", &plain));
        assert_eq!(signature, signature::rpc_signature("secret", &text));
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
        let (unsigned, text) = sent(None);
        assert_eq!((unsigned.len(), text.as_str()), (7, ""));
        assert_ne!(unsigned, sent(None).0, "each has a nonce of its own");
    }

    #[test]
    fn everything_of_a_call_is_in_its_body() {
        let request = post("https://sts.example", true, "a=b".to_owned(), Duration::from_secs(1));
        assert_eq!(request.url, "https://sts.example/");
        assert_eq!((request.method, request.body.as_deref()), (Method::Post, Some("a=b")));
        assert_eq!(request.route, Route::CloudQuick);
        let later = post("https://sts.example", false, String::new(), Duration::from_secs(1));
        assert_eq!(later.route, Route::Cloud);
        let accepted = ("accept", "application/json".to_owned());
        let form = ("content-type", "application/x-www-form-urlencoded".to_owned());
        assert_eq!(request.headers, [accepted, form]);
    }
}
