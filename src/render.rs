//! Files for others, written from the configuration: the kubelet's, RAM's, the cluster's.
//!
//! Nothing secret goes into them.

pub mod config_map;
pub mod kubelet_config;
pub mod ram_policy;

/// What lets a kubelet ask for tokens of the audience that STS takes (Kubernetes 1.33 and later;
/// KEP-4412). The resource of the rule is the audience itself.
pub const RBAC: &str = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: acr-credential-provider-token-audience
rules:
  - apiGroups: [\"\"]
    resources: [\"sts.aliyuncs.com\"]
    verbs: [\"request-serviceaccounts-token-audience\"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: acr-credential-provider-token-audience
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: acr-credential-provider-token-audience
subjects:
  - apiGroup: rbac.authorization.k8s.io
    kind: Group
    name: system:nodes
";

/// A text as YAML and JSON both read it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
