//! What can be wrong with a `CredentialProviderConfig`, what it leads to and what to do.

use std::fmt;
use std::io::ErrorKind;

use crate::config::yaml::Note;
use crate::kubelet::flags;
use crate::kubelet::process::Unread;
use crate::kubelet::versions::{ApiVersion, CREDENTIAL_PROVIDERS, Release, TOKENS};
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
    #[error("Kubernetes {0} does not read a folder, only a file")]
    Folder(Release),
    #[error("kind is `{0}`; expected CredentialProviderConfig")]
    Kind(String),
    #[error("apiVersion is `{text}`; expected {group}v1")]
    ApiVersion { text: String, group: &'static str },
    #[error("apiVersion {version} came with Kubernetes {}; this kubelet is {release}", .version.since())]
    TooNew { version: ApiVersion, release: Release },
    #[error("unknown key `{0}`")]
    UnknownKey(String),
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} is not a list of texts")]
    NotTexts(&'static str),
    #[error("env has an item that is not {{name: TEXT, value: TEXT}}")]
    Variable,
    #[error("defaultCacheDuration is `{0}`; expected a duration such as 0s or 12h")]
    Duration(String),
    #[error("the name `{0}` is not a file name without spaces")]
    Name(String),
    #[error("two providers have the name `{0}`")]
    SameName(String),
    #[error(
        "`{0}` in matchImages is not a URL; expected HOST[:PORT][/PATH], with `*` in HOST alone"
    )]
    Pattern(String),
    #[error(
        "`{0}` in matchImages never matches; expected HOST[:PORT][/PATH], with `*` in HOST alone"
    )]
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
    #[error("cacheType is `{0}`; expected Token or ServiceAccount")]
    CacheType(String),
    #[error("requireServiceAccount is `{0}`; expected true or false")]
    NotABoolean(String),
    #[error("requiredServiceAccountAnnotationKeys needs requireServiceAccount: true")]
    RequiredKeys,
    #[error("`{0}` is not an annotation key; expected PREFIX/NAME or NAME")]
    AnnotationKey(String),
    #[error("the annotation key `{0}` is listed twice")]
    SameKey(String),
}

impl Mistake {
    /// Whether a kubelet with this mistake does not start.
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
    pub fn fails_pulls(&self) -> bool {
        self.stops_the_kubelet() || matches!(self, Self::ProvidersOff)
    }

    pub fn remedy(&self) -> String {
        let gate = match self {
            Self::Unread(Unread::Refused(why)) if why.is_distrust() => {
                return "let root own the file and its folder, and let nobody else write to them"
                    .to_owned();
            }
            Self::Unread(_) => return format!("see what {} names", flags::CONFIG),
            Self::ProvidersOff => &CREDENTIAL_PROVIDERS,
            Self::TokensOff => &TOKENS,
            _ => {
                return "correct the file; `render kubelet-config` writes what a kubelet takes"
                    .to_owned();
            }
        };
        format!("start the kubelet with --feature-gates={}=true", gate.name)
    }
}
