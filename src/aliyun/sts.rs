//! Security Token Service, API version 2015-04-01.

use serde::Deserialize;
use serde_json::Value;

use crate::aliyun::call::{CallError, Network, Patience};
use crate::aliyun::endpoint::Endpoint;
use crate::aliyun::ids::{OidcProviderArn, RoleArn};
use crate::aliyun::refusal::word;
use crate::aliyun::rpc::{self, Action, Answer};
use crate::aliyun::{Credentials, Hop, redact};
use crate::secret::Secret;

const VERSION: &str = "2015-04-01";

/// The audience that OIDC tokens for STS are made for.
pub const AUDIENCE: &str = "sts.aliyuncs.com";

/// Shortest session that STS grants, in seconds.
pub const MIN_DURATION: u32 = 900;
/// Longest session that any role can be set to, in seconds.
pub const MAX_DURATION: u32 = 43_200;

/// A role that `AssumeRole` is to give a session of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumedRole {
    pub arn: RoleArn,
    pub external_id: Option<String>,
}

/// A session to ask for, of whatever role.
#[derive(Debug, Clone, Copy)]
pub struct SessionRequest<'a> {
    /// 2 to 64 letters, digits or `.@-_`; shows up in the other account's audit trail.
    pub session_name: &'a str,
    /// Seconds, 900 to the role's own maximum.
    pub duration: u32,
    /// Session policy: what the session may do is the intersection with the role's policies.
    pub policy: Option<&'a str>,
}

impl AssumedRole {
    /// What distinguishes it from other roles, part by part. A field that is added does not compile until
    /// it is said here whether it does.
    pub fn key(&self) -> [&str; 2] {
        let Self { arn, external_id } = self;
        [arn.as_str(), external_id.as_deref().unwrap_or_default()]
    }
}

impl SessionRequest<'_> {
    /// What distinguishes one session of a role from another, in the same way.
    pub fn key(&self) -> [String; 3] {
        let Self { session_name, duration, policy } = *self;
        [session_name, &duration.to_string(), policy.unwrap_or_default()].map(str::to_owned)
    }
}

/// A role session.
#[derive(Debug)]
pub struct Session {
    pub credentials: Credentials,
    pub about: About,
}

/// What the service says of a session; nothing depends on it.
#[derive(Debug, Clone)]
pub struct About {
    arn: Option<String>,
    expires: Option<String>,
    /// What may not come back in the words above. Few runs print them, so they are only searched
    /// when they are read.
    secrets: Vec<Secret>,
}

impl About {
    /// `acs:ram::<account>:assumed-role/<role>/<session name>`.
    pub fn arn(&self) -> Option<String> {
        self.clear(self.arn.as_deref())
    }

    /// When it ends, by the service's clock.
    pub fn expires(&self) -> Option<String> {
        self.clear(self.expires.as_deref())
    }

    fn clear(&self, text: Option<&str>) -> Option<String> {
        let secrets: Vec<&Secret> = self.secrets.iter().collect();
        text.map(|text| redact::line(text, &secrets)).filter(|text| !text.is_empty())
    }
}

/// The answer of either action.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SessionAnswer {
    credentials: SessionCredentials,
    #[serde(default)]
    assumed_role_user: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SessionCredentials {
    #[serde(deserialize_with = "filled")]
    access_key_id: Secret,
    #[serde(deserialize_with = "filled")]
    access_key_secret: Secret,
    #[serde(deserialize_with = "filled")]
    security_token: Secret,
    #[serde(default)]
    expiration: Value,
}

