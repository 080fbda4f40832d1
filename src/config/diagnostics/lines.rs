//! The lines of the configuration file, and places in them.

use std::fmt;

/// A place in the configuration file, both numbers from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl Position {
    pub const START: Self = Self { line: 1, column: 1 };
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
}

impl<'t> Lines<'t> {
    pub fn new(text: &'t str) -> Self {
        let ends = || text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let mut starts = Vec::with_capacity(ends().count() + 1);
        starts.push(0);
        starts.extend(ends().map(|(end, _)| end + 1));
        Self { text, starts }
    }

    /// A line without its end, counted from 1.
    pub fn line(&self, number: usize) -> Option<&'t str> {
        self.from(number)?.lines().next()
    }

    /// All from a line on.
    pub fn from(&self, number: usize) -> Option<&'t str> {
        self.text.get(*self.starts.get(number.checked_sub(1)?)?..)
    }
}
