//! Mistakes that people make in this file, told in their words rather than the parser's.

use std::collections::HashMap;

use crate::config::diagnostics::notes::quotable;
use crate::config::diagnostics::slips::{self, is_like_a_blank, named};
use crate::config::keys::{home, is_known_key, resembles};
use crate::config::yaml::{Key, Lines, Note, Position, YamlError};

/// Lines before the parser's place in which the mistake may be: it notices a missing blank only
/// when the next key comes.
const LOOK_BACK: usize = 3;

/// Longest part of a line in which they are looked for, in characters.
const LONGEST_LINE: usize = 4000;

/// Longest key that is shown whole; the longest known one has 23 characters.
const LONGEST_KEY: usize = 28;

/// A mistake and, where that is plain, how its line was meant.
#[derive(Debug)]
pub struct Mistake {
    pub note: Note,
    /// As long as the line is, or with one more blank, at the note's place.
    pub meant: Option<String>,
}

impl Mistake {
    /// Of a line that is longer than what is looked at it is not known how it was meant.
    fn of(lines: &Lines<'_>, note: Note, meant: Option<String>) -> Self {
        let line = lines.line(note.at.line).unwrap_or_default();
        Self { note, meant: meant.filter(|_| line.chars().nth(LONGEST_LINE).is_none()) }
    }
}

/// A text without these mistakes, for the sake of those behind them; where blanks were put in goes
/// to `blanks`, by lines.
pub fn mended(text: &str, mistakes: &[Mistake], blanks: &mut HashMap<usize, usize>) -> String {
    let by_line: HashMap<usize, &Mistake> =
        mistakes.iter().map(|mistake| (mistake.note.at.line, mistake)).collect();
    let mut mended = String::with_capacity(text.len() + mistakes.len());
    for (line, number) in text.split_inclusive('\n').zip(1..) {
        let mistake = by_line.get(&number);
        let meant = mistake.and_then(|mistake| Some((mistake.note.at, mistake.meant.as_deref()?)));
        let written = line.lines().next().unwrap_or_default();
        match meant {
            None => mended.push_str(line),
            Some((at, meant)) => {
                if meant.chars().count() > written.chars().count() {
                    blanks.entry(at.line).or_insert(at.column);
                }
                mended.push_str(meant);
                mended.push_str(line.strip_prefix(written).unwrap_or_default());
            }
        }
    }
    mended
}

/// Words why a text cannot be read.
pub fn unreadable(lines: &Lines<'_>, error: YamlError) -> Mistake {
    match error {
        YamlError::Syntax(note) => not_yaml(lines, &note),
        YamlError::Content(note) | YamlError::TooMuch(note) => Mistake { note, meant: None },
    }
}

/// Words what the YAML parser did not understand.
fn not_yaml(lines: &Lines<'_>, error: &Note) -> Mistake {
    let line = error.at.line;
    let near = line.saturating_sub(LOOK_BACK).max(1)..=line + 1;
    let slips = [missing_blank, full_width_colon, tab];
    if let Some(mistake) =
        slips.iter().find_map(|find| near.clone().find_map(|line| find(lines, line)))
    {
        return mistake;
    }
    // Between brackets and braces, as in JSON, lines are written otherwise.
    let is_block = !error.message.contains("flow");
    if let Some(slip) = near.filter(|_| is_block).find_map(|line| slip(lines, line)) {
        return slip;
    }
    let text = beginning(lines, line).unwrap_or_default();
    let key = text.trim_start().trim_start_matches("- ");
    let at = error.at;
    if key.starts_with("domains:") && text.contains("\",") {
        let message = "`domains` takes one string with commas inside the quotes: \"a.example.com,b.example.com\"".to_owned();
        let meant = Some(joined(text)).filter(|joined| joined != text);
        return Mistake::of(lines, Note { at, message }, meant);
    }
    let message = slips::in_words(error, text);
    Mistake { note: Note { at, message }, meant: None }
}

/// `"a","b"` as one text, of the same length.
fn joined(line: &str) -> String {
    let mut joined = String::with_capacity(line.len());
    let mut parts = line.split('"').peekable();
    while let Some(part) = parts.next() {
        joined.push_str(part);
        if let Some(next) = parts.peek() {
            let at_comma = part.trim() == "," || next.trim() == ",";
            joined.push(if at_comma { ' ' } else { '"' });
        }
    }
    joined
}

/// As much of a line as is looked at.
fn beginning<'t>(lines: &Lines<'t>, line: usize) -> Option<&'t str> {
    let text = lines.line(line)?;
    let end = text.char_indices().nth(LONGEST_LINE).map_or(text.len(), |(end, _)| end);
    text.get(..end)
}

/// A slip between a key and its value.
pub fn slip(lines: &Lines<'_>, line: usize) -> Option<Mistake> {
    let (column, message) = slips::in_line(beginning(lines, line)?)?;
    Some(Mistake { note: Note { at: Position { line, column }, message }, meant: None })
}

