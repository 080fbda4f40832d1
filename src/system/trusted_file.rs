//! Files that decide what this program does: read only where nobody else can have written them.
//!
//! The file and the folder it lies in belong to root or to who runs this, and nobody else may write
//! to them. A sticky folder, such as `/tmp`, may be written to by all, because nobody can replace
//! another's file in it; and no folder above may be open to all. The same holds for each link on the
//! way and for the folder it lies in.
//! What is checked is what was opened, so nothing can change in between. Only a regular file is
//! opened, because opening alone can block (a FIFO) or set something off (a device).

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Error, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::process::geteuid;

const OTHERS_WRITE: u32 = 0o022;
const ALL_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Most links that are followed, as the kernel has it.
const MOST_LINKS: usize = 40;

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
    NotRegular,
    /// The first step that is missing behind links, and where each of those leads.
    #[error("it is a link that leads to {}, and `{}` does not exist", Chain(.links), .missing.display())]
    Nowhere { links: Vec<PathBuf>, missing: PathBuf },
    #[error("larger than {}", Kibibytes(*.0))]
    TooLarge(u64),
    #[error(
        "{what} belongs to user {owner}, who could change it; it has to be root's, or that of the user who runs this"
    )]
    Foreign { what: What, owner: u32 },
    #[error("{what} can be written by {by} (mode {mode:04o}); run: chmod {remedy} on it")]
    Open { what: What, by: &'static str, mode: u32, remedy: &'static str },
}

/// A step on the way to a file.
#[derive(Debug, Clone)]
pub enum What {
    File,
    Folder,
    Above,
    /// Behind at least one link.
    Target(PathBuf),
    TargetFolder(PathBuf),
    Link(PathBuf),
    LinkFolder(PathBuf),
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File => f.write_str("it"),
            Self::Folder => f.write_str("its folder"),
            Self::Above => f.write_str("a folder above it"),
            Self::Target(path) => write!(f, "the file that it leads to, `{}`,", path.display()),
            Self::TargetFolder(path) => write!(f, "the folder of `{}`", path.display()),
            Self::Link(path) => write!(f, "the link `{}`", path.display()),
            Self::LinkFolder(path) => write!(f, "the folder of the link `{}`", path.display()),
        }
    }
}

fn is_open_to_all(folder: &Path) -> bool {
    fs::stat(folder).is_ok_and(|stat| stat.st_mode & ALL_WRITE != 0 && stat.st_mode & STICKY == 0)
}

