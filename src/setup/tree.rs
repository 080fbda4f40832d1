//! The files of a node below a root, with what a run is going to change laid over them: so what
//! systemd and the kubelet would read afterwards can be asked before anything is changed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Most links that lead from one to the next, as in the kernel.
const MOST_LINKS: usize = 40;

/// Largest text that is read, in bytes.
const MOST: u64 = 1024 * 1024;

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    File { bytes: Vec<u8>, mode: u32, owner: (u32, u32) },
    Link(PathBuf),
}

impl Entry {
    /// A file of root's.
    #[must_use]
    pub fn file(bytes: impl Into<Vec<u8>>, mode: u32) -> Self {
        Self::File { bytes: bytes.into(), mode, owner: (0, 0) }
    }
}

/// Files by their paths as the node has them, such as `/etc/default/kubelet`.
#[derive(Debug, Clone)]
pub struct Tree {
    root: PathBuf,
    /// By the path that a file really has.
    over: BTreeMap<PathBuf, Option<Entry>>,
}

impl Tree {
    /// # Errors
    ///
    /// A root that is not a folder.
    pub fn new(root: &Path) -> io::Result<Self> {
        Ok(Self { root: fs::canonicalize(root)?, over: BTreeMap::new() })
    }

    /// Whether these are the files of this machine.
    #[must_use]
    pub fn is_machine(&self) -> bool {
        self.root == Path::new("/")
    }

    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a path of the node is found by this process. Links on the way count from the root; the
    /// last part is not followed.
    ///
    /// # Errors
    ///
    /// Links in a circle.
    pub fn place(&self, path: &str) -> io::Result<PathBuf> {
        let mut parts: Vec<String> = split(Path::new(path));
        let Some(last) = parts.pop() else { return Ok(self.root.clone()) };
        Ok(self.resolve(parts)?.join(last))
    }

    fn resolve(&self, parts: Vec<String>) -> io::Result<PathBuf> {
        let mut place = self.root.clone();
        let mut left: Vec<String> = parts.into_iter().rev().collect();
        let mut links = 0;
        while let Some(part) = left.pop() {
            if part == ".." {
                if place != self.root {
                    place.pop();
                }
                continue;
            }
            let next = place.join(&part);
            match fs::read_link(&next) {
                Ok(target) => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(io::Error::other("too many links"));
                    }
                    if target.is_absolute() {
                        place.clone_from(&self.root);
                    }
                    left.extend(split(&target).into_iter().rev());
                }
                Err(_) => place = next,
            }
        }
        Ok(place)
    }

    /// What stands at a path; its last part is not followed.
    ///
    /// # Errors
    ///
    /// What is neither a file nor a link, or cannot be read.
    pub fn entry(&self, path: &str) -> io::Result<Option<Entry>> {
        let place = self.place(path)?;
        if let Some(entry) = self.over.get(&place) {
            return Ok(entry.clone());
        }
        let metadata = match fs::symlink_metadata(&place) {
            Ok(metadata) => metadata,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        if metadata.is_symlink() {
            return Ok(Some(Entry::Link(fs::read_link(&place)?)));
        }
        if !metadata.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let owner = (metadata.uid(), metadata.gid());
        Ok(Some(Entry::File { bytes: fs::read(&place)?, mode: metadata.mode() & 0o7777, owner }))
    }

    /// The text of a file, links followed; none where there is no file, or `/dev/null` stands for it.
    ///
    /// # Errors
    ///
    /// What is there and cannot be read.
    pub fn text(&self, path: &str) -> io::Result<Option<String>> {
        let mut path = path.to_owned();
        for _ in 0..MOST_LINKS {
            match self.entry(&path)? {
                None => return Ok(None),
                Some(Entry::Link(target)) => {
                    let folder = Path::new(&path).parent().unwrap_or(Path::new("/"));
                    path = folder.join(target).to_string_lossy().into_owned();
                    if path == "/dev/null" {
                        return Ok(None);
                    }
                }
                Some(Entry::File { bytes, .. }) if bytes.len() as u64 > MOST => {
                    return Err(io::Error::other("larger than 1 MiB"));
                }
                Some(Entry::File { bytes, .. }) => {
                    let text = String::from_utf8(bytes);
                    return text.map(Some).map_err(|_| io::Error::other("not UTF-8 text"));
                }
            }
        }
        Err(io::Error::other("too many links"))
    }

    /// Whether anything is there: a file, a folder or a link.
    #[must_use]
    pub fn exists(&self, path: &str) -> bool {
        self.place(path).is_ok_and(|place| match self.over.get(&place) {
            Some(entry) => entry.is_some(),
            None => fs::symlink_metadata(&place).is_ok(),
        })
    }

    /// Where this process finds what a path leads to, links followed; none where nothing is there.
    #[must_use]
    pub fn target(&self, path: &str) -> Option<PathBuf> {
        let place = self.resolve(split(Path::new(path))).ok()?;
        place.exists().then_some(place)
    }

    #[must_use]
    pub fn is_folder(&self, path: &str) -> bool {
        self.resolve(split(Path::new(path))).is_ok_and(|place| {
            place.is_dir()
                || self.over.iter().any(|(file, entry)| {
                    entry.is_some() && *file != place && file.starts_with(&place)
                })
        })
    }

    /// The names in a folder, sorted by their bytes; none where it is not there.
    #[must_use]
    pub fn names(&self, path: &str) -> Vec<String> {
        let Ok(folder) = self.resolve(split(Path::new(path))) else { return Vec::new() };
        let read = fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok);
        let mut names: Vec<String> =
            read.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        for (place, entry) in &self.over {
            let name = place.file_name().map(|name| name.to_string_lossy().into_owned());
            let (true, Some(name)) = (place.parent() == Some(&*folder), name) else { continue };
            names.retain(|known| *known != name);
            if entry.is_some() {
                names.push(name);
            }
        }
        names.sort();
        names
    }

    /// Lays something over a path, or that nothing is there.
    ///
    /// # Errors
    ///
    /// Links in a circle.
    pub fn lay(&mut self, path: &str, entry: Option<Entry>) -> io::Result<()> {
        let place = self.place(path)?;
        self.over.insert(place, entry);
        Ok(())
    }
}

fn split(path: &Path) -> Vec<String> {
    let part = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        Component::ParentDir => Some("..".to_owned()),
        _ => None,
    };
    path.components().filter_map(part).collect()
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
