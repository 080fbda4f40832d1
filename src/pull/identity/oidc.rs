//! An OIDC token, of a file or of a pod, exchanged for a role session.

use std::path::Path;

use crate::aliyun::ids::RoleArn;
use crate::aliyun::sts::{self, About, SessionRequest};
use crate::config::{Entry, Oidc, PodIdentity, PodLoginLife};
use crate::failure::facts::Facts;
use crate::failure::{Exit, Failure};
use crate::kubelet::exec_api::Pod;
use crate::pull::identity::established::{Identity, Requester};
use crate::pull::identity::jwt::{self, Claims};
use crate::pull::identity::pod::{self, Admitted};
use crate::secret::Secret;
use crate::system::trusted_file;

/// Largest token file that is read, in KiB.
const TOKEN_FILE: u64 = 64;

/// What distinguishes it from others, without a token.
pub(super) fn key(oidc: &Oidc) -> String {
    let Oidc {
        provider,
        role,
        token_file,
        // What a pod's token obtains is never kept: neither the role that it names nor how long the
        // kubelet keeps the login distinguishes anything on the node.
        pod_identity: _,
        allowed_roles: _,
        account: _,
        pod_login_life: _,
    } = oidc;
    let role = role.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("OIDC {role} {provider} {}", token_file.display())
}

/// What a pod's own token obtains is the pod's alone.
pub(super) fn may_be_kept(oidc: &Oidc, pod: Pod<'_>) -> bool {
    pod.token.is_none() || oidc.pod_identity == PodIdentity::Off
}

pub(super) fn establish(
    entry: &Entry,
    oidc: &Oidc,
    requester: &Requester<'_, '_>,
    first: &SessionRequest<'_>,
) -> Result<Identity, Failure> {
    let now = requester.node.network.clock.now();
    let Some(Admitted { token, role, ends }) = pod::admit(oidc, requester.pod, now)? else {
        return from_token_file(entry, oidc, requester, first);
    };
    let identity = exchange(entry, oidc, &role, token, requester, first)?;
    let ends = match oidc.pod_login_life {
        PodLoginLife::Token => Some(ends),
        PodLoginLife::Session => None,
    };
    Ok(Identity { ends, ..identity })
}

/// For a report of one pull, whose first session lasts so many seconds.
pub(super) fn report(oidc: &Oidc, identity: &Identity, seconds: u32) -> String {
    let arn = identity.about.as_ref().and_then(About::arn);
    let arn = arn.unwrap_or_else(|| identity.owner.to_string());
    format!("{arn}{}, for the token in {}", identity.life(seconds), oidc.token_file.display())
}

/// What the token file's claims say, for messages.
pub fn token_file_claims(oidc: &Oidc) -> Option<Claims> {
    jwt::claims(read_token(&oidc.token_file).ok()?.expose())
}

fn from_token_file(
    entry: &Entry,
    oidc: &Oidc,
    requester: &Requester<'_, '_>,
    first: &SessionRequest<'_>,
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
    first: &SessionRequest<'_>,
) -> Result<Identity, Failure> {
    let subject = jwt::claims(token.expose()).and_then(|claims| claims.subject);
    let facts = Facts::assume_role_with_oidc(role, &oidc.provider, subject);
    let session = requester
        .ask_sts(entry, |network, endpoint| {
            sts::assume_role_with_oidc(network, endpoint, &oidc.provider, role, token, first)
        })?
        .map_err(|error| Failure::of_call(&facts, &error))?;
    let about = Some(session.about);
    Ok(Identity { credentials: session.credentials, owner: role.into(), ends: None, about })
}

/// Read again each time: the kubelet, or our `DaemonSet`, rotates it.
fn read_token(path: &Path) -> Result<Secret, Failure> {
    let place = path.display();
    let hint = "see that the token DaemonSet runs on this node, or set oidcTokenFile";
    let read = trusted_file::read(path, TOKEN_FILE);
    let bytes = read
        .map_err(|error| {
            Failure::new(Exit::Identity, format!("OIDC token file {place}: {error}")).hint(hint)
        })?
        .bytes;
    let text = String::from_utf8(bytes).map_err(|_| {
        Failure::new(Exit::Identity, format!("OIDC token file {place}: not UTF-8 text")).hint(hint)
    })?;
    let token = Secret::new(text.trim());
    if !jwt::LENGTH.contains(&token.expose().len()) {
        let length = token.expose().len();
        return Err(Failure::new(
            Exit::Identity,
            format!(
                "OIDC token file {place} holds {length} characters; a token has {} to {}",
                jwt::LENGTH.start(),
                jwt::LENGTH.end()
            ),
        )
        .hint(hint));
    }
    Ok(token)
}
