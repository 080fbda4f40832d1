//! Which entry an image meets, and why not the others.

use crate::aliyun::registry_host::RegistryHost;
use crate::config::{Config, Entry, Scope};
use crate::doctor::report::{Report, Station, Status};
use crate::pull::registry_instance::{Lookup, Target};
use crate::pull::selection::{self, Claim};

/// Adds the station. None if the host is not ours, an error if that cannot be known.
pub fn station<'c>(
    config: &'c Config,
    lookup: &Lookup<'_, '_>,
    report: &mut Report,
) -> Result<Option<Target<'c>>, ()> {
    let host = lookup.host;
    let mut station = Station::new("entry");
    let claim = selection::claim(&config.entries, host, lookup.form, || lookup.node.region());
    let target = claim.and_then(|claim| match claim {
        Claim::None => Ok(None),
        claim => lookup.target(claim),
    });
    match &target {
        Ok(Some(target)) => {
            let instance = target.instance.as_ref();
            let instance = instance.map_or("Personal Edition".to_owned(), ToString::to_string);
            station.tell(format!("{host} is {instance}, by {}", target.entry.name));
            tell_keys(target.entry, &mut station);
        }
        Ok(None) => {
            station.status = Status::Warning;
            station.tell(format!("{host} is covered by no entry: a pull gets no login from here"));
            station.remedies.push(match lookup.form {
                Some(RegistryHost::System { .. }) => {
                    "nothing: it has public system images".to_owned()
                }
                Some(_) => format!("add an entry to acr-registry-info with `domains: {host}`"),
                None => format!(
                    "if {host} is a custom domain of an ACR instance, add it to `domains` of its entry"
                ),
            });
        }
        Err(failure) => station.fail(failure),
    }
    if let Ok(answers) = &target {
        let answers = answers.iter().map(|target| target.entry).collect::<Vec<_>>();
        tell_others(config, &answers, lookup, &mut station);
    }
    report.add(station);
    target.map_err(|_| ())
}

/// The keys of an entry, for they are what matters for the image.
pub(super) fn tell_keys(entry: &Entry, station: &mut Station) {
    let keys = &entry.written.keys;
    let keys: Vec<String> =
        keys.iter().map(|(name, at)| format!("{name} (line {})", at.line)).collect();
    if !keys.is_empty() {
        station.tell(format!("its keys: {}", keys.join(", ")));
    }
}

/// The entries that do not answer for the host, and why not.
pub(super) fn tell_others(
    config: &Config,
    answers: &[&Entry],
    lookup: &Lookup<'_, '_>,
    station: &mut Station,
) {
    let is_other = |entry: &&Entry| !answers.iter().any(|answer| answer.name == entry.name);
    for other in config.entries.iter().filter(is_other) {
        let why = why_not(other, lookup.host, lookup.form);
        station.tell(format!("not {}: {why}", other.name));
    }
}

fn why_not(entry: &Entry, host: &str, form: Option<&RegistryHost>) -> String {
    let region = form.map(RegistryHost::region);
    match (&entry.scope, form) {
        (Scope::Domains(domains), _) if domains.iter().any(|domain| domain == host) => {
            "an entry before it names the host too".to_owned()
        }
        (Scope::Domains(domains), _) => format!("it names {}", domains.join(", ")),
        (_, None) => "only entries that name it cover a host of this form".to_owned(),
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
            _ => "the host is none of its instances'".to_owned(),
        },
    }
}
