//! The registry's own anonymous `/v2/` challenge, which names the instance behind a host.
//!
//! `401` with `WWW-Authenticate: Bearer realm="…",service="registry.aliyuncs.com:<region>:china:cri-…"`.
//! For Personal Edition the service has no instance id. No credential is ever sent.

use crate::aliyun::Hop;
use crate::aliyun::call::{CallError, Network, Patience, Verdict};
use crate::aliyun::endpoint::Endpoint;
use crate::aliyun::ids::InstanceId;
use crate::net::http::{Method, Request, Response, Route};

/// What a registry says of itself to somebody without credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Challenge {
    /// The HTTP status; 401 is right.
    pub status: u16,
    /// Where logins are exchanged for pull tokens.
    pub realm: Option<String>,
    /// What the realm is asked for by: the registry's own name for itself.
    pub service: Option<String>,
    pub instance: Option<InstanceId>,
}

impl Challenge {
    /// What an answer says; only that of a 401 is believed.
    pub fn of(response: &Response) -> Self {
        let said = response.www_authenticate.iter().filter(|_| response.status == 401);
        let said = said.map(String::as_str).find(|said| bearer(said).is_some());
        Self {
            status: response.status,
            realm: said.and_then(|said| in_bearer(said, "realm")),
            service: said.and_then(|said| in_bearer(said, "service")),
            instance: said.and_then(instance_in),
        }
    }
}

/// Asks the registry at `host` what it is.
///
/// `base_url` replaces `https://<host>` as the address; the host is named in the request anyway.
///
/// # Errors
///
/// When nothing answers. Any answer is a result.
pub fn ask(
    network: &Network<'_>,
    host: &str,
    base_url: Option<&str>,
) -> Result<Challenge, CallError> {
    let url = base_url.map_or_else(|| format!("https://{host}"), str::to_owned);
    let headers = [("host", host.to_owned())];
    get(network, &url, "/v2/", &headers, Challenge::of)
}

/// Asks an authentication service for nothing: which HTTP status it answers with.
///
/// # Errors
///
/// When nothing answers, or somebody with another certificate does.
pub fn knock(network: &Network<'_>, realm: &str) -> Result<u16, CallError> {
    get(network, realm, "", &[], |response| response.status)
}

/// A single question to an address, of which any answer is a result.
pub(super) fn get<T>(
    network: &Network<'_>,
    url: &str,
    path: &str,
    headers: &[(&'static str, String)],
    read: impl Fn(&Response) -> T,
) -> Result<T, CallError> {
    network.call(
        Hop::RegistryChallenge,
        &Endpoint::fixed(url),
        Patience::shortcut(network.deadline),
        |candidate, timeout| Request {
            method: Method::Get,
            url: format!("{}{path}", candidate.url),
            headers: headers.to_vec(),
            body: None,
            timeout,
            route: Route::Cloud,
        },
        |response| Verdict::Done(read(response)),
    )
}

fn bearer(challenge: &str) -> Option<&str> {
    let (scheme, parameters) = challenge.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(parameters)
}

fn in_bearer(challenge: &str, name: &str) -> Option<String> {
    parameter(bearer(challenge)?, name).map(str::to_owned)
}

/// The instance id in a challenge: the fourth field of its `service`.
fn instance_in(challenge: &str) -> Option<InstanceId> {
    let service = parameter(bearer(challenge)?, "service")?;
    let mut fields = service.split(':');
    if fields.next() != Some("registry.aliyuncs.com") {
        return None;
    }
    InstanceId::parse(fields.nth(2)?)
}

/// The value of `name="…"` among comma-separated parameters; commas may stand inside quotes.
fn parameter<'a>(mut rest: &'a str, name: &str) -> Option<&'a str> {
    loop {
        let (key, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, tail) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.trim_matches([' ', ',']).eq_ignore_ascii_case(name) {
            return Some(value.trim());
        }
        rest = tail;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(challenge: &str) -> Option<String> {
        instance_in(challenge).map(|id| id.to_string())
    }

    #[test]
    fn enterprise_personal_and_others() {
        let realm = r#"realm="https://dockerauth.cn-hangzhou.aliyuncs.com/auth?a=1,2""#;
        let service = |s: &str| format!(r#"Bearer {realm},service="{s}""#);
        let acme = Some("cri-acme".to_owned());
        assert_eq!(id(&service("registry.aliyuncs.com:cn-hangzhou:china:cri-acme")), acme);
        assert_eq!(id(&service("registry.aliyuncs.com:cn-hangzhou:china:cri-acme:2a")), acme);
        assert_eq!(
            id(r#"bearer service="registry.aliyuncs.com:cn-a:china:cri-acme",realm="x""#),
            acme
        );
        assert_eq!(id(&service("registry.aliyuncs.com:cn-hangzhou:26842")), None);
        assert_eq!(id(&service("registry.example.com:cn-hangzhou:china:cri-acme")), None);
        assert_eq!(id(&service("registry.aliyuncs.com:cn-hangzhou:china:acme/../x")), None);
        assert_eq!(id("Basic realm=\"x\""), None);
        assert_eq!(id("Bearer"), None);
        assert_eq!(id("Bearer realm=\"unclosed"), None);
    }
}
