//! What is kept: the names, the keys and the form of the files' contents.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

use crate::cache::store::PLACE;
use crate::system::clock;
use crate::system::text::hex;

/// Whose configuration, and which: the first half of every name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The same for every content of one configuration file.
    pub(super) place: String,
    pub(super) content: String,
}

impl Scope {
    /// `place` distinguishes the configurations of one machine; `content` is everything that what
    /// is fetched depends on.
    pub fn new(place: &[&[u8]], content: &[&[u8]]) -> Self {
        Self { place: digest(place, PLACE), content: digest(content, 20) }
    }

    /// How the names begin that belong to the configuration as it is now.
    pub(super) fn prefix(&self) -> String {
        format!("{}-{}-", self.place, self.content)
    }

    /// What this scope has to do with the file of a name.
    pub(super) fn whose(&self, name: &str) -> Whose {
        let read = || {
            let rest = name.strip_prefix(&self.place)?.strip_prefix('-')?;
            // What stands alone behind the place is of all contents of that file.
            let (content, rest) = rest.split_once('-')?;
            if content != self.content {
                return Some(Whose::Former);
            }
            let (kind, rest) = rest.split_once('-')?;
            let part = match rest.split_once('.') {
                None => Part::Value,
                Some((_, FAILED)) => Part::Failure,
                Some(_) => Part::Aside,
            };
            Some(Whose::Ours(Kind::named(kind)?, part))
        };
        read().unwrap_or(Whose::Another)
    }

    /// The name of the file for a key.
    pub(super) fn name(&self, key: &Key) -> String {
        let of = digest(&[key.of.as_bytes()], 20);
        format!("{}{}-{of}", self.prefix(), key.kind.name())
    }
}

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Of the configuration as it is now.
    Ours(Kind, Part),
    /// Of the same configuration file with other contents.
    Former,
    /// Of another configuration file, or of all contents of this one.
    Another,
}

/// What is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Value,
    /// The failure of the last attempt.
    Failure,
    /// A lock, or what is not yet in its place.
    Aside,
}

/// How the name of a failure ends, behind a dot.
const FAILED: &str = "failed";

/// The name of the failure of the last attempt to make what is under a name.
pub(super) fn failure_name(name: &str) -> String {
    format!("{name}.{FAILED}")
}

/// The name of a lock. Each round has its own: a process that waited too long for one takes the next.
pub(super) fn lock_name(name: &str, round: u32) -> String {
    format!("{name}.lock{round}")
}

/// The name of what is being written, before it is renamed.
pub(super) fn unfinished_name(name: &str, round: u32) -> String {
    format!("{name}.new{round}")
}

/// Hexadecimal digits of a digest over parts that cannot run into one another.
pub(super) fn digest(parts: &[&[u8]], digits: usize) -> String {
    let mut sha = Sha1::new();
    for part in parts {
        sha.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        sha.update(part);
    }
    hex(&sha.finalize()).chars().take(digits).collect()
}

/// What kinds of things are kept; part of the file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A registry's login.
    Login,
    /// A role session.
    Session,
    /// Which entry and instance belong to a registry host.
    Host,
    /// What the node has learnt of itself and its network.
    Node,
    /// What is only handed from one process to others that run at the same time.
    Overlap,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Login, Self::Session, Self::Host, Self::Node, Self::Overlap];

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Session => "session",
            Self::Host => "host",
            Self::Node => "node",
            Self::Overlap => "overlap",
        }
    }
}

/// What something is kept under: everything that distinguishes it from others of its kind, in clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    pub(super) kind: Kind,
    pub(super) of: String,
}

impl Key {
    /// The parts must hold no secret: they are written to the file.
    pub fn new(kind: Kind, parts: &[&str]) -> Self {
        let quoted: Vec<String> = parts.iter().map(|part| format!("{part:?}")).collect();
        Self { kind, of: quoted.join(" ") }
    }
}

/// Something that was just made, and how long it can be used.
#[derive(Debug)]
pub struct Made<T> {
    pub value: T,
    /// Boot time from which on it should be made again.
    pub fresh_until: Duration,
    /// Boot time from which on it is of no use.
    pub until: Duration,
}

impl<T> From<Made<T>> for Kept<T> {
    fn from(made: Made<T>) -> Self {
        let Made { value, fresh_until, until } = made;
        let now = clock::since_boot();
        Self { value, since: now, fresh_until, until, used: now }
    }
}

