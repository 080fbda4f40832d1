//! The kubelet of this machine: its command line, its files as it sees them, when it was started and
//! which version it is. Where none runs it is one that its unit would start.

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

use crate::config::yaml::{self, Node};
use crate::kubelet::flags::{FeatureGates, Flags, OWN_CONFIG, OWN_CONFIG_DIR};
use crate::kubelet::versions::Release;
use crate::system::clock;
use crate::system::trusted_file::{self, Refused};

/// For `kubelet --version`.
const PATIENCE: Duration = Duration::from_secs(5);

const KUBELET: &str = "kubelet";
/// What processes of k3s and of a snap call themselves that have a kubelet in them.
const HOSTS: [&str; 4] = ["k3s-server", "k3s-agent", "k3s", "kubelite"];

/// Largest file of the kubelet's that is read, in KiB.
const MOST: u64 = 1024;

/// A kubelet that runs, as the kernel shows it, or one that is to be started.
pub struct Kubelet {
    root: PathBuf,
    seen: Seen,
    pub flags: Flags,
    /// Seconds since 1970; a second too late rather than too early.
    pub started: Option<i64>,
    /// It sees this machine's own files.
    pub shares_mounts: bool,
    /// It has mounts of its own, and this user can see that.
    pub has_own_mounts: bool,
    /// None where it cannot be asked.
    pub release: Option<Release>,
}

enum Seen {
    /// Its folder in `/proc`.
    Process(PathBuf),
    /// The variables that it would get.
    Unit(Vec<(String, String)>),
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
    let process = process_of(root, KUBELET)?;
    let flags = Flags::of(command_line(&process)?);
    Some(Kubelet::of_process(root, process, flags))
}

/// The command line of the first process of this machine with a name.
#[must_use]
pub fn arguments_of(root: &Path, name: &str) -> Option<Vec<String>> {
    command_line(&process_of(root, name)?)
}

/// What a process was started with, as far as it still shows that.
#[must_use]
pub fn command_line(process: &Path) -> Option<Vec<String>> {
    let line = fs::read(process.join("cmdline")).ok()?;
    let words = line.strip_suffix(b"\0").unwrap_or(&line).split(|byte| *byte == 0);
    Some(words.map(|word| String::from_utf8_lossy(word).into_owned()).collect())
}

/// The variables of the first process of this machine with a name; none where this user cannot read them.
#[must_use]
pub fn variables_of(root: &Path, name: &str) -> Option<Vec<(OsString, OsString)>> {
    variables(&process_of(root, name)?)
}

fn process_of(root: &Path, name: &str) -> Option<PathBuf> {
    processes_of(root, name).next()
}

/// Those of this machine with a name, by their numbers.
fn processes_of(root: &Path, name: &str) -> impl Iterator<Item = PathBuf> {
    processes(root).filter(move |path| is_named(path, name) && is_machines(path))
}

fn variables(process: &Path) -> Option<Vec<(OsString, OsString)>> {
    let all = fs::read(process.join("environ")).ok()?;
    let pair = |pair: &[u8]| {
        let (name, value) = pair.split_at_checked(pair.iter().position(|b| *b == b'=')?)?;
        let text = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
        Some((text(name), text(value.get(1..)?)))
    };
    Some(all.split(|b| *b == 0).filter_map(pair).collect())
}

/// The process that has the kubelet in it, and its name. Its own command line is not the kubelet's.
#[must_use]
pub fn running_within(root: &Path) -> Option<(PathBuf, &'static str)> {
    let name = |path: &Path| HOSTS.into_iter().find(|name| is_named(path, name));
    let mut machines = processes(root).filter(|path| is_machines(path));
    machines.find_map(|path| name(&path).map(|name| (path, name)))
}

/// The first kubelet of a container with processes of its own, by its number here.
#[must_use]
pub fn contained(root: &Path) -> Option<u32> {
    let is_contained = |path: &PathBuf| {
        let mut names = HOSTS.iter().chain([&KUBELET]);
        let is_one = names.any(|name| is_named(path, name));
        is_one && is_believed(path) && !is_pods(path) && !is_machines(path)
    };
    processes(root).find(is_contained).as_deref().and_then(number)
}

