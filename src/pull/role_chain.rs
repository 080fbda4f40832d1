//! From the first credentials to those that may ask for the registry's login.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::aliyun::Credentials;
use crate::aliyun::ids::InstanceId;
use crate::aliyun::owner::Owner;
use crate::aliyun::sts::{self, AssumedRole, SessionRequest};
use crate::cache::freshness::Rules;
use crate::cache::{Cache, Key, Made};
use crate::config::Entry;
use crate::failure::facts::Facts;
use crate::failure::{Exit, Failure};
use crate::pull::identity::{self, Identity, Requester};
use crate::pull::{login_key, shared};
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
    reached: RefCell<Reached>,
}

/// How far the last session that was asked for has come.
#[derive(Debug, Default)]
pub struct Reached {
    /// The first credentials, where they had to be established.
    pub identity: Option<Identity>,
    pub session: Option<Identity>,
}

/// A session as it is kept on the node.
#[derive(Serialize, Deserialize)]
struct KeptSession {
    access_key_id: String,
    #[serde(serialize_with = "secret::expose")]
    access_key_secret: Secret,
    #[serde(serialize_with = "secret::expose")]
    security_token: Secret,
    owner: Owner,
}

impl<'a, 'n> Sessions<'a, 'n> {
    pub fn new(requester: Requester<'a, 'n>, cache: &'a Cache<'a>) -> Self {
        Self { requester, cache, made: RefCell::default(), reached: RefCell::default() }
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
        let session = match &entry.role {
            None => self.identity(entry, policy),
            Some(role) => self.assumed(entry, role, policy),
        };
        self.reached.borrow_mut().session = session.as_ref().ok().cloned();
        session
    }

    /// How far the last session that was asked for has come.
    pub fn into_reached(self) -> Reached {
        self.reached.into_inner()
    }

    fn assumed(
        &self,
        entry: &Entry,
        role: &AssumedRole,
        policy: Option<&str>,
    ) -> Result<Identity, Failure> {
        let request = SessionRequest {
            session_name: &entry.session_name,
            duration: entry.expire_duration,
            policy,
        };
        let key = login_key::assumed_session(&entry.identity, role, &request);
        self.once(&key, || {
            self.on_node(&key, request.duration, || {
                let caller = self.identity(entry, None)?;
                assume(entry, role, &request, &caller, &self.requester)
            })
        })
    }

    fn identity(&self, entry: &Entry, policy: Option<&str>) -> Result<Identity, Failure> {
        let duration = identity::first_duration(entry);
        let first = SessionRequest { session_name: &entry.session_name, duration, policy };
        let key = login_key::first_session(&entry.identity, &first);
        let establish = || identity::establish(entry, &self.requester, &first);
        let identity = self.once(&key, || {
            if identity::is_session(&entry.identity) {
                self.on_node(&key, duration, establish)
            } else {
                establish()
            }
        });
        self.reached.borrow_mut().identity = identity.as_ref().ok().cloned();
        identity
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
        let (kept, _) = shared::fetch(key, self.cache, &self.requester.node.network, || {
            let begun = clock::since_boot();
            let identity = make()?;
            ends.set(identity.ends);
            about.replace(identity.about.clone());
            let fresh_until = begun + Rules::DEFAULT.session_worth(life);
            KeptSession::of(identity).map(|value| Made { value, fresh_until, until: fresh_until })
        })?;
        Ok(Identity { ends: ends.get(), about: about.into_inner(), ..kept.value.into() })
    }

    /// A session that this run has, or that is got now.
    fn once(
        &self,
        key: &Key,
        get: impl FnOnce() -> Result<Identity, Failure>,
    ) -> Result<Identity, Failure> {
        if let Some((_, identity)) = self.made.borrow().iter().find(|(made, _)| made == key) {
            return Ok(identity.clone());
        }
        let identity = get()?;
        self.made.borrow_mut().push((key.clone(), identity.clone()));
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
    request: &SessionRequest<'_>,
    caller: &Identity,
    requester: &Requester<'_, '_>,
) -> Result<Identity, Failure> {
    let facts = Facts::assume_role(&role.arn, &caller.owner);
    let session = requester
        .ask_sts(entry, |network, endpoint| {
            sts::assume_role(network, endpoint, &caller.credentials, role, request)
        })?
        .map_err(|error| Failure::of_call(&facts, &error))?;
    let owner = Owner::from(&role.arn);
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
