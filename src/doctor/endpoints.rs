//! The services of the cloud that a pull asks.

use crate::aliyun::metadata;
use crate::config::{Entry, IdentitySource};
use crate::doctor::network::Probe;
use crate::doctor::report::{Check, Name};
use crate::pull::registry_instance::Lookup;

/// Which of a service's hosts answers is known after the pull.
#[must_use]
pub fn check(entry: &Entry, lookup: &Lookup<'_, '_>) -> Check {
    let node = lookup.node;
    let routes = node.network.http.routes();
    let mut check = Check::new(Name::Endpoints);
    if matches!(entry.identity, IdentitySource::WorkerRole) && node.metadata().is_ok() {
        let url = node.settings.endpoints.metadata.as_deref().unwrap_or(metadata::ADDRESS);
        let probe = Probe::of(url, routes);
        probe.add_to("metadata", "", &mut check);
    }
    let by_role = entry.role.is_some() || matches!(entry.identity, IdentitySource::Oidc(_));
    let sts = by_role.then(|| node.sts(lookup.known_region(entry).as_ref()));
    let services = [("STS", sts), ("ACR", Some(node.cr(|| lookup.region(entry))))];
    for (label, endpoint) in services {
        match endpoint {
            None => {}
            Some(Err(failure)) => check.detail(format!("{label}: {}", failure.text())),
            Some(Ok(endpoint)) => {
                let probe = Probe::of(&endpoint.current().url, routes);
                probe.add_to(label, "", &mut check);
                for host in endpoint.given_up() {
                    check.detail(format!("{label} {host}: no connection, so not used"));
                }
            }
        }
    }
    check
}
