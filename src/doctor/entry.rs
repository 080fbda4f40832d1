//! Which entry an image meets, and why not the others.

use crate::aliyun::call::Network;
use crate::aliyun::challenge;
use crate::aliyun::registry_host::RegistryHost;
use crate::config::{Config, Entry, Scope};
use crate::doctor::network::question;
use crate::doctor::report::{Check, Name};
use crate::failure::Failure;
use crate::pull::registry_instance::{Lookup, Target};

/// `target` is `None` for a host that is not ours, and an error where nobody can say whether it is.
pub fn check(
    target: Result<Option<&Target<'_>>, &Failure>,
    config: &Config,
    lookup: &Lookup<'_, '_>,
) -> Check {
    let host = lookup.host;
    let mut check = Check::new(Name::ENTRY);
    match target {
        Ok(Some(target)) => {
            let instance = target.instance.as_ref();
            let instance = instance.map_or("Personal Edition".to_owned(), ToString::to_string);
            check.detail(format!("{host} is {instance}, by {}", target.entry.name));
            add_keys(target.entry, &mut check);
        }
        Ok(None) => {
            let what = format!("no entry covers {host}: a pull gets no login from this program");
            let remedy = match lookup.form {
                Some(RegistryHost::System { .. }) => {
                    Some(format!("nothing to do: the images of {host} are public"))
                }
                Some(form) => Some(beside(config, form).map_or_else(
                    || missing(form, lookup),
                    |entry| format!("add {host} to `domains` of {}", entry.name),
                )),
                None => Some(format!(
                    "if {host} is a custom domain of an ACR instance, add it to `domains` of its entry"
                )),
            };
            check.problem(what, remedy);
        }
        Err(failure) => check.fail(failure),
    }
    if let Ok(answers) = target {
        let answers = answers.iter().map(|target| target.entry).collect::<Vec<_>>();
        add_others(config, &answers, lookup, &mut check);
    }
    check
}

/// The entry that a host lacks, with what the registry says of itself: one without its instance would
/// be a mistake, with which no registry is answered.
fn missing(form: &RegistryHost, lookup: &Lookup<'_, '_>) -> String {
    let Lookup { host, node, .. } = lookup;
    let mut keys = vec![format!("regionId: {}", form.region()), format!("domains: {host}")];
    if let RegistryHost::Enterprise { .. } = form {
        let network = Network { deadline: &question(), ..node.network };
        let base_url = node.settings.endpoints.registry.as_deref();
        let Some(id) = challenge::ask(&network, host, base_url).ok().and_then(|it| it.instance)
        else {
            return format!(
                "add an entry to acr-registry-info with `instanceId` (see the console), `{}`, and assumeRoleARN for a registry of another account",
                keys.join("`, `")
            );
        };
        keys.insert(0, format!("instanceId: {id}"));
    }
    format!(
        "add this entry to acr-registry-info, and assumeRoleARN for a registry of another account:\n- {}",
        keys.join("\n  ")
    )
}

/// The entry whose `domains` have another host of the same instance: a second entry for the
/// instance would not do.
fn beside<'c>(config: &'c Config, form: &RegistryHost) -> Option<&'c Entry> {
    let is_same = |domain: &String| {
        RegistryHost::parse(domain).is_some_and(|other| other.is_of_same_instance(form))
    };
    config.entries.iter().find(|entry| entry.scope.domains().iter().any(is_same))
}

/// The keys of an entry, for they are what matters for the image.
pub(super) fn add_keys(entry: &Entry, check: &mut Check) {
    let keys = &entry.written.keys;
    let keys: Vec<String> =
        keys.iter().map(|(name, at)| format!("{name} (line {})", at.line)).collect();
    if !keys.is_empty() {
        check.detail(format!("its keys: {}", keys.join(", ")));
    }
}

/// The entries that do not answer for the host, and why not.
pub(super) fn add_others(
    config: &Config,
    answers: &[&Entry],
    lookup: &Lookup<'_, '_>,
    check: &mut Check,
) {
    let is_other = |entry: &&Entry| !answers.iter().any(|answer| answer.number == entry.number);
    for other in config.entries.iter().filter(is_other) {
        let why = why_not(other, lookup.host, lookup.form);
        check.detail(format!("not {}: {why}", other.name));
    }
}

fn why_not(entry: &Entry, host: &str, form: Option<&RegistryHost>) -> String {
    let region = form.map(RegistryHost::region);
    match (&entry.scope, form) {
        (Scope::Domains(domains), _) if domains.iter().any(|domain| domain == host) => {
            "an earlier entry names the host".to_owned()
        }
        (Scope::Domains(domains), _) => format!("it names {}", domains.join(", ")),
        (_, None) => "a host of this form must be named in `domains`".to_owned(),
        (Scope::Personal, Some(RegistryHost::Enterprise { .. })) => {
            "it is for the Personal Edition".to_owned()
        }
        (Scope::Instances, Some(RegistryHost::Personal { .. })) => {
            "it is for the Enterprise Edition".to_owned()
        }
        _ => match (&entry.region, region) {
            (Some(own), Some(region)) if own != region => {
                format!("it is for {own}, the host is in {region}")
            }
            _ => "its instances do not have the host".to_owned(),
        },
    }
}
