//! What a kubelet takes in its `CredentialProviderConfig`, by its release and its feature gates.

use crate::kubelet::flags::FeatureGates;
use crate::kubelet::match_images::is_refused;
use crate::kubelet::mistake::{Finding, Mistake};
use crate::kubelet::provider_config::{Provider, TokenAttributes};
use crate::kubelet::versions::{ApiVersion, CREDENTIAL_PROVIDERS, Release, TOKENS};

/// The kubelet's own sorts of login caches, as `cacheType` names them.
const CACHE_TYPES: [&str; 2] = ["Token", "ServiceAccount"];

/// What is wrong with a provider for this kubelet. Without a release only what is wrong for all.
pub fn check(provider: &Provider, release: Option<Release>, gates: &FeatureGates) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |key: &str, mistake| findings.push(provider.finding(key, mistake));
    if let Some(release) = release {
        let versions = [("", provider.file_version), ("apiVersion", provider.api_version)];
        for (key, version) in versions {
            if let Some(version) = version.filter(|version| release < version.since()) {
                add(key, Mistake::TooNew { version, release });
            }
        }
        if !gates.is_on(&CREDENTIAL_PROVIDERS, release) {
            add("", Mistake::ProvidersOff);
        }
    }
    let name = provider.name.as_str();
    if name.is_empty() {
        add("name", Mistake::Missing("name"));
    } else if name.contains(['/', ' ']) || [".", ".."].contains(&name) {
        add("name", Mistake::Name(name.to_owned()));
    }
    if provider.match_images.is_empty() {
        add("matchImages", Mistake::Missing("matchImages"));
    }
    for pattern in &provider.match_images {
        let (_, path) = pattern.split_at(pattern.find('/').unwrap_or(pattern.len()));
        if is_refused(pattern) {
            add("matchImages", Mistake::Pattern(pattern.clone()));
        } else if pattern.contains("://") || path.contains('*') {
            add("matchImages", Mistake::Idle(pattern.clone()));
        }
    }
    if let Some(tokens) = &provider.tokens {
        for mistake in token_mistakes(provider, tokens, release, gates) {
            add("tokenAttributes", mistake);
        }
    }
    findings
}

fn token_mistakes(
    provider: &Provider,
    tokens: &TokenAttributes,
    release: Option<Release>,
    gates: &FeatureGates,
) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    if let Some(release) = release.filter(|release| *release < Release::WITH_TOKEN_ATTRIBUTES) {
        mistakes.push(Mistake::TokenAttributes(release));
    } else if release.is_some_and(|release| !gates.is_on(&TOKENS, release)) {
        mistakes.push(Mistake::TokensOff);
    }
    if [provider.file_version, provider.api_version] != [Some(ApiVersion::V1); 2] {
        mistakes.push(Mistake::TokensNeedV1);
    }
    if tokens.audience.is_empty() {
        mistakes.push(Mistake::Missing("serviceAccountTokenAudience"));
    }
    let before = release.filter(|release| *release < Release::WITH_CACHE_TYPE);
    match (tokens.cache_type.as_deref(), before) {
        (Some(_), Some(release)) => mistakes.push(Mistake::UnknownCacheType(release)),
        (None, None) => mistakes.push(Mistake::Missing("cacheType")),
        (Some(other), None) if !CACHE_TYPES.contains(&other) => {
            mistakes.push(Mistake::CacheType(other.to_owned()));
        }
        _ => {}
    }
    if !tokens.required_keys.is_empty() && !tokens.require_account {
        mistakes.push(Mistake::RequiredKeys);
    }
    let keys: Vec<&String> = tokens.annotation_keys().collect();
    for (at, key) in keys.iter().enumerate() {
        if keys.iter().take(at).any(|other| other == key) {
            mistakes.push(Mistake::SameKey((*key).clone()));
        }
        if !is_qualified(key) {
            mistakes.push(Mistake::AnnotationKey((*key).clone()));
        }
    }
    mistakes
}

/// Kubernetes' qualified name: a name of at most 63 characters, and before a slash a DNS name.
fn is_qualified(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(one, two)| (Some(one), two));
    let is_word = |text: &str, marks: &[u8], most: usize| {
        let is_end = |end: Option<char>| end.is_some_and(|c| c.is_ascii_alphanumeric());
        (1..=most).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || marks.contains(&b))
            && is_end(text.chars().next())
            && is_end(text.chars().next_back())
    };
    is_word(name, b"-_.", 63) && prefix.is_none_or(|prefix| is_word(prefix, b"-.", 253))
}