/// A line that is indented with a tab.
fn tab(lines: &Lines<'_>, line: usize) -> Option<Mistake> {
    let text = beginning(lines, line)?;
    let indent = text.chars().take_while(|c| c.is_whitespace());
    let column = indent.clone().position(|c| c == '\t')? + 1;
    let message = "a tab is used for indentation; YAML wants blanks".to_owned();
    Some(Mistake { note: Note { at: Position { line, column }, message }, meant: None })
}

/// The colon that an input method for Chinese or Japanese types.
fn full_width_colon(lines: &Lines<'_>, line: usize) -> Option<Mistake> {
    let text = beginning(lines, line)?;
    let (before, value) = text.split_once('：')?;
    is_known_key(before.trim_start_matches([' ', '-']).trim_end()).then_some(())?;
    let at = Position { line, column: before.chars().count() + 1 };
    let message = "a full-width `：` stands where YAML wants `: `".to_owned();
    Some(Mistake::of(lines, Note { at, message }, Some(format!("{before}: {value}"))))
}

/// `key:"value"`: without a blank behind the colon YAML sees one long word. The vendor's own
/// sample has this mistake.
pub fn missing_blank(lines: &Lines<'_>, line: usize) -> Option<Mistake> {
    let text = beginning(lines, line)?;
    let (name, value) = text.trim_start_matches([' ', '-']).split_once(':')?;
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let first = value.chars().next()?;
    let meant = is_known_key(name) || matches!(first, '"' | '\'');
    if name.is_empty() || !name.chars().all(word) || first.is_whitespace() || !meant {
        return None;
    }
    let column = text.chars().count() - value.chars().count() + 1;
    // Only what cannot hold a secret is repeated: no section, no AccessKey, no key that is not known.
    let holds_more = ["acr-registry-info", "credential-provider", "rrsa", "endpoints"];
    let secret = name.starts_with("customAccessKey") || holds_more.contains(&name);
    let again = if is_known_key(name) && !secret {
        format!("; write `{name}: {}`", quotable(without_comment(value)))
    } else {
        String::new()
    };
    let message = format!("a blank is missing after `{}:`{again}", quotable(name));
    let meant = text.strip_suffix(value).map(|before| format!("{before} {value}"));
    Some(Mistake::of(lines, Note { at: Position { line, column }, message }, meant))
}

fn without_comment(value: &str) -> &str {
    value.split(" #").next().unwrap_or(value).trim_end()
}

/// The same between braces, where YAML takes all of it for a key.
pub fn blank_in_key(key: &Key) -> Option<Note> {
    let (name, value) = key.name.split_once(':')?;
    if !is_known_key(name) || value.is_empty() {
        return None;
    }
    let at = Position { column: key.at.column + name.chars().count() + 1, ..key.at };
    Some(Note { at, message: format!("a blank is missing after `{name}:`") })
}

/// A key of another section: outdented, indented too far, or with something in front of it. Passed
/// over, it would change who asks, and for what.
pub fn out_of_place(key: &Key, known: &[&str]) -> Option<Note> {
    let name = key.name.trim_matches(|c| c == ' ' || c == '-' || is_like_a_blank(c));
    let is_own = known.iter().any(|known| resembles(known, name));
    let home = home(name);
    let message = if key.name == "<<" {
        "`<<` takes keys from elsewhere, which is not read here; write them out".to_owned()
    } else if !is_own && home.is_none() {
        if is_known_key(name) {
            return None;
        }
        // Between braces a slip makes key and value one key.
        let (column, message) = slips::in_line(&key.name)?;
        let at = Position { column: key.at.column + column - 1, ..key.at };
        return Some(Note { at, message });
    } else if let Some(like) = key.name.chars().find(|c| is_like_a_blank(*c)) {
        let like = named(like);
        format!("{like} stands beside `{name}`: it looks like a blank, and for YAML it is none")
    } else if is_own {
        return None;
    } else if key.name.starts_with('-') {
        format!("a blank is missing after the `-` of `-{name}`; write `- {name}`")
    } else {
        format!("`{name}` belongs {}", home?)
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

/// The known key that was most likely meant, if one resembles the unknown one. Exchanged
/// neighbours count as one edit.
pub fn nearest<'k>(known: &[&'k str], name: &str, most_edits: usize) -> Option<&'k str> {
    let length = name.chars().count();
    // So many letters more or fewer are as many edits: what is much longer is not compared at all.
    let alike = known.iter().filter(|known| known.len().abs_diff(length) <= most_edits);
    let distances = alike.map(|known| (strsim::osa_distance(known, name), *known));
    distances.min().filter(|(distance, _)| *distance <= most_edits).map(|(_, known)| known)
}
