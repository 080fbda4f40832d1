//! The secrets of this cloud, and whether a text gives one of them away.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::lock;
use super::parameters::hex_pair;

/// So many characters of a secret, from its beginning or its end, already count as a leak: a
/// message that shortens what it prints is no better.
const TELLING: usize = 24;

/// By so many bytes the search recognises where a secret may begin.
const HEAD: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretKind {
    /// Of a long-lived key or of a session.
    AccessKeySecret,
    SecurityToken,
    OidcToken,
    RegistryPassword,
    MetadataToken,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    pub kind: SecretKind,
    /// Whose it is, e.g. the access key id.
    pub of: String,
    pub value: String,
}

/// The value is left out, so that a failing test does not print what it guards.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {}", self.kind, self.of)
    }
}

/// A secret that was found where it must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    pub secret: Secret,
    /// Byte offset in the text, or in its decoded form.
    pub at: usize,
}

#[derive(Debug, Default)]
pub(super) struct Secrets(Mutex<Known>);

/// Every request is searched for every secret, so the search has to be quick: one look-up for each
/// place in the text, by the first bytes there.
#[derive(Debug, Default)]
struct Known {
    secrets: Vec<Secret>,
    /// What gives a secret away, by its first bytes; with the secret's place in the list.
    needles: HashMap<[u8; HEAD], Vec<(usize, String)>>,
    /// The same for what is shorter than that.
    short_needles: Vec<(usize, String)>,
}

impl Known {
    fn add(&mut self, secret: Secret) {
        if self.secrets.contains(&secret) {
            return;
        }
        let place = self.secrets.len();
        for needle in needles(&secret) {
            match needle.as_bytes().first_chunk::<HEAD>() {
                Some(head) => self.needles.entry(*head).or_default().push((place, needle)),
                None => self.short_needles.push((place, needle)),
            }
        }
        self.secrets.push(secret);
    }

    /// The secrets in a text, with where each was found first.
    fn search(&self, text: &str, found: &mut BTreeMap<usize, usize>) {
        let bytes = text.as_bytes();
        for (at, head) in bytes.windows(HEAD).enumerate() {
            let Some(needles) = head.first_chunk().and_then(|head| self.needles.get(head)) else {
                continue;
            };
            for (place, needle) in needles {
                if bytes[at..].starts_with(needle.as_bytes()) {
                    found.entry(*place).or_insert(at);
                }
            }
        }
        for (place, needle) in &self.short_needles {
            if let Some(at) = text.find(needle) {
                found.entry(*place).or_insert(at);
            }
        }
    }
}

impl Secrets {
    pub(super) fn add(&self, kind: SecretKind, of: &str, value: &str) {
        lock(&self.0).add(Secret { kind, of: of.to_owned(), value: value.to_owned() });
    }

    pub(super) fn all(&self) -> Vec<Secret> {
        lock(&self.0).secrets.clone()
    }

    /// Looks for each secret as it is, JSON-escaped, percent-encoded (also twice, as in a string to
    /// sign), and in Base64.
    pub(super) fn leaks(&self, text: &str) -> Vec<Leak> {
        let unescaped = text.replace("\\/", "/");
        let decoded = percent_decode_where_possible(&unescaped);
        let twice = percent_decode_where_possible(&decoded);
        let known = lock(&self.0);
        let mut found = BTreeMap::new();
        known.search(&unescaped, &mut found);
        if decoded != unescaped {
            known.search(&decoded, &mut found);
        }
        if twice != decoded {
            known.search(&twice, &mut found);
        }
        let leak = |(place, at): (usize, usize)| Leak { secret: known.secrets[place].clone(), at };
        found.into_iter().map(leak).collect()
    }
}

fn needles(secret: &Secret) -> Vec<String> {
    let value = secret.value.as_str();
    let base64 = STANDARD.encode(value).trim_end_matches('=').to_owned();
    if value.len() <= TELLING || !value.is_ascii() {
        return vec![base64, value.to_owned()];
    }
    let end = &value[value.len() - TELLING..];
    // The head of a JWT is no secret and the same in all of them.
    let beginning = if secret.kind == SecretKind::OidcToken { value } else { &value[..TELLING] };
    vec![base64, end.to_owned(), beginning.to_owned()]
}

fn percent_decode_where_possible(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        match hex_pair(tail) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::signature::percent_encode;
    use super::*;

    const TOKEN: &str = "CAISfake+token/with=chars+and/slashes/0123456789abcdefghij==";

    fn leaks_in(text: &str) -> usize {
        let secrets = Secrets::default();
        secrets.add(SecretKind::SecurityToken, "STS.N1", TOKEN);
        secrets.leaks(text).len()
    }

    #[test]
    fn every_form_of_a_secret_is_found() {
        let once = percent_encode(TOKEN);
        assert_eq!(leaks_in(&format!("error: {TOKEN} was refused")), 1);
        assert_eq!(leaks_in(&format!("SecurityToken={once}&x=1")), 1);
        assert_eq!(leaks_in(&once.to_lowercase().replace("caisfake", "CAISfake")), 1);
        assert_eq!(leaks_in(&percent_encode(&once)), 1);
        assert_eq!(leaks_in(&TOKEN.replace('/', "\\/")), 1);
        assert_eq!(leaks_in(&STANDARD.encode(TOKEN)), 1);
        assert_eq!(leaks_in(&format!("{}...", &TOKEN[..30])), 1);
        assert_eq!(leaks_in(&format!("...{}", &TOKEN[TOKEN.len() - 30..])), 1);
    }

    #[test]
    fn harmless_text_is_let_through() {
        assert_eq!(leaks_in("CAISfake... 100% fine, 50 %2"), 0);
        assert_eq!(leaks_in(""), 0);
    }

    #[test]
    fn a_short_secret_is_one_too() {
        let secrets = Secrets::default();
        secrets.add(SecretKind::AccessKeySecret, "LTAI1", "pa%ss");
        assert_eq!(secrets.leaks("it is pa%25ss").len(), 1);
        assert_eq!(secrets.leaks("it is pa%ss").len(), 1);
        assert_eq!(secrets.leaks("it is past").len(), 0);
    }
}
