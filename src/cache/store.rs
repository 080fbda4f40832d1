//! The cache's directory: who may read and write in it, and how a file in it is replaced.
//!
//! Everything goes through one open directory, so nothing that happens to the path afterwards can
//! lead elsewhere. A file is written beside its place and renamed into it; a run that is killed
//! half-way leaves a file that no reader looks at. Locks are `flock`: they end with their process.

use std::fs::{DirBuilder, File};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::process::geteuid;
use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use crate::system::text::hex;

/// Form of the files, in their first line. Another one is not read.
const MAGIC: &[u8] = b"acr-cache 1 ";

/// Hexadecimal digits of a SHA-1.
const CHECKSUM: usize = 40;

/// Hexadecimal digits that every name begins with.
pub const PLACE: usize = 12;

/// Largest file that is read or written, in bytes: a login or a session takes a few KiB.
const MAX_FILE: u64 = 256 * 1024;

/// Permissions beyond the owner's.
const OTHERS: u32 = 0o077;
/// Permission to write beyond the owner's.
const OTHERS_WRITE: u32 = 0o022;

/// Why the directory, or a file in it, is not used. Worded for a warning.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("{0}")]
    Io(#[from] Errno),
    #[error("it is a symbolic link, or not a directory")]
    NoDirectory,
    #[error("it is not a regular file")]
    NoFile,
    #[error("it belongs to user {0}, not to the user this runs as")]
    Foreign(u32),
    #[error("others may write to it (mode {0:04o})")]
    Open(u32),
    #[error("others may read or write it (mode {0:04o})")]
    Readable(u32),
    #[error(
        "others may look into it (mode {0:04o}), and it holds files of other programs; set cacheDir to a directory of its own"
    )]
    Shared(u32),
    #[error("it is damaged")]
    Damaged,
    #[error("a file would take more than {} KiB", MAX_FILE / 1024)]
    TooLarge,
}

impl From<std::io::Error> for Unusable {
    fn from(error: std::io::Error) -> Self {
        Self::Io(Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }
}

/// A directory that only its owner can read.
#[derive(Debug)]
pub struct Store {
    directory: OwnedFd,
}

/// A file's contents, checked.
pub struct Contents {
    /// Behind the first line.
    pub body: Zeroizing<Vec<u8>>,
    /// Boot time of the last use by a pull, kept as the file's modification time: the wall clock
    /// may be set while the file is there.
    pub used: Duration,
    file: File,
}

impl Contents {
    /// Notes that a pull has used it. A use that cannot be noted is not a reason to fail.
    pub fn touch(&self, now: Duration) {
        let _ = self.file.set_modified(UNIX_EPOCH + now);
    }
}

/// A lock, held until it is dropped or the process ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "open for as long as the lock is held")] File);

impl Store {
    /// Opens the directory if it is there, and closes it to others.
    ///
    /// # Errors
    ///
    /// When it is there and must not be used.
    pub fn open(path: &Path) -> Result<Option<Self>, Unusable> {
        let store = Self::look(path)?;
        if let Some(Self { directory }) = &store
            && fs::fstat(directory)?.st_mode & OTHERS != 0
        {
            fs::fchmod(directory, Mode::RWXU)?;
        }
        Ok(store)
    }

    /// Opens the directory if it is there, and leaves it as it is.
    ///
    /// # Errors
    ///
    /// When it is there and must not be used.
    pub fn look(path: &Path) -> Result<Option<Self>, Unusable> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = match fs::open(path, flags, Mode::empty()) {
            Ok(directory) => directory,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => return Err(Unusable::NoDirectory),
            Err(error) => return Err(error.into()),
        };
        let stat = fs::fstat(&directory)?;
        check_owner(&stat)?;
        if stat.st_mode & OTHERS_WRITE != 0 {
            return Err(Unusable::Open(stat.st_mode & 0o7777));
        }
        let store = Self { directory };
        // A directory that is open to others and holds other files is not ours to close: other
        // programs have to reach their files in it, in `/run` for one.
        if stat.st_mode & OTHERS != 0
            && store.all_names().is_none_or(|names| !names.iter().all(|name| is_ours(name)))
        {
            return Err(Unusable::Shared(stat.st_mode & 0o7777));
        }
        Ok(Some(store))
    }

    /// Opens the directory, made if it is not there.
    ///
    /// # Errors
    ///
    /// When it cannot be made or must not be used.
    pub fn make(path: &Path) -> Result<Self, Unusable> {
        if let Some(store) = Self::open(path)? {
            return Ok(store);
        }
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Self::open(path)?.ok_or(Unusable::Io(Errno::NOENT))
    }

