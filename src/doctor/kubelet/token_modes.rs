//! This program in both of its modes, with pods' tokens and without, side by side in one kubelet.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::config::{Config, IdentitySource};
use crate::doctor::kubelet::images;
use crate::doctor::report::Check;
use crate::failure::{Exit, Failure};
use crate::kubelet::provider_config::Provider;
use crate::program::PROGRAM;
use crate::pull::identity::{AUDIENCE, ROLE_NAME_ANNOTATION};
use crate::pull::image::registry_host;

/// Whether a provider is this program: by its name or, under another name, by its file or a copy of
/// it, or by the tokens that it asks for, which are of use to no other.
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

/// Tokens for another audience are of no use to this program.
pub(super) fn audience(provider: &Provider, check: &mut Check) {
    let Some(tokens) = provider.tokens.as_ref().filter(|tokens| tokens.audience != AUDIENCE) else {
        return;
    };
    let line = provider.line_of("tokenAttributes");
    check.refuse(
        format!("{}:{line}: serviceAccountTokenAudience is `{}`", provider.file, tokens.audience),
        format!("set serviceAccountTokenAudience: {AUDIENCE}"),
    );
}

/// Holds what the entries for an image want of a pod against what the kubelet sends: `hits` are the
/// providers that it runs for the image.
pub(super) fn served(image: &str, hits: &[&Provider], config: &Config, check: &mut Check) {
    let (Ok(host), Some(provider)) = (registry_host(image), hits.first()) else { return };
    let Some(claim) = images::claim(host, config) else { return };
    let entries = claim.entries();
    let tokens = hits.iter().find_map(|provider| Some((provider, provider.tokens.as_ref()?)));
    let Some((provider, tokens)) = tokens else {
        let all = entries.iter().all(|entry| entry.identity.requires_pod_tokens());
        if let Some(entry) = entries.first().filter(|_| all) {
            let message = format!(
                "{} requires a pod's token for {host}, and the kubelet sends none: {} in {} has no tokenAttributes",
                entry.name, provider.name, provider.file
            );
            check.fail(&Failure::new(Exit::Identity, message).hint("use the output of `render kubelet-config --service-accounts` (Kubernetes 1.33 and later), and restart the kubelet"));
        }
        return;
    };
    if tokens.annotation_keys().any(|key| key == ROLE_NAME_ANNOTATION) {
        return;
    }
    for entry in entries {
        let IdentitySource::Oidc(oidc) = &entry.identity else { continue };
        if entry.identity.takes_pod_tokens() && !oidc.allowed_roles.is_empty() {
            check.warn(
                format!(
                    "{} has allowedRoles, and {} in {} does not send the annotation that names a role",
                    entry.name, provider.name, provider.file
                ),
                format!("add {ROLE_NAME_ANNOTATION} to optionalServiceAccountAnnotationKeys, and restart the kubelet"),
            );
        }
    }
}
