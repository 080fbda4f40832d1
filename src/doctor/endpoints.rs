//! The services of the cloud that a pull asks.

use crate::aliyun::metadata;
use crate::config::{Entry, IdentitySource};
use crate::doctor::network::Probe;
use crate::doctor::report::Station;
use crate::pull::registry_instance::Lookup;

/// The station. Which of a service's hosts answers is known when the pull has been.
#[must_use]
pub fn station(entry: &Entry, lookup: &Lookup<'_, '_>) -> Station {
    let node = lookup.node;
    let routes = node.network.http.routes();
    let mut station = Station::new("endpoints");
    if matches!(entry.identity, IdentitySource::WorkerRole) && node.metadata().is_ok() {
        let url = node.settings.endpoints.metadata.as_deref().unwrap_or(metadata::ADDRESS);
        let probe = Probe::of(url, routes);
        probe.tell("metadata", "", &mut station);
    }
    let by_role = entry.role.is_some() || matches!(entry.identity, IdentitySource::Oidc(_));
    let sts = by_role.then(|| node.sts(lookup.known_region(entry).as_ref()));
    let services = [("STS", sts), ("ACR", Some(node.cr(|| lookup.region(entry))))];
    for (label, endpoint) in services {
        match endpoint {
            None => {}
            Some(Err(failure)) => station.tell(format!("{label}: {}", failure.message)),
            Some(Ok(endpoint)) => {
                let probe = Probe::of(&endpoint.current().url, routes);
                probe.tell(label, "", &mut station);
                for host in endpoint.given_up() {
                    station
                        .tell(format!("{label} {host}: no connection, so the one before is taken"));
                }
            }
        }
    }
    station
}
