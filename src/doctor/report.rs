//! What doctor found, for people and for programs.

use std::fmt::Write;

use serde::Serialize;

use crate::failure::{Failure, visible};

/// Of the form of [`Report::json`]; grows when a field changes its meaning or goes.
const VERSION: u32 = 1;

/// Most that is told of one station to be wrong; the rest is counted.
const MOST: usize = 300;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Ok,
    /// Not looked at, since it was not asked for or something before it failed.
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

/// One station of a pull.
#[derive(Debug, Serialize)]
pub struct Station {
    pub name: &'static str,
    /// The registry that a pull is from, for the stations of a pull.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    pub status: Status,
    /// One line each; for a failure the first says what failed.
    pub details: Vec<String>,
    /// What to do, if something is to be done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remedies: Vec<String>,
    /// The details that are not well, each with its own remedy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// What a pull would end with here.
    #[serde(skip_serializing_if = "is_zero")]
    pub exit: u8,
    /// A pull goes here, and it could not be followed.
    #[serde(skip)]
    unfollowed: bool,
    /// What was found beyond the most that is told.
    #[serde(skip)]
    untold: usize,
}

/// One thing that is wrong.
#[derive(Debug, Serialize)]
pub struct Problem {
    pub what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape of skip_serializing_if")]
fn is_zero(exit: &u8) -> bool {
    *exit == 0
}

impl Station {
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            host: None,
            status: Status::Ok,
            details: Vec::new(),
            remedies: Vec::new(),
            problems: Vec::new(),
            exit: 0,
            unfollowed: false,
            untold: 0,
        }
    }

    /// A line about what was found.
    pub fn tell(&mut self, detail: impl Into<String>) {
        self.details.push(detail.into());
    }

    /// Something that works and should be seen to.
    pub fn warn(&mut self, detail: impl Into<String>, remedy: impl Into<String>) {
        let remedy = remedy.into();
        if self.problems.len() < MOST && !self.remedies.contains(&remedy) {
            self.remedies.push(remedy.clone());
        }
        self.odd(detail.into(), Some(remedy));
    }

    /// Something that somebody should know.
    pub fn odd(&mut self, what: String, remedy: Option<String>) {
        self.status = self.status.max(Status::Warning);
        if self.problems.len() >= MOST {
            self.untold += 1;
            return;
        }
        self.tell(what.clone());
        self.problems.push(Problem { what, remedy });
    }

    /// So many more were found that nobody has kept.
    pub fn and_more(&mut self, count: usize) {
        self.untold += count;
    }

    /// What a pull would fail with.
    pub fn fail(&mut self, failure: &Failure) {
        self.status = Status::Failed;
        self.exit = failure.exit as u8;
        self.tell(failure.message.clone());
        self.details.extend(failure.causes.iter().cloned());
        self.remedies.extend(failure.hint.clone());
        let causes = failure.causes.iter().map(String::as_str);
        let what: Vec<&str> = std::iter::once(failure.message.as_str()).chain(causes).collect();
        self.problems.push(Problem { what: what.join("; "), remedy: failure.hint.clone() });
    }

    /// Says why it was not looked at.
    #[must_use]
    pub fn skipped(name: &'static str, why: impl Into<String>) -> Self {
        let mut station = Self::new(name);
        station.status = Status::Skipped;
        station.tell(why);
        station
    }

    /// A station of a pull that is not looked at though a pull goes there.
    #[must_use]
    pub fn unfollowed(name: &'static str, why: impl Into<String>) -> Self {
        Self { unfollowed: true, ..Self::skipped(name, why) }
    }
}

/// All stations, in the order of a pull.
#[derive(Debug, Default)]
pub struct Report {
    /// Whose pulls are followed: images, or hosts as they are configured.
    pub images: Vec<String>,
    pub stations: Vec<Station>,
}

#[derive(Serialize)]
struct Json<'a> {
    version: u32,
    program: &'static str,
    result: Status,
    exit: u8,
    images: &'a [String],
    stations: &'a [Station],
}

impl Report {
    pub fn add(&mut self, mut station: Station) {
        if station.untold > 0 {
            station.tell(format!("and {} more", station.untold));
        }
        self.stations.push(station);
    }

    /// The exit code: that of the first station that fails.
    #[must_use]
    pub fn exit(&self) -> u8 {
        self.stations.iter().map(|station| station.exit).find(|exit| *exit != 0).unwrap_or(0)
    }

