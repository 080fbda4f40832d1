//! Which entry of the configuration covers a registry host.

use crate::aliyun::ids::Region;
use crate::aliyun::registry_host::RegistryHost;
use crate::config::{Entry, Scope};
use crate::failure::{Exit, Failure};

/// What the configuration says of a host.
#[derive(Debug)]
pub enum Claim<'c> {
    /// Not ours: no credentials, and no call.
    None,
    /// This entry: it names the host, or it is the Personal Edition entry of the host's region.
    Entry(&'c Entry),
    /// One of these, if the instance behind the host is one of its instances.
    ByInstance(Vec<&'c Entry>),
    /// The instance of this name in the node's own account.
    ByName(&'c Entry, String),
}

impl<'c> Claim<'c> {
    /// Every entry that may answer.
    pub fn entries(&self) -> Vec<&'c Entry> {
        match self {
            Self::None => Vec::new(),
            Self::Entry(entry) | Self::ByName(entry, _) => vec![entry],
            Self::ByInstance(entries) => entries.clone(),
        }
    }
}

/// Finds the entry for a host, in the order of the configuration; a host that an entry names
/// comes before one that would be found from an instance.
///
/// `node_region` is asked only when an entry without `regionId` could cover the host.
///
/// # Errors
///
/// When the node's region is needed and cannot be known, and for Personal Edition instances of
/// the new kind, which nothing but an entry that names them covers.
pub fn claim<'c>(
    entries: &'c [Entry],
    host: &str,
    form: Option<&RegistryHost>,
    node_region: impl Fn() -> Result<Region, Failure>,
) -> Result<Claim<'c>, Failure> {
    let names = |entry: &&Entry| {
        let has = |hosts: &[String]| hosts.iter().any(|known| known == host);
        has(entry.scope.domains()) || has(&entry.mirrors)
    };
    if let Some(entry) = entries.iter().find(names) {
        return Ok(Claim::Entry(entry));
    }
    let in_region = |entry: &Entry, region: &Region| match &entry.region {
        Some(own) => Ok(own == region),
        None => node_region().map(|own| own == *region),
    };
    match form {
        Some(RegistryHost::Enterprise { name, region, .. }) => {
            let mut candidates = Vec::new();
            for entry in entries {
                match entry.scope {
                    Scope::Account => return Ok(Claim::ByName(entry, name.clone())),
                    Scope::Instances if in_region(entry, region)? => candidates.push(entry),
                    _ => {}
                }
            }
            Ok(if candidates.is_empty() { Claim::None } else { Claim::ByInstance(candidates) })
        }
        Some(RegistryHost::Personal { region, .. }) => {
            for entry in entries.iter().filter(|entry| entry.scope == Scope::Personal) {
                if in_region(entry, region)? {
                    return Ok(Claim::Entry(entry));
                }
            }
            Ok(Claim::None)
        }
        Some(RegistryHost::PersonalInstance { .. }) => Err(Failure::new(
            Exit::Usage,
            "it is a Personal Edition instance of the kind created from 2024-09-09, which the vendor says credential helpers cannot serve",
        )
        .hint("put user name and password into a Secret and name it in the pod's imagePullSecrets, or move the images to Enterprise Edition")),
        Some(RegistryHost::System { .. }) | None => Ok(Claim::None),
    }
}

/// The host in the entries' `domains` whose name is nearest to this one.
pub fn nearest<'c>(entries: &'c [Entry], host: &str) -> Option<&'c str> {
    let domains = entries.iter().flat_map(|entry| entry.scope.domains());
    domains.map(String::as_str).min_by_key(|known| strsim::osa_distance(known, host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::system::environment::Environment;

    fn entries(text: &str) -> Vec<Entry> {
        Config::resolve(None, text, false, &Environment::default()).unwrap().entries
    }

    /// What a claim is, and the numbers of the entries that may come to answer.
    fn claimed(text: &str, host: &str) -> (&'static str, Vec<usize>) {
        let entries = entries(text);
        let here = || Ok(Region::parse("cn-hangzhou").unwrap());
        let claim = claim(&entries, host, RegistryHost::parse(host).as_ref(), here).unwrap();
        let what = match &claim {
            Claim::None => "none",
            Claim::Entry(_) => "entry",
            Claim::ByInstance(_) => "instance",
            Claim::ByName(..) => "name",
        };
        let number =
            |entry: &&Entry| entries.iter().position(|it| std::ptr::eq(it, *entry)).unwrap();
        (what, claim.entries().iter().map(number).collect())
    }

    #[test]
    fn the_entry_for_a_host() {
        let text = "acr-registry-info:\n- instanceId: cri-a\n- {instanceId: cri-b, regionId: us-east-1}\n- instanceId: cri-c\n\
                    - {instanceId: cri-d, domains: \"img.example.com,acme-registry.cn-beijing.cr.aliyuncs.com\"}\n\
                    - regionId: us-east-1\n- {}\n";
        for (host, what, numbers) in [
            ("acme-registry.cn-hangzhou.cr.aliyuncs.com", "instance", &[0, 2][..]),
            ("acme-registry.us-east-1.cr.aliyuncs.com", "instance", &[1]),
            ("acme-registry.cn-beijing.cr.aliyuncs.com", "entry", &[3]),
            ("other-registry.cn-beijing.cr.aliyuncs.com", "none", &[]),
            ("img.example.com", "entry", &[3]),
            ("img.example.com:443", "none", &[]),
            ("registry.us-east-1.aliyuncs.com", "entry", &[4]),
            ("registry.cn-hangzhou.aliyuncs.com", "entry", &[5]),
            ("registry.cn-beijing.aliyuncs.com", "none", &[]),
            ("registry-cn-hangzhou.ack.aliyuncs.com", "none", &[]),
            ("quay.io", "none", &[]),
        ] {
            assert_eq!(claimed(text, host), (what, numbers.to_vec()), "{host}");
        }
        assert_eq!(claimed("", "acme-registry.cn-beijing.cr.aliyuncs.com"), ("name", vec![0]));
        assert_eq!(claimed("", "registry.cn-hangzhou.aliyuncs.com"), ("none", vec![]));
    }

    #[test]
    fn an_instance_of_the_new_personal_kind_must_be_named() {
        let here = || Ok(Region::parse("cn-hangzhou").unwrap());
        let host = "crpi-a1.cn-hangzhou.personal.cr.aliyuncs.com";
        let form = RegistryHost::parse(host);
        assert!(claim(&entries("acr-registry-info: [{}]"), host, form.as_ref(), here).is_err());
        let named = entries(&format!("acr-registry-info: [{{domains: {host}}}]"));
        assert!(matches!(claim(&named, host, form.as_ref(), here), Ok(Claim::Entry(_))));
    }
}