struct Chain<'p>(&'p [PathBuf]);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (number, path) in self.0.iter().enumerate() {
            let before = if number == 0 { "" } else { ", then to " };
            write!(f, "{before}`{}`", path.display())?;
        }
        Ok(())
    }
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
    /// What root runs so that nobody else can have written it, as far as that is known.
    #[must_use]
    pub fn commands(&self, path: &Path) -> Option<String> {
        let (Self::Foreign { what, .. } | Self::Open { what, .. }) = self else { return None };
        let folder = |path: &Path| path.parent().map(Path::to_owned);
        let place = match what {
            What::File => path.to_owned(),
            What::Folder => folder(path)?,
            What::Above => {
                path.ancestors().skip(2).find(|folder| is_open_to_all(folder))?.to_owned()
            }
            What::Target(path) | What::Link(path) => path.clone(),
            What::TargetFolder(path) | What::LinkFolder(path) => folder(path)?,
        };
        let (owner, place) = ("root:root", place.display());
        Some(match what {
            What::File | What::Target(_) => format!("chown {owner} {place}; chmod 600 {place}"),
            What::Link(_) => format!("chown -h {owner} {place}"),
            _ => format!("chown {owner} {place}; chmod go-w {place}"),
        })
    }

    /// Another user may read it.
    #[must_use]
    pub fn is_of_permission(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == ErrorKind::PermissionDenied)
    }

    /// It is there, and others could have written it.
    pub fn is_distrust(&self) -> bool {
        matches!(self, Self::Foreign { .. } | Self::Open { .. })
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
pub fn read(path: &Path, most: u64) -> Result<Contents, Refused> {
    let Place { folder, name, path: place, links } = arrive(path)?;
    let (file, its_folder) = if links.is_empty() {
        (What::File, What::Folder)
    } else {
        (What::Target(place.clone()), What::TargetFolder(place.clone()))
    };
    let stat = fs::statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW);
    let stat = stat.map_err(|error| nowhere(links, place, error))?;
    regular(&stat)?;
    // Should it be replaced at this moment, opening does not wait for anybody either.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = fs::openat(&folder, &name, flags | OFlags::NOFOLLOW, Mode::empty())?;
    let stat = fs::fstat(&opened)?;
    regular(&stat)?;
    owned(&file, &stat)?;
    closed(&file, &stat, OTHERS_WRITE)?;
    check_folders(folder, &its_folder)?;
    let mut bytes = Vec::with_capacity(usize::try_from(stat.st_size).unwrap_or(0).min(1 << 20) + 1);
    File::from(opened).take(most * 1024 + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most * 1024 {
        return Err(Refused::TooLarge(most));
    }
    Ok(Contents { bytes, mode: stat.st_mode & 0o7777 })
}

/// Where a path leads, all links followed.
struct Place {
    folder: OwnedFd,
    /// Not a link, and perhaps not there.
    name: OsString,
    /// With the last link's target in the place of that link.
    path: PathBuf,
    /// Where each link on the way leads.
    links: Vec<PathBuf>,
}

/// What is missing at a place.
fn nowhere(links: Vec<PathBuf>, missing: PathBuf, error: Errno) -> Refused {
    match error {
        Errno::NOENT if !links.is_empty() => Refused::Nowhere { links, missing },
        error => error.into(),
    }
}

/// Goes a path step by step, and checks each link on it.
fn arrive(path: &Path) -> Result<Place, Refused> {
    let mut rest: Vec<OsString> = steps(path);
    let mut folder = start(path)?;
    let mut place = PathBuf::from(if path.is_absolute() { "/" } else { "" });
    let mut links = Vec::new();
    while let Some(name) = rest.pop() {
        if name == ".." {
            folder = above(folder.as_fd())?;
            place.push("..");
            continue;
        }
        let stat = fs::statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW);
        let link = stat.ok().filter(|stat| kind(stat) == FileType::Symlink);
        if let Some(stat) = link {
            if links.len() >= MOST_LINKS {
                return Err(Errno::LOOP.into());
            }
            let link = place.join(&name);
            owned(&What::Link(link.clone()), &stat)?;
            let upper = fs::fstat(&folder)?;
            owned(&What::LinkFolder(link.clone()), &upper)?;
            closed(&What::LinkFolder(link), &upper, OTHERS_WRITE)?;
            if fs::fstatfs(&folder)?.f_type == fs::PROC_SUPER_MAGIC && !rest.is_empty() {
                // `/proc/<pid>/root` leads where its text does not say, and only root can lead it.
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                folder = fs::openat(&folder, &name, flags, Mode::empty())?;
                place.push(&name);
                continue;
            }
            let target = fs::readlinkat(&folder, &name, Vec::new())?.into_bytes();
            let target = PathBuf::from(OsString::from_vec(target));
            if target.is_absolute() {
                folder = start(&target)?;
                place = PathBuf::from("/");
            }
            rest.extend(steps(&target));
            links.push(rest.iter().rev().fold(place.clone(), |path, name| path.join(name)));
        } else if rest.is_empty() {
            return Ok(Place { folder, path: place.join(&name), name, links });
        } else {
            place.push(&name);
            folder = match open_folder(folder.as_fd(), &name) {
                Ok(folder) => folder,
                Err(error) => return Err(nowhere(links, place, error)),
            };
        }
    }
    Err(Refused::NotRegular)
}

/// The names of a path, the first one last.
fn steps(path: &Path) -> Vec<OsString> {
    let names = path.components().rev().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    });
    names.collect()
}

fn start(path: &Path) -> Result<OwnedFd, Errno> {
    let start = if path.is_absolute() { "/" } else { "." };
    fs::open(start, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn above(folder: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    open_folder(folder, OsStr::new(".."))
}

fn open_folder(folder: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(folder, name, flags, Mode::empty())
}

fn check_folders(folder: OwnedFd, what: &What) -> Result<(), Refused> {
    let mut stat = fs::fstat(&folder)?;
    owned(what, &stat)?;
    closed(what, &stat, OTHERS_WRITE)?;
    let mut folder = folder;
    loop {
        folder = above(folder.as_fd())?;
        let upper = fs::fstat(&folder)?;
        if (upper.st_dev, upper.st_ino) == (stat.st_dev, stat.st_ino) {
            return Ok(());
        }
        closed(&What::Above, &upper, ALL_WRITE)?;
        stat = upper;
    }
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn regular(stat: &Stat) -> Result<(), Refused> {
    if kind(stat) == FileType::RegularFile { Ok(()) } else { Err(Refused::NotRegular) }
}

fn owned(what: &What, stat: &Stat) -> Result<(), Refused> {
    if stat.st_uid == 0 || stat.st_uid == geteuid().as_raw() {
        return Ok(());
    }
    Err(Refused::Foreign { what: what.clone(), owner: stat.st_uid })
}

fn closed(what: &What, stat: &Stat, by_whom: u32) -> Result<(), Refused> {
    let is_folder = kind(stat) == FileType::Directory;
    let open = stat.st_mode & by_whom;
    if open == 0 || (is_folder && stat.st_mode & STICKY != 0) {
        return Ok(());
    }
    let all = open & ALL_WRITE != 0;
    let (by, remedy) = if all { ("everybody", "go-w") } else { ("its group", "g-w") };
    Err(Refused::Open { what: what.clone(), by, mode: stat.st_mode & 0o7777, remedy })
}
