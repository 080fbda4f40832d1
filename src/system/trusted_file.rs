//! Files that decide what this program does: read only where nobody else can have written them.
//!
//! The file and the folder it lies in belong to root or to who runs this, and nobody else may write
//! to them. A sticky folder, such as `/tmp`, may be written to by all, for nobody can replace
//! another's file in it; and no folder above may be open to all.
//! What is checked is what was opened, so nothing can change in between; and what is no file is
//! never opened, for that alone can block (a FIFO) or set something off (a device).

use std::fs::File;
use std::io::{Error, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::process::geteuid;

const OTHERS_WRITE: u32 = 0o022;
const ALL_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Whether the path may be a symbolic link; folders on the way to it always may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    Refused,
    /// The kubelet's projected volumes are links, and so are the CA bundles of some distributions.
    Followed,
}

/// What was read.
#[derive(Debug)]
pub struct Contents {
    pub bytes: Vec<u8>,
    /// Permissions, for who wants more than that nobody else may write.
    pub mode: u32,
}

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("{0}")]
    Io(#[from] Error),
    #[error("not a regular file")]
    NoFile,
    #[error("it is a symbolic link; give the file itself")]
    Link,
    #[error("larger than {}", Kibibytes(*.0))]
    TooLarge(u64),
    #[error(
        "{what} belongs to user {owner}, who could change it; it has to be root's, or that of the user who runs this"
    )]
    Foreign { what: &'static str, owner: u32 },
    #[error("{what} can be written by {by} (mode {mode:04o}); run: chmod {remedy} on it")]
    Open { what: &'static str, by: &'static str, mode: u32, remedy: &'static str },
}

struct Kibibytes(u64);

impl std::fmt::Display for Kibibytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            number if number.is_multiple_of(1024) => write!(f, "{} MiB", number / 1024),
            number => write!(f, "{number} KiB"),
        }
    }
}

impl Refused {
    /// It is there, and others could have written it.
    #[must_use]
    pub fn is_distrust(&self) -> bool {
        matches!(self, Self::Link | Self::Foreign { .. } | Self::Open { .. })
    }
}

impl From<Errno> for Refused {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

/// Reads a whole file of at most `most` KiB.
///
/// # Errors
///
/// See [`Refused`].
pub fn read(path: &Path, links: Links, most: u64) -> Result<Contents, Refused> {
    let Some(name) = path.file_name() else { return Err(Refused::NoFile) };
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = fs::open(folder, flags, Mode::empty())?;
    let (at, open) = match links {
        Links::Refused => (AtFlags::SYMLINK_NOFOLLOW, OFlags::NOFOLLOW),
        Links::Followed => (AtFlags::empty(), OFlags::empty()),
    };
    regular(&fs::statat(&folder, name, at)?)?;
    // Should it be replaced at this moment, opening does not wait for anybody either.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC | open;
    let file = fs::openat(&folder, name, flags, Mode::empty())?;
    let stat = fs::fstat(&file)?;
    regular(&stat)?;
    owned("it", &stat)?;
    closed("it", &stat, OTHERS_WRITE)?;
    check_folders(folder)?;
    let mut bytes = Vec::with_capacity(usize::try_from(stat.st_size).unwrap_or(0).min(1 << 20) + 1);
    File::from(file).take(most * 1024 + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most * 1024 {
        return Err(Refused::TooLarge(most));
    }
    Ok(Contents { bytes, mode: stat.st_mode & 0o7777 })
}

fn check_folders(folder: OwnedFd) -> Result<(), Refused> {
    let mut stat = fs::fstat(&folder)?;
    owned("its folder", &stat)?;
    closed("its folder", &stat, OTHERS_WRITE)?;
    let mut folder = folder;
    loop {
        folder = above(folder.as_fd())?;
        let upper = fs::fstat(&folder)?;
        if (upper.st_dev, upper.st_ino) == (stat.st_dev, stat.st_ino) {
            return Ok(());
        }
        closed("a folder above it", &upper, ALL_WRITE)?;
        stat = upper;
    }
}

fn above(folder: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    fs::openat(folder, "..", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn regular(stat: &Stat) -> Result<(), Refused> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(()),
        FileType::Symlink => Err(Refused::Link),
        _ => Err(Refused::NoFile),
    }
}

fn owned(what: &'static str, stat: &Stat) -> Result<(), Refused> {
    if stat.st_uid == 0 || stat.st_uid == geteuid().as_raw() {
        Ok(())
    } else {
        Err(Refused::Foreign { what, owner: stat.st_uid })
    }
}

fn closed(what: &'static str, stat: &Stat, by_whom: u32) -> Result<(), Refused> {
    let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    let open = stat.st_mode & by_whom;
    if open == 0 || (is_folder && stat.st_mode & STICKY != 0) {
        return Ok(());
    }
    let all = open & ALL_WRITE != 0;
    let (by, remedy) = if all { ("everybody", "go-w") } else { ("its group", "g-w") };
    Err(Refused::Open { what, by, mode: stat.st_mode & 0o7777, remedy })
}
