//! ACS3-HMAC-SHA256: everything about the signature is in headers, of RPC and ROA requests alike.
//!
//! From the vendor's page on request syntax and signature method V3: which headers are mandatory,
//! which of them have to be signed, and how.

use super::super::backend::{Backend, Trace};
use super::super::clock::parse_iso;
use super::super::failure::Failure;
use super::super::http::Request;
use super::super::identity::Identity;
use super::super::signature::{
    Acs3Request, acs3_canonical_request, acs3_signature, acs3_string_to_sign, sha256,
};
use super::access::{Signer, check_nonce, look_up, query};
use super::{incomplete_signature, time_expired};

const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// Whether a request says that it is signed in this way.
pub(super) fn is_meant(request: &Request) -> bool {
    request.header("authorization").is_some_and(|value| value.starts_with(ALGORITHM))
}

/// Action and version, which are headers here.
pub(super) fn action(request: &Request) -> Result<(&str, &str), Failure> {
    let required = |name: &str| request.header(name).ok_or_else(|| Failure::missing(name));
    Ok((required("x-acs-action")?, required("x-acs-version")?))
}

pub(super) fn authenticate(
    backend: &Backend,
    request: &Request,
    trace: &mut Trace,
) -> Result<Identity, Failure> {
    let required = |name: &str| request.header(name).ok_or_else(|| Failure::missing(name));
    let date = required("x-acs-date")?;
    let Some(at) = parse_iso(date) else {
        let message = "Specified time stamp or date value is not well formatted.";
        return Err(Failure::new(400, "InvalidTimeStamp.Format", message));
    };
    if !backend.clock.tolerates(at) {
        return Err(time_expired());
    }
    let Authorization { key_id, signed, signature } =
        Authorization::read(required("authorization")?).ok_or_else(incomplete_signature)?;
    trace.who = Some(key_id.to_owned());
    let fresh = check_nonce(backend, trace.hop, key_id, required("x-acs-signature-nonce")?);
    if signed.iter().any(|name| *name != name.to_ascii_lowercase()) || !signed.is_sorted() {
        return Err(incomplete_signature());
    }
    // The host, the type of the body and all of the vendor's own headers have to be signed.
    let must_be =
        |name: &str| ["host", "content-type"].contains(&name) || name.starts_with("x-acs-");
    let left_out =
        request.headers.iter().any(|(name, _)| must_be(name) && !signed.contains(&&**name));
    if left_out || required("x-acs-content-sha256")? != sha256(&request.body) {
        return Err(incomplete_signature());
    }
    let token = request.header("x-acs-security-token");
    let Signer { identity, secret } = look_up(backend, key_id, token, trace)?;
    let query = query(request)?;
    let canonical_request = acs3_canonical_request(&Acs3Request {
        method: &request.method,
        path: &request.path,
        query: &query,
        headers: &request.headers,
        signed: &signed,
        body: &request.body,
    });
    let canonical_request = canonical_request.ok_or_else(incomplete_signature)?;
    let string_to_sign = acs3_string_to_sign(&canonical_request);
    if signature != acs3_signature(&secret, &string_to_sign) {
        return Err(mismatch(&string_to_sign, &canonical_request));
    }
    fresh?;
    Ok(identity)
}

struct Authorization<'a> {
    key_id: &'a str,
    signed: Vec<&'a str>,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// `ACS3-HMAC-SHA256 Credential=…,SignedHeaders=…;…,Signature=…`.
    fn read(header: &'a str) -> Option<Self> {
        let mut parts = header.strip_prefix(ALGORITHM)?.strip_prefix(' ')?.split(',');
        let mut part = |name: &str| parts.next()?.strip_prefix(name)?.strip_prefix('=');
        let key_id = part("Credential")?;
        let signed = part("SignedHeaders")?.split(';').collect();
        let signature = part("Signature")?;
        parts.next().is_none().then_some(Self { key_id, signed, signature })
    }
}

/// The real one echoes the canonical request, in which the SecurityToken stands in clear (seen in
/// several projects' reports): a client that prints this message leaks it.
fn mismatch(string_to_sign: &str, canonical_request: &str) -> Failure {
    let message = format!(
        "Specified signature does not match our calculation. server StringToSign is [{string_to_sign}] server CanonicalRequest is [{canonical_request}]"
    );
    Failure::new(400, "SignatureDoesNotMatch", message)
}
