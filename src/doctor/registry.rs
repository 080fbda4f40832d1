//! The registry itself, and the service that its pull tokens come from.
//!
//! Pulling needs them; this program does not, so what is wrong there is told as a warning.

use crate::aliyun::call::Network;
use crate::aliyun::challenge;
use crate::doctor::network::{AUTHENTICATION_TAKEOVER, LOOK_AT_THE_NAME, Probe, question};
use crate::doctor::report::Station;
use crate::pull::node::Node;
use crate::pull::registry_instance::Target;

#[must_use]
pub fn station(host: &str, target: &Target<'_>, node: &Node<'_>) -> Station {
    let mut station = Station::new("registry");
    let base_url = node.settings.endpoints.registry.as_deref();
    let url = base_url.map_or_else(|| format!("https://{host}"), str::to_owned);
    let reachable = Probe::of(&url, node.network.http.routes()).tell("", "", &mut station);
    let network = Network { deadline: &question(), ..node.network };
    match challenge::ask(&network, host, base_url) {
        Err(error) if reachable => station.warn(
            format!("{host}: {error}"),
            "the container runtime will fail here too: see what answers at this name",
        ),
        Err(_) => {}
        Ok(challenge) => {
            match (&challenge.instance, &target.instance) {
                (Some(told), Some(configured)) if told != configured => station.warn(
                    format!(
                        "the registry says that it is {told}, and {} has {configured}",
                        target.entry.name
                    ),
                    "correct instanceId or domains: a login of another instance does not pull",
                ),
                _ => {}
            }
            match &challenge.realm {
                Some(realm) => authentication(realm, node, &mut station),
                None => station.warn(
                    format!("{host} answers HTTP {} without the challenge of a registry", challenge.status),
                    "something else answers in its place: see where the name leads (DNS, /etc/hosts)",
                ),
            }
        }
    }
    station
}

/// The service that the challenge names: it must be reached, and be itself.
fn authentication(realm: &str, node: &Node<'_>, station: &mut Station) {
    let probe = Probe::of(realm, node.network.http.routes());
    let remedy = if probe.is_vpc_service() { AUTHENTICATION_TAKEOVER } else { LOOK_AT_THE_NAME };
    if let Some(trouble) = probe.impostor() {
        let told = format!("the authentication service does not answer as itself: {trouble}");
        return station.warn(told, remedy);
    }
    if !probe.tell("", AUTHENTICATION_TAKEOVER, station) {
        return;
    }
    let network = Network { deadline: &question(), ..node.network };
    match challenge::knock(&network, realm) {
        Ok(200..=299 | 400..=401) => {}
        Ok(status) => station.warn(
            format!("the authentication service answers HTTP {status}, which is not its way"),
            remedy,
        ),
        Err(error) => station
            .warn(format!("the authentication service does not answer as itself: {error}"), remedy),
    }
}
