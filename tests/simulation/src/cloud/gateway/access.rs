//! AccessKeys, security tokens and nonces.

use std::collections::BTreeMap;

use super::super::backend::{Backend, Trace};
use super::super::failure::Failure;
use super::super::hop::Hop;
use super::super::http::Request;
use super::super::identity::Identity;
use super::super::parameters;

/// Whose key it is, and the secret to verify with.
pub(super) struct Signer {
    pub(super) identity: Identity,
    pub(super) secret: String,
}

/// The parameters in the URL, as both signatures over headers cover them.
pub(super) fn query(request: &Request) -> Result<BTreeMap<String, String>, Failure> {
    parameters::decode(&request.query)
        .map(|pairs| pairs.into_iter().collect())
        .ok_or_else(|| Failure::new(400, "InvalidParameter", "The query is wrongly encoded."))
}

/// Statuses of the `InvalidAccessKeyId` codes are not documented ("4xx"); 404 and 400 are what
/// third-party clients show.
pub(super) fn look_up(
    backend: &Backend,
    key_id: &str,
    security_token: Option<&str>,
    trace: &mut Trace,
) -> Result<Signer, Failure> {
    if let Some(session) = backend.sessions.find(key_id) {
        let identity = Identity::Session(session.clone());
        trace.who = Some(identity.shown());
        // That a session's key without its token counts as unknown is general knowledge, unsourced.
        let token = security_token.ok_or_else(key_not_found)?;
        check_token(backend, token, &session.security_token)?;
        if backend.clock.now() >= session.expires {
            let message = "Specified SecurityToken is expired.";
            return Err(Failure::new(400, "InvalidSecurityToken.Expired", message));
        }
        return Ok(Signer { identity, secret: session.access_key_secret.clone() });
    }
    let world = backend.world();
    let (identity, key) = world.access_key(key_id).ok_or_else(key_not_found)?;
    trace.who = Some(identity.shown());
    if !key.active {
        let message = "Specified access key is disabled.";
        return Err(Failure::new(400, "InvalidAccessKeyId.Inactive", message));
    }
    if let Some(token) = security_token {
        check_token(backend, token, "")?;
    }
    Ok(Signer { identity, secret: key.secret.clone() })
}

fn check_token(backend: &Backend, told: &str, right: &str) -> Result<(), Failure> {
    if told == right {
        return Ok(());
    }
    Err(if backend.sessions.knows_token(told) {
        let message = "Specified SecurityToken mismatch with the AccessKey.";
        Failure::new(400, "InvalidSecurityToken.MismatchWithAccessKey", message)
    } else {
        Failure::new(400, "InvalidSecurityToken.Malformed", "Specified SecurityToken is malformed.")
    })
}

fn key_not_found() -> Failure {
    Failure::new(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
}

/// Remembers the nonce at once, whatever becomes of the request: a retry needs a new one, also
/// after an answer that was an error or got lost.
pub(super) fn check_nonce(
    backend: &Backend,
    hop: Hop,
    key_id: &str,
    nonce: &str,
) -> Result<(), Failure> {
    if backend.nonces.is_new(key_id, nonce) {
        return Ok(());
    }
    backend.journal.violation(hop, "a signature nonce was used again");
    Err(Failure::new(400, "SignatureNonceUsed", "Specified signature nonce was used already."))
}
