//! Which entry of the configuration covers a registry host.

use crate::aliyun::names::Region;
use crate::config::{Entry, Scope};
use crate::error::{Exit, Failure};
use crate::registry::RegistryHost;

/// What the configuration says of a host.
#[derive(Debug)]
pub enum Claim<'c> {
    /// Not ours: no credentials, and no call.
    None,
    /// This entry: it names the host, or it is the Personal Edition entry of the host's region.
    Entry(&'c Entry),
    /// One of these, if the instance behind the host is one of its instances.
    ByInstance(Vec<&'c Entry>),
    /// Whoever has the instance of this name in the node's own account.
    ByName(&'c Entry, String),
}

impl<'c> Claim<'c> {
    /// Every entry that may come to answer.
    #[must_use]
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
    let names = |entry: &&Entry| matches!(&entry.scope, Scope::Domains(domains) if domains.iter().any(|d| d == host));
    if let Some(entry) = entries.iter().find(names) {
        return Ok(Claim::Entry(entry));
    }
    let in_region = |entry: &Entry, region: &Region| match &entry.region {
        Some(own) => Ok(own == region),
        None => node_region().map(|own| own == *region),
    };
    match form {
        Some(RegistryHost::Enterprise { name, region }) => {
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
        Some(RegistryHost::Personal { region }) => {
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
