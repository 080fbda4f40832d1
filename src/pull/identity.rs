//! The first credentials: who this node, or this pod, is.
//!
//! One identity per entry, and no way from one to another: what fails is told.

use std::path::Path;

use jiff::Timestamp;

use crate::aliyun::endpoint::Endpoint;
use crate::aliyun::ids::{Region, RoleArn, is_role_name};
use crate::aliyun::sts::{self, About, SessionRequest};
use crate::aliyun::{Credentials, Hop};
use crate::config::{Entry, IdentitySource, Oidc, PodIdentity};
use crate::failure::service_codes::{ACCESS_KEY_OWNER, Facts};
use crate::failure::{Exit, Failure};
use crate::pull::identity::jwt::Claims;
use crate::pull::node::Node;
use crate::secret::Secret;
use crate::system::trusted_file::{self, Links};

pub mod jwt;
mod pod;

use pod::Admitted;
pub use pod::{Pod, admit_to_one};

/// The audience that tokens for Alibaba Cloud are made for.
pub const AUDIENCE: &str = "sts.aliyuncs.com";

/// The annotation by which a service account names its role; a name, not an ARN.
pub const ROLE_NAME_ANNOTATION: &str = "pod-identity.alibabacloud.com/role-name";

/// What STS accepts as `OIDCToken`, in characters.
const TOKEN_LENGTH: std::ops::RangeInclusive<usize> = 4..=20_000;
/// Largest token file that is read, in KiB.
const TOKEN_FILE: u64 = 64;

/// Who asks, from where, and for a registry in which region.
#[derive(Clone, Copy)]
pub struct Requester<'a, 'n> {
    pub pod: Pod<'a>,
    pub node: &'a Node<'n>,
    /// The region in the registry's host name, if it has one.
    pub registry_region: Option<&'a Region>,
}

impl<'a> Requester<'a, '_> {
    /// STS as this node should reach it.
    ///
    /// # Errors
    ///
    /// See [`Node::sts`].
    pub fn sts(&self, entry: &Entry) -> Result<&'a Endpoint, Failure> {
        let region = entry.region.as_ref().or(self.registry_region);
        let sts = self.node.sts(region)?;
        self.node.connect_to_cr(region);
        Ok(sts)
    }
}

/// Credentials, and how to call their owner in a message.
#[derive(Debug, Clone)]
pub struct Identity {
    pub credentials: Credentials,
    pub owner: String,
    /// When the pod's token ends; no answer may outlive it.
    pub ends: Option<Timestamp>,
    /// What the service said of the session, if it was just made.
    pub about: Option<About>,
}

/// Whether what an identity obtains may be kept on the node. What a pod's own token obtains is
/// the pod's alone; and a temporary AccessKey does not say whose it is.
#[must_use]
pub fn may_be_kept(source: &IdentitySource, pod: Pod<'_>) -> bool {
    match source {
        IdentitySource::AccessKey(credentials) => credentials.security_token.is_none(),
        IdentitySource::Oidc(oidc) => pod.token.is_none() || oidc.pod_identity == PodIdentity::Off,
        IdentitySource::WorkerRole => true,
    }
}

/// What tells an identity from others, without any secret.
#[must_use]
pub fn key(source: &IdentitySource) -> String {
    match source {
        IdentitySource::AccessKey(credentials) => {
            format!("AccessKey {}", credentials.access_key_id)
        }
        IdentitySource::Oidc(oidc) => {
            let role = oidc.role.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("OIDC {role} {} {}", oidc.provider, oidc.token_file.display())
        }
        IdentitySource::WorkerRole => "worker role".to_owned(),
    }
}

/// What the first session is to be, where it is a role session.
#[derive(Debug, Clone, Copy)]
pub struct FirstSession<'a> {
    /// Seconds.
    pub duration: u32,
    pub policy: Option<&'a str>,
}

/// Establishes an entry's identity.
///
/// # Errors
///
/// With exit code 3, or 6 when time ran out.
pub fn establish(
    entry: &Entry,
    requester: &Requester<'_, '_>,
    first: FirstSession<'_>,
) -> Result<Identity, Failure> {
    let Requester { pod, node, .. } = *requester;
    match &entry.identity {
        IdentitySource::AccessKey(credentials) => Ok(Identity {
            credentials: credentials.clone(),
            owner: format!("{ACCESS_KEY_OWNER} {}", masked(&credentials.access_key_id)),
            ends: None,
            about: None,
        }),
        IdentitySource::WorkerRole => worker_role(node),
        IdentitySource::Oidc(oidc) => {
            let now = node.network.clock.now();
            let Some(Admitted { token, role, ends }) = pod::admit(oidc, pod, now)? else {
                return from_token_file(entry, oidc, requester, first);
            };
            let mut identity = exchange(entry, oidc, &role, token, requester, first)?;
            identity.ends = Some(ends);
            Ok(identity)
        }
    }
}