fn processes(root: &Path) -> impl Iterator<Item = PathBuf> {
    let all = fs::read_dir(root.join("proc")).into_iter().flatten().filter_map(Result::ok);
    let mut all: Vec<PathBuf> =
        all.map(|entry| entry.path()).filter(|path| number(path).is_some()).collect();
    all.sort_by_key(|path| number(path));
    all.into_iter()
}

/// A process's number, by its folder.
#[must_use]
pub fn number(process: &Path) -> Option<u32> {
    process.file_name()?.to_str()?.parse().ok()
}

fn is_named(process: &Path, name: &str) -> bool {
    fs::read_to_string(process.join("comm")).is_ok_and(|comm| comm.trim() == name)
}

/// Neither of a pod nor of a container with processes of its own.
fn is_machines(process: &Path) -> bool {
    let ids = status_of(process, "NSpid:");
    let is_alone = ids.is_none_or(|ids| ids.split_whitespace().count() == 1);
    is_believed(process) && is_alone && !is_pods(process)
}

fn is_pods(process: &Path) -> bool {
    fs::read_to_string(process.join("cgroup")).is_ok_and(|groups| groups.contains("kubepods"))
}

fn parent(process: &Path) -> Option<u32> {
    status_of(process, "PPid:")?.trim().parse().ok()
}

/// What the kernel says of a process behind a name with its colon.
fn status_of(process: &Path, name: &str) -> Option<String> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
}

/// Anybody can call a process so: only what root runs counts, and what who asks runs.
fn is_believed(process: &Path) -> bool {
    let owner = fs::metadata(process).map(|metadata| metadata.uid());
    owner.is_ok_and(|owner| owner == 0 || owner == geteuid().as_raw())
}

impl Kubelet {
    /// One that runs, or that runs within a process.
    #[must_use]
    pub fn of_process(root: &Path, process: PathBuf, flags: Flags) -> Self {
        let proc = root.join("proc");
        let started = started(&proc, &process);
        let view = |process: &Path| fs::read_link(process.join("ns/mnt")).ok();
        let views = view(&process).zip(view(&proc.join("self")));
        let shares_mounts = views.as_ref().is_some_and(|(its, ours)| its == ours);
        let has_own_mounts = views.is_some_and(|(its, ours)| its != ours);
        let binary = fs::read_link(process.join("exe")).ok();
        let release = binary.filter(|_| shares_mounts).and_then(|binary| release(&binary));
        let seen = Seen::Process(process);
        let root = root.to_owned();
        Self { root, seen, flags, started, shares_mounts, has_own_mounts, release }
    }

    /// One that does not run, as its unit would start it: with the program first.
    #[must_use]
    pub fn of_unit(root: &Path, line: Vec<String>, variables: Vec<(String, String)>) -> Self {
        let shares_mounts = root == Path::new("/");
        let binary = line.first().filter(|_| shares_mounts).map(PathBuf::from);
        let release = binary.and_then(|binary| release(&binary));
        let (flags, seen) = (Flags::of(line), Seen::Unit(variables));
        let (root, started, has_own_mounts) = (root.to_owned(), None, false);
        Self { root, seen, flags, started, shares_mounts, has_own_mounts, release }
    }

    /// The label or profile that SELinux or AppArmor has for it, if either has one.
    #[must_use]
    pub fn label(&self) -> Option<String> {
        let Seen::Process(process) = &self.seen else { return None };
        let label = fs::read_to_string(process.join("attr/current")).ok()?;
        let label = label.trim_end_matches(['\0', '\n']);
        (!label.is_empty() && label != "unconfined").then(|| label.to_owned())
    }

