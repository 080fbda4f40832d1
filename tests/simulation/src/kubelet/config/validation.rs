//! What a well-formed configuration must also say: config.go `validateCredentialProviderConfig`.

use std::collections::BTreeSet;

use super::super::duration::GoDuration;
use super::super::response::API_VERSIONS;
use super::super::url;
use super::document::{WrittenProvider, WrittenTokenAttributes};
use super::{CacheType, Config, Kubelet, ProviderConfig, TokenAttributes};

/// Checks every provider before giving up, so that the error names all that is wrong.
pub(super) fn validate(written: Vec<WrittenProvider>, kubelet: Kubelet) -> Result<Config, String> {
    let mut problems = Problems::default();
    if written.is_empty() {
        problems.add("providers: at least 1 item in plugins is required");
    }
    let mut names = BTreeSet::new();
    let mut providers = Vec::new();
    for provider in written {
        if !names.insert(provider.name.clone()) {
            problems.add(format!("providers.name: duplicate value {:?}", provider.name));
        }
        providers.extend(check_provider(provider, kubelet, &mut problems));
    }
    problems.into_result(Config { providers })
}

/// Field by field; the errors of all fields are collected. None if the provider has any.
fn check_provider(
    provider: WrittenProvider,
    kubelet: Kubelet,
    problems: &mut Problems,
) -> Option<ProviderConfig> {
    check_name(&provider.name, problems);
    check_api_version(&provider.api_version, kubelet, problems);
    if provider.match_images.is_empty() {
        problems.add("providers.matchImages: at least 1 item in matchImages is required");
    }
    for pattern in &provider.match_images {
        if let Err(error) = url::parse_schemeless(pattern) {
            problems.add(format!("providers.matchImages: match image is invalid: {error}"));
        }
    }
    let default_cache_duration = check_duration(provider.default_cache_duration, problems);
    let token_attributes = match provider.token_attributes {
        None => None,
        Some(attributes) => {
            check_service_account_mode(&provider.api_version, kubelet, problems);
            Some(check_token_attributes(attributes, kubelet, problems)?)
        }
    };
    Some(ProviderConfig {
        name: provider.name,
        match_images: provider.match_images,
        default_cache_duration: default_cache_duration?,
        api_version: provider.api_version,
        args: provider.args,
        env: provider.env,
        token_attributes,
    })
}

/// The name becomes a path below the bin-dir.
fn check_name(name: &str, problems: &mut Problems) {
    let problem = match name {
        "" => "provider name is required",
        "." => "provider name cannot be '.'",
        ".." => "provider name cannot be '..'",
        _ if name.contains('/') => "provider name cannot contain '/'",
        _ if name.contains(' ') => "provider name cannot contain spaces",
        _ => return,
    };
    problems.add(format!("providers.name: {name:?}: {problem}"));
}

fn check_api_version(api_version: &str, kubelet: Kubelet, problems: &mut Problems) {
    let since = match API_VERSIONS.iter().position(|known| *known == api_version) {
        Some(0) => 26,
        Some(1) => 24,
        Some(_) => 20,
        None => u32::MAX,
    };
    if api_version.is_empty() {
        problems.add("providers.apiVersion: required");
    } else if kubelet.minor < since {
        problems.add(format!("providers.apiVersion: unsupported value {api_version:?}"));
    }
}

fn check_duration(duration: Option<GoDuration>, problems: &mut Problems) -> Option<GoDuration> {
    match duration {
        None => problems.add("providers.defaultCacheDuration: required"),
        Some(duration) if duration < GoDuration::ZERO => {
            problems.add("providers.defaultCacheDuration: must be greater than or equal to 0");
        }
        Some(_) => {}
    }
    duration
}

fn check_service_account_mode(api_version: &str, kubelet: Kubelet, problems: &mut Problems) {
    if !kubelet.service_account_tokens {
        problems.add(
            "providers.tokenAttributes: not supported when \
             KubeletServiceAccountTokenForCredentialProviders feature gate is disabled",
        );
    }
    if api_version != API_VERSIONS[0] {
        problems.add(format!(
            "providers.tokenAttributes: only supported for {} API version",
            API_VERSIONS[0]
        ));
    }
}

fn check_token_attributes(
    attributes: WrittenTokenAttributes,
    kubelet: Kubelet,
    problems: &mut Problems,
) -> Option<TokenAttributes> {
    const PLACE: &str = "providers.tokenAttributes";
    if attributes.audience.is_empty() {
        problems.add(format!("{PLACE}.serviceAccountTokenAudience: required"));
    }
    if attributes.require_service_account.is_none() {
        problems.add(format!("{PLACE}.requireServiceAccount: required"));
    }
    let required = &attributes.required_annotation_keys;
    let optional = &attributes.optional_annotation_keys;
    if attributes.require_service_account == Some(false) && !required.is_empty() {
        problems.add(format!(
            "{PLACE}.requiredServiceAccountAnnotationKeys: requireServiceAccount cannot be false \
             when requiredServiceAccountAnnotationKeys is set"
        ));
    }
    check_annotation_keys("requiredServiceAccountAnnotationKeys", required, problems);
    check_annotation_keys("optionalServiceAccountAnnotationKeys", optional, problems);
    if let Some(key) = required.iter().find(|key| optional.contains(key)) {
        let problem = "annotation keys cannot be both required and optional";
        problems.add(format!("{PLACE}: {key:?}: {problem}"));
    }
    let cache_type = match attributes.cache_type.as_str() {
        "Token" => Some(CacheType::Token),
        "ServiceAccount" => Some(CacheType::ServiceAccount),
        "" if kubelet.minor < 34 => None,
        other => {
            problems
                .add(format!("{PLACE}.cacheType: {other:?} is neither Token nor ServiceAccount"));
            None
        }
    };
    Some(TokenAttributes {
        audience: attributes.audience,
        cache_type,
        require_service_account: attributes.require_service_account?,
        required_annotation_keys: attributes.required_annotation_keys,
        optional_annotation_keys: attributes.optional_annotation_keys,
    })
}

fn check_annotation_keys(field: &str, keys: &[String], problems: &mut Problems) {
    let mut seen = BTreeSet::new();
    for key in keys {
        if !is_qualified_name(&key.to_lowercase()) {
            problems.add(format!("providers.tokenAttributes.{field}: {key:?}: no qualified name"));
        }
        if !seen.insert(key) {
            problems.add(format!("providers.tokenAttributes.{field}: duplicate value {key:?}"));
        }
    }
}

/// apimachinery `IsQualifiedName`: a name of up to 63 characters, after a DNS name and a slash or
/// alone.
fn is_qualified_name(key: &str) -> bool {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let is_label = |label: &str| is_word(label, b"-");
    prefix.is_none_or(|prefix| prefix.len() <= 253 && prefix.split('.').all(is_label))
        && name.len() <= 63
        && is_word(name, b"-_.")
}

/// Lower-case letters and digits, with `inner` anywhere but at the ends.
fn is_word(text: &str, inner: &[u8]) -> bool {
    let is_outer = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.iter().all(|byte| is_outer(byte) || inner.contains(byte))
        && bytes.first().is_some_and(is_outer)
        && bytes.last().is_some_and(is_outer)
}

#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn add(&mut self, problem: impl Into<String>) {
        self.0.push(problem.into());
    }

    fn into_result(self, config: Config) -> Result<Config, String> {
        if self.0.is_empty() {
            return Ok(config);
        }
        Err(format!("failed to validate credential provider config: [{}]", self.0.join(", ")))
    }
}
