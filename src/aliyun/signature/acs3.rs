//! ACS3-HMAC-SHA256, the same for RPC and for ROA requests: everything about it is in headers.
//!
//! Source: "Request syntax and signature method V3" (the published example is a test), and the
//! vendor's clients for Python and Node, whose output `tests/vectors` holds.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::aliyun::Credentials;
use crate::aliyun::signature::form_encode;
use crate::system::text::hex;

const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// What a request is, for signing it.
pub struct Call<'a> {
    pub method: &'a str,
    /// `host[:port]`, as the header says it.
    pub host: &'a str,
    pub path: &'a str,
    pub action: &'a str,
    pub version: &'a str,
    /// A form, or empty.
    pub body: &'a str,
}

/// A signed request.
pub struct Signed {
    pub headers: Vec<(&'static str, String)>,
    /// The digest of what was signed: the service names the same if it has got the same request.
    pub digest: String,
}

impl Call<'_> {
    /// The headers to send. All but `accept` are signed.
    #[must_use]
    pub fn sign(&self, credentials: &Credentials, now: Timestamp, nonce: String) -> Signed {
        let mut headers = vec![
            ("host", self.host.to_owned()),
            ("x-acs-action", self.action.to_owned()),
            ("x-acs-content-sha256", hash(self.body)),
            ("x-acs-date", now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            ("x-acs-signature-nonce", nonce),
            ("x-acs-version", self.version.to_owned()),
        ];
        if !self.body.is_empty() {
            headers.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
        }
        if let Some(token) = &credentials.security_token {
            headers.push(("x-acs-security-token", token.expose().to_owned()));
        }
        let borrowed: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let request = canonical_request(self.method, self.path, &[], &borrowed, &hash(self.body));
        let digest = hash(&request);
        let signature = signature(credentials.access_key_secret.expose(), &string_to_sign(&digest));
        let id = &credentials.access_key_id;
        headers.push(("authorization", authorization(id, &borrowed, &signature)));
        headers.push(("accept", "application/json".to_owned()));
        Signed { headers, digest }
    }
}

/// Method, path, query, headers and the hash of the body, each in the form that is signed. `headers`
/// are those that are signed, with names in lower case.
#[must_use]
pub fn canonical_request(
    method: &str,
    path: &str,
    query: &[(&str, &str)],
    headers: &[(&str, &str)],
    payload_hash: &str,
) -> String {
    let mut text = format!("{method}\n{path}\n{}\n", form_encode(query));
    for (name, value) in sorted(headers) {
        let _ = writeln!(text, "{name}:{}", value.trim());
    }
    let _ = write!(text, "\n{}\n{payload_hash}", names(headers));
    text
}

/// `digest` is the hash of the canonical request.
#[must_use]
pub fn string_to_sign(digest: &str) -> String {
    format!("{ALGORITHM}\n{digest}")
}

/// The key is the bare secret.
#[must_use]
pub fn signature(access_key_secret: &str, string_to_sign: &str) -> String {
    // HMAC takes a key of any length; `new_from_slice` cannot fail for it.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(access_key_secret.as_bytes()) else {
        return String::new();
    };
    mac.update(string_to_sign.as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// The value of the header `Authorization`.
#[must_use]
pub fn authorization(access_key_id: &str, headers: &[(&str, &str)], signature: &str) -> String {
    let names = names(headers);
    format!("{ALGORITHM} Credential={access_key_id},SignedHeaders={names},Signature={signature}")
}

/// SHA-256 in lower-case hexadecimal.
#[must_use]
pub fn hash(text: &str) -> String {
    hex(&Sha256::digest(text))
}

fn sorted<'h>(headers: &[(&'h str, &'h str)]) -> Vec<(&'h str, &'h str)> {
    let mut sorted = headers.to_vec();
    sorted.sort_unstable();
    sorted
}

fn names(headers: &[(&str, &str)]) -> String {
    let names: Vec<&str> = sorted(headers).into_iter().map(|(name, _)| name).collect();
    names.join(";")
}
