//! Which Enterprise Edition instance answers on a registry host.
//!
//! Never "the first": the registry's own anonymous challenge names its instance, and where that
//! cannot be had the API lists what hosts each instance answers on.

use crate::aliyun::call::CallError;
use crate::aliyun::ids::{InstanceId, Region};
use crate::aliyun::registry_host::{RegistryHost, region_in_name, without_port};
use crate::aliyun::{Hop, acr, challenge};
use crate::config::Entry;
use crate::failure::facts::Facts;
use crate::failure::{Exit, Failure};
use crate::pull::identity::Identity;
use crate::pull::node::Node;
use crate::pull::selection::Claim;

/// Whose login is asked for, and for what.
#[derive(Debug, Clone)]
pub struct Target<'c> {
    pub entry: &'c Entry,
    /// None for Personal Edition.
    pub instance: Option<InstanceId>,
}

impl<'c> Target<'c> {
    /// What a claim says by itself, without anybody being asked.
    pub fn of_claim(claim: &Claim<'c>) -> Option<Self> {
        let Claim::Entry(entry) = *claim else { return None };
        match entry.instances.as_slice() {
            [] => Some(Self { entry, instance: None }),
            [only] => Some(Self { entry, instance: Some(only.clone()) }),
            _ => None,
        }
    }
}

/// A host, and the node that looks for its instance.
#[derive(Clone, Copy)]
pub struct Lookup<'a, 'n> {
    pub host: &'a str,
    pub form: Option<&'a RegistryHost>,
    pub node: &'a Node<'n>,
}

/// Gives an entry's session, for asking the API.
type Session<'s> = &'s dyn Fn(&Entry) -> Result<Identity, Failure>;

