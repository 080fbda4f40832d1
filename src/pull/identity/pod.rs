//! The pod as an identity of its own: the token of its service account, and the role it asks for.
//!
//! All of this is decided from the request and the entry, before anything is called.

use jiff::Timestamp;

use crate::aliyun::ids::RoleArn;
use crate::aliyun::sts::AUDIENCE;
use crate::config::{Oidc, PodIdentity};
use crate::failure::{Exit, Failure};
use crate::kubelet::exec_api::{Pod, WithoutTokens};
use crate::pull::identity::jwt::{self, Claims};
use crate::secret::Secret;

/// The annotation by which a service account names its role; a name, not an ARN.
pub const ROLE_NAME_ANNOTATION: &str = "pod-identity.alibabacloud.com/role-name";

/// A pod that an entry lets in, as far as that can be known here.
pub(super) struct Admitted<'a> {
    pub token: &'a Secret,
    pub role: RoleArn,
    /// When the token ends, by its own word.
    pub ends: Timestamp,
}

/// The pod's own identity; none where the entry's is to be taken.
pub(super) fn admit<'p>(
    oidc: &Oidc,
    pod: Pod<'p>,
    now: Timestamp,
) -> Result<Option<Admitted<'p>>, Failure> {
    let token = match (oidc.pod_identity, pod.token) {
        (PodIdentity::Off, _) | (PodIdentity::Auto, None) => return Ok(None),
        (PodIdentity::Required, None) => return Err(without_token(pod)),
        (PodIdentity::Auto | PodIdentity::Required, Some(token)) => token,
    };
    let role = role(oidc, pod)?;
    let ends = end_of(token, now)?;
    Ok(Some(Admitted { token, role, ends }))
}

/// What all pods of one service account have in common, by the word of their tokens: who issued them, how,
/// for whom and for what. None where a token does not say all that.
pub fn service_account(token: &Secret) -> Option<(Vec<String>, Timestamp)> {
    let Claims { audience, expires, subject, issuer } = jwt::claims(token.expose())?;
    let (header, _) = token.expose().split_once('.')?;
    let mut all = vec![header.to_owned(), issuer?, subject?];
    all.extend(audience);
    Some((all, expires?))
}

fn without_token(pod: Pod<'_>) -> Failure {
    let failure = Failure::new(
        Exit::Identity,
        "the request has no service account token, and `podIdentity: required` allows nothing else",
    );
    match pod.without_tokens {
        Some(WithoutTokens::Version(version)) => return failure
            .caused_by(format!("the kubelet asks in {version}, and only v1 carries tokens"))
            .hint("take the output of `render kubelet-config --service-accounts` for the kubelet's CredentialProviderConfig (Kubernetes 1.33 and later)"),
        Some(WithoutTokens::Docker) => return failure
            .caused_by("only a kubelet sends such a token; docker and other clients of a credential helper do not")
            .hint("use a configuration for these clients whose entry has another identity, or `podIdentity: auto` and a token file"),
        None => {}
    }
    failure
        .caused_by("the kubelet runs this provider without tokenAttributes, so not in service account mode")
        .caused_by("or the pod is a static pod, or the caller is not a kubelet: neither has a token")
        .caused_by("or its service account lacks an annotation that tokenAttributes requires, and a provider without tokenAttributes has the image in its matchImages too")
        .hint("take the output of `render kubelet-config --service-accounts` for the kubelet's CredentialProviderConfig (Kubernetes 1.33 and later); a static pod's image needs an entry that requires no token")
}

