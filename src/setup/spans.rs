//! The first YAML document of a text as a tree in which every value knows the bytes that it takes,
//! so that a text can be put beside it and nothing else moves.

use std::collections::HashMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// Deepest nesting that is read; the file is of five levels.
const MAX_DEPTH: usize = 16;

/// A value and where it stands: from its first character to its last, without what follows.
#[derive(Debug, Clone)]
pub struct Node {
    pub span: Range<usize>,
    pub kind: Kind,
}

#[derive(Debug, Clone)]
pub enum Kind {
    Scalar(String),
    /// In brackets, or as lines with dashes.
    Sequence {
        in_brackets: bool,
        items: Vec<Node>,
    },
    Mapping {
        in_braces: bool,
        pairs: Vec<(Node, Node)>,
    },
    /// Another place names what stands here.
    Alias(Box<Node>),
}

impl Node {
    /// Itself, or what it is an alias of.
    #[must_use]
    pub fn target(&self) -> &Self {
        match &self.kind {
            Kind::Alias(target) => target,
            _ => self,
        }
    }

    #[must_use]
    pub fn items(&self) -> &[Self] {
        if let Kind::Sequence { items, .. } = &self.target().kind { items } else { &[] }
    }

    #[must_use]
    pub fn pairs(&self) -> &[(Self, Self)] {
        if let Kind::Mapping { pairs, .. } = &self.target().kind { pairs } else { &[] }
    }

    #[must_use]
    pub fn text(&self) -> Option<&str> {
        if let Kind::Scalar(text) = &self.target().kind { Some(text) } else { None }
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        let pair = self.pairs().iter().find(|(key, _)| key.text() == Some(name));
        pair.map(|(_, value)| value)
    }
}

/// Reads a text; none for one that is empty or is not YAML.
#[must_use]
pub fn parse(text: &str) -> Option<Node> {
    let mut bytes: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    bytes.push(text.len());
    let parser = Parser::new_from_str(text);
    let mut builder = Builder { text, parser, bytes, anchors: HashMap::new() };
    loop {
        match builder.next()? {
            (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
            (Event::StreamEnd | Event::DocumentEnd, _) => return None,
            (event, span) => return builder.node(event, span, 0),
        }
    }
}

struct Builder<'t> {
    text: &'t str,
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    /// Where each character begins.
    bytes: Vec<usize>,
    anchors: HashMap<usize, Node>,
}

impl<'t> Builder<'t> {
    fn next(&mut self) -> Option<(Event<'t>, Range<usize>)> {
        let (event, Span { start, end, .. }) = self.parser.next_event()?.ok()?;
        let at = |index: usize| self.bytes.get(index).copied().unwrap_or(self.text.len());
        Some((event, at(start.index())..at(end.index())))
    }

