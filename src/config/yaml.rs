//! YAML as a tree in which every value knows its line and column in the file.
//!
//! A `ConfigMap` holds YAML inside YAML strings. What is wrong inside such a string is told at its
//! place in the file, so the tree is built from parser events rather than by a deserialiser,
//! which stops at the first mistake and knows only one level.

use std::collections::HashMap;
use std::fmt;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 32;
/// Most values that are read, aliases counted as often as they are used.
const MAX_NODES: usize = 20_000;
/// Most text that is copied for aliases, in bytes: as much as a file can hold.
const MAX_COPIED: usize = 1024 * 1024;
/// What a text's words are set apart with in brackets and braces.
const MARKS: &[u8] = b",:?[]{}&*!\"'";
/// Most of them that are read. The parser takes in all that stands between two brackets before it
/// gives the first of it away, so the number of values comes too late to bound its memory.
const MAX_MARKS: usize = 60_000;

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

/// A file's text, or one that differs from the file's by blanks that were put in.
#[derive(Debug, Clone, Copy)]
pub struct Source<'t> {
    pub text: &'t str,
    /// Where they stand, at most one in a line.
    pub blanks: &'t [Position],
}

impl Source<'_> {
    /// The place in the file of a place in the text.
    fn in_file(&self, at: Position) -> Position {
        let before = |blank: &&Position| blank.line == at.line && blank.column < at.column;
        Position { column: at.column - self.blanks.iter().filter(before).take(1).count(), ..at }
    }
}

/// A value and where it begins.
#[derive(Debug, Clone)]
pub struct Node {
    pub at: Position,
    pub value: Value,
}

#[derive(Debug, Clone)]
pub enum Value {
    /// Nothing behind the key, `~` or `null`.
    Null,
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Vec<(Key, Node)>),
}

#[derive(Debug, Clone)]
pub struct Key {
    pub at: Position,
    pub name: String,
}

/// A text, and how places in it are found in the file.
#[derive(Debug, Clone)]
pub struct Scalar {
    pub text: String,
    /// Written without quotes, so that `true` is a truth value and `1` a number.
    pub is_plain: bool,
    layout: Layout,
}

#[derive(Debug, Clone, Copy)]
enum Layout {
    /// A literal block (`|`): its first line is this line of the file.
    Block { first_line: usize },
    /// On one line without escapes: its first character is here.
    Inline(Position),
    /// Folded or escaped: only its beginning is known.
    Opaque(Position),
}

/// A mistake, or something worth saying, at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub at: Position,
    pub message: String,
}

/// Why a text is no tree.
#[derive(Debug, Clone)]
pub enum YamlError {
    /// The parser did not understand it.
    Syntax(Note),
    /// It is YAML, but not of the kind that is read here.
    Content(Note),
}

/// Reads one YAML document; none for an empty text.
///
/// # Errors
///
/// At the first place that is no YAML, has a repeated key, or goes beyond the bounds.
pub fn parse(text: &str) -> Result<Option<Node>, YamlError> {
    let mut repeated = Vec::new();
    let document = parse_all(Source { text, blanks: &[] }, &mut repeated)?;
    match repeated.into_iter().next() {
        Some(first) => Err(YamlError::Content(first)),
        None => Ok(document),
    }
}

/// As [`parse`], but goes on after a repeated key, of which the first value counts.
///
/// # Errors
///
/// At the first place that is no YAML or goes beyond the bounds.
pub fn parse_all(source: Source<'_>, repeated: &mut Vec<Note>) -> Result<Option<Node>, YamlError> {
    Builder::new(source.text, source, None, repeated).document()
}

impl Scalar {
    /// Reads this text, found in the file `source`, as YAML of its own.
    ///
    /// # Errors
    ///
    /// As [`parse_all`], with places in the file.
    pub fn parse_all(
        &self,
        source: Source<'_>,
        repeated: &mut Vec<Note>,
    ) -> Result<Option<Node>, YamlError> {
        Builder::new(&self.text, source, Some(self.layout), repeated).document()
    }
}

impl Node {
    /// `a text`, `a list`, …, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Scalar(_) => "a single value",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }
}

