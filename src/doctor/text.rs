//! A report for a person: lines for each check as it ends, and the verdict in the last.

use std::fmt::Write;
use std::io;

use crate::doctor::check::{Check, Line, Status};
use crate::system::text::one_line;

/// Where a check's lines begin.
const INDENT: usize = 22;
/// Longest line of a check that passed, in characters; `--verbose` has the rest.
const WIDTH: usize = 100;

/// Takes back a line that said what comes next.
const ERASE: &str = "\r\u{1b}[K";

/// Where the lines go, and how.
pub struct Text<'o> {
    out: &'o mut dyn io::Write,
    /// It may have colours.
    has_colour: bool,
    progress: Progress,
    /// Checks that passed take all of their lines.
    has_details: bool,
    /// Checks that were skipped for the same reason take one line together.
    held: Option<(Vec<&'static str>, Check)>,
    /// The registry of the check before.
    host: Option<String>,
    error: Option<io::Error>,
}

/// A line that says what comes next.
#[derive(PartialEq, Eq)]
enum Progress {
    /// Nobody waits at a terminal.
    Unseen,
    Erased,
    Shown,
}

impl<'o> Text<'o> {
    #[must_use]
    pub fn new(
        out: &'o mut dyn io::Write,
        has_colour: bool,
        is_terminal: bool,
        has_details: bool,
    ) -> Self {
        Self {
            out,
            has_colour,
            progress: if is_terminal { Progress::Erased } else { Progress::Unseen },
            has_details,
            held: None,
            host: None,
            error: None,
        }
    }

    pub(super) fn begin(&mut self, what: &str) {
        if self.progress != Progress::Unseen {
            let line: String = what.chars().take(WIDTH - 9).collect();
            let line = format!("{}..      {line}", self.erased());
            self.progress = Progress::Shown;
            self.write(&line);
        }
    }

    /// `is_one_of_several` is whether the pulls of several images are followed.
    pub(super) fn add(&mut self, check: &Check, is_one_of_several: bool) {
        if let Some((names, held)) = &mut self.held
            && check.status == Status::Skipped
            && held.host == check.host
            && held.details() == check.details()
        {
            names.push(check.name.text());
            return;
        }
        self.release();
        if is_one_of_several && self.host.is_some() && self.host != check.host {
            self.write("\n");
        }
        self.host.clone_from(&check.host);
        if check.status == Status::Skipped {
            self.held = Some((vec![check.name.text()], check.clone()));
        } else {
            self.show(check.name.text(), check);
        }
    }

    pub(super) fn end(&mut self, verdict: &str) -> io::Result<()> {
        self.release();
        let line = format!("{}{verdict}\n", self.erased());
        self.write(&line);
        self.error.take().map_or(Ok(()), Err)
    }

    fn release(&mut self) {
        if let Some((names, check)) = self.held.take() {
            self.show(&names.join(", "), &check);
        }
    }

    fn show(&mut self, names: &str, check: &Check) {
        let mut text = self.erased().to_owned();
        lines(names, check, self.has_colour, self.has_details, &mut text);
        self.write(&text);
    }

    fn erased(&mut self) -> &'static str {
        if self.progress == Progress::Shown {
            self.progress = Progress::Erased;
            return ERASE;
        }
        ""
    }

    fn write(&mut self, text: &str) {
        if self.error.is_none() {
            let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
            self.error = written.err();
        }
    }
}

fn mark(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Skipped => "--",
        Status::Warning => "warning",
        Status::Failed => "FAILED",
    }
}

fn lines(names: &str, check: &Check, has_colour: bool, has_details: bool, text: &mut String) {
    let mark = match (has_colour, check.status) {
        (true, Status::Failed) => "\u{1b}[31mFAILED\u{1b}[0m ".to_owned(),
        (true, Status::Warning) => "\u{1b}[33mwarning\u{1b}[0m".to_owned(),
        (_, status) => format!("{:7}", mark(status)),
    };
    let _ = write!(text, "{mark} {names:13} ");
    let is_short = !has_details && check.status <= Status::Skipped;
    let is_shown = |(at, line): &(usize, &Line)| !is_short || *at == 0 || line.is_note;
    let shown: Vec<&Line> =
        check.lines.iter().enumerate().filter(is_shown).map(|(_, line)| line).collect();
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