impl Lookup<'_, '_> {
    /// Turns a claim into a target; none if the host turns out not to be ours.
    ///
    /// # Errors
    ///
    /// When the instance cannot be learnt, or two entries have it.
    pub fn target<'c>(
        &self,
        claim: &Claim<'c>,
        session: Session<'_>,
    ) -> Result<Option<Target<'c>>, Failure> {
        match claim {
            Claim::None => Ok(None),
            Claim::Entry(entry) => match Target::of_claim(claim) {
                Some(target) => Ok(Some(target)),
                None => self.one_of(entry, session).map(Some),
            },
            Claim::ByInstance(entries) => self.by_instance(entries, session),
            Claim::ByName(entry, name) => {
                let instance = match self.challenge() {
                    Some(instance) => instance,
                    None => self.named(entry, name, session)?,
                };
                Ok(Some(Target { entry, instance: Some(instance) }))
            }
        }
    }

    /// An entry that names the host and has several instances.
    fn one_of<'c>(&self, entry: &'c Entry, session: Session<'_>) -> Result<Target<'c>, Failure> {
        let name = &entry.name;
        let instance = match self.challenge() {
            Some(named) if entry.instances.contains(&named) => named,
            Some(named) => {
                let message =
                    format!("the registry says that it is {named}, which {name} does not have");
                return Err(Failure::new(Exit::Usage, message).hint(
                    "add the id to instanceId of that entry, or take the host out of its domains",
                ));
            }
            None => self.listed(&[entry], session)?.ok_or_else(|| {
                Failure::new(Exit::RegistryToken, format!("no instance of {name} answers on it"))
                    .hint("give the host an entry of its own with one instanceId")
            })?,
        };
        Ok(Target { entry, instance: Some(instance) })
    }

    /// Entries that name no host: the instance decides.
    fn by_instance<'c>(
        &self,
        entries: &[&'c Entry],
        session: Session<'_>,
    ) -> Result<Option<Target<'c>>, Failure> {
        let instance = match self.challenge() {
            Some(named) => named,
            None => match self.listed(entries, session)? {
                Some(listed) => listed,
                None => return Ok(None),
            },
        };
        let mut having =
            entries.iter().copied().filter(|entry| entry.instances.contains(&instance));
        match (having.next(), having.next()) {
            (None, _) => Ok(None),
            (Some(entry), None) => Ok(Some(Target { entry, instance: Some(instance) })),
            (Some(first), Some(second)) => Err(Failure::new(
                Exit::Usage,
                format!("it is {instance}, which both {} and {} have", first.name, second.name),
            )
            .hint("name the host in `domains` of the entry that is to answer for it")),
        }
    }

    /// What the registry says of itself; a registry that says nothing is not a failure.
    fn challenge(&self) -> Option<InstanceId> {
        let base_url = self.node.settings.endpoints.registry.as_deref();
        let challenge = challenge::ask(&self.node.network, self.host, base_url);
        challenge.map_or_else(
            |error| {
                let hop = Hop::RegistryChallenge;
                self.node.network.journal.info(format!("{hop} at {}: {error}", self.host));
                None
            },
            |challenge| challenge.instance,
        )
    }

    /// Asks for the hosts of each instance until one of them is this host.
    ///
    /// A failure counts only if no other instance has the host: one entry's broken role must not
    /// prevent another's pull.
    fn listed(
        &self,
        entries: &[&Entry],
        session: Session<'_>,
    ) -> Result<Option<InstanceId>, Failure> {
        let host = without_port(self.host);
        let mut failure = None;
        for entry in entries {
            for instance in &entry.instances {
                match self.domains(entry, instance, session) {
                    Ok(domains) if domains.iter().any(|domain| domain == host) => {
                        return Ok(Some(instance.clone()));
                    }
                    Ok(_) => {}
                    Err(failed) => {
                        let no_session = failed.exit != Exit::RegistryToken;
                        failure = failure.or(Some(failed));
                        if no_session {
                            break;
                        }
                    }
                }
            }
        }
        failure.map_or(Ok(None), Err)
    }

    fn domains(
        &self,
        entry: &Entry,
        instance: &InstanceId,
        session: Session<'_>,
    ) -> Result<Vec<String>, Failure> {
        let session = session(entry)?;
        let endpoint = self.node.cr(|| self.region(entry))?;
        let hop = Hop::ListInstanceEndpoint;
        let domains =
            acr::instance_domains(&self.node.network, endpoint, &session.credentials, instance)
                .map_err(|error| failure(hop, instance.as_str(), &session, &error))?;
        if domains.is_empty() {
            let message = format!(
                "the instance {instance} has no endpoint switched on ({hop} gives an empty list)"
            );
            return Err(Failure::new(Exit::RegistryToken, message).hint(
                "switch on the Internet or the VPC endpoint of the instance in its console",
            ));
        }
        Ok(domains)
    }

    fn named(
        &self,
        entry: &Entry,
        name: &str,
        session: Session<'_>,
    ) -> Result<InstanceId, Failure> {
        let session = session(entry)?;
        let endpoint = self.node.cr(|| self.region(entry))?;
        let found = acr::instance_named(&self.node.network, endpoint, &session.credentials, name)
            .map_err(|error| failure(Hop::ListInstance, name, &session, &error))?;
        found.ok_or_else(|| {
            let message = format!(
                "{} has no instance named `{name}` in this account and region",
                Hop::ListInstance
            );
            Failure::new(Exit::RegistryToken, message).hint(
                "for an instance of another account add an entry with instanceId and assumeRoleARN",
            )
        })
    }

    /// The entry's region, else the one in the host's name, else the node's.
    ///
    /// # Errors
    ///
    /// When nothing else names it and the metadata service does not either.
    pub fn region(&self, entry: &Entry) -> Result<Region, Failure> {
        self.known_region(entry).map_or_else(|| self.node.region(), Ok)
    }

    /// The region that the entry or the host names. The name of a mirror says nothing of the
    /// registry behind it.
    pub fn known_region(&self, entry: &Entry) -> Option<Region> {
        let is_mirror = entry.mirrors.iter().any(|mirror| mirror == self.host);
        let of_host = || {
            if is_mirror {
                entry.scope.domains().iter().find_map(|host| region_in_name(host))
            } else {
                region_in_name(self.host)
            }
        };
        entry.region.clone().or_else(of_host)
    }
}

fn failure(hop: Hop, what: &str, caller: &Identity, error: &CallError) -> Failure {
    Failure::of_call(&Facts::registry(hop, &caller.owner, Some(what), None), error)
}
