//! What the configuration means: entries, identities and settings, checked once.
//!
//! `file` knows what is written and where; here it becomes what the stations work with.
//! Everything that can be wrong is found before any call is made.

mod diagnostics;
mod entry;
pub mod file;
mod identity;
mod keys;
mod settings;
mod written;
pub mod yaml;

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use entry::{AssumedRole, Entry, EntryKeys, Scope};
pub use identity::{IdentitySource, Oidc, PodIdentity, TokenMode};
pub use settings::{CacheDir, Endpoints, Settings, check_base_url};
pub use written::Written;

use crate::config::diagnostics::notes::{First, Notes, quotable};
use crate::config::file::Section;
use crate::config::yaml::Note;
use crate::system::environment::Environment;
use crate::system::go_duration;
use crate::system::trusted_file::{self, Links};

/// Where the file is on a node.
pub const SYSTEM_PATH: &str = "/etc/aliyun-acr-credential-provider/config.yaml";

/// The variable that names another one.
pub const PATH_VARIABLE: &str = "ACR_CREDENTIAL_PROVIDER_CONFIG";

/// Largest file that is read, in KiB: what a `ConfigMap` can hold.
pub const MAX_FILE: u64 = 1024;

/// `expiring-threshold` when it is left out, as the vendor's helper has it.
const EXPIRING_THRESHOLD: Duration = Duration::from_secs(15 * 60);

/// A checked configuration.
#[derive(Debug)]
pub struct Config {
    /// None when no file was found.
    pub path: Option<PathBuf>,
    pub entries: Vec<Entry>,
    pub settings: Settings,
    /// A cached login is renewed once it has less than this left.
    pub expiring_threshold: Duration,
    /// Keys of the vendor that are not known here, and other things worth saying in a pull.
    pub warnings: Vec<String>,
    /// How many more there are, which are not kept.
    pub more_warnings: usize,
    pub written: Written,
}

/// A configuration file as it was found.
#[derive(Debug)]
pub struct Source {
    pub path: PathBuf,
    pub text: String,
    /// Its group or others can read or write it.
    pub open_to_others: bool,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("configuration `{}` cannot be read: {detail}", path.display())]
    Unreadable { path: PathBuf, detail: String },
    /// Others could have written it.
    #[error("configuration `{}` is not used: {detail}", path.display())]
    Distrusted { path: PathBuf, detail: String },
    #[error("configuration {}", Listing(path, problems))]
    Wrong {
        path: PathBuf,
        problems: Vec<Note>,
        /// How many more there are, which are not kept.
        more: usize,
    },
    #[error("environment: {0}")]
    Environment(String),
}

impl Config {
    /// The meaning of a file, or of none.
    ///
    /// # Errors
    ///
    /// Every mistake in it.
    pub fn of(source: Option<Source>, environment: &Environment) -> Result<Self, ConfigError> {
        match source {
            None => Self::resolve(None, "", false, environment),
            Some(Source { path, text, open_to_others }) => {
                Self::resolve(Some(path), &text, open_to_others, environment)
            }
        }
    }

    /// The meaning of a file's text. `open_to_others` says whether its group or others can read it.
    ///
    /// # Errors
    ///
    /// Every mistake in the text, in the order of its lines.
    pub fn resolve(
        path: Option<PathBuf>,
        text: &str,
        open_to_others: bool,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let mut notes = Notes::default();
        let file = file::read(text, &mut notes);
        let settings = Settings::read(&file.settings, &file.endpoints, &mut notes);
        let token_mode = token_mode(&file.top, &mut notes);
        let rrsa = file.rrsa.flag("enable", &mut notes).unwrap_or(false);
        let expiring_threshold = expiring_threshold(&file.top, &mut notes);
        let context = identity::Context { settings: &settings, token_mode, rrsa, open_to_others };
        let entries = match &file.entries {
            Some(sections) if !sections.is_empty() => sections
                .iter()
                .enumerate()
                .filter_map(|(index, section)| {
                    entry::read(index + 1, section, &context, &mut notes)
                })
                .collect(),
            implicit => {
                let identity = identity::of_environment(environment, &settings, token_mode)
                    .map_err(ConfigError::Environment)?;
                vec![Entry::implicit(implicit.is_some(), identity)]
            }
        };
        let First { notes: mut problems, more } = notes.problems;
        if !problems.is_empty() {
            problems.sort_by_key(|note| note.at);
            return Err(ConfigError::Wrong { path: path.unwrap_or_default(), problems, more });
        }
        let First { notes: warnings, more: more_warnings } = notes.warnings;
        let warnings = warnings.iter().map(|note| warning(path.as_deref(), note)).collect();
        let written = Written::of(&file, rrsa);
        Ok(Self { path, entries, settings, expiring_threshold, warnings, more_warnings, written })
    }
}

