//! The kubelet's `CredentialProviderConfig`: one model, read from a file or folder as the kubelet
//! reads it, and written.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use crate::config::yaml::{self, Node, Value, YamlError, quoted};
use crate::kubelet::mistake::{Finding, Mistake};
use crate::kubelet::process::{Kubelet, Unread};
use crate::kubelet::versions::{ApiVersion, CONFIG_GROUP, PROTOCOL_GROUP, Release};
use crate::system::go_duration;

const KIND: &str = "CredentialProviderConfig";
const KEYS: [&str; 3] = ["kind", "apiVersion", "providers"];
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
#[derive(Debug, Default)]
pub struct Provider {
    /// None where no kubelet knows it; so are others.
    pub file_version: Option<ApiVersion>,
    pub api_version: Option<ApiVersion>,
    /// The binary's file name, too.
    pub name: String,
    pub match_images: Vec<String>,
    pub arguments: Vec<String>,
    /// `env`: names and values.
    pub variables: Vec<(String, String)>,
    pub tokens: Option<TokenAttributes>,
    /// The file that it stands in, as the kubelet calls it; empty for one that is made here.
    pub file: String,
    /// Where it and its keys stand in the file.
    pub line: usize,
    pub lines: Vec<(String, usize)>,
}

#[derive(Debug)]
pub struct TokenAttributes {
    pub audience: String,
    pub cache_type: Option<String>,
    pub require_account: bool,
    pub required_keys: Vec<String>,
    pub optional_keys: Vec<String>,
}

impl TokenAttributes {
    /// The annotations of the service account that are sent along.
    pub fn annotation_keys(&self) -> impl Iterator<Item = &String> {
        self.required_keys.iter().chain(&self.optional_keys)
    }
}

impl Provider {
    /// A mistake at a key, or at the provider where it has no such key.
    pub(super) fn finding(&self, key: &str, mistake: Mistake) -> Finding {
        Finding { file: self.file.clone(), line: Some(self.line_of(key)), mistake }
    }

    pub fn line_of(&self, key: &str) -> usize {
        self.lines.iter().find(|(name, _)| name == key).map_or(self.line, |(_, line)| *line)
    }
}

/// A configuration as it was read, and what is wrong with its form.
#[derive(Debug, Default)]
pub struct ProviderConfig {
    pub providers: Vec<Provider>,
    pub findings: Vec<Finding>,
}

impl ProviderConfig {
    /// Reads a file, or all files of a folder.
    pub fn read(path: &str, kubelet: &Kubelet) -> Self {
        let mut config = Self::default();
        if let Err(mistake) = config.read_all(path, kubelet) {
            config.findings.push(Finding { file: path.to_owned(), line: None, mistake });
        }
        config.check_names();
        config
    }

    /// Reads the text of a file, of which the first YAML document counts.
    pub fn of_text(file: &str, text: &str) -> Self {
        let mut config = Self::default();
        config.add_text(file, text);
        config.check_names();
        config
    }

    fn read_all(&mut self, path: &str, kubelet: &Kubelet) -> Result<(), Mistake> {
        let io = |error: std::io::Error| Mistake::Unread(Unread::from(error));
        let place = kubelet.path(path);
        if fs::metadata(&place).map_err(io)?.is_file() {
            self.add_text(path, &kubelet.read(path).map_err(Mistake::Unread)?);
            return Ok(());
        }
        if let Some(release) = kubelet.release.filter(|release| *release < Release::WITH_FOLDERS) {
            return Err(Mistake::Folder(release));
        }
        let mut files: Vec<PathBuf> = fs::read_dir(&place)
            .map_err(io)?
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| {
                let ending = path.extension().and_then(|ending| ending.to_str());
                !path.is_dir() && ending.is_some_and(|e| ["json", "yaml", "yml"].contains(&e))
            })
            .collect();
        files.sort();
        if files.is_empty() {
            return Err(Mistake::EmptyFolder);
        }
        for file in files {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let file = format!("{}/{name}", path.trim_end_matches('/'));
            match kubelet.read(&file) {
                Ok(text) => self.add_text(&file, &text),
                Err(why) => {
                    self.findings.push(Finding { file, line: None, mistake: Mistake::Unread(why) });
                }
            }
        }
        Ok(())
    }

    fn add_text(&mut self, file: &str, text: &str) {
        let document = match yaml::parse(text) {
            Ok(document) => document
                .unwrap_or(Node { at: yaml::Position { line: 1, column: 1 }, value: Value::Null }),
            Err(YamlError::Syntax(note) | YamlError::Content(note) | YamlError::TooMuch(note)) => {
                let line = Some(note.at.line);
                let mistake = Mistake::Syntax(note);
                return self.findings.push(Finding { file: file.to_owned(), line, mistake });
            }
        };
        let mut reading = Reading { file, findings: &mut self.findings };
        let kind = text_of(&document, "kind");
        if kind != KIND {
            reading.add(&document, "kind", Mistake::Kind(kind));
        }
        reading.keys(&document, &KEYS);
        let file_version = reading.api_version(&document, CONFIG_GROUP);
        let providers = document.get("providers").map(Node::items).unwrap_or_default();
        if providers.is_empty() {
            reading.add(&document, "providers", Mistake::Missing("providers"));
        }
        self.providers.extend(providers.iter().map(|node| reading.provider(file_version, node)));
    }

    fn check_names(&mut self) {
        for (number, one) in self.providers.iter().enumerate() {
            if self.providers.iter().take(number).any(|other| other.name == one.name) {
                self.findings.push(one.finding("name", Mistake::SameName(one.name.clone())));
            }
        }
    }
}