    fn result(&self) -> Status {
        let worst = self.stations.iter().map(|station| station.status).max();
        worst.filter(|status| *status > Status::Skipped).unwrap_or(Status::Ok)
    }

    /// For people. Stations that are well take a line each, and what was not reached one together;
    /// the last line is what came of all. `colour` is for terminals.
    #[must_use]
    pub fn text(&self, colour: bool) -> String {
        let mut text = String::new();
        let alike = |one: &Station, next: &Station| {
            one.status == Status::Skipped
                && next.status == Status::Skipped
                && one.details == next.details
                && one.host == next.host
        };
        let mut host = None;
        for stations in self.stations.chunk_by(alike) {
            let Some(station) = stations.first() else { continue };
            if host.is_some() && host != station.host.as_ref() {
                text.push('\n');
            }
            host = station.host.as_ref();
            let names: Vec<&str> = stations.iter().map(|station| station.name).collect();
            write(&names.join(", "), station, colour, &mut text);
        }
        let _ = writeln!(text, "\n{}", self.verdict());
        text
    }

    fn verdict(&self) -> String {
        let with = |status: Status| {
            let mut names: Vec<&str> = Vec::new();
            for station in self.stations.iter().filter(|station| station.status == status) {
                if !names.contains(&station.name) {
                    names.push(station.name);
                }
            }
            names
        };
        let warned = with(Status::Warning).join(", ");
        match self.stations.iter().find(|station| station.status == Status::Failed) {
            Some(first) => {
                let several = self.images.len() > 1;
                let host = first.host.as_ref().filter(|_| several);
                let host = host.map_or(String::new(), |host| format!(" for {host}"));
                format!(
                    "It fails at `{}`{host}, exit code {}: the lines there that begin with `do:` say what to do.",
                    first.name,
                    self.exit()
                )
            }
            None => match (self.cut(), warned.is_empty()) {
                (None, true) => "All is well.".to_owned(),
                (Some(cut), true) => format!("Nothing fails, but {cut}."),
                (None, false) => format!("No station fails, but see the warnings: {warned}."),
                (Some(cut), false) => {
                    format!("No station fails, but see the warnings: {warned}; and {cut}.")
                }
            },
        }
    }

    /// That something of a pull was not seen, if that is so.
    fn cut(&self) -> Option<&'static str> {
        let whole = |station: &Station| station.name == "token" && station.status == Status::Ok;
        if !self.stations.iter().any(|station| station.unfollowed) {
            None
        } else if self.stations.iter().any(whole) {
            Some("not every pull was followed to its end: see the lines with `--`")
        } else {
            Some("no pull was followed to its end: see the lines with `--`")
        }
    }

    /// For programs and support tickets: one JSON document.
    #[must_use]
    pub fn json(&self) -> String {
        let document = Json {
            version: VERSION,
            program: crate::app::arguments::VERSION,
            result: self.result(),
            exit: self.exit(),
            images: &self.images,
            stations: &self.stations,
        };
        // Strings and numbers only: it cannot fail. Within strings line ends are escaped.
        let text = serde_json::to_string_pretty(&document).unwrap_or_default();
        let lines: Vec<String> = text.split('\n').map(one_line).collect();
        lines.join("\n") + "\n"
    }
}

fn write(names: &str, station: &Station, colour: bool, text: &mut String) {
    let mark = match (colour, station.status) {
        (true, Status::Failed) => "\u{1b}[31mFAILED\u{1b}[0m ".to_owned(),
        (true, Status::Warning) => "\u{1b}[33mwarning\u{1b}[0m".to_owned(),
        (_, status) => format!("{:7}", status.mark()),
    };
    let mut details = station.details.iter().map(|detail| one_line(detail));
    let first = details.next().unwrap_or_default();
    let _ = writeln!(text, "{mark} {names:13} {first}");
    for detail in details {
        let _ = writeln!(text, "{:22}{detail}", "");
    }
    for remedy in &station.remedies {
        let mut lines = remedy.lines().map(one_line);
        let _ = writeln!(text, "{:22}do: {}", "", lines.next().unwrap_or_default());
        for line in lines {
            let _ = writeln!(text, "{:26}{line}", "");
        }
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(visible).collect()
}
