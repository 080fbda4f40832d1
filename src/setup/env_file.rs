//! A file that a unit names in `EnvironmentFile=`: read as systemd reads it, changed by positions.
//!
//! systemd takes off spaces around `=`, knows both quotes, escapes and lines that go on, and the last
//! assignment of a name counts (`env-file.c`). Up to systemd 253 a comment that ends in a backslash
//! goes on in the next line; from 254 on it ends with its own.

use std::ops::Range;

use crate::setup::arguments_text::Edit;

/// An assignment as it counts, and where its value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    pub name: String,
    pub value: String,
    /// Of the raw value, quotes and all.
    raw: Range<usize>,
    /// The quote that closes at its end.
    quote: Option<char>,
    /// The file ends within its quotes.
    is_open: bool,
}

/// What a backslash at the end of a comment does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comments {
    /// systemd up to 253: the next line belongs to the comment.
    GoOn,
    /// systemd from 254 on.
    End,
}

impl Comments {
    /// Those that count for a version of systemd; both where it is not known.
    #[must_use]
    pub fn of(systemd: Option<u32>) -> &'static [Self] {
        match systemd {
            Some(..254) => &[Self::GoOn],
            Some(_) => &[Self::End],
            None => &[Self::End, Self::GoOn],
        }
    }
}

/// Why a file is not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsure {
    #[error(
        "a comment ends in a backslash, and systemd up to 253 and from 254 on read what follows differently"
    )]
    Comment,
    #[error("its value is in a form that cannot be changed safely")]
    Form,
}

/// The value that counts.
#[must_use]
pub fn value(text: &str, name: &str, comments: Comments) -> Option<Assignment> {
    read(text, comments).into_iter().rfind(|assignment| assignment.name == name)
}

/// A text in which the arguments that a variable holds are changed. A variable that is not there is
/// added at the end.
///
/// # Errors
///
/// What could be read in more than one way.
pub fn changed(
    text: &str,
    name: &str,
    edit: &Edit,
    readings: &[Comments],
) -> Result<String, Unsure> {
    let now = |text: &str, comments| value(text, name, comments);
    let first = readings.first().copied().unwrap_or(Comments::End);
    let before = now(text, first);
    if readings.iter().any(|comments| now(text, *comments) != before) {
        return Err(Unsure::Comment);
    }
    let wanted = edit.of(before.as_ref().map_or("", |before| before.value.as_str()));
    let candidates = match &before {
        Some(Assignment { is_open: true, .. }) => return Err(Unsure::Form),
        Some(Assignment { raw, quote, .. }) => {
            let old = text.get(raw.clone()).ok_or(Unsure::Form)?;
            let mut new = text.to_owned();
            new.replace_range(raw.clone(), &edit.raw(old, *quote));
            vec![new]
        }
        None if edit.add.is_empty() => return Ok(text.to_owned()),
        // A comment that continues would take the line with it, but for an empty one in between.
        None => ["", "\n"]
            .map(|gap| {
                let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
                format!("{text}{end}{gap}{name}=\"{}\"\n", edit.add.join(" "))
            })
            .to_vec(),
    };
    let others = |text: &str, comments| {
        let mut all = read(text, comments);
        all.retain(|assignment| assignment.name != name);
        all.into_iter().map(|assignment| (assignment.name, assignment.value)).collect::<Vec<_>>()
    };
    let is_right = |new: &String| {
        readings.iter().all(|comments| {
            now(new, *comments)
                .is_some_and(|after| after.value.split_whitespace().eq(wanted.iter()))
                && others(new, *comments) == others(text, *comments)
        })
    };
    candidates.into_iter().find(is_right).ok_or(Unsure::Form)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    BeforeName,
    Name,
    BeforeValue,
    Value,
    Escape,
    Single,
    Double,
    DoubleEscape,
    Comment,
    CommentEscape,
}

