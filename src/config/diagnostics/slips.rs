//! Slips between a key and its value, by which a line is not YAML or not the YAML that was meant.

use crate::config::diagnostics::notes::quotable;
use crate::config::keys::{self, Shape};

/// The slip in a line, if there is one, and its column. Between braces, as in JSON, other things are
/// right: there only what is wrong everywhere is looked for.
pub fn in_line(text: &str, in_braces: bool) -> Option<(usize, String)> {
    let begin = text.trim_start_matches([' ', '-']);
    let quote = begin.chars().next().filter(|c| matches!(c, '"' | '\''));
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let (name, behind) = match quote {
        Some(quote) => begin.get(1..)?.split_once(quote)?,
        None => begin.split_at_checked(begin.find(|c| !is_word(c)).unwrap_or(begin.len()))?,
    };
    let key = keys::known(name);
    let mark = behind.trim_start();
    let (value, message) = if let Some(value) = mark.strip_prefix(':') {
        let first = value.trim_end().chars().next()?;
        if is_like_a_space(first) {
            key?;
            (value, format!("{} stands behind `{name}:`; put a space there", named(first)))
        } else if first == ' ' || name.is_empty() {
            return None;
        } else if quote.is_some() {
            key.filter(|_| !in_braces && !value.ends_with(','))?;
            (value, format!("a space is missing after `\"{name}\":`"))
        } else if key.is_some() || matches!(first, '"' | '\'') {
            // A value is repeated only if it cannot hold a secret.
            let again = key.filter(|key| !matches!(key.shape, Shape::Secret | Shape::Section));
            let again = again.map_or(String::new(), |_| {
                let value = value.split(" #").next().unwrap_or(value).trim_end();
                format!("; write `{name}: {}`", quotable(value))
            });
            (value, format!("a space is missing after `{}:`{again}", quotable(name)))
        } else {
            return None;
        }
    } else if key.is_none() {
        return None;
    } else if mark.starts_with('：') {
        // The colon that an input method for Chinese or Japanese types.
        (mark, format!("a full-width `：` stands behind `{name}`; write `: `"))
    } else if in_braces {
        return None;
    } else if let Some(value) = mark.strip_prefix('=') {
        (value, format!("`=` stands behind `{name}`; write `: `"))
    } else if behind.is_empty() || behind.starts_with([' ', '\t']) {
        (behind, format!("a colon is missing after `{name}`"))
    } else {
        return None;
    };
    Some((text.chars().count() - value.chars().count() + 1, message))
}

/// What web pages, editors and input methods put in the place of a space.
pub fn is_like_a_space(c: char) -> bool {
    let takes_no_room = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}');
    takes_no_room || (c.is_whitespace() && c != ' ')
}

/// A character that is not visible, by its name.
pub fn named(c: char) -> String {
    if c == '\t' { "a tab".to_owned() } else { format!("U+{:04X}", u32::from(c)) }
}
