//! Who is behind a request, and what that one may do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::entropy;
use super::lock;
use super::policy::{PermissionPolicy, Verdict};
use super::world::World;

#[derive(Clone, Debug)]
pub(super) enum Identity {
    /// The account itself.
    Root {
        account: String,
    },
    User {
        account: String,
        name: String,
    },
    /// Someone who assumed a role.
    Session(Arc<Session>),
}

/// A role that has been assumed: by AssumeRole, AssumeRoleWithOIDC, or an instance it is attached
/// to.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) access_key_id: String,
    pub(super) access_key_secret: String,
    pub(super) security_token: String,
    pub(super) expires: Timestamp,
    pub(super) account: String,
    pub(super) role: String,
    pub(super) name: String,
    /// The `Policy` parameter it was asked for with.
    pub(super) policy: Option<PermissionPolicy>,
}

impl Identity {
    pub(super) fn account(&self) -> &str {
        match self {
            Self::Root { account } | Self::User { account, .. } => account,
            Self::Session(session) => &session.account,
        }
    }

    /// The name that trust policies know: of a session, the role's.
    pub(super) fn principal(&self) -> String {
        match self {
            Self::Root { account } => format!("acs:ram::{account}:root"),
            Self::User { account, name } => format!("acs:ram::{account}:user/{name}"),
            Self::Session(session) => format!("acs:ram::{}:role/{}", session.account, session.role),
        }
    }

    /// The name for the record of calls. The session's name is left out: clients make it up.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Root { .. } | Self::User { .. } => self.principal(),
            Self::Session(session) => {
                format!("acs:ram::{}:assumed-role/{}/…", session.account, session.role)
            }
        }
    }

    /// Checks the identity's own policies and, of a session, the session policy as well: what it
    /// may do is the intersection of both [meta].
    pub(super) fn authorize(
        &self,
        world: &World,
        action: &str,
        resource: &str,
    ) -> Result<(), Denial> {
        let by =
            |policies: &[PermissionPolicy]| PermissionPolicy::decide(policies, action, resource);
        let (own, session_policy) = match self {
            Self::Root { .. } => (Verdict::Allowed, None),
            Self::User { account, name } => {
                (by(world.user_policies(account, name).unwrap_or_default()), None)
            }
            Self::Session(session) => {
                let role = world.role(&session.account, &session.role);
                (by(role.map_or(&[], |role| &role.policies)), session.policy.as_ref())
            }
        };
        let denial = |verdict, policy_type| Denial {
            principal: self.clone(),
            action: action.to_owned(),
            verdict,
            policy_type,
        };
        if own != Verdict::Allowed {
            return Err(denial(own, "AccountLevelIdentityBasedPolicy"));
        }
        match session_policy.map(|policy| by(std::slice::from_ref(policy))) {
            None | Some(Verdict::Allowed) => Ok(()),
            Some(verdict) => Err(denial(verdict, "SessionPolicy")),
        }
    }
}

/// Why RAM said no.
#[derive(Debug)]
pub(super) struct Denial {
    pub(super) principal: Identity,
    pub(super) action: String,
    pub(super) verdict: Verdict,
    pub(super) policy_type: &'static str,
}

impl Denial {
    /// The `AccessDeniedDetail` object [doc: RRSA page].
    pub(super) fn detail(&self) -> Json {
        let (kind, name) = match &self.principal {
            Identity::Root { account } => ("RootUser", account.clone()),
            Identity::User { name, .. } => ("SubUser", name.clone()),
            Identity::Session(session) => {
                ("AssumedRoleUser", format!("{}:{}", session.role, session.name))
            }
        };
        let explicit = self.verdict == Verdict::ExplicitDeny;
        json!({
            "AuthAction": self.action,
            "AuthPrincipalType": kind,
            "AuthPrincipalOwnerId": self.principal.account(),
            "AuthPrincipalDisplayName": name,
            "NoPermissionType": if explicit { "ExplicitDeny" } else { "ImplicitDeny" },
            "PolicyType": self.policy_type,
        })
    }
}

/// The sessions that have been given out, dead ones included: they are known to be expired.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<BTreeMap<String, Arc<Session>>>);

/// What a new session is to be.
pub(super) struct NewSession {
    pub(super) expires: Timestamp,
    pub(super) account: String,
    pub(super) role: String,
    pub(super) name: String,
    pub(super) policy: Option<PermissionPolicy>,
}

impl Sessions {
    pub(super) fn open(&self, new: NewSession) -> Arc<Session> {
        let session = Arc::new(Session {
            access_key_id: entropy::session_key_id(),
            access_key_secret: entropy::access_key_secret(),
            security_token: entropy::security_token(),
            expires: new.expires,
            account: new.account,
            role: new.role,
            name: new.name,
            policy: new.policy,
        });
        lock(&self.0).insert(session.access_key_id.clone(), Arc::clone(&session));
        session
    }

    pub(super) fn find(&self, access_key_id: &str) -> Option<Arc<Session>> {
        lock(&self.0).get(access_key_id).cloned()
    }

    pub(super) fn knows_token(&self, security_token: &str) -> bool {
        lock(&self.0).values().any(|session| session.security_token == security_token)
    }
}
