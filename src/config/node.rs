//! A YAML document as a tree in which every value knows its place in the file.

use crate::config::diagnostics::lines::Position;

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
    pub(super) layout: Layout,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Layout {
    /// A literal block (`|`): its first line is this line of the file.
    Block { first_line: usize },
    /// On one line without escapes: its first character is here.
    Inline(Position),
    /// Folded or escaped: only its beginning is known.
    Opaque(Position),
}

impl Layout {
    /// Where the text begins.
    pub(super) fn start(self) -> Position {
        match self {
            Self::Block { first_line } => Position { line: first_line, column: 1 },
            Self::Inline(at) | Self::Opaque(at) => at,
        }
    }
}

impl Node {
    /// `a list`, …, for messages.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Scalar(_) => "a single value",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }

    /// The value behind a key of a mapping.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.pairs().iter().find(|(key, _)| key.name == name).map(|(_, value)| value)
    }

    /// The pairs of a mapping; empty for anything else.
    pub fn pairs(&self) -> &[(Key, Self)] {
        if let Value::Mapping(pairs) = &self.value { pairs } else { &[] }
    }

    /// The items of a list; empty for anything else.
    pub fn items(&self) -> &[Self] {
        if let Value::Sequence(items) = &self.value { items } else { &[] }
    }

    pub fn scalar(&self) -> Option<&Scalar> {
        if let Value::Scalar(scalar) = &self.value { Some(scalar) } else { None }
    }

    /// The value as the one text that a `ConfigMap` has for it: a list of single values with commas
    /// between them, what is deeper as JSON, nothing for what is empty.
    pub fn as_text(&self) -> String {
        match &self.value {
            Value::Null => String::new(),
            Value::Scalar(scalar) => scalar.text.trim().to_owned(),
            Value::Sequence(items) => {
                let texts = items.iter().map(|item| match &item.value {
                    Value::Scalar(scalar) => Some(scalar.text.trim()),
                    _ => None,
                });
                let texts: Option<Vec<&str>> = texts.collect();
                texts.map_or_else(|| self.json().to_string(), |texts| texts.join(","))
            }
            Value::Mapping(pairs) if pairs.is_empty() => String::new(),
            Value::Mapping(_) => self.json().to_string(),
        }
    }

    /// Plain words that JSON has a value for keep it: `true` means something else in quotes.
    fn json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Scalar(scalar) => {
                let plain = Some(&scalar.text).filter(|_| scalar.is_plain);
                let value = plain.and_then(|text| serde_json::from_str(text).ok());
                value.unwrap_or_else(|| scalar.text.as_str().into())
            }
            Value::Sequence(items) => items.iter().map(Self::json).collect(),
            Value::Mapping(pairs) => {
                pairs.iter().map(|(key, node)| (key.name.clone(), node.json())).collect()
            }
        }
    }
}