/// Builds the tree from the parser's events.
struct Builder<'t> {
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    text: &'t str,
    source: Source<'t>,
    layout: Option<Layout>,
    /// How far each line of a block is indented in the file; counted once, as blocks may be long.
    indents: Vec<usize>,
    anchors: HashMap<usize, Node>,
    /// Characters that the last event took in the text, if that was on one line.
    length: Option<usize>,
    nodes: usize,
    /// Values and bytes of text that are kept for aliases, and that aliases have repeated.
    kept: (usize, usize),
    repeated: (usize, usize),
    repeated_keys: &'t mut Vec<Note>,
}

impl<'t> Builder<'t> {
    fn new(
        text: &'t str,
        source: Source<'t>,
        layout: Option<Layout>,
        repeated_keys: &'t mut Vec<Note>,
    ) -> Self {
        let parser = Parser::new_from_str(text);
        let indents = match layout {
            Some(Layout::Block { first_line }) => indents(source.text, first_line, text),
            _ => Vec::new(),
        };
        Self {
            parser,
            text,
            source,
            layout,
            indents,
            anchors: HashMap::new(),
            length: None,
            nodes: 0,
            kept: (0, 0),
            repeated: (0, 0),
            repeated_keys,
        }
    }

    fn document(mut self) -> Result<Option<Node>, YamlError> {
        if self.text.bytes().filter(|byte| MARKS.contains(byte)).count() > MAX_MARKS {
            return Err(too_much(self.position(Marker::default())));
        }
        let mut document = None;
        while let Some((event, at)) = self.next()? {
            match event {
                Event::StreamStart
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::Nothing => {}
                Event::StreamEnd => break,
                _ if document.is_some() => {
                    return Err(YamlError::Content(Note {
                        at,
                        message: "a second YAML document; only one is read".into(),
                    }));
                }
                event => document = Some(self.node(event, at, 0)?),
            }
        }
        Ok(document)
    }

    fn next(&mut self) -> Result<Option<(Event<'t>, Position)>, YamlError> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok((event, span))) => {
                let length = span.end.index().checked_sub(span.start.index());
                self.length = length.filter(|_| span.start.line() == span.end.line());
                Ok(Some((event, self.position(span.start))))
            }
            Some(Err(error)) => Err(YamlError::Syntax(Note {
                at: self.position(*error.marker()),
                message: error.info().to_owned(),
            })),
        }
    }

    fn node(&mut self, event: Event<'t>, at: Position, depth: usize) -> Result<Node, YamlError> {
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes + self.repeated.0 > MAX_NODES {
            return Err(too_much(at));
        }
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => (self.scalar(&text, style, at), anchor),
            Event::SequenceStart(anchor, _) => (self.sequence(at, depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.mapping(at, depth)?, anchor),
            Event::Alias(anchor) => {
                let unknown = || {
                    YamlError::Content(Note {
                        at,
                        message: "an alias to itself or to nothing".into(),
                    })
                };
                let node = self.anchors.get(&anchor).ok_or_else(unknown)?;
                (counted(node, at, &mut self.repeated)?, 0)
            }
            _ => {
                return Err(YamlError::Content(Note { at, message: "unexpected end".into() }));
            }
        };
        if anchor != 0 {
            let kept = counted(&node, at, &mut self.kept)?;
            self.anchors.insert(anchor, kept);
        }
        Ok(node)
    }

    fn scalar(&self, text: &str, style: ScalarStyle, at: Position) -> Node {
        let is_plain = style == ScalarStyle::Plain;
        if is_plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
            return Node { at, value: Value::Null };
        }
        let unknown = matches!(self.layout, Some(Layout::Opaque(_)));
        let as_written = |quotes| self.length == Some(text.chars().count() + quotes);
        let layout = match style {
            _ if unknown => Layout::Opaque(at),
            // The parser places a block at its first line that is not blank.
            ScalarStyle::Literal => Layout::Block {
                first_line: at
                    .line
                    .saturating_sub(text.len() - text.trim_start_matches('\n').len()),
            },
            ScalarStyle::Plain if as_written(0) => Layout::Inline(at),
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted if as_written(2) => {
                Layout::Inline(Position { column: at.column + 1, ..at })
            }
            _ => Layout::Opaque(at),
        };
        Node { at, value: Value::Scalar(Scalar { text: text.to_owned(), is_plain, layout }) }
    }

    fn sequence(&mut self, at: Position, depth: usize) -> Result<Node, YamlError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                None | Some((Event::SequenceEnd, _)) => break,
                Some((event, at)) => items.push(self.node(event, at, depth + 1)?),
            }
        }
        Ok(Node { at, value: Value::Sequence(items) })
    }

    fn mapping(&mut self, at: Position, depth: usize) -> Result<Node, YamlError> {
        let mut pairs: Vec<(Key, Node)> = Vec::new();
        let mut places: HashMap<String, Position> = HashMap::new();
        loop {
            let (event, at) = match self.next()? {
                None | Some((Event::MappingEnd, _)) => break,
                Some(next) => next,
            };
            let Event::Scalar(name, ..) = event else {
                return Err(YamlError::Content(Note {
                    at,
                    message: "a key must be a single word".into(),
                }));
            };
            let key = Key { at, name: name.into_owned() };
            let mut again = false;
            if let Some(first) = places.insert(key.name.clone(), at) {
                // A key that has run together with its value may hold a secret.
                let name = key.name.split(':').next().unwrap_or_default();
                let message = format!("`{name}` is given a second time; the first is at {first}");
                self.repeated_keys.push(Note { at, message });
                again = true;
            }
            let Some((event, at)) = self.next()? else {
                break;
            };
            let node = self.node(event, at, depth + 1)?;
            if !again {
                pairs.push((key, node));
            }
        }
        Ok(Node { at, value: Value::Mapping(pairs) })
    }

    /// The place in the file of a place in the text.
    fn position(&self, marker: Marker) -> Position {
        let (line, column) = (marker.line().max(1), marker.col() + 1);
        match self.layout {
            None => self.source.in_file(Position { line, column }),
            Some(Layout::Opaque(at)) => at,
            Some(Layout::Inline(at)) => Position { column: at.column + column - 1, ..at },
            Some(Layout::Block { first_line }) => {
                let in_file = first_line + line - 1;
                let indent = self.indents.get(line - 1).copied();
                let indent = indent.unwrap_or_else(|| width(self.source.text, in_file));
                self.source.in_file(Position { line: in_file, column: column + indent })
            }
        }
    }
}

