//! The kubelet's `CredentialProviderConfig`: its file or folder, as the kubelet reads it.

use std::fs;
use std::path::PathBuf;

use crate::config::yaml::{self, Node, Scalar, Value, YamlError};
use crate::kubelet::process::Kubelet;

const CONFIG_GROUP: &str = "kubelet.config.k8s.io/";

/// Which minor version of Kubernetes first has which version of both groups.
pub const SINCE: [(&str, u32); 3] = [("v1alpha1", 20), ("v1beta1", 24), ("v1", 26)];
const FOLDERS_SINCE: u32 = 34;

/// A provider of the kubelet's configuration.
pub struct Provider {
    /// The file that it stands in, as the kubelet calls it.
    pub file: String,
    /// Of the file: `v1`, `v1beta1` or `v1alpha1` if all is well.
    pub file_version: String,
    /// Where it stands in the file.
    pub line: usize,
    pub keys: Vec<(String, usize)>,
    pub name: String,
    pub api_version: String,
    pub match_images: Vec<String>,
    pub cache_duration: String,
    pub arguments: Vec<String>,
    /// `args` is something else than a list.
    pub odd_arguments: bool,
    /// What of `env` is of no form that the kubelet takes.
    pub odd_variables: Option<&'static str>,
    /// `env`: names and values.
    pub variables: Vec<(String, String)>,
    /// `tokenAttributes`, where it has some.
    pub tokens: Option<Tokens>,
}

pub struct Tokens {
    pub keys: Vec<(String, usize)>,
    pub audience: String,
    pub cache_type: String,
    pub require: Option<Scalar>,
    pub has_required_annotations: bool,
    /// The annotations of the service account that are sent along, required ones and others.
    pub annotations: Vec<String>,
}

/// The providers of a file, or of all files of a folder, as the kubelet takes them from
/// Kubernetes 1.34.
///
/// # Errors
///
/// What keeps the kubelet from reading it, in words.
pub fn read(path: &str, kubelet: &Kubelet) -> Result<Vec<Provider>, String> {
    let place = kubelet.path(path);
    let metadata = fs::metadata(&place).map_err(|error| error.to_string())?;
    if metadata.is_file() {
        return providers_in(path, kubelet);
    }
    if let Some(minor) = kubelet.minor.filter(|minor| *minor < FOLDERS_SINCE) {
        return Err(format!("it is a folder, which Kubernetes 1.{minor} does not take"));
    }
    let mut files: Vec<PathBuf> = fs::read_dir(&place)
        .map_err(|error| error.to_string())?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| {
            let ending = path.extension().and_then(|ending| ending.to_str());
            !path.is_dir() && ending.is_some_and(|e| ["json", "yaml", "yml"].contains(&e))
        })
        .collect();
    files.sort();
    if files.is_empty() {
        return Err("no .json, .yaml or .yml file in the folder".to_owned());
    }
    let mut all: Vec<Provider> = Vec::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = format!("{}/{name}", path.trim_end_matches('/'));
        for provider in providers_in(&file, kubelet).map_err(|why| format!("{name}: {why}"))? {
            if all.iter().any(|other| other.name == provider.name) {
                return Err(format!(
                    "{name}: the provider {} is in another file, too",
                    provider.name
                ));
            }
            all.push(provider);
        }
    }
    Ok(all)
}

