//! Where the configuration file is found, and whether it may be believed.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::config::error::{ConfigError, Warning};
use crate::config::variables::CONFIG_FILE;
use crate::system::environment::Environment;
use crate::system::trusted_file::{self, Refused};

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
            return Err(ConfigError::Unreadable { path, detail, remedy: None });
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
                let rename = |near: PathBuf| format!("mv {} {}", near.display(), path.display());
                let remedy = near.map(rename).or_else(|| remedy(&why, &path));
                return Err(ConfigError::Unreadable { path, detail, remedy });
            }
        };
        let open_to_others = contents.mode & 0o066 != 0;
        let text = match String::from_utf8(contents.bytes) {
            Ok(text) => text,
            Err(not_text) => {
                let detail = "not UTF-8 text".to_owned();
                let remedy = Some(in_utf_8(not_text.as_bytes(), &path));
                return Err(ConfigError::Unreadable { path, detail, remedy });
            }
        };
        Ok(Some(Self { path, text, open_to_others }))
    }
}

/// What mends a path that leads to something other than a configuration.
fn remedy(why: &Refused, path: &Path) -> Option<String> {
    match why {
        Refused::TooLarge(_) => Some(format!(
            "see that the path is right: `{}` is larger than a configuration can be",
            path.display()
        )),
        Refused::NotRegular => Some(match file_within(path) {
            Some(file) => format!("give the file, not its folder: {}", file.display()),
            None => format!(
                "put the configuration into a file, and give that: ls -l {}",
                path.display()
            ),
        }),
        _ => None,
    }
}

/// The first file of a folder whose name is one of a configuration.
fn file_within(folder: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(folder).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    files.filter(|path| path.is_file() && path.file_name().is_some_and(is_of_yaml)).min()
}

fn is_of_yaml(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| stem(name) != name)
}

/// Windows' editors write UTF-16, with its byte order mark. A copy may have an AccessKey in it.
fn in_utf_8(bytes: &[u8], path: &Path) -> String {
    let path = path.display();
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        format!(
            "(umask 077; iconv -f UTF-16 -t UTF-8 -o {path}.utf8 {path} && cat {path}.utf8 > {path} && rm {path}.utf8)"
        )
    } else {
        format!("save the file as UTF-8 ({path} is in another encoding, or no text)")
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
