//! What can be wrong with a `CredentialProviderConfig`, what it leads to and what to do.

use std::fmt;
use std::io::ErrorKind;

use crate::config::yaml::Note;
use crate::kubelet::flags;
use crate::kubelet::process::Unread;
use crate::kubelet::versions::{
    ApiVersion, CONFIG_GROUP, CREDENTIAL_PROVIDERS, Gate, PROTOCOL_GROUP, Release, TOKENS,
};
use crate::system::trusted_file::Refused;

/// A mistake and its place.
#[derive(Debug)]
pub struct Finding {
    /// The file or folder, as the kubelet calls it.
    pub file: String,
    /// None for the file as a whole.
    pub line: Option<usize>,
    pub mistake: Mistake,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, mistake } = self;
        match line {
            Some(line) => write!(f, "{file}:{line}: {mistake}"),
            None => write!(f, "{file}: {mistake}"),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Mistake {
    #[error("{0}")]
    Unread(Unread),
    #[error("the file is not YAML: {}", .0.message)]
    Syntax(Note),
    #[error("the folder has no .json, .yaml or .yml file")]
    EmptyFolder,
    #[error("Kubernetes {0} does not read a folder")]
    Folder(Release),
    #[error("kind is `{0}`")]
    Kind(String),
    #[error("apiVersion is `{text}`")]
    ApiVersion { text: String, group: &'static str },
    #[error("apiVersion {version} came with Kubernetes {}; this kubelet is {release}", .version.since())]
    TooNew { version: ApiVersion, release: Release },
    #[error("unknown key `{0}`")]
    UnknownKey(String),
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} is not a list of texts")]
    NotTexts(&'static str),
    #[error("env has an item that is not a name and a value, both texts")]
    Variable,
    #[error("defaultCacheDuration is `{0}`, which is not a duration")]
    Duration(String),
    #[error("the name `{0}` is not a file name")]
    Name(String),
    #[error("two providers have the name `{0}`")]
    SameName(String),
    #[error("`{0}` in matchImages is not a URL")]
    Pattern(String),
    #[error("`{0}` in matchImages never matches an image")]
    Idle(String),
    #[error("feature gate {} is off, and credential providers need it", CREDENTIAL_PROVIDERS.name)]
    ProvidersOff,
    #[error("feature gate {} is off, and tokenAttributes needs it", TOKENS.name)]
    TokensOff,
    #[error("Kubernetes {0} does not know tokenAttributes")]
    TokenAttributes(Release),
    #[error("tokenAttributes needs apiVersion v1 of the file and of the provider")]
    TokensNeedV1,
    #[error("Kubernetes {0} does not know cacheType")]
    UnknownCacheType(Release),
    #[error("cacheType is `{0}`")]
    CacheType(String),
    #[error("requireServiceAccount is `{0}`, which is not true or false")]
    NotABoolean(String),
    #[error("requiredServiceAccountAnnotationKeys needs requireServiceAccount: true")]
    RequiredKeys,
    #[error("`{0}` is not an annotation key")]
    AnnotationKey(String),
    #[error("the annotation key `{0}` is listed twice")]
    SameKey(String),
}

impl Mistake {
    /// Whether a kubelet with this mistake does not start.
    #[must_use]
    pub fn stops_the_kubelet(&self) -> bool {
        match self {
            // What this user may not read the kubelet may.
            Self::Unread(Unread::Refused(Refused::Io(error))) => {
                error.kind() == ErrorKind::NotFound
            }
            Self::Unread(Unread::Refused(_)) | Self::Idle(_) | Self::ProvidersOff => false,
            _ => true,
        }
    }

    /// Whether no pull works with it.
    #[must_use]
    pub fn fails_pulls(&self) -> bool {
        self.stops_the_kubelet() || matches!(self, Self::ProvidersOff)
    }

    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Unread(Unread::Refused(why)) if why.is_distrust() => {
                "Make root the owner, and let nobody else write the file or its folder".to_owned()
            }
            Self::Unread(_) => {
                format!("Correct {}, or write the file", flags::CONFIG)
            }
            Self::Syntax(_) => "Correct the file".to_owned(),
            Self::EmptyFolder => "Write a file into the folder".to_owned(),
            Self::Folder(_) => {
                format!("Name a file. Folders came with Kubernetes {}", Release::WITH_FOLDERS)
            }
            Self::Kind(_) => "Set kind: CredentialProviderConfig".to_owned(),
            Self::ApiVersion { group, .. } => {
                let (version, since) = (ApiVersion::V1, ApiVersion::V1.since());
                format!("Set apiVersion: {group}{version} (Kubernetes {since} and later)")
            }
            Self::TooNew { release, .. } => {
                format!("Write the file anew: render kubelet-config --kubelet-version {release}")
            }
            Self::UnknownKey(key) => format!("Remove `{key}`"),
            Self::Missing(key) => format!("Add {key}, as `render kubelet-config` writes it"),
            Self::NotTexts(key) => format!("Write {key}: [\"TEXT\", ...]"),
            Self::Variable => "Write each item as {name: \"TEXT\", value: \"TEXT\"}".to_owned(),
            Self::Duration(_) => "Write the duration with a unit: 0s, 10m or 12h".to_owned(),
            Self::Name(_) => {
                "Set the name to that of the binary: without `/` and space, not `.` or `..`"
                    .to_owned()
            }
            Self::SameName(name) => format!("Remove one of the providers named {name}"),
            Self::Pattern(_) => {
                "Write HOST[:PORT][/PATH]. In HOST `*` stands for any letters of a label".to_owned()
            }
            Self::Idle(_) => {
                "Write the pattern without `https://`, and without `*` behind the host".to_owned()
            }
            Self::ProvidersOff => switch_on(&CREDENTIAL_PROVIDERS),
            Self::TokensOff => switch_on(&TOKENS),
            Self::TokenAttributes(_) => format!(
                "Remove tokenAttributes. They came with Kubernetes {}",
                Release::WITH_TOKEN_ATTRIBUTES
            ),
            Self::TokensNeedV1 => {
                format!("Set apiVersion: {CONFIG_GROUP}v1 and {PROTOCOL_GROUP}v1")
            }
            Self::UnknownCacheType(_) => {
                format!("Remove cacheType. It came with Kubernetes {}", Release::WITH_CACHE_TYPE)
            }
            Self::CacheType(_) => "Set cacheType: ServiceAccount".to_owned(),
            Self::NotABoolean(_) => {
                "Set requireServiceAccount to true or false, without quotes".to_owned()
            }
            Self::RequiredKeys => {
                "Set requireServiceAccount: true, or use optionalServiceAccountAnnotationKeys"
                    .to_owned()
            }
            Self::AnnotationKey(_) => "Write the key as PREFIX/NAME or NAME".to_owned(),
            Self::SameKey(_) => "List the key once, in one of the two lists".to_owned(),
        }
    }
}

fn switch_on(gate: &Gate) -> String {
    format!("Start the kubelet with --feature-gates={}=true", gate.name)
}
