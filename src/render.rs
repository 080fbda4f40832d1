//! Files for others, written from the configuration: the kubelet's, RAM's, the cluster's.
//!
//! Nothing secret goes into them.

pub mod config_map;
pub mod kubelet_config;
pub mod ram_policy;
pub mod rbac;

use crate::aliyun::ids::is_role_name;
use crate::config::yaml::quoted;
use crate::config::{Config, Entry, IdentitySource};
use crate::failure::{Exit, Failure};
use crate::pull::identity;

/// The pods that are to pull as themselves, as the command line has them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Pods {
    pub accounts: Vec<ServiceAccount>,
    /// Who issues their tokens, a URL.
    pub issuer: Option<String>,
}

impl Pods {
    /// Whether some account says which role it has.
    fn name_roles(&self) -> bool {
        self.accounts.iter().any(|account| account.role.is_some())
    }

    /// The accounts that have a role: those that name it, and with `is_anybodys` those that name none.
    fn subjects(&self, arn: &str, is_anybodys: bool) -> Vec<String> {
        let name = arn.rsplit_once('/').map_or(arn, |(_, name)| name);
        let has = |account: &&ServiceAccount| match &account.role {
            Some(role) => role == name,
            None => is_anybodys,
        };
        self.accounts.iter().filter(has).map(ServiceAccount::subject).collect()
    }

    /// An account whose role no entry allows would be refused.
    fn check(&self, config: &Config) -> Result<(), Failure> {
        for account in &self.accounts {
            let Some(role) = &account.role else { continue };
            let allows = |entry: &Entry| {
                entry.identity.takes_pod_tokens()
                    && matches!(&entry.identity, IdentitySource::Oidc(oidc) if identity::allows_role(oidc, role))
            };
            if !config.entries.iter().any(allows) {
                return Err(Failure::new(
                    Exit::Usage,
                    format!(
                        "no entry's allowedRoles has {role}, the role of {}",
                        account.subject()
                    ),
                )
                .hint(format!(
                    "add {role}, or a pattern that it fits, to allowedRoles of an entry"
                )));
            }
        }
        Ok(())
    }
}

/// A service account by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    namespace: String,
    name: String,
    /// The role that its annotation names.
    role: Option<String>,
}

impl ServiceAccount {
    pub const FORM: &'static str = "<namespace>/<name> or <namespace>/<name>=<role>";

    /// As the API server takes namespaces (RFC 1123 labels) and names (labels joined by dots).
    pub fn parse(text: &str) -> Option<Self> {
        let (text, role) = match text.split_once('=') {
            Some((text, role)) if is_role_name(role) => (text, Some(role.to_owned())),
            Some(_) => return None,
            None => (text, None),
        };
        let (namespace, name) = text.split_once('/')?;
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let label = |label: &str| {
            let ends = label.bytes().next().zip(label.bytes().last());
            ends.is_some_and(|(first, last)| inner(first) && inner(last))
                && label.len() <= 63
                && label.bytes().all(|b| inner(b) || b == b'-')
        };
        let fits = label(namespace) && name.len() <= 253 && name.split('.').all(label);
        fits.then(|| Self { namespace: namespace.to_owned(), name: name.to_owned(), role })
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
        let with_role = ServiceAccount::parse("team-a/app=team-a-puller").unwrap();
        assert_eq!(with_role.role.as_deref(), Some("team-a-puller"));
        for not in [
            "", "app", "/app", "a/", "a/b/c", "A/b", "a.b/c", "a/*", "a/-b", "a/b..c", "a/b:c",
            "a/b=",
        ] {
            assert_eq!(subject(not), None, "{not}");
        }
    }
}
