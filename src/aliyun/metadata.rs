//! The ECS instance metadata service: who the node is, over plain HTTP from the node itself.
//!
//! Hardened mode first: a token by `PUT /latest/api/token`, sent with each `GET`. Normal mode
//! (no token) only when the token request is answered 403, 404, 405 or 501, or 200 with nothing in
//! it; a time-out or another 5xx says nothing about modes and is retried. Source: "View instance metadata", ECS user guide.

use std::cell::{Cell, OnceCell};

use serde::Deserialize;

use crate::aliyun::call::{CallError, Network, Patience, Stranger, Verdict};
use crate::aliyun::endpoint::Endpoint;
use crate::aliyun::ids::{Region, is_account_id, is_role_name};
use crate::aliyun::refusal::Refusal;
use crate::aliyun::{Credentials, Hop, redact};
use crate::net::http::{Method, Request, Response, Route};
use crate::secret::Secret;

/// Where the service is on every instance.
pub const ADDRESS: &str = "http://100.100.100.200";

/// How long the metadata token is asked to live, in seconds: no longer than one run.
const TOKEN_TTL: &str = "60";

const CREDENTIALS_PATH: &str = "/latest/meta-data/ram/security-credentials/";

/// The metadata service of this machine.
pub struct Metadata<'a> {
    network: Network<'a>,
    endpoint: Endpoint,
    /// Normal mode is not to be used, whatever the service says.
    hardened_only: bool,
    patience: Cell<Patience>,
    token: OnceCell<Option<Secret>>,
}

/// Where and why the metadata service gave nothing.
#[derive(Debug)]
pub struct MetadataError {
    pub hop: Hop,
    pub kind: Kind,
}

#[derive(Debug, thiserror::Error)]
pub enum Kind {
    #[error(transparent)]
    Call(CallError),
    /// 404 where a role or its name should be.
    #[error("HTTP 404: {0}")]
    NotFound(String),
    /// The role document says something other than `Success`.
    #[error("the role document has this Code, not `Success`")]
    NotSuccess(String),
    #[error("the answer is not a {0}")]
    Malformed(&'static str),
    /// The token request was answered with this status, without a token, and normal mode is ruled out.
    #[error(
        "hardened mode is not offered (HTTP {0} without a token) and ALIBABA_CLOUD_IMDSV1_DISABLED rules out normal mode"
    )]
    HardenedOnly(u16),
}