/// The entry's role, or the one that the service account names and the entry allows.
fn role(oidc: &Oidc, pod: Pod<'_>) -> Result<RoleArn, Failure> {
    let named = pod.annotations.and_then(|annotations| annotations.get(ROLE_NAME_ANNOTATION));
    let Some(name) = named else {
        return oidc.role.clone().ok_or_else(|| {
            Failure::new(
                Exit::Identity,
                format!("the service account has no annotation {ROLE_NAME_ANNOTATION} and the entry no rrsaRoleARN"),
            )
            .hint("annotate the service account, and name the annotation in the kubelet's tokenAttributes")
        });
    };
    let shown: String = name.escape_debug().take(80).collect();
    let account = oidc.account.as_deref();
    // The name's form comes first: it bounds what the patterns are held against.
    let Some(role) = account.and_then(|account| RoleArn::of(account, name)) else {
        return Err(Failure::new(
            Exit::Identity,
            format!("`{shown}` in annotation {ROLE_NAME_ANNOTATION} is not a role name"),
        )
        .hint("the annotation takes a role's name as it is, not its ARN; the account is accountId, or that of rrsaRoleARN; without the annotation the role is rrsaRoleARN"));
    };
    if !allows_role(oidc, name) {
        return Err(Failure::new(
            Exit::Identity,
            format!("the service account's annotation names role `{shown}`, which `allowedRoles` does not have"),
        )
        .hint("add the name to allowedRoles of the entry, or take the annotation away"));
    }
    Ok(role)
}

/// When the token ends. Its claims are read for messages and for this bound; who may do what is
/// for STS to say.
fn end_of(token: &Secret, now: Timestamp) -> Result<Timestamp, Failure> {
    let refused = |what: String| {
        Failure::new(Exit::Identity, format!("the request's service account token {what}"))
    };
    let length = token.expose().len();
    if length > *jwt::LENGTH.end() {
        return Err(refused(format!(
            "has {length} characters, and STS takes {}",
            jwt::LENGTH.end()
        ))
        .hint("the kubelet sends no such token by itself: see what else calls this program"));
    }
    let claims = jwt::claims(token.expose()).ok_or_else(|| {
        refused("is not a JWT".to_owned())
            .hint("the kubelet sends one by itself; by hand take one from `kubectl create token --audience sts.aliyuncs.com`")
    })?;
    if !claims.audience.iter().any(|audience| audience == AUDIENCE) {
        let has: String = claims.audience.join(", ").chars().take(200).collect();
        let has = if has.is_empty() {
            "has no audience".to_owned()
        } else {
            format!("is for audience `{has}`")
        };
        return Err(refused(format!("{has}, not `{AUDIENCE}`"))
            .hint("set serviceAccountTokenAudience: sts.aliyuncs.com in the kubelet's CredentialProviderConfig"));
    }
    match claims.expires {
        // The kubelet renews tokens by this very clock, so it does not matter here that it may be
        // somewhat off: what looks expired either does not come from the kubelet, or the clock is
        // ahead by more than a token's life.
        Some(end) if end <= now => Err(refused(format!(
            "expired at {end}, and this machine's clock says {now}"
        ))
        .hint("if the clock is right, see that the kubelet reaches the API server, which renews the token; if not, see to its synchronisation (chrony or ntpd)")),
        Some(end) => Ok(end),
        None => Err(refused("has no time in `exp`".to_owned())
            .hint("the kubelet sends no such token by itself: see what else calls this program")),
    }
}

/// Whether an annotation may name this role.
pub fn allows_role(oidc: &Oidc, name: &str) -> bool {
    oidc.allowed_roles.iter().any(|pattern| matches(pattern, name))
}

/// A pattern with `*` for any characters, anchored at both ends.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    let between = name.strip_prefix(first).and_then(|name| name.strip_suffix(last));
    let Some(mut left) = between else { return false };
    middle.split('*').all(|part| left.split_once(part).map(|(_, behind)| left = behind).is_some())
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
        assert!(!matches("team-a", "Team-A"));
        assert!(!matches("*-puller", "x-pullers"));
        assert!(matches("a*b*c", "a-b-b-c") && matches("a**c", "ac") && matches("*b*", "abc"));
        assert!(!matches("a*b*c", "a-c") && !matches("ab*bc", "abc") && !matches("", "a"));
        assert!(!matches(&format!("{}b", "*a".repeat(30)), &"a".repeat(64)), "and that at once");
    }
}
