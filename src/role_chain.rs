//! From the first credentials to those that may ask for the registry's login.

use std::cell::RefCell;

use crate::aliyun::Hop;
use crate::aliyun::names::InstanceId;
use crate::aliyun::sts::{self, MIN_DURATION, SessionRequest};
use crate::config::{AssumedRole, Entry};
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

/// The sessions of one run. What has been established once is not asked for again, though a
/// session that finds an instance and one that pulls from it may differ in their policies.
pub struct Sessions<'a, 'n> {
    requester: Requester<'a, 'n>,
    first: RefCell<Vec<(Key, Identity)>>,
    assumed: RefCell<Vec<(Key, Identity)>>,
}

/// An entry's name, and the policy of the session.
type Key = (String, Option<String>);

impl<'a, 'n> Sessions<'a, 'n> {
    #[must_use]
    pub fn new(requester: Requester<'a, 'n>) -> Self {
        Self { requester, first: RefCell::default(), assumed: RefCell::default() }
    }

    /// Establishes an entry's identity and assumes the role in the registry's account, if it
    /// names one.
    ///
    /// # Errors
    ///
    /// With exit code 3 for the identity, 4 for the role, 6 when time ran out.
    pub fn session(&self, entry: &Entry, purpose: Purpose<'_>) -> Result<Identity, Failure> {
        let policy = entry.pull_only.then(|| policy(purpose));
        let Some(role) = &entry.role else {
            return self.establish(entry, entry.expire_duration, policy);
        };
        once(&self.assumed, entry, policy, |policy| {
            // A first session that is only there to assume the next one is asked for the
            // shortest life.
            let caller = self.establish(entry, MIN_DURATION, None)?;
            assume(entry, role, policy, &caller, &self.requester)
        })
    }

    fn establish(
        &self,
        entry: &Entry,
        duration: u32,
        policy: Option<String>,
    ) -> Result<Identity, Failure> {
        once(&self.first, entry, policy, |policy| {
            identity::establish(entry, &self.requester, FirstSession { duration, policy })
        })
    }
}

fn once(
    known: &RefCell<Vec<(Key, Identity)>>,
    entry: &Entry,
    policy: Option<String>,
    make: impl FnOnce(Option<&str>) -> Result<Identity, Failure>,
) -> Result<Identity, Failure> {
    let key = (entry.name.clone(), policy);
    if let Some((_, identity)) = known.borrow().iter().find(|(made, _)| *made == key) {
        return Ok(identity.clone());
    }
    let identity = make(key.1.as_deref())?;
    known.borrow_mut().push((key, identity.clone()));
    Ok(identity)
}

fn assume(
    entry: &Entry,
    role: &AssumedRole,
    policy: Option<&str>,
    caller: &Identity,
    requester: &Requester<'_, '_>,
) -> Result<Identity, Failure> {
    let request = SessionRequest {
        role: &role.arn,
        session_name: &entry.session_name,
        duration: entry.expire_duration,
        policy,
        external_id: role.external_id.as_deref(),
    };
    let hop = Hop::AssumeRole;
    let subject = format!("{hop} of {} by {}", role.arn, caller.owner);
    let facts = Facts {
        role: Some(role.arn.to_string()),
        caller: Some(caller.owner.clone()),
        ..Facts::default()
    };
    let network = &requester.node.network;
    let session =
        sts::assume_role(network, requester.sts(entry)?, &caller.credentials, &request)
            .map_err(|error| Failure::of_call(Exit::AssumeRole, hop, &subject, &error, &facts))?;
    let owner = role.arn.to_string();
    Ok(Identity { credentials: session.credentials, owner, ends: caller.ends })
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
