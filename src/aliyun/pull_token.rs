//! The exchange that a container runtime makes for each pull: a login for a token of one repository, at the
//! service that the registry's challenge names.
//!
//! `GET <realm>?service=…&scope=repository:<name>:pull` with HTTP's Basic, as distribution's token
//! specification has it. The token is looked at, and kept by nobody.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::aliyun::call::{CallError, Network};
use crate::aliyun::challenge;
use crate::aliyun::endpoint::is_vendors_host;
use crate::aliyun::signature::percent_encode;
use crate::net::http::Response;
use crate::net::origin::Origin;
use crate::secret::Secret;

/// What became of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// It is right, and pulls as far as the token says.
    Pulls,
    /// It is right, and does not pull from the repository.
    NotThis,
    /// It is refused, with this HTTP status.
    Refused(u16),
    /// It gets the very answer that nobody's gets, so that is not about the login.
    Unheard(u16),
    /// An HTTP status that says nothing of the login.
    Silent(u16),
}

/// Where logins are exchanged, and for what.
pub struct TokenRequest<'r> {
    pub realm: &'r str,
    pub service: &'r str,
    /// None: whether the login is right, as `docker login` asks.
    pub repository: Option<&'r str>,
}

/// Whether a login may be shown to a realm: the vendor's own over TLS, or one of the registry's own address
/// where that was configured.
#[must_use]
pub fn is_vendors(realm: &str, configured: Option<&str>) -> bool {
    let Some(at) = Origin::of(realm) else { return false };
    let is_configured = configured.and_then(Origin::of).is_some_and(|own| own == at);
    is_configured || at.is_https && at.port == 443 && is_vendors_host(&at.host)
}

/// Tries a login.
///
/// # Errors
///
/// When nothing answers, or somebody with another certificate does.
pub fn try_login(
    network: &Network<'_>,
    request: &TokenRequest<'_>,
    user_name: &str,
    password: &Secret,
) -> Result<Trial, CallError> {
    let login = BASE64_STANDARD.encode(format!("{user_name}:{}", password.expose()));
    let answer = exchange(network, request, Some(&login))?;
    let pulls = request.repository.zip(answer.access()).is_none_or(|(name, it)| it.pulls(name));
    match answer.status {
        200..=299 if pulls => return Ok(Trial::Pulls),
        200..=299 => return Ok(Trial::NotThis),
        401 | 403 => {}
        status => return Ok(Trial::Silent(status)),
    }
    // The same status says that the login is wrong, and that it has no right to the repository.
    let alone = TokenRequest { repository: None, ..*request };
    let answer = exchange(network, &alone, Some(&login))?;
    match answer.status {
        200..=299 => return Ok(Trial::NotThis),
        401 | 403 => {}
        status => return Ok(Trial::Silent(status)),
    }
    let anonymous = exchange(network, &alone, None)?;
    let is_same = (anonymous.status, &anonymous.body) == (answer.status, &answer.body);
    let status = answer.status;
    Ok(if is_same { Trial::Unheard(status) } else { Trial::Refused(status) })
}

struct Answer {
    status: u16,
    body: Vec<u8>,
}

fn exchange(
    network: &Network<'_>,
    request: &TokenRequest<'_>,
    login: Option<&str>,
) -> Result<Answer, CallError> {
    let TokenRequest { realm, service, repository } = request;
    let scope = repository
        .map(|name| format!("&scope={}", percent_encode(format!("repository:{name}:pull"))));
    let joint = if realm.contains('?') { '&' } else { '?' };
    let service = percent_encode(service);
    let url = format!("{realm}{joint}service={service}{}", scope.unwrap_or_default());
    let login = login.map(|login| ("authorization", format!("Basic {login}")));
    let headers: Vec<_> = login.into_iter().collect();
    let read =
        |response: &Response| Answer { status: response.status, body: response.body.clone() };
    challenge::get(network, &url, "", &headers, read)
}

impl Answer {
    /// What its token permits; none where the token does not say.
    fn access(&self) -> Option<Access> {
        #[derive(Deserialize)]
        struct Tokens {
            token: Option<Secret>,
            access_token: Option<Secret>,
        }
        let Tokens { token, access_token } = serde_json::from_slice(&self.body).ok()?;
        Access::of(token.or(access_token)?.expose())
    }
}

/// What a token permits.
struct Access(Vec<Grant>);

#[derive(Deserialize)]
struct Grant {
    name: String,
    /// Go writes an empty list as null.
    actions: Option<Vec<String>>,
}

impl Access {
    fn of(token: &str) -> Option<Self> {
        let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        let mut claims: Map<String, Value> = serde_json::from_slice(&claims).ok()?;
        match claims.remove("access")? {
            Value::Null => Some(Self(Vec::new())),
            grants => serde_json::from_value(grants).ok().map(Self),
        }
    }

    fn pulls(&self, repository: &str) -> bool {
        let is_pull = |action: &String| ["pull", "*"].contains(&action.as_str());
        let of_it = self.0.iter().filter(|it| it.name == repository);
        of_it.filter_map(|it| it.actions.as_ref()).flatten().any(is_pull)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    use super::{Access, is_vendors};

    #[test]
    fn what_a_token_says() {
        let pulls = |claims: &str| {
            let token = format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims));
            Access::of(&token).map(|access| access.pulls("team/app"))
        };
        let of = |access: &str| pulls(&format!("{{\"access\":{access}}}"));
        assert_eq!(
            of(r#"[{"type":"repository","name":"team/app","actions":["pull"]}]"#),
            Some(true)
        );
        assert_eq!(
            of(r#"[{"name":"team/b","actions":[]},{"name":"team/app","actions":["*"]}]"#),
            Some(true)
        );
        for nothing in [
            "[]",
            "null",
            r#"[{"name":"team/app","actions":null}]"#,
            r#"[{"name":"team/app","actions":["push"]}]"#,
            r#"[{"name":"team/apps","actions":["pull"]}]"#,
        ] {
            assert_eq!(of(nothing), Some(false), "{nothing}");
        }
        for unknown in ["{}", "[]", "", "7"] {
            assert_eq!(pulls(unknown), None, "{unknown}");
        }
        assert_eq!(of("7"), None);
        assert!(Access::of("opaque").is_none() && Access::of("a.%.c").is_none());
    }

    #[test]
    fn realms_that_may_see_a_login() {
        for realm in [
            "https://dockerauth.cn-hangzhou.aliyuncs.com/auth",
            "https://dockerauth-ee-vpc.cn-hangzhou.aliyuncs.com:443/auth?a=1",
        ] {
            assert!(is_vendors(realm, None), "{realm}");
        }
        for realm in [
            "http://dockerauth.cn-hangzhou.aliyuncs.com/auth",
            "https://dockerauth.cn-hangzhou.aliyuncs.com.example.com/auth",
            "https://aliyuncs.com.example/auth",
            "https://evilaliyuncs.com/auth",
            "https://x@example.com/.aliyuncs.com",
            "https://dockerauth.cn-hangzhou.aliyuncs.com:8443/auth",
            "http://127.0.0.1:80/auth",
            "",
        ] {
            assert!(!is_vendors(realm, None), "{realm}");
        }
        assert!(is_vendors("http://127.0.0.1:81/auth", Some("http://127.0.0.1:81")));
        assert!(!is_vendors("http://127.0.0.1:81/auth", Some("http://127.0.0.1:82")));
    }
}