fn worker_role(node: &Node<'_>) -> Result<Identity, Failure> {
    let metadata = node.metadata()?;
    let role = match node.worker_role_name() {
        Some(name) if is_role_name(name) => name.to_owned(),
        Some(_) => {
            return Err(Failure::new(
                Exit::Usage,
                "environment: ALIBABA_CLOUD_ECS_METADATA is no role name",
            )
            .hint("correct it, or unset it to use the instance's role"));
        }
        None => metadata.role_name().map_err(|error| node.metadata_failure(&error))?,
    };
    let credentials =
        metadata.role_credentials(&role).map_err(|error| node.metadata_failure(&error))?;
    Ok(Identity { credentials, owner: format!("the worker role {role}"), ends: None, about: None })
}

fn from_token_file(
    entry: &Entry,
    oidc: &Oidc,
    requester: &Requester<'_, '_>,
    first: FirstSession<'_>,
) -> Result<Identity, Failure> {
    let role = oidc.role.as_ref().ok_or_else(|| {
        Failure::new(
            Exit::Identity,
            format!("{} has no rrsaRoleARN for the token file", entry.name),
        )
        .hint("give rrsaRoleARN, or set podIdentity: required")
    })?;
    exchange(entry, oidc, role, &read_token(&oidc.token_file)?, requester, first)
}

fn exchange(
    entry: &Entry,
    oidc: &Oidc,
    role: &RoleArn,
    token: &Secret,
    requester: &Requester<'_, '_>,
    first: FirstSession<'_>,
) -> Result<Identity, Failure> {
    let request = SessionRequest {
        role,
        session_name: &entry.session_name,
        duration: first.duration,
        policy: first.policy,
        external_id: None,
    };
    let facts = Facts {
        role: Some(role.to_string()),
        subject: jwt::claims(token.expose()).and_then(|claims| claims.subject),
        provider: Some(oidc.provider.to_string()),
        ..Facts::default()
    };
    let hop = Hop::AssumeRoleWithOidc;
    let session = sts::assume_role_with_oidc(
        &requester.node.network,
        requester.sts(entry)?,
        &oidc.provider,
        token,
        &request,
    )
    .map_err(|error| {
        Failure::of_call(Exit::Identity, hop, &format!("{hop} of {role}"), &error, &facts)
    })?;
    let about = Some(session.about);
    Ok(Identity { credentials: session.credentials, owner: role.to_string(), ends: None, about })
}

/// Read anew each time: the kubelet, or our `DaemonSet`, rotates it.
fn read_token(path: &Path) -> Result<Secret, Failure> {
    let place = path.display();
    let hint = "see that the token DaemonSet runs on this node, or set oidcTokenFile";
    // A projected volume's token is a link to the file of the day.
    let read = trusted_file::read(path, Links::Followed, TOKEN_FILE);
    let bytes = read
        .map_err(|error| {
            Failure::new(Exit::Identity, format!("OIDC token file {place}: {error}")).hint(hint)
        })?
        .bytes;
    let text = String::from_utf8(bytes).map_err(|_| {
        Failure::new(Exit::Identity, format!("OIDC token file {place}: not UTF-8 text")).hint(hint)
    })?;
    let token = Secret::new(text.trim());
    if !TOKEN_LENGTH.contains(&token.expose().len()) {
        let length = token.expose().len();
        return Err(Failure::new(
            Exit::Identity,
            format!(
                "OIDC token file {place} holds {length} characters; a token has {} to {}",
                TOKEN_LENGTH.start(),
                TOKEN_LENGTH.end()
            ),
        )
        .hint(hint));
    }
    Ok(token)
}

/// What the token file's claims say, for messages.
#[must_use]
pub fn token_file_claims(oidc: &Oidc) -> Option<Claims> {
    jwt::claims(read_token(&oidc.token_file).ok()?.expose())
}

/// Enough of an `AccessKey` id to tell which one it is.
fn masked(id: &str) -> String {
    let tail: Vec<char> = id.chars().rev().take(4).collect();
    format!("…{}", tail.into_iter().rev().collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oidc(pod_identity: PodIdentity) -> Oidc {
        Oidc {
            provider: crate::aliyun::ids::OidcProviderArn::parse("acs:ram::1:oidc-provider/p")
                .unwrap(),
            role: RoleArn::of("1", "own"),
            token_file: "/t".into(),
            pod_identity,
            allowed_roles: vec!["team-*".to_owned()],
            account: Some("2".to_owned()),
        }
    }

    fn access_key(token: Option<&str>) -> IdentitySource {
        IdentitySource::AccessKey(Credentials {
            access_key_id: "LTAI".to_owned(),
            access_key_secret: Secret::new("secret"),
            security_token: token.map(Secret::new),
        })
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
        ];
        assert_eq!(
            all.each_ref().map(key),
            [
                "AccessKey LTAI",
                "OIDC acs:ram::1:role/own acs:ram::1:oidc-provider/p /t",
                "worker role"
            ]
        );
    }

    #[test]
    fn an_access_key_is_told_by_its_end() {
        assert_eq!(masked("LTAI5tFakeFakeFakeFake01"), "…ke01");
        assert_eq!(masked("x"), "…x");
    }
}