/// What each of a block's lines has lost against the file's.
fn indents(source: &str, first_line: usize, text: &str) -> Vec<usize> {
    let width = |line: &str| line.chars().count();
    let in_file = source.lines().skip(first_line.saturating_sub(1));
    in_file
        .zip(text.lines())
        .map(|(whole, line)| width(whole).saturating_sub(width(line)))
        .collect()
}

/// Characters in a line of the file, counted from 1.
fn width(source: &str, line: usize) -> usize {
    source.lines().nth(line.saturating_sub(1)).map_or(0, |line| line.chars().count())
}

/// A copy, if all copies together stay within the bounds.
fn counted(node: &Node, at: Position, sum: &mut (usize, usize)) -> Result<Node, YamlError> {
    let (nodes, text) = size(node);
    *sum = (sum.0 + nodes, sum.1 + text);
    if sum.0 > MAX_NODES || sum.1 > MAX_COPIED { Err(too_much(at)) } else { Ok(node.clone()) }
}

fn too_much(at: Position) -> YamlError {
    let message = format!(
        "nested deeper than {MAX_DEPTH} levels, more than {MAX_NODES} values or {MAX_MARKS} commas, colons, quotes and brackets, or too much text by aliases"
    );
    YamlError::Content(Note { at, message })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// As many values as are read, in a string as a `ConfigMap` has it.
    #[test]
    fn a_long_block_takes_no_long_time() {
        let source = format!("data: |\n{}", "    - a\n".repeat(MAX_NODES - 1));
        let begun = crate::clock::instant();
        let document = parse(&source).unwrap().unwrap();
        let Value::Mapping(pairs) = document.value else { panic!("a mapping") };
        let Value::Scalar(block) = &pairs[0].1.value else { panic!("a text") };
        let source = Source { text: &source, blanks: &[] };
        let inner = block.parse_all(source, &mut Vec::new()).unwrap().unwrap();
        assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
        let Value::Sequence(items) = inner.value else { panic!("a list") };
        let last = items.last().unwrap().at;
        assert_eq!((last.line, last.column), (MAX_NODES, 7));
    }
}