    /// Its number, if it runs.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        let Seen::Process(process) = &self.seen else { return None };
        number(process)
    }

    /// Further kubelets of this machine, by their numbers. A child of this one has its name until it
    /// has started another program.
    #[must_use]
    pub fn others(&self) -> Vec<u32> {
        let Some(own) = self.process() else { return Vec::new() };
        let others = processes_of(&self.root, KUBELET).filter(|path| parent(path) != Some(own));
        others.filter_map(|path| number(&path)).filter(|number| *number != own).collect()
    }

    /// Below which its files are.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The feature gates of its flags and of its own configuration file.
    pub fn feature_gates(&self) -> FeatureGates {
        let file = self.flags.value(OWN_CONFIG).and_then(|path| self.read(&path).ok());
        FeatureGates::new(file.as_deref(), &self.flags)
    }

    /// Its own configuration: the file, and over it the `*.conf` of a folder, in the order of their
    /// names. What comes later counts more.
    ///
    /// # Errors
    ///
    /// When one of them cannot be read. A text that is not YAML has nothing.
    pub fn own_configuration(&self) -> Result<Vec<Node>, Unread> {
        let mut files: Vec<String> = self.flags.value(OWN_CONFIG).into_iter().collect();
        if let Some(folder) = self.flags.value(OWN_CONFIG_DIR) {
            let read = fs::read_dir(self.path(&folder))?.collect::<Result<Vec<_>, _>>()?;
            let names = read.into_iter().map(|entry| entry.file_name());
            let names = names.filter_map(|name| name.into_string().ok());
            let mut names: Vec<String> =
                names.filter(|name| name.strip_suffix(".conf").is_some()).collect();
            names.sort();
            files.extend(names.into_iter().map(|name| format!("{folder}/{name}")));
        }
        let document = |path: String| {
            let text = self.read(&path)?;
            Ok(yaml::parse(&text).ok().flatten())
        };
        let documents: Result<Vec<_>, Unread> = files.into_iter().map(document).collect();
        Ok(documents?.into_iter().flatten().collect())
    }

    /// The kubelet's own environment, which it hands on; none where this user cannot read it.
    pub fn environment(&self) -> Option<Vec<(OsString, OsString)>> {
        let process = match &self.seen {
            Seen::Process(process) => process,
            Seen::Unit(variables) => {
                let pairs = variables.iter().map(|(name, value)| (name.into(), value.into()));
                return Some(pairs.collect());
            }
        };
        variables(process)
    }

    /// A path of the kubelet's as this process reaches it: the kubelet may run in a container, and
    /// a relative path counts from its own working directory.
    pub fn path(&self, path: &str) -> PathBuf {
        let here = || self.root.join(path.trim_start_matches('/'));
        let Seen::Process(process) = &self.seen else { return here() };
        let is_here = || fs::read_link(process.join("root")).is_ok_and(|root| root == self.root);
        if self.shares_mounts && path.starts_with('/') && is_here() {
            return here();
        }
        let through = match path.strip_prefix('/') {
            Some(path) => process.join("root").join(path),
            None => process.join("cwd").join(path),
        };
        // Only root may look through another's root.
        let may_look = fs::metadata(process.join("root/.")).is_ok();
        if may_look { through } else { here() }
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
fn release(binary: &Path) -> Option<Release> {
    let is_named = binary.file_name().is_some_and(|name| name == KUBELET);
    if !is_named || !is_roots(binary) {
        return None;
    }
    Release::parse(version_of(binary).ok()?.strip_prefix("Kubernetes ")?)
}

/// A program that root alone can have put there.
#[must_use]
pub fn is_roots(binary: &Path) -> bool {
    fs::metadata(binary)
        .is_ok_and(|found| found.is_file() && found.uid() == 0 && found.mode() & 0o022 == 0)
}

/// What a program says with `--version`.
///
/// # Errors
///
/// If it cannot be started, or does not end in time.
pub fn version_of(binary: &Path) -> io::Result<String> {
    output_of(binary, &["--version"], 1024)
}

/// What a program writes that is started with an empty environment: at most so many bytes.
///
/// # Errors
///
/// If it cannot be started, does not end in time, or ends with a failure.
pub fn output_of(binary: &Path, arguments: &[&str], most: u64) -> io::Result<String> {
    let mut child = Command::new(binary)
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    // It is read meanwhile: who writes more than a pipe holds would not end.
    let stdout = child.stdout.take();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stdout) = stdout {
            // What came until then will do; the rest is taken and dropped.
            let _ = stdout.by_ref().take(most).read_to_end(&mut bytes);
            let _ = io::copy(&mut stdout, &mut io::sink());
        }
        bytes
    });
    let begun = clock::instant();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if clock::instant().saturating_duration_since(begun) > PATIENCE {
            // Nothing waits for it any more.
            let _ = child.kill();
            let _ = child.wait();
            return Err(ErrorKind::TimedOut.into());
        }
        thread::sleep(Duration::from_millis(10));
    };
    if !status.success() {
        return Err(io::Error::other(status.to_string()));
    }
    let bytes = reader.join().unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}