    fn node(&mut self, event: Event<'t>, span: Range<usize>, depth: usize) -> Option<Node> {
        if depth > MAX_DEPTH {
            return None;
        }
        let is_open = |mark: char| self.text.get(span.start..).is_some_and(|t| t.starts_with(mark));
        let (in_brackets, in_braces) = (is_open('['), is_open('{'));
        let (kind, end, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let end = span.start + self.length(span.clone(), style);
                (Kind::Scalar(text.into_owned()), end, anchor)
            }
            Event::Alias(anchor) => {
                (Kind::Alias(Box::new(self.anchors.get(&anchor)?.clone())), span.end, 0)
            }
            Event::SequenceStart(anchor, _) => {
                let mut items: Vec<Node> = Vec::new();
                let end = loop {
                    match self.next()? {
                        (Event::SequenceEnd, bracket) => break bracket.start + 1,
                        (event, span) => items.push(self.node(event, span, depth + 1)?),
                    }
                };
                let last = items.last().map_or(span.end, |item| item.span.end);
                let end = if in_brackets { end } else { last };
                (Kind::Sequence { in_brackets, items }, end, anchor)
            }
            Event::MappingStart(anchor, _) => {
                let mut pairs: Vec<(Node, Node)> = Vec::new();
                let end = loop {
                    let key = match self.next()? {
                        (Event::MappingEnd, brace) => break brace.start + 1,
                        (event, span) => self.node(event, span, depth + 1)?,
                    };
                    let (event, span) = self.next()?;
                    pairs.push((key, self.node(event, span, depth + 1)?));
                };
                let last =
                    pairs.last().map_or(span.end, |(key, value)| value.span.end.max(key.span.end));
                let end = if in_braces { end } else { last };
                (Kind::Mapping { in_braces, pairs }, end, anchor)
            }
            _ => return None,
        };
        let start = match kind {
            Kind::Sequence { in_brackets: false, .. } => self.dash(span.start),
            _ => span.start,
        };
        let node = Node { span: start..end.max(start), kind };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Some(node)
    }

    /// The dash of a list's first item: the parser places a list at the indent of its key behind it.
    fn dash(&self, place: usize) -> usize {
        let is_dash = |text: &str| {
            text.strip_prefix('-')
                .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\n', '\r']))
        };
        if self.text.get(place..).is_some_and(is_dash) {
            return place;
        }
        let mut end = place;
        while let Some(before) = self.text.get(..end) {
            let start = before.rfind('\n').map_or(0, |at| at + 1);
            let line = self.text.get(start..place).unwrap_or_default();
            let dash = start + line.len() - line.trim_start_matches(' ').len();
            if self.text.get(dash..place).is_some_and(is_dash) {
                return dash;
            }
            let Some(above) = start.checked_sub(1) else { break };
            end = above;
        }
        place
    }

    /// How long a scalar is without what the parser takes along behind it: spaces and comments.
    fn length(&self, span: Range<usize>, style: ScalarStyle) -> usize {
        let text = self.text.get(span).unwrap_or_default().trim_end();
        let end = match style {
            ScalarStyle::SingleQuoted => closing(text, '\'', None),
            ScalarStyle::DoubleQuoted => closing(text, '"', Some('\\')),
            ScalarStyle::Plain => [" #", "\t#", "\n#"].iter().filter_map(|at| text.find(at)).min(),
            ScalarStyle::Literal | ScalarStyle::Folded => None,
        };
        text.get(..end.unwrap_or(text.len())).unwrap_or(text).trim_end().len()
    }
}

/// Where a text in quotes ends. A quote that is doubled, or behind an escape, does not end it.
fn closing(text: &str, quote: char, escape: Option<char>) -> Option<usize> {
    let mut rest = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = rest.next() {
        if Some(c) == escape {
            rest.next();
        } else if c == quote {
            if escape.is_some() || rest.peek().is_none_or(|(_, next)| *next != quote) {
                return Some(at + 1);
            }
            rest.next();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<'t>(text: &'t str, node: &Node) -> &'t str {
        text.get(node.span.clone()).unwrap()
    }

    #[test]
    fn values_know_their_bytes() {
        let text = "# é\na: &x\n  - 'b'  # c\n  -   d: 1\n      e: |\n        t\n\nf: [g, {h: \"i\"}] # j\nk: *x\n---\nz: 1\n";
        let node = parse(text).unwrap();
        let a = node.get("a").unwrap();
        assert_eq!(at(text, &a.items()[0]), "'b'");
        assert_eq!(at(text, &a.items()[1]), "d: 1\n      e: |\n        t");
        assert_eq!(at(text, node.get("f").unwrap()), "[g, {h: \"i\"}]");
        assert_eq!(at(text, &node.get("f").unwrap().items()[1]), "{h: \"i\"}");
        assert_eq!(node.get("k").unwrap().items().len(), 2);
        assert_eq!(at(text, node.get("k").unwrap()), "*x");
        assert!(node.get("z").is_none());
    }

    #[test]
    fn a_list_at_the_indent_of_its_key() {
        let text = "- m:\n  - a # x\n  # y\n  - b\n  k: 1\n";
        let list = parse(text).unwrap();
        let node = list.items()[0].get("m").unwrap();
        assert_eq!(at(text, node), "- a # x\n  # y\n  - b");
    }

    #[test]
    fn json_with_tabs() {
        let text = "{\n\t\"a\": [\n\t\t{\"b\": \"c\"}\n\t]\n}\n";
        let node = parse(text).unwrap();
        assert_eq!(at(text, &node.get("a").unwrap().items()[0]), "{\"b\": \"c\"}");
    }

    #[test]
    fn not_yaml() {
        for text in ["", "# only\n", "a: [", "a: b: c"] {
            assert!(parse(text).is_none(), "{text:?}");
        }
    }
}
