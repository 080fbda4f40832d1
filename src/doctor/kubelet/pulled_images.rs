//! Which images of pods' hosts are on the node, and who may start them without a pull, by the kubelet's
//! records.

use std::io::ErrorKind;

use crate::aliyun::registry_host::RegistryHost;
use crate::config::{Config, Entry, IdentitySource, Scope};
use crate::doctor::kubelet::images::providers;
use crate::doctor::report::{Check, Name};
use crate::failure::{Exit, Failure};
use crate::kubelet::process::Kubelet;
use crate::kubelet::provider_config::Provider;
use crate::kubelet::pull_records::{Policy, PullRecords, Pulled};
use crate::kubelet::versions::PULL_RECORDS;
use crate::pull::image::registry_host;
use crate::pull::selection;

/// Most images that are listed.
const MOST: usize = 100;

/// None where the kubelet sends no tokens of pods for this configuration. `ours` are the providers that
/// are this program, `unit` is what starts the kubelet.
pub(super) fn check(
    kubelet: &Kubelet,
    ours: &[Provider],
    unit: &str,
    config: &Config,
) -> Option<Check> {
    let takes = |entry: &Entry| entry.identity.takes_pod_tokens();
    if !config.entries.iter().any(takes) || ours.iter().all(|provider| provider.tokens.is_none()) {
        return None;
    }
    let mut check = Check::new(Name::Images);
    for entry in config.entries.iter().filter(|entry| opens_static_pods(entry, ours)) {
        check.warn(
            format!(
                "{} has podIdentity: auto: a static pod pulls with the token file, and then every service account starts its image from the node",
                entry.name
            ),
            "set podIdentity: required, unless static pods need images of this entry",
        );
    }
    let is_kept =
        kubelet.release.map(|release| kubelet.feature_gates().is_on(&PULL_RECORDS, release));
    if let (Some(release), Some(false)) = (kubelet.release, is_kept) {
        check.note(format!(
            "Kubernetes {release} without the feature {}: every service account starts an image that is on the node, unless its pod has imagePullPolicy: Always",
            PULL_RECORDS.name
        ));
        return Some(check);
    }
    let records = match PullRecords::read(kubelet) {
        Ok(records) => records,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            check.problem(
                "this user cannot read who pulled the images that are on the node".to_owned(),
                Some("run doctor as root".to_owned()),
            );
            return Some(check);
        }
        Err(error) => {
            check.problem(format!("the kubelet's records of images: {error}"), None);
            return Some(check);
        }
    };
    policy(kubelet, config, &mut check);
    match records {
        Some(records) => images(&records, ours, unit, config, &mut check),
        None => {
            check.detail("the kubelet keeps no records of who pulled an image, or has pulled none");
        }
    }
    Some(check)
}

/// Whether a static pod gets a login by the token file, beside pods with tokens.
fn opens_static_pods(entry: &Entry, ours: &[Provider]) -> bool {
    let IdentitySource::Oidc(oidc) = &entry.identity else { return false };
    let is_auto = entry.identity.takes_pod_tokens() && !entry.identity.requires_pod_tokens();
    let is_run = |provider: &Provider| {
        provider.tokens.as_ref().is_some_and(|tokens| !tokens.require_account)
    };
    let is_reached = match &entry.scope {
        Scope::Domains(domains) => {
            domains.iter().any(|host| providers(ours, host).into_iter().any(is_run))
        }
        Scope::Instances | Scope::Personal | Scope::Account => ours.iter().any(is_run),
    };
    is_auto && oidc.role.is_some() && is_reached
}

