//! The logins that were issued, and what they open.

use std::fmt;
use std::sync::Mutex;

use jiff::Timestamp;

use super::super::backend::Backend;
use super::super::entropy;
use super::super::gateway::seconds;
use super::super::identity::Identity;
use super::super::leaks::SecretKind;
use super::super::lock;
use super::super::world::World;

/// A temporary user name and password.
#[derive(Clone, Debug)]
pub(in super::super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
    pub(super) expires: Timestamp,
    identity: Identity,
    place: Place,
}

/// What a login is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Place {
    Enterprise {
        instance: String,
    },
    /// A region of None: the API was called where the region could not be told.
    Personal {
        account: String,
        region: Option<String>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginRefused {
    /// No such user name and password were issued.
    Unknown,
    Expired,
    /// Issued for another instance or registry.
    Elsewhere,
    /// The identity behind it has not `cr:PullRepository` on the repository.
    Denied,
}

impl fmt::Display for LoginRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "user name or password is wrong",
            Self::Expired => "the login has expired",
            Self::Elsewhere => "the login is for another registry",
            Self::Denied => "cr:PullRepository is denied",
        })
    }
}

impl std::error::Error for LoginRefused {}

#[derive(Debug, Default)]
pub(in super::super) struct Logins(Mutex<Vec<Login>>);

impl Logins {
    /// Lives an hour, or as long as the STS token that asked for it [doc: GetAuthorizationToken].
    /// Whether that means its whole or its remaining life is not stated; it is the remaining one
    /// here, since nothing outlives what it was made from.
    pub(super) fn issue(
        &self,
        backend: &Backend,
        identity: &Identity,
        user: &str,
        place: Place,
    ) -> Login {
        let expires = match identity {
            Identity::Session(session) => session.expires,
            Identity::Root { .. } | Identity::User { .. } => backend.clock.now() + seconds(3600),
        };
        let login = Login {
            user: user.to_owned(),
            password: entropy::registry_password(),
            expires,
            identity: identity.clone(),
            place,
        };
        backend.journal.secrets.add(SecretKind::RegistryPassword, user, &login.password);
        lock(&self.0).push(login.clone());
        login
    }

    /// Checked at pull time with the identity that asked for the login, session policy included:
    /// the token's rights are the caller's rights [doc].
    pub(in super::super) fn allow_pull(
        &self,
        backend: &Backend,
        user: &str,
        password: &str,
        place: &Place,
        repository: &str,
    ) -> Result<(), LoginRefused> {
        let login = self.find(backend, user, password)?;
        let resource = resource(&backend.world(), &login.place, place, repository)?;
        login
            .identity
            .authorize(&backend.world(), "cr:PullRepository", &resource)
            .map_err(|_| LoginRefused::Denied)
    }

    /// Whether the login was issued for this place and is still valid.
    pub(in super::super) fn is_for(
        &self,
        backend: &Backend,
        user: &str,
        password: &str,
        place: &Place,
    ) -> Result<(), LoginRefused> {
        let login = self.find(backend, user, password)?;
        resource(&backend.world(), &login.place, place, "").map(drop)
    }

    pub(in super::super) fn ends(&self, user: &str, password: &str) -> Option<Timestamp> {
        let logins = lock(&self.0);
        let of = |login: &&Login| login.user == user && login.password == password;
        logins.iter().find(of).map(|login| login.expires)
    }

    pub(in super::super) fn count(&self) -> usize {
        lock(&self.0).len()
    }

    pub(in super::super) fn asked_by(&self, user: &str, password: &str) -> Option<(String, usize)> {
        let logins = lock(&self.0);
        let of = |login: &Login| login.user == user && login.password == password;
        let before = logins.iter().position(of)?;
        Some((logins.get(before)?.identity.principal(), before))
    }

    fn find(&self, backend: &Backend, user: &str, password: &str) -> Result<Login, LoginRefused> {
        let logins = lock(&self.0);
        let matching = logins.iter().find(|login| login.user == user && login.password == password);
        let login = matching.ok_or(LoginRefused::Unknown)?;
        if backend.clock.now() >= login.expires {
            Err(LoginRefused::Expired)
        } else {
            Ok(login.clone())
        }
    }
}

/// The repository as RAM names it, if a login for one place opens the other.
fn resource(
    world: &World,
    issued: &Place,
    place: &Place,
    repository: &str,
) -> Result<String, LoginRefused> {
    match (issued, place) {
        (Place::Enterprise { instance: issued }, Place::Enterprise { instance }) => {
            let located = world.instance(instance).ok_or(LoginRefused::Elsewhere)?;
            if issued != instance {
                return Err(LoginRefused::Elsewhere);
            }
            let region = &located.instance.region;
            Ok(format!("acs:cr:{region}:{}:repository/{instance}/{repository}", located.account))
        }
        (
            Place::Personal { account, region: issued },
            Place::Personal { account: owner, region },
        ) => {
            let region = region.as_deref().ok_or(LoginRefused::Elsewhere)?;
            let there = issued.as_deref().is_none_or(|issued| issued == region);
            if account != owner || !there || world.personal(owner, region).is_none() {
                return Err(LoginRefused::Elsewhere);
            }
            Ok(format!("acs:cr:{region}:{owner}:repository/{repository}"))
        }
        _ => Err(LoginRefused::Elsewhere),
    }
}
