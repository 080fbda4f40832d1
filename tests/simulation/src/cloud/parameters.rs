//! The parameters of an RPC request: query and form body together.

use std::collections::{BTreeMap, BTreeSet};

/// Decoded `name=value` pairs in sorted order.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    pub(super) all: BTreeMap<String, String>,
    /// Names that came in the query.
    pub(super) in_query: BTreeSet<String>,
    /// Names that came more than once.
    pub(super) repeated: BTreeSet<String>,
}

impl Parameters {
    /// None if something is no form encoding of UTF-8 text.
    pub(super) fn read(query: &str, body: &str) -> Option<Self> {
        let mut parameters = Self::default();
        for (name, value) in decode(query)? {
            parameters.in_query.insert(name.clone());
            parameters.add(name, value);
        }
        for (name, value) in decode(body)? {
            parameters.add(name, value);
        }
        Some(parameters)
    }

    fn add(&mut self, name: String, value: String) {
        if self.all.insert(name.clone(), value).is_some() {
            self.repeated.insert(name);
        }
    }

    /// An empty value counts as none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// Decodes `application/x-www-form-urlencoded`.
pub(super) fn decode(text: &str) -> Option<Vec<(String, String)>> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((
                percent_decode(&name.replace('+', " "))?,
                percent_decode(&value.replace('+', " "))?,
            ))
        })
        .collect()
}

/// None if a `%` is not followed by two hexadecimal digits, or the result is not UTF-8.
pub(super) fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            bytes.push(hex_pair(tail)?);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

/// The byte that the first two characters write.
pub(super) fn hex_pair(text: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_and_body_are_merged_and_decoded() {
        let parameters = Parameters::read("A=1&B=%2B+%E4%B8%AD", "C=x%20y&D&A=2").unwrap();
        assert_eq!(parameters.get("B"), Some("+ 中"));
        assert_eq!(parameters.get("C"), Some("x y"));
        assert_eq!(parameters.all["D"], "");
        assert_eq!(parameters.get("D"), None);
        assert_eq!(parameters.repeated, BTreeSet::from(["A".to_owned()]));
        assert!(parameters.in_query.contains("B") && !parameters.in_query.contains("C"));
    }

    #[test]
    fn broken_encoding_is_noticed() {
        for broken in ["A=%", "A=%2", "A=%zz", "A=%+1", "A=%ff"] {
            assert!(Parameters::read(broken, "").is_none(), "{broken}");
        }
    }
}