/// What the kubelet's policy means for images without a record, and for those of a list.
fn policy(kubelet: &Kubelet, config: &Config, check: &mut Check) {
    const KEY: &str = "imagePullCredentialsVerificationPolicy";
    let policy = match Policy::of(kubelet) {
        Ok(policy) => policy,
        Err(error) => {
            return check
                .detail(format!("{KEY} is not known: the kubelet's configuration: {error}"));
        }
    };
    match policy {
        Policy::NeverVerify => check.warn(
            format!("{KEY} is NeverVerify: every service account starts any image that is on the node"),
            format!("set {KEY}: AlwaysVerify in the kubelet's configuration and restart the kubelet, if only entitled accounts are to start images. Their containers then wait for the API server and the cloud"),
        ),
        Policy::NeverVerifyPreloadedImages => check.note(format!(
            "{KEY} is NeverVerifyPreloadedImages: every service account starts an image without a record"
        )),
        Policy::NeverVerifyAllowlistedImages(list) => {
            check.note(format!("{KEY} is NeverVerifyAllowlistedImages: an image that is not on the list needs a login, also without a record"));
            for pattern in list.iter().filter(|pattern| is_for_pods(pattern, config)) {
                check.warn(
                    format!("preloadedImagesVerificationAllowlist has `{pattern}`: every service account starts these images from the node"),
                    "remove it from the list in the kubelet's configuration and restart the kubelet, if only entitled accounts are to start them",
                );
            }
        }
        Policy::AlwaysVerify => {
            check.note(format!("{KEY} is AlwaysVerify: an image without a record needs a login"));
        }
        Policy::Other(name) => check.note(format!("{KEY} is `{name}`, which is not known here")),
    }
}

fn images(
    records: &PullRecords,
    ours: &[Provider],
    unit: &str,
    config: &Config,
    check: &mut Check,
) {
    let mut open: Vec<&Pulled> = Vec::new();
    let mut lines = Vec::new();
    for pulled in &records.pulled {
        let of_pods = |image: &str| {
            let sends = |provider: &&Provider| provider.tokens.is_some();
            is_for_pods(image, config) && providers(ours, image).iter().any(sends)
        };
        for (image, credentials) in pulled.credentials.iter().filter(|(image, _)| of_pods(image)) {
            let owners = credentials.owners();
            let who = if credentials.node_pods_accessible {
                open.push(pulled);
                "open to every service account".to_owned()
            } else if owners.is_empty() {
                "no account has pulled it, so the next start needs a login".to_owned()
            } else {
                format!("for {}", owners.join(", "))
            };
            lines.push((
                !credentials.node_pods_accessible,
                format!("{image} ({}): {who}", pulled.image_ref),
            ));
        }
    }
    open.dedup_by_key(|pulled| &pulled.file);
    check.detail(format!(
        "records in {}: images of pods' hosts: {}, pulls under way: {}. An image without a record is not among them",
        records.folder,
        lines.len(),
        records.under_way
    ));
    // Open ones first.
    lines.sort_by_key(|(is_closed, _)| *is_closed);
    let more = lines.len().saturating_sub(MOST);
    for (_, line) in lines.into_iter().take(MOST) {
        check.detail(line);
    }
    if more > 0 {
        check.detail(format!("and {more} more images"));
    }
    if !open.is_empty() {
        let words = |word: fn(&Pulled) -> &str| {
            open.iter().map(|pulled| word(pulled)).collect::<Vec<_>>().join(" ")
        };
        check.warn(
            format!("images of pods' hosts that a login of the node pulled: {}. Every service account starts them from the node, under each policy", open.len()),
            format!(
                "systemctl stop {unit}; rm {}; crictl rmi {}; systemctl start {unit}",
                words(|pulled| &pulled.file),
                words(|pulled| &pulled.image_ref)
            ),
        );
        check.also(["remove both: an image whose record alone is removed counts as preloaded, and one that is pulled anew under its old record stays open".to_owned()]);
    }
    if !records.unreadable.is_empty() {
        check.problem(format!("not a record: {}", records.unreadable.join(", ")), None);
    }
}

/// Whether the entries that may answer for an image take the tokens of pods.
fn is_for_pods(image: &str, config: &Config) -> bool {
    let Ok(host) = registry_host(image) else { return false };
    // Where the node's region decides and is not configured, it would have to be asked for.
    let region = || {
        let unknown = || Failure::new(Exit::Usage, "the region is not known");
        config.settings.node_region.clone().ok_or_else(unknown)
    };
    let form = RegistryHost::parse(host);
    let claim = selection::claim(&config.entries, host, form.as_ref(), region);
    claim.is_ok_and(|claim| claim.entries().iter().any(|entry| entry.identity.takes_pod_tokens()))
}
