//! The configuration: every mistake at once, what is ignored, and what will bite later.

use crate::aliyun::endpoint::Network;
use crate::config::{Config, ConfigError, Entry, IdentitySource, Scope};
use crate::doctor::report::{Problem, Station, Status};
use crate::error::Exit;
use crate::registry::RegistryHost;

const NAME: &str = "configuration";

/// What every role grants without its maximum being raised, in seconds.
const EVERY_ROLE_GRANTS: u32 = 3600;

/// The station for a configuration that can be used, or not.
#[must_use]
pub fn station(result: &Result<Config, ConfigError>) -> Station {
    match result {
        Ok(config) => usable(config),
        Err(error) => unusable(error),
    }
}

fn unusable(error: &ConfigError) -> Station {
    let mut station = Station::new(NAME);
    station.status = Status::Failed;
    station.exit = Exit::Usage as u8;
    match error {
        ConfigError::Wrong { path, problems } => {
            for note in problems {
                station.tell(format!("{}:{}: {}", path.display(), note.at, note.message));
            }
            station.remedies.push("correct the lines named above".to_owned());
        }
        ConfigError::Unreadable { .. } => {
            station.tell(error.to_string());
            station.remedies.push("see that the path is right and the file readable".to_owned());
        }
        ConfigError::Distrusted { .. } => {
            station.tell(error.to_string());
            station.remedies.push(
                "only root, or the user who runs this, may be able to change the file: see its owner and mode, and its folder's".to_owned(),
            );
        }
        ConfigError::Environment(_) => {
            station.tell(error.to_string());
            station.remedies.push(
                "unset what is not meant, or configure an entry in acr-registry-info".to_owned(),
            );
        }
    }
    station
}

fn usable(config: &Config) -> Station {
    let mut station = Station::new(NAME);
    match &config.path {
        Some(path) => station.tell(format!("{}: no mistakes", path.display())),
        None => station.tell("no file: registries of the node's own account are answered"),
    }
    for entry in &config.entries {
        station.tell(summary(entry));
    }
    for warning in &config.warnings {
        station.status = station.status.max(Status::Warning);
        station.tell(warning.clone());
        station.problems.push(Problem { what: warning.clone(), remedy: None });
    }
    for entry in &config.entries {
        what_will_bite(entry, config, &mut station);
    }
    overlaps(&config.entries, &mut station);
    station
}

/// An entry in a line: which hosts, which instance, who asks, through which role.
fn summary(entry: &Entry) -> String {
    let hosts = match &entry.scope {
        Scope::Domains(domains) => domains.join(", "),
        Scope::Instances => "the hosts of its instances".to_owned(),
        Scope::Personal => "the Personal Edition of its region".to_owned(),
        Scope::Account => "every Enterprise Edition host".to_owned(),
    };
    let who = match &entry.identity {
        IdentitySource::AccessKey(_) => "an AccessKey".to_owned(),
        IdentitySource::WorkerRole => "the worker role".to_owned(),
        IdentitySource::Oidc(oidc) => match &oidc.role {
            Some(role) => format!("RRSA as {role}"),
            None => "RRSA as the role that the service account names".to_owned(),
        },
    };
    let role = entry.role.as_ref().map_or(String::new(), |role| format!(", then {}", role.arn));
    format!("{}: {hosts}, by {who}{role}", entry.name)
}

fn what_will_bite(entry: &Entry, config: &Config, station: &mut Station) {
    let name = &entry.name;
    let oidc = match &entry.identity {
        IdentitySource::Oidc(oidc) => oidc.role.as_ref(),
        _ => None,
    };
    let session = entry.role.as_ref().map(|role| &role.arn).or(oidc);
    if let Some(role) = session
        && entry.expire_duration > EVERY_ROLE_GRANTS
    {
        station.warn(
            format!("{name}: `expireDuration` {} needs a role whose maximum session was raised", entry.expire_duration),
            format!("set the maximum session duration of {role} to {} or more, or take expireDuration out", entry.expire_duration),
        );
    }
    if matches!(entry.identity, IdentitySource::AccessKey(_)) && config.path.is_some() {
        station.warn(
            format!("{name}: a long-lived AccessKey is on this node"),
            "prefer the worker role or RRSA; else give its user nothing but the pull policy, and rotate the key",
        );
    }
    let Scope::Domains(domains) = &entry.scope else { return };
    for host in domains {
        let vpc = host
            .split('.')
            .next()
            .is_some_and(|first| first.ends_with("-vpc") || first.ends_with("-internal"));
        if vpc && config.settings.network == Some(Network::Internet) {
            station.warn(
                format!("{name}: `{host}` is a host within a VPC, and `network: internet` takes public ones for STS and ACR"),
                "set network: auto or vpc, or name the registry's public host",
            );
        }
        let form = RegistryHost::parse(host);
        if let Some(RegistryHost::PersonalInstance { .. }) = form {
            station.warn(
                format!("{name}: `{host}` is a Personal Edition instance of the kind created from 2024-09-09"),
                "the vendor says that credential helpers cannot serve it: use imagePullSecrets",
            );
        }
        if let (Some(form), Some(region)) = (&form, &entry.region)
            && form.region() != region
        {
            station.warn(
                format!("{name}: `{host}` is in {}, and `regionId` says {region}", form.region()),
                "correct regionId: it is the instance's region, not the cluster's",
            );
        }
    }
}

/// Hosts that two entries name: the second is never asked.
fn overlaps(entries: &[Entry], station: &mut Station) {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for entry in entries {
        let Scope::Domains(domains) = &entry.scope else { continue };
        for host in domains {
            match seen.iter().find(|(known, _)| known == host) {
                Some((_, first)) => station.warn(
                    format!("`{host}` is in {first} and in {}: the first answers", entry.name),
                    format!("take {host} out of one of them"),
                ),
                None => seen.push((host, &entry.name)),
            }
        }
    }
}
