//! The description, checked and made ready: policies parsed, names looked up.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::description::{AccessKey, Account, Description, Instance, OidcProvider, Personal, User};
use super::fault::{BrokenConnection, Calls};
use super::identity::Identity;
use super::policy::{Asker, Context, PermissionPolicy, TrustPolicy, Verdict};

/// The vendor's own policies that the standard world uses. `AliyunSTSAssumeRoleAccess` and the two
/// for Container Registry are quoted on the vendor's pages.
const SYSTEM_POLICIES: [(&str, &str); 4] = [
    (
        "AdministratorAccess",
        r#"{"Version":"1","Statement":[{"Action":"*","Resource":"*","Effect":"Allow"}]}"#,
    ),
    (
        "AliyunSTSAssumeRoleAccess",
        r#"{"Version":"1","Statement":[{"Action":"sts:AssumeRole","Resource":"*","Effect":"Allow"}]}"#,
    ),
    (
        "AliyunContainerRegistryFullAccess",
        r#"{"Version":"1","Statement":[{"Action":"cr:*","Resource":"*","Effect":"Allow"}]}"#,
    ),
    (
        "AliyunContainerRegistryReadOnlyAccess",
        r#"{"Version":"1","Statement":[{"Action":["cr:Get*","cr:List*","cr:PullRepository"],"Resource":"*","Effect":"Allow"}]}"#,
    ),
];

pub(super) struct World {
    pub(super) description: Description,
    roles: BTreeMap<(String, String), Role>,
    /// By account and name.
    user_policies: BTreeMap<(String, String), Vec<PermissionPolicy>>,
}

/// A role whose policies are parsed.
pub(super) struct Role {
    pub(super) trust: TrustPolicy,
    pub(super) policies: Vec<PermissionPolicy>,
    pub(super) max_session: u32,
}

/// An Enterprise Edition instance and where it is.
#[derive(Clone, Copy)]
pub(super) struct Located<'a> {
    pub(super) account: &'a str,
    pub(super) id: &'a str,
    pub(super) instance: &'a Instance,
}

