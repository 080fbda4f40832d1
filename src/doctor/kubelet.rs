//! How the kubelet of this machine is set up: would it run this program for an image?

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::config::yaml::{self, Node, Value};
use crate::doctor::modes;
use crate::doctor::report::Station;
use crate::match_images::matches;
use crate::trusted_file::{self, Links};

const NAME: &str = "kubelet";
pub(super) const PROGRAM: &str = "aliyun-acr-credential-provider";
const CONFIG_FLAG: &str = "--image-credential-provider-config";
const BIN_DIR_FLAG: &str = "--image-credential-provider-bin-dir";
const VERSIONS: [&str; 3] = ["v1", "v1beta1", "v1alpha1"];

/// Largest file that is read, in KiB.
const MAX_FILE: u64 = 1024;

/// A provider of the kubelet's configuration, as far as it matters here.
pub(super) struct Provider {
    pub name: String,
    api_version: String,
    pub match_images: Vec<String>,
    /// `serviceAccountTokenAudience`, where it has `tokenAttributes`.
    pub audience: Option<String>,
}

/// The station. The kubelet's files and `proc` are below `root`; `images` are what should match.
#[must_use]
pub fn station(root: &Path, images: &[String]) -> Station {
    let Some(arguments) = running_kubelet(&root.join("proc")) else {
        return Station::skipped(NAME, "no kubelet runs on this machine, or it is not to be seen");
    };
    let mut station = Station::new(NAME);
    let (config, bin_dir) = (flag(&arguments, CONFIG_FLAG), flag(&arguments, BIN_DIR_FLAG));
    let (Some(config), Some(bin_dir)) = (config, bin_dir) else {
        station.warn(
            format!("the running kubelet has not both {CONFIG_FLAG} and {BIN_DIR_FLAG}: it never runs this program"),
            "add both flags and restart the kubelet; README, \"A real node in five minutes\"",
        );
        return station;
    };
    let providers = match providers(&below(root, &config)) {
        Ok(providers) => providers,
        Err(why) => {
            station.warn(
                format!("{config}: {why}"),
                "a kubelet that restarts now would not start: correct the file",
            );
            return station;
        }
    };
    let is_ours = |provider: &&Provider| modes::is_ours(provider, Path::new(&bin_dir));
    let (ours, others): (Vec<&Provider>, Vec<&Provider>) = providers.iter().partition(is_ours);
    if ours.is_empty() {
        let names: Vec<&str> = providers.iter().map(|provider| provider.name.as_str()).collect();
        station.warn(
            format!("{config} has no provider named {PROGRAM}, only {}", names.join(", ")),
            "add it; its name must be the binary's file name",
        );
        return station;
    }
    for provider in &ours {
        let mode = if provider.audience.is_some() { ", with service account tokens" } else { "" };
        station.tell(format!("{config}: {}, {}{mode}", provider.name, provider.api_version));
        binary(&below(root, &bin_dir).join(&provider.name), &mut station);
        check(provider, &mut station);
    }
    for image in images {
        hit(&ours, image, &mut station);
    }
    modes::apart(&ours, &others, &mut station);
    station
}

fn hit(ours: &[&Provider], image: &str, station: &mut Station) {
    let hits =
        |provider: &&&Provider| provider.match_images.iter().any(|pattern| matches(pattern, image));
    if let Some(provider) = ours.iter().find(hits) {
        station.tell(format!("matchImages of {} has {image}", provider.name));
    } else {
        let host = image.split('/').next().unwrap_or(image);
        station.warn(
                format!("matchImages has no pattern for {image}: the kubelet never asks for it"),
                format!("add `{host}` to matchImages (`*` stands for one label or a part of one) and restart the kubelet"),
            );
    }
}

fn binary(path: &Path, station: &mut Station) {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 => {}
        Ok(_) => station.warn(
            format!("{} is no executable file", path.display()),
            "chmod 0755: a kubelet that restarts now would not start",
        ),
        Err(error) => station.warn(
            format!("{}: {error}", path.display()),
            "put the binary there: a kubelet that restarts now would not start",
        ),
    }
}

