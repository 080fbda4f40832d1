//! What lets a kubelet ask for tokens of the audience that STS takes (Kubernetes 1.33 and later;
//! KEP-4412), and what lets the service accounts behind them have their roles.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::Value;

use crate::aliyun;
use crate::config::Config;
use crate::failure::Failure;
use crate::pull::identity::AUDIENCE;
use crate::render::{Pods, ServiceAccount, nobody_takes_tokens, quoted, ram_policy};

const NAME: &str = "acr-credential-provider-token-audience";

/// Before rules with names: a namespace has one such role, so each call has to name everybody of it.
const NAMES_ARE_REPLACED: &str = "\
# This manifest replaces the list of service accounts of each of its namespaces. Accounts of such a
# namespace that it does not name lose their tokens. Other namespaces stay as they are.
# The names are without a namespace: in a ClusterRole they would let an account of the same name in any
# namespace have a token for STS. So each namespace has a Role and a RoleBinding of its own.
# The ClusterRole of `render rbac` without names lets all accounts have tokens as long as it is there:
#   kubectl delete clusterrolebinding,clusterrole acr-credential-provider-token-audience
";

/// Manifests for the cluster, and behind them as comments the trust policies of the roles in RAM.
///
/// # Errors
///
/// For service accounts that no entry has a use for.
pub fn render(config: &Config, pods: &Pods) -> Result<String, Failure> {
    let mut text = String::new();
    if !pods.accounts.is_empty() {
        text += NAMES_ARE_REPLACED;
    }
    text += &manifests(&pods.accounts);
    if pods.accounts.is_empty() {
        text += "# With --service-account NAMESPACE/NAME, once for each account of a namespace, only these accounts have the right.\n# The trust policies of their roles then follow here.\n";
        return Ok(text);
    }
    pods.check(config)?;
    // Roles with the same policy together.
    let mut trusts: Vec<(Value, Vec<String>)> = Vec::new();
    for entry in config.entries.iter().filter(|entry| entry.identity.takes_pod_tokens()) {
        for (role, policy) in ram_policy::trust(&entry.identity, pods) {
            match trusts.iter_mut().find(|(known, _)| *known == policy) {
                Some((_, roles)) if roles.contains(&role) => {}
                Some((_, roles)) => roles.push(role),
                None => trusts.push((policy, vec![role])),
            }
        }
    }
    if trusts.is_empty() {
        return Err(nobody_takes_tokens("service accounts do not need a trust policy"));
    }
    for (policy, roles) in trusts {
        let condition = "/Statement/0/Condition/StringEquals/oidc:iss";
        let has_issuer = policy.pointer(condition).is_some();
        let policy = aliyun::ram_policy::text(&policy);
        let _ = writeln!(text, "#\n# Trust policy for RAM, of {}:", roles.join(", "));
        if !has_issuer {
            text += "# Give --issuer URL (of the cluster's OIDC provider) for the condition oidc:iss.\n";
        }
        if pods.accounts.len() > 1 && !pods.name_roles() {
            text += "# It names all of these accounts. For a role of each team: --service-account NAMESPACE/NAME=ROLE.\n";
        }
        for line in policy.lines() {
            let _ = writeln!(text, "#   {line}");
        }
    }
    Ok(text)
}

/// The resource of the rule is the audience itself, and its names are service accounts. The API server
/// asks for a right in the account's namespace, so a `RoleBinding` of that namespace gives it.
fn manifests(accounts: &[ServiceAccount]) -> String {
    let mut names: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for account in accounts {
        names.entry(&account.namespace).or_default().insert(&account.name);
    }
    if names.is_empty() {
        return manifest("Cluster", "", "");
    }
    let of_namespace = |(namespace, names): (&str, BTreeSet<&str>)| {
        let names: Vec<String> = names.into_iter().map(quoted).collect();
        let names = format!("    resourceNames: [{}]\n", names.join(", "));
        manifest("", &format!("  namespace: {}\n", quoted(namespace)), &names)
    };
    names.into_iter().map(of_namespace).collect::<Vec<_>>().join("---\n")
}

/// A role and its binding.
fn manifest(kind: &str, namespace: &str, names: &str) -> String {
    format!(
        "\
apiVersion: rbac.authorization.k8s.io/v1
kind: {kind}Role
metadata:
  name: {NAME}
{namespace}rules:
  - apiGroups: [\"\"]
    resources: [\"{AUDIENCE}\"]
{names}    verbs: [\"request-serviceaccounts-token-audience\"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {kind}RoleBinding
metadata:
  name: {NAME}
{namespace}roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {kind}Role
  name: {NAME}
subjects:
  - apiGroup: rbac.authorization.k8s.io
    kind: Group
    name: system:nodes
"
    )
}
