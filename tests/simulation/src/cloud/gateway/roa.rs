//! ROA requests (the Personal Edition's API): everything about the signature is in headers.

use super::super::backend::{Backend, Trace};
use super::super::clock::parse_http_date;
use super::super::failure::Failure;
use super::super::hop::Hop;
use super::super::http::{Request, Response};
use super::super::identity::Identity;
use super::super::signature::{RoaRequest, roa_signature, roa_string_to_sign};
use super::access::{Signer, check_nonce, look_up, query};
use super::acs3;
use super::{
    Door, Envelope, Format, incomplete_signature, region, signature_mismatch, time_expired,
};

const VERSION: &str = "2016-06-07";

/// Takes `GET /tokens` through the gateway and, if it is admitted, to the action.
pub(in super::super) fn roa(
    backend: &Backend,
    door: &Door,
    request: &Request,
    trace: &mut Trace,
    act: impl FnOnce(&Identity, Option<&str>, &mut Trace) -> Result<serde_json::Value, Failure>,
) -> Response {
    trace.hop = Hop::PersonalTokens;
    let region = region(door, request);
    trace.what.clone_from(&region);
    let mut envelope = Envelope::new(door.service, request, region.as_deref());
    envelope.format = Format::of_accept(request.header("accept"));
    let result = authenticate(backend, request, trace)
        .and_then(|caller| act(&caller, region.as_deref(), trace));
    envelope.seal(result, trace)
}

fn authenticate(
    backend: &Backend,
    request: &Request,
    trace: &mut Trace,
) -> Result<Identity, Failure> {
    let required = |name: &str| request.header(name).ok_or_else(|| Failure::missing(name));
    if required("x-acs-version")? != VERSION {
        return Err(Failure::new(
            400,
            "InvalidVersion",
            "Specified parameter Version is not valid.",
        ));
    }
    if acs3::is_meant(request) {
        return acs3::authenticate(backend, request, trace);
    }
    let date = required("date")?;
    let Some(at) = parse_http_date(date) else {
        let message = "Specified time stamp or date value is not well formatted.";
        return Err(Failure::new(400, "InvalidTimeStamp.Format", message));
    };
    if !backend.clock.tolerates(at) {
        return Err(time_expired());
    }
    let authorization = request.header("authorization").ok_or_else(incomplete_signature)?;
    let (key_id, signature) = authorization
        .strip_prefix("acs ")
        .and_then(|rest| rest.split_once(':'))
        .ok_or_else(incomplete_signature)?;
    trace.who = Some(key_id.to_owned());
    for (name, value) in
        [("x-acs-signature-method", "HMAC-SHA1"), ("x-acs-signature-version", "1.0")]
    {
        if required(name)? != value {
            return Err(incomplete_signature());
        }
    }
    // Only newer SDKs send a nonce [pysdk]; one that is sent must be new.
    let fresh = match request.header("x-acs-signature-nonce") {
        Some(nonce) => check_nonce(backend, trace.hop, key_id, nonce),
        None => Ok(()),
    };
    let token = request.header("x-acs-security-token");
    let Signer { identity, secret } = look_up(backend, key_id, token, trace)?;
    let query = query(request)?;
    let string_to_sign = roa_string_to_sign(&RoaRequest {
        method: &request.method,
        headers: &request.headers,
        path: &request.path,
        query: &query,
    });
    if signature != roa_signature(&secret, &string_to_sign) {
        return Err(signature_mismatch(&string_to_sign));
    }
    fresh?;
    Ok(identity)
}
