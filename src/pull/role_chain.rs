//! From the first credentials to those that may ask for the registry's login.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::aliyun::ids::InstanceId;
use crate::aliyun::sts::{self, MIN_DURATION, SessionRequest};
use crate::aliyun::{Credentials, Hop};
use crate::cache::freshness::Rules;
use crate::cache::{Cache, Key, Kind, Made};
use crate::config::{AssumedRole, Entry, IdentitySource};
use crate::failure::service_codes::Facts;
use crate::failure::{Exit, Failure};
use crate::pull::identity::{self, FirstSession, Identity, Requester};
use crate::secret::{self, Secret};
use crate::system::clock;

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
    cache: &'a Cache<'a>,
    made: RefCell<Vec<(Key, Identity)>>,
}

/// A session as it is kept on the node.
#[derive(Serialize, Deserialize)]
struct KeptSession {
    access_key_id: String,
    #[serde(serialize_with = "secret::expose")]
    access_key_secret: Secret,
    #[serde(serialize_with = "secret::expose")]
    security_token: Secret,
    owner: String,
}

impl<'a, 'n> Sessions<'a, 'n> {
    #[must_use]
    pub fn new(requester: Requester<'a, 'n>, cache: &'a Cache<'a>) -> Self {
        Self { requester, cache, made: RefCell::default() }
    }

    /// Establishes an entry's identity and assumes the role in the registry's account, if it
    /// names one.
    ///
    /// # Errors
    ///
    /// With exit code 3 for the identity, 4 for the role, 6 when time ran out.
    pub fn session(&self, entry: &Entry, purpose: Purpose<'_>) -> Result<Identity, Failure> {
        let policy = entry.pull_only.then(|| policy(purpose));
        let policy = policy.as_deref();
        let Some(role) = &entry.role else {
            return self.first(entry, entry.expire_duration, policy);
        };
        let external_id = role.external_id.as_deref().unwrap_or_default();
        let key = [role.arn.as_str(), external_id];
        self.kept(entry, &key, entry.expire_duration, policy, || {
            // A first session that is only there to assume the next one is asked for the
            // shortest life.
            let caller = self.first(entry, MIN_DURATION, None)?;
            assume(entry, role, policy, &caller, &self.requester)
        })
    }

    /// The identity alone, with which [`Sessions::session`] begins.
    ///
    /// # Errors
    ///
    /// With exit code 3, or 6 when time ran out.
    pub fn identity(&self, entry: &Entry, purpose: Purpose<'_>) -> Result<Identity, Failure> {
        match entry.role {
            Some(_) => self.first(entry, MIN_DURATION, None),
            None => self.session(entry, purpose),
        }
    }

    fn first(
        &self,
        entry: &Entry,
        duration: u32,
        policy: Option<&str>,
    ) -> Result<Identity, Failure> {
        let establish =
            || identity::establish(entry, &self.requester, FirstSession { duration, policy });
        match entry.identity {
            IdentitySource::Oidc(_) => self.kept(entry, &[], duration, policy, establish),
            // The metadata service gives its credentials at no cost, and an AccessKey is there.
            IdentitySource::WorkerRole | IdentitySource::AccessKey(_) => {
                self.once(Key::new(Kind::Session, &[&identity::key(&entry.identity)]), establish)
            }
        }
    }

    /// A session that this run has, or the node's cache has, or that is made now.
    fn kept(
        &self,
        entry: &Entry,
        role: &[&str],
        duration: u32,
        policy: Option<&str>,
        make: impl FnOnce() -> Result<Identity, Failure>,
    ) -> Result<Identity, Failure> {
        let (caller, seconds) = (identity::key(&entry.identity), duration.to_string());
        let session = [&caller, &entry.session_name, &seconds, policy.unwrap_or_default()];
        let key = Key::new(Kind::Session, &[&session[..], role].concat());
        self.once(key.clone(), || self.on_node(&key, duration, make))
    }

    /// A session that the node's cache has, or that is made now.
    fn on_node(
        &self,
        key: &Key,
        duration: u32,
        make: impl FnOnce() -> Result<Identity, Failure>,
    ) -> Result<Identity, Failure> {
        let life = Duration::from_secs(u64::from(duration));
        // What a pod's token bounds is never kept, so the bound is only in what was just made.
        let (ends, about) = (Cell::new(None), RefCell::new(None));
        let kept = self.cache.fetch(key, self.requester.node.network.deadline, || {
            let begun = clock::since_boot();
            let identity = make()?;
            ends.set(identity.ends);
            about.replace(identity.about.clone());
            let fresh_until = begun + Rules::DEFAULT.session_worth(life);
            KeptSession::of(identity).map(|value| Made { value, fresh_until, until: fresh_until })
        })?;
        Ok(Identity { ends: ends.get(), about: about.into_inner(), ..kept.value.into() })
    }

    fn once(
        &self,
        key: Key,
        make: impl FnOnce() -> Result<Identity, Failure>,
    ) -> Result<Identity, Failure> {
        if let Some((_, identity)) = self.made.borrow().iter().find(|(made, _)| *made == key) {
            return Ok(identity.clone());
        }
        let identity = make()?;
        self.made.borrow_mut().push((key, identity.clone()));
        Ok(identity)
    }
}

impl KeptSession {
    /// A session always has a `SecurityToken`.
    fn of(identity: Identity) -> Result<Self, Failure> {
        let Identity { credentials, owner, .. } = identity;
        let Credentials { access_key_id, access_key_secret, security_token } = credentials;
        let security_token = security_token
            .ok_or_else(|| Failure::new(Exit::Unexpected, "a session without SecurityToken"))?;
        Ok(Self { access_key_id, access_key_secret, security_token, owner })
    }
}

impl From<KeptSession> for Identity {
    fn from(kept: KeptSession) -> Self {
        let credentials = Credentials {
            access_key_id: kept.access_key_id,
            access_key_secret: kept.access_key_secret,
            security_token: Some(kept.security_token),
        };
        Self { credentials, owner: kept.owner, ends: None, about: None }
    }
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
    let about = Some(session.about);
    Ok(Identity { credentials: session.credentials, owner, ends: caller.ends, about })
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
