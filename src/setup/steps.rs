//! Changes of a node's files that are made together: each by a rename, all of them noted before the
//! first, and put back in the reverse order if one fails or the run is killed.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Stdio;

use rustix::fs::{FlockOperation, flock};

use crate::failure::{Exit, Failure};
use crate::setup::in_root;
use crate::setup::systemd::stopped;
use crate::setup::tree::{Entry, Tree};
use crate::setup::undo::{self, Changed, Record, State, Unfinished, What};
use crate::system::stop::Stop;

/// A file as it is to be.
#[derive(Debug, Clone)]
pub struct Change {
    pub path: String,
    pub what: What,
    /// None to remove it.
    pub wanted: Option<Entry>,
    pub added: Vec<String>,
    pub patterns: Vec<String>,
    pub variable: Option<String>,
    /// What the file would be without us, where somebody has changed it since the last run.
    pub rebased: Option<String>,
}

impl Change {
    #[must_use]
    pub fn new(path: impl Into<String>, what: What, wanted: Option<Entry>) -> Self {
        Self {
            path: path.into(),
            what,
            wanted,
            added: Vec::new(),
            patterns: Vec::new(),
            variable: None,
            rebased: None,
        }
    }
}

/// Nobody else changes the node's files while this is held; it ends with the process.
///
/// # Errors
///
/// Another run that is under way.
pub fn lock(tree: &Tree) -> Result<File, Failure> {
    let folder = if tree.is_folder("/var/lib") { "/var/lib" } else { "/" };
    let file = tree.place(folder).and_then(File::open).map_err(unreadable(folder))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        Failure::new(Exit::Usage, "another run is at work on this node; wait for it")
    })?;
    Ok(file)
}

/// For `map_err`: what could not be read.
pub fn unreadable(path: &str) -> impl Fn(io::Error) -> Failure + '_ {
    move |error| Failure::new(Exit::Unexpected, format!("cannot read {path}: {error}"))
}

/// Puts a run back that was killed. The result says whether it had restarted the kubelet.
///
/// # Errors
///
/// What could not be put back.
pub fn put_back_killed(tree: &Tree, record: &mut Record) -> Result<bool, Failure> {
    let Some(unfinished) = record.unfinished.take() else { return Ok(false) };
    put_back(tree, &unfinished)?;
    // What it had noted of its own is not done.
    *record = Record::read(tree).map_err(unreadable(&undo::path()))?.unwrap_or_default();
    Ok(unfinished.restarted)
}

/// A run that changes files.
pub struct Steps<'t> {
    tree: &'t Tree,
    stop: &'t Stop,
    before: Record,
    unfinished: Unfinished,
}

impl<'t> Steps<'t> {
    /// Copies what is about to be changed, and notes it.
    ///
    /// # Errors
    ///
    /// What cannot be read, copied or written; then nothing was changed.
    pub fn begin(
        tree: &'t Tree,
        before: Record,
        changes: &[Change],
        stop: &'t Stop,
    ) -> Result<Self, Failure> {
        let mut steps = Self { tree, stop, before, unfinished: Unfinished::default() };
        match steps.prepare(changes) {
            Ok(()) => Ok(steps),
            Err(error) => {
                steps.drop_copies();
                Err(error)
            }
        }
    }

    fn prepare(&mut self, changes: &[Change]) -> Result<(), Failure> {
        let own = undo::path();
        if let Some(entry) = self.tree.entry(&own).map_err(unreadable(&own))? {
            write(self.tree, &undo::meanwhile(&own), Some(&entry))?;
        }
        for Change { path, what, .. } in changes {
            let entry = self.tree.entry(path).map_err(unreadable(path))?;
            self.unfinished.files.push((path.clone(), State::of(entry.as_ref())));
            self.unfinished.folders.extend(missing_folders(self.tree, path));
            if matches!(entry, Some(Entry::File { .. })) {
                write(self.tree, &undo::meanwhile(path), entry.as_ref())?;
                if self.before.file(path).is_none() && *what != What::PullRecord {
                    write(self.tree, &undo::original(path), entry.as_ref())?;
                }
            }
        }
        self.unfinished.folders.sort();
        self.unfinished.folders.dedup();
        self.note()
    }

    fn note(&self) -> Result<(), Failure> {
        let unfinished = Some(self.unfinished.clone());
        write_record(self.tree, &Record { unfinished, ..self.before.clone() })
    }