impl Kind {
    fn at(self, hop: Hop) -> MetadataError {
        MetadataError { hop, kind: self }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoleDocument {
    code: Option<String>,
    access_key_id: Option<String>,
    access_key_secret: Option<Secret>,
    security_token: Option<Secret>,
}

impl<'a> Metadata<'a> {
    pub fn new(
        network: Network<'a>,
        base_url: &str,
        hardened_only: bool,
        patience: Patience,
    ) -> Self {
        let token = OnceCell::new();
        let patience = Cell::new(patience);
        Self { network, endpoint: Endpoint::fixed(base_url), hardened_only, patience, token }
    }

    /// Whether the service has answered in this run.
    pub fn has_answered(&self) -> bool {
        self.token.get().is_some()
    }

    /// The region of this node.
    ///
    /// # Errors
    ///
    /// When the service does not answer or answers with something else.
    pub fn region(&self) -> Result<Region, MetadataError> {
        let text = self.text(Hop::MetadataRegion, "/latest/meta-data/region-id", "no region")?;
        Region::parse(text.trim())
            .filter(|region| self.is_clear(region.as_str()))
            .ok_or_else(|| Kind::Malformed("region id").at(Hop::MetadataRegion))
    }

    /// The account that the instance belongs to.
    ///
    /// # Errors
    ///
    /// When the service does not answer or answers with something else.
    pub fn account(&self) -> Result<String, MetadataError> {
        let hop = Hop::MetadataAccount;
        let text = self.text(hop, "/latest/meta-data/owner-account-id", "no account")?;
        let account = text.trim();
        if is_account_id(account) && self.is_clear(account) {
            Ok(account.to_owned())
        } else {
            Err(Kind::Malformed("account id").at(hop))
        }
    }

    /// The region of this node, if the service gives it at once: for choices that can be made
    /// without it.
    pub fn region_at_once(&self) -> Option<Region> {
        let patience = self.patience.replace(Patience::BRIEF);
        let region = self.region();
        self.patience.set(patience);
        region.ok()
    }

    /// The name of the one role that an instance can have.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`] when no role is attached.
    pub fn role_name(&self) -> Result<String, MetadataError> {
        let absent = "no RAM role is attached to this instance";
        let text = self.text(Hop::MetadataRoleName, CREDENTIALS_PATH, absent)?;
        let name = text.trim();
        if is_role_name(name) && self.is_clear(name) {
            Ok(name.to_owned())
        } else {
            Err(Kind::Malformed("role name").at(Hop::MetadataRoleName))
        }
    }

    /// Temporary credentials of the role, 30 minutes to 6 hours before their end.
    ///
    /// # Errors
    ///
    /// Anything but a whole document with `Code: Success`.
    pub fn role_credentials(&self, role: &str) -> Result<Credentials, MetadataError> {
        let path = format!("{CREDENTIALS_PATH}{role}");
        let absent = format!("this instance has no role `{role}`");
        let hop = Hop::MetadataRoleDocument;
        let body = self.get(hop, &path, &absent)?;
        read_document(&body, self.sent()).map_err(|kind| kind.at(hop))
    }

    /// The token, where one has been given.
    fn sent(&self) -> Option<&Secret> {
        self.token.get()?.as_ref()
    }

    /// Whether a name says nothing of the token: names are printed.
    fn is_clear(&self, name: &str) -> bool {
        redact::is_clear(name, self.sent().as_slice())
    }

    fn text(&self, hop: Hop, path: &str, absent: &str) -> Result<String, MetadataError> {
        String::from_utf8(self.get(hop, path, absent)?).map_err(|_| Kind::Malformed("text").at(hop))
    }

    fn get(&self, hop: Hop, path: &str, absent: &str) -> Result<Vec<u8>, MetadataError> {
        let token = self.token()?;
        let header = token.map(|token| ("x-aliyun-ecs-metadata-token", token.expose().to_owned()));
        let (status, body) = self.send(hop, Method::Get, path, header.as_ref())?;
        match status {
            200 => Ok(body),
            404 => Err(Kind::NotFound(absent.to_owned()).at(hop)),
            status => Err(self.refused(status).at(hop)),
        }
    }

    fn token(&self) -> Result<Option<&Secret>, MetadataError> {
        if let Some(token) = self.token.get() {
            return Ok(token.as_ref());
        }
        let hop = Hop::MetadataToken;
        let ttl = ("x-aliyun-ecs-metadata-token-ttl-seconds", TOKEN_TTL.to_owned());
        let (status, body) = self.send(hop, Method::Put, "/latest/api/token", Some(&ttl))?;
        let token = match status {
            _ if is_without_hardened_mode(status, &body) => {
                if self.hardened_only {
                    return Err(Kind::HardenedOnly(status).at(hop));
                }
                None
            }
            200 => Some(read_token(&body).ok_or_else(|| Kind::Malformed("token").at(hop))?),
            status => return Err(self.refused(status).at(hop)),
        };
        Ok(self.token.get_or_init(|| token).as_ref())
    }

    /// One exchange; statuses below 500 are results, others and 429 are tried again, but for a
    /// token service that is not there.
    fn send(
        &self,
        hop: Hop,
        method: Method,
        path: &str,
        header: Option<&(&'static str, String)>,
    ) -> Result<(u16, Vec<u8>), MetadataError> {
        let answer = self.network.call(
            hop,
            &self.endpoint,
            self.patience.get(),
            |candidate, timeout| Request {
                method,
                url: format!("{}{path}", candidate.url),
                headers: header.into_iter().cloned().collect(),
                body: None,
                timeout,
                route: Route::Metadata,
            },
            |response: &Response| match response.status {
                status if response.is_redirect() => {
                    Verdict::NotTheService(Stranger::Redirect(status))
                }
                501 if hop == Hop::MetadataToken => Verdict::Done((501, Vec::new())),
                429 | 500.. => Verdict::Refused(status_only(response.status)),
                status => Verdict::Done((status, response.body.clone())),
            },
        );
        answer.map_err(|error| Kind::Call(error).at(hop))
    }

    fn refused(&self, status: u16) -> Kind {
        let host = self.endpoint.current().host().to_owned();
        Kind::Call(CallError::Refused { host, refusal: status_only(status) })
    }
}

/// Whether an answer to the token request says that there are no tokens here.
fn is_without_hardened_mode(status: u16, body: &[u8]) -> bool {
    match status {
        403 | 404 | 405 | 501 => true,
        200 => body.trim_ascii().is_empty(),
        _ => false,
    }
}

/// A metadata token: one printable word, as it goes into a header.
pub fn read_token(body: &[u8]) -> Option<Secret> {
    let text = std::str::from_utf8(body).ok()?.trim();
    let fits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| Secret::new(text))
}

/// The credentials in a role document; `sent` is the token that it was asked for with.
///
/// # Errors
///
/// Anything but a whole document with `Code: Success`.
pub fn read_document(body: &[u8], sent: Option<&Secret>) -> Result<Credentials, Kind> {
    let malformed = || Kind::Malformed("role document");
    // serde would take an array for the fields in their order.
    body.trim_ascii_start().starts_with(b"{").then_some(()).ok_or_else(malformed)?;
    let document: RoleDocument = serde_json::from_slice(body).map_err(|_| malformed())?;
    let code = document.code.ok_or_else(malformed)?;
    if code != "Success" {
        let issued = document.access_key_secret.iter().chain(&document.security_token);
        let secrets: Vec<&Secret> = issued.chain(sent).collect();
        return Err(Kind::NotSuccess(redact::line(&code, &secrets)));
    }
    let whole = (
        document.access_key_id.filter(|id| !id.is_empty()),
        document.access_key_secret.filter(|secret| !secret.is_empty()),
        document.security_token.filter(|token| !token.is_empty()),
    );
    let (Some(access_key_id), Some(access_key_secret), Some(security_token)) = whole else {
        return Err(Kind::Malformed("whole role document"));
    };
    Ok(Credentials { access_key_id, access_key_secret, security_token: Some(security_token) })
}

/// Bodies of metadata errors say nothing that the status does not, and a role document must not
/// end up in a message.
fn status_only(status: u16) -> Refusal {
    Refusal { status, of_service: true, ..Refusal::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_an_object() {
        let whole =
            br#" {"Code":"Success","AccessKeyId":"i","AccessKeySecret":"s","SecurityToken":"t"}"#;
        assert_eq!(read_document(whole, None).unwrap().access_key_id, "i");
        let list = br#"["Success","i","s","t"]"#;
        assert!(matches!(read_document(list, None), Err(Kind::Malformed("role document"))));
    }

    #[test]
    fn neither_a_code_nor_a_name_is_a_secret() {
        let token = Secret::new("made-up-metadata-token-22");
        let body = |code: &str| {
            format!(
                r#"{{"Code":"{code}","AccessKeySecret":"made-up-secret-1","SecurityToken":"made-up-token-1"}}"#
            )
        };
        for code in ["made-up-secret-1", "made-up-token-1", token.expose()] {
            let Err(Kind::NotSuccess(shown)) = read_document(body(code).as_bytes(), Some(&token))
            else {
                panic!("{code}")
            };
            assert_eq!(shown, "[secret]");
        }
        let (http, clock) =
            (crate::net::http::Http::default(), crate::system::clock::Clock::default());
        let deadline = crate::system::clock::Deadline::new(
            crate::system::clock::instant(),
            std::time::Duration::ZERO,
        );
        let journal = crate::system::log::Journal::default();
        let network =
            Network { http: &http, clock: &clock, deadline: &deadline, journal: &journal };
        let metadata = Metadata::new(network, ADDRESS, false, Patience::BRIEF);
        assert!(metadata.is_clear(token.expose()));
        metadata.token.set(Some(token)).unwrap();
        assert!(!metadata.is_clear("made-up-metadata-token-22") && metadata.is_clear("acr-puller"));
    }
}
