//! What doctor found, for people and for programs.

use std::fmt::Write;

use serde::Serialize;

use crate::failure::{Exit, Failure};
use crate::system::text::one_line;

/// Of the form of [`Report::json`]; grows when a field changes its meaning or goes.
const VERSION: u32 = 2;

/// Most problems that one check lists; the rest is counted.
const MOST: usize = 300;

/// Where a check's lines begin.
const INDENT: usize = 22;
/// Longest line of a check that passed, in characters; `--verbose` has the rest.
const WIDTH: usize = 100;

/// Every check, in the order of a report: that of a pull, and then what the node keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    Kubelet,
    Configuration,
    Image,
    Entry,
    Identity,
    Endpoints,
    Clock,
    Role,
    Token,
    Registry,
    Storage,
    Cache,
    LastRuns,
}

impl Name {
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Kubelet => "kubelet",
            Self::Configuration => "configuration",
            Self::Image => "image",
            Self::Entry => "entry",
            Self::Identity => "identity",
            Self::Endpoints => "endpoints",
            Self::Clock => "clock",
            Self::Role => "role",
            Self::Token => "token",
            Self::Registry => "registry",
            Self::Storage => "storage",
            Self::Cache => "cache",
            Self::LastRuns => "last runs",
        }
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

impl Status {
    fn mark(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "--",
            Self::Warning => "warning",
            Self::Failed => "FAILED",
        }
    }
}

/// One check and what came of it.
#[derive(Debug)]
pub struct Check {
    pub name: Name,
    /// The registry that a pull is from, for the checks of a pull.
    pub host: Option<String>,
    pub status: Status,
    /// What a pull would end with here.
    pub exit: u8,
    lines: Vec<Line>,
    /// A pull goes here, and doctor cannot follow it.
    is_unfollowed: bool,
    /// Problems beyond the most that are listed.
    more: usize,
}

/// Some lines of text that belong together.
#[derive(Debug)]
struct Line {
    texts: Vec<String>,
    /// For a problem: what to do about it.
    remedies: Option<Vec<String>>,
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
        self.lines.push(Line { texts: vec![text.into()], remedies: None });
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
        self.lines.push(Line { texts, remedies: Some(remedy.into_iter().collect()) });
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
    fn remedies(&self) -> Vec<&str> {
        let mut all: Vec<&str> = Vec::new();
        for remedy in self.lines.iter().filter_map(|line| line.remedies.as_ref()).flatten() {
            if !all.contains(&remedy.as_str()) {
                all.push(remedy);
            }
        }
        all
    }

    fn json(&self) -> JsonCheck<'_> {
        let problem = |line: &Line| {
            let remedies = line.remedies.as_ref()?;
            Some(JsonProblem { what: line.texts.join("; "), remedy: remedies.first().cloned() })
        };
        JsonCheck {
            name: self.name.text(),
            host: self.host.as_deref(),
            status: self.status,
            details: self.details(),
            remedies: self.remedies(),
            problems: self.lines.iter().filter_map(problem).collect(),
            exit: Some(self.exit).filter(|exit| *exit != 0),
        }
    }
}

/// All checks.
#[derive(Debug, Default)]
pub struct Report {
    /// Whose pulls are followed: images, or hosts as they are configured.
    pub images: Vec<String>,
    pub checks: Vec<Check>,
}

#[derive(Serialize)]
struct Json<'a> {
    version: u32,
    program: &'static str,
    result: Status,
    exit: u8,
    images: &'a [String],
    checks: Vec<JsonCheck<'a>>,
}

#[derive(Serialize)]
struct JsonCheck<'a> {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    status: Status,
    details: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remedies: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<JsonProblem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit: Option<u8>,
}

