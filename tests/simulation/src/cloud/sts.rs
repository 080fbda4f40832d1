//! Security Token Service, 2015-04-01.

mod assume_role;
mod assume_role_with_oidc;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::backend::{Backend, Trace};
use super::clock::iso;
use super::entropy;
use super::failure::Failure;
use super::gateway::{Admitted, Door, rpc, seconds};
use super::hop::Hop;
use super::http::{Request, Response};
use super::identity::{NewSession, Session};
use super::leaks::SecretKind;
use super::parameters::Parameters;
use super::policy::PermissionPolicy;

pub(super) fn answer(
    backend: &Backend,
    door: &Door,
    request: &Request,
    trace: &mut Trace,
) -> Response {
    rpc(backend, door, request, trace, |admitted: &Admitted, trace| {
        match (&admitted.caller, admitted.hop) {
            (Some(caller), Hop::AssumeRole) => {
                assume_role::assume_role(backend, caller, &admitted.parameters)
            }
            _ => assume_role_with_oidc::assume_role_with_oidc(backend, &admitted.parameters, trace),
        }
    })
}

/// What both actions are asked for.
struct Wish {
    account: String,
    role: String,
    role_arn: String,
    session_name: String,
    duration: u32,
    policy: Option<PermissionPolicy>,
}

impl Wish {
    /// Checks the form of the parameters [meta].
    fn read(parameters: &Parameters) -> Result<Self, Failure> {
        let required = |name: &str| parameters.get(name).ok_or_else(|| Failure::missing(name));
        let role_arn = required("RoleArn")?;
        let (account, role) = role_of(role_arn).ok_or_else(|| {
            Failure::invalid("RoleArn", "The parameter RoleArn is wrongly formed.")
        })?;
        let session_name = required("RoleSessionName")?;
        let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b".@-_".contains(&byte);
        if !(2..=64).contains(&session_name.len()) || !session_name.bytes().all(in_name) {
            let message = "The parameter RoleSessionName is wrongly formed.";
            return Err(Failure::invalid("RoleSessionName", message));
        }
        let duration = match parameters.get("DurationSeconds") {
            None => 3600,
            Some(text) => text.parse().map_err(|_| bad_duration())?,
        };
        if duration < 900 {
            return Err(bad_duration());
        }
        Ok(Self {
            account: account.to_owned(),
            role: role.to_owned(),
            role_arn: role_arn.to_owned(),
            session_name: session_name.to_owned(),
            duration,
            policy: parameters.get("Policy").map(session_policy).transpose()?,
        })
    }

    fn not_found(&self) -> Failure {
        let message = format!("The role not exists: {}.", self.role_arn);
        Failure::new(404, "EntityNotExist.Role", message)
    }

    /// Gives out the session, once all is checked.
    fn grant(self, backend: &Backend, max_session: u32) -> Result<Json, Failure> {
        if self.duration > max_session {
            return Err(bad_duration());
        }
        let session = backend.sessions.open(NewSession {
            expires: whole_second(backend.clock.now()) + seconds(self.duration),
            account: self.account,
            role: self.role,
            name: self.session_name,
            policy: self.policy,
        });
        remember_secrets(backend, &session);
        Ok(json!({
            "AssumedRoleUser": {
                "AssumedRoleId": format!("{}:{}", entropy::numeric_id(), session.name),
                "Arn": format!("{}/{}", self.role_arn, session.name),
            },
            "Credentials": {
                "AccessKeyId": session.access_key_id,
                "AccessKeySecret": session.access_key_secret,
                "SecurityToken": session.security_token,
                "Expiration": iso(session.expires),
            },
        }))
    }
}

/// Also for the sessions of instance metadata.
pub(super) fn remember_secrets(backend: &Backend, session: &Session) {
    let secrets = &backend.journal.secrets;
    secrets.add(SecretKind::AccessKeySecret, &session.access_key_id, &session.access_key_secret);
    secrets.add(SecretKind::SecurityToken, &session.access_key_id, &session.security_token);
}

/// Times are told in whole seconds, so they are kept in whole seconds.
pub(super) fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).expect("a time that is one already")
}

/// Account and name out of `acs:ram::<account>:role/<name>`.
fn role_of(arn: &str) -> Option<(&str, &str)> {
    let (account, name) = arn.strip_prefix("acs:ram::")?.split_once(":role/")?;
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let well_formed = !account.is_empty()
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && (1..=64).contains(&name.len())
        && name.bytes().all(in_name);
    well_formed.then_some((account, name))
}

/// The text says 1hr whatever the role's maximum is [meta].
fn bad_duration() -> Failure {
    Failure::invalid("DurationSeconds", "The Min/Max value of DurationSeconds is 15min/1hr.")
}

fn session_policy(text: &str) -> Result<PermissionPolicy, Failure> {
    if text.chars().count() > 2048 {
        return Err(Failure::invalid(
            "PolicySize",
            "The size of Policy must be smaller than 2048 bytes.",
        ));
    }
    let grammar = |error: String| {
        Failure::invalid(
            "PolicyGrammar",
            format!("The parameter Policy has not passed grammar check: {error}."),
        )
    };
    let document: Json = serde_json::from_str(text).map_err(|error| grammar(error.to_string()))?;
    PermissionPolicy::parse(&document).map_err(grammar)
}
