//! Which kubelet is looked at: the running one, one within another process, or else the one that a unit of this
//! machine would start, and what its log has about credential providers.

use std::path::{Path, PathBuf};

use crate::doctor::kubelet::unit::{Obstacle, obstacles};
use crate::doctor::kubelet::{log, unstartable};
use crate::doctor::report::Check;
use crate::kubelet::flags::{BIN_DIR, CONFIG, Flags};
use crate::kubelet::process::{self, Kubelet, command_line, contained, running, running_within};
use crate::kubelet::service::{Manager, Service};
use crate::kubelet::shell::{self, Hidden};
use crate::program::PROGRAM;
use crate::setup::kubelet_arguments::Launch;
use crate::setup::rancher;
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
    /// What is restarted.
    pub service: Service,
    /// Arguments of its process may be hidden.
    pub may_have_more: bool,
    idle: Option<Idle>,
}

/// No kubelet of this machine runs.
struct Idle {
    unit: Option<&'static str>,
    /// A unit that is a link to `/dev/null`.
    masked: Option<&'static str>,
    /// The unit and its drop-ins.
    files: Vec<String>,
    /// What keeps systemd from starting the unit.
    obstacles: Vec<Obstacle>,
    /// Why the unit's command line is not known.
    unread: Option<String>,
    /// The process of a kubelet that runs in a container.
    contained: Option<u32>,
    log: Vec<String>,
}

impl Start {
    pub(super) fn find(root: &Path) -> Self {
        let tree = Tree::new(root).ok();
        let there = |tree: &Tree, name: &str| unit::fragment(tree, &unit_name(name)).is_some();
        let found = tree.as_ref().and_then(|tree| UNITS.into_iter().find(|name| there(tree, name)));
        let open_rc = || {
            let there = |name: &&str| root.join("etc/init.d").join(name).exists();
            UNITS.into_iter().find(there)
        };
        let service = match (found, open_rc()) {
            (None, Some(name)) => Service { name, manager: Manager::OpenRc },
            (found, _) => Service { name: found.unwrap_or(KUBELET), manager: Manager::Systemd },
        };
        if let Some(kubelet) = running(root) {
            return Self { kubelet: Some(kubelet), service, may_have_more: false, idle: None };
        }
        let launch = tree.as_ref().and_then(|tree| Launch::find(tree, false).ok());
        let line = tree.as_ref().zip(launch.as_ref()).map(|(tree, launch)| launch.arguments(tree));
        if let Some((process, name)) = running_within(root) {
            if let Some(Ok(line)) = line {
                let kubelet = Kubelet::of_process(root, process, Flags::of(line));
                return Self { kubelet: Some(kubelet), service, may_have_more: false, idle: None };
            }
            if let (Some(tree), None, true) = (&tree, found, name.starts_with("k3s")) {
                return Self::without_unit(tree, process, name, service);
            }
        }
        let contained = contained(root);
        let is_masked = |tree: &Tree, name: &str| unit::is_masked(tree, &unit_name(name));
        let masked =
            tree.as_ref().and_then(|tree| UNITS.into_iter().find(|name| is_masked(tree, name)));
        let read = tree
            .as_ref()
            .zip(found)
            .and_then(|(tree, unit)| Unit::read(tree, &unit_name(unit), None, "").ok().flatten());
        let variables = tree.as_ref().zip(launch.as_ref());
        let variables = variables.map(|(tree, launch)| launch.environment(tree));
        let (kubelet, unread) = match (line, variables.transpose()) {
            (Some(Ok(line)), Ok(variables)) => {
                let variables = variables.unwrap_or_default();
                match seen(root, line, &variables) {
                    Ok(line) => (Some(Kubelet::of_unit(root, line, variables)), None),
                    Err(hidden) => (None, Some(hidden.to_string())),
                }
            }
            (Some(Err(error)), _) | (_, Err(error)) => (None, Some(error.to_string())),
            (None, Ok(_)) => (None, None),
        };
        let log = found.map(|unit| log::last_lines(root, unit)).unwrap_or_default();
        let all = tree.as_ref().zip(found).zip(read.as_ref());
        let all = all.map(|((tree, name), unit)| obstacles(tree, name, unit));
        let obstacles = all.unwrap_or_default();
        let files = read.map(|read| read.files).unwrap_or_default();
        let idle = Idle { unit: found, masked, files, obstacles, unread, contained, log };
        Self { kubelet, service, may_have_more: false, idle: Some(idle) }
    }

    /// One that runs within a process that no unit starts: k3s in a container, or under `OpenRC`.
    fn without_unit(tree: &Tree, process: PathBuf, name: &'static str, service: Service) -> Self {
        let command = command_line(&process).unwrap_or_default();
        let number = process::number(&process).unwrap_or_default();
        let service = match service.manager {
            Manager::OpenRc => service,
            _ => Service { name, manager: Manager::None(number) },
        };
        // k3s writes over its command line: where it still has arguments, those are all.
        let may_have_more = !command.iter().any(|word| word.starts_with('-'));
        let line = rancher::arguments(tree, "k3s", &command).unwrap_or(command);
        let kubelet = Kubelet::of_process(tree.root(), process, Flags::of(line));
        Self { kubelet: Some(kubelet), service, may_have_more, idle: None }
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
        // They come before the command that starts it, as somebody does one after the other.
        for Obstacle { what, remedy } in &idle.obstacles {
            check.refuse(what, remedy);
        }
        let files = idle.files.join(", ");
        check.warn(
            format!("this user sees no kubelet process: {unit}.service should run it ({files})"),
            format!("systemctl start {unit}; systemctl status {unit}"),
        );
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

/// The kubelet's own arguments, without the shell that starts it.
fn seen(
    root: &Path,
    line: Vec<String>,
    variables: &[(String, String)],
) -> Result<Vec<String>, Hidden> {
    let value = |name: &str| {
        variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    };
    let line = shell::unwrapped(line, value)?;
    let has_flag = line.iter().any(|word| word.starts_with(CONFIG) || word.starts_with(BIN_DIR));
    let script = line.first().filter(|program| program.starts_with('/') && !has_flag);
    match script.filter(|path| unstartable::is_script(&root.join(path.trim_start_matches('/')))) {
        Some(script) => Err(Hidden::ByScript(script.clone())),
        None => Ok(line),
    }
}

fn unit_name(name: &str) -> String {
    format!("{name}.service")
}
