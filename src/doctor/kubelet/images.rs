//! Whether the kubelet asks the program for an image.

use crate::aliyun::registry_host::{RegistryHost, without_port};
use crate::config::Config;
use crate::doctor::report::Check;
use crate::failure::{Exit, Failure};
use crate::kubelet::match_images::matches;
use crate::kubelet::provider_config::Provider;
use crate::pull::image::repository;
use crate::pull::selection::{self, Claim};

/// The providers that the kubelet runs for an image.
pub(super) fn providers<'p>(ours: &'p [Provider], image: &str) -> Vec<&'p Provider> {
    let repository = repository(image);
    let fits = |pattern: &String| match repository.split_once('/') {
        Some(_) => matches(pattern, &repository),
        // For a host alone any path will do.
        None => matches(pattern.split('/').next().unwrap_or(pattern), &repository),
    };
    let hits = |provider: &&Provider| provider.match_images.iter().any(fits);
    ours.iter().filter(hits).collect()
}

pub(super) fn check(ours: &[Provider], image: &str, config: Option<&Config>, check: &mut Check) {
    let repository = repository(image);
    if let Some(provider) = providers(ours, image).first() {
        return check.detail(format!("matchImages of {} has {repository}", provider.name));
    }
    let host = repository.split('/').next().unwrap_or_default();
    let is_foreign = RegistryHost::parse(without_port(host)).is_none();
    if let (true, Some(Claim::None)) = (is_foreign, config.and_then(|config| claim(host, config))) {
        return check.detail(format!(
            "matchImages has no pattern for {repository}, and no entry covers it"
        ));
    }
    let places: Vec<&str> = ours.iter().map(|provider| provider.file.as_str()).collect();
    check.refuse(
        format!("matchImages has no pattern for {repository}, so the kubelet never asks for a login"),
        format!(
            "add `{host}` to matchImages in {} and restart the kubelet (`*` stands for a label or a part of one; a port must be the same)",
            places.join(" or ")
        ),
    );
}

/// The entries for a host. None where the node's region decides: doctor does not ask for it here.
pub(super) fn claim<'c>(host: &str, config: &'c Config) -> Option<Claim<'c>> {
    let form = RegistryHost::parse(host);
    let unknown = || Err(Failure::new(Exit::Usage, "the region is not known"));
    selection::claim(&config.entries, host, form.as_ref(), unknown).ok()
}
