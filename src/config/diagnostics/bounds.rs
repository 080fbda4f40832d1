//! How much of a configuration is read, so that a file cannot take all memory or time.

use crate::config::diagnostics::lines::Position;
use crate::config::diagnostics::notes::Note;
use crate::config::node::{Node, Value};

/// Deepest nesting that is read.
pub const MAX_DEPTH: usize = 32;
/// Most values that are read, aliases counted as often as they are used.
pub const MAX_NODES: usize = 20_000;
/// Most text that is copied for aliases, in bytes: as much as a file can hold.
const MAX_COPIED: usize = 1024 * 1024;
/// What a text's words are set apart with in brackets and braces.
const MARKS: &[u8] = b",:?[]{}&*!\"'";
/// Most of them that are read. The parser takes in all that stands between two brackets before it
/// gives the first of it away, so the number of values comes too late to bound its memory.
const MAX_MARKS: usize = 60_000;

/// What has been taken of the bounds.
#[derive(Default)]
pub struct Spent {
    nodes: usize,
    /// In texts that are YAML themselves; those of the file are counted by themselves, for the
    /// file has all that is in its texts as well.
    pub marks: usize,
    /// Values and bytes of text that are kept for aliases, and that aliases have repeated.
    pub kept: (usize, usize),
    pub repeated: (usize, usize),
    /// Nothing more is read once there was too much.
    pub all: bool,
}

/// Commas, colons, quotes and brackets.
pub fn marks(text: &str) -> usize {
    text.bytes().filter(|byte| MARKS.contains(byte)).count()
}

/// Whether the parser can be given a text with so many.
pub fn check_marks(marks: usize, at: Position) -> Result<(), Exceeded> {
    if marks > MAX_MARKS {
        return Err(Exceeded(at));
    }
    Ok(())
}

/// A copy, if all copies together stay within the bounds.
pub fn counted(node: &Node, at: Position, sum: &mut (usize, usize)) -> Result<Node, Exceeded> {
    let (nodes, text) = size(node);
    *sum = (sum.0 + nodes, sum.1 + text);
    if sum.0 > MAX_NODES || sum.1 > MAX_COPIED {
        return Err(Exceeded(at));
    }
    Ok(node.clone())
}

/// There is too much of something, at this place.
#[derive(Debug, Clone, Copy)]
pub struct Exceeded(pub Position);

impl From<Exceeded> for Note {
    fn from(Exceeded(at): Exceeded) -> Self {
        let message = format!(
            "nested deeper than {MAX_DEPTH} levels, more than {MAX_NODES} values or {MAX_MARKS} commas, colons, quotes and brackets, or too much text by aliases"
        );
        Self { at, message }
    }
}

impl Spent {
    /// Counts more values of the file.
    ///
    /// # Errors
    ///
    /// If there are too many.
    pub fn count(&mut self, values: usize, at: Position) -> Result<(), Exceeded> {
        self.nodes += values;
        if self.nodes + self.repeated.0 > MAX_NODES { Err(Exceeded(at)) } else { Ok(()) }
    }
}

/// How many values a tree has, and how many bytes of text.
fn size(node: &Node) -> (usize, usize) {
    let sum = |(nodes, text): (usize, usize), (more, longer): (usize, usize)| {
        (nodes + more, text + longer)
    };
    match &node.value {
        Value::Null => (1, 0),
        Value::Scalar(scalar) => (1, scalar.text.len()),
        Value::Sequence(items) => items.iter().map(size).fold((1, 0), sum),
        Value::Mapping(pairs) => {
            pairs.iter().map(|(key, node)| sum(size(node), (0, key.name.len()))).fold((1, 0), sum)
        }
    }
}