/// Something that can be used, and since when.
#[derive(Debug)]
pub struct Kept<T> {
    pub value: T,
    /// Boot times.
    pub since: Duration,
    pub fresh_until: Duration,
    pub until: Duration,
    pub used: Duration,
}

impl<T> Kept<T> {
    /// What is left of it.
    pub fn left(&self) -> Duration {
        self.until.saturating_sub(clock::since_boot())
    }
}

/// A file's contents.
#[derive(Serialize, Deserialize)]
pub(super) struct Record<K, T> {
    /// The key in clear: the name has only a digest of it.
    pub of: K,
    #[serde(with = "milliseconds")]
    pub since: Duration,
    #[serde(with = "milliseconds")]
    pub fresh_until: Duration,
    #[serde(with = "milliseconds")]
    pub until: Duration,
    pub value: T,
}

pub(super) mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_apart_what_differs_in_anything() {
        let scope = |place: &[&[u8]], content: &[&[u8]]| Scope::new(place, content);
        let key = |parts: &[&str]| Key::new(Kind::Login, parts);
        let plain = scope(&[b"p"], &[b"c"]).name(&key(&["a", "b"]));
        for other in [
            scope(&[b"P"], &[b"c"]).name(&key(&["a", "b"])),
            scope(&[b"p"], &[b"C"]).name(&key(&["a", "b"])),
            scope(&[b"p"], &[b"c", b""]).name(&key(&["a", "b"])),
            scope(&[b"p"], &[b"c"]).name(&Key::new(Kind::Session, &["a", "b"])),
            scope(&[b"p"], &[b"c"]).name(&key(&["ab", ""])),
            scope(&[b"p"], &[b"c"]).name(&key(&["a b"])),
            scope(&[b"p"], &[b"c"]).name(&key(&["a\" \"b"])),
        ] {
            assert_ne!(plain, other);
        }
        assert_ne!(scope(&[b"ab", b"c"], &[]), scope(&[b"a", b"bc"], &[]));
        assert_eq!(plain, scope(&[b"p"], &[b"c"]).name(&key(&["a", "b"])));
        let digits =
            |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_hexdigit());
        let parts: Vec<&str> = plain.split('-').collect();
        assert!(
            matches!(parts[..], [place, content, "login", of] if digits(place, 12) && digits(content, 20) && digits(of, 20)),
            "{plain}"
        );
        assert!(plain.starts_with(&scope(&[b"p"], &[b"c"]).prefix()));
        assert_eq!(Kind::ALL.map(Kind::name), ["login", "session", "host", "node", "overlap"]);
    }

    #[test]
    fn a_name_says_whose_it_is() {
        let scope = Scope::new(&[b"p"], &[b"c"]);
        let name = scope.name(&Key::new(Kind::Login, &["a"]));
        for (name, whose) in [
            (name.clone(), Whose::Ours(Kind::Login, Part::Value)),
            (failure_name(&name), Whose::Ours(Kind::Login, Part::Failure)),
            (lock_name(&name, 1), Whose::Ours(Kind::Login, Part::Aside)),
            (unfinished_name(&failure_name(&name), 0), Whose::Ours(Kind::Login, Part::Aside)),
            (Scope::new(&[b"p"], &[b"C"]).name(&Key::new(Kind::Host, &[])), Whose::Former),
            (Scope::new(&[b"P"], &[b"c"]).name(&Key::new(Kind::Host, &[])), Whose::Another),
            (format!("{}-trace", scope.place), Whose::Another),
            (format!("{}-refresh.lock", scope.place), Whose::Another),
            (format!("{}x-y", scope.place), Whose::Another),
        ] {
            assert_eq!(scope.whose(&name), whose, "{name}");
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let time = Duration::from_millis;
        let record =
            Record { of: "k", since: time(1), fresh_until: time(2), until: time(3_000), value: 7 };
        let text = serde_json::to_string(&record).unwrap();
        let read: Record<String, u8> = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (read.of.as_str(), read.since, read.fresh_until, read.until, read.value),
            ("k", time(1), time(2), time(3_000), 7)
        );
    }

    #[test]
    fn what_is_left() {
        let until = clock::since_boot() + Duration::from_secs(100);
        let kept = Kept::from(Made { value: (), fresh_until: until, until });
        assert!(kept.left() > Duration::from_secs(90) && kept.left() <= Duration::from_secs(100));
        assert!(kept.since <= clock::since_boot() && kept.used == kept.since);
        let over =
            Kept::from(Made { value: (), fresh_until: Duration::ZERO, until: Duration::ZERO });
        assert_eq!(over.left(), Duration::ZERO);
    }
}
