//! How strictly the kubelet reads what a plugin writes to stdout.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use super::config::CacheType;
use super::duration::GoDuration;
use super::json::{self, Node};
use super::strict::{Fields, Rule, Violation};
use super::type_meta::TypeMeta;

#[cfg(test)]
mod tests;

/// A `CredentialProviderResponse` the kubelet has accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    pub cache_key_type: CacheKeyType,
    /// None: the provider's `defaultCacheDuration` applies. Zero: used once and not cached.
    /// Negative values are not refused; they make an entry that has expired already.
    pub cache_duration: Option<GoDuration>,
    /// Logins by image pattern. None and an empty map are the same to the kubelet: no credentials,
    /// and cached like any.
    pub auth: Option<BTreeMap<String, Credential>>,
}

/// For which other images the kubelet will use an answer again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheKeyType {
    /// The same repository only.
    Image,
    /// Every image of the same host and port.
    Registry,
    /// Every image the provider is asked for.
    Global,
}

/// A login. Either part may be empty: the types declare that valid.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credential {
    pub username: String,
    pub password: String,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("username", &self.username).finish_non_exhaustive()
    }
}

impl Response {
    /// plugin.go `provide`, since 1.34: the pod's token must not come back as a password unless
    /// the provider's cacheType is `Token`, for it would outlive the pod in the cache.
    pub fn check_echo(&self, token: &str, cache_type: Option<CacheType>) -> Result<(), Refusal> {
        let checked = !token.is_empty() && cache_type == Some(CacheType::ServiceAccount);
        let mut credentials = self.auth.iter().flat_map(BTreeMap::values);
        if checked && credentials.any(|credential| credential.password == token) {
            return Err(Refusal::EchoedToken);
        }
        Ok(())
    }
}

/// Why an answer is dropped. The pull then goes on without this provider's credentials.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// Not one JSON object with a readable `apiVersion`.
    NoTypeMeta { problem: String },
    /// Another version than the configured one; another valid one included.
    ApiVersion { expected: String, actual: String },
    /// Any other fault of form. The kubelet logs no detail, since the answer may hold credentials;
    /// rule and place are for tests and name nothing the answer chose.
    Undecodable { rule: Rule, place: String },
    /// Absent, or not one of the three.
    CacheKeyType { given: String },
    /// The service account token, where it may not be used as a password.
    EchoedToken,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTypeMeta { problem } => write!(f, "error reading GVK from response: {problem}"),
            Self::ApiVersion { expected, actual } => write!(
                f,
                "apiVersion from credential plugin response did not match expected \
                 apiVersion:{expected}, actual apiVersion:{actual}"
            ),
            Self::Undecodable { rule, place } => {
                f.write_str("error decoding credential provider plugin response from stdout")?;
                write!(f, " ({rule:?}")?;
                if !place.is_empty() {
                    write!(f, " at {place}")?;
                }
                f.write_str(")")
            }
            Self::CacheKeyType { given } => write!(
                f,
                "credential provider plugin did not return a valid cacheKeyType: {given:?}"
            ),
            Self::EchoedToken => f.write_str(
                "credential provider plugin returned the service account token as the password, \
                 which is not allowed when service account cache type is not set to 'Token'",
            ),
        }
    }
}

impl Error for Refusal {}

/// Reads stdout of a plugin that exited with 0, in the order of plugin.go `ExecPlugin` and
/// `provide`: the type first, by plain JSON over the whole text; then its version, byte for byte;
/// then every field, strictly; the cache key type last.
pub fn decode_response(stdout: &[u8], configured_api_version: &str) -> Result<Response, Refusal> {
    let document = json::read(stdout).map_err(|malformed| no_type_meta(&malformed))?;
    let meta = TypeMeta::interpret(&document).map_err(|problem| no_type_meta(&problem))?;
    if meta.api_version != configured_api_version {
        return Err(Refusal::ApiVersion {
            expected: configured_api_version.to_owned(),
            actual: meta.api_version,
        });
    }
    check_kind(&meta)?;
    let written = Written::read(document)
        .map_err(|Violation { rule, path, .. }| Refusal::Undecodable { rule, place: path })?;
    let cache_key_type = match written.cache_key_type.as_str() {
        "Image" => CacheKeyType::Image,
        "Registry" => CacheKeyType::Registry,
        "Global" => CacheKeyType::Global,
        _ => {
            return Err(Refusal::CacheKeyType { given: written.cache_key_type });
        }
    };
    Ok(Response { cache_key_type, cache_duration: written.cache_duration, auth: written.auth })
}

/// The API group of requests and answers, with the versions that exist.
pub const API_VERSIONS: [&str; 3] = [
    "credentialprovider.kubelet.k8s.io/v1",
    "credentialprovider.kubelet.k8s.io/v1beta1",
    "credentialprovider.kubelet.k8s.io/v1alpha1",
];

/// The fields as written, before `cacheKeyType` is judged.
struct Written {
    cache_key_type: String,
    cache_duration: Option<GoDuration>,
    auth: Option<BTreeMap<String, Credential>>,
}

impl Written {
    fn read(document: Node) -> Result<Self, Violation> {
        let mut fields = Fields::of(document, "")?;
        fields.string("apiVersion")?;
        fields.string("kind")?;
        let cache_key_type = fields.string("cacheKeyType")?.unwrap_or_default();
        let cache_duration = fields.duration("cacheDuration")?;
        let entries = fields.map("auth")?;
        fields.end()?;
        let auth = entries.map(|entries| entries.into_iter().map(read_entry).collect());
        Ok(Self { cache_key_type, cache_duration, auth: auth.transpose()? })
    }
}

fn read_entry((key, mut fields): (String, Fields)) -> Result<(String, Credential), Violation> {
    let username = fields.string("username")?.unwrap_or_default();
    let password = fields.string("password")?.unwrap_or_default();
    fields.end()?;
    Ok((key, Credential { username, password }))
}

fn check_kind(meta: &TypeMeta) -> Result<(), Refusal> {
    let rule = if meta.kind.is_empty() {
        Rule::MissingKind
    } else if !API_VERSIONS.contains(&meta.api_version.as_str()) {
        Rule::UnknownVersion
    } else if meta.kind != "CredentialProviderResponse" {
        Rule::OtherKind
    } else {
        return Ok(());
    };
    Err(Refusal::Undecodable { rule, place: String::new() })
}

fn no_type_meta(problem: &impl fmt::Display) -> Refusal {
    Refusal::NoTypeMeta { problem: problem.to_string() }
}
