//! What a setup has done or would do, for people and as JSON.

use std::fmt::Write;

use serde::Serialize;

use crate::setup::diff;
use crate::setup::steps::Change;
use crate::setup::tree::{Entry, Tree};
use crate::setup::undo::{State, What};

/// The state of a node on which there is nothing to do.
pub const IN_PLACE: &str = "all is in place; nothing to do";

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    pub state: &'static str,
    /// Whether the kubelet is restarted for it.
    pub restart: bool,
    pub changes: Vec<Shown>,
    pub notes: Vec<String>,
    /// The commands that remove the images that go, with the kubelet stopped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// What the cluster needs so that its API server gives tokens of pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rbac: Option<String>,
}

/// A change, for a person.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    pub path: String,
    pub what: What,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Of text; without secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    pub after: State,
}

impl Shown {
    #[must_use]
    pub fn of(tree: &Tree, change: &Change) -> Self {
        let text = |entry: Option<&Entry>| match entry {
            Some(Entry::File { bytes, .. }) => String::from_utf8(bytes.clone()).ok(),
            _ => Some(String::new()),
        };
        let there = tree.entry(&change.path).ok().flatten();
        let is_program = matches!(change.what, What::Program | What::Previous);
        let diff = match (text(there.as_ref()), text(change.wanted.as_ref())) {
            (Some(before), Some(after)) if !is_program => {
                Some(diff::unified(&change.path, &before, &after))
            }
            _ => None,
        };
        let mode = match &change.wanted {
            Some(Entry::File { mode, .. }) => Some(format!("{mode:o}")),
            _ => None,
        };
        let after = State::of(change.wanted.as_ref());
        Self { path: change.path.clone(), what: change.what, mode, diff, after }
    }

    fn text(&self, is_done: bool) -> String {
        let path = &self.path;
        let (install, write, remove) = if is_done {
            ("installed", "wrote", "removed")
        } else {
            ("would install", "would write", "would remove")
        };
        match (&self.after, &self.mode) {
            (State::Absent, _) => format!("{remove} {path}\n"),
            (State::Link(target), _) => format!("{write} {path} -> {}\n", target.display()),
            (State::File { sha256, .. }, _) if self.what == What::Program => {
                format!("{install} {path} (SHA-256 {sha256})\n")
            }
            (_, mode) => {
                let mode = mode.as_deref().unwrap_or_default();
                let diff = if is_done { "" } else { self.diff.as_deref().unwrap_or_default() };
                format!("{write} {path} (mode {mode})\n{diff}")
            }
        }
    }
}

impl Outcome {
    pub fn say(&mut self, line: impl Into<String>) {
        self.notes.push(line.into());
    }

    #[must_use]
    pub fn text(&self, dry_run: bool) -> String {
        let mut text = String::new();
        for note in &self.notes {
            let _ = writeln!(text, "{note}");
        }
        for command in &self.images {
            let begin = if dry_run { "would remove an image" } else { "removed an image" };
            let _ = writeln!(text, "{begin}: {command}");
        }
        for change in &self.changes {
            text += &change.text(!dry_run);
        }
        if dry_run && !(self.changes.is_empty() && self.images.is_empty()) {
            let _ = writeln!(
                text,
                "the kubelet would {}be restarted",
                if self.restart { "" } else { "not " }
            );
        } else if !dry_run {
            let _ = writeln!(text, "{}", self.state);
        }
        if let Some(rbac) = &self.rbac {
            text += "the API server gives tokens of pods once this is applied:\n";
            text += rbac;
        }
        text
    }

    #[must_use]
    pub fn json(&self) -> String {
        // It has nothing that could not be written.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}
