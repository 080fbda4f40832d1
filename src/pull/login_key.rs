//! What distinguishes one login, and one session, from another.
//!
//! Everything is taken apart field by field: a new field does not compile until somebody says here
//! whether it distinguishes logins or sessions. No secret is in a key: keys are written to files.

use crate::aliyun::ids::{InstanceId, Region};
use crate::aliyun::sts::{AssumedRole, SessionRequest};
use crate::cache::{Key, Kind};
use crate::config::{Entry, IdentitySource};
use crate::pull::identity;

/// Who asks, through which role, for which registry. `region` is the entry's, or the one that the
/// host names.
pub fn login(entry: &Entry, instance: Option<&InstanceId>, region: Option<&Region>) -> Key {
    let Entry {
        identity,
        role,
        expire_duration,
        session_name,
        pull_only,
        // The same login, whatever the entry is called and however a host led to it.
        number: _,
        name: _,
        scope: _,
        mirrors: _,
        instances: _,
        written: _,
        // What counts is `region`.
        region: _,
    } = entry;
    let [role, external_id] = role.as_ref().map(AssumedRole::key).unwrap_or_default();
    Key::new(
        Kind::Login,
        &[
            &identity::key(identity),
            role,
            external_id,
            session_name,
            &expire_duration.to_string(),
            if *pull_only { "pull-only" } else { "" },
            instance.map_or("", |instance| instance.as_str()),
            region.map_or("", |region| region.as_str()),
        ],
    )
}

/// The session of a role that an identity assumes.
pub fn assumed_session(
    identity: &IdentitySource,
    role: &AssumedRole,
    request: &SessionRequest<'_>,
) -> Key {
    let [name, duration, policy] = &request.key();
    let [arn, external_id] = role.key();
    let identity = &identity::key(identity);
    Key::new(Kind::Session, &[identity, name, duration, policy, arn, external_id])
}

/// The first session, or the credentials that are there without one.
pub fn first_session(source: &IdentitySource, first: &SessionRequest<'_>) -> Key {
    let identity = identity::key(source);
    if !identity::is_session(source) {
        return Key::new(Kind::Session, &[&identity]);
    }
    let [name, duration, policy] = &first.key();
    Key::new(Kind::Session, &[&identity, name, duration, policy])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::Config;
    use crate::system::environment::Environment;

    /// Whatever distinguishes one login from another is in its key, and a secret is not.
    #[test]
    fn logins_that_differ_in_anything_have_keys_of_their_own() {
        let plain = "instanceId: cri-a, assumeRoleARN: \"acs:ram::1:role/a\"";
        let others = [
            plain.to_owned(),
            plain.replace("cri-a", "cri-b"),
            plain.replace("role/a", "role/b"),
            plain.replace("ram::1", "ram::2"),
            format!("{plain}, externalId: x1"),
            format!("{plain}, roleSessionName: other"),
            format!("{plain}, expireDuration: 7200"),
            format!("{plain}, sessionPolicy: pull-only"),
            format!("{plain}, regionId: us-east-1"),
            format!("{plain}, customAccessKey: LTAI1, customAccessKeySecret: hunter2"),
            format!("{plain}, customAccessKey: LTAI2, customAccessKeySecret: hunter2"),
            format!("{plain}, rrsaRoleARN: \"acs:ram::1:role/r\""),
            format!("{plain}, profile: a"),
            format!("{plain}, profile: b"),
            "assumeRoleARN: \"acs:ram::1:role/a\"".to_owned(),
            "instanceId: cri-a".to_owned(),
        ];
        let mut keys = BTreeSet::new();
        for entry in &others {
            keys.insert(key(entry));
            assert_eq!(key(entry), key(entry));
        }
        assert_eq!(keys.len(), others.len(), "{keys:#?}");
        assert!(!format!("{keys:?}").contains("hunter2"));
    }

    /// A role session that STS gives is one of its name, time and policy. An AccessKey is the same
    /// for all of them.
    #[test]
    fn first_sessions_have_keys_of_their_own_where_sts_gives_them() {
        let oidc = "rrsaRoleARN: \"acs:ram::1:role/r\"";
        let access_key = "customAccessKey: LTAI1, customAccessKeySecret: hunter2";
        let plain = SessionRequest { session_name: "a", duration: 900, policy: None };
        let requests = [
            plain,
            SessionRequest { session_name: "b", ..plain },
            SessionRequest { duration: 1800, ..plain },
            SessionRequest { policy: Some("{}"), ..plain },
        ];
        for (identity, expected) in [(oidc, requests.len()), (access_key, 1)] {
            let entry = entry(identity);
            let keys = requests.map(|it| format!("{:?}", first_session(&entry.identity, &it)));
            assert_eq!(BTreeSet::from(keys).len(), expected, "{identity}");
        }
    }

    fn key(text: &str) -> String {
        let entry = entry(text);
        format!("{:?}", login(&entry, entry.instances.first(), entry.region.as_ref()))
    }

    fn entry(entry: &str) -> Entry {
        let text = format!(
            "rrsa: {{enable: true}}\ncredential-provider: {{clusterId: c1}}\nacr-registry-info: [{{{entry}}}]"
        );
        let home = Environment::new([("HOME".into(), "/root".into())]);
        Config::resolve(None, &text, false, &home).unwrap().entries.remove(0)
    }
}