impl Source {
    /// Reads the file that was asked for, or else the first that is there; none if none is.
    ///
    /// # Errors
    ///
    /// A file that was named and is not there, and one that cannot or must not be read.
    pub fn find(
        asked: Option<&Path>,
        environment: &Environment,
        user_file: impl FnOnce() -> Option<PathBuf>,
    ) -> Result<Option<Self>, ConfigError> {
        let named =
            asked.map(Path::to_owned).or_else(|| environment.get(PATH_VARIABLE).map(PathBuf::from));
        // What cannot be looked at, or is a link to nowhere, is there, and an error: without a file other
        // hosts are answered, by another identity.
        let there = |path: &PathBuf| {
            let absent = [ErrorKind::NotFound, ErrorKind::NotADirectory];
            !fs::symlink_metadata(path).is_err_and(|error| absent.contains(&error.kind()))
        };
        let found = named
            .or_else(|| Some(PathBuf::from(SYSTEM_PATH)).filter(there))
            .or_else(|| user_file().filter(there));
        let Some(path) = found else { return Ok(None) };
        if asked.is_none() && !environment.is_text(PATH_VARIABLE) {
            let detail = format!("{PATH_VARIABLE} is not UTF-8 text");
            return Err(ConfigError::Unreadable { path, detail });
        }
        let contents = match trusted_file::read(&path, Links::Refused, MAX_FILE) {
            Ok(contents) => contents,
            Err(why) if why.is_distrust() => {
                return Err(ConfigError::Distrusted { path, detail: why.to_string() });
            }
            Err(why) => return Err(ConfigError::Unreadable { path, detail: why.to_string() }),
        };
        let open_to_others = contents.mode & 0o066 != 0;
        match String::from_utf8(contents.bytes) {
            Ok(text) => Ok(Some(Self { path, text, open_to_others })),
            Err(_) => Err(ConfigError::Unreadable { path, detail: "not UTF-8 text".to_owned() }),
        }
    }
}

fn warning(path: Option<&Path>, note: &Note) -> String {
    format!("{}:{}: {}", path.unwrap_or(Path::new("")).display(), note.at, note.message)
}

fn token_mode(top: &Section, notes: &mut Notes) -> TokenMode {
    let Some(written) = top.text("tokenMode", notes) else {
        return TokenMode::Auto;
    };
    match written.text.as_str() {
        "auto" => TokenMode::Auto,
        "workerRole" => TokenMode::WorkerRole,
        "managedRole" => {
            notes.problem(
                written.at,
                "`tokenMode: managedRole` is not possible from a node: only components inside a managed \
                 cluster are given AliyunCSManagedAcrRole; use `workerRole`, or `auto` with RRSA or an AccessKey",
            );
            TokenMode::Auto
        }
        other => {
            notes.problem(
                written.at,
                format!("`tokenMode` is `{}`; expected auto or workerRole", quotable(other)),
            );
            TokenMode::Auto
        }
    }
}

fn expiring_threshold(top: &Section, notes: &mut Notes) -> Duration {
    let Some(written) = top.text("expiring-threshold", notes) else {
        return EXPIRING_THRESHOLD;
    };
    go_duration::parse_go(&written.text).unwrap_or_else(|| {
        let message = format!(
            "`expiring-threshold` is `{}`; expected a duration such as 15m",
            quotable(&written.text)
        );
        notes.problem(written.at, message);
        EXPIRING_THRESHOLD
    })
}

/// The first mistake, and how many more there are.
struct Listing<'a>(&'a Path, &'a [Note]);

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(path, problems) = self;
        let Some(first) = problems.first() else {
            return write!(f, "{}", path.display());
        };
        write!(f, "{}:{}: {}", path.display(), first.at, first.message)
    }
}