/// Mistakes of form are noted, and the rest is read.
struct Reading<'r> {
    file: &'r str,
    findings: &'r mut Vec<Finding>,
}

impl Reading<'_> {
    /// A mistake at a key of a mapping, or at the mapping where it has no such key.
    fn add(&mut self, node: &Node, key: &str, mistake: Mistake) {
        let pair = node.pairs().iter().find(|(name, _)| name.name == key);
        let line = pair.map_or(node.at, |(key, _)| key.at).line;
        self.findings.push(Finding { file: self.file.to_owned(), line: Some(line), mistake });
    }

    /// The kubelet decodes strictly.
    fn keys(&mut self, node: &Node, known: &[&str]) {
        for (key, _) in node.pairs().iter().filter(|(key, _)| !known.contains(&key.name.as_str())) {
            self.add(node, &key.name, Mistake::UnknownKey(key.name.clone()));
        }
    }

    fn api_version(&mut self, node: &Node, group: &'static str) -> Option<ApiVersion> {
        let text = text_of(node, "apiVersion");
        let version = ApiVersion::parse(&text, group);
        if version.is_none() {
            self.add(node, "apiVersion", Mistake::ApiVersion { text, group });
        }
        version
    }

    fn provider(&mut self, file_version: Option<ApiVersion>, node: &Node) -> Provider {
        self.keys(node, &PROVIDER_KEYS);
        match node.get("defaultCacheDuration").and_then(Node::scalar) {
            None => {
                self.add(node, "defaultCacheDuration", Mistake::Missing("defaultCacheDuration"));
            }
            // As a text `0` is a duration, as a number it is not.
            Some(scalar)
                if go_duration::parse_go(&scalar.text).is_some()
                    && !(scalar.is_plain && is_number_or_boolean(&scalar.text)) => {}
            Some(scalar) => {
                let mistake = Mistake::Duration(scalar.text.clone());
                self.add(node, "defaultCacheDuration", mistake);
            }
        }
        Provider {
            file_version,
            api_version: self.api_version(node, PROTOCOL_GROUP),
            name: text_of(node, "name"),
            match_images: self.texts(node, "matchImages"),
            arguments: self.texts(node, "args"),
            variables: self.variables(node),
            tokens: node.get("tokenAttributes").map(|attributes| self.tokens(attributes)),
            file: self.file.to_owned(),
            line: node.at.line,
            lines: node.pairs().iter().map(|(key, _)| (key.name.clone(), key.at.line)).collect(),
        }
    }

    fn tokens(&mut self, node: &Node) -> TokenAttributes {
        const REQUIRE: &str = "requireServiceAccount";
        self.keys(node, &TOKEN_KEYS);
        let require = node.get(REQUIRE).and_then(Node::scalar);
        let word = require.map(|scalar| scalar.text.to_ascii_lowercase());
        let is_one_of = |words: &[&str]| word.as_ref().is_some_and(|w| words.contains(&w.as_str()));
        // As the kubelet's reader of YAML takes them.
        let require_account = is_one_of(&["true", "yes", "on", "y"]);
        let is_boolean = require_account || is_one_of(&["false", "no", "off", "n"]);
        match require {
            None => self.add(node, REQUIRE, Mistake::Missing(REQUIRE)),
            Some(scalar) if !scalar.is_plain => {
                self.add(node, REQUIRE, Mistake::NotABoolean(quoted(&scalar.text)));
            }
            Some(scalar) if !is_boolean => {
                self.add(node, REQUIRE, Mistake::NotABoolean(scalar.text.clone()));
            }
            Some(_) => {}
        }
        TokenAttributes {
            audience: text_of(node, "serviceAccountTokenAudience"),
            cache_type: Some(text_of(node, "cacheType")).filter(|text| !text.is_empty()),
            require_account,
            required_keys: self.texts(node, "requiredServiceAccountAnnotationKeys"),
            optional_keys: self.texts(node, "optionalServiceAccountAnnotationKeys"),
        }
    }

    /// A list of texts; empty where there is none.
    fn texts(&mut self, node: &Node, key: &'static str) -> Vec<String> {
        let Some(list) = node.get(key).filter(|list| !matches!(list.value, Value::Null)) else {
            return Vec::new();
        };
        if !matches!(list.value, Value::Sequence(_)) || !list.items().iter().all(is_text) {
            self.add(node, key, Mistake::NotTexts(key));
        }
        list.items().iter().filter_map(Node::scalar).map(|scalar| scalar.text.clone()).collect()
    }

    fn variables(&mut self, node: &Node) -> Vec<(String, String)> {
        let Some(list) = node.get("env").filter(|list| !matches!(list.value, Value::Null)) else {
            return Vec::new();
        };
        let fits = |variable: &Node| {
            matches!(variable.value, Value::Mapping(_))
                && variable.pairs().iter().all(|(key, value)| {
                    ["name", "value"].contains(&key.name.as_str()) && is_text(value)
                })
        };
        if !matches!(list.value, Value::Sequence(_)) || !list.items().iter().all(fits) {
            self.add(node, "env", Mistake::Variable);
        }
        let pair = |variable: &Node| (text_of(variable, "name"), text_of(variable, "value"));
        list.items().iter().map(pair).collect()
    }
}

