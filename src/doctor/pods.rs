//! Hosts that pods alone get a login for, each with a token of its own.

use crate::aliyun::registry_host::RegistryHost;
use crate::config::{Config, IdentitySource};
use crate::doctor::report::{Report, Station};
use crate::doctor::{endpoints, entry, oss, registry};
use crate::failure::{Exit, Failure};
use crate::kubelet::provider_config::Provider;
use crate::pull::identity::ROLE_NAME_ANNOTATION;
use crate::pull::image;
use crate::pull::node::Node;
use crate::pull::registry_instance::{Lookup, Target};
use crate::pull::selection::{self, Claim};

/// The names of the entries that may answer, if each of them requires a pod's token; none where
/// doctor can go the way itself. Without this a node that is set up well would look broken.
pub(super) fn alone<'c>(
    host: &str,
    form: Option<&RegistryHost>,
    config: &'c Config,
    node: &Node<'_>,
) -> Option<Claim<'c>> {
    let claim = selection::claim(&config.entries, host, form, || node.region()).ok()?;
    let entries = claim.entries();
    let pods_alone = entries.iter().all(|entry| entry.identity.requires_pod_tokens());
    (!entries.is_empty() && pods_alone).then_some(claim)
}

/// The stations of a pull that nobody but a pod can make: what needs no login is looked at.
pub(super) fn stations(
    claim: &Claim<'_>,
    oss: Option<&str>,
    config: &Config,
    lookup: &Lookup<'_, '_>,
    report: &mut Report,
) {
    let host = lookup.host;
    let entries = claim.entries();
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    let mut station = Station::new("entry");
    station
        .tell(format!("{host} is for pods with a token of their own, by {}", names.join(" or ")));
    for entry in &entries {
        entry::tell_keys(entry, &mut station);
    }
    entry::tell_others(config, &entries, lookup, &mut station);
    report.add(station);
    let why = "podIdentity: required, and there is no pod's token here; README says how to try one by hand";
    for name in ["identity", "role", "token"] {
        report.add(Station::unfollowed(name, why));
    }
    // Which instance it is may take a login to know; each entry will do for its services.
    let target = Target::of_claim(claim);
    let entry = entries.first().copied();
    let Some(target) = target.or_else(|| entry.map(|entry| Target { entry, instance: None }))
    else {
        return;
    };
    report.add(endpoints::station(target.entry, lookup));
    report.add(registry::station(host, &target, lookup.node));
    report.stations.extend(oss::station(oss, &target, lookup));
}

/// Tells that there is no identity where the kubelet sends the tokens of pods, which need it not.
pub(super) fn without_token(failure: &Failure, report: &mut Report) {
    let mut station = Station::new("identity");
    let hint = failure.hint.as_deref().unwrap_or("see to it if there are such requests");
    station.warn(
        format!("{}; this is only for requests without a token (static pods), and the kubelet sends pods' tokens for this image", failure.message),
        format!("{hint}; or set podIdentity: required if pods alone are to pull"),
    );
    report.add(station);
    for name in ["role", "token"] {
        report.add(Station::unfollowed(name, "the identity is a pod's token, and there is none here; README says how to try one by hand"));
    }
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
