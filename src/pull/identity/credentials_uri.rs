//! Temporary credentials that a service gives at `ALIBABA_CLOUD_CREDENTIALS_URI`.
//!
//! The vendor's clients differ: some want to see `Code: Success` in the answer, and others do not know
//! this field. An answer with another code is refused. One without a code is taken.

use jiff::Timestamp;
use serde::Deserialize;

use crate::aliyun::call::{Patience, Stranger, Verdict};
use crate::aliyun::endpoint::Endpoint;
use crate::aliyun::metadata::status_only;
use crate::aliyun::owner::Owner;
use crate::aliyun::{Credentials, Hop, redact};
use crate::config::CredentialsUri;
use crate::failure::facts::Facts;
use crate::failure::{Exit, Failure};
use crate::net::http::{Method, Request};
use crate::pull::identity::established::{Identity, Requester};
use crate::secret::Secret;

/// What distinguishes it from others. Its path may hold a secret, and nothing that it gives is kept.
pub(super) fn key(uri: &CredentialsUri) -> String {
    let CredentialsUri { base_url, path: _ } = uri;
    format!("credentials URI {base_url}")
}

pub(super) fn establish(
    uri: &CredentialsUri,
    requester: &Requester<'_, '_>,
) -> Result<Identity, Failure> {
    let network = &requester.node.network;
    let hop = Hop::CredentialsUri;
    let endpoint = Endpoint::fixed(&uri.base_url);
    let body = network.call(
        hop,
        &endpoint,
        Patience::FULL,
        |candidate, timeout| Request {
            method: Method::Get,
            url: format!("{}{}", candidate.url, uri.path.expose()),
            headers: vec![("accept", "application/json".to_owned())],
            body: None,
            timeout,
            route: candidate.route(),
        },
        |response| match response.status {
            200 => Verdict::Done(response.body.clone()),
            status if response.is_redirect() => Verdict::NotTheService(Stranger::Redirect(status)),
            status => Verdict::Refused(status_only(status)),
        },
    );
    let body = body.map_err(|error| Failure::of_call(&Facts::of(hop), &error))?;
    // One of the two clocks may be ahead. Whether the credentials are still of use is for STS to say.
    let now = network.clock.now().min(network.clock.services());
    let credentials = read(&body, &uri.path, now).map_err(|wrong| {
        let host = endpoint.current().host();
        Failure::new(Exit::Identity, format!("{hop}: {wrong}, at {host}"))
            .hint(wrong.remedy())
            .passing()
    })?;
    let owner = Owner::of_access_key(&credentials.access_key_id);
    Ok(Identity { credentials, owner, ends: None, about: None })
}

/// For a report of one pull.
pub(super) fn report(uri: &CredentialsUri, identity: &Identity) -> String {
    format!("{}, from the credentials URI at {}", identity.owner, uri.base_url)
}

/// Why an answer gives no credentials.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error("the answer is not a JSON object")]
    NotAnObject,
    #[error("the answer has Code `{0}` in place of `Success`")]
    Code(String),
    #[error("the answer has no {0}")]
    Missing(&'static str),
    #[error("the answer's Expiration is not a time such as 2026-01-01T06:00:00Z")]
    NotATime,
    #[error("the credentials ended at {0}")]
    Ended(Timestamp),
}

impl Wrong {
    fn remedy(&self) -> &'static str {
        match self {
            Self::Ended(_) => {
                "see that the service at ALIBABA_CLOUD_CREDENTIALS_URI renews what it gives, and that this machine's clock is right"
            }
            Self::Code(_) => "see why the service at ALIBABA_CLOUD_CREDENTIALS_URI refuses",
            Self::NotAnObject | Self::Missing(_) | Self::NotATime => {
                "see what answers at ALIBABA_CLOUD_CREDENTIALS_URI: it must give AccessKeyId, AccessKeySecret, SecurityToken and Expiration as texts of a JSON object"
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    code: Option<String>,
    access_key_id: Option<Secret>,
    access_key_secret: Option<Secret>,
    security_token: Option<Secret>,
    expiration: Option<String>,
}

/// The credentials in an answer; `path` is the one that was asked for.
///
/// # Errors
///
/// Anything but whole credentials that have not ended.
pub fn read(body: &[u8], path: &Secret, now: Timestamp) -> Result<Credentials, Wrong> {
    // serde would take an array for the fields in their order.
    body.trim_ascii_start().starts_with(b"{").then_some(()).ok_or(Wrong::NotAnObject)?;
    let answer: Answer = serde_json::from_slice(body).map_err(|_| Wrong::NotAnObject)?;
    if let Some(code) = answer.code.filter(|code| code != "Success") {
        let issued = answer.access_key_secret.iter().chain(&answer.security_token);
        let secrets: Vec<&Secret> = issued.chain([path]).collect();
        return Err(Wrong::Code(redact::line(&code, &secrets)));
    }
    let filled = |value: Option<Secret>, name| {
        value.filter(|value| !value.is_empty()).ok_or(Wrong::Missing(name))
    };
    let access_key_id = filled(answer.access_key_id, "AccessKeyId")?;
    let access_key_secret = filled(answer.access_key_secret, "AccessKeySecret")?;
    let security_token = filled(answer.security_token, "SecurityToken")?;
    let expiration = answer.expiration.ok_or(Wrong::Missing("Expiration"))?;
    let ends: Timestamp = expiration.parse().map_err(|_| Wrong::NotATime)?;
    if ends <= now {
        return Err(Wrong::Ended(ends));
    }
    Ok(Credentials {
        access_key_id: access_key_id.expose().to_owned(),
        access_key_secret,
        security_token: Some(security_token),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_dialects_and_what_is_neither() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let path = Secret::new("/?secret=made-up-secret-of-the-uri");
        let rest = r#""AccessKeyId":"STS.N","AccessKeySecret":"s","SecurityToken":"t","Expiration":"2026-01-01T06:00:00Z""#;
        let read = |body: &str| read(body.as_bytes(), &path, now).map(|it| it.access_key_id);
        for body in [format!("{{{rest}}}"), format!(r#"{{"Code":"Success",{rest}}}"#)] {
            assert_eq!(read(&body), Ok("STS.N".to_owned()), "{body}");
        }
        let without = |name: &str| format!("{{{}}}", rest.replace(name, "Other"));
        let with = |from: &str, to: &str| format!("{{{}}}", rest.replace(from, to));
        for (body, wrong) in [
            (format!(r#"{{"Code":"Denied",{rest}}}"#), Wrong::Code("Denied".to_owned())),
            (
                format!(r#"{{"Code":"made-up-secret-of-the-uri",{rest}}}"#),
                Wrong::Code("[secret]".to_owned()),
            ),
            (without("AccessKeyId"), Wrong::Missing("AccessKeyId")),
            (without("AccessKeySecret"), Wrong::Missing("AccessKeySecret")),
            (without("SecurityToken"), Wrong::Missing("SecurityToken")),
            (without("Expiration"), Wrong::Missing("Expiration")),
            (with("\"t\"", "\"\""), Wrong::Missing("SecurityToken")),
            (with("\"t\"", "null"), Wrong::Missing("SecurityToken")),
            (with("2026-01-01T06:00:00Z", "soon"), Wrong::NotATime),
            (with("T06", "T00"), Wrong::Ended(now)),
            (format!("[{rest}]"), Wrong::NotAnObject),
            ("<html>".to_owned(), Wrong::NotAnObject),
            (with("\"s\"", "7"), Wrong::NotAnObject),
        ] {
            assert_eq!(read(&body), Err(wrong), "{body}");
        }
    }
}
