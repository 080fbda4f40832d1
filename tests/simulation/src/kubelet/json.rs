//! A JSON or YAML document with nothing lost on the way.
//!
//! A map type keeps only the last of two equal keys, and the kubelet refuses an answer for exactly
//! that. So objects stay lists of members here, in the order written.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// One value. Numbers carry nothing: no field of the protocol is a number, so all that matters of
/// one is that it is not a string.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Number,
    String(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// Reads the whole of `text` as one value; only white space may surround it.
///
/// Go replaces bytes that are not UTF-8, and lone surrogates, by U+FFFD and goes on: the login that
/// it then tries cannot work. Both are refused here, so that such an answer is seen where it is made.
pub(super) fn read(text: &[u8]) -> serde_json::Result<Node> {
    serde_json::from_slice(text)
}

/// YAML becomes the same nodes as JSON, as it does in the kubelet. Plain scalars get their type
/// here, before any field is known: an unquoted `1.0` or `yes` is never a string.
impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = entries.next_entry()? {
            members.push(member);
        }
        Ok(Node::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_keys_are_both_kept() {
        let string = |text: &str| Node::String(text.to_owned());
        let members = vec![("a".to_owned(), string("1")), ("a".to_owned(), string("2"))];
        assert_eq!(read(br#"{"a":"1","\u0061":"2"}"#).unwrap(), Node::Object(members));
    }

    #[test]
    fn what_is_not_json_is_refused() {
        let refused: [&[u8]; 31] = [
            b"",
            b" \n",
            b"{",
            b"{}}",
            b"{} {}",
            b"{}x",
            b"{} // comment",
            b"{,}",
            b"{\"a\"}",
            b"{\"a\":}",
            b"{\"a\":1,}",
            b"{a:1}",
            b"{'a':1}",
            b"[1,]",
            b"[1 2]",
            b"nul",
            b"True",
            b"NaN",
            b"01",
            b"1.",
            b".5",
            b"+1",
            b"1e",
            b"-",
            b"\"a",
            b"\"\\x41\"",
            b"\"\\u12g4\"",
            b"\"a\nb\"",
            b"\"\\ud800\"",
            b"\"\xff\"",
            b"\xef\xbb\xbf{}",
        ];
        for text in refused {
            assert!(read(text).is_err(), "{:?}", String::from_utf8_lossy(text));
        }
    }
}
