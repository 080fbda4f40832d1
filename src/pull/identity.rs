//! The first credentials: who this node, or this pod, is.
//!
//! An entry has one identity, and nothing leads from one to another: a failure is the answer. Each
//! identity has a file of its own with the same few functions; this file knows which there are.

mod access_key;
pub mod credentials_uri;
mod established;
pub mod jwt;
mod oidc;
mod pod;
pub mod profile;
mod worker_role;

use jiff::Timestamp;

use crate::aliyun::ram_policy;
pub use crate::aliyun::sts::AUDIENCE;
use crate::aliyun::sts::{MIN_DURATION, SessionRequest};
use crate::config::{Entry, IdentitySource, PodLoginLife};
use crate::failure::Failure;
use crate::kubelet::exec_api::Pod;

pub use established::{Identity, Requester};
pub use oidc::token_file_claims;
pub use pod::{ROLE_NAME_ANNOTATION, allows_role, service_account};

/// What distinguishes an identity from others, without any secret.
pub fn key(source: &IdentitySource) -> String {
    match source {
        IdentitySource::AccessKey(credentials) => access_key::key(credentials),
        IdentitySource::Oidc(oidc) => oidc::key(oidc),
        IdentitySource::WorkerRole => worker_role::key(),
        IdentitySource::CredentialsUri(uri) => credentials_uri::key(uri),
        IdentitySource::Profile(profile) => profile::key(profile),
    }
}

/// Whether what an identity obtains may be kept on the node.
pub fn may_be_kept(source: &IdentitySource, pod: Pod<'_>) -> bool {
    match source {
        IdentitySource::AccessKey(credentials) => access_key::may_be_kept(credentials),
        IdentitySource::Oidc(oidc) => oidc::may_be_kept(oidc, pod),
        IdentitySource::WorkerRole | IdentitySource::Profile(_) => true,
        // It does not say whose credentials it gives.
        IdentitySource::CredentialsUri(_) => false,
    }
}

/// How long the kubelet may keep a login for a pod. Where several entries may answer, the shortest life
/// counts for each of them.
pub fn pod_login_life(entries: &[&Entry]) -> PodLoginLife {
    let lives = entries.iter().filter_map(|entry| match &entry.identity {
        IdentitySource::Oidc(oidc) => Some(oidc.pod_login_life),
        IdentitySource::AccessKey(_)
        | IdentitySource::WorkerRole
        | IdentitySource::CredentialsUri(_)
        | IdentitySource::Profile(_) => None,
    });
    lives.min().unwrap_or(PodLoginLife::Token)
}

/// Whether it is one role session that STS is asked for. The metadata service gives its credentials at
/// no cost, an AccessKey is there, and a profile may lead anywhere.
pub fn is_session(source: &IdentitySource) -> bool {
    match source {
        IdentitySource::Oidc(_) => true,
        IdentitySource::AccessKey(_)
        | IdentitySource::WorkerRole
        | IdentitySource::CredentialsUri(_)
        | IdentitySource::Profile(_) => false,
    }
}

/// Refuses a pod that no entry would let in. Where several entries may answer, the one that does
/// checks again.
///
/// # Errors
///
/// With exit code 3, and nothing has been called.
pub fn admit_to_one(entries: &[&Entry], pod: Pod<'_>, now: Timestamp) -> Result<(), Failure> {
    let mut first = None;
    for entry in entries {
        let admitted = match &entry.identity {
            IdentitySource::Oidc(oidc) => pod::admit(oidc, pod, now).map(|_| ()),
            IdentitySource::AccessKey(_)
            | IdentitySource::WorkerRole
            | IdentitySource::CredentialsUri(_)
            | IdentitySource::Profile(_) => Ok(()),
        };
        match admitted {
            Ok(()) => return Ok(()),
            Err(failure) => first = first.or(Some(failure)),
        }
    }
    first.map_or(Ok(()), Err)
}

/// Establishes an entry's identity.
///
/// # Errors
///
/// With exit code 3, or 6 when time ran out.
pub fn establish(
    entry: &Entry,
    requester: &Requester<'_, '_>,
    first: &SessionRequest<'_>,
) -> Result<Identity, Failure> {
    match &entry.identity {
        IdentitySource::AccessKey(credentials) => Ok(access_key::establish(credentials)),
        IdentitySource::Oidc(oidc) => oidc::establish(entry, oidc, requester, first),
        IdentitySource::WorkerRole => worker_role::establish(requester.node, None),
        IdentitySource::CredentialsUri(uri) => credentials_uri::establish(uri, requester),
        IdentitySource::Profile(profile) => profile::establish(entry, profile, requester, first),
    }
}

