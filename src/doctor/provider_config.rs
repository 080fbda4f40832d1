//! The kubelet's `CredentialProviderConfig`, as far as it is about this program: would the kubelet
//! take it, by the rules of its version?

use std::fs;
use std::path::PathBuf;

use crate::config::yaml::{self, Node, Value};
use crate::doctor::kubelet_process::Kubelet;
use crate::doctor::report::Station;
use crate::duration;
use crate::identity::AUDIENCE;

const GROUP: &str = "credentialprovider.kubelet.k8s.io/";
const CONFIG_GROUP: &str = "kubelet.config.k8s.io/";

/// Which minor version of Kubernetes first has which version of both groups.
const SINCE: [(&str, u32); 3] = [("v1alpha1", 20), ("v1beta1", 24), ("v1", 26)];
const FOLDERS_SINCE: u32 = 34;
const TOKENS_SINCE: u32 = 33;
const CACHE_TYPE_SINCE: u32 = 34;
const WITHOUT_GATE_SINCE: u32 = 24;

const GATE: &str = "KubeletCredentialProviders";
const TOKENS_GATE: &str = "KubeletServiceAccountTokenForCredentialProviders";

const NO_START: &str = "a kubelet that is restarted now would not start";

const PROVIDER_KEYS: [&str; 7] =
    ["name", "matchImages", "defaultCacheDuration", "apiVersion", "args", "env", "tokenAttributes"];
const TOKEN_KEYS: [&str; 5] = [
    "serviceAccountTokenAudience",
    "cacheType",
    "requireServiceAccount",
    "requiredServiceAccountAnnotationKeys",
    "optionalServiceAccountAnnotationKeys",
];

/// A provider of the kubelet's configuration.
pub struct Provider {
    /// The file that it stands in, as the kubelet calls it.
    pub file: String,
    /// Of the file: `v1`, `v1beta1` or `v1alpha1` if all is well.
    file_version: String,
    /// Where it stands in the file.
    line: usize,
    keys: Vec<(String, usize)>,
    pub name: String,
    pub api_version: String,
    pub match_images: Vec<String>,
    cache_duration: String,
    pub arguments: Vec<String>,
    /// `args` is something else than a list.
    odd_arguments: bool,
    /// `env`: names and values.
    pub variables: Vec<(String, String)>,
    /// `tokenAttributes`, where it has some.
    pub tokens: Option<Tokens>,
}

