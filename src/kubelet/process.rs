//! The kubelet that runs on this machine: its command line, its files as it sees them, when it was
//! started and which version it is.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::geteuid;

use crate::kubelet::flags::{FeatureGates, Flags, OWN_CONFIG};
use crate::kubelet::versions::Release;
use crate::system::clock;
use crate::system::trusted_file::{self, Refused};

/// For `kubelet --version`.
const PATIENCE: Duration = Duration::from_secs(5);

/// Largest file of the kubelet's that is read, in KiB.
const MOST: u64 = 1024;

/// What the kernel shows of a running kubelet.
pub struct Kubelet {
    root: PathBuf,
    process: PathBuf,
    pub flags: Flags,
    /// Seconds since 1970; a second too late rather than too early.
    pub started: Option<i64>,
    /// It sees this machine's own files.
    pub shares_mounts: bool,
    /// None where it cannot be asked.
    pub release: Option<Release>,
}

/// Why a file of the kubelet's is not read.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    #[error("{0}")]
    Refused(#[from] Refused),
    #[error("the file is not UTF-8 text")]
    NotText,
}

impl From<std::io::Error> for Unread {
    fn from(error: std::io::Error) -> Self {
        Self::Refused(error.into())
    }
}

/// The first process called kubelet, but for those of containers with processes of their own, which
/// belong to other clusters, and those of pods, which see this machine's processes by `hostPID`.
pub fn running(root: &Path) -> Option<Kubelet> {
    let proc = &root.join("proc");
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let mut processes: Vec<PathBuf> = fs::read_dir(proc)
        .ok()?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| number(path).is_some())
        .collect();
    processes.sort_by_key(|path| number(path));
    let process = processes.into_iter().find(|path| is_kubelet(path))?;
    let flags = Flags::new(&fs::read(process.join("cmdline")).ok()?);
    let started = started(proc, &process);
    let view = |process: &Path| fs::read_link(process.join("ns/mnt")).ok();
    let shares_mounts = view(&process).is_some_and(|its| view(&proc.join("self")) == Some(its));
    let release = if shares_mounts { release(&process) } else { None };
    Some(Kubelet { root: root.to_owned(), process, flags, started, shares_mounts, release })
}

fn is_kubelet(process: &Path) -> bool {
    let is_named =
        fs::read_to_string(process.join("comm")).is_ok_and(|name| name.trim() == "kubelet");
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let is_alone = ids.is_none_or(|ids| ids.split_whitespace().count() == 1);
    let groups = fs::read_to_string(process.join("cgroup")).unwrap_or_default();
    is_named && is_believed(process) && is_alone && !groups.contains("kubepods")
}

/// Anybody can call a process so: only what root runs counts, and what who asks runs.
fn is_believed(process: &Path) -> bool {
    let owner = fs::metadata(process).map(|metadata| metadata.uid());
    owner.is_ok_and(|owner| owner == 0 || owner == geteuid().as_raw())
}

impl Kubelet {
    /// The feature gates of its flags and of its own configuration file.
    pub fn feature_gates(&self) -> FeatureGates {
        let file = self.flags.value(OWN_CONFIG).and_then(|path| self.read(&path).ok());
        FeatureGates::new(file.as_deref(), &self.flags)
    }

    /// The kubelet's own environment, which it hands on; none where this user cannot read it.
    pub fn environment(&self) -> Option<Vec<(OsString, OsString)>> {
        let all = fs::read(self.process.join("environ")).ok()?;
        let pair = |pair: &[u8]| {
            let (name, value) = pair.split_at_checked(pair.iter().position(|b| *b == b'=')?)?;
            let text = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
            Some((text(name), text(value.get(1..)?)))
        };
        Some(all.split(|b| *b == 0).filter_map(pair).collect())
    }

    /// A path of the kubelet's as this process reaches it: the kubelet may run in a container, and
    /// a relative path counts from its own working directory.
    pub fn path(&self, path: &str) -> PathBuf {
        let through = match path.strip_prefix('/') {
            Some(path) => self.process.join("root").join(path),
            None => self.process.join("cwd").join(path),
        };
        // Only root may look through another's root.
        let may_look = fs::metadata(self.process.join("root/.")).is_ok();
        if may_look { through } else { self.root.join(path.trim_start_matches('/')) }
    }

    /// A file of the kubelet's. A kubelet that runs in a container has one that is not this machine's:
    /// it may be a pipe, have no end, or lead to a file that its owner could not read himself.
    ///
    /// # Errors
    ///
    /// See [`Unread`].
    pub fn read(&self, path: &str) -> Result<String, Unread> {
        let bytes = trusted_file::read(&self.path(path), MOST)?.bytes;
        String::from_utf8(bytes).map_err(|_| Unread::NotText)
    }
}

/// When a process was started, from the machine's start and the ticks since then.
fn started(proc: &Path, process: &Path) -> Option<i64> {
    let machine = fs::read_to_string(proc.join("stat")).ok()?;
    let machine = machine.lines().find_map(|line| line.strip_prefix("btime "))?;
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    // The name in brackets may have spaces in it; the start is the 22nd field of all.
    let ticks: u64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let seconds = ticks.div_ceil(rustix::param::clock_ticks_per_second());
    machine.trim().parse::<i64>().ok()?.checked_add(i64::try_from(seconds).ok()? + 1)
}

/// What `kubelet --version` says. The binary is run only if it is root's and this machine's own: a
/// process of a container can call itself kubelet, too.
fn release(process: &Path) -> Option<Release> {
    let binary = fs::read_link(process.join("exe")).ok()?;
    let metadata = fs::metadata(&binary).ok()?;
    let is_roots = metadata.is_file() && metadata.uid() == 0 && metadata.mode() & 0o022 == 0;
    let is_named = binary.file_name().is_some_and(|name| name == "kubelet");
    if !is_roots || !is_named {
        return None;
    }
    Release::parse(version_of(&binary).ok()?.strip_prefix("Kubernetes ")?)
}

/// What a program says with `--version`.
///
/// # Errors
///
/// If it cannot be started, or does not end in time.
pub fn version_of(binary: &Path) -> io::Result<String> {
    let mut child = Command::new(binary)
        .arg("--version")
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let begun = clock::instant();
    while child.try_wait()?.is_none() {
        if clock::instant().saturating_duration_since(begun) > PATIENCE {
            // Nothing waits for it any more.
            let _ = child.kill();
            let _ = child.wait();
            return Err(ErrorKind::TimedOut.into());
        }
        thread::sleep(Duration::from_millis(10));
    }
    let mut text = String::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(1024).read_to_string(&mut text)?;
    }
    Ok(text.trim().to_owned())
}
