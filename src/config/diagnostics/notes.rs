//! What is wrong in a configuration: the first mistakes in words, the rest as a number.
//!
//! The person who writes the file decides how many mistakes are in it and how long the texts are that a
//! message would quote. What is said of the file must not grow with either.

use std::borrow::Cow;

use crate::config::diagnostics::lines::Position;

/// Most mistakes that are kept in words, and most warnings.
pub const MOST: usize = 200;

/// Longest text that is quoted, in characters: an ARN or a host is shown whole.
const LONGEST: usize = 260;

/// A mistake, or something worth saying, at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub at: Position,
    pub message: String,
}

/// What was found on the way: problems make the file unusable, warnings do not.
#[derive(Debug, Default)]
pub struct Notes {
    pub problems: First,
    pub warnings: First,
}

/// The first notes, and how many came after them.
#[derive(Debug, Default)]
pub struct First {
    pub notes: Vec<Note>,
    pub more: usize,
}

impl Notes {
    pub fn problem(&mut self, at: Position, message: impl Into<String>) {
        self.problems.add(|| Note { at, message: message.into() });
    }

    /// As [`Self::problem`], for what is only looked into where there is still room for it.
    pub fn problem_of(&mut self, word: impl FnOnce() -> Note) {
        self.problems.add(word);
    }

    /// Whether further problems are only counted.
    pub fn is_full(&self) -> bool {
        self.problems.notes.len() >= MOST
    }

    pub fn warning(&mut self, at: Position, message: impl Into<String>) {
        self.warnings.add(|| Note { at, message: message.into() });
    }
}

impl First {
    /// How many there were in all.
    pub fn count(&self) -> usize {
        self.notes.len() + self.more
    }

    fn add(&mut self, word: impl FnOnce() -> Note) {
        if self.notes.len() < MOST {
            self.notes.push(word());
        } else {
            self.more += 1;
        }
    }
}

/// A text of the file, as it may be quoted.
pub fn quotable(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(LONGEST).and_then(|(end, _)| text.get(..end)) {
        Some(beginning) => Cow::Owned(format!("{beginning}…")),
        None => Cow::Borrowed(text),
    }
}
