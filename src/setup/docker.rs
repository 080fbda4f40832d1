//! The configuration of docker, podman or another client, changed so that it asks this program for
//! logins, and put back.
//!
//! A record beside the file says what was put in. It is not a copy: the file holds logins.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::process::{getegid, geteuid};
use serde::{Deserialize, Serialize};

use crate::failure::{Exit, Failure};
use crate::program::PROGRAM;
use crate::setup::client_file::{self, Added, Unsure};
use crate::setup::{diff, steps};
use crate::system::trusted_file::{self, Refused};

/// Largest file that is read, in KiB.
const MOST: u64 = 1024;

/// What a client's file is without anything in it.
const NEW: &str = "{}\n";

/// What was done to a client's file.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Record {
    /// The file was not there.
    file: bool,
    /// Nor was its folder.
    folder: bool,
    /// The file was there with this, which clients take for an empty object.
    #[serde(default)]
    empty: Option<String>,
    added: Added,
}

/// A client's file and the record of it.
struct Client {
    path: PathBuf,
    /// None where the file is not there, or has nothing in it.
    text: Option<String>,
    /// What the file has, if that is nothing.
    empty: Option<String>,
    mode: u32,
    record: Option<Record>,
}

/// Names the helper for these hosts, and says what was done.
///
/// # Errors
///
/// What keeps it from being done; then the file is as it was.
pub fn install(file: &Path, hosts: &[String], dry_run: bool) -> Result<String, Failure> {
    let client = Client::read(file)?;
    let text = client.text.as_deref().unwrap_or(NEW);
    let record = client.record.as_ref();
    let was = record.map_or(&[][..], |record| &record.added.hosts);
    let path = client.path.display();
    if client_file::has_all(text, hosts) && was.iter().all(|host| hosts.contains(host)) {
        return Ok(format!("{path} names the helper for each host\n"));
    }
    let unsure = |error: Unsure| client.unsure(&error);
    let base = record
        .map_or_else(|| Ok(text.to_owned()), |record| client_file::without(text, &record.added));
    let (after, added) = base.and_then(|base| client_file::with(&base, hosts)).map_err(unsure)?;
    if !dry_run {
        let was_empty = record.and_then(|record| record.empty.clone());
        let empty = client.empty.clone().or(was_empty);
        let is_new = client.text.is_none() && client.empty.is_none();
        let file = is_new || record.is_some_and(|record| record.file);
        let is_there = client
            .path
            .parent()
            .is_none_or(|folder| folder.as_os_str().is_empty() || folder.is_dir());
        let folder = !is_there || record.is_some_and(|record| record.folder);
        if let (false, Some(folder)) = (is_there, client.path.parent()) {
            let made = DirBuilder::new().mode(0o700).create(folder);
            made.map_err(|error| unwritable(folder, &error))?;
        }
        // First: what is in the file can be taken out at any moment.
        client.keep(&Record { file, folder, empty, added })?;
        client.write(&after)?;
    }
    Ok(client.shown(Some(&after), dry_run))
}

/// Takes back what was put in, and nothing else.
///
/// # Errors
///
/// What keeps it from being done; then the file is as it was.
pub fn undo(file: &Path, dry_run: bool) -> Result<String, Failure> {
    let client = Client::read(file)?;
    let Some(record) = &client.record else {
        let message = format!("nothing is recorded in {}", client.record_path().display());
        return Err(Failure::new(Exit::Usage, message)
            .hint("setup docker has done nothing here, or it is undone"));
    };
    let after = client.text.as_deref().map(|text| client_file::without(text, &record.added));
    let after = after.transpose().map_err(|error| {
        refused(&client.path, &error)
            .hint("repair the file first, or take the hosts out of `credHelpers` by hand")
    })?;
    let after = after.filter(|after| !record.file || after != NEW);
    let empty = record.empty.clone().filter(|_| after.as_deref() == Some(NEW));
    let after = empty.or(after).or_else(|| client.empty.clone());
    if !dry_run {
        match &after {
            Some(after) => client.write(after)?,
            None => remove(&client.path)?,
        }
        remove(&client.record_path())?;
        if let (true, Some(folder)) = (record.folder, client.path.parent()) {
            // It stays where others have files in it.
            let _ = fs::remove_dir(folder);
        }
    }
    Ok(client.shown(after.as_deref(), dry_run))
}