fn text_of(node: &Node, name: &str) -> String {
    node.get(name).and_then(Node::scalar).map_or_else(String::new, |scalar| scalar.text.clone())
}

/// What strict decoding takes for a text; nothing at all is the empty one.
fn is_text(node: &Node) -> bool {
    match &node.value {
        Value::Null => true,
        Value::Scalar(scalar) => !scalar.is_plain || !is_number_or_boolean(&scalar.text),
        _ => false,
    }
}

fn is_number_or_boolean(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    let booleans = ["true", "false", "yes", "no", "on", "off"];
    begins && text.parse::<f64>().is_ok() || booleans.contains(&text.to_ascii_lowercase().as_str())
}

/// The text of a file with these providers, which have the file's version.
pub fn text(version: ApiVersion, providers: &[Provider]) -> String {
    let mut text = format!("apiVersion: {CONFIG_GROUP}{version}\nkind: {KIND}\nproviders:\n");
    for provider in providers {
        write_provider(version, provider, &mut text);
    }
    text
}

fn write_provider(version: ApiVersion, provider: &Provider, text: &mut String) {
    let _ = writeln!(text, "  - name: {}", provider.name);
    let _ = writeln!(text, "    apiVersion: {PROTOCOL_GROUP}{version}");
    *text += "    matchImages:\n";
    for pattern in &provider.match_images {
        let _ = writeln!(text, "      - {}", quoted(pattern));
    }
    *text += "    defaultCacheDuration: 0s\n";
    if !provider.arguments.is_empty() {
        let arguments: Vec<String> = provider.arguments.iter().map(|text| quoted(text)).collect();
        let _ = writeln!(text, "    args: [{}]", arguments.join(", "));
    }
    if !provider.variables.is_empty() {
        *text += "    env:\n";
    }
    for (name, value) in &provider.variables {
        let _ = writeln!(text, "      - {{name: {}, value: {}}}", quoted(name), quoted(value));
    }
    let Some(tokens) = &provider.tokens else { return };
    let _ = writeln!(
        text,
        "    tokenAttributes:\n      serviceAccountTokenAudience: {}",
        tokens.audience
    );
    if let Some(cache_type) = &tokens.cache_type {
        let _ = writeln!(text, "      cacheType: {cache_type}");
    }
    let _ = writeln!(text, "      requireServiceAccount: {}", tokens.require_account);
    for (list, keys) in [("required", &tokens.required_keys), ("optional", &tokens.optional_keys)] {
        if !keys.is_empty() {
            let _ = writeln!(text, "      {list}ServiceAccountAnnotationKeys:");
        }
        for key in keys {
            let _ = writeln!(text, "        - {key}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubelet::flags::FeatureGates;
    use crate::kubelet::provider_rules;

    /// What is wrong with a text, for a kubelet of the release that is assumed.
    fn wrong(text: &str) -> Vec<String> {
        let config = ProviderConfig::of_text("f", text);
        let (release, gates) = (Some(Release::ASSUMED), FeatureGates::default());
        let rules = config.providers.iter().flat_map(|p| provider_rules::check(p, release, &gates));
        config
            .findings
            .iter()
            .map(ToString::to_string)
            .chain(rules.map(|f| f.to_string()))
            .collect()
    }

    const PLAIN: &str = "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n  - name: a\n    apiVersion: credentialprovider.kubelet.k8s.io/v1\n    matchImages: [a.x.com]\n    defaultCacheDuration: 0s\n";

    /// Other people's files have every form that YAML allows.
    #[test]
    fn every_form_is_read() {
        let json = r#"{"apiVersion": "kubelet.config.k8s.io/v1", "kind": "CredentialProviderConfig",
	"providers": [{"name": "a", "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
	"matchImages": ["a.x.com"], "defaultCacheDuration": "0s"}]}"#;
        for text in [
            PLAIN.to_owned(),
            format!("# ours\n---\n{PLAIN}"),
            format!("{PLAIN}---\n"),
            format!("{PLAIN}...\n"),
            format!("{PLAIN}---\nkind: Other\n"),
            format!("{PLAIN}---\nkind: [\n"),
            PLAIN.replace("  - name: a\n", "  -\n    name: 'a'\n"),
            PLAIN.replace("[a.x.com]", "&images [a.x.com]\n    args: []"),
            PLAIN.replace("\n    matchImages: [a.x.com]", "\n    matchImages:\n    - 'a.x.com'"),
            json.to_owned(),
        ] {
            let config = ProviderConfig::of_text("f", &text);
            assert_eq!(wrong(&text), Vec::<String>::new(), "{text}");
            let [provider] = &config.providers[..] else { panic!("{text}") };
            assert_eq!(
                (provider.name.as_str(), &provider.match_images[..]),
                ("a", &["a.x.com".to_owned()][..])
            );
        }
    }

    #[test]
    fn what_the_kubelet_refuses_is_found() {
        for (from, to, says) in [
            ("name: a\n", "name: sub/x\n", "f:4: the name `sub/x` is not a file name"),
            ("name: a\n", "name: \"a b\"\n", "f:4: the name `a b` is not a file name"),
            ("name: a\n", "name: ..\n", "f:4: the name `..` is not a file name"),
            ("[a.x.com]", "[\"a b.x.com\"]", "f:6: `a b.x.com` in matchImages is not a URL"),
            ("[a.x.com]", "[\"a[bc].x.com\"]", "f:6: `a[bc].x.com` in matchImages is not a URL"),
            (": 0s", ": +0", "f:7: defaultCacheDuration is `+0`"),
            ("[a.x.com]", "[1]", "f:6: matchImages is not a list of texts"),
            ("providers:", "other: 1\nproviders:", "f:3: unknown key `other`"),
        ] {
            let text = PLAIN.replace(from, to);
            assert_ne!(text, PLAIN);
            let wrong = wrong(&text);
            assert!(matches!(&wrong[..], [one] if one.starts_with(says)), "{text}: {wrong:?}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let provider = Provider {
            name: "a".to_owned(),
            match_images: vec!["*.x.com".to_owned(), "b\"c".to_owned()],
            arguments: vec!["--config".to_owned(), "/x y".to_owned()],
            variables: vec![("A".to_owned(), "1".to_owned())],
            tokens: Some(TokenAttributes {
                audience: "sts".to_owned(),
                cache_type: Some("Token".to_owned()),
                require_account: true,
                required_keys: vec!["a/b".to_owned()],
                optional_keys: vec!["c".to_owned()],
            }),
            ..Provider::default()
        };
        let written = text(ApiVersion::V1, std::slice::from_ref(&provider));
        let read = ProviderConfig::of_text("f", &written);
        assert!(read.findings.is_empty(), "{:?}", read.findings);
        assert_eq!(text(ApiVersion::V1, &read.providers), written);
        assert_eq!(read.providers[0].arguments, provider.arguments);
    }
}
