//! What happened on the way, kept until the end.
//!
//! The kubelet folds stderr into one log entry when we fail and throws it away when we succeed
//! (`plugin.go`, `ExecPlugin`). The first line must therefore be the error, so nothing is printed
//! while the work is under way: `main` prints the journal last.

use std::cell::RefCell;
use std::fmt::{self, Write};
use std::time::Duration;

use crate::system::text::one_line;

/// How much a reader wants to know; set by `ACR_CREDENTIAL_PROVIDER_LOG`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

impl Level {
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "error" => Self::Error,
            "warn" => Self::Warn,
            "info" => Self::Info,
            "debug" => Self::Debug,
            _ => return None,
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warn => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
        })
    }
}

/// Lines in the order in which they came up. No secret is ever handed to it.
#[derive(Debug, Default)]
pub struct Journal {
    lines: RefCell<Vec<(Level, String)>>,
    spent: RefCell<Vec<(&'static str, Duration)>>,
    requests: RefCell<Vec<(&'static str, String)>>,
    calls: RefCell<Calls>,
}

/// The calls to services of the cloud.
#[derive(Debug, Default)]
pub struct Calls {
    /// The hop of each, and how long it took.
    pub made: Vec<(&'static str, Duration)>,
    /// How many a service throttled.
    pub throttled: u64,
}

impl Journal {
    pub fn warn(&self, line: impl Into<String>) {
        self.add(Level::Warn, &line.into());
    }

    pub fn info(&self, line: impl Into<String>) {
        self.add(Level::Info, &line.into());
    }

    pub fn debug(&self, line: impl Into<String>) {
        self.add(Level::Debug, &line.into());
    }

    /// Adds to the time that a hop took.
    pub fn spent(&self, hop: &'static str, time: Duration) {
        let mut spent = self.spent.borrow_mut();
        match spent.iter_mut().find(|(known, _)| *known == hop) {
            Some((_, total)) => *total += time,
            None => spent.push((hop, time)),
        }
    }

    /// Notes a call to a service.
    pub fn called(&self, hop: &'static str, time: Duration) {
        self.spent(hop, time);
        self.calls.borrow_mut().made.push((hop, time));
    }

    /// Notes that the last call was throttled.
    pub fn throttled(&self) {
        self.calls.borrow_mut().throttled += 1;
    }

    /// The calls so far; what follows is counted from zero.
    pub fn take_calls(&self) -> Calls {
        self.calls.take()
    }

    /// Notes the id of a request that was answered.
    pub fn request(&self, hop: &'static str, id: String) {
        self.requests.borrow_mut().push((hop, id));
    }

    /// All hops so far in their order, with the time that each took and the ids of its requests;
    /// what follows is counted from zero.
    pub fn take_hops(&self) -> Vec<(&'static str, Duration, Vec<String>)> {
        let requests = self.requests.take();
        let ids = |hop: &str| {
            requests.iter().filter(|(of, _)| *of == hop).map(|(_, id)| id.clone()).collect()
        };
        self.spent.take().into_iter().map(|(hop, time)| (hop, time, ids(hop))).collect()
    }

    /// The warnings so far.
    pub fn warnings(&self) -> Vec<String> {
        let lines = self.lines.borrow();
        let warnings = lines.iter().filter(|(level, _)| *level == Level::Warn);
        warnings.map(|(_, line)| line.clone()).collect()
    }

    /// The hop that took longest, and how long.
    pub fn longest(&self) -> Option<(&'static str, Duration)> {
        self.spent.borrow().iter().max_by_key(|(_, time)| *time).copied()
    }

    /// The lines that a reader of this level wants, each with its level in front.
    pub fn text(&self, level: Level) -> String {
        let mut text = String::new();
        for (level, line) in self.lines.borrow().iter().filter(|(of, _)| *of <= level) {
            // Into a `String`: it cannot fail.
            let _ = writeln!(text, "{level}: {line}");
        }
        text
    }

    /// One entry is one line, whatever was put into it.
    fn add(&self, level: Level, line: &str) {
        let line = one_line(line);
        let mut lines = self.lines.borrow_mut();
        // A file that is not as it should be is met at every look.
        if level > Level::Warn || !lines.contains(&(level, line.clone())) {
            lines.push((level, line));
        }
    }
}
