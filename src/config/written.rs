//! What the file has beside its entries, for those who want to know what matters and what not.

use std::iter;

use crate::config::file::File;
use crate::config::keys::IGNORED_KEYS;
use crate::config::yaml::{Node, Position, Value};

#[derive(Debug, Default)]
pub struct Written {
    /// Keys that are accepted and mean nothing on a node: name, place and value as one text.
    pub ignored: Vec<(String, Position, String)>,
    /// RRSA is switched on, whether an entry uses it or not.
    pub rrsa: bool,
    /// The keys of `credential-provider`.
    pub settings: Vec<(String, Position)>,
}

impl Written {
    pub(super) fn of(file: &File, rrsa: bool) -> Self {
        let ignored = file.top.keys().filter(|(name, _)| IGNORED_KEYS.contains(name));
        let ignored = ignored.map(|(name, at)| {
            (name.to_owned(), at, file.top.node(name).map(text).unwrap_or_default())
        });
        Self {
            ignored: ignored.collect(),
            rrsa,
            settings: file.settings.keys().map(|(name, at)| (name.to_owned(), at)).collect(),
        }
    }
}

/// A value as the one text that a `ConfigMap` has for it: of a list the items with commas between
/// them, of what is deeper its YAML, and nothing of what is empty.
fn text(node: &Node) -> String {
    match &node.value {
        Value::Null => String::new(),
        Value::Scalar(scalar) => scalar.text.trim().to_owned(),
        Value::Sequence(items) => {
            let texts = items.iter().map(|item| match &item.value {
                Value::Scalar(scalar) => Some(scalar.text.trim()),
                _ => None,
            });
            let texts: Option<Vec<&str>> = texts.collect();
            texts.map_or_else(|| yaml(node), |texts| texts.join(","))
        }
        Value::Mapping(pairs) if pairs.is_empty() => String::new(),
        Value::Mapping(_) => yaml(node),
    }
}

/// YAML on one line.
fn yaml(node: &Node) -> String {
    let mut text = String::new();
    add(node, &mut text);
    text
}

/// Adds to the one text: what is deep would be copied at each level.
fn add(node: &Node, text: &mut String) {
    match &node.value {
        Value::Null => text.push_str("null"),
        Value::Scalar(scalar) => text.push_str(&word(&scalar.text, scalar.is_plain)),
        Value::Sequence(items) => {
            text.push('[');
            for (item, comma) in items.iter().zip(commas()) {
                text.push_str(comma);
                add(item, text);
            }
            text.push(']');
        }
        Value::Mapping(pairs) => {
            text.push('{');
            for ((key, node), comma) in pairs.iter().zip(commas()) {
                text.push_str(comma);
                text.push_str(&word(&key.name, true));
                text.push_str(": ");
                add(node, text);
            }
            text.push('}');
        }
    }
}

/// What stands before each of several values.
fn commas() -> impl Iterator<Item = &'static str> {
    iter::once("").chain(iter::repeat(", "))
}

/// Without quotes only what was so, for `true` and `1` mean something else with them, and what
/// needs none between braces.
fn word(text: &str, is_plain: bool) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-+._".contains(&b);
    if is_plain && text.bytes().all(plain) && text.bytes().any(|b| b.is_ascii_alphanumeric()) {
        return text.to_owned();
    }
    serde_json::Value::from(text).to_string()
}