/// The assignment that is being read.
#[derive(Default)]
struct Current {
    name: Vec<u8>,
    value: Vec<u8>,
    /// How much of the value counts: without the spaces at its end.
    solid: usize,
    from: Option<usize>,
    to: usize,
    quote: Option<char>,
}

impl Current {
    fn push(&mut self, byte: u8, at: usize) {
        self.value.push(byte);
        if !byte.is_ascii_whitespace() {
            self.solid = self.value.len();
            self.to = at + 1;
            self.quote = None;
        }
    }

    /// Spaces count there, too.
    fn push_quoted(&mut self, byte: u8, at: usize) {
        self.value.push(byte);
        self.solid = self.value.len();
        self.to = at + 1;
        self.quote = None;
    }

    fn begin(&mut self, at: usize) {
        self.from.get_or_insert(at);
    }

    /// Whatever was in quotes counts, spaces as well.
    fn close(&mut self, quote: char, at: usize) {
        self.solid = self.value.len();
        self.to = at + 1;
        self.quote = Some(quote);
    }

    fn end(mut self, at: usize, is_open: bool) -> Option<Assignment> {
        let name = String::from_utf8(self.name).ok()?;
        let name = name.trim_end();
        let mut letters = name.bytes();
        let begins = letters.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        (begins && letters.all(|b| b.is_ascii_alphanumeric() || b == b'_')).then_some(())?;
        self.value.truncate(self.solid);
        let from = self.from.unwrap_or(at);
        let raw = from..self.to.max(from);
        let value = String::from_utf8(self.value).ok()?;
        Some(Assignment { name: name.to_owned(), value, raw, quote: self.quote, is_open })
    }
}

