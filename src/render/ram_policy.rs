//! RAM policies of both accounts, one document that says which goes where.

use serde::Serialize;
use serde_json::Value;

use crate::aliyun::ram_policy;
use crate::config::{Config, Entry, IdentitySource, PodIdentity};
use crate::failure::Failure;
use crate::pull::identity;
use crate::render::{Pods, ServiceAccount, nobody_takes_tokens};

/// Stands where the configuration has no account or name.
const CLUSTER_ACCOUNT: &str = "<cluster account>";
const WORKER_ROLE: &str = "<worker role>";

/// The subject of the `DaemonSet` that puts the token on the node (`config/token-daemonset.yaml`).
const TOKEN_SUBJECT: &str = "system:serviceaccount:kube-system:acr-credential-provider-token";

/// Stands for those that the command line does not name.
const POD_SUBJECT: &str = "system:serviceaccount:<namespace>:<service account>";

/// A policy and where it goes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Attachment {
    attach_to: String,
    kind: Kind,
    policy: Value,
}

#[derive(PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Trust,
    Permission,
}

impl Attachment {
    fn trust(role: impl Into<String>, policy: Value) -> Self {
        Self { attach_to: role.into(), kind: Kind::Trust, policy }
    }

    fn permission(to: impl Into<String>, policy: Value) -> Self {
        Self { attach_to: to.into(), kind: Kind::Permission, policy }
    }
}

/// A list of `{"attachTo": …, "kind": "trust" | "permission", "policy": …}`. What several entries
/// need of one role is one policy: a role has but one trust policy.
///
/// # Errors
///
/// For service accounts that no entry has a use for.
pub fn render(config: &Config, pods: &Pods) -> Result<String, Failure> {
    if !pods.accounts.is_empty()
        && !config.entries.iter().any(|entry| entry.identity.takes_pod_tokens())
    {
        return Err(nobody_takes_tokens("service accounts do not need a trust policy"));
    }
    let mut all: Vec<Attachment> = Vec::new();
    for attachment in config.entries.iter().flat_map(|entry| of(entry, config, pods)) {
        let same = |other: &&mut Attachment| {
            other.attach_to == attachment.attach_to && other.kind == attachment.kind
        };
        match all.iter_mut().find(same) {
            Some(other) => ram_policy::add(&mut other.policy, &attachment.policy),
            None => all.push(attachment),
        }
    }
    // Strings only: it cannot fail.
    let mut text = serde_json::to_string_pretty(&all).unwrap_or_default();
    text.push('\n');
    Ok(text)
}

fn of(entry: &Entry, config: &Config, pods: &Pods) -> Vec<Attachment> {
    let trusts = trust(&entry.identity, pods);
    let mut first: Vec<String> = trusts.iter().map(|(role, _)| role.clone()).collect();
    if let IdentitySource::WorkerRole = entry.identity {
        let settings = &config.settings;
        let account = settings.account_id.as_deref().unwrap_or(CLUSTER_ACCOUNT);
        let name = settings.worker_role_name.as_deref().unwrap_or(WORKER_ROLE);
        first.push(format!("acs:ram::{account}:role/{name}"));
    }
    let callers = match first.as_slice() {
        [] => vec!["the user of the AccessKey".to_owned()],
        roles => roles.to_vec(),
    };
    let to_callers = |policy: &Value| {
        callers.iter().map(|caller| Attachment::permission(caller, policy.clone())).collect()
    };
    let mut all: Vec<Attachment> =
        trusts.into_iter().map(|(role, policy)| Attachment::trust(role, policy)).collect();
    let Some(role) = &entry.role else {
        all.extend::<Vec<Attachment>>(to_callers(&ram_policy::pull()));
        return all;
    };
    all.extend::<Vec<Attachment>>(to_callers(&ram_policy::assume(&[&role.arn])));
    let arn = role.arn.as_str();
    if let IdentitySource::AccessKey(_) = entry.identity {
        first.push(ram_policy::KEY_ACCOUNT.to_owned());
    }
    if !first.is_empty() {
        let trust = ram_policy::trust(&first, role.external_id.as_deref());
        all.push(Attachment::trust(arn, trust));
    }
    all.push(Attachment::permission(arn, ram_policy::pull()));
    all
}

/// The roles that an OIDC token is exchanged for, and their trust policies: `rrsaRoleARN` is the
/// token file's and the pods', one of `allowedRoles` the pods' alone.
pub fn trust(identity: &IdentitySource, pods: &Pods) -> Vec<(String, Value)> {
    let IdentitySource::Oidc(oidc) = identity else { return Vec::new() };
    let claims = identity::token_file_claims(oidc);
    let (file, issuer) = claims.map_or((None, None), |claims| (claims.subject, claims.issuer));
    let file = file.unwrap_or_else(|| TOKEN_SUBJECT.to_owned());
    let issuer = pods.issuer.clone().or(issuer).unwrap_or_default();
    let policy = |subjects: &[String]| ram_policy::trust_oidc(&oidc.provider, &issuer, subjects);
    let named: Vec<String> = pods.accounts.iter().map(ServiceAccount::subject).collect();
    let any = if named.is_empty() { vec![POD_SUBJECT.to_owned()] } else { named.clone() };
    let mut all = Vec::new();
    if let Some(role) = &oidc.role {
        let policy = match oidc.pod_identity {
            PodIdentity::Off => policy(&[file]),
            PodIdentity::Auto => policy(&[vec![file], named].concat()),
            PodIdentity::Required => policy(&any),
        };
        all.push((role.to_string(), policy));
    }
    if let (true, Some(account)) = (identity.takes_pod_tokens(), &oidc.account) {
        for name in &oidc.allowed_roles {
            // A pattern is not a role: the reader fills in which roles there are.
            let name = if name.contains('*') { format!("<{name}>") } else { name.clone() };
            let role = format!("acs:ram::{account}:role/{name}");
            if !all.iter().any(|(known, _)| *known == role) {
                all.push((role, policy(&any)));
            }
        }
    }
    all
}
