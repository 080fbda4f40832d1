//! The `ConfigMap` of the vendor's helper, for those who keep both or go back to it.

use std::fmt::Write;

use crate::aliyun::ids::InstanceId;
use crate::config::keys::{ENTRY, Whose};
use crate::config::{Config, Entry, IdentitySource, Scope};
use crate::failure::{Exit, Failure};
use crate::render::quoted;
use crate::system::go_duration::format_go;

/// The manifest. It has what the vendor's helper knows; what is ours alone is left out and named
/// in a comment.
///
/// # Errors
///
/// For a configuration with an `AccessKey`, which must not lie in a `ConfigMap`.
pub fn render(config: &Config) -> Result<String, Failure> {
    if config.entries.iter().any(|entry| matches!(entry.identity, IdentitySource::AccessKey(_))) {
        return Err(Failure::new(
            Exit::Usage,
            "the configuration has an AccessKey, which is never written into a file",
        )
        .hint("write the ConfigMap by hand, or use the worker role or RRSA"));
    }
    let unknown = |entry: &&Entry| {
        matches!(entry.identity, IdentitySource::Profile(_) | IdentitySource::CredentialsUri(_))
    };
    if let Some(entry) = config.entries.iter().find(unknown) {
        let who = entry.identity.summary();
        let message =
            format!("{}: the vendor's helper does not know this identity: {who}", entry.name);
        return Err(Failure::new(Exit::Usage, message)
            .hint("write the ConfigMap by hand, or use the worker role or RRSA"));
    }
    let without_role = |entry: &&Entry| matches!(&entry.identity, IdentitySource::Oidc(oidc) if oidc.role.is_none());
    if let Some(entry) = config.entries.iter().find(without_role) {
        return Err(Failure::new(
            Exit::Usage,
            format!(
                "{} has no rrsaRoleARN, and the vendor's helper does not take roles from annotations",
                entry.name
            ),
        )
        .hint("give rrsaRoleARN, or leave the entry out"));
    }
    let mut text = String::from(
        "# credential-provider and other keys of this program alone are left out.\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: acr-configuration\n  namespace: kube-system\ndata:\n",
    );
    // They mean nothing here, but a person who goes back to the helper needs them as they were.
    for (name, _, value) in config.written.ignored.iter().filter(|(_, _, value)| !value.is_empty())
    {
        let _ = writeln!(text, "  {name}: {}", quoted(value));
    }
    let threshold = config.expiring_threshold;
    let mut written = format_go(threshold.as_secs());
    if threshold.subsec_millis() > 0 {
        let _ = write!(written, "{}ms", threshold.subsec_millis());
    }
    let _ = writeln!(text, "  expiring-threshold: {}", quoted(&written));
    let written: Vec<&Entry> =
        config.entries.iter().filter(|entry| entry.scope != Scope::Account).collect();
    // The identity of an entry may be the environment's.
    let by_rrsa = |entry: &&Entry| matches!(entry.identity, IdentitySource::Oidc(_));
    if config.written.rrsa || written.iter().any(by_rrsa) {
        text += "  rrsa: |\n    enable: true\n";
    }
    if !written.is_empty() {
        text += "  acr-registry-info: |\n";
        for entry in written {
            add(entry, &mut text);
        }
    }
    Ok(text)
}

fn add(entry: &Entry, text: &mut String) {
    let instances: Vec<&str> = entry.instances.iter().map(InstanceId::as_str).collect();
    let mut keys = vec![("instanceId", instances.join(","))];
    if let Some(region) = &entry.region {
        keys.push(("regionId", region.to_string()));
    }
    if let Scope::Domains(domains) = &entry.scope {
        keys.push(("domains", domains.join(",")));
    }
    if let IdentitySource::Oidc(oidc) = &entry.identity {
        if let Some(role) = &oidc.role {
            keys.push(("rrsaRoleARN", role.to_string()));
        }
        keys.push(("rrsaOIDCProviderRoleARN", oidc.provider.to_string()));
    }
    if let Some(role) = &entry.role {
        keys.push(("assumeRoleARN", role.arn.to_string()));
    }
    let ours = ENTRY.keys.iter().filter(|key| key.whose == Whose::Ours).map(|key| key.name);
    let ours: Vec<&str> = ours.filter(|name| entry.written.has(name)).collect();
    if !ours.is_empty() {
        let _ = writeln!(
            text,
            "    # left out, because the helper does not know it: {}",
            ours.join(", ")
        );
    }
    let mut before = "    - ";
    for (key, value) in keys {
        let _ = writeln!(text, "{before}{key}: {}", quoted(&value));
        before = "      ";
    }
    let _ = writeln!(text, "{before}expireDuration: {}", entry.expire_duration);
}
