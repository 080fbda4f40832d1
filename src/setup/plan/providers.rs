//! Which providers the kubelet's file is to have, by the configuration, beside those of others.

use std::fs;
use std::path::PathBuf;

use crate::config::{Config, SYSTEM_PATH};
use crate::failure::{Exit, Failure};
use crate::kubelet::match_images::{is_refused, matches, overlap};
use crate::kubelet::provider_config::{Provider, ProviderConfig};
use crate::kubelet::versions::{ApiVersion, Release};
use crate::program::{PROGRAM, PROGRAM_FOR_PODS};
use crate::render::kubelet_config;
use crate::setup::kubelet::files;
use crate::setup::outcome::Outcome;
use crate::setup::plan::{Node, own_arguments};
use crate::setup::provider_file::{self, Added};
use crate::setup::steps::{Change, unreadable};
use crate::setup::tree::Entry;
use crate::setup::undo::What;
use crate::system::environment::Environment;

/// All hosts of ACR, so that a new registry needs no new list.
const ACR: [&str; 3] =
    ["*.*.cr.aliyuncs.com", "*.distributed.*.cr.aliyuncs.com", "registry*.*.aliyuncs.com"];

impl Node<'_> {
    /// The file that is to have our providers: of a folder the one that has them, or our own.
    pub(super) fn providers_file(&self, config: &str) -> String {
        if !self.tree.is_folder(config) {
            return config.to_owned();
        }
        let has_ours = |file: &&String| {
            let text = self.tree.text(file).ok().flatten().unwrap_or_default();
            provider_file::names(&text).iter().any(|name| name == PROGRAM)
        };
        let files = files(self.tree, config);
        files.iter().find(has_ours).cloned().unwrap_or_else(|| format!("{config}/{PROGRAM}.yaml"))
    }

    /// The configuration as it will be, and its change where one was given.
    pub(super) fn configuration(
        &self,
        before: &[Provider],
    ) -> Result<(Config, Option<Change>), Failure> {
        let understand = |path: &str, text: &str| {
            let environment = Environment::default();
            Config::resolve(Some(PathBuf::from(path)), text, false, &environment)
                .map_err(|error| Failure::of_configuration(&error))
        };
        if let Some(given) = &self.options.config {
            let shown = given.display().to_string();
            let bytes = fs::read(given).map_err(unreadable(&shown))?;
            let text = String::from_utf8(bytes)
                .map_err(|_| Failure::new(Exit::Usage, format!("{shown} is not UTF-8 text")))?;
            understand(&shown, &text)?;
            let entry = Some(Entry::file(text.clone(), 0o600));
            let change = Change::new(SYSTEM_PATH, What::Configuration, entry);
            return Ok((understand(SYSTEM_PATH, &text)?, Some(change)));
        }
        let path = own_arguments(before);
        let path = path.iter().position(|word| word == "--config").and_then(|at| path.get(at + 1));
        let path = path.map_or(SYSTEM_PATH, String::as_str);
        if let Some(text) = self.tree.text(path).map_err(unreadable(path))? {
            return Ok((understand(path, &text)?, None));
        }
        let config = Config::of(None, &Environment::default());
        Ok((config.map_err(|error| Failure::of_configuration(&error))?, None))
    }

    /// Whether the kubelet is to send tokens of pods: asked for, there already, or required.
    pub(super) fn sends_tokens(
        &self,
        config: &Config,
        before: &[Provider],
        outcome: &mut Outcome,
    ) -> bool {
        if self.options.service_accounts {
            return true;
        }
        let required = config.entries.iter().any(|entry| entry.identity.requires_pod_tokens());
        if required && self.release < Release::WITH_TOKEN_ATTRIBUTES {
            outcome.say(format!(
                "warning: podIdentity is required, and the kubelet of Kubernetes {} sends no tokens: pulls will fail",
                self.release
            ));
            return false;
        }
        let takes = config.entries.iter().any(|entry| entry.identity.takes_pod_tokens());
        required || takes && before.iter().any(|provider| provider.name == PROGRAM_FOR_PODS)
    }

    pub(super) fn wanted_providers(
        &self,
        config: &Config,
        pods: bool,
        before: &[Provider],
        outcome: &mut Outcome,
    ) -> Result<Vec<Provider>, Failure> {
        let options = kubelet_config::Options {
            release: Some(self.release),
            directory: false,
            service_accounts: pods,
        };
        let mut providers = kubelet_config::providers(config, &options)?;
        let own = own_arguments(before);
        for provider in &mut providers {
            provider.api_version = Some(ApiVersion::newest(self.release));
            // It reads the same file under both names.
            if provider.arguments.is_empty() {
                provider.arguments.clone_from(&own);
            }
        }
        if let Some(asked) = &self.options.match_images {
            check_patterns(asked)?;
            for provider in providers.iter_mut().filter(|provider| provider.name == PROGRAM) {
                provider.match_images.clone_from(asked);
            }
        } else if !pods {
            // Wider lists would open the images of pods with tokens to the node's own login.
            for provider in &mut providers {
                let is_new = |pattern: &String| !ACR.iter().any(|wide| matches(wide, pattern));
                let hosts = provider.match_images.iter().filter(|pattern| is_new(pattern));
                provider.match_images =
                    ACR.into_iter().map(str::to_owned).chain(hosts.cloned()).collect();
            }
        }
        let has_tokens = |name: &str| before.iter().any(|p| p.name == name && p.tokens.is_some());
        if has_tokens(PROGRAM) {
            outcome.say(format!("{PROGRAM} gets tokens of pods already; its entry stays as it is"));
            providers.retain(|provider| provider.name != PROGRAM);
        }
        Ok(providers)
    }

    /// The kubelet's file with our providers.
    pub(super) fn merge(
        &self,
        file: &str,
        there: Option<&str>,
        providers: &[Provider],
    ) -> Result<Option<Change>, Failure> {
        if providers.is_empty() {
            return Ok(None);
        }
        let version = ApiVersion::newest(self.release);
        let recorded = self.record.file(file);
        let ours = recorded
            .map(|file| Added { providers: file.added.clone(), patterns: file.patterns.clone() });
        let ours = ours.unwrap_or_default();
        let (text, added) = if let Some(there) = there {
            self.check_no_link(file)?;
            provider_file::merged(there, version, providers, &ours).map_err(|why| {
                let lines: Vec<String> = providers
                    .iter()
                    .map(|provider| provider_file::in_one_line(version, provider))
                    .collect();
                Failure::new(Exit::Usage, format!("cannot merge into {file} safely: {why}"))
                    .hint(format!("add to its providers by hand: {}", lines.join(", ")))
            })?
        } else {
            (provider_file::new(version, providers), Added::all(providers))
        };
        apart(file, &text)?;
        let mut change = Change::new(file, What::Providers, Some(self.like(file, text, 0o644)?));
        change.rebased = match (recorded, there) {
            (Some(recorded), Some(there)) if !self.is_as_left(&recorded.path)? => {
                provider_file::taken_out(there, &ours).ok()
            }
            _ => None,
        };
        change.added = added.providers;
        change.patterns = added.patterns;
        Ok(Some(change))
    }
}