/// The hosts of these for which a client's file holds a login of its own.
#[must_use]
pub fn logins<'h>(file: &Path, hosts: &'h [String]) -> Vec<&'h str> {
    let text = read(file).ok().flatten().map(|(text, _)| text).unwrap_or_default();
    client_file::logins(&text, hosts)
}

impl Client {
    fn read(file: &Path) -> Result<Self, Failure> {
        let found = read(file)?;
        // A link stays one.
        let path = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        let (text, mode) = found.map_or((None, 0o600), |(text, mode)| (Some(text), mode));
        let (empty, text) = text.map_or((None, None), |text| {
            if text.trim().is_empty() { (Some(text), None) } else { (None, Some(text)) }
        });
        let mut client = Self { path, text, empty, mode, record: None };
        let path = client.record_path();
        if let Some((text, _)) = read(&path)? {
            let record = serde_json::from_str(&text);
            client.record = Some(record.map_err(|_| {
                let message = format!("{} is not a record of `setup docker`", path.display());
                Failure::new(Exit::Usage, message)
                    .hint("remove it, and take this program out of `credHelpers` by hand")
            })?);
        }
        Ok(client)
    }

    fn record_path(&self) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{PROGRAM}"));
        self.path.with_file_name(name)
    }

    fn keep(&self, record: &Record) -> Result<(), Failure> {
        let path = self.record_path();
        // It has nothing that could not be written.
        let text = serde_json::to_string_pretty(record).unwrap_or_default() + "\n";
        put(&path, &text, 0o600, own())?;
        // Where others could change it, it could not be believed later.
        read(&path).map(drop).inspect_err(|_| drop(fs::remove_file(&path)))
    }

    fn write(&self, text: &str) -> Result<(), Failure> {
        let owner = fs::metadata(&self.path).map_or_else(|_| own(), |it| (it.uid(), it.gid()));
        put(&self.path, text, self.mode, owner)
    }

    fn shown(&self, after: Option<&str>, dry_run: bool) -> String {
        let path = self.path.display().to_string();
        match (after, dry_run) {
            (None, _) if self.text.is_none() => format!("{path} is not there any more\n"),
            (None, false) => format!("removed {path}\n"),
            (None, true) => format!("would remove {path}\n"),
            (Some(_), false) => format!("wrote {path}\n"),
            (Some(after), true) => {
                let lines = |text: &str| client_file::masked(text);
                let before = self.text.as_deref().map(lines).unwrap_or_default();
                let diff = diff::of_lines(&path, &before, &lines(after));
                format!("would write {path} (mode {:o})\n{diff}", self.mode)
            }
        }
    }

    fn unsure(&self, error: &Unsure) -> Failure {
        let failure = refused(&self.path, error);
        match error {
            Unsure::Another { .. } => {
                failure.hint("remove that line first if this program is to answer for the host")
            }
            Unsure::NotJson { .. } | Unsure::Twice => {
                failure.hint("repair the file first: clients need the same")
            }
            _ => failure.hint("name the helper by hand: see docs/docker.md"),
        }
    }
}

/// The text of a file and its mode; none where it is not there.
fn read(path: &Path) -> Result<Option<(String, u32)>, Failure> {
    let contents = match trusted_file::read(path, MOST) {
        Err(Refused::Io(error)) if error.kind() == ErrorKind::NotFound => return Ok(None),
        contents => contents.map_err(|error| refused(path, &error))?,
    };
    let text = String::from_utf8(contents.bytes);
    Ok(Some((text.map_err(|_| refused(path, &"it is not UTF-8 text"))?, contents.mode)))
}

fn refused(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Usage, format!("{} is not changed: {why}", path.display()))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Unexpected, format!("cannot write {}: {error}", path.display()))
}

fn own() -> (u32, u32) {
    (geteuid().as_raw(), getegid().as_raw())
}

fn put(path: &Path, text: &str, mode: u32, owner: (u32, u32)) -> Result<(), Failure> {
    steps::file(text.as_bytes(), mode, owner, path).map_err(|error| unwritable(path, &error))
}

fn remove(path: &Path) -> Result<(), Failure> {
    steps::remove(path).map_err(|error| unwritable(path, &error))
}