#[derive(Serialize)]
struct JsonProblem {
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Report {
    pub fn add(&mut self, mut check: Check) {
        if check.more > 0 {
            check.detail(format!("and {} more", check.more));
        }
        self.checks.push(check);
    }

    /// The exit code: that of the pull, and else of a kubelet that never makes one.
    #[must_use]
    pub fn exit(&self) -> u8 {
        let code = |is_pull: bool| {
            let checks =
                self.checks.iter().filter(|check| (check.name != Name::Kubelet) == is_pull);
            checks.map(|check| check.exit).find(|exit| *exit != 0)
        };
        code(true).or_else(|| code(false)).unwrap_or(0)
    }

    fn result(&self) -> Status {
        let worst = self.checks.iter().map(|check| check.status).max();
        worst.filter(|status| *status > Status::Skipped).unwrap_or(Status::Ok)
    }

    /// For people. The last line is what came of all. `colour` is for terminals; without `details` a
    /// check that passed takes one line, and so do checks that were skipped for the same reason.
    #[must_use]
    pub fn text(&self, colour: bool, details: bool) -> String {
        let mut text = String::new();
        let alike = |one: &Check, next: &Check| {
            one.status == Status::Skipped
                && next.status == Status::Skipped
                && one.details() == next.details()
                && one.host == next.host
        };
        let mut host = None;
        for checks in self.checks.chunk_by(alike) {
            let Some(check) = checks.first() else { continue };
            if self.images.len() > 1 && host.is_some() && host != check.host.as_ref() {
                text.push('\n');
            }
            host = check.host.as_ref();
            let names: Vec<&str> = checks.iter().map(|check| check.name.text()).collect();
            write(&names.join(", "), check, colour, details, &mut text);
        }
        let _ = writeln!(text, "{}", self.verdict());
        text
    }

    fn verdict(&self) -> String {
        let unfollowed = self.names(|check| check.is_unfollowed);
        let warned = self.names(|check| check.status == Status::Warning);
        let failed = self.names(|check| check.status == Status::Failed);
        let mut sentences = Vec::new();
        if !failed.is_empty() {
            sentences.push(format!("FAILED: {failed}, exit code {}.", self.exit()));
            sentences.push("The lines with `do:` say what to do.".to_owned());
        } else if warned.is_empty() && unfollowed.is_empty() {
            sentences.push("All is well.".to_owned());
        } else {
            sentences.push("No check failed.".to_owned());
        }
        for (what, names) in [("Warnings", warned), ("Not checked", unfollowed)] {
            if !names.is_empty() {
                sentences.push(format!("{what}: {names}."));
            }
        }
        sentences.join(" ")
    }

    /// The names of some checks; with the registry where there are several.
    fn names(&self, which: impl Fn(&Check) -> bool) -> String {
        let mut names: Vec<String> = Vec::new();
        for check in self.checks.iter().filter(|check| which(check)) {
            let host = check.host.as_ref().filter(|_| self.images.len() > 1);
            let host = host.map_or(String::new(), |host| format!(" of {host}"));
            let name = format!("{}{host}", check.name.text());
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.join(", ")
    }

    /// For programs and support tickets: one JSON document.
    #[must_use]
    pub fn json(&self) -> String {
        let document = Json {
            version: VERSION,
            program: crate::program::VERSION,
            result: self.result(),
            exit: self.exit(),
            images: &self.images,
            checks: self.checks.iter().map(Check::json).collect(),
        };
        // Strings and numbers only: it cannot fail. Within strings line ends are escaped.
        let text = serde_json::to_string_pretty(&document).unwrap_or_default();
        let lines: Vec<String> = text.split('\n').map(one_line).collect();
        lines.join("\n") + "\n"
    }
}

fn write(names: &str, check: &Check, colour: bool, details: bool, text: &mut String) {
    let mark = match (colour, check.status) {
        (true, Status::Failed) => "\u{1b}[31mFAILED\u{1b}[0m ".to_owned(),
        (true, Status::Warning) => "\u{1b}[33mwarning\u{1b}[0m".to_owned(),
        (_, status) => format!("{:7}", status.mark()),
    };
    let _ = write!(text, "{mark} {names:13} ");
    let is_short = !details && check.status <= Status::Skipped;
    let shown = if is_short { check.lines.get(..1).unwrap_or_default() } else { &check.lines };
    let mut indent = "";
    for (at, line) in shown.iter().enumerate() {
        // Among other lines those that matter are marked.
        let bad = if line.remedies.is_some() && shown.len() > 1 { "! " } else { "" };
        for (number, of) in line.texts.iter().enumerate() {
            let of = one_line(of);
            let of = if is_short { cut(&of, WIDTH - INDENT.max(9 + names.len())) } else { of };
            let _ = writeln!(text, "{indent}{}{of}", if number == 0 { bad } else { "" });
            indent = "                      ";
        }
        // A remedy of several problems stands behind the last of them.
        let later =
            || shown.iter().skip(at + 1).filter_map(|line| line.remedies.as_ref()).flatten();
        for remedy in line.remedies.iter().flatten() {
            if later().any(|other| other == remedy) {
                continue;
            }
            let mut lines = remedy.lines().map(one_line);
            let _ = writeln!(text, "{indent}do: {}", lines.next().unwrap_or_default());
            for line in lines {
                let _ = writeln!(text, "{indent}    {line}");
            }
        }
    }
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most.saturating_sub(1)) {
        Some((at, last)) if at + last.len_utf8() < text.len() => {
            format!("{}…", text.get(..at).unwrap_or_default())
        }
        _ => text.to_owned(),
    }
}
