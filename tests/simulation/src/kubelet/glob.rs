//! Go's `filepath.Match`, which the kubelet applies to each label of a host.

use std::str::Chars;

/// A shell pattern: `*`, `?`, `[a-z]`, `[^a-z]` and `\` before a character taken literally.
/// Neither `*` nor `?` matches a slash.
#[derive(Debug)]
pub(super) struct Glob {
    tokens: Vec<Token>,
}

#[derive(Debug)]
enum Token {
    Run,
    One,
    Literal(char),
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Glob {
    /// None for `ErrBadPattern`: a class that is empty or not closed, a `\` at the end. (Go overlooks
    /// some of these behind a `*` that cannot match anyway. To the kubelet both are no match.)
    pub(super) fn parse(pattern: &str) -> Option<Self> {
        let mut tokens = Vec::new();
        let mut rest = pattern.chars();
        while let Some(first) = rest.next() {
            tokens.push(match first {
                '*' => Token::Run,
                '?' => Token::One,
                '[' => parse_class(&mut rest)?,
                '\\' => Token::Literal(rest.next()?),
                literal => Token::Literal(literal),
            });
        }
        Some(Self { tokens })
    }

    /// Whether the whole of `text` matches.
    pub(super) fn matches(&self, text: &str) -> bool {
        matches(&self.tokens, text)
    }
}

/// The class after its opening bracket. A `]` or `-` can only stand in it after a `\`.
fn parse_class(rest: &mut Chars<'_>) -> Option<Token> {
    let negated = skip(rest, '^');
    let mut ranges = Vec::new();
    while ranges.is_empty() || !skip(rest, ']') {
        let low = class_character(rest)?;
        let high = if skip(rest, '-') { class_character(rest)? } else { low };
        ranges.push((low, high));
    }
    Some(Token::Class { negated, ranges })
}

fn class_character(rest: &mut Chars<'_>) -> Option<char> {
    match rest.next()? {
        '-' | ']' => None,
        '\\' => rest.next(),
        character => Some(character),
    }
}

/// Whether `expected` came next; it is taken if so.
fn skip(rest: &mut Chars<'_>, expected: char) -> bool {
    match rest.as_str().strip_prefix(expected) {
        None => false,
        Some(after) => {
            *rest = after.chars();
            true
        }
    }
}

fn matches(tokens: &[Token], text: &str) -> bool {
    let Some((token, tokens)) = tokens.split_first() else {
        return text.is_empty();
    };
    let mut characters = text.chars();
    if let Token::Run = token {
        loop {
            if matches(tokens, characters.as_str()) {
                return true;
            }
            match characters.next() {
                None | Some('/') => return false,
                Some(_) => {}
            }
        }
    }
    let Some(character) = characters.next() else {
        return false;
    };
    let matched = match token {
        Token::Run | Token::One => character != '/',
        Token::Literal(literal) => character == *literal,
        Token::Class { negated, ranges } => {
            ranges.iter().any(|(low, high)| (*low..=*high).contains(&character)) != *negated
        }
    };
    matched && matches(tokens, characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("abc", "abc", true),
            ("*", "", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "abc", true),
            ("a*", "ab/c", false),
            ("a*b*c", "a12b34c", true),
            ("a*b*c", "a12b34d", false),
            ("*-good", "prefix-good", true),
            ("*-good", "prefix-goods", false),
            ("app*", "app", true),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("a?c", "ac", false),
            ("a?c", "aéc", true),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("ab[^b-d]", "abc", false),
            ("[z-a]", "m", false),
            ("[\\]a]", "]", true),
            ("[\\-x]", "-", true),
            ("[x\\-]", "x", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("\\\\", "\\", true),
            ("A", "a", false),
        ] {
            let glob = Glob::parse(pattern).unwrap();
            assert_eq!(glob.matches(text), expected, "{pattern:?} on {text:?}");
        }
    }

    #[test]
    fn malformed_patterns_are_errors() {
        for pattern in
            ["[", "[a", "[]", "[]a]", "[^]", "[^bc", "[-]", "[x-]", "[-x]", "[a-b-c]", "a\\", "[\\"]
        {
            assert!(Glob::parse(pattern).is_none(), "{pattern:?}");
        }
    }
}
