//! JSON as Go's `encoding/json` and `sigs.k8s.io/json` read it, with nothing lost on the way.
//!
//! A map type keeps only the last of two equal keys, and the kubelet refuses an answer for exactly
//! that; so objects stay lists of members here, in the order written.

use std::fmt;

/// One JSON value. Numbers carry nothing: no field of the protocol is a number, so all that
/// matters of one is that it is not a string.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Number,
    String(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// Text that is not one JSON value. Says where and what, never which bytes: they may be a password.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Malformed {
    pub at: usize,
    pub problem: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}", self.at, self.problem)
    }
}

/// Reads the whole of `text` as one value; only white space may surround it.
pub(super) fn read(text: &[u8]) -> Result<Node, Malformed> {
    let mut reader = Reader { text, at: 0 };
    let node = reader.value(0)?;
    reader.skip_space();
    if reader.at < text.len() {
        return Err(reader.malformed("text after the value"));
    }
    Ok(node)
}

/// Deeper values are refused. Go gives up at 10 000 levels; every protocol message is refused for
/// its fourth level already, so the difference cannot be seen and the stack stays small.
const MAX_DEPTH: usize = 200;

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Node, Malformed> {
        if depth > MAX_DEPTH {
            return Err(self.malformed("nested too deeply"));
        }
        self.skip_space();
        match self.peek() {
            None => Err(self.malformed("the text ends where a value should begin")),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.string().map(Node::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'n') => self.literal("null", Node::Null),
            Some(b't') => self.literal("true", Node::Bool(true)),
            Some(b'f') => self.literal("false", Node::Bool(false)),
            Some(_) => Err(self.malformed("not the beginning of a value")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Node, Malformed> {
        let mut members = Vec::new();
        self.at += 1;
        self.skip_space();
        if self.eat(b'}') {
            return Ok(Node::Object(members));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.malformed("a key in double quotes should stand here"));
            }
            let name = self.string()?;
            self.skip_space();
            if !self.eat(b':') {
                return Err(self.malformed("a colon should follow the key"));
            }
            members.push((name, self.value(depth + 1)?));
            self.skip_space();
            if self.eat(b'}') {
                return Ok(Node::Object(members));
            }
            if !self.eat(b',') {
                return Err(self.malformed("a comma or a closing brace should follow the value"));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Node, Malformed> {
        let mut items = Vec::new();
        self.at += 1;
        self.skip_space();
        if self.eat(b']') {
            return Ok(Node::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_space();
            if self.eat(b']') {
                return Ok(Node::List(items));
            }
            if !self.eat(b',') {
                return Err(self.malformed("a comma or a closing bracket should follow the value"));
            }
        }
    }

    /// Go replaces bytes that are not UTF-8, and lone surrogates, by U+FFFD and goes on: the login
    /// it then tries cannot work. Refused here, so that such an answer is seen where it is made.
    fn string(&mut self) -> Result<String, Malformed> {
        let start = self.at;
        let mut bytes = Vec::new();
        self.at += 1;
        loop {
            match self.peek() {
                None => return Err(self.malformed("the text ends inside a string")),
                Some(b'"') => break,
                Some(b'\\') => {
                    let character = self.escape()?;
                    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
                Some(0..=0x1f) => {
                    return Err(self.malformed("a bare control character in a string"));
                }
                Some(byte) => bytes.push(byte),
            }
            self.at += 1;
        }
        self.at += 1;
        String::from_utf8(bytes)
            .map_err(|_| Malformed { at: start, problem: "a string that is not UTF-8" })
    }

    fn escape(&mut self) -> Result<char, Malformed> {
        self.at += 1;
        let character = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.malformed("an escape that JSON does not have")),
        };
        self.at += 1;
        Ok(character)
    }

    fn unicode_escape(&mut self) -> Result<char, Malformed> {
        let first = self.hex4()?;
        let code = if (0xd800..0xdc00).contains(&first) && self.rest().starts_with(b"\\u") {
            self.at += 1;
            let second = self.hex4()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(self.malformed("half of a surrogate pair"));
            }
            0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| self.malformed("half of a surrogate pair"))
    }

    /// The four digits after the `u` the reader stands on.
    fn hex4(&mut self) -> Result<u32, Malformed> {
        self.at += 1;
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let digit = digit.ok_or_else(|| self.malformed("not a hexadecimal digit"))?;
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }

    fn number(&mut self) -> Result<Node, Malformed> {
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _ = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        Ok(Node::Number)
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.malformed("a digit should stand here"));
        }
        Ok(())
    }

    fn literal(&mut self, word: &str, node: Node) -> Result<Node, Malformed> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.malformed("not the beginning of a value"));
        }
        self.at += word.len();
        Ok(node)
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.at += 1;
        }
        found
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn malformed(&self, problem: &'static str) -> Malformed {
        Malformed { at: self.at, problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Node {
        Node::String(text.to_owned())
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let text = br#" {"a":[null,true,false,0,-1.5e+3],"b":{},"c":[],"d":"x"} "#;
        let list =
            vec![Node::Null, Node::Bool(true), Node::Bool(false), Node::Number, Node::Number];
        let members = vec![
            ("a".to_owned(), Node::List(list)),
            ("b".to_owned(), Node::Object(vec![])),
            ("c".to_owned(), Node::List(vec![])),
            ("d".to_owned(), string("x")),
        ];
        assert_eq!(read(text), Ok(Node::Object(members)));
    }

    #[test]
    fn equal_keys_are_both_kept() {
        let members = vec![("a".to_owned(), string("1")), ("a".to_owned(), string("2"))];
        assert_eq!(read(br#"{"a":"1","\u0061":"2"}"#), Ok(Node::Object(members)));
    }

    #[test]
    fn escapes_are_decoded() {
        let text = r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é""#;
        assert_eq!(read(text.as_bytes()), Ok(string("\"\\/\u{8}\u{c}\n\r\té😀é")));
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

    #[test]
    fn depth_is_bounded() {
        let nested = |depth| [b"[".repeat(depth), b"]".repeat(depth)].concat();
        assert!(read(&nested(MAX_DEPTH)).is_ok());
        let problem = read(&nested(100_000)).unwrap_err().problem;
        assert_eq!(problem, "nested too deeply");
    }
}
