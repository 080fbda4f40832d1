//! Which images of pods' hosts are on the node, and who may start them without a pull, by the kubelet's
//! records.

use std::io::ErrorKind;

use crate::aliyun::registry_host::RegistryHost;
use crate::config::{Config, Entry, IdentitySource, Scope};
use crate::doctor::kubelet::images::providers;
use crate::doctor::report::{Check, Name};
use crate::failure::{Exit, Failure};
use crate::kubelet::node_images::Runtime;
use crate::kubelet::open_images::{OpenImage, closing_commands, open_images, unrecorded};
use crate::kubelet::process::Kubelet;
use crate::kubelet::provider_config::Provider;
use crate::kubelet::pull_records::{Policy, PullRecords};
use crate::kubelet::service::Service;
use crate::kubelet::versions::{PULL_RECORDS, Release};
use crate::pull::image::registry_host;
use crate::pull::selection;

const NAME: Name = Name("images on the node");

/// Most images that are listed.
const MOST: usize = 100;

/// None where the kubelet sends no tokens of pods for this configuration. `ours` are the providers that
/// are this program, `service` is what starts the kubelet.
pub(super) fn check(
    kubelet: &Kubelet,
    ours: &[Provider],
    service: &Service,
    config: &Config,
) -> Option<Check> {
    let takes = |entry: &Entry| entry.identity.takes_pod_tokens();
    if !config.entries.iter().any(takes) || ours.iter().all(|provider| provider.tokens.is_none()) {
        return None;
    }
    let mut check = Check::new(NAME);
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
            "Kubernetes {release} without the feature {}: every service account starts an image that is on the node, unless its pod has imagePullPolicy: Always. That holds while the API server, STS or ACR is away, too ({TABLE})",
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
    let policy = policy(kubelet, config, &mut check);
    images(kubelet, records.as_ref(), policy.as_ref(), ours, service, config, &mut check);
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

/// What the kubelet's policy means: for images without a record, for those of a list, and when
/// something is away. None where it is not known.
fn policy(kubelet: &Kubelet, config: &Config, check: &mut Check) -> Option<Policy> {
    const KEY: &str = "imagePullCredentialsVerificationPolicy";
    let policy = match Policy::of(kubelet) {
        Ok(policy) => policy,
        Err(error) => {
            check.detail(format!("{KEY} is not known: the kubelet's configuration: {error}"));
            return None;
        }
    };
    match &policy {
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
    if let Some(row) = row(&policy, kubelet.release) {
        check.note(row);
    }
    Some(policy)
}

/// Where the table of outages is.
const TABLE: &str = "docs/identities/pod-identity.md, table `Does a container start?`";

/// The row of the table that applies to images on the node.
fn row(policy: &Policy, release: Option<Release>) -> Option<String> {
    let (name, means) = match policy {
        Policy::NeverVerify => ("NeverVerify", "every service account, whatever is away"),
        Policy::NeverVerifyPreloadedImages | Policy::AlwaysVerify => (
            "default, AlwaysVerify",
            "entitled accounts. API server away: no container starts. STS or ACR away: with a login that the kubelet kept",
        ),
        Policy::NeverVerifyAllowlistedImages(_) => (
            "NeverVerifyAllowlistedImages",
            "an image on the list: every service account, whatever is away. Others: entitled accounts, as for AlwaysVerify",
        ),
        Policy::Other(_) => return None,
    };
    let release = release.map_or_else(String::new, |release| format!("Kubernetes {release}, "));
    Some(format!(
        "{TABLE}, row `1.35 and later, on`, `{name}` ({release}{} on): an image that a pod's login pulled starts for {means}",
        PULL_RECORDS.name
    ))
}

fn images(
    kubelet: &Kubelet,
    records: Option<&PullRecords>,
    policy: Option<&Policy>,
    ours: &[Provider],
    service: &Service,
    config: &Config,
    check: &mut Check,
) {
    let of_pods = |image: &str| {
        let sends = |provider: &&Provider| provider.tokens.is_some();
        is_for_pods(image, config) && providers(ours, image).iter().any(sends)
    };
    let there = Runtime::images(kubelet);
    let known = there.as_ref().map_or(&[][..], |(_, images)| images);
    let open = open_images(records, known, policy.unwrap_or(&Policy::AlwaysVerify), of_pods);
    match records {
        Some(records) => recorded(records, policy, of_pods, check),
        None => {
            check.detail("the kubelet keeps no records of who pulled an image, or has pulled none");
        }
    }
    if let Err(why) = &there {
        check.detail(format!("images without a record are not listed: {why}"));
    }
    let (pulled, preloaded): (Vec<OpenImage>, Vec<OpenImage>) =
        open.into_iter().partition(|image| image.record.is_some());
    for image in unrecorded(records, known, of_pods).iter().take(MOST) {
        let names: Vec<&str> = image.names.iter().map(String::as_str).collect();
        let is_open = |name: &&str| policy.is_some_and(|policy| policy.opens_unrecorded(name));
        let means = if names.iter().any(is_open) {
            "it counts as preloaded: open to every service account"
        } else {
            "the next start needs a login"
        };
        check.detail(format!("{} ({}): no record, so {means}", names.join(", "), image.image_ref));
    }
    if !pulled.is_empty() {
        check.warn(
            format!("images of pods' hosts that a login of the node pulled: {}. Every service account starts them from the node, under each policy", pulled.len()),
            closing_commands(service, &pulled, there.as_ref().ok()),
        );
        check.also(["remove both: an image whose record alone is removed counts as preloaded, and one that is pulled again under its old record stays open".to_owned()]);
    }
    if !preloaded.is_empty() {
        check.warn(
            format!("images of pods' hosts without a record, which count as preloaded: {}. Every service account starts them from the node", preloaded.len()),
            closing_commands(service, &preloaded, there.as_ref().ok()),
        );
    }
    if !pulled.is_empty() || !preloaded.is_empty() {
        check.also(["`setup install --service-accounts --close-images` does that for all of them"
            .to_owned()]);
    }
    let shared = pulled.iter().chain(&preloaded).filter(|image| !image.others.is_empty());
    for image in shared {
        let others: Vec<&str> = image.others.iter().map(String::as_str).collect();
        check.detail(format!(
            "{} is also {}: removed by its id, it has to be pulled again by these names, too",
            image.image_ref,
            others.join(", ")
        ));
    }
}

/// Who may start the images that have a record.
fn recorded(
    records: &PullRecords,
    policy: Option<&Policy>,
    of_pods: impl Fn(&str) -> bool,
    check: &mut Check,
) {
    let mut lines = Vec::new();
    for pulled in &records.pulled {
        for (image, credentials) in pulled.credentials.iter().filter(|(image, _)| of_pods(image)) {
            let owners = credentials.owners();
            let who = if credentials.are_nodes() {
                "open to every service account".to_owned()
            } else if let Some(Policy::NeverVerify) = policy {
                "open to every service account by NeverVerify".to_owned()
            } else if owners.is_empty() {
                "no account has pulled it, so the next start needs a login".to_owned()
            } else {
                format!("for {}", owners.join(", "))
            };
            let lost = if pulled.is_found() {
                ""
            } else {
                ". The file of this record is not named by its image, so the kubelet does not read it"
            };
            lines.push((
                !credentials.are_nodes(),
                format!("{image} ({}): {who}{lost}", pulled.image_ref),
            ));
        }
    }
    check.detail(format!(
        "records in {}: images of pods' hosts: {}, pulls under way: {}",
        records.folder,
        lines.len(),
        records.under_way.len()
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
    if !records.unreadable.is_empty() {
        check.problem(
            format!(
                "not a record: {}. An image with such a record needs a login at its next start",
                records.unreadable.join(", ")
            ),
            None,
        );
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
