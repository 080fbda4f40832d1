//! From the first credentials to those that may ask for the registry's login.

use crate::aliyun::Hop;
use crate::aliyun::names::InstanceId;
use crate::aliyun::sts::{self, MIN_DURATION, SessionRequest};
use crate::config::Entry;
use crate::error::{Exit, Failure};
use crate::identity::{self, FirstSession, Identity, Requester};
use crate::remedy::Facts;

/// What a session with `sessionPolicy: pull-only` is for.
#[derive(Debug, Clone, Copy)]
pub enum Purpose<'a> {
    /// Finding out which instance a host belongs to.
    Find,
    /// The login of one instance, or of a Personal Edition registry.
    Pull(Option<&'a InstanceId>),
}

/// Establishes an entry's identity and assumes the role in the registry's account, if it names one.
///
/// # Errors
///
/// With exit code 3 for the identity, 4 for the role, 6 when time ran out.
pub fn session(
    entry: &Entry,
    purpose: Purpose<'_>,
    requester: &Requester<'_, '_>,
) -> Result<Identity, Failure> {
    let policy = entry.pull_only.then(|| policy(purpose));
    let Some(role) = &entry.role else {
        let first = FirstSession { duration: entry.expire_duration, policy: policy.as_deref() };
        return identity::establish(entry, requester, first);
    };
    // A first session that is only there to assume the next one is asked for the shortest life.
    let first = FirstSession { duration: MIN_DURATION, policy: None };
    let caller = identity::establish(entry, requester, first)?;
    let request = SessionRequest {
        role: &role.arn,
        session_name: &entry.session_name,
        duration: entry.expire_duration,
        policy: policy.as_deref(),
        external_id: role.external_id.as_deref(),
    };
    let hop = Hop::AssumeRole;
    let subject = format!("{hop} of {} by {}", role.arn, caller.owner);
    let facts =
        Facts { role: Some(role.arn.to_string()), caller: Some(caller.owner), ..Facts::default() };
    let session = sts::assume_role(
        &requester.node.network,
        requester.sts(entry)?,
        &caller.credentials,
        &request,
    )
    .map_err(|error| Failure::of_call(Exit::AssumeRole, hop, &subject, &error, &facts))?;
    Ok(Identity {
        credentials: session.credentials,
        owner: role.arn.to_string(),
        ends: caller.ends,
    })
}

/// The narrowest session policy for a purpose: the session can do no more than this, whatever the
/// role may. `GetAuthorizationToken` and `ListInstanceEndpoint` know no resource but `*`.
fn policy(purpose: Purpose<'_>) -> String {
    let statements = match purpose {
        Purpose::Find => allow("cr:ListInstanceEndpoint", "*"),
        Purpose::Pull(instance) => {
            let repositories = instance.map_or_else(
                || "acs:cr:*:*:repository/*".to_owned(),
                |instance| format!("acs:cr:*:*:repository/{instance}/*"),
            );
            format!(
                "{},{}",
                allow("cr:GetAuthorizationToken", "*"),
                allow("cr:PullRepository", &repositories)
            )
        }
    };
    format!(r#"{{"Version":"1","Statement":[{statements}]}}"#)
}

fn allow(action: &str, resource: &str) -> String {
    format!(r#"{{"Effect":"Allow","Action":"{action}","Resource":"{resource}"}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_session_is_narrowed_to_one_instance() {
        let instance = InstanceId::parse("cri-acme").unwrap();
        assert_eq!(
            policy(Purpose::Pull(Some(&instance))),
            r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"cr:GetAuthorizationToken","Resource":"*"},{"Effect":"Allow","Action":"cr:PullRepository","Resource":"acs:cr:*:*:repository/cri-acme/*"}]}"#
        );
    }
}