    /// Makes changes in their order.
    ///
    /// # Errors
    ///
    /// The first that cannot be made, or before which somebody asked to stop.
    pub fn make(&self, changes: &[Change]) -> Result<(), Failure> {
        changes.iter().try_for_each(|change| {
            if self.stop.is_asked() {
                return Err(stopped());
            }
            write(self.tree, &change.path, change.wanted.as_ref())
        })
    }

    /// Notes that the kubelet is about to be restarted.
    ///
    /// # Errors
    ///
    /// If that cannot be written.
    pub fn restarting(&mut self) -> Result<(), Failure> {
        self.unfinished.restarted = true;
        self.note()
    }

    /// Puts everything back. The result says whether the kubelet was restarted meanwhile.
    ///
    /// # Errors
    ///
    /// What could not be put back.
    pub fn put_back(self) -> Result<bool, Failure> {
        put_back(self.tree, &self.unfinished)?;
        Ok(self.unfinished.restarted)
    }

    /// Notes what was installed, with what earlier runs did.
    ///
    /// # Errors
    ///
    /// If that cannot be written.
    pub fn installed(&self, changes: &[Change]) -> Result<(), Failure> {
        let mut record = Record { unfinished: None, ..self.before.clone() };
        record.folders.extend(self.unfinished.folders.clone());
        record.folders.sort();
        record.folders.dedup();
        for change in changes.iter().filter(|change| change.what != What::PullRecord) {
            let after = State::of(change.wanted.as_ref());
            let there = self.before.file(&change.path);
            let noted = self.unfinished.files.iter().find(|(path, _)| *path == change.path);
            let noted = noted.map_or(State::Absent, |(_, state)| state.clone());
            let mut before = there.map_or(noted, |known| known.before.clone());
            if let Some(text) = &change.rebased {
                let (mode, owner) = match &change.wanted {
                    Some(Entry::File { mode, owner, .. }) => (*mode, *owner),
                    _ => (0o644, (0, 0)),
                };
                let entry = Entry::File { bytes: text.clone().into_bytes(), mode, owner };
                write(self.tree, &undo::original(&change.path), Some(&entry))?;
                before = State::of(Some(&entry));
            }
            record.files.retain(|file| file.path != change.path);
            if after == State::Absent && before == State::Absent {
                continue;
            }
            let Change { path, what, added, patterns, variable, .. } = change.clone();
            record.files.push(Changed { path, what, before, after, added, patterns, variable });
        }
        write_record(self.tree, &record)?;
        self.drop_copies();
        Ok(())
    }

    /// Forgets everything: what was installed is taken back.
    pub fn uninstalled(self) {
        // Killed before the record is gone, the next run has to find something to go on with.
        self.remove_folders();
        undo::forget(self.tree);
        self.remove_folders();
    }

    fn remove_folders(&self) {
        for folder in self.before.folders.iter().rev() {
            remove_folder(self.tree, folder);
        }
    }

    fn drop_copies(&self) {
        drop_copies(self.tree);
        if self.before == Record::default() && !self.tree.exists(&undo::path()) {
            undo::forget(self.tree);
        }
    }
}

/// Removes the copies of a run that has ended.
pub fn drop_copies(tree: &Tree) {
    if let Ok(place) = tree.place(&format!("{}/unfinished", undo::FOLDER)) {
        let _ = fs::remove_dir_all(place);
    }
}

/// The reverse order, so that at each moment the kubelet finds what its arguments name. It needs no
/// space: copies are moved, or take the place of what is larger.
fn put_back(tree: &Tree, unfinished: &Unfinished) -> Result<(), Failure> {
    for (path, state) in unfinished.files.iter().rev() {
        let place = tree.place(path).map_err(unwritable(path))?;
        let _ = fs::remove_file(new(&place));
        if *state != State::Absent {
            make_folders(tree, path).map_err(unwritable(path))?;
        }
        let done = match state {
            State::Absent => remove(&place),
            State::Link(target) => link(target, &place),
            State::File { .. } => {
                let copy = tree.place(&undo::meanwhile(path)).map_err(unwritable(path))?;
                match fs::rename(&copy, &place) {
                    // It was put back before, and that was interrupted.
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                    Err(error) if error.kind() == ErrorKind::CrossesDevices => {
                        from_other_disk(tree, path, state, &place)
                    }
                    done => done,
                }
            }
        };
        done.map_err(unwritable(path))?;
        label(tree, path);
    }
    for folder in unfinished.folders.iter().rev() {
        remove_folder(tree, folder);
    }
    let own = undo::path();
    let (copy, place) = (tree.place(&undo::meanwhile(&own)), tree.place(&own));
    if let (Ok(copy), Ok(place)) = (copy, place) {
        if copy.exists() {
            fs::rename(copy, place).map_err(unwritable(&own))?;
        } else {
            remove(&place).map_err(unwritable(&own))?;
        }
    }
    drop_copies(tree);
    if !tree.exists(&own) {
        undo::forget(tree);
    }
    for folder in unfinished.folders.iter().rev() {
        remove_folder(tree, folder);
    }
    Ok(())
}

