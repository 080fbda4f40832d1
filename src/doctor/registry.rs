//! The registry itself, and the service that its pull tokens come from.
//!
//! This program does not need them, but a pull does. Rules of the container runtime may lead a pull
//! elsewhere; then what is wrong there is a warning.

use crate::aliyun::call::Network;
use crate::aliyun::challenge;
use crate::doctor::network::{AUTHENTICATION_TAKEOVER, LOOK_AT_THE_NAME, Outcome, Probe, question};
use crate::doctor::report::{Check, Name};
use crate::doctor::runtime::ContainerRuntime;
use crate::failure::Exit;
use crate::net::http::Routes;
use crate::pull::node::Node;
use crate::pull::registry_instance::Target;

#[must_use]
pub fn check(
    host: &str,
    target: &Target<'_>,
    runtime: &ContainerRuntime<'_>,
    node: &Node<'_>,
) -> Check {
    let mut check = Check::new(Name::REGISTRY);
    let is_served = ask(host, target, runtime, node, &mut check);
    // Where the registry's address is overridden, what is asked is not what a runtime pulls from.
    let is_real = node.settings.endpoints.registry.is_none();
    if !is_served && is_real && !runtime.has_rule(host) {
        check.fails(Exit::RegistryToken);
    }
    check
}

/// Whether a pull gets through, as far as that is seen.
fn ask(
    host: &str,
    target: &Target<'_>,
    runtime: &ContainerRuntime<'_>,
    node: &Node<'_>,
    check: &mut Check,
) -> bool {
    let base_url = node.settings.endpoints.registry.as_deref();
    let url = base_url.map_or_else(|| format!("https://{host}"), str::to_owned);
    let kubelets = node.network.http.routes();
    let (name, routes) = runtime.routes(kubelets);
    let address = |routes: &Routes| routes.https_proxy.as_ref().map(|it| it.address.clone());
    let is_direct = address(&routes) == address(kubelets);
    let label = if is_direct { String::new() } else { format!("{name}:") };
    let probe = Probe::of(&url, &routes);
    if let (false, Some(error)) = (is_direct, probe.is_unspoken()) {
        // The runtime may speak what this program does not.
        check.is_unfollowed = true;
        check.note(format!("{name}: {error}; whether {host} is reached through it is not checked"));
        return true;
    }
    if !probe.add_to(&label, "", check) {
        return false;
    }
    if !is_direct {
        // Of this process's requests none goes through the proxy of another.
        return true;
    }
    let network = Network { deadline: &question(), ..node.network };
    match challenge::ask(&network, host, base_url) {
        Err(error) => {
            check.warn(
                format!("{host}: {error}"),
                "see what answers at this name: the container runtime fails here, too",
            );
            false
        }
        Ok(challenge) => {
            if let (Some(real), Some(configured)) = (&challenge.instance, &target.instance)
                && real != configured
            {
                check.fails(Exit::RegistryToken);
                check.warn(
                    format!(
                        "the registry says that it is {real}, and {} has {configured}",
                        target.entry.name
                    ),
                    "correct instanceId or domains: a login of another instance does not pull",
                );
            }
            if let Some(realm) = &challenge.realm {
                return authentication(realm, node, check);
            }
            check.warn(
                format!(
                    "{host} answers HTTP {} without the challenge of a registry",
                    challenge.status
                ),
                LOOK_AT_THE_NAME,
            );
            false
        }
    }
}

/// Whether the service that the challenge names is reached, and is itself.
fn authentication(realm: &str, node: &Node<'_>, check: &mut Check) -> bool {
    let probe = Probe::of(realm, node.network.http.routes());
    let remedy = if probe.is_vpc_service() { AUTHENTICATION_TAKEOVER } else { LOOK_AT_THE_NAME };
    let not_itself =
        |why: String| format!("the authentication service does not answer as itself: {why}");
    if let Outcome::NotItself(_) = &probe.outcome {
        check.warn(not_itself(probe.line()), remedy);
        return false;
    }
    if !probe.add_to("", AUTHENTICATION_TAKEOVER, check) {
        return false;
    }
    let network = Network { deadline: &question(), ..node.network };
    match challenge::knock(&network, realm) {
        Ok(200..=299 | 400..=401) => true,
        Ok(status) => {
            check.warn(
                format!("the authentication service answers HTTP {status}; 200 or 401 is usual"),
                remedy,
            );
            true
        }
        Err(error) => {
            check.warn(not_itself(error.to_string()), remedy);
            false
        }
    }
}
