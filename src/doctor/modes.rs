//! This program in both of its modes, with pods' tokens and without, side by side in one kubelet.
//!
//! The kubelet asks every provider that has an image in its `matchImages` and tries all their
//! answers. With both modes for one image, the node's login would rescue a pod that was refused.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::doctor::kubelet::PROGRAM;
use crate::doctor::provider_config::Provider;
use crate::doctor::report::Station;
use crate::error::{Exit, Failure};
use crate::match_images::overlap;

/// Whether a provider is this program, by its name or, under another name, by its file.
pub(super) fn is_ours(provider: &Provider, bin_dir: &Path) -> bool {
    let path = bin_dir.join(&provider.name);
    let target = fs::canonicalize(&path).ok();
    let named = target.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    let same = || {
        let (theirs, own) = (fs::metadata(&path).ok()?, fs::metadata("/proc/self/exe").ok()?);
        Some((theirs.dev(), theirs.ino()) == (own.dev(), own.ino()))
    };
    provider.name.starts_with(PROGRAM)
        || named.is_some_and(|name| name.starts_with(PROGRAM))
        || same() == Some(true)
}

/// Fails where a provider of ours that gets tokens and one that gets none hit the same images;
/// for a provider of others a warning, for whose logins these are is not known here.
pub(super) fn apart(ours: &[&Provider], others: &[&Provider], station: &mut Station) {
    let (pods, node): (Vec<&Provider>, Vec<&Provider>) =
        ours.iter().partition(|provider| provider.tokens.is_some());
    if let Some((one, other)) = meeting(&pods, &node) {
        station.fail(
            &Failure::new(
                Exit::Usage,
                format!("{one}, with service account tokens, and {other}, without, hit the same images"),
            )
            .caused_by("the kubelet asks both and tries both logins, so the node's would rescue a pod that may not pull")
            .hint("make the matchImages of the two disjoint; `render kubelet-config --service-accounts` does"),
        );
    }
    if let Some((one, other)) = meeting(&pods, others) {
        station.warn(
            format!("{one}, with service account tokens, and {other}, which is another program, hit the same images"),
            "see that its logins are not meant to be kept from pods that are refused here, or take the images out of its matchImages",
        );
    }
}

/// The first patterns of two lists that hit the same images, each with its provider.
fn meeting(some: &[&Provider], others: &[&Provider]) -> Option<(String, String)> {
    let patterns = |providers: &[&Provider]| -> Vec<(String, String)> {
        let all = providers.iter().flat_map(|provider| {
            provider.match_images.iter().map(|pattern| (provider.name.clone(), pattern.clone()))
        });
        all.collect()
    };
    let others = patterns(others);
    patterns(some).into_iter().find_map(|(name, pattern)| {
        let (other_name, other) = others.iter().find(|(_, other)| overlap(&pattern, other))?;
        Some((format!("`{pattern}` of {name}"), format!("`{other}` of {other_name}")))
    })
}
