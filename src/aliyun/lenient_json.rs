//! Answers whose fields may hold anything: those that are wanted are kept where they hold a word, and
//! everything else is passed over. A tree of all that a mebibyte can say takes a hundred of them.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::secret::Secret;

/// The fields that are wanted anywhere.
const WANTED: [&str; 16] = [
    "AccessDeniedDetail",
    "AccessKeySecret",
    "Arn",
    "AuthorizationToken",
    "Code",
    "Credentials",
    "IsSuccess",
    "Message",
    "PolicyType",
    "RequestId",
    "SecurityToken",
    "authorizationToken",
    "code",
    "data",
    "message",
    "requestId",
];

/// Those of them that are secrets.
const SECRET: [&str; 4] =
    ["AccessKeySecret", "AuthorizationToken", "SecurityToken", "authorizationToken"];

/// A single value, or something else.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Word {
    Text(String),
    /// As it is written.
    Number(String),
    Flag(bool),
    #[default]
    Other,
}

impl Word {
    /// A text, or a number as one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text),
            Self::Flag(_) | Self::Other => None,
        }
    }
}

/// Wanted fields; where one is repeated, the last of its name.
type Kept<T> = Vec<(&'static str, T)>;

/// A word, or an object of words.
#[derive(Debug, Default)]
pub struct Field {
    pub word: Word,
    words: Kept<Word>,
}

impl Field {
    /// A text in the object.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        find(&self.words, name)?.text()
    }
}

/// A whole answer, which has to be an object.
#[derive(Debug)]
pub struct Document(Kept<Field>);

impl Document {
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Field> {
        find(&self.0, name)
    }

    /// A text by the first of two names that has one.
    #[must_use]
    pub fn either(&self, upper: &str, lower: &str) -> Option<String> {
        let text = |name| self.get(name)?.word.text();
        text(upper).or_else(|| text(lower)).map(str::to_owned)
    }

    /// The secrets that the answer gives out.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret> {
        let above = self.0.iter().map(|(name, field)| (*name, &field.word));
        let below = self.0.iter().flat_map(|(_, field)| field.words.iter());
        let words = above.chain(below.map(|(name, word)| (*name, word)));
        words
            .filter(|(name, _)| SECRET.contains(name))
            .filter_map(|(_, word)| word.text().map(Secret::new))
            .collect()
    }
}

fn find<'k, T>(kept: &'k Kept<T>, name: &str) -> Option<&'k T> {
    kept.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
}

fn wanted<'de, T: Deserialize<'de>, A: MapAccess<'de>>(mut map: A) -> Result<Kept<T>, A::Error> {
    let mut kept: Kept<T> = Vec::new();
    while let Some(name) = map.next_key::<String>()? {
        match WANTED.into_iter().find(|wanted| *wanted == name) {
            Some(name) => {
                let value = map.next_value()?;
                kept.retain(|(known, _)| *known != name);
                kept.push((name, value));
            }
            None => drop(map.next_value::<IgnoredAny>()?),
        }
    }
    Ok(kept)
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Documents)
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Fields { keep: true })
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Fields { keep: false }).map(|field| field.word)
    }
}

struct Documents;

impl<'de> Visitor<'de> for Documents {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Document, A::Error> {
        wanted(map).map(Document)
    }
}

struct Fields {
    /// Whether an object's words are kept.
    keep: bool,
}

fn single(word: Word) -> Field {
    Field { word, ..Field::default() }
}

impl<'de> Visitor<'de> for Fields {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Field, E> {
        Ok(single(Word::Text(text.to_owned())))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Field, E> {
        Ok(single(Word::Number(number.to_string())))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Field, E> {
        Ok(single(Word::Number(number.to_string())))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Field, E> {
        Ok(single(Word::Number(number.to_string())))
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Field, E> {
        Ok(single(Word::Flag(flag)))
    }

    fn visit_unit<E: Error>(self) -> Result<Field, E> {
        Ok(Field::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Field, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field, A::Error> {
        if self.keep {
            return Ok(Field { words: wanted(map)?, ..Field::default() });
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::default())
    }
}
