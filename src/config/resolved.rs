//! What the configuration means: entries, identities and settings, checked once.
//!
//! Whatever can be wrong in it is found before any call is made.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::diagnostics::lines::Position;
use crate::config::diagnostics::notes::{First, Note, Notes};
use crate::config::entry::{self, Entry, session_name};
use crate::config::error::{ConfigError, Mistakes, Warning};
use crate::config::file::{self, File, Section};
use crate::config::identity::{self, TokenMode};
use crate::config::keys::{TOP, Whose};
use crate::config::node::Node;
use crate::config::settings::Settings;
use crate::config::source::{self, Source};
use crate::config::variables::{self, ROLE_SESSION_NAME, Variables};
use crate::system::environment::Environment;
use crate::system::go_duration;

/// `expiring-threshold` when it is left out, as the vendor's helper has it.
const EXPIRING_THRESHOLD: Duration = Duration::from_secs(15 * 60);

/// A checked configuration.
#[derive(Debug)]
pub struct Config {
    /// None when no file was found.
    pub path: Option<PathBuf>,
    pub entries: Vec<Entry>,
    pub settings: Settings,
    pub variables: Variables,
    /// A cached login is renewed once it has less than this left.
    pub expiring_threshold: Duration,
    /// Keys of the vendor that are not known here, and other things worth saying in a pull.
    pub warnings: Vec<Warning>,
    /// How many more there are, which are not kept.
    pub more_warnings: usize,
    pub written: Written,
}

/// What the file has beside its entries, for those who want to know what matters and what does not.
#[derive(Debug, Default)]
pub struct Written {
    /// Keys without a meaning on a node: name, place and value as one text.
    pub ignored: Vec<(String, Position, String)>,
    /// It has neither keys nor anything else but comments.
    pub is_empty: bool,
    /// RRSA is switched on, whether an entry uses it or not.
    pub rrsa: bool,
    /// The keys of `credential-provider`.
    pub settings: Vec<(String, Position)>,
}

impl Config {
    /// The meaning of a file, or of none.
    ///
    /// # Errors
    ///
    /// Every mistake in it and in the environment.
    pub fn of(source: Option<Source>, environment: &Environment) -> Result<Self, ConfigError> {
        let Some(Source { path, text, open_to_others }) = source else {
            let mut config = Self::resolve(None, "", false, environment)?;
            config.warnings.extend(source::overlooked());
            return Ok(config);
        };
        Self::resolve(Some(path), &text, open_to_others, environment)
    }

    /// The meaning of a file's text. `open_to_others` says whether its group or others can read it.
    ///
    /// # Errors
    ///
    /// Every mistake in the text, in the order of its lines, and in the environment.
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
        let rrsa = file.rrsa.value("enable", &mut notes, flag).unwrap_or(false);
        let threshold = file.top.value("expiring-threshold", &mut notes, go_duration::parse_go);
        let mut from_environment = variables::Reader::new(environment);
        let variables = from_environment.variables();
        let profiles = variables.profiles.as_deref();
        let context =
            identity::Context { settings: &settings, token_mode, rrsa, open_to_others, profiles };
        let entries: Vec<Entry> = match &file.entries {
            Some(sections) if !sections.is_empty() => (1..)
                .zip(sections)
                .filter_map(|(number, section)| entry::read(number, section, &context, &mut notes))
                .collect(),
            implicit => {
                let identity = identity::of_environment(
                    &mut from_environment,
                    &settings,
                    token_mode,
                    profiles,
                );
                let session = from_environment.read(ROLE_SESSION_NAME, session_name);
                let entry = |it| Entry::implicit(implicit.is_some(), it, session);
                identity.map(entry).into_iter().collect()
            }
        };
        entry::mirrors_of_two(&entries, &mut notes);
        let First { notes: mut in_file, more } = notes.problems;
        let in_environment = from_environment.wrong;
        if !in_file.is_empty() || !in_environment.is_empty() {
            in_file.sort_by_key(|note| note.at);
            return Err(ConfigError::Wrong(Mistakes { path, in_file, more, in_environment }));
        }
        let First { notes: warnings, more: more_warnings } = notes.warnings;
        let warning = |Note { at, message }| Warning { at: Some(at), message, remedy: None };
        let warnings = warnings.into_iter().map(warning).collect();
        Ok(Self {
            entries,
            settings,
            variables,
            expiring_threshold: threshold.unwrap_or(EXPIRING_THRESHOLD),
            warnings,
            more_warnings,
            written: Written { is_empty: has_nothing(text), ..Written::of(&file, rrsa) },
            path,
        })
    }

    /// The warnings, each with its place in front.
    pub fn warning_lines(&self) -> impl Iterator<Item = String> {
        let path = self.path.as_deref().unwrap_or(Path::new("")).display();
        self.warnings.iter().map(move |Warning { at, message, .. }| match at {
            Some(at) => format!("{path}:{at}: {message}"),
            None => message.clone(),
        })
    }
}

impl Written {
    fn of(file: &File, rrsa: bool) -> Self {
        let is_ignored = |name: &str| TOP.key(name).is_some_and(|it| it.whose == Whose::Ignored);
        let value = |name: &str| file.top.node(name).map(Node::as_text).unwrap_or_default();
        let ignored = file.top.keys().filter(|(name, _)| is_ignored(name));
        Self {
            ignored: ignored.map(|(name, at)| (name.to_owned(), at, value(name))).collect(),
            rrsa,
            is_empty: false,
            settings: file.settings.keys().map(|(name, at)| (name.to_owned(), at)).collect(),
        }
    }
}

/// Whether a text has neither keys nor anything else but comments.
fn has_nothing(text: &str) -> bool {
    let mut lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    lines.all(|line| line.is_empty() || line.starts_with('#') || ["---", "..."].contains(&line))
}

fn token_mode(top: &Section, notes: &mut Notes) -> TokenMode {
    let managed = top.text("tokenMode", notes).filter(|it| it.text == "managedRole");
    if let Some(written) = managed {
        notes.problem(
            written.at,
            "`tokenMode: managedRole` is not possible from a node: only components inside a managed \
             cluster get AliyunCSManagedAcrRole; use `workerRole`, or `auto` with RRSA or an AccessKey",
        );
        return TokenMode::Auto;
    }
    top.value("tokenMode", notes, TokenMode::parse).unwrap_or(TokenMode::Auto)
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}