fn check(provider: &Provider, station: &mut Station) {
    let version = provider.api_version.strip_prefix("credentialprovider.kubelet.k8s.io/");
    if !version.is_some_and(|version| VERSIONS.contains(&version)) {
        station.warn(
            format!(
                "apiVersion `{}` of the provider is none that this program answers",
                provider.api_version
            ),
            "set apiVersion: credentialprovider.kubelet.k8s.io/v1",
        );
    }
    if let Some(audience) = provider.audience.as_deref()
        && audience != crate::identity::AUDIENCE
    {
        station.warn(
            format!("tokenAttributes asks for tokens for `{audience}`"),
            format!("set serviceAccountTokenAudience: {}", crate::identity::AUDIENCE),
        );
    }
}

/// The command line of the first process called kubelet.
fn running_kubelet(proc: &Path) -> Option<Vec<String>> {
    let mut processes: Vec<PathBuf> =
        fs::read_dir(proc).ok()?.filter_map(Result::ok).map(|entry| entry.path()).collect();
    processes.sort();
    // Anybody can call a process so; only what root runs is believed, and what who asks runs.
    let believed = |path: &PathBuf| {
        let of = fs::metadata(path).map(|metadata| metadata.uid());
        of.is_ok_and(|uid| uid == 0 || uid == geteuid().as_raw())
    };
    let is_kubelet = |path: &PathBuf| {
        believed(path)
            && fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "kubelet")
    };
    let process = processes.into_iter().find(is_kubelet)?;
    let line = fs::read(process.join("cmdline")).ok()?;
    Some(line.split(|b| *b == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect())
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// The value of `--name=value` or `--name value`; the last one counts.
fn flag(arguments: &[String], name: &str) -> Option<String> {
    let mut found = None;
    for (index, argument) in arguments.iter().enumerate() {
        if argument == name {
            found = arguments.get(index + 1).cloned();
        } else if let Some(value) = argument.strip_prefix(name).and_then(|v| v.strip_prefix('=')) {
            found = Some(value.to_owned());
        }
    }
    found.filter(|value| !value.is_empty())
}

/// Of a file, or of all files of a folder, as the kubelet takes them from Kubernetes 1.34.
fn providers(path: &Path) -> Result<Vec<Provider>, String> {
    let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
    if metadata.is_file() {
        return providers_in(path);
    }
    let mut files: Vec<PathBuf> = fs::read_dir(path)
        .map_err(|error| error.to_string())?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| {
            let ending = path.extension().and_then(|ending| ending.to_str());
            path.is_file() && ending.is_some_and(|e| ["json", "yaml", "yml"].contains(&e))
        })
        .collect();
    files.sort();
    if files.is_empty() {
        return Err("no .json, .yaml or .yml file in the folder".to_owned());
    }
    let mut all = Vec::new();
    for file in files {
        let more = providers_in(&file).map_err(|why| format!("{}: {why}", file.display()))?;
        all.extend(more);
    }
    Ok(all)
}

fn providers_in(path: &Path) -> Result<Vec<Provider>, String> {
    let read = trusted_file::read(path, Links::Followed, MAX_FILE);
    let bytes = read.map_err(|error| error.to_string())?.bytes;
    let text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
    let document = match yaml::parse(&text) {
        Ok(Some(document)) => document,
        Ok(None) => return Err("it is empty".to_owned()),
        Err(yaml::YamlError::Syntax(note) | yaml::YamlError::Content(note)) => {
            return Err(format!("{}: {}", note.at, note.message));
        }
    };
    if text_of(&document, "kind") != "CredentialProviderConfig" {
        return Err("its kind is not CredentialProviderConfig".to_owned());
    }
    let Some(Node { value: Value::Sequence(providers), .. }) = get(&document, "providers") else {
        return Err("it has no providers".to_owned());
    };
    Ok(providers
        .iter()
        .map(|provider| Provider {
            name: text_of(provider, "name"),
            api_version: text_of(provider, "apiVersion"),
            match_images: match get(provider, "matchImages").map(|node| &node.value) {
                Some(Value::Sequence(patterns)) => patterns.iter().filter_map(scalar).collect(),
                _ => Vec::new(),
            },
            audience: get(provider, "tokenAttributes")
                .map(|attributes| text_of(attributes, "serviceAccountTokenAudience")),
        })
        .collect())
}

fn get<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    let Value::Mapping(pairs) = &node.value else { return None };
    pairs.iter().find(|(key, _)| key.name == name).map(|(_, value)| value)
}

fn scalar(node: &Node) -> Option<String> {
    let Value::Scalar(scalar) = &node.value else { return None };
    Some(scalar.text.clone())
}

fn text_of(node: &Node, name: &str) -> String {
    get(node, name).and_then(scalar).unwrap_or_default()
}