/// `/var` often has a disk of its own, from which nothing can be moved to `/etc`.
fn from_other_disk(tree: &Tree, path: &str, state: &State, place: &Path) -> io::Result<()> {
    let copy = undo::copy(tree, &undo::meanwhile(path), state)?;
    let Some(Entry::File { bytes, mode, owner }) = copy else { return Ok(()) };
    match file(&bytes, mode, owner, place) {
        // Killed here, the next run finds the copy and continues.
        Err(error) if error.kind() == ErrorKind::StorageFull => fs::write(place, bytes),
        done => done,
    }
}

fn remove_folder(tree: &Tree, folder: &str) {
    if let Ok(place) = tree.place(folder) {
        // Others may have put something into it.
        let _ = fs::remove_dir(place);
    }
}

fn write_record(tree: &Tree, record: &Record) -> Result<(), Failure> {
    write(tree, &undo::path(), Some(&Entry::file(record.json(), 0o600)))
}

/// The folders above a path that are not there, the outermost first.
fn missing_folders(tree: &Tree, path: &str) -> Vec<String> {
    let mut folders: Vec<String> = Path::new(path)
        .ancestors()
        .skip(1)
        .map(|folder| folder.to_string_lossy().into_owned())
        .take_while(|folder| !tree.is_folder(folder))
        .collect();
    folders.reverse();
    folders
}

/// Puts a file, a link or nothing at a path.
///
/// # Errors
///
/// If that cannot be done; then what was there is there.
pub fn write(tree: &Tree, path: &str, wanted: Option<&Entry>) -> Result<(), Failure> {
    let done = tree.place(path).and_then(|place| match wanted {
        None => remove(&place),
        Some(entry) => {
            make_folders(tree, path)?;
            match entry {
                Entry::Link(target) => link(target, &place),
                Entry::File { bytes, mode, owner } => file(bytes, *mode, *owner, &place),
            }
        }
    });
    done.map_err(unwritable(path))?;
    label(tree, path);
    Ok(())
}

fn unwritable(path: &str) -> impl Fn(io::Error) -> Failure + '_ {
    move |error| Failure::new(Exit::Unexpected, format!("cannot write {path}: {error}"))
}

fn make_folders(tree: &Tree, path: &str) -> io::Result<()> {
    for folder in missing_folders(tree, path) {
        let place = tree.place(&folder)?;
        // Copies of what was there may hold secrets.
        let mode = if folder == undo::FOLDER { 0o700 } else { 0o755 };
        DirBuilder::new().mode(mode).create(&place)?;
        // Whatever the umask is.
        fs::set_permissions(&place, PermissionsExt::from_mode(mode))?;
    }
    Ok(())
}

pub(super) fn file(bytes: &[u8], mode: u32, owner: (u32, u32), place: &Path) -> io::Result<()> {
    let new = new(place);
    remove(&new)?;
    let done = File::create_new(&new).and_then(|mut file| {
        file.set_permissions(PermissionsExt::from_mode(0o600))?;
        file.write_all(bytes)?;
        // Not root, as in tests: the file is who runs this one's.
        let _ = chown(&new, Some(owner.0), Some(owner.1));
        file.set_permissions(PermissionsExt::from_mode(mode))?;
        file.sync_all()
    });
    let done = done.and_then(|()| fs::rename(&new, place));
    if done.is_err() {
        let _ = fs::remove_file(&new);
    }
    done
}

fn link(target: &Path, place: &Path) -> io::Result<()> {
    let new = new(place);
    remove(&new)?;
    symlink(target, &new)?;
    fs::rename(&new, place)
}

pub(super) fn remove(place: &Path) -> io::Result<()> {
    match fs::remove_file(place) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(())
        }
        done => done,
    }
}

/// What is to take a file's place.
fn new(place: &Path) -> std::path::PathBuf {
    let mut name = place.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    place.with_file_name(name)
}

/// A renamed file has the label of where it was made, which `SELinux` may not let the kubelet read.
fn label(tree: &Tree, path: &str) {
    if let Some(mut command) = in_root::own(tree.root(), "restorecon") {
        let command = command
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        // Most nodes have no such program.
        drop(command);
    }
}
