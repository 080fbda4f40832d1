//! The services of the cloud that a pull asks.

use crate::aliyun::metadata;
use crate::config::{Entry, IdentitySource};
use crate::doctor::network::Probe;
use crate::doctor::report::{Check, Name};
use crate::pull::registry_instance::Lookup;
use crate::system::firmware::Machine;

/// Which of a service's hosts answers is known after the pull.
#[must_use]
pub fn check(entry: &Entry, lookup: &Lookup<'_, '_>) -> Check {
    let node = lookup.node;
    let routes = node.network.http.routes();
    let mut check = Check::new(Name::ENDPOINTS);
    if matches!(entry.identity, IdentitySource::WorkerRole) && node.metadata().is_ok() {
        let url = node.settings.endpoints.metadata.as_deref().unwrap_or(metadata::ADDRESS);
        let probe = Probe::of(url, routes);
        let is_on_cloud = Machine::read() == Machine::AlibabaCloud;
        let remedy = if is_on_cloud {
            format!(
                "iptables-save | grep -F {0}; nft list ruleset | grep -F {0}; ip route get {0}",
                probe.name
            )
        } else {
            "the metadata service answers on ECS instances only; elsewhere use RRSA or an AccessKey"
                .to_owned()
        };
        if !probe.add_to("metadata", &remedy, &mut check) && is_on_cloud {
            check.detail("this machine's firmware names Alibaba Cloud: its metadata service should answer, and a rule here may drop the packets");
        }
    }
    if let IdentitySource::CredentialsUri(uri) = &entry.identity {
        let probe = Probe::of(&uri.base_url, routes);
        probe.add_to("credentials URI", "", &mut check);
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
