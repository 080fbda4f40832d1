//! One check of doctor's: what was found, what is wrong, and what to do about it.

use serde::Serialize;

use crate::failure::{Exit, Failure};

/// Most problems that one check lists; the rest is counted.
const MOST: usize = 300;

/// What a check is called in a report. A check that stands in a file of its own has its name there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name(pub(super) &'static str);

impl Name {
    pub const KUBELET: Self = Self("kubelet");
    pub const CONFIGURATION: Self = Self("configuration");
    pub const IMAGE: Self = Self("image");
    pub const ENTRY: Self = Self("entry");
    pub const IDENTITY: Self = Self("identity");
    pub const ENDPOINTS: Self = Self("endpoints");
    pub const CLOCK: Self = Self("clock");
    pub const ROLE: Self = Self("role");
    pub const TOKEN: Self = Self("token");
    pub const REGISTRY: Self = Self("registry");

    #[must_use]
    pub fn text(self) -> &'static str {
        self.0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Ok,
    /// Not made: nobody asked for it, or something before it failed.
    Skipped,
    /// A pull works, but somebody should know.
    Warning,
    Failed,
}

/// One check and its result.
#[derive(Debug, Clone)]
pub struct Check {
    pub name: Name,
    /// The registry that a pull is from, for the checks of a pull.
    pub host: Option<String>,
    pub status: Status,
    /// What a pull would end with here.
    pub exit: u8,
    pub(super) lines: Vec<Line>,
    /// A pull goes here, and doctor cannot follow it.
    pub(super) is_unfollowed: bool,
    /// Problems beyond the most that are listed.
    pub(super) more: usize,
}

/// Some lines of text that belong together.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub texts: Vec<String>,
    /// For a problem: what to do about it.
    pub remedies: Option<Vec<String>>,
    /// It is shown though the check passed.
    pub is_note: bool,
}

impl Check {
    #[must_use]
    pub fn new(name: Name) -> Self {
        Self {
            name,
            host: None,
            status: Status::Ok,
            exit: 0,
            lines: Vec::new(),
            is_unfollowed: false,
            more: 0,
        }
    }

    /// Says why it was not made.
    #[must_use]
    pub fn skipped(name: Name, why: impl Into<String>) -> Self {
        let mut check = Self::new(name);
        check.status = Status::Skipped;
        check.detail(why);
        check
    }

    /// A check of a pull that cannot be made though a pull goes there.
    #[must_use]
    pub fn unfollowed(name: Name, why: impl Into<String>) -> Self {
        Self { is_unfollowed: true, ..Self::skipped(name, why) }
    }

    /// A line about what was found.
    pub fn detail(&mut self, text: impl Into<String>) {
        self.lines.push(Line { texts: vec![text.into()], remedies: None, is_note: false });
    }

    /// A line that a reader has to see though nothing is wrong.
    pub fn note(&mut self, text: impl Into<String>) {
        self.lines.push(Line { texts: vec![text.into()], remedies: None, is_note: true });
    }

    /// Something that works and needs attention.
    pub fn warn(&mut self, what: impl Into<String>, remedy: impl Into<String>) {
        self.problem(what.into(), Some(remedy.into()));
    }

    /// Something that somebody should know.
    pub fn problem(&mut self, what: String, remedy: Option<String>) {
        self.add(Status::Warning, vec![what], remedy);
    }

    /// What a pull would fail with.
    pub fn fail(&mut self, failure: &Failure) {
        let texts = std::iter::once(failure.text()).chain(failure.causes.iter().cloned()).collect();
        self.add(Status::Failed, texts, failure.hint.clone());
        if self.exit == 0 {
            self.exit = failure.exit as u8;
        }
    }

    /// Something with which no pull works, for it is set up wrong.
    pub fn refuse(&mut self, what: impl Into<String>, remedy: impl Into<String>) {
        self.fail(&Failure::new(Exit::Usage, what).hint(remedy));
    }

    fn add(&mut self, status: Status, texts: Vec<String>, remedy: Option<String>) {
        self.status = self.status.max(status);
        if self.lines.iter().filter(|line| line.remedies.is_some()).count() >= MOST {
            self.more += 1;
            return;
        }
        let remedies = Some(remedy.into_iter().collect());
        self.lines.push(Line { texts, remedies, is_note: false });
    }

    /// Makes it a failure: what is wrong keeps pulls from working.
    pub fn fails(&mut self, exit: Exit) {
        self.status = Status::Failed;
        self.exit = exit as u8;
    }

    /// Further things to do about the last problem.
    pub fn also(&mut self, remedies: impl IntoIterator<Item = String>) {
        let last = self.lines.iter_mut().rev().find_map(|line| line.remedies.as_mut());
        if let Some(last) = last {
            last.extend(remedies);
        }
    }

    /// So many more problems were found and not kept.
    pub fn and_more(&mut self, count: usize) {
        self.more += count;
    }

    /// All lines of text, those of problems included.
    #[must_use]
    pub fn details(&self) -> Vec<&str> {
        self.lines.iter().flat_map(|line| &line.texts).map(String::as_str).collect()
    }

    /// What there is to do, each once.
    pub(super) fn remedies(&self) -> Vec<&str> {
        let mut all: Vec<&str> = Vec::new();
        for remedy in self.lines.iter().filter_map(|line| line.remedies.as_ref()).flatten() {
            if !all.contains(&remedy.as_str()) {
                all.push(remedy);
            }
        }
        all
    }
}
