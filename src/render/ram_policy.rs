//! RAM policies of both accounts, one document that says which goes where.

use serde::Serialize;
use serde_json::Value;

use crate::aliyun::ram_policy;
use crate::config::{Config, Entry, IdentitySource, PodIdentity};
use crate::failure::Failure;
use crate::pull::identity;
use crate::render::{Pods, nobody_takes_tokens};

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
    /// What is missing in the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

const OF_ALL: &str = "it names all accounts that were given: --service-account NAMESPACE/NAME=ROLE gives each role its own accounts";
const NO_ISSUER: &str =
    "the condition oidc:iss is missing: give --issuer URL, the URL of the cluster's OIDC provider";

#[derive(PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Trust,
    Permission,
}

impl Attachment {
    fn trust(role: impl Into<String>, policy: Value) -> Self {
        let note = ram_policy::lacks_issuer(&policy).then(|| NO_ISSUER.to_owned());
        Self { attach_to: role.into(), kind: Kind::Trust, policy, note }
    }

    fn permission(to: impl Into<String>, policy: Value) -> Self {
        Self { attach_to: to.into(), kind: Kind::Permission, policy, note: None }
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
    pods.check(config)?;
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
    let settings = &config.settings;
    let account = || settings.account_id.clone().unwrap_or_else(|| CLUSTER_ACCOUNT.to_owned());
    let worker_role = settings.worker_role_name.as_deref().unwrap_or(WORKER_ROLE);
    let principal = identity::principal(&entry.identity, account, Some(worker_role));
    if first.is_empty() {
        first.extend(principal.clone().filter(|principal| !ram_policy::is_stand_in(principal)));
    }
    let callers =
        if first.is_empty() { vec![identity::owner(&entry.identity)] } else { first.clone() };
    let to_callers = |policy: &Value| {
        callers.iter().map(|caller| Attachment::permission(caller, policy.clone())).collect()
    };
    let trusted = |(role, policy): (String, Value)| {
        let is_of_all = role.contains('<') && !pods.accounts.is_empty();
        let mut attachment = Attachment::trust(role, policy);
        if is_of_all {
            let notes = attachment.note.into_iter().chain([OF_ALL.to_owned()]);
            attachment.note = Some(notes.collect::<Vec<_>>().join("; "));
        }
        attachment
    };
    let mut all: Vec<Attachment> = trusts.into_iter().map(trusted).collect();
    let Some(role) = &entry.role else {
        all.extend::<Vec<Attachment>>(to_callers(&ram_policy::pull()));
        return all;
    };
    all.extend::<Vec<Attachment>>(to_callers(&ram_policy::assume(&[&role.arn])));
    let arn = role.arn.as_str();
    if first.is_empty() {
        first.extend(principal);
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
    let mut all = Vec::new();
    if let Some(role) = &oidc.role {
        let arn = role.to_string();
        let named = pods.subjects(&arn, true);
        let subjects = match oidc.pod_identity {
            PodIdentity::Off => vec![file],
            PodIdentity::Auto => [vec![file], named].concat(),
            PodIdentity::Required if pods.accounts.is_empty() => vec![POD_SUBJECT.to_owned()],
            PodIdentity::Required => named,
        };
        // Nobody has this role where all accounts have others.
        if !subjects.is_empty() {
            all.push((arn, policy(&subjects)));
        }
    }
    if let (true, Some(account)) = (identity.takes_pod_tokens(), &oidc.account) {
        // A pattern is not a role: where no account names its role, the reader fills in which there are.
        let placeholder = |name: &String| {
            if name.contains('*') { format!("<{name}>") } else { name.clone() }
        };
        let names: Vec<String> = if pods.name_roles() {
            pods.accounts.iter().filter_map(|account| account.role.clone()).collect()
        } else {
            oidc.allowed_roles.iter().map(placeholder).collect()
        };
        let is_allowed = |name: &String| !pods.name_roles() || identity::allows_role(oidc, name);
        for name in names.iter().filter(|name| is_allowed(name)) {
            let arn = format!("acs:ram::{account}:role/{name}");
            let mut subjects = pods.subjects(&arn, !pods.name_roles());
            if subjects.is_empty() {
                subjects.push(POD_SUBJECT.to_owned());
            }
            if !all.iter().any(|(known, _)| *known == arn) {
                all.push((arn, policy(&subjects)));
            }
        }
    }
    all
}
