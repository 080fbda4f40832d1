//! What is installed on a node, and what has changed since.

use std::fmt::Write;
use std::path::Path;

use serde::Serialize;

use crate::failure::{Exit, Failure};
use crate::setup::options::Options;
use crate::setup::refresh_timer;
use crate::setup::steps::unreadable;
use crate::setup::systemd::{Systemd, running_arguments};
use crate::setup::tree::Tree;
use crate::setup::undo::{self, Record, What};

/// A node as it is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub state: State,
    pub files: Vec<File>,
    /// Arguments that were put in and that the running kubelet does not have.
    pub not_in_force: Vec<String>,
    /// What is wrong with the timer that renews logins, on a running system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timer: Option<Timer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Timer {
    NotActive,
    LastRunFailed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    NotInstalled,
    Installed,
    /// A file was changed or removed since, or something does not run.
    Changed,
    /// A run was killed; the next one puts back what it had begun.
    Unfinished,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct File {
    pub path: String,
    pub what: What,
    pub is_as_installed: bool,
}

/// Looks at a node.
///
/// # Errors
///
/// What cannot be read.
pub fn run(options: &Options) -> Result<Status, Failure> {
    let root = options.root.as_deref().unwrap_or(Path::new("/"));
    let tree = Tree::new(root).map_err(|error| {
        Failure::new(Exit::Usage, format!("{} is not a folder: {error}", root.display()))
    })?;
    let path = undo::path();
    let record = Record::read(&tree).map_err(unreadable(&path))?;
    let Some(record) = record else {
        return Ok(Status {
            state: State::NotInstalled,
            files: Vec::new(),
            not_in_force: Vec::new(),
            timer: None,
        });
    };
    let mut files = Vec::new();
    for known in &record.files {
        let entry = tree.entry(&known.path).map_err(unreadable(&known.path))?;
        let is_as_installed = known.after.has_content_of(entry.as_ref());
        files.push(File { path: known.path.clone(), what: known.what, is_as_installed });
    }
    let running = running_arguments(&tree);
    let is_missing =
        |flag: &String| running.as_ref().is_some_and(|running| !running.contains(flag));
    let not_in_force: Vec<String> = record.arguments().into_iter().filter(is_missing).collect();
    let timer = if options.is_live() { timer(&tree, &record) } else { None };
    let is_well = files.iter().all(|file| file.is_as_installed) && not_in_force.is_empty();
    let state = if record.unfinished.is_some() {
        State::Unfinished
    } else if is_well && timer.is_none() {
        State::Installed
    } else {
        State::Changed
    };
    Ok(Status { state, files, not_in_force, timer })
}

fn timer(tree: &Tree, record: &Record) -> Option<Timer> {
    record.of(What::Refresh).next()?;
    let systemd = Systemd::of(tree);
    if !systemd.is_active(&refresh_timer::name()) {
        return Some(Timer::NotActive);
    }
    systemd.has_failed(&refresh_timer::service()).then_some(Timer::LastRunFailed)
}

impl Status {
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for file in &self.files {
            let state = if file.is_as_installed { "as installed" } else { "changed since" };
            let _ = writeln!(text, "{}: {state}", file.path);
        }
        for flag in &self.not_in_force {
            let _ = writeln!(text, "the running kubelet does not have {flag}");
        }
        let timer = refresh_timer::name();
        match self.timer {
            Some(Timer::NotActive) => {
                let _ = writeln!(text, "{timer} is not active: systemctl start {timer}");
            }
            Some(Timer::LastRunFailed) => {
                let service = refresh_timer::service();
                let _ = writeln!(text, "the last refresh failed: journalctl -u {service}");
            }
            None => {}
        }
        text + match self.state {
            State::NotInstalled => "not installed\n",
            State::Installed => "installed\n",
            State::Changed => "installed, and changed since\n",
            State::Unfinished => "a run was killed; run it again\n",
        }
    }

    #[must_use]
    pub fn json(&self) -> String {
        // It has nothing that could not be written.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}
