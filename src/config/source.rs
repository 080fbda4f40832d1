//! Where the configuration file is found, and whether it may be believed.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::config::error::{ConfigError, Warning};
use crate::config::variables::CONFIG_FILE;
use crate::system::environment::Environment;
use crate::system::trusted_file;

/// Where the file is on a node.
pub const SYSTEM_PATH: &str = "/etc/aliyun-acr-credential-provider/config.yaml";

/// Largest file that is read, in KiB: what a `ConfigMap` can hold.
pub const MAX_FILE: u64 = 1024;

/// A configuration file as it was found.
#[derive(Debug)]
pub struct Source {
    pub path: PathBuf,
    pub text: String,
    /// Its group or others can read or write it.
    pub open_to_others: bool,
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
            asked.map(Path::to_owned).or_else(|| environment.get(CONFIG_FILE).map(PathBuf::from));
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
        if asked.is_none() && !environment.is_text(CONFIG_FILE) {
            let detail = format!("{CONFIG_FILE} is not UTF-8 text");
            return Err(ConfigError::Unreadable { path, detail, near: None });
        }
        let contents = match trusted_file::read(&path, MAX_FILE) {
            Ok(contents) => contents,
            Err(why) if why.is_distrust() => {
                return Err(ConfigError::Distrusted { path, detail: why.to_string() });
            }
            Err(why) if why.is_of_permission() => return Err(ConfigError::Closed { path }),
            Err(why) => {
                let near = near_name(&path).filter(|_| !there(&path));
                let is_there = |near: &PathBuf| format!("; {} is there", near.display());
                let detail = format!("{why}{}", near.as_ref().map(is_there).unwrap_or_default());
                return Err(ConfigError::Unreadable { path, detail, near });
            }
        };
        let open_to_others = contents.mode & 0o066 != 0;
        let Ok(text) = String::from_utf8(contents.bytes) else {
            let detail = "not UTF-8 text".to_owned();
            return Err(ConfigError::Unreadable { path, detail, near: None });
        };
        Ok(Some(Self { path, text, open_to_others }))
    }
}

/// A file of a near name where the one that is looked for is not, and what to say of it.
#[must_use]
pub fn overlooked() -> Option<Warning> {
    let near = near_name(Path::new(SYSTEM_PATH))?;
    let message = format!(
        "{} is not read: its name is not that of the configuration, {SYSTEM_PATH}, which is not there",
        near.display()
    );
    let remedy = Some(format!("mv {} {SYSTEM_PATH}", near.display()));
    Some(Warning { at: None, message, remedy })
}

/// What package managers and editors put behind the name of a file that they keep.
const KEPT: [&str; 10] = [
    "~",
    ".bak",
    ".old",
    ".orig",
    ".save",
    ".rpmsave",
    ".rpmnew",
    ".rpmorig",
    ".dpkg-old",
    ".dpkg-dist",
];

/// Most edits by which a mistyped name is still taken for the one that was meant.
const MOST_EDITS: usize = 2;

/// A file beside the one that was looked for, with another ending, mistyped or in another letter
/// case; and after those, one that was kept beside it.
fn near_name(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let rank = |other: &str| {
        let other = other.to_ascii_lowercase();
        let plain = KEPT.iter().find_map(|end| other.strip_suffix(end));
        let bare = plain.unwrap_or(&other);
        let is_near = stem(bare) == stem(&name)
            || strsim::osa_distance(bare, &name) <= MOST_EDITS && stem(bare) != bare;
        is_near.then_some((plain.is_some(), other))
    };
    let beside = fs::read_dir(path.parent()?).ok()?.filter_map(Result::ok);
    let beside = beside.filter(|entry| entry.path() != path);
    let near = beside.filter_map(|entry| Some((rank(entry.file_name().to_str()?)?, entry.path())));
    near.min().map(|(_, path)| path)
}

/// A name without the ending of a file of this kind.
fn stem(name: &str) -> &str {
    [".yaml", ".yml", ".json"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}
