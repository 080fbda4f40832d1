//! Reads YAML into a tree in which every value knows its line and column in the file.
//!
//! A `ConfigMap` holds YAML inside YAML strings. A mistake inside such a string is reported at its
//! place in the file. So the tree is built from the parser's events: a deserialiser stops at the
//! first mistake and knows only one level.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use crate::config::diagnostics::bounds::{Exceeded, MAX_DEPTH, Spent, check_marks, counted, marks};
use crate::config::diagnostics::lines::Lines;
use crate::config::diagnostics::notes::{Notes, quotable};
use crate::config::node::Layout;

pub use crate::config::diagnostics::lines::Position;
pub use crate::config::diagnostics::notes::Note;
pub use crate::config::node::{Key, Node, Scalar, Value};

/// Why a text cannot be read.
#[derive(Debug, Clone)]
pub enum YamlError {
    /// The parser did not understand it.
    Syntax(Note),
    /// It is YAML, but not of the kind that is read here.
    Content(Note),
    /// The file and the texts in it are more together than is read.
    TooMuch(Note),
}

impl From<Exceeded> for YamlError {
    fn from(exceeded: Exceeded) -> Self {
        Self::TooMuch(exceeded.into())
    }
}

/// Reads the first YAML document, as Go's libraries do; none for an empty text.
///
/// # Errors
///
/// At the first place that is not YAML, has a repeated key, or goes beyond the bounds.
pub fn parse(text: &str) -> Result<Option<Node>, YamlError> {
    let mut notes = Notes::default();
    check_marks(marks(text), Position::START)?;
    let mut reading = Reading::new(text);
    let document = Builder::new(text, None, &mut reading, &mut notes).first_document()?;
    match notes.problems.notes.into_iter().next() {
        Some(first) => Err(YamlError::Content(first)),
        None => Ok(document),
    }
}

/// A text as YAML and JSON both read it.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A file that is being read, with the texts in it that are YAML themselves. The bounds are for
/// all of it together: an alias can have a text read as often as it is named.
pub struct Reading<'t> {
    pub lines: Lines<'t>,
    spent: Spent,
}

impl<'t> Reading<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { lines: Lines::new(text), spent: Spent::default() }
    }

    /// The file itself, which is read on after a repeated key, of which the first value counts.
    ///
    /// # Errors
    ///
    /// At the first place that is not YAML or goes beyond the bounds.
    pub fn document(&mut self, notes: &mut Notes) -> Result<Option<Node>, YamlError> {
        let text = self.lines.text;
        let at = Position::START;
        check_marks(marks(text), at)?;
        Builder::new(text, None, self, notes).document()
    }

    /// A text of it as YAML of its own; none once there was too much of something.
    ///
    /// # Errors
    ///
    /// As [`Self::document`], with places in the file.
    pub fn text(
        &mut self,
        Scalar { text, layout, .. }: &Scalar,
        notes: &mut Notes,
    ) -> Result<Option<Node>, YamlError> {
        if self.spent.all {
            return Ok(None);
        }
        self.spent.marks += marks(text);
        let read = check_marks(self.spent.marks, layout.start())
            .map_err(YamlError::from)
            .and_then(|()| Builder::new(text, Some(*layout), self, notes).document());
        self.spent.all = matches!(read, Err(YamlError::TooMuch(_)));
        read
    }

    /// Counts values that a text has between commas.
    ///
    /// # Errors
    ///
    /// If there are too many.
    pub fn count(&mut self, values: usize, at: Position) -> Result<(), YamlError> {
        Ok(self.spent.count(values, at)?)
    }
}

/// Builds the tree from the parser's events.
struct Builder<'b> {
    parser: Parser<'b, saphyr_parser::StrInput<'b>>,
    layout: Option<Layout>,
    /// How far each line of a block is indented in the file; counted once, as blocks may be long.
    indents: Vec<usize>,
    anchors: HashMap<usize, Node>,
    /// Characters that the last event took in the text, if that was on one line.
    length: Option<usize>,
    spent: &'b mut Spent,
    notes: &'b mut Notes,
}

impl<'b> Builder<'b> {
    fn new(
        text: &'b str,
        layout: Option<Layout>,
        reading: &'b mut Reading<'_>,
        notes: &'b mut Notes,
    ) -> Self {
        let indents = match layout {
            Some(Layout::Block { first_line }) => indents(&reading.lines, first_line, text),
            _ => Vec::new(),
        };
        Self {
            parser: Parser::new_from_str(text),
            layout,
            indents,
            anchors: HashMap::new(),
            length: None,
            spent: &mut reading.spent,
            notes,
        }
    }

