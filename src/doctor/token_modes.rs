//! This program in both of its modes, with pods' tokens and without, side by side in one kubelet.
//!
//! The kubelet asks every provider that has an image in its `matchImages` and tries all their
//! answers. With both modes for one image, the node's login would rescue a pod that was refused.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::doctor::kubelet::PROGRAM;
use crate::doctor::report::Station;
use crate::failure::{Exit, Failure};
use crate::kubelet::match_images::overlap;
use crate::kubelet::provider_config::Provider;
use crate::pull::identity::AUDIENCE;

/// Whether a provider is this program: by its name or, under another name, by its file or a copy of
/// it, or by the tokens that it asks for, which nobody else's are of use to.
pub(super) fn is_ours(provider: &Provider, bin_dir: &Path) -> bool {
    let path = bin_dir.join(&provider.name);
    let target = fs::canonicalize(&path).ok();
    let named = target.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    provider.name.starts_with(PROGRAM)
        || named.is_some_and(|name| name.starts_with(PROGRAM))
        || provider.tokens.as_ref().is_some_and(|tokens| tokens.audience == AUDIENCE)
        || is_this_program(&path) == Some(true)
}

/// None where it cannot be read.
fn is_this_program(path: &Path) -> Option<bool> {
    const OWN: &str = "/proc/self/exe";
    let (theirs, own) = (fs::metadata(path).ok()?, fs::metadata(OWN).ok()?);
    if (theirs.dev(), theirs.ino()) == (own.dev(), own.ino()) {
        return Some(true);
    }
    if !theirs.is_file() || theirs.len() != own.len() {
        return Some(false);
    }
    have_same_bytes(File::open(path).ok()?, File::open(OWN).ok()?).ok()
}

fn have_same_bytes(one: File, other: File) -> io::Result<bool> {
    let (mut one, mut other) = (BufReader::new(one), BufReader::new(other));
    loop {
        let (some, others) = (one.fill_buf()?, other.fill_buf()?);
        let length = some.len().min(others.len());
        if length == 0 || some.get(..length) != others.get(..length) {
            return Ok(some.is_empty() && others.is_empty());
        }
        one.consume(length);
        other.consume(length);
    }
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
