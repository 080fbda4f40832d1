//! What people get wrong in this file, in words that name the mistake rather than what the YAML
//! parser noticed.

use crate::config::diagnostics::lines::{Lines, Position};
use crate::config::diagnostics::notes::Note;
use crate::config::diagnostics::slips::{self, is_like_a_space, named};
use crate::config::keys::{self, home, resembles};
use crate::config::node::Key;
use crate::config::yaml::YamlError;

/// Lines before the parser's place in which the mistake may be: it notices a missing space only
/// when the next key comes.
const LOOK_BACK: usize = 3;

/// Longest part of a line in which they are looked for, in characters.
const LONGEST_LINE: usize = 4000;

/// Longest key that is shown whole; the longest known one has 23 characters.
const LONGEST_KEY: usize = 28;

/// Says why a text cannot be read.
pub fn unreadable(lines: &Lines<'_>, error: YamlError) -> Note {
    let error = match error {
        YamlError::Syntax(error) => error,
        YamlError::Content(note) | YamlError::TooMuch(note) => return note,
    };
    let line = error.at.line;
    let mut near = line.saturating_sub(LOOK_BACK).max(1)..=line + 1;
    // The parser's own word for what stands between brackets and braces.
    let in_braces = error.message.contains("flow");
    if let Some(note) = near.clone().find_map(|line| template(lines, line)) {
        return note;
    }
    let slip = near.clone().find_map(|line| slip(lines, line, in_braces));
    if let Some(note) = slip.or_else(|| near.find_map(|line| tab(lines, line))) {
        return note;
    }
    let text = beginning(lines, line).unwrap_or_default();
    Note { at: error.at, message: in_words(&error, text) }
}

/// A slip between a key and its value in a line of the file.
pub fn slip(lines: &Lines<'_>, line: usize, in_braces: bool) -> Option<Note> {
    let (column, message) = slips::in_line(beginning(lines, line)?, in_braces)?;
    Some(Note { at: Position { line, column }, message })
}

/// A line that a template has and what is made from it has not: `{{- if … }}`, `{% if … %}`.
fn template(lines: &Lines<'_>, line: usize) -> Option<Note> {
    let text = beginning(lines, line)?;
    let begin = text.trim_start();
    if !["{{", "{%"].iter().any(|mark| begin.starts_with(mark)) {
        return None;
    }
    let column = text.chars().count() - begin.chars().count() + 1;
    let message = "this is a line of a template, a placeholder; use the file that is made from it (such as the output of `helm template`)";
    Some(Note { at: Position { line, column }, message: message.to_owned() })
}

/// As much of a line as is looked at.
fn beginning<'t>(lines: &Lines<'t>, line: usize) -> Option<&'t str> {
    let text = lines.line(line)?;
    let end = text.char_indices().nth(LONGEST_LINE).map_or(text.len(), |(end, _)| end);
    text.get(..end)
}

/// A line that is indented with a tab.
fn tab(lines: &Lines<'_>, line: usize) -> Option<Note> {
    let indent = beginning(lines, line)?.chars().take_while(|c| c.is_whitespace());
    let column = indent.clone().position(|c| c == '\t')? + 1;
    let message = "a tab is used for indentation; YAML wants spaces".to_owned();
    Some(Note { at: Position { line, column }, message })
}

/// What the parser says of a line, in words for people. It has no other form than this text.
fn in_words(error: &Note, line: &str) -> String {
    let said = error.message.as_str();
    let says = |words: &str| said.contains(words);
    let is_domains = line.trim_start_matches([' ', '-']).starts_with("domains:");
    let is_star = line.chars().nth(error.at.column.saturating_sub(1)) == Some('*');
    if is_domains && line.contains("\",") {
        return "`domains` takes one string with commas inside the quotes: \"a.example.com,b.example.com\"".to_owned();
    }
    if is_star && says("anchor") {
        return if is_domains {
            "`domains` takes no `*`: name each host in full".to_owned()
        } else {
            "for YAML `*` begins an alias; put the value in quotes, as in \"*\"".to_owned()
        };
    }
    if says("quoted scalar") && (says("end of stream") || says("invalid indentation")) {
        return "the quote that begins here is not closed".to_owned();
    }
    if says("invalid trailing content") {
        return "there must be nothing behind the closing quote, not even a comma".to_owned();
    }
    let indented = ["expected key", "expected '-'", "mapping values are not allowed"];
    let advice = if indented.into_iter().any(says) {
        "; indent keys that belong together alike"
    } else {
        ""
    };
    format!("not valid YAML: {said}{advice}")
}

/// A key and its value that have become one key, as a slip between braces makes them.
pub fn run_together(key: &Key) -> Option<Note> {
    if keys::known(&key.name).is_some() || key.name.starts_with('-') {
        return None;
    }
    let (column, message) = slips::in_line(&key.name, false)?;
    Some(Note { at: Position { column: key.at.column + column - 1, ..key.at }, message })
}

/// A key of another section: outdented, indented too far, or with something in front of it. If it
/// were ignored, it would change who asks and for what.
pub fn out_of_place(key: &Key, own: &[&str]) -> Option<Note> {
    let name = key.name.trim_matches(|c| c == ' ' || c == '-' || is_like_a_space(c));
    let is_own = own.iter().any(|own| resembles(own, name));
    let message = if key.name == "<<" {
        "`<<` takes keys from elsewhere, which is not supported here; write them out".to_owned()
    } else if !is_own && home(name).is_none() {
        return None;
    } else if let Some(like) = key.name.chars().find(|c| is_like_a_space(*c)) {
        let like = named(like);
        format!(
            "{like} stands beside `{name}`: it looks like a space, but YAML does not take it for one"
        )
    } else if is_own {
        return None;
    } else if key.name.starts_with('-') {
        format!("a space is missing after the `-` of `-{name}`; write `- {name}`")
    } else {
        format!("`{name}` belongs {}", home(name)?)
    };
    Some(Note { at: key.at, message })
}

/// An unknown key, as it may be shown: no key is this long, but a secret out of place may be.
pub fn shown(name: &str) -> String {
    if name.chars().count() <= LONGEST_KEY && !name.contains(':') {
        return name.to_owned();
    }
    name.chars().take(LONGEST_KEY / 4).take_while(|c| *c != ':').chain(['…']).collect()
}