    /// Reads a file; none if it is not there.
    ///
    /// # Errors
    ///
    /// When it is there and not as this program leaves it.
    pub fn read(&self, name: &str) -> Result<Option<Contents>, Unusable> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match fs::openat(&self.directory, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(Unusable::NoFile),
            Err(error) => return Err(error.into()),
        };
        let stat = fs::fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Unusable::NoFile);
        }
        check_owner(&stat)?;
        if stat.st_mode & OTHERS != 0 {
            return Err(Unusable::Readable(stat.st_mode & 0o7777));
        }
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if size > MAX_FILE {
            return Err(Unusable::Damaged);
        }
        let file = File::from(file);
        let mut body = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1));
        (&file).take(MAX_FILE).read_to_end(&mut body)?;
        let begin = checked_start(&body).ok_or(Unusable::Damaged)?;
        body.drain(..begin);
        let used = Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0));
        Ok(Some(Contents { body, used, file }))
    }

    /// Replaces a file in one step. `beside` names the file that it is written to first; no two
    /// writers may use the same one at a time.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or would not be read; what was there stays.
    pub fn write(
        &self,
        name: &str,
        beside: &str,
        body: &[u8],
        used: Duration,
    ) -> Result<(), Unusable> {
        let size = MAGIC.len() + CHECKSUM + 1 + body.len();
        if size as u64 > MAX_FILE {
            return Err(Unusable::TooLarge);
        }
        self.remove(beside);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let mut file = File::from(fs::openat(&self.directory, beside, flags, mode)?);
        let mut text = Zeroizing::new(Vec::with_capacity(size));
        text.extend_from_slice(MAGIC);
        text.extend_from_slice(hex(&Sha1::digest(body)).as_bytes());
        text.push(b'\n');
        text.extend_from_slice(body);
        let placed = file
            .write_all(&text)
            .and_then(|()| file.set_modified(UNIX_EPOCH + used))
            .map_err(Unusable::from)
            .and_then(|()| {
                fs::renameat(&self.directory, beside, &self.directory, name).map_err(Unusable::from)
            });
        if placed.is_err() {
            self.remove(beside);
        }
        placed
    }

    /// Takes a lock if nobody has it.
    ///
    /// # Errors
    ///
    /// When the lock's file cannot be made.
    pub fn try_lock(&self, name: &str) -> Result<Option<Lock>, Unusable> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = File::from(fs::openat(&self.directory, name, flags, mode)?);
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
            Err(std::fs::TryLockError::Error(error)) => return Err(error.into()),
        }
        // It may have been cleared away between opening and locking: then the next try makes it again.
        let locked = fs::fstat(&file)?;
        match fs::statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(there) if (there.st_dev, there.st_ino) == (locked.st_dev, locked.st_ino) => {
                Ok(Some(Lock(file)))
            }
            Ok(_) | Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A socket that others who may enter the directory can connect to by its name.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn listen(&self, name: &str) -> Result<UnixListener, Unusable> {
        self.remove(name);
        Ok(UnixListener::bind(self.path(name))?)
    }

    /// A connection to the process that listens at such a socket.
    ///
    /// # Errors
    ///
    /// When nobody does.
    pub fn connect(&self, name: &str) -> Result<UnixStream, Unusable> {
        Ok(UnixStream::connect(self.path(name))?)
    }

    /// Through the open directory, too: a socket has no other way to be named in it.
    fn path(&self, name: &str) -> PathBuf {
        format!("/proc/self/fd/{}/{name}", self.directory.as_raw_fd()).into()
    }

    /// The names of all files; an unreadable directory has none.
    pub fn names(&self) -> Vec<String> {
        self.all_names().unwrap_or_default()
    }

    /// None where one of them cannot be read, or is not text.
    fn all_names(&self) -> Option<Vec<String>> {
        let entries = Dir::read_from(&self.directory).ok()?;
        entries.map(|entry| Some(entry.ok()?.file_name().to_str().ok()?.to_owned())).collect()
    }

    /// Removes a file, if it is there and can be removed.
    pub fn remove(&self, name: &str) {
        let _ = fs::unlinkat(&self.directory, name, AtFlags::empty());
    }
}

/// Whether a file is named as those of a cache are: after the configuration's place. The directory
/// itself and the one above are among its names.
fn is_ours(name: &str) -> bool {
    let place = name.split_once('-').map_or("", |(place, _)| place);
    let is_place = place.len() == PLACE && place.bytes().all(|b| b.is_ascii_hexdigit());
    is_place || matches!(name, "." | "..")
}

fn check_owner(stat: &Stat) -> Result<(), Unusable> {
    if stat.st_uid == geteuid().as_raw() { Ok(()) } else { Err(Unusable::Foreign(stat.st_uid)) }
}

/// Where the body begins, if the first line's checksum is the body's.
fn checked_start(text: &[u8]) -> Option<usize> {
    let (checksum, body) = text.strip_prefix(MAGIC)?.split_at_checked(CHECKSUM)?;
    let body = body.strip_prefix(b"\n")?;
    (hex(&Sha1::digest(body)).as_bytes() == checksum).then(|| text.len() - body.len())
}
