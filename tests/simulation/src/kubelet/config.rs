//! The `CredentialProviderConfig` a kubelet starts with, or refuses to start with.
//!
//! Whatever is wrong in it ends the kubelet at start ("Failed to register CRI auth plugins"), and
//! with it the node. What is wrong depends on the release: decoding is strict, so a field that a
//! release does not know is fatal there, and one that a later release asks for is fatal if absent.

use super::duration::GoDuration;

mod document;
mod validation;

#[cfg(test)]
mod tests;

/// A configuration the kubelet has accepted. Images are matched against providers in this order.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub providers: Vec<ProviderConfig>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ProviderConfig {
    /// The file's name in the kubelet's bin-dir.
    pub name: String,
    pub match_images: Vec<String>,
    pub default_cache_duration: GoDuration,
    pub api_version: String,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Present: the provider runs in service account mode.
    pub token_attributes: Option<TokenAttributes>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TokenAttributes {
    pub audience: String,
    /// Absent in release 1.33 alone.
    pub cache_type: Option<CacheType>,
    /// False: pods without a service account are served as well, without a token.
    pub require_service_account: bool,
    pub required_annotation_keys: Vec<String>,
    pub optional_annotation_keys: Vec<String>,
}

/// What a cached answer in service account mode depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheType {
    Token,
    ServiceAccount,
}

/// The release that reads a configuration, and its gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kubelet {
    /// 34 for Kubernetes 1.34.
    pub minor: u32,
    /// `KubeletServiceAccountTokenForCredentialProviders`.
    pub service_account_tokens: bool,
}

impl Kubelet {
    /// A release with its gates as delivered: service account tokens came in 1.33 and are on since
    /// 1.34.
    #[must_use]
    pub const fn release(minor: u32) -> Self {
        Self { minor, service_account_tokens: minor >= 34 }
    }

    /// The same release with the gate for service account tokens set by hand.
    #[must_use]
    pub const fn with_service_account_tokens(self, on: bool) -> Self {
        Self { service_account_tokens: on, ..self }
    }

    /// Reads one file's text, YAML or JSON. The error lists everything that validation found, or
    /// the first thing that decoding did.
    pub fn decode_config(self, text: &str) -> Result<Config, String> {
        let providers = document::read(text, self)?;
        validation::validate(providers, self)
    }
}

/// Reads a configuration as release 1.`kubelet_minor` does with its gates as delivered.
pub fn decode_config(text: &str, kubelet_minor: u32) -> Result<Config, String> {
    Kubelet::release(kubelet_minor).decode_config(text)
}