    fn document(mut self) -> Result<Option<Node>, YamlError> {
        let document = self.first_document()?;
        match self.first_event()? {
            None => Ok(document),
            Some((_, at)) => Err(content(at, "a second YAML document; only one is read")),
        }
    }

    fn first_document(&mut self) -> Result<Option<Node>, YamlError> {
        let first = self.first_event()?;
        first.map(|(event, at)| self.node(event, at, 0)).transpose()
    }

    /// The event that a document's value begins with; none at the end.
    fn first_event(&mut self) -> Result<Option<(Event<'b>, Position)>, YamlError> {
        while let Some((event, at)) = self.next()? {
            match event {
                Event::StreamStart
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::Nothing => {}
                Event::StreamEnd => break,
                event => return Ok(Some((event, at))),
            }
        }
        Ok(None)
    }

    fn next(&mut self) -> Result<Option<(Event<'b>, Position)>, YamlError> {
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

    fn node(&mut self, event: Event<'b>, at: Position, depth: usize) -> Result<Node, YamlError> {
        if depth > MAX_DEPTH {
            return Err(YamlError::Content(Exceeded(at).into()));
        }
        // What an alias stands for is counted below.
        self.spent.count(usize::from(!matches!(event, Event::Alias(_))), at)?;
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => (self.scalar(&text, style, at), anchor),
            Event::SequenceStart(anchor, _) => (self.sequence(at, depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.mapping(at, depth)?, anchor),
            Event::Alias(anchor) => {
                let unknown = || content(at, "an alias to itself or to nothing");
                let node = self.anchors.get(&anchor).ok_or_else(unknown)?;
                (counted(node, at, &mut self.spent.repeated)?, 0)
            }
            _ => return Err(content(at, "unexpected end")),
        };
        if anchor != 0 {
            let kept = counted(&node, at, &mut self.spent.kept)?;
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
            // The parser places a block at its first line that is not empty.
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
            let name = match event {
                Event::Scalar(name, ..) => name,
                // A map in the place of a key: `{{ .Values.x }}`.
                Event::MappingStart(..) => return Err(content(at, TEMPLATE)),
                _ => return Err(content(at, "a key must be a single word")),
            };
            let key = Key { at, name: name.into_owned() };
            let mut again = false;
            if let Some(first) = places.insert(key.name.clone(), at) {
                // A key that has run together with its value may hold a secret.
                let name = quotable(key.name.split(':').next().unwrap_or_default());
                let message = format!("`{name}` is given a second time; the first is at {first}");
                self.notes.problem(at, message);
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
            None => Position { line, column },
            Some(Layout::Opaque(at)) => at,
            Some(Layout::Inline(at)) => Position { column: at.column + column - 1, ..at },
            Some(Layout::Block { first_line }) => {
                // Behind its last line as in that line.
                let indent = self.indents.get(line - 1).or(self.indents.last()).copied();
                let column = column + indent.unwrap_or(0);
                Position { line: first_line + line - 1, column }
            }
        }
    }
}

const TEMPLATE: &str = "a key must be a single word; if this is `{{ }}` of a template, a placeholder, put your own value there";

fn content(at: Position, message: &str) -> YamlError {
    YamlError::Content(Note { at, message: message.to_owned() })
}

/// What each of a block's lines has lost against the file's, which is spaces alone.
fn indents(lines: &Lines<'_>, first_line: usize, text: &str) -> Vec<usize> {
    let in_file = lines.from(first_line).unwrap_or_default().lines();
    in_file.zip(text.lines()).map(|(whole, line)| whole.len().saturating_sub(line.len())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diagnostics::bounds::MAX_NODES;

    /// As many values as are read, in a string as a `ConfigMap` has it.
    #[test]
    fn a_long_block_takes_no_long_time() {
        let source = format!("data: |\n{}", "    - a\n".repeat(MAX_NODES - 3));
        let begun = crate::system::clock::instant();
        let notes = &mut Notes::default();
        let mut reading = Reading::new(&source);
        let document = reading.document(notes).unwrap().unwrap();
        let Value::Mapping(pairs) = document.value else { panic!("a mapping") };
        let Value::Scalar(block) = &pairs[0].1.value else { panic!("a text") };
        let inner = reading.text(block, notes).unwrap().unwrap();
        assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
        let Value::Sequence(items) = inner.value else { panic!("a list") };
        let last = items.last().unwrap().at;
        assert_eq!((last.line, last.column), (MAX_NODES - 2, 7));
    }
}