/// All assignments in their order.
#[must_use]
pub fn read(text: &str, comments: Comments) -> Vec<Assignment> {
    let mut all = Vec::new();
    let mut current = Current::default();
    let mut state = State::BeforeName;
    for (at, byte) in text.bytes().enumerate() {
        let is_end = matches!(byte, b'\n' | b'\r');
        state = match (state, byte) {
            (State::BeforeName, b'#' | b';') => State::Comment,
            (State::BeforeName, _) if byte.is_ascii_whitespace() => State::BeforeName,
            (State::BeforeName, _) => {
                current = Current { name: vec![byte], ..Current::default() };
                State::Name
            }
            (State::Name, _) if is_end => State::BeforeName,
            (State::Name, b'=') => State::BeforeValue,
            (State::Name, _) => {
                current.name.push(byte);
                State::Name
            }
            (State::BeforeValue | State::Value, _) if is_end => {
                all.extend(std::mem::take(&mut current).end(at, false));
                State::BeforeName
            }
            (State::BeforeValue, b'\'' | b'"') => {
                current.begin(at);
                if byte == b'"' { State::Double } else { State::Single }
            }
            (State::BeforeValue, _) if byte.is_ascii_whitespace() => State::BeforeValue,
            (State::BeforeValue | State::Value, b'\\') => {
                current.begin(at);
                State::Escape
            }
            (State::BeforeValue | State::Value, _) => {
                current.begin(at);
                current.push(byte, at);
                State::Value
            }
            (State::Escape, _) => {
                if !is_end {
                    current.push_quoted(byte, at);
                }
                State::Value
            }
            (State::Single, b'\'') => {
                current.close('\'', at);
                State::BeforeValue
            }
            (State::Double, b'"') => {
                current.close('"', at);
                State::BeforeValue
            }
            (State::Double, b'\\') => State::DoubleEscape,
            (State::Single | State::Double, _) => {
                current.push_quoted(byte, at);
                state
            }
            (State::DoubleEscape, _) => {
                if !b"\"\\`$\n\r".contains(&byte) {
                    current.value.push(b'\\');
                }
                if !is_end {
                    current.push_quoted(byte, at);
                }
                State::Double
            }
            (State::Comment, b'\\') => State::CommentEscape,
            (State::CommentEscape, _) if is_end && comments == Comments::End => State::BeforeName,
            (State::Comment, _) if is_end => State::BeforeName,
            (State::Comment | State::CommentEscape, _) => State::Comment,
        };
    }
    if !matches!(state, State::BeforeName | State::Name | State::Comment | State::CommentEscape) {
        let is_open = matches!(state, State::Single | State::Double | State::DoubleEscape);
        all.extend(current.end(text.len(), is_open));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, comments: Comments) -> Option<String> {
        value(text, "A", comments).map(|assignment| assignment.value)
    }

    #[test]
    fn values_as_systemd_reads_them() {
        for (text, expected) in [
            ("A=--a --b  \n", Some("--a --b")),
            ("A = --a\n", Some("--a")),
            (" A\t=\t'--a  --b' \n", Some("--a  --b")),
            ("A=\"x \\\"y\\\" \\$z \\q\"\n", Some("x \"y\" $z \\q")),
            ("A=\"--a \\\n--b\"\n", Some("--a --b")),
            ("A=--a \\\n  --b\n", Some("--a   --b")),
            ("A=\"--a\" --b\n", Some("--a--b")),
            ("A=x\\ \n", Some("x ")),
            ("A=\nB=1\n", Some("")),
            ("A=1\nA=2", Some("2")),
            ("export A=1\n", None),
            ("#A=1\n;A=2\n", None),
            ("A=\"open\n", Some("open\n")),
            ("A=a#b # c\n", Some("a#b # c")),
        ] {
            assert_eq!(of(text, Comments::End).as_deref(), expected, "{text:?}");
        }
        let text = "# a path: C:\\\nA=1\n";
        assert_eq!(of(text, Comments::End).as_deref(), Some("1"));
        assert_eq!(of(text, Comments::GoOn), None);
    }

    #[test]
    fn the_value_is_extended_and_the_rest_stays() {
        let edit = Edit { add: vec!["--x".to_owned()], remove: Vec::new() };
        let changed = |text| changed(text, "A", &edit, Comments::of(None));
        for (before, after) in [
            ("# mine\nA=--a --b\nB=1\n", "# mine\nA=\"--a --b --x\"\nB=1\n"),
            (
                "A = --node-ip=10.0.0.9 --max-pods=64",
                "A = \"--node-ip=10.0.0.9 --max-pods=64 --x\"",
            ),
            ("A='--a'\r\nB=1\r\n", "A='--a --x'\r\nB=1\r\n"),
            ("A=\"--a\" \nB=1", "A=\"--a --x\" \nB=1"),
            ("A=\n", "A=\"--x\"\n"),
            ("A=", "A=\"--x\""),
            ("A = \"\"\n", "A = \"--x\"\n"),
            ("B=1", "B=1\nA=\"--x\"\n"),
            ("", "A=\"--x\"\n"),
            ("A=--a \\\n  --b\n", "A=--a \\\n  --b --x\n"),
            ("A=\"--a \\\n  --b\"\n", "A=\"--a \\\n  --b --x\"\n"),
            ("A=\"--a=\\\"b c\\\"\"\n", "A=\"--a=\\\"b c\\\" --x\"\n"),
            ("B=1\n# end\\", "B=1\n# end\\\n\nA=\"--x\"\n"),
        ] {
            assert_eq!(changed(before).as_deref(), Ok(after), "{before:?}");
        }
        assert_eq!(changed("# C:\\\nA=1\n"), Err(Unsure::Comment));
        assert_eq!(changed("A=\"open\n"), Err(Unsure::Form));
    }

    #[test]
    fn arguments_are_taken_back() {
        let add = Edit { add: vec!["--x=1".to_owned(), "--y".to_owned()], remove: Vec::new() };
        let back = Edit { add: Vec::new(), remove: add.add.clone() };
        for text in ["A=\"--a\"\n", "A='--a --b'\nB=2\n", "A = \"\"\n", "A=--a=\\$b\n"] {
            let there = changed(text, "A", &add, Comments::of(None)).unwrap();
            assert_eq!(changed(&there, "A", &back, Comments::of(None)).as_deref(), Ok(text));
        }
    }
}
