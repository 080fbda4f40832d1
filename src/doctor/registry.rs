//! The registry itself, and the service that its pull tokens come from.
//!
//! Pulling needs them; this program does not, so what is wrong there is a warning.

use crate::aliyun::call::Network;
use crate::aliyun::challenge;
use crate::doctor::network::{AUTHENTICATION_TAKEOVER, LOOK_AT_THE_NAME, Outcome, Probe, question};
use crate::doctor::report::{Check, Name};
use crate::pull::node::Node;
use crate::pull::registry_instance::Target;

#[must_use]
pub fn check(host: &str, target: &Target<'_>, node: &Node<'_>) -> Check {
    let mut check = Check::new(Name::Registry);
    let base_url = node.settings.endpoints.registry.as_deref();
    let url = base_url.map_or_else(|| format!("https://{host}"), str::to_owned);
    let is_reached = Probe::of(&url, node.network.http.routes()).add_to("", "", &mut check);
    let network = Network { deadline: &question(), ..node.network };
    match challenge::ask(&network, host, base_url) {
        Err(error) if is_reached => check.warn(
            format!("{host}: {error}"),
            "see what answers at this name: the container runtime fails here, too",
        ),
        Err(_) => {}
        Ok(challenge) => {
            if let (Some(real), Some(configured)) = (&challenge.instance, &target.instance)
                && real != configured
            {
                check.warn(
                    format!(
                        "the registry says that it is {real}, and {} has {configured}",
                        target.entry.name
                    ),
                    "correct instanceId or domains: a login of another instance does not pull",
                );
            }
            match &challenge.realm {
                Some(realm) => authentication(realm, node, &mut check),
                None => check.warn(
                    format!(
                        "{host} answers HTTP {} without the challenge of a registry",
                        challenge.status
                    ),
                    LOOK_AT_THE_NAME,
                ),
            }
        }
    }
    check
}

/// The service that the challenge names: it must be reached, and be itself.
fn authentication(realm: &str, node: &Node<'_>, check: &mut Check) {
    let probe = Probe::of(realm, node.network.http.routes());
    let remedy = if probe.is_vpc_service() { AUTHENTICATION_TAKEOVER } else { LOOK_AT_THE_NAME };
    let not_itself =
        |why: String| format!("the authentication service does not answer as itself: {why}");
    if let Outcome::NotItself(_) = &probe.outcome {
        return check.warn(not_itself(probe.line()), remedy);
    }
    if !probe.add_to("", AUTHENTICATION_TAKEOVER, check) {
        return;
    }
    let network = Network { deadline: &question(), ..node.network };
    match challenge::knock(&network, realm) {
        Ok(200..=299 | 400..=401) => {}
        Ok(status) => check.warn(
            format!("the authentication service answers HTTP {status}; 200 or 401 is usual"),
            remedy,
        ),
        Err(error) => check.warn(not_itself(error.to_string()), remedy),
    }
}
