//! RAM policies of both accounts, one document that says which goes where.

use serde_json::{Value, json};

use crate::config::{Config, Entry, IdentitySource};
use crate::identity;
use crate::policies;

/// Stands where the configuration does not tell an account or a name.
const CLUSTER_ACCOUNT: &str = "<cluster account>";
const WORKER_ROLE: &str = "<worker role>";
/// And where there is no token that names its issuer.
const ISSUER: &str = "<the OIDC provider's URL>";

/// The subject of the `DaemonSet` that puts the token on the node (`config/token-daemonset.yaml`).
const TOKEN_SUBJECT: &str = "system:serviceaccount:kube-system:acr-credential-provider-token";

/// A list of `{"attachTo": …, "kind": "trust" | "permission", "policy": …}`. A role has one trust
/// policy, so what several entries need of the same one is in one document.
#[must_use]
pub fn render(config: &Config) -> String {
    let mut all: Vec<Value> = Vec::new();
    for entry in &config.entries {
        for policy in of(entry, config) {
            add(policy, &mut all);
        }
    }
    // Strings only: it cannot fail.
    let mut text = serde_json::to_string_pretty(&all).unwrap_or_default();
    text.push('\n');
    text
}

fn add(policy: Value, all: &mut Vec<Value>) {
    let place = |policy: &Value| (policy.get("attachTo").cloned(), policy.get("kind").cloned());
    let known = all.iter_mut().find(|known| place(known) == place(&policy));
    let Some(known) = known else { return all.push(policy) };
    let more = policy.pointer("/policy/Statement").and_then(Value::as_array);
    let statements = known.pointer_mut("/policy/Statement").and_then(Value::as_array_mut);
    if let (Some(statements), Some(more)) = (statements, more) {
        for statement in more {
            if !statements.contains(statement) {
                statements.push(statement.clone());
            }
        }
    }
}

fn of(entry: &Entry, config: &Config) -> Vec<Value> {
    let first = match &entry.identity {
        IdentitySource::AccessKey(_) => Some(policies::KEY_ACCOUNT.to_owned()),
        IdentitySource::Oidc(oidc) => oidc.role.as_ref().map(ToString::to_string),
        IdentitySource::WorkerRole => {
            let settings = &config.settings;
            let account = settings.account_id.as_deref().unwrap_or(CLUSTER_ACCOUNT);
            let name = settings.worker_role_name.as_deref().unwrap_or(WORKER_ROLE);
            Some(format!("acs:ram::{account}:role/{name}"))
        }
    };
    let caller = match &entry.identity {
        IdentitySource::AccessKey(_) => Some("the user of the AccessKey".to_owned()),
        _ => first.clone(),
    };
    let caller = caller.unwrap_or_else(|| "the roles that service accounts name".to_owned());
    let mut all = Vec::new();
    if let IdentitySource::Oidc(oidc) = &entry.identity
        && let Some(role) = &oidc.role
    {
        let claims = identity::token_file_claims(oidc);
        let (subject, issuer) =
            claims.map_or((None, None), |claims| (claims.subject, claims.issuer));
        let subjects = [subject.unwrap_or_else(|| TOKEN_SUBJECT.to_owned())];
        let issuer = issuer.unwrap_or_else(|| ISSUER.to_owned());
        let trust = policies::trust_oidc(&oidc.provider, &issuer, &subjects);
        all.push(json!({"attachTo": role.as_str(), "kind": "trust", "policy": trust}));
    }
    let Some(role) = &entry.role else {
        all.push(json!({"attachTo": caller, "kind": "permission", "policy": policies::pull()}));
        return all;
    };
    let assume = policies::assume(&[&role.arn]);
    all.push(json!({"attachTo": caller, "kind": "permission", "policy": assume}));
    let principals: Vec<String> = first.into_iter().collect();
    if !principals.is_empty() {
        let trust = policies::trust(&principals, role.external_id.as_deref());
        all.push(json!({"attachTo": role.arn.as_str(), "kind": "trust", "policy": trust}));
    }
    let pull = policies::pull();
    all.push(json!({"attachTo": role.arn.as_str(), "kind": "permission", "policy": pull}));
    all
}