impl Session {
    /// The session in an answer; what was sent for it does not come back in the words about it.
    pub fn of(answer: Answer<SessionAnswer>, sent: &[&Secret]) -> Self {
        let SessionAnswer { credentials, assumed_role_user } = answer.value;
        let SessionCredentials { access_key_id, access_key_secret, security_token, expiration } =
            credentials;
        let secrets = [sent, &[&access_key_secret, &security_token]].concat();
        let about = About {
            arn: assumed_role_user.get("Arn").and_then(word),
            expires: word(&expiration),
            secrets: secrets.into_iter().cloned().collect(),
        };
        let credentials = Credentials {
            access_key_id: access_key_id.expose().to_owned(),
            access_key_secret,
            security_token: Some(security_token),
        };
        Self { credentials, about }
    }
}

/// `AssumeRole`, signed.
///
/// # Errors
///
/// See [`CallError`]; throttling at once.
pub fn assume_role(
    network: &Network<'_>,
    endpoint: &Endpoint,
    caller: &Credentials,
    role: &AssumedRole,
    request: &SessionRequest<'_>,
) -> Result<Session, CallError> {
    let duration = request.duration.to_string();
    let mut parameters = parameters(&role.arn, request, &duration);
    parameters.extend(role.external_id.as_deref().map(|id| ("ExternalId", id)));
    let (hop, patience) = (Hop::AssumeRole, Patience::UNTIL_THROTTLED);
    let action = Action { hop, version: VERSION, patience, parameters, secrets: vec![] };
    rpc::call(network, endpoint, &action, Some(caller))
        .map(|answer| Session::of(answer, &caller.secrets()))
}

/// `AssumeRoleWithOIDC`, unsigned: the token alone proves who asks, so it travels in the body.
///
/// # Errors
///
/// See [`CallError`]; throttling at once.
pub fn assume_role_with_oidc(
    network: &Network<'_>,
    endpoint: &Endpoint,
    provider: &OidcProviderArn,
    role: &RoleArn,
    token: &Secret,
    request: &SessionRequest<'_>,
) -> Result<Session, CallError> {
    let duration = request.duration.to_string();
    let mut parameters = parameters(role, request, &duration);
    parameters.push(("OIDCProviderArn", provider.as_str()));
    parameters.push(("OIDCToken", token.expose()));
    let (hop, patience) = (Hop::AssumeRoleWithOidc, Patience::UNTIL_THROTTLED);
    let action = Action { hop, version: VERSION, patience, parameters, secrets: vec![token] };
    rpc::call(network, endpoint, &action, None).map(|answer| Session::of(answer, &[token]))
}

fn parameters<'a>(
    role: &'a RoleArn,
    request: &SessionRequest<'a>,
    duration: &'a str,
) -> Vec<(&'static str, &'a str)> {
    let mut parameters = vec![
        ("RoleArn", role.as_str()),
        ("RoleSessionName", request.session_name),
        ("DurationSeconds", duration),
    ];
    parameters.extend(request.policy.map(|policy| ("Policy", policy)));
    parameters
}

/// Empty credentials are none.
fn filled<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    let secret = Secret::deserialize(deserializer)?;
    if secret.is_empty() { Err(serde::de::Error::custom("empty")) } else { Ok(secret) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_session_is_no_secret() {
        let body = |about: &str| {
            format!(
                r#"{{"Credentials":{{"AccessKeyId":"STS.N","AccessKeySecret":"made-up-secret-1","SecurityToken":"made-up-token-22","Expiration":"until {about}"}},"AssumedRoleUser":{{"Arn":"acs:{about}"}}}}"#
            )
        };
        let sent = Secret::new("made-up-oidc-333");
        let about = |text: &str| {
            let value = serde_json::from_str(&body(text)).unwrap();
            let about = Session::of(Answer { value, date: None }, &[&sent]).about;
            (about.arn().unwrap(), about.expires().unwrap())
        };
        assert_eq!(about("x"), ("acs:x".to_owned(), "until x".to_owned()));
        for secret in ["made-up-secret-1", "made-up-token-22", sent.expose()] {
            assert_eq!(about(secret), ("acs:[secret]".to_owned(), "until [secret]".to_owned()));
        }
    }
}