fn providers_in(path: &str, kubelet: &Kubelet) -> Result<Vec<Provider>, String> {
    let text = kubelet.read(path)?;
    let document = match yaml::parse(&text) {
        Ok(Some(document)) => document,
        Ok(None) => return Err("it is empty".to_owned()),
        Err(YamlError::Syntax(note) | YamlError::Content(note) | YamlError::TooMuch(note)) => {
            return Err(format!("{}: {}", note.at, note.message));
        }
    };
    if text_of(&document, "kind") != "CredentialProviderConfig" {
        return Err("its kind is not CredentialProviderConfig".to_owned());
    }
    let version = text_of(&document, "apiVersion");
    let file_version = match version.strip_prefix(CONFIG_GROUP) {
        Some(version) if SINCE.iter().any(|(known, _)| *known == version) => version.to_owned(),
        _ => return Err(format!("its apiVersion is `{version}`; expected {CONFIG_GROUP}v1")),
    };
    if let Some((unknown, line)) = unknown(&keys(&document), &["kind", "apiVersion", "providers"]) {
        return Err(format!("line {line}: unknown key `{unknown}`"));
    }
    let Some(Node { value: Value::Sequence(providers), .. }) = get(&document, "providers") else {
        return Err("it has no providers".to_owned());
    };
    let provider = |provider: &Node| Provider {
        file: path.to_owned(),
        file_version: file_version.clone(),
        line: provider.at.line,
        keys: keys(provider),
        name: text_of(provider, "name"),
        api_version: text_of(provider, "apiVersion"),
        match_images: list(provider, "matchImages"),
        cache_duration: match get(provider, "defaultCacheDuration").and_then(scalar) {
            // As a text it is a duration, as a number it is none.
            Some(scalar) if !scalar.is_plain && scalar.text == "0" => "0s".to_owned(),
            scalar => scalar.map_or_else(String::new, |scalar| scalar.text),
        },
        arguments: list(provider, "args"),
        odd_variables: odd_variables(provider),
        variables: match get(provider, "env").map(|node| &node.value) {
            Some(Value::Sequence(variables)) => variables
                .iter()
                .map(|variable| (text_of(variable, "name"), text_of(variable, "value")))
                .collect(),
            _ => Vec::new(),
        },
        odd_arguments: match get(provider, "args").map(|node| &node.value) {
            None | Some(Value::Null | Value::Sequence(_)) => false,
            Some(_) => true,
        },
        tokens: get(provider, "tokenAttributes").map(|attributes| Tokens {
            keys: keys(attributes),
            audience: text_of(attributes, "serviceAccountTokenAudience"),
            cache_type: text_of(attributes, "cacheType"),
            require: get(attributes, "requireServiceAccount").and_then(scalar),
            has_required_annotations: !list(attributes, "requiredServiceAccountAnnotationKeys")
                .is_empty(),
            annotations: [
                list(attributes, "requiredServiceAccountAnnotationKeys"),
                list(attributes, "optionalServiceAccountAnnotationKeys"),
            ]
            .concat(),
        }),
    };
    let providers: Vec<Provider> = providers.iter().map(provider).collect();
    for (number, one) in providers.iter().enumerate() {
        if providers.iter().take(number).any(|other| other.name == one.name) {
            return Err(format!("line {}: the provider {} is there twice", one.line, one.name));
        }
    }
    Ok(providers)
}

/// By strict decoding, each of a list has a name and a value, both texts.
fn odd_variables(provider: &Node) -> Option<&'static str> {
    let variables = match &get(provider, "env")?.value {
        Value::Null => return None,
        Value::Sequence(variables) => variables,
        _ => return Some("env is no list"),
    };
    variables.iter().find_map(|variable| {
        if unknown(&keys(variable), &["name", "value"]).is_some() {
            return Some("env has an item with another key than name and value");
        }
        let texts = ["name", "value"].into_iter().filter_map(|key| get(variable, key));
        let is_text = |node: &Node| match &node.value {
            Value::Null => true,
            Value::Scalar(scalar) => !scalar.is_plain || !is_number_or_truth(&scalar.text),
            _ => false,
        };
        let all = matches!(variable.value, Value::Mapping(_)) && texts.into_iter().all(is_text);
        (!all).then_some("env has an item whose name or value is no text")
    })
}

/// What a plain text is in YAML if it is no text.
fn is_number_or_truth(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    let truth = ["true", "false", "yes", "no", "on", "off"];
    begins && text.parse::<f64>().is_ok() || truth.contains(&text.to_ascii_lowercase().as_str())
}

impl Provider {
    /// Of a key; of the provider where it has none.
    pub fn line_of(&self, key: &str) -> usize {
        self.keys.iter().find(|(name, _)| name == key).map_or(self.line, |(_, line)| *line)
    }
}

pub fn unknown<'k>(keys: &'k [(String, usize)], known: &[&str]) -> Option<(&'k str, usize)> {
    let unknown = keys.iter().find(|(key, _)| !known.contains(&key.as_str()));
    unknown.map(|(key, line)| (key.as_str(), *line))
}

/// The keys of a mapping, each with its line.
fn keys(node: &Node) -> Vec<(String, usize)> {
    let Value::Mapping(pairs) = &node.value else { return Vec::new() };
    pairs.iter().map(|(key, _)| (key.name.clone(), key.at.line)).collect()
}

pub fn get<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    let Value::Mapping(pairs) = &node.value else { return None };
    pairs.iter().find(|(key, _)| key.name == name).map(|(_, value)| value)
}

fn scalar(node: &Node) -> Option<Scalar> {
    let Value::Scalar(scalar) = &node.value else { return None };
    Some(scalar.clone())
}

/// The texts of a list; empty where there is none.
fn list(node: &Node, name: &str) -> Vec<String> {
    match get(node, name).map(|node| &node.value) {
        Some(Value::Sequence(items)) => {
            items.iter().filter_map(scalar).map(|scalar| scalar.text).collect()
        }
        _ => Vec::new(),
    }
}

pub fn text_of(node: &Node, name: &str) -> String {
    get(node, name).and_then(scalar).map_or_else(String::new, |scalar| scalar.text)
}
