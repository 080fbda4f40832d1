//! The lines of the configuration file, and places in them.

use std::collections::HashMap;
use std::fmt;

/// A place in the configuration file, both numbers from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The lines of a file, each found at once.
pub struct Lines<'t> {
    pub text: &'t str,
    starts: Vec<usize>,
    /// The lines that have a blank more than the file's, and in which column.
    blanks: &'t HashMap<usize, usize>,
}

impl<'t> Lines<'t> {
    /// `blanks` are those that were put into the file's text.
    pub fn new(text: &'t str, blanks: &'t HashMap<usize, usize>) -> Self {
        let ends = || text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let mut starts = Vec::with_capacity(ends().count() + 1);
        starts.push(0);
        starts.extend(ends().map(|(end, _)| end + 1));
        Self { text, starts, blanks }
    }

    /// A line without its end, counted from 1.
    pub fn line(&self, number: usize) -> Option<&'t str> {
        self.from(number)?.lines().next()
    }

    /// The place in the file of a place in the text.
    pub fn in_file(&self, at: Position) -> Position {
        let is_before = self.blanks.get(&at.line).is_some_and(|blank| *blank < at.column);
        Position { column: at.column - usize::from(is_before), ..at }
    }

    /// All from a line on.
    pub fn from(&self, number: usize) -> Option<&'t str> {
        self.text.get(*self.starts.get(number.checked_sub(1)?)?..)
    }
}
