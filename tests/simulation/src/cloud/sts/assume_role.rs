//! AssumeRole.

use serde_json::Value as Json;

use super::super::backend::Backend;
use super::super::failure::Failure;
use super::super::identity::{Denial, Identity};
use super::super::parameters::Parameters;
use super::super::policy::{Asker, Context, Verdict};
use super::Wish;

/// Three things are needed: that the caller is no root account, that its own policies permit
/// `sts:AssumeRole` on the role, and that the role trusts it [meta]. Only after that the role's
/// maximum session is looked at; which comes first is not documented.
pub(super) fn assume_role(
    backend: &Backend,
    caller: &Identity,
    parameters: &Parameters,
) -> Result<Json, Failure> {
    let world = backend.world();
    if let Some(limit) = world.description.throttle.assume_role_per_second
        && !backend.throttle.take(caller.account(), limit)
    {
        let message = "Request was denied due to user flow control.";
        return Err(Failure::new(400, "Throttling.User", message));
    }
    let wish = Wish::read(parameters)?;
    let external_id = parameters.get("ExternalId").map(checked_external_id).transpose()?;
    if matches!(caller, Identity::Root { .. }) {
        return Err(Failure::no_permission());
    }
    caller
        .authorize(&world, "sts:AssumeRole", &wish.role_arn)
        .map_err(|denial| Failure::no_permission().because(&denial))?;
    let role = world.role(&wish.account, &wish.role).ok_or_else(|| wish.not_found())?;
    let mut context = Context::new();
    if let Some(id) = external_id {
        context.insert("sts:ExternalId", vec![id.to_owned()]);
    }
    let principal = caller.principal();
    let asker = Asker::Ram { name: &principal, account: caller.account() };
    let verdict = role.trust.decide(&asker, &context);
    if verdict != Verdict::Allowed {
        let denial = Denial {
            principal: caller.clone(),
            action: "sts:AssumeRole".to_owned(),
            verdict,
            policy_type: "AssumeRolePolicy",
        };
        return Err(Failure::no_permission().because(&denial));
    }
    let mut answer = wish.grant(backend, role.max_session)?;
    if let Some(source) = parameters.get("SourceIdentity") {
        answer["SourceIdentity"] = source.into();
    }
    Ok(answer)
}

/// 2..1224 characters out of `[\w+=,.@:\/-]` [meta].
fn checked_external_id(id: &str) -> Result<&str, Failure> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte);
    if (2..=1224).contains(&id.len()) && id.bytes().all(allowed) {
        Ok(id)
    } else {
        Err(Failure::invalid("ExternalId", "The parameter ExternalId is wrongly formed."))
    }
}