/// For a report of one pull.
pub fn report(entry: &Entry, identity: &Identity) -> String {
    match &entry.identity {
        IdentitySource::AccessKey(_) => access_key::report(entry, identity),
        IdentitySource::Oidc(oidc) => oidc::report(oidc, identity, first_duration(entry)),
        IdentitySource::WorkerRole => worker_role::report(identity),
        IdentitySource::CredentialsUri(uri) => credentials_uri::report(uri, identity),
        IdentitySource::Profile(profile) => profile::report(profile, identity),
    }
}

/// What a trust policy names, where it can be known. The account and the role are those of this
/// node, or what stands for them.
pub fn principal(
    source: &IdentitySource,
    account: impl FnOnce() -> String,
    worker_role: Option<&str>,
) -> Option<String> {
    match source {
        IdentitySource::AccessKey(_) => Some(access_key::principal()),
        IdentitySource::Oidc(oidc) => oidc.role.as_ref().map(ToString::to_string),
        IdentitySource::WorkerRole => Some(worker_role::principal(&account(), worker_role?)),
        IdentitySource::CredentialsUri(_) => Some(ram_policy::URI_OWNER.to_owned()),
        IdentitySource::Profile(profile) => profile::principal(profile, account, worker_role),
    }
}

/// Who has the credentials that ask, where that is not a role.
pub fn owner(source: &IdentitySource) -> String {
    match source {
        IdentitySource::CredentialsUri(_) => "whom the credentials URI stands for".to_owned(),
        IdentitySource::Profile(profile) => {
            format!("whom the profile {} stands for", profile.name)
        }
        IdentitySource::AccessKey(_) | IdentitySource::Oidc(_) | IdentitySource::WorkerRole => {
            "the user of the AccessKey".to_owned()
        }
    }
}

/// Seconds that the first session is asked for. One that is only there to assume the next role is
/// asked for the shortest life.
pub fn first_duration(entry: &Entry) -> u32 {
    if entry.role.is_some() { MIN_DURATION } else { entry.expire_duration }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aliyun::Credentials;
    use crate::aliyun::ids::{OidcProviderArn, RoleArn};
    use crate::config::{Oidc, PodIdentity, Profile};
    use crate::secret::Secret;

    fn oidc(pod_identity: PodIdentity) -> Oidc {
        Oidc {
            provider: OidcProviderArn::parse("acs:ram::1:oidc-provider/p").unwrap(),
            role: RoleArn::of("1", "own"),
            token_file: "/t".into(),
            pod_identity,
            allowed_roles: vec!["team-*".to_owned()],
            account: Some("2".to_owned()),
            pod_login_life: PodLoginLife::Token,
        }
    }

    fn access_key(token: Option<&str>) -> IdentitySource {
        IdentitySource::AccessKey(Credentials {
            access_key_id: "LTAI".to_owned(),
            access_key_secret: Secret::new("secret"),
            security_token: token.map(Secret::new),
        })
    }

    fn profile() -> IdentitySource {
        IdentitySource::Profile(Profile { name: "ci".to_owned(), file: "/p".into() })
    }

    #[test]
    fn what_a_pod_or_a_temporary_key_obtains_is_not_kept() {
        let token = Secret::new("token");
        let (none, with) = (Pod::default(), Pod { token: Some(&token), ..Pod::default() });
        let of = |pod_identity| IdentitySource::Oidc(oidc(pod_identity));
        for (source, pod, kept) in [
            (access_key(None), with, true),
            (access_key(Some("t")), none, false),
            (IdentitySource::WorkerRole, with, true),
            (of(PodIdentity::Auto), none, true),
            (of(PodIdentity::Auto), with, false),
            (of(PodIdentity::Required), with, false),
            (of(PodIdentity::Off), with, true),
            (of(PodIdentity::Off), none, true),
            (profile(), none, true),
        ] {
            assert_eq!(may_be_kept(&source, pod), kept, "{source:?} {pod:?}");
        }
    }

    #[test]
    fn identities_are_told_apart_without_their_secrets() {
        let all = [
            access_key(None),
            IdentitySource::Oidc(oidc(PodIdentity::Auto)),
            IdentitySource::WorkerRole,
            profile(),
        ];
        assert_eq!(
            all.each_ref().map(key),
            [
                "AccessKey e6e6c1f46f607b1e2da2c17d10dffa32d5dfb717",
                "OIDC acs:ram::1:role/own acs:ram::1:oidc-provider/p /t",
                "worker role",
                "profile ci /p"
            ]
        );
    }
}
