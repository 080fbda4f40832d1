//! What a kubelet with given arguments would meet when it starts: its configuration of providers,
//! and their binaries.

use crate::failure::{Exit, Failure};
use crate::kubelet::flags::{BIN_DIR, CONFIG, FeatureGates, Flags, OWN_CONFIG};
use crate::kubelet::provider_config::ProviderConfig;
use crate::kubelet::provider_rules;
use crate::kubelet::versions::Release;
use crate::setup::tree::{Entry, Tree};

/// Why a kubelet with these arguments would not start; the program's name is the first of them.
#[must_use]
pub fn obstacle(tree: &Tree, arguments: &[String], release: Option<Release>) -> Option<String> {
    let flags = Flags::of(arguments.to_vec());
    let (config, bin_dir) = match (flags.value(CONFIG), flags.value(BIN_DIR)) {
        (None, None) => return None,
        (Some(_), None) => return Some(format!("{CONFIG} is set without {BIN_DIR}")),
        (None, Some(_)) => return Some(format!("{BIN_DIR} is set without {CONFIG}")),
        (Some(config), Some(bin_dir)) => (config, bin_dir),
    };
    let files = files(tree, &config);
    if files.is_empty() {
        return Some(format!("{config} is not there"));
    }
    let gates = gates(tree, &flags);
    let mut names: Vec<String> = Vec::new();
    for file in files {
        let text = match tree.text(&file) {
            Ok(Some(text)) => text,
            Ok(None) => return Some(format!("{file} is not there")),
            Err(error) => return Some(format!("{file}: {error}")),
        };
        let read = ProviderConfig::of_text(&file, &text);
        let rules = read.providers.iter().flat_map(|p| provider_rules::check(p, release, &gates));
        let mut findings = read
            .findings
            .iter()
            .map(|finding| (finding.mistake.stops_the_kubelet(), finding.to_string()));
        let mut rules =
            rules.map(|finding| (finding.mistake.stops_the_kubelet(), finding.to_string()));
        let stops = |(stops, _): &(bool, String)| *stops;
        if let Some((_, finding)) = findings.find(stops).or_else(|| rules.find(stops)) {
            return Some(finding);
        }
        for provider in &read.providers {
            if names.contains(&provider.name) {
                return Some(format!("the provider {} is in two files", provider.name));
            }
            names.push(provider.name.clone());
        }
    }
    let bin_dir = bin_dir.trim_end_matches('/').to_owned();
    names.into_iter().find_map(|name| {
        let path = format!("{bin_dir}/{name}");
        (!is_program(tree, &path)).then(|| format!("{path} is not an executable file"))
    })
}

/// The files of a configuration, which may be a folder.
#[must_use]
pub fn files(tree: &Tree, config: &str) -> Vec<String> {
    if !tree.is_folder(config) {
        return if tree.exists(config) { vec![config.to_owned()] } else { Vec::new() };
    }
    let is_read = |name: &&String| {
        [".json", ".yaml", ".yml"].iter().any(|ending| name.strip_suffix(ending).is_some())
    };
    let folder = config.trim_end_matches('/');
    let names = tree.names(config);
    names.iter().filter(is_read).map(|name| format!("{folder}/{name}")).collect()
}

/// The feature gates of these arguments and of the kubelet's own configuration.
#[must_use]
pub fn gates(tree: &Tree, flags: &Flags) -> FeatureGates {
    let file = flags.value(OWN_CONFIG).and_then(|path| tree.text(&path).ok().flatten());
    FeatureGates::new(file.as_deref(), flags)
}

/// The value of a flag where it has one only.
///
/// # Errors
///
/// Several values, of which the running kubelet says none.
pub fn value(
    flag: &str,
    arguments: &[String],
    running: Option<&[String]>,
) -> Result<Option<String>, Failure> {
    let values = |arguments: &[String]| {
        let program = std::iter::once(String::new());
        Flags::of(program.chain(arguments.iter().cloned()).collect()).values(flag)
    };
    let mut found = values(arguments);
    found.dedup();
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        _ => match running.map(values).and_then(|mut values| values.pop()) {
            Some(last) => Ok(Some(last)),
            None => Err(Failure::new(Exit::Usage, format!("{flag} is set to several values"))
                .hint("leave one of them in the kubelet's arguments")),
        },
    }
}

fn is_program(tree: &Tree, path: &str) -> bool {
    let mut path = path.to_owned();
    for _ in 0..8 {
        match tree.entry(&path) {
            Ok(Some(Entry::File { mode, .. })) => return mode & 0o111 != 0,
            Ok(Some(Entry::Link(target))) => {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                let target = target.to_string_lossy().into_owned();
                path = if target.starts_with('/') { target } else { format!("{folder}/{target}") };
            }
            _ => return false,
        }
    }
    false
}
