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

/// Before a rule with names: there is one such role in a cluster, so what is applied next has to
/// name everybody again.
const NAMES_ARE_REPLACED: &str = "\
# Applying this replaces the service accounts that were named before: those that are not named here
# lose their tokens. So name all of the cluster, of every team, in one call, or name none.
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
        text += "# With --service-account NAMESPACE/NAME, once for each of the cluster, the right is for these names alone,\n# and the trust policies of their roles are written here.\n";
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
        return Err(nobody_takes_tokens("service accounts need no trust policy"));
    }
    for (policy, roles) in trusts {
        let policy = aliyun::ram_policy::text(&policy);
        let _ = writeln!(text, "#\n# Trust policy for RAM, of {}:", roles.join(", "));
        if !policy.contains("oidc:iss") {
            text += "# (with --issuer URL, the URL of the cluster's OIDC provider, it has oidc:iss as well)\n";
        }
        if pods.accounts.len() > 1 {
            text += "# (it lets in all that are named; for a team's role call `render ram-policy` with that team's alone)\n";
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