pub struct Tokens {
    keys: Vec<(String, usize)>,
    audience: String,
    cache_type: String,
    require: String,
    has_required_annotations: bool,
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
    let text = fs::read_to_string(kubelet.path(path)).map_err(|error| error.to_string())?;
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
        cache_duration: text_of(provider, "defaultCacheDuration"),
        arguments: list(provider, "args"),
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
            require: text_of(attributes, "requireServiceAccount"),
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

/// Whether a feature gate is on, by the kubelet's flags or else its own configuration.
fn gate(kubelet: &Kubelet, name: &str) -> Option<bool> {
    kubelet.gate(name).or_else(|| {
        let text = fs::read_to_string(kubelet.path(&kubelet.flag("--config")?)).ok()?;
        let document = yaml::parse(&text).ok()??;
        let value = text_of(get(&document, "featureGates")?, name);
        (!value.is_empty()).then(|| value == "true")
    })
}

impl Provider {
    /// Tells what the kubelet, or this program, would not take.
    pub fn check(&self, kubelet: &Kubelet, station: &mut Station) {
        let file = &self.file;
        let version = self.api_version.strip_prefix(GROUP).unwrap_or_default();
        let known = SINCE.iter().any(|(known, _)| *known == version);
        if !known {
            station.warn(
                format!("{file}:{}: apiVersion is `{}`, which neither the kubelet nor this program knows", self.line_of("apiVersion"), self.api_version),
                format!("set apiVersion: {GROUP}v1 (Kubernetes 1.26 and later)"),
            );
        }
        for (what, version) in [("the file", self.file_version.as_str()), ("the provider", version)]
        {
            let since = SINCE.iter().find(|(known, _)| *known == version).map(|(_, since)| *since);
            if let (Some(minor), Some(since)) = (kubelet.minor, since)
                && minor < since
            {
                station.warn(
                    format!("{file}: {version} of {what} came with Kubernetes 1.{since}, and this is 1.{minor}"),
                    format!("write it anew: render kubelet-config --kubelet-version 1.{minor}"),
                );
            }
        }
        if let Some((unknown, line)) = unknown(&self.keys, &PROVIDER_KEYS) {
            station.warn(
                format!("{file}:{line}: unknown key `{unknown}`, which the kubelet refuses"),
                "take it out: a kubelet that is restarted now would not start",
            );
        }
        if let Some(minor) = kubelet.minor.filter(|minor| *minor < WITHOUT_GATE_SINCE)
            && gate(kubelet, GATE) != Some(true)
        {
            station.warn(
                format!("Kubernetes 1.{minor} needs a feature gate for credential providers, and neither the kubelet's flags nor its configuration switch it on"),
                format!("start the kubelet with --feature-gates={GATE}=true"),
            );
        }
        self.check_values(station);
        if self.cache_duration.is_empty() {
            station.warn(
                format!(
                    "{file}:{}: no defaultCacheDuration, which the kubelet requires",
                    self.line
                ),
                "add defaultCacheDuration: 0s",
            );
        }
        for pattern in &self.match_images {
            let (_, path) = pattern.split_at(pattern.find('/').unwrap_or(pattern.len()));
            if pattern.contains("://") || path.contains('*') {
                station.warn(
                    format!("{file}:{}: `{pattern}` in matchImages never matches", self.line_of("matchImages")),
                    "write it without a scheme, and without `*` behind the host: a path is a prefix as it is",
                );
            }
        }
        if let Some(tokens) = &self.tokens {
            self.check_tokens(tokens, version, kubelet, station);
        }
    }

    /// Values that are none of what the kubelet takes there.
    fn check_values(&self, station: &mut Station) {
        let mut wrong = |key: &str, what: String, remedy: &str| {
            station.warn(
                format!("{}:{}: {what}", self.file, self.line_of(key)),
                format!("{remedy}: {NO_START}"),
            );
        };
        let duration = self.cache_duration.as_str();
        if !duration.is_empty() && !duration::is_go(duration) {
            let what = format!(
                "defaultCacheDuration is `{duration}`, which is no duration to the kubelet"
            );
            wrong("defaultCacheDuration", what, "write it with h, m or s, such as 0s or 12h");
        }
        if self.match_images.is_empty() {
            wrong(
                "matchImages",
                "no matchImages".to_owned(),
                "add what `render kubelet-config` writes",
            );
        }
        if self.odd_arguments {
            wrong("args", "args is no list".to_owned(), "write it as a list of texts");
        }
    }