impl World {
    pub(super) fn new(description: Description) -> Result<Self, String> {
        let mut roles = BTreeMap::new();
        let mut user_policies = BTreeMap::new();
        for (id, account) in &description.accounts {
            if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(format!("account `{id}`: an account id is a number"));
            }
            for (name, role) in &account.roles {
                let place = format!("role `{name}` of account {id}");
                if !(3600..=43_200).contains(&role.max_session) {
                    return Err(format!("{place}: max-session is 3600 to 43200 seconds"));
                }
                let trust = TrustPolicy::parse(&role.trust)
                    .map_err(|error| format!("{place}, trust: {error}"))?;
                let policies = permissions(&place, &role.system_policies, &role.policies)?;
                roles.insert(
                    (id.clone(), name.clone()),
                    Role { trust, policies, max_session: role.max_session },
                );
            }
            for (name, user) in &account.users {
                let place = format!("user `{name}` of account {id}");
                let policies = permissions(&place, &user.system_policies, &user.policies)?;
                user_policies.insert((id.clone(), name.clone()), policies);
            }
        }
        let world = Self { description, roles, user_policies };
        world.check_node()?;
        world.check_names()?;
        world.check_faults()?;
        Ok(world)
    }

    /// A role can be attached to an instance only if it trusts ECS.
    fn check_node(&self) -> Result<(), String> {
        let node = &self.description.node;
        let Some(name) = &node.role else { return Ok(()) };
        let Some(role) = self.role(&node.account, name) else {
            return Err(format!("node: account {} has no role `{name}`", node.account));
        };
        let ecs = Asker::Service { name: "ecs.aliyuncs.com" };
        if role.trust.decide(&ecs, &Context::new()) != Verdict::Allowed {
            return Err(format!("node: role `{name}` does not trust ecs.aliyuncs.com"));
        }
        if node.credential_age.saturating_add(1800) >= node.credential_life {
            return Err("node: a credential that old has been replaced, 30 minutes before its end"
                .to_owned());
        }
        Ok(())
    }

    /// Access keys and instances are unique in the whole cloud, instance names in their region; and
    /// secrets are something that can be looked for.
    fn check_names(&self) -> Result<(), String> {
        if let Some((id, _)) = self.access_key_secrets().find(|(_, secret)| secret.len() < 8) {
            return Err(format!("access key `{id}`: a secret that short is found everywhere"));
        }
        let mut seen = BTreeSet::new();
        for (_, account) in self.accounts() {
            let user_keys = account.users.values().flat_map(|user| user.access_keys.keys());
            for key in account.root_access_keys.keys().chain(user_keys) {
                if !seen.insert(format!("access key `{key}`")) {
                    return Err(format!("access key `{key}` is there twice"));
                }
            }
            for (id, instance) in &account.instances {
                for name in [
                    format!("instance `{id}`"),
                    format!("`{}` in {}", instance.name, instance.region),
                ] {
                    if !seen.insert(name.clone()) {
                        return Err(format!("{name} is there twice"));
                    }
                }
            }
        }
        Ok(())
    }

    fn check_faults(&self) -> Result<(), String> {
        for (hop, faults) in &self.description.faults {
            for fault in faults {
                if fault.connection == Some(BrokenConnection::Refuse) && fault.calls != Calls::ALL {
                    return Err(format!(
                        "fault of {hop}: a refused connection is not seen, so it cannot be counted; \
                         leave `calls` out, or use `reset`"
                    ));
                }
            }
        }
        Ok(())
    }

    pub(super) fn accounts(&self) -> impl Iterator<Item = (&str, &Account)> {
        self.description.accounts.iter().map(|(id, account)| (id.as_str(), account))
    }

    pub(super) fn role(&self, account: &str, name: &str) -> Option<&Role> {
        self.roles.get(&(account.to_owned(), name.to_owned()))
    }

    pub(super) fn user_policies(&self, account: &str, name: &str) -> Option<&[PermissionPolicy]> {
        self.user_policies.get(&(account.to_owned(), name.to_owned())).map(Vec::as_slice)
    }

    /// A long-lived AccessKey and whose it is.
    pub(super) fn access_key(&self, id: &str) -> Option<(Identity, &AccessKey)> {
        self.accounts().find_map(|(account, contents)| {
            if let Some(key) = contents.root_access_keys.get(id) {
                return Some((Identity::Root { account: account.to_owned() }, key));
            }
            let of_user = |(name, user): (&String, &'_ User)| {
                user.access_keys.contains_key(id).then(|| name.clone())
            };
            let name = contents.users.iter().find_map(of_user)?;
            let key = &contents.users[&name].access_keys[id];
            Some((Identity::User { account: account.to_owned(), name }, key))
        })
    }

    /// By resource name, `acs:ram::<account>:oidc-provider/<name>`.
    pub(super) fn oidc_provider(&self, arn: &str) -> Option<&OidcProvider> {
        self.oidc_providers().find_map(|(name, provider)| (name == arn).then_some(provider))
    }

    pub(super) fn oidc_providers(&self) -> impl Iterator<Item = (String, &OidcProvider)> {
        self.accounts().flat_map(|(account, contents)| {
            contents.oidc_providers.iter().map(move |(name, provider)| {
                (format!("acs:ram::{account}:oidc-provider/{name}"), provider)
            })
        })
    }

    pub(super) fn instances(&self) -> impl Iterator<Item = Located<'_>> {
        self.accounts().flat_map(|(account, contents)| {
            contents.instances.iter().map(move |(id, instance)| Located { account, id, instance })
        })
    }

    pub(super) fn instance(&self, id: &str) -> Option<Located<'_>> {
        self.instances().find(|located| located.id == id)
    }

    pub(super) fn personal(&self, account: &str, region: &str) -> Option<&Personal> {
        self.description.accounts.get(account)?.personal.get(region)
    }

    /// Every region with something of Container Registry in it.
    pub(super) fn cr_regions(&self) -> BTreeSet<String> {
        let enterprise = self.instances().map(|located| located.instance.region.clone());
        let personal = self.accounts().flat_map(|(_, account)| account.personal.keys().cloned());
        enterprise.chain(personal).collect()
    }

    /// The secrets of all long-lived AccessKeys, with their ids.
    pub(super) fn access_key_secrets(&self) -> impl Iterator<Item = (&str, &str)> {
        self.accounts().flat_map(|(_, account)| {
            let user_keys = account.users.values().flat_map(|user| &user.access_keys);
            account
                .root_access_keys
                .iter()
                .chain(user_keys)
                .map(|(id, key)| (id.as_str(), key.secret.as_str()))
        })
    }
}

fn permissions(
    place: &str,
    system: &[String],
    custom: &BTreeMap<String, Json>,
) -> Result<Vec<PermissionPolicy>, String> {
    let mut policies = Vec::new();
    for name in system {
        let Some((_, document)) = SYSTEM_POLICIES.iter().find(|(known, _)| known == name) else {
            return Err(format!("{place}: system policy `{name}` is not known here"));
        };
        let document = serde_json::from_str(document).map_err(|error| error.to_string())?;
        policies.push(PermissionPolicy::parse(&document)?);
    }
    for (name, document) in custom {
        let policy = PermissionPolicy::parse(document)
            .map_err(|error| format!("{place}, policy `{name}`: {error}"))?;
        policies.push(policy);
    }
    Ok(policies)
}
