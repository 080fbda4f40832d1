//! What was changed on a node, so that exactly that is taken back: one readable file, and beside it
//! a copy of each file as it was before.

use std::fmt::Write;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use ring::digest;
use serde::{Deserialize, Serialize};

use crate::program::PROGRAM;
use crate::setup::tree::{Entry, Tree};

/// Where the record and the copies are.
pub const FOLDER: &str = concat!("/var/lib/", env!("CARGO_PKG_NAME"));

/// What a changed file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    Program,
    /// The program under the name by which the kubelet sends tokens of pods.
    SecondName,
    /// The copy of the program that an upgrade replaced.
    Previous,
    Configuration,
    /// The kubelet's `CredentialProviderConfig`.
    Providers,
    /// A file in which the kubelet's arguments stand.
    Arguments,
    Refresh,
    /// The kubelet's own record of who pulled an image. It is put back if the run fails, and not when
    /// the program is uninstalled.
    PullRecord,
}

/// A file that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Changed {
    pub path: String,
    pub what: What,
    pub before: State,
    pub after: State,
    /// What was put into a file of somebody else: arguments, names of providers, or patterns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    /// Patterns of images that were put in, behind the name of their provider.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<String>,
    /// The variable that holds the arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
}

/// What stood at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Absent,
    File { sha256: String, mode: String, user: u32, group: u32 },
    Link(PathBuf),
}

impl State {
    #[must_use]
    pub fn of(entry: Option<&Entry>) -> Self {
        match entry {
            None => Self::Absent,
            Some(Entry::Link(target)) => Self::Link(target.clone()),
            Some(Entry::File { bytes, mode, owner }) => Self::File {
                sha256: sha256(bytes),
                mode: format!("{mode:04o}"),
                user: owner.0,
                group: owner.1,
            },
        }
    }

    /// Whether the content is the same. The owner may differ.
    #[must_use]
    pub fn has_content_of(&self, entry: Option<&Entry>) -> bool {
        match (self, Self::of(entry)) {
            (Self::File { sha256, .. }, Self::File { sha256: other, .. }) => *sha256 == other,
            (one, other) => *one == other,
        }
    }
}

/// A run that has begun: what it changes, so that the next one can put that back.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unfinished {
    pub files: Vec<(String, State)>,
    /// Folders that it makes, the outermost first.
    pub folders: Vec<String>,
    /// The kubelet was restarted meanwhile.
    pub restarted: bool,
}

/// The record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// Of this form.
    pub version: u32,
    pub files: Vec<Changed>,
    pub folders: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<Unfinished>,
}

impl Default for Record {
    fn default() -> Self {
        Self { version: 1, files: Vec::new(), folders: Vec::new(), unfinished: None }
    }
}

/// Where the record is.
#[must_use]
pub fn path() -> String {
    format!("{FOLDER}/undo.json")
}

/// Where the copy of a file as it was before the first run is.
#[must_use]
pub fn original(path: &str) -> String {
    format!("{FOLDER}/original{path}")
}

/// Where the copy of a file as it was before the run that is under way is.
#[must_use]
pub fn meanwhile(path: &str) -> String {
    format!("{FOLDER}/unfinished{path}")
}

impl Record {
    /// Reads the record; none where there is none.
    ///
    /// # Errors
    ///
    /// A record that cannot be read.
    pub fn read(tree: &Tree) -> io::Result<Option<Self>> {
        let Some(text) = tree.text(&path())? else { return Ok(None) };
        let record: Self = serde_json::from_str(&text).map_err(io::Error::other)?;
        if record.version != 1 {
            return Err(io::Error::other(format!("its version is {}", record.version)));
        }
        Ok(Some(record))
    }

    #[must_use]
    pub fn file(&self, path: &str) -> Option<&Changed> {
        self.files.iter().find(|file| file.path == path)
    }

    /// All files of a sort.
    pub fn of(&self, what: What) -> impl Iterator<Item = &Changed> {
        self.files.iter().filter(move |file| file.what == what)
    }

    /// All arguments that were put into somebody's files.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        self.of(What::Arguments).flat_map(|file| file.added.iter().cloned()).collect()
    }

    #[must_use]
    pub fn json(&self) -> String {
        // It has nothing that could not be written.
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        text + "\n"
    }
}

/// Whether a script of an earlier version has set this node up.
#[must_use]
pub fn is_of_script(tree: &Tree) -> bool {
    tree.exists(&format!("{FOLDER}/record"))
}

/// The copy of a file from before, if there was one.
///
/// # Errors
///
/// A copy that is lost or was changed.
pub fn copy(tree: &Tree, path: &str, state: &State) -> io::Result<Option<Entry>> {
    let (mode, owner) = match state {
        State::Absent => return Ok(None),
        State::Link(target) => return Ok(Some(Entry::Link(target.clone()))),
        State::File { mode, user, group, .. } => (mode, (*user, *group)),
    };
    let entry = tree.entry(path)?;
    if !state.has_content_of(entry.as_ref()) {
        let message = format!("{path} is not the copy that was made");
        return Err(io::Error::new(ErrorKind::InvalidData, message));
    }
    let mode = u32::from_str_radix(mode, 8).map_err(io::Error::other)?;
    match entry {
        Some(Entry::File { bytes, .. }) => Ok(Some(Entry::File { bytes, mode, owner })),
        _ => Ok(None),
    }
}

/// Removes what a run without a record left of copies.
pub fn forget(tree: &Tree) {
    if let (Ok(folder), Ok(record)) = (tree.place(FOLDER), tree.place(&path())) {
        // A record without its copies is worth nothing.
        let _ = fs::remove_file(record);
        let _ = fs::remove_dir_all(folder);
    }
}

#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in digest::digest(&digest::SHA256, bytes).as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The name of the file that is ours alone in a folder of somebody else.
#[must_use]
pub fn own_name(ending: &str) -> String {
    format!("99-{PROGRAM}.{ending}")
}
