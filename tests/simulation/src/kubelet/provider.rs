//! One provider of a kubelet, from the pod's image to an answer.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use super::cache::{AccountKey, Cache, ServiceAccount};
use super::config::{ProviderConfig, TokenAttributes};
use super::exec::{Exec, Failure};
use super::request::encode_request;
use super::response::Credential;
use super::url::urls_match;

#[cfg(test)]
mod tests;

/// A registered provider with its cache: plugin.go `pluginProvider`.
#[derive(Debug)]
pub struct Provider {
    config: ProviderConfig,
    exec: Exec,
    cache: Cache,
}

/// What one look-up came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Provision {
    /// No pattern of matchImages matches.
    NotMatched,
    /// In service account mode: the plugin is not asked, and only a log at V(5) says so.
    Skipped { reason: String },
    /// From the kubelet's memory; the plugin did not run.
    Cached { auth: BTreeMap<String, Credential> },
    /// The plugin ran and its answer was accepted.
    Answered { auth: BTreeMap<String, Credential> },
    /// The plugin failed, its answer was refused, or it could not be started.
    Failed {
        /// As in the kubelet's log, but with the reason why an answer cannot be decoded.
        log: String,
    },
}

impl Provider {
    /// plugin.go `RegisterCredentialProviderPlugins`: without an executable file of the
    /// configured name in `bin_dir` the kubelet does not start.
    pub fn register(
        config: ProviderConfig,
        bin_dir: &Path,
        kubelet_env: Vec<(String, String)>,
    ) -> Result<Self, String> {
        let program = bin_dir.join(&config.name);
        let inaccessible =
            |error| format!("error inspecting binary executable {}: {error}", program.display());
        let metadata = fs::metadata(&program).map_err(inaccessible)?;
        if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
            return Err(format!("plugin binary {} is not executable", program.display()));
        }
        let exec = Exec {
            args: config.args.clone(),
            kubelet_env,
            config_env: config.env.clone(),
            ..Exec::new(program)
        };
        let cache = Cache::new(config.default_cache_duration);
        Ok(Self { config, exec, cache })
    }

    /// plugin.go `provide`: match, service account, cache, plugin, cache. `image` is in the form of
    /// [`normalise_image`](super::normalise_image); `account` is the pod's, if it has one.
    pub fn provide(
        &mut self,
        image: &str,
        account: Option<&ServiceAccount>,
        now: Duration,
    ) -> Provision {
        let matches = |pattern: &String| urls_match(pattern, image) == Ok(true);
        if !self.config.match_images.iter().any(matches) {
            return Provision::NotMatched;
        }
        let caller = match Caller::of(self.config.token_attributes.as_ref(), account) {
            Ok(caller) => caller,
            Err(provision) => return provision,
        };
        if let Some(auth) = self.cache.look_up(image, &caller.cache_key, now) {
            return Provision::Cached { auth };
        }
        match self.ask(image, &caller, now) {
            Ok(auth) => Provision::Answered { auth },
            Err(log) => Provision::Failed { log },
        }
    }

    /// Whether it is in service account mode.
    #[must_use]
    pub fn sends_tokens(&self) -> bool {
        self.config.token_attributes.is_some()
    }

    fn ask(
        &mut self,
        image: &str,
        caller: &Caller,
        now: Duration,
    ) -> Result<BTreeMap<String, Credential>, String> {
        const WHERE: &str = "Failed getting credential from external registry credential provider";
        let Caller { token, annotations, cache_key } = caller;
        let version = &self.config.api_version;
        let request = encode_request(version, image, token.as_deref(), annotations);
        let name = &self.config.name;
        let exec_error =
            format!("error execing credential provider plugin {name} for image {image}");
        let outcome =
            self.exec.run(&request).map_err(|error| format!("{WHERE}: {exec_error}: {error}: "))?;
        let response = outcome.answer(version).map_err(|failure| match failure {
            Failure::Exec { exit, stderr } => format!("{WHERE}: {exec_error}: {exit}: {stderr}"),
            Failure::Refused(refusal) => format!("{WHERE}: {refusal}"),
        })?;
        let cache_type = self.config.token_attributes.as_ref().and_then(|it| it.cache_type);
        if let Some(token) = token {
            response.check_echo(token, cache_type).map_err(|refusal| refusal.to_string())?;
        }
        self.cache.store(image, cache_key, &response, now);
        Ok(response.auth.unwrap_or_default())
    }
}

/// Whom the request names, and whose cached answers are looked at. Empty outside service
/// account mode, and in it for pods without a service account.
#[derive(Default)]
struct Caller {
    token: Option<String>,
    annotations: BTreeMap<String, String>,
    cache_key: AccountKey,
}

impl Caller {
    fn of(
        attributes: Option<&TokenAttributes>,
        account: Option<&ServiceAccount>,
    ) -> Result<Self, Provision> {
        let (attributes, account) = match (attributes, account) {
            (Some(attributes), Some(account)) => (attributes, account),
            (Some(attributes), None) if attributes.require_service_account => {
                let reason = "Service account name is empty".to_owned();
                return Err(Provision::Skipped { reason });
            }
            _ => return Ok(Self::default()),
        };
        let annotations = passed_annotations(attributes, account)?;
        let cache_key = account.cache_key(&annotations, attributes.cache_type);
        Ok(Self { token: Some(account.token.clone()), annotations, cache_key })
    }
}

/// plugin.go `getServiceAccountData`: only configured keys are passed on, empty values included. A
/// required one that is missing means that the workload has not opted in.
fn passed_annotations(
    attributes: &TokenAttributes,
    account: &ServiceAccount,
) -> Result<BTreeMap<String, String>, Provision> {
    let mut passed = BTreeMap::new();
    for key in &attributes.required_annotation_keys {
        let Some(value) = account.annotations.get(key) else {
            let reason = format!("required annotation {key} not found");
            return Err(Provision::Skipped { reason });
        };
        passed.insert(key.clone(), value.clone());
    }
    for key in &attributes.optional_annotation_keys {
        if let Some(value) = account.annotations.get(key) {
            passed.insert(key.clone(), value.clone());
        }
    }
    Ok(passed)
}
