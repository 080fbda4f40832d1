//! Files for others, written from the configuration: the kubelet's, RAM's, the cluster's.
//!
//! Nothing secret goes into them.

pub mod config_map;
pub mod kubelet_config;
pub mod ram_policy;
pub mod rbac;

use crate::config::yaml::quoted;
use crate::failure::{Exit, Failure};

/// The pods that are to pull as themselves, as the command line has them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Pods {
    pub accounts: Vec<ServiceAccount>,
    /// Who issues their tokens, a URL.
    pub issuer: Option<String>,
}

/// A service account by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    namespace: String,
    name: String,
}

impl ServiceAccount {
    pub const FORM: &'static str = "<namespace>/<name>";

    /// As the API server takes namespaces (RFC 1123 labels) and names (labels joined by dots).
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/')?;
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let label = |label: &str| {
            let ends = label.bytes().next().zip(label.bytes().last());
            ends.is_some_and(|(first, last)| inner(first) && inner(last))
                && label.len() <= 63
                && label.bytes().all(|b| inner(b) || b == b'-')
        };
        let fits = label(namespace) && name.len() <= 253 && name.split('.').all(label);
        fits.then(|| Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }

    /// As its tokens and `oidc:sub` have it.
    pub fn subject(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }
}

/// Where service accounts, or what is for them, is asked for, and no entry would take their tokens.
fn nobody_takes_tokens(so: &str) -> Failure {
    Failure::new(Exit::Usage, format!("no entry takes a pod's token, so {so}")).hint(
        "give an entry rrsaRoleARN, or allowedRoles with podIdentity: required; remove podIdentity: off",
    )
}

#[cfg(test)]
mod tests {
    use super::ServiceAccount;

    #[test]
    fn service_accounts() {
        let subject = |text| ServiceAccount::parse(text).map(|account| account.subject());
        assert_eq!(
            subject("team-a/app.v1").as_deref(),
            Some("system:serviceaccount:team-a:app.v1")
        );
        for not in
            ["", "app", "/app", "a/", "a/b/c", "A/b", "a.b/c", "a/*", "a/-b", "a/b..c", "a/b:c"]
        {
            assert_eq!(subject(not), None, "{not}");
        }
    }
}
