//! What lets a kubelet ask for tokens of the audience that STS takes (Kubernetes 1.33 and later;
//! KEP-4412), and what lets the service accounts behind them have their roles.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::Value;

use crate::aliyun;
use crate::config::Config;
use crate::failure::Failure;
use crate::pull::identity::AUDIENCE;
use crate::render::{Pods, ServiceAccount, nobody_takes_tokens, quoted, ram_policy};

const NAME: &str = "acr-credential-provider-token-audience";

/// Before a rule with names: a cluster has one such role, so each manifest has to name everybody.
const NAMES_ARE_REPLACED: &str = "\
# This manifest replaces the list of service accounts. Accounts that it does not name lose their tokens.
# Name all accounts of the cluster, of every team, in one call; or name none.
# The names are without a namespace: an account of the same name in any namespace gets a token for STS, too.
# Only the trust policy of a role names the namespace: `oidc:sub` lets in an account of that namespace alone.
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
        text += "# With --service-account NAMESPACE/NAME, once for each account of the cluster, only these names have the right.\n# The trust policies of their roles then follow here.\n";
        return Ok(text);
    }
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
        if pods.accounts.len() > 1 {
            text += "# It names all of these accounts. For one team's role call `render ram-policy` with its accounts.\n";
        }
        for line in policy.lines() {
            let _ = writeln!(text, "#   {line}");
        }
    }
    Ok(text)
}

/// The resource of the rule is the audience itself, and its names are service accounts; a name
/// counts in every namespace.
fn manifests(accounts: &[ServiceAccount]) -> String {
    let names: BTreeSet<&str> = accounts.iter().map(|account| account.name.as_str()).collect();
    let names: Vec<String> = names.into_iter().map(quoted).collect();
    let names = match names.as_slice() {
        [] => String::new(),
        names => format!("    resourceNames: [{}]\n", names.join(", ")),
    };
    format!(
        "\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {NAME}
rules:
  - apiGroups: [\"\"]
    resources: [\"{AUDIENCE}\"]
{names}    verbs: [\"request-serviceaccounts-token-audience\"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {NAME}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {NAME}
subjects:
  - apiGroup: rbac.authorization.k8s.io
    kind: Group
    name: system:nodes
"
    )
}
