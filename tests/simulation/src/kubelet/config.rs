//! The `CredentialProviderConfig` a kubelet starts with, or refuses to start with.
//!
//! Whatever is wrong in it ends the kubelet at start ("Failed to register CRI auth plugins"), and
//! with it the node. What is wrong depends on the release: decoding is strict, so a field that a
//! release does not know is fatal there, and one that a later release asks for is fatal if absent.

use std::fs;
use std::path::{Path, PathBuf};

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

    /// config.go `readCredentialProviderConfig`: a file, or (since 1.34) a directory, of which all
    /// files that end in `.json`, `.yaml` or `.yml` are read in the order of their names and joined.
    /// A name that begins with a dot counts; what lies in subdirectories does not.
    pub fn read_config(self, path: &Path) -> Result<Config, String> {
        let mut providers = Vec::new();
        for file in self.config_files(path)? {
            let unreadable = |error| format!("unable to read file {}: {error}", file.display());
            let text = fs::read_to_string(&file).map_err(unreadable)?;
            let undecodable = |error| format!("error decoding config {}: {error}", file.display());
            providers.extend(document::read(&text, self).map_err(undecodable)?);
        }
        validation::validate(providers, self)
    }

    fn config_files(self, path: &Path) -> Result<Vec<PathBuf>, String> {
        let inaccessible = |error| format!("unable to access path {}: {error}", path.display());
        if self.minor < 34 || !fs::metadata(path).map_err(inaccessible)?.is_dir() {
            return Ok(vec![path.to_owned()]);
        }
        let mut files = Vec::new();
        let unreadable = |error| format!("unable to read directory {}: {error}", path.display());
        for entry in fs::read_dir(path).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            // Of a link the type is its own, not its target's: a dangling one is kept, and is then
            // a file that cannot be read.
            let is_directory = entry.file_type().map_err(unreadable)?.is_dir();
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_config = [".json", ".yaml", ".yml"].iter().any(|end| name.ends_with(end));
            if is_config && !is_directory {
                files.push(entry.path());
            }
        }
        if files.is_empty() {
            return Err(format!("no configuration files found in directory {}", path.display()));
        }
        files.sort();
        Ok(files)
    }
}

/// Reads a configuration as release 1.`kubelet_minor` does with its gates as delivered.
pub fn decode_config(text: &str, kubelet_minor: u32) -> Result<Config, String> {
    Kubelet::release(kubelet_minor).decode_config(text)
}
