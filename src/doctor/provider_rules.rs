//! Whether the kubelet would take a provider of its `CredentialProviderConfig`, by the rules of its
//! version, and this program what the kubelet then sends.

use crate::config::yaml::{self, Scalar};
use crate::doctor::report::Station;
use crate::kubelet::go_duration;
use crate::kubelet::match_images::is_refused;
use crate::kubelet::process::Kubelet;
use crate::kubelet::provider_config::{Provider, SINCE, Tokens, get, text_of, unknown};
use crate::pull::identity::AUDIENCE;

const GROUP: &str = "credentialprovider.kubelet.k8s.io/";

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

impl Provider {
    /// Tells what the kubelet would not take, and of a provider of ours what this program would not.
    pub fn check(&self, is_ours: bool, kubelet: &Kubelet, station: &mut Station) {
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
            && is_ours
            && gate(kubelet, GATE, "AllAlpha") != Some(true)
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
            if is_refused(pattern) {
                station.warn(
                    format!(
                        "{file}:{}: `{pattern}` in matchImages is no URL to the kubelet",
                        self.line_of("matchImages")
                    ),
                    format!(
                        "write it as HOST[:PORT][/PATH], with `*` in the host alone: {NO_START}"
                    ),
                );
            } else if is_ours && (pattern.contains("://") || path.contains('*')) {
                station.warn(
                    format!("{file}:{}: `{pattern}` in matchImages never matches", self.line_of("matchImages")),
                    "write it without a scheme, and without `*` behind the host: a path is a prefix as it is",
                );
            }
        }
        if let Some(tokens) = &self.tokens {
            self.check_tokens(tokens, version, is_ours, kubelet, station);
            self.check_annotations(tokens, station);
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
        if !duration.is_empty() && !go_duration::is_go(duration) {
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
        if let Some(odd) = self.odd_variables {
            wrong("env", odd.to_owned(), "write each as {name: TEXT, value: \"TEXT\"}");
        }
        if self.odd_arguments {
            wrong("args", "args is no list".to_owned(), "write it as a list of texts");
        }
    }

    fn check_tokens(
        &self,
        tokens: &Tokens,
        version: &str,
        is_ours: bool,
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
        if minor.is_some_and(|minor| minor > TOKENS_SINCE)
            && gate(kubelet, TOKENS_GATE, "AllBeta") == Some(false)
        {
            wrong(
                "the feature gate that tokenAttributes need is switched off",
                &format!(
                    "take {TOKENS_GATE}=false or AllBeta=false out of the kubelet's feature gates: {NO_START}"
                ),
            );
        }
        if minor == Some(TOKENS_SINCE) && gate(kubelet, TOKENS_GATE, "AllAlpha") != Some(true) {
            wrong(
                "Kubernetes 1.33 needs a feature gate for tokenAttributes, and neither the kubelet's flags nor its configuration switch it on",
                &format!("see that the kubelet has --feature-gates={TOKENS_GATE}=true"),
            );
        }
        if is_ours && tokens.audience != AUDIENCE {
            wrong(
                &format!("tokens are asked for `{}`", tokens.audience),
                &format!("set serviceAccountTokenAudience: {AUDIENCE}"),
            );
        }
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
        match &tokens.require {
            None => wrong(
                "no requireServiceAccount, which the kubelet requires",
                "add requireServiceAccount: true",
            ),
            Some(require) if !require.is_plain => wrong(
                &format!("requireServiceAccount is the text \"{}\"", require.text),
                &format!("set it to true or false, without quotes: {NO_START}"),
            ),
            Some(require) if !is_true(require) && !is_false(require) => wrong(
                &format!("requireServiceAccount is `{}`", require.text),
                &format!("set it to true or false: {NO_START}"),
            ),
            Some(_) => {}
        }
        if tokens.has_required_annotations && !tokens.require.as_ref().is_some_and(is_true) {
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

    /// The two lists of annotation keys: qualified names, and no name twice.
    fn check_annotations(&self, tokens: &Tokens, station: &mut Station) {
        let place = format!("{}:{}", self.file, self.line_of("tokenAttributes"));
        let mut wrong = |what: &str, remedy: &str| station.warn(format!("{place}: {what}"), remedy);
        for (at, key) in tokens.annotations.iter().enumerate() {
            if tokens.annotations.iter().take(at).any(|other| other == key) {
                wrong(
                    &format!("the annotation key `{key}` is given twice"),
                    &format!("give it once, in one of the two lists: {NO_START}"),
                );
            }
            if !is_qualified(key) {
                wrong(
                    &format!("`{key}` is no key of an annotation"),
                    &format!("write it as PREFIX/NAME or NAME: {NO_START}"),
                );
            }
        }
    }
}

/// Whether a feature gate is on, by the kubelet's flags or else its own configuration.
/// `all` is the gate of all of its stage, which counts where it is not named itself.
fn gate(kubelet: &Kubelet, name: &str, all: &str) -> Option<bool> {
    let in_file = |name: &str| {
        let text = kubelet.read(&kubelet.flag("--config")?).ok()?;
        let document = yaml::parse(&text).ok()??;
        let value = text_of(get(&document, "featureGates")?, name);
        (!value.is_empty()).then(|| value == "true")
    };
    [name, all].into_iter().find_map(|name| kubelet.gate(name).or_else(|| in_file(name)))
}

/// Kubernetes' qualified name: a name of at most 63 characters, and before a slash a DNS name.
fn is_qualified(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(one, two)| (Some(one), two));
    let is_word = |text: &str, marks: &[u8], most: usize| {
        let is_end = |end: Option<char>| end.is_some_and(|c| c.is_ascii_alphanumeric());
        (1..=most).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || marks.contains(&b))
            && is_end(text.chars().next())
            && is_end(text.chars().next_back())
    };
    is_word(name, b"-_.", 63) && prefix.is_none_or(|prefix| is_word(prefix, b"-.", 253))
}

/// As the kubelet's reader of YAML takes it.
fn is_true(scalar: &Scalar) -> bool {
    is_one_of(scalar, &["true", "yes", "on", "y"])
}

fn is_false(scalar: &Scalar) -> bool {
    is_one_of(scalar, &["false", "no", "off", "n"])
}

fn is_one_of(scalar: &Scalar, words: &[&str]) -> bool {
    scalar.is_plain && words.contains(&scalar.text.to_ascii_lowercase().as_str())
}
