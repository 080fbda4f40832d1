//! The kubelet that runs on this machine: its command line, its files as it sees them, when it was
//! started and which version it is.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::geteuid;

use crate::render::kubelet_config::Options;
use crate::system::clock;
use crate::system::trusted_file;

/// For `kubelet --version`.
const PATIENCE: Duration = Duration::from_secs(5);

/// Largest file of the kubelet's that is read, in KiB.
const MOST: u64 = 1024;

/// What the kernel shows of a running kubelet.
pub struct Kubelet {
    root: PathBuf,
    process: PathBuf,
    arguments: Vec<String>,
    /// Seconds since 1970; a second too late rather than too early.
    pub started: Option<i64>,
    /// Minor version of Kubernetes 1, if it could be asked.
    pub minor: Option<u32>,
}

/// The first process called kubelet, but for those of containers with processes of their own, which
/// belong to other clusters, and those of pods, which see this machine's processes by `hostPID`.
#[must_use]
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
    let line = fs::read(process.join("cmdline")).ok()?;
    let arguments =
        line.split(|b| *b == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect();
    let (started, minor) = (started(proc, &process), minor(proc, &process));
    Some(Kubelet { root: root.to_owned(), process, arguments, started, minor })
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
    /// The value of `--name=value` or `--name value`; the last one counts.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<String> {
        self.flags(name).pop().filter(|value| !value.is_empty())
    }

    /// What the flags say of a feature gate; they may be given more than once.
    #[must_use]
    pub fn gate(&self, name: &str) -> Option<bool> {
        let given = self.flags("--feature-gates").join(",");
        let mut pairs = given.split(',').filter_map(|pair| pair.split_once('='));
        let value = pairs.rfind(|(known, _)| known.trim() == name)?.1.trim();
        Some(["1", "t", "T", "true", "True", "TRUE"].contains(&value))
    }

    /// Every value of a flag, in their order.
    fn flags(&self, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut arguments = self.arguments.iter();
        while let Some(argument) = arguments.next() {
            if argument == name {
                found.extend(arguments.next().cloned());
            } else if let Some(value) =
                argument.strip_prefix(name).and_then(|value| value.strip_prefix('='))
            {
                found.push(value.to_owned());
            }
        }
        found
    }

    /// A variable of the kubelet's own environment, which it hands on; none where that cannot be read.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        let all = fs::read(self.process.join("environ")).ok()?;
        let mut all = all.split(|b| *b == 0).filter_map(|pair| std::str::from_utf8(pair).ok());
        let value = all.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        Some(value.to_owned())
    }

    /// A path of the kubelet's as this process reaches it: the kubelet may run in a container, and
    /// a relative path counts from its own working directory.
    #[must_use]
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
    /// Why it is not read, in words.
    pub fn read(&self, path: &str) -> Result<String, String> {
        let contents = trusted_file::read(&self.path(path), MOST);
        let bytes = contents.map_err(|why| why.to_string())?.bytes;
        String::from_utf8(bytes).map_err(|_| "not UTF-8 text".to_owned())
    }
}

/// When a process was started, from the machine's start and the ticks since then.
fn started(proc: &Path, process: &Path) -> Option<i64> {
    let machine = fs::read_to_string(proc.join("stat")).ok()?;
    let machine = machine.lines().find_map(|line| line.strip_prefix("btime "))?;
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    // The name in brackets may have blanks in it; the start is the 22nd field of all.
    let ticks: u64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let seconds = ticks.div_ceil(rustix::param::clock_ticks_per_second());
    machine.trim().parse::<i64>().ok()?.checked_add(i64::try_from(seconds).ok()? + 1)
}

/// What `kubelet --version` says. The binary is run only if it is root's and this machine's own: a
/// process of a container can call itself kubelet, too.
fn minor(proc: &Path, process: &Path) -> Option<u32> {
    let view = |process: &Path| fs::read_link(process.join("ns/mnt")).ok();
    let ours = view(&proc.join("self"))?;
    let binary = fs::read_link(process.join("exe")).ok()?;
    let metadata = fs::metadata(&binary).ok()?;
    let is_roots = metadata.is_file() && metadata.uid() == 0 && metadata.mode() & 0o022 == 0;
    let is_named = binary.file_name().is_some_and(|name| name == "kubelet");
    if view(process)? != ours || !is_roots || !is_named {
        return None;
    }
    let mut child = Command::new(&binary)
        .arg("--version")
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let begun = clock::instant();
    while child.try_wait().ok()?.is_none() {
        if clock::instant().saturating_duration_since(begun) > PATIENCE {
            // It is ours, and nobody waits for it any more.
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let mut text = String::new();
    child.stdout.take()?.take(1024).read_to_string(&mut text).ok()?;
    Options::minor(text.trim().strip_prefix("Kubernetes ")?)
}
