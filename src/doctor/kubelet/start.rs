//! Which kubelet is looked at: the running one, one within another process, or else the one that a unit of this
//! machine would start, and what its log has about credential providers.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::doctor::kubelet::log;
use crate::doctor::report::Check;
use crate::kubelet::flags::Flags;
use crate::kubelet::process::{Kubelet, contained, running, running_within};
use crate::program::PROGRAM;
use crate::setup::kubelet_arguments::Launch;
use crate::setup::tree::Tree;
use crate::setup::unit::{self, Unit};

const KUBELET: &str = "kubelet";

/// Units that run a kubelet.
const UNITS: [&str; 11] = [
    KUBELET,
    "k3s",
    "k3s-agent",
    "rke2-server",
    "rke2-agent",
    "snap.kubelet.daemon",
    "snap.microk8s.daemon-kubelite",
    "snap.microk8s.daemon-kubelet",
    "snap.k8s.kubelet",
    "k0sworker",
    "k0scontroller",
];

/// The kubelet, as far as there is one, and why it does not run.
pub(super) struct Start {
    pub kubelet: Option<Kubelet>,
    /// The unit that is restarted.
    pub unit: &'static str,
    idle: Option<Idle>,
}

/// No kubelet of this machine runs.
struct Idle {
    unit: Option<&'static str>,
    /// A unit that is a link to `/dev/null`.
    masked: Option<&'static str>,
    /// The unit and its drop-ins.
    files: Vec<String>,
    /// Files without which systemd does not start the unit, and which are not there.
    missing: Vec<String>,
    /// The unit's program, if its mode keeps systemd from starting it.
    unexecutable: Option<String>,
    /// Why the unit's command line is not known.
    unread: Option<String>,
    /// The process of a kubelet that runs in a container.
    contained: Option<u32>,
    log: Vec<String>,
}

impl Start {
    pub(super) fn find(root: &Path) -> Self {
        let tree = Tree::new(root).ok();
        let there = |tree: &Tree, name: &str| unit::fragment(tree, &service(name)).is_some();
        let found = tree.as_ref().and_then(|tree| UNITS.into_iter().find(|name| there(tree, name)));
        let unit = found.unwrap_or(KUBELET);
        if let Some(kubelet) = running(root) {
            return Self { kubelet: Some(kubelet), unit, idle: None };
        }
        let launch = tree.as_ref().and_then(|tree| Launch::find(tree, false).ok());
        let line = tree.as_ref().zip(launch.as_ref()).map(|(tree, launch)| launch.arguments(tree));
        if let (Some(process), Some(Ok(line))) = (running_within(root), &line) {
            let kubelet = Kubelet::of_process(root, process, Flags::of(line.clone()));
            return Self { kubelet: Some(kubelet), unit, idle: None };
        }
        let contained = contained(root);
        let is_masked = |tree: &Tree, name: &str| unit::is_masked(tree, &service(name));
        let masked =
            tree.as_ref().and_then(|tree| UNITS.into_iter().find(|name| is_masked(tree, name)));
        let read = tree
            .as_ref()
            .zip(found)
            .and_then(|(tree, unit)| Unit::read(tree, &service(unit), None, "").ok().flatten());
        let variables = tree.as_ref().zip(launch.as_ref());
        let variables = variables.map(|(tree, launch)| launch.environment(tree));
        let (kubelet, unread) = match (line, variables.transpose()) {
            (Some(Ok(line)), Ok(variables)) => {
                (Some(Kubelet::of_unit(root, line, variables.unwrap_or_default())), None)
            }
            (Some(Err(error)), _) | (_, Err(error)) => (None, Some(error.to_string())),
            (None, Ok(_)) => (None, None),
        };
        let log = found.map(|unit| log::last_lines(root, unit)).unwrap_or_default();
        let files = read.map(|read| read.files).unwrap_or_default();
        let missing = tree.as_ref().map(|tree| missing(tree, &files, kubelet.as_ref()));
        let missing = missing.unwrap_or_default();
        let program = kubelet.as_ref().and_then(|kubelet| kubelet.flags.program());
        let unexecutable = program.filter(|path| is_unexecutable(root, path)).map(str::to_owned);
        Self {
            kubelet,
            unit,
            idle: Some(Idle {
                unit: found,
                masked,
                files,
                missing,
                unexecutable,
                unread,
                contained,
                log,
            }),
        }
    }

    /// Whether it runs, and if not who should run it.
    pub(super) fn check(&self, bin_dir: Option<&str>, check: &mut Check) {
        let Some(idle) = &self.idle else { return };
        if let Some(process) = idle.contained {
            let program = bin_dir.map_or(PROGRAM.to_owned(), |dir| format!("{dir}/{PROGRAM}"));
            return check.warn(
                format!("the kubelet runs in a container (process {process}), whose files are not seen here"),
                format!("nsenter --target {process} --mount --net --pid {program} doctor"),
            );
        }
        let Some(unit) = idle.unit else {
            if let Some(masked) = idle.masked {
                return check.refuse(
                    format!("{masked}.service is masked, so systemd never starts the kubelet"),
                    format!("systemctl unmask {masked}; systemctl start {masked}"),
                );
            }
            return check.warn(
                "this user sees no kubelet process, and no unit of kubelet, k3s, RKE2, k0s or snap on this machine",
                "run doctor on a node, as root",
            );
        };
        let files = idle.files.join(", ");
        check.warn(
            format!("this user sees no kubelet process: {unit}.service should run it ({files})"),
            format!("systemctl start {unit}; systemctl status {unit}"),
        );
        for file in &idle.missing {
            check.refuse(
                format!("{unit}.service needs {file}, which is not there: systemd does not start it"),
                format!("put {file} there, or correct the line that names it: systemctl cat {unit} | grep -F {file}"),
            );
        }
        if let Some(program) = &idle.unexecutable {
            check.refuse(
                format!("{unit}.service starts {program}, which is not executable"),
                format!("chmod 0755 {program}"),
            );
        }
        if let Some(why) = &idle.unread {
            check.warn(
                format!("the command line of {unit}.service is not known: {why}"),
                format!("start {unit}, and run doctor again"),
            );
        }
        if idle.log.is_empty() {
            return;
        }
        check.detail("its last log lines about credential providers:");
        for line in &idle.log {
            check.detail(format!("  {line}"));
        }
    }
}

/// The program, and files of `EnvironmentFile=` without the `-` that makes them optional.
fn missing(tree: &Tree, files: &[String], kubelet: Option<&Kubelet>) -> Vec<String> {
    let mut needed: Vec<String> = Vec::new();
    for text in files.iter().filter_map(|file| tree.text(file).ok().flatten()) {
        let named = text.lines().filter_map(|line| line.trim().split_once('='));
        for (_, path) in named.filter(|(key, _)| key.trim() == "EnvironmentFile") {
            match path.trim() {
                "" => needed.clear(),
                path if path.starts_with('/') && !path.contains(['*', '?', '[', '%']) => {
                    needed.push(path.to_owned());
                }
                _ => {}
            }
        }
    }
    let program = kubelet.and_then(|kubelet| kubelet.flags.program());
    needed.extend(program.filter(|path| path.starts_with('/')).map(str::to_owned));
    needed.retain(|path| !tree.exists(path));
    needed
}

fn is_unexecutable(root: &Path, program: &str) -> bool {
    let path = root.join(program.trim_start_matches('/'));
    let found = program.starts_with('/').then(|| fs::metadata(path).ok()).flatten();
    found.is_some_and(|found| found.is_file() && found.mode() & 0o111 == 0)
}

fn service(name: &str) -> String {
    format!("{name}.service")
}
