//! AssumeRoleWithOIDC: anonymous, the token is the proof.

use serde_json::{Value as Json, json};

use super::super::backend::{Backend, Trace};
use super::super::clock::iso;
use super::super::description::{OidcProvider, ProviderCondition};
use super::super::failure::Failure;
use super::super::jwt::{Claims, Token};
use super::super::parameters::Parameters;
use super::super::policy::{Asker, Context, Verdict};
use super::Wish;

pub(super) fn assume_role_with_oidc(
    backend: &Backend,
    parameters: &Parameters,
    trace: &mut Trace,
) -> Result<Json, Failure> {
    let world = backend.world();
    let wish = Wish::read(parameters)?;
    let provider_arn =
        parameters.get("OIDCProviderArn").ok_or_else(|| Failure::missing("OIDCProviderArn"))?;
    if !is_provider_arn(provider_arn) {
        let message = "The parameter OIDCProviderArn is wrongly formed.";
        return Err(Failure::invalid("OIDCProviderArn", message));
    }
    // Three of four of the vendor's clients send it in the query, where access logs have it: the
    // gateway notes that as a violation.
    let token = parameters.get("OIDCToken").ok_or_else(|| Failure::missing("OIDCToken"))?;
    if !(4..=20_000).contains(&token.len()) {
        return Err(Failure::invalid("OIDCToken", "The parameter OIDCToken is wrongly formed."));
    }
    let provider = world
        .oidc_provider(provider_arn)
        .ok_or_else(|| no_permission("No such OIDC Provider registered."))?;
    let token = verify(backend, provider_arn, provider, token)?;
    let claims = &token.claims;
    trace.who = Some(claims.sub.clone());
    let role = world.role(&wish.account, &wish.role).ok_or_else(|| wish.not_found())?;
    let context = Context::from([
        ("oidc:iss", vec![claims.iss.clone()]),
        ("oidc:aud", claims.aud.clone()),
        ("oidc:sub", vec![claims.sub.clone()]),
    ]);
    let asker = Asker::Federated { provider: provider_arn };
    if role.trust.decide(&asker, &context) != Verdict::Allowed {
        return Err(no_permission("There is no permission"));
    }
    let mut answer = wish.grant(backend, role.max_session)?;
    answer["OIDCTokenInfo"] = token_info(claims);
    Ok(answer)
}

/// The HTTP statuses of the `AuthenticationFail` codes are not documented: 400 for what
/// is wrong with the token, 403 for what is not permitted.
fn verify(
    backend: &Backend,
    provider_arn: &str,
    provider: &OidcProvider,
    token: &str,
) -> Result<Token, Failure> {
    let wrong = |reason: &str, message: &str| {
        Failure::new(400, &format!("AuthenticationFail.OIDCToken.{reason}"), message)
    };
    // Nothing is trimmed: a newline behind the token makes it invalid.
    let invalid = || wrong("Invalid", "This JsonWebToken is invalid.");
    let token = Token::parse(token).ok_or_else(invalid)?;
    if token.claims.iss != provider.issuer {
        return Err(wrong("IssuerNotMatch", "Invalid issuer."));
    }
    match provider.condition {
        ProviderCondition::Working => {}
        ProviderCondition::KeysUnreachable => {
            let message = "The configuration of the issuer cannot be fetched.";
            return Err(wrong("IssuerConfigurationBroken", message));
        }
        ProviderCondition::FingerprintMismatch => {
            let message = "The fingerprint of the issuer's public key is not registered.";
            return Err(wrong("PublicKeyFingerprintMismatch", message));
        }
    }
    if !backend.provider_keys.verify(provider_arn, &token) {
        return Err(invalid());
    }
    let now = backend.clock.now().as_second();
    if now >= token.claims.exp {
        return Err(wrong("Expired", "This JsonWebToken is expired."));
    }
    if token.claims.nbf.is_some_and(|nbf| now < nbf) {
        return Err(invalid());
    }
    if !token.claims.aud.iter().any(|audience| provider.client_ids.contains(audience)) {
        return Err(wrong("AudienceNotMatch", "Invalid audience."));
    }
    Ok(token)
}

fn no_permission(message: &str) -> Failure {
    Failure::new(403, "AuthenticationFail.NoPermission", message)
}

fn is_provider_arn(arn: &str) -> bool {
    let parts = arn.strip_prefix("acs:ram::").and_then(|rest| rest.split_once(":oidc-provider/"));
    parts.is_some_and(|(account, name)| {
        !account.is_empty() && account.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty()
    })
}

fn token_info(claims: &Claims) -> Json {
    let time = |seconds| jiff::Timestamp::from_second(seconds).map(iso).unwrap_or_default();
    json!({
        "Subject": claims.sub,
        "Issuer": claims.iss,
        "ClientIds": claims.aud.join(","),
        "IssuanceTime": time(claims.iat),
        "ExpirationTime": time(claims.exp),
        "VerificationInfo": "Success",
    })
}