    fn check_tokens(
        &self,
        tokens: &Tokens,
        version: &str,
        kubelet: &Kubelet,
        station: &mut Station,
    ) {
        let minor = kubelet.minor;
        let at = format!("{}:{}", self.file, self.line_of("tokenAttributes"));
        let mut wrong = |what: &str, remedy: &str| station.warn(format!("{at}: {what}"), remedy);
        if self.file_version != "v1" || version != "v1" {
            wrong(
                "tokenAttributes need apiVersion v1, of the file and of the provider",
                "set both to v1",
            );
        }
        if let Some(minor) = minor.filter(|minor| *minor < TOKENS_SINCE) {
            wrong(
                &format!(
                    "Kubernetes 1.{minor} has no tokenAttributes, and does not start with them"
                ),
                "take tokenAttributes out; they came with Kubernetes 1.33",
            );
        }
        if minor == Some(TOKENS_SINCE) && gate(kubelet, TOKENS_GATE) != Some(true) {
            wrong(
                "Kubernetes 1.33 needs a feature gate for tokenAttributes, and neither the kubelet's flags nor its configuration switch it on",
                &format!("see that the kubelet has --feature-gates={TOKENS_GATE}=true"),
            );
        }
        if tokens.audience != AUDIENCE {
            wrong(
                &format!("tokens are asked for `{}`", tokens.audience),
                &format!("set serviceAccountTokenAudience: {AUDIENCE}"),
            );
        }
        let has = |key: &str| tokens.keys.iter().any(|(known, _)| known == key);
        let modern = minor.is_none_or(|minor| minor >= CACHE_TYPE_SINCE);
        match (tokens.cache_type.as_str(), minor) {
            ("Token" | "ServiceAccount", Some(minor)) if minor < CACHE_TYPE_SINCE => {
                wrong(
                    &format!(
                        "Kubernetes 1.{minor} does not know cacheType, and does not start with it"
                    ),
                    "take cacheType out",
                );
            }
            ("", _) if modern => wrong(
                "no cacheType, which Kubernetes 1.34 and later require",
                "add cacheType: ServiceAccount (1.33 alone must not have it)",
            ),
            ("Token" | "ServiceAccount" | "", _) => {}
            (other, _) => {
                wrong(&format!("cacheType is `{other}`"), "set cacheType: ServiceAccount");
            }
        }
        if !has("requireServiceAccount") {
            wrong(
                "no requireServiceAccount, which the kubelet requires",
                "add requireServiceAccount: true",
            );
        } else if !is_bool(&tokens.require) {
            wrong(
                &format!("requireServiceAccount is `{}`", tokens.require),
                &format!("set it to true or false: {NO_START}"),
            );
        }
        if tokens.has_required_annotations && !is_true(&tokens.require) {
            wrong(
                "requiredServiceAccountAnnotationKeys need requireServiceAccount: true",
                &format!(
                    "set it, or put the keys into optionalServiceAccountAnnotationKeys: {NO_START}"
                ),
            );
        }
        if let Some((unknown, line)) = unknown(&tokens.keys, &TOKEN_KEYS) {
            wrong(
                &format!("unknown key `{unknown}` in line {line}, which the kubelet refuses"),
                "take it out",
            );
        }
    }

    /// Of a key; of the provider where it has none.
    pub fn line_of(&self, key: &str) -> usize {
        self.keys.iter().find(|(name, _)| name == key).map_or(self.line, |(_, line)| *line)
    }
}

/// As the kubelet's reader of YAML takes it.
fn is_true(text: &str) -> bool {
    ["true", "yes", "on", "y"].contains(&text.to_ascii_lowercase().as_str())
}

fn is_bool(text: &str) -> bool {
    is_true(text) || ["false", "no", "off", "n"].contains(&text.to_ascii_lowercase().as_str())
}

fn unknown<'k>(keys: &'k [(String, usize)], known: &[&str]) -> Option<(&'k str, usize)> {
    let unknown = keys.iter().find(|(key, _)| !known.contains(&key.as_str()));
    unknown.map(|(key, line)| (key.as_str(), *line))
}

/// The keys of a mapping, each with its line.
fn keys(node: &Node) -> Vec<(String, usize)> {
    let Value::Mapping(pairs) = &node.value else { return Vec::new() };
    pairs.iter().map(|(key, _)| (key.name.clone(), key.at.line)).collect()
}

fn get<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    let Value::Mapping(pairs) = &node.value else { return None };
    pairs.iter().find(|(key, _)| key.name == name).map(|(_, value)| value)
}

fn scalar(node: &Node) -> Option<String> {
    let Value::Scalar(scalar) = &node.value else { return None };
    Some(scalar.text.clone())
}

/// The texts of a list; empty where there is none.
fn list(node: &Node, name: &str) -> Vec<String> {
    match get(node, name).map(|node| &node.value) {
        Some(Value::Sequence(items)) => items.iter().filter_map(scalar).collect(),
        _ => Vec::new(),
    }
}

fn text_of(node: &Node, name: &str) -> String {
    get(node, name).and_then(scalar).unwrap_or_default()
}
