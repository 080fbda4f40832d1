//! The registry itself, and the service that its pull tokens come from.
//!
//! This program does not need them, but a pull does. Rules of the container runtime may lead a pull
//! elsewhere; then what is wrong there is a warning.

use crate::aliyun::call::Network;
use crate::aliyun::challenge::{self, Challenge};
use crate::aliyun::pull_token::{self, TokenRequest, Trial};
use crate::config::Config;
use crate::doctor::network::{AUTHENTICATION_TAKEOVER, LOOK_AT_THE_NAME, Outcome, Probe, question};
use crate::doctor::remedy;
use crate::doctor::report::{Check, Name};
use crate::doctor::runtime::ContainerRuntime;
use crate::failure::Exit;
use crate::kubelet::exec_api::Login;
use crate::net::http::Routes;
use crate::pull::identity::Identity;
use crate::pull::node::Node;
use crate::pull::registry_instance::Target;

const TRY_AGAIN: &str = "run doctor again; if it stays, the container runtime meets the same";

/// What a container runtime would pull with.
pub struct Fetched<'f> {
    pub login: &'f Login,
    /// None where the image is a host alone.
    pub repository: Option<&'f str>,
    /// Who got the login.
    pub caller: &'f Identity,
}

/// `fetched` is `None` if no login was fetched.
#[must_use]
pub fn check(
    host: &str,
    target: &Target<'_>,
    fetched: Option<&Fetched<'_>>,
    config: &Config,
    runtime: &ContainerRuntime<'_>,
    node: &Node<'_>,
) -> Check {
    let mut check = Check::new(Name::REGISTRY);
    let gets_through = match ask(host, target, runtime, node, &mut check) {
        Asked::Realm(challenge) => fetched
            .is_none_or(|fetched| trial(&challenge, fetched, target, config, node, &mut check)),
        Asked::Unknown => true,
        // Where the registry's address is overridden, what is asked is not what a runtime pulls from.
        Asked::Unserved => node.settings.endpoints.registry.is_some(),
    };
    if !gets_through && !runtime.has_rule(host) {
        check.fails(Exit::RegistryToken);
    }
    check
}

/// Whether a pull gets through, as far as that is seen.
enum Asked {
    /// To the service that takes logins.
    Realm(Challenge),
    Unknown,
    Unserved,
}

fn ask(
    host: &str,
    target: &Target<'_>,
    runtime: &ContainerRuntime<'_>,
    node: &Node<'_>,
    check: &mut Check,
) -> Asked {
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
        return Asked::Unknown;
    }
    if !probe.add_to(&label, "", check) {
        return Asked::Unserved;
    }
    if !is_direct {
        // Of this process's requests none goes through the proxy of another.
        return Asked::Unknown;
    }
    let network = Network { deadline: &question(), ..node.network };
    match challenge::ask(&network, host, base_url) {
        Err(error) => {
            check.warn(
                format!("{host}: {error}"),
                "see what answers at this name: the container runtime fails here, too",
            );
            Asked::Unserved
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
                return Asked::Unknown;
            }
            if let Some(realm) = challenge.realm.clone() {
                return authentication(&realm, challenge, node, check);
            }
            check.warn(
                format!(
                    "{host} answers HTTP {} without the challenge of a registry",
                    challenge.status
                ),
                LOOK_AT_THE_NAME,
            );
            Asked::Unserved
        }
    }
}

/// Whether the login is taken, as far as that is seen. It is shown to nobody but the vendor.
fn trial(
    challenge: &Challenge,
    fetched: &Fetched<'_>,
    target: &Target<'_>,
    config: &Config,
    node: &Node<'_>,
    check: &mut Check,
) -> bool {
    let (Some(realm), Some(service)) = (&challenge.realm, &challenge.service) else { return true };
    if !pull_token::is_vendors(realm, node.settings.endpoints.registry.as_deref()) {
        check.detail(
            "the login was not tried: the authentication service is not one of the vendor's",
        );
        return true;
    }
    let Fetched { login, repository, caller } = fetched;
    let network = Network { deadline: &question(), ..node.network };
    let request = TokenRequest { realm, service, repository: *repository };
    let name = repository.unwrap_or_default();
    match pull_token::try_login(&network, &request, &login.user_name, &login.password) {
        Ok(Trial::Pulls) => {
            let what = repository.map_or(String::new(), |name| format!(", and pulls {name}"));
            check.detail(format!("the login is taken{what}"));
            true
        }
        Ok(Trial::NotThis) => {
            check.warn(
                format!("the login is right, and may not pull {name}: the authentication service gives no token for it"),
                format!("see that the repository {name} exists; if it does, {} lacks cr:PullRepository on it", caller.owner),
            );
            check.also(remedy::pull_right(caller, target, config));
            false
        }
        Ok(Trial::Refused(status)) => {
            check.warn(
                format!("the authentication service refuses the login: HTTP {status}"),
                format!("compare instanceId and domains of {} with the console: a login of another instance does not pull", target.entry.name),
            );
            false
        }
        Ok(Trial::Unheard(status)) => {
            check.detail(format!("the authentication service answers the login as it answers nobody, with HTTP {status}: whether it takes the login is not known"));
            true
        }
        Ok(Trial::Silent(status)) => {
            check.warn(
                format!("the authentication service answers the login with HTTP {status}, so it is not known whether a pull gets through"),
                TRY_AGAIN,
            );
            true
        }
        Err(error) => {
            check.warn(
                format!("the authentication service does not answer the login: {error}"),
                TRY_AGAIN,
            );
            true
        }
    }
}

/// Whether the service that the challenge names is reached, and is itself.
fn authentication(realm: &str, challenge: Challenge, node: &Node<'_>, check: &mut Check) -> Asked {
    let probe = Probe::of(realm, node.network.http.routes());
    let remedy = if probe.is_vpc_service() { AUTHENTICATION_TAKEOVER } else { LOOK_AT_THE_NAME };
    let not_itself =
        |why: String| format!("the authentication service does not answer as itself: {why}");
    if let Outcome::NotItself(_) = &probe.outcome {
        check.warn(not_itself(probe.line()), remedy);
        return Asked::Unserved;
    }
    if !probe.add_to("", AUTHENTICATION_TAKEOVER, check) {
        return Asked::Unserved;
    }
    let network = Network { deadline: &question(), ..node.network };
    match challenge::knock(&network, realm) {
        Ok(200..=299 | 400..=401) => Asked::Realm(challenge),
        Ok(status) => {
            check.warn(
                format!("the authentication service answers HTTP {status}; 200 or 401 is usual"),
                remedy,
            );
            Asked::Unknown
        }
        Err(error) => {
            check.warn(not_itself(error.to_string()), remedy);
            Asked::Unserved
        }
    }
}
