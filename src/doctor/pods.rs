//! Hosts that pods alone get a login for, each with a token of its own.

use crate::config::{Config, IdentitySource};
use crate::doctor::provider_config::Provider;
use crate::doctor::report::Station;
use crate::error::{Exit, Failure};
use crate::identity::ROLE_NAME_ANNOTATION;
use crate::image;
use crate::node::Node;
use crate::registry::RegistryHost;
use crate::selection;

/// The stations of a pull that nobody but a pod can make; none where doctor can go the way itself.
/// Without this a node that is set up well would look broken.
pub(super) fn stations(
    host: &str,
    form: Option<&RegistryHost>,
    config: &Config,
    node: &Node<'_>,
) -> Option<Vec<Station>> {
    let claim = selection::claim(&config.entries, host, form, || node.region()).ok()?;
    let entries = claim.entries();
    let pods_alone = entries.iter().all(|entry| entry.identity.requires_pod_tokens());
    if entries.is_empty() || !pods_alone {
        return None;
    }
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    let mut entry = Station::new("entry");
    entry.tell(format!("{host} is for pods with a token of their own, by {}", names.join(" or ")));
    let why = "podIdentity: required, and there is no pod's token here; README says how to try one by hand";
    let later = ["identity", "endpoints", "clock", "role", "token", "registry"];
    let skipped = later.into_iter().map(|name| Station::skipped(name, why));
    Some([entry].into_iter().chain(skipped).collect())
}

/// Holds what the entries for an image want of a pod against what the kubelet sends: `hits` are the
/// providers that it runs for the image.
pub(super) fn served(image: &str, hits: &[&Provider], config: &Config, station: &mut Station) {
    let Ok(host) = image::registry_host(image) else { return };
    let form = RegistryHost::parse(host);
    // Where the node's region decides nothing is said: it would have to be asked for.
    let unknown = || Err(Failure::new(Exit::Usage, "the region is not asked for"));
    let Ok(claim) = selection::claim(&config.entries, host, form.as_ref(), unknown) else { return };
    let entries = claim.entries();
    let Some(provider) = hits.first() else { return };
    let tokens = hits.iter().find_map(|provider| Some((provider, provider.tokens.as_ref()?)));
    let Some((provider, tokens)) = tokens else {
        let all = entries.iter().all(|entry| entry.identity.requires_pod_tokens());
        if let Some(entry) = entries.first().filter(|_| all) {
            let message = format!(
                "{} in {} has no tokenAttributes and is run for {host}, for which {} requires a pod's token: every pull is refused",
                provider.name, provider.file, entry.name
            );
            station.fail(&Failure::new(Exit::Identity, message).hint("take the output of `render kubelet-config --service-accounts` for the kubelet's CredentialProviderConfig (Kubernetes 1.33 and later), and restart the kubelet"));
        }
        return;
    };
    if tokens.annotations.iter().any(|key| key == ROLE_NAME_ANNOTATION) {
        return;
    }
    for entry in entries {
        let IdentitySource::Oidc(oidc) = &entry.identity else { continue };
        if !entry.identity.takes_pod_tokens() || oidc.allowed_roles.is_empty() {
            continue;
        }
        station.warn(
            format!(
                "{} has allowedRoles, and {} in {} does not send the annotation {ROLE_NAME_ANNOTATION}: no role that a service account names is taken",
                entry.name, provider.name, provider.file
            ),
            format!("add {ROLE_NAME_ANNOTATION} to optionalServiceAccountAnnotationKeys, and restart the kubelet"),
        );
    }
}
