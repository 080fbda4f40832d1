//! The first credentials: who this node, or this pod, is.
//!
//! One identity per entry, and no way from one to another: what fails is told.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use jiff::Timestamp;

use crate::aliyun::endpoint::Endpoint;
use crate::aliyun::names::{Region, RoleArn, is_role_name};
use crate::aliyun::sts::{self, SessionRequest};
use crate::aliyun::{Credentials, Hop};
use crate::config::{Entry, IdentitySource, Oidc, PodIdentity};
use crate::error::{Exit, Failure};
use crate::jwt::{self, Claims};
use crate::node::Node;
use crate::remedy::Facts;
use crate::secret::Secret;

/// The audience that tokens for Alibaba Cloud are made for.
pub const AUDIENCE: &str = "sts.aliyuncs.com";

/// The annotation by which a service account names its role; a name, not an ARN.
pub const ROLE_NAME_ANNOTATION: &str = "pod-identity.alibabacloud.com/role-name";

/// What STS accepts as `OIDCToken`, in characters.
const TOKEN_LENGTH: std::ops::RangeInclusive<usize> = 4..=20_000;

/// What the request says of the pod.
#[derive(Debug, Default, Clone, Copy)]
pub struct Pod<'a> {
    pub token: Option<&'a Secret>,
    pub annotations: Option<&'a BTreeMap<String, String>>,
}

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
        self.node.sts(entry.region.as_ref().or(self.registry_region))
    }
}

/// Credentials, and how to call their owner in a message.
#[derive(Debug, Clone)]
pub struct Identity {
    pub credentials: Credentials,
    pub owner: String,
    /// When the pod's token ends; no answer may outlive it.
    pub ends: Option<Timestamp>,
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
            owner: format!("the owner of AccessKey {}", masked(&credentials.access_key_id)),
            ends: None,
        }),
        IdentitySource::WorkerRole => worker_role(node),
        IdentitySource::Oidc(oidc) => {
            let Some(token) = pod_token(oidc, pod)? else {
                return from_token_file(entry, oidc, requester, first);
            };
            let role = pod_role(oidc, pod)?;
            let claims = check_pod_token(token, node)?;
            let mut identity = exchange(entry, oidc, &role, token, requester, first)?;
            identity.ends = claims.expires;
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
    Ok(Identity { credentials, owner: format!("the worker role {role}"), ends: None })
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

/// The request's token if the entry wants one; fails closed where it must have one.
fn pod_token<'p>(oidc: &Oidc, pod: Pod<'p>) -> Result<Option<&'p Secret>, Failure> {
    match (oidc.pod_identity, pod.token) {
        (PodIdentity::Off, _) | (PodIdentity::Auto, None) => Ok(None),
        (PodIdentity::Auto | PodIdentity::Required, Some(token)) => Ok(Some(token)),
        (PodIdentity::Required, None) => Err(Failure::new(
            Exit::Identity,
            "the request has no service account token, and `podIdentity: required` allows nothing else",
        )
        .caused_by("the kubelet's provider configuration has no tokenAttributes, or the pod is a static pod")
        .hint("add tokenAttributes with audience sts.aliyuncs.com to the kubelet's CredentialProviderConfig (Kubernetes 1.33 and later)")),
    }
}

/// The entry's role, or the one that the service account names and the entry allows.
fn pod_role(oidc: &Oidc, pod: Pod<'_>) -> Result<RoleArn, Failure> {
    let named = pod.annotations.and_then(|annotations| annotations.get(ROLE_NAME_ANNOTATION));
    let Some(name) = named.map(|name| name.trim()).filter(|name| !name.is_empty()) else {
        let missing = Failure::new(
            Exit::Identity,
            format!(
                "the service account has no annotation {ROLE_NAME_ANNOTATION} and the entry no rrsaRoleARN"
            ),
        );
        return oidc.role.clone().ok_or_else(|| missing.hint("annotate the service account, and name the annotation in the kubelet's tokenAttributes"));
    };
    let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    if !oidc.allowed_roles.iter().any(|pattern| matches(pattern, name)) {
        return Err(Failure::new(
            Exit::Identity,
            format!("the service account's annotation names role `{shown}`, which `allowedRoles` does not have"),
        )
        .hint("add the name to allowedRoles of the entry, or take the annotation away"));
    }
    let role = oidc.account.as_deref().and_then(|account| RoleArn::of(account, name));
    role.ok_or_else(|| {
        Failure::new(
            Exit::Identity,
            format!("`{shown}` in annotation {ROLE_NAME_ANNOTATION} is no role name"),
        )
        .hint("the annotation takes a role's name, not its ARN; the account is accountId, or that of rrsaRoleARN")
    })
}

/// Reads the claims for messages and bounds; who may do what is for STS to say.
fn check_pod_token(token: &Secret, node: &Node<'_>) -> Result<Claims, Failure> {
    let refused = |what: String| {
        Failure::new(Exit::Identity, format!("the request's service account token {what}"))
    };
    let claims = jwt::claims(token.expose()).ok_or_else(|| {
        refused("is no JWT".to_owned())
            .hint("the kubelet sends one by itself; by hand take one from `kubectl create token`")
    })?;
    if !claims.audience.iter().any(|audience| audience == AUDIENCE) {
        let has = claims.audience.join(", ");
        return Err(refused(format!("is for audience `{has}`, not `{AUDIENCE}`"))
            .hint("set serviceAccountTokenAudience: sts.aliyuncs.com in the kubelet's CredentialProviderConfig"));
    }
    match claims.expires {
        Some(end) if end <= node.network.clock.now() => Err(refused(format!("expired at {end}"))
            .hint("check this machine's clock and the kubelet's connection to the API server")),
        Some(_) => Ok(claims),
        None => Err(refused("has no `exp`".to_owned())),
    }
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
    Ok(Identity { credentials: session.credentials, owner: role.to_string(), ends: None })
}

/// Read anew each time: the kubelet, or our `DaemonSet`, rotates it.
fn read_token(path: &Path) -> Result<Secret, Failure> {
    let place = path.display();
    let hint = "see that the token DaemonSet runs on this node, or set oidcTokenFile";
    let text = fs::read_to_string(path).map_err(|error| {
        Failure::new(Exit::Identity, format!("OIDC token file {place}: {error}")).hint(hint)
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

/// A pattern with `*` for any characters, anchored at both ends.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(before) else { return false };
    let mut tails = rest.char_indices().filter_map(|(index, _)| rest.get(index..)).chain([""]);
    tails.any(|tail| matches(after, tail))
}

/// Enough of an `AccessKey` id to tell which one it is.
fn masked(id: &str) -> String {
    let tail: Vec<char> = id.chars().rev().take(4).collect();
    format!("…{}", tail.into_iter().rev().collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_anchored_at_both_ends() {
        assert!(matches("team-*", "team-a"));
        assert!(matches("team-*-puller", "team-a-puller"));
        assert!(matches("*", "x"));
        assert!(!matches("team-*", "my-team-a"));
        assert!(!matches("team-a", "team-ab"));
        assert!(!matches("*-puller", "x-pullers"));
    }

    #[test]
    fn an_access_key_is_told_by_its_end() {
        assert_eq!(masked("LTAI5tFakeFakeFakeFake01"), "…ke01");
        assert_eq!(masked("x"), "…x");
    }
}