/// The two names of the program must not be asked for the same image.
fn apart(file: &str, text: &str) -> Result<(), Failure> {
    let providers = ProviderConfig::of_text(file, text).providers;
    let of = |name: &str| {
        let found = providers.iter().find(|provider| provider.name == name);
        found.map(|provider| provider.match_images.clone()).unwrap_or_default()
    };
    for one in of(PROGRAM_FOR_PODS) {
        if let Some(other) = of(PROGRAM).iter().find(|other| overlap(&one, other)) {
            return Err(Failure::new(
                Exit::Usage,
                format!(
                    "`{one}` of {PROGRAM_FOR_PODS} and `{other}` of {PROGRAM} match the same images"
                ),
            )
            .caused_by("the node's login would open the images to pods that are refused")
            .hint(format!("remove `{other}` from matchImages of {PROGRAM} in {file}")));
        }
    }
    Ok(())
}

fn check_patterns(patterns: &[String]) -> Result<(), Failure> {
    let fits = |pattern: &String| {
        let (host, path) = pattern.split_at(pattern.find('/').unwrap_or(pattern.len()));
        let is_host = |c: char| c.is_ascii_alphanumeric() || ".*_-[]:".contains(c);
        !host.is_empty()
            && host.chars().all(is_host)
            && !host.starts_with('[')
            && host.matches('[').count() == host.matches(']').count()
            && !path.contains(['*', ' '])
            && !pattern.contains("://")
            && !is_refused(pattern)
    };
    match patterns.iter().find(|pattern| !fits(pattern)) {
        None if !patterns.is_empty() => Ok(()),
        wrong => Err(Failure::new(
            Exit::Usage,
            format!("`{}` is not a pattern for an image", wrong.map_or("", String::as_str)),
        )
        .hint("write a host with * in it, a port if there is one, and the beginning of a path")),
    }
}
