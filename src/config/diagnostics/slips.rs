//! Slips in one line by which it is no YAML, or other YAML than was meant.

use crate::config::keys::is_known_key;
use crate::config::yaml::Note;

/// What is wrong between a known key and its value, and in which column; a missing blank behind a
/// key without quotes is left to [`crate::config::diagnostics::mistakes::missing_blank`].
pub fn in_line(text: &str) -> Option<(usize, String)> {
    let begin = text.trim_start_matches([' ', '-']);
    let quote = begin.chars().next().filter(|c| matches!(c, '"' | '\''));
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let (name, behind) = match quote {
        Some(quote) => begin.get(1..)?.split_once(quote)?,
        None => begin.split_at_checked(begin.find(|c| !is_word(c)).unwrap_or(begin.len()))?,
    };
    if !is_known_key(name) {
        return None;
    }
    let (value, message) = match behind.trim_start().strip_prefix([':', '=']) {
        None if behind.is_empty() || behind.starts_with([' ', '\t']) => {
            (behind, format!("a colon is missing after `{name}`"))
        }
        None => return None,
        Some(value) if behind.trim_start().starts_with('=') => {
            (value, format!("`=` stands behind `{name}`, where YAML wants `: `"))
        }
        Some(value) => match value.chars().next()? {
            _ if value.trim().is_empty() => return None,
            blank if is_like_a_blank(blank) => {
                let blank = named(blank);
                (value, format!("{blank} stands behind `{name}:`, where YAML wants a blank"))
            }
            // Between braces, where lines end with commas, none is wanted.
            first if quote.is_some() && first != ' ' && !value.ends_with(',') => {
                (value, format!("a blank is missing after `\"{name}\":`"))
            }
            _ => return None,
        },
    };
    Some((text.chars().count() - value.chars().count() + 1, message))
}

/// What the parser says, at a place in a line, in words for people.
pub fn in_words(error: &Note, line: &str) -> String {
    let said = error.message.as_str();
    let says = |words: &str| said.contains(words);
    let is_star = line.chars().nth(error.at.column.saturating_sub(1)) == Some('*');
    if is_star && says("anchor") {
        let key = line.trim_start_matches([' ', '-']);
        return if key.starts_with("domains:") {
            "`domains` takes no `*`: name each host in full".to_owned()
        } else {
            "for YAML `*` begins an alias; put the value in quotes, as in \"*\"".to_owned()
        };
    }
    if says("quoted scalar") && (says("end of stream") || says("invalid indentation")) {
        return "the quote that begins here is not closed".to_owned();
    }
    if says("invalid trailing content") {
        return "behind the closing quote there must be nothing else, no comma either".to_owned();
    }
    let indented = ["expected key", "expected '-'", "mapping values are not allowed"];
    let advice = if indented.into_iter().any(says) {
        "; see that keys which belong together are indented alike"
    } else {
        ""
    };
    format!("not valid YAML: {said}{advice}")
}

/// What web pages, editors and input methods put in the place of a blank.
pub fn is_like_a_blank(c: char) -> bool {
    let takes_no_room = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}');
    takes_no_room || (c.is_whitespace() && c != ' ')
}

/// A character that is not to be seen, by its name.
pub fn named(c: char) -> String {
    if c == '\t' { "a tab".to_owned() } else { format!("U+{:04X}", u32::from(c)) }
}
