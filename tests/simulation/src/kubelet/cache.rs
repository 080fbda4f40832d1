//! What a kubelet remembers of the answers of one provider, in memory.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt;
use std::time::Duration;

use ring::digest;

use super::config::CacheType;
use super::duration::GoDuration;
use super::image::registry_of;
use super::response::{CacheKeyType, Credential, Response};

/// The cache of plugin.go `pluginProvider`. Times are spans since any fixed point.
///
/// Nothing but time, or a restart of the kubelet, removes an entry: a registry that refuses the
/// login does not.
#[derive(Debug)]
pub struct Cache {
    default_duration: GoDuration,
    entries: HashMap<Vec<u8>, Entry>,
    purged_at: Duration,
}

#[derive(Debug)]
struct Entry {
    auth: BTreeMap<String, Credential>,
    /// In nanoseconds, and signed: a negative cacheDuration may lead to before the fixed point.
    expires_at: i128,
}

impl Cache {
    #[must_use]
    pub fn new(default_duration: GoDuration, now: Duration) -> Self {
        Self { default_duration, entries: HashMap::new(), purged_at: now }
    }

    /// plugin.go `getCachedCredentials`: the image itself, then its registry, then everything; the
    /// first live entry answers, even if its `auth` has no key for this image.
    ///
    /// `account` is the key of [`ServiceAccount::cache_key`], or empty outside service account mode.
    pub fn look_up(
        &mut self,
        image: &str,
        account: &[u8],
        now: Duration,
    ) -> Result<Option<BTreeMap<String, Credential>>, KeyTooLong> {
        if now > self.purged_at + PURGE_INTERVAL {
            self.entries.retain(|_, entry| !entry.has_expired(now));
            self.purged_at = now;
        }
        for base in [image, registry_of(image), GLOBAL_KEY] {
            let key = entry_key(base, account)?;
            match self.entries.get(&key) {
                Some(entry) if entry.has_expired(now) => drop(self.entries.remove(&key)),
                Some(entry) => return Ok(Some(entry.auth.clone())),
                None => {}
            }
        }
        Ok(None)
    }

    /// plugin.go `provide`, its second half. Zero is not stored; a negative duration is, and the
    /// entry has expired by the next look-up.
    pub fn store(
        &mut self,
        image: &str,
        account: &[u8],
        response: &Response,
        now: Duration,
    ) -> Result<(), KeyTooLong> {
        let duration = response.cache_duration.unwrap_or(self.default_duration);
        if duration == GoDuration::ZERO {
            return Ok(());
        }
        let base = match response.cache_key_type {
            CacheKeyType::Image => image,
            CacheKeyType::Registry => registry_of(image),
            CacheKeyType::Global => GLOBAL_KEY,
        };
        let entry = Entry {
            auth: response.auth.clone().unwrap_or_default(),
            expires_at: nanoseconds(now) + i128::from(duration.nanoseconds()),
        };
        self.entries.insert(entry_key(base, account)?, entry);
        Ok(())
    }

    /// How many entries are held, expired ones that nobody asked for included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Entry {
    /// `cacheExpirationPolicy.IsExpired`: at the very end of its time an entry still counts.
    fn has_expired(&self, now: Duration) -> bool {
        nanoseconds(now) > self.expires_at
    }
}

/// The service account of a pod, as a provider in service account mode meets it.
#[derive(Clone, Default)]
pub struct ServiceAccount {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub annotations: BTreeMap<String, String>,
    /// For the provider's audience, bound to the pod.
    pub token: String,
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccount")
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .field("uid", &self.uid)
            .field("annotations", &self.annotations)
            .finish_non_exhaustive()
    }
}

impl ServiceAccount {
    /// plugin.go `generateServiceAccountCacheKey`, over the annotations passed to the plugin. The
    /// pod is no part of it, and the token only with cacheType `Token`. Release 1.33, without
    /// cacheType, behaved as `ServiceAccount`.
    pub fn cache_key(
        &self,
        passed: &BTreeMap<String, String>,
        cache_type: Option<CacheType>,
    ) -> Result<Vec<u8>, KeyTooLong> {
        let mut key = KeyBytes::default();
        key.push(self.namespace.as_bytes())?;
        key.push(self.name.as_bytes())?;
        key.push(self.uid.as_bytes())?;
        key.push_map(passed)?;
        if cache_type == Some(CacheType::Token) {
            key.push(b"token")?;
            key.push(token_hash(&self.token).as_bytes())?;
        }
        Ok(key.0)
    }
}

/// A part of a cache key has 64 KiB or more: this pod gets no credentials.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeyTooLong;

impl fmt::Display for KeyTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("error generating cache key: a part is longer than 65535 bytes")
    }
}

impl Error for KeyTooLong {}

/// No image or registry can have this name.
const GLOBAL_KEY: &str = "<global>";

/// Expired entries are swept at the first look-up later than this; there is no timer.
const PURGE_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// plugin.go `generateCacheKey`.
fn entry_key(base: &str, account: &[u8]) -> Result<Vec<u8>, KeyTooLong> {
    let mut key = KeyBytes::default();
    key.push(base.as_bytes())?;
    key.push(account)?;
    Ok(key.0)
}

/// plugin.go `cacheKeyBuilder`: parts behind their length in 16 bits, so that no two lists of parts
/// run together into one key.
#[derive(Default)]
struct KeyBytes(Vec<u8>);

impl KeyBytes {
    fn push(&mut self, part: &[u8]) -> Result<(), KeyTooLong> {
        let length = u16::try_from(part.len()).map_err(|_| KeyTooLong)?;
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(part);
        Ok(())
    }

    fn push_map(&mut self, map: &BTreeMap<String, String>) -> Result<(), KeyTooLong> {
        let count = u32::try_from(map.len()).map_err(|_| KeyTooLong)?;
        self.0.extend_from_slice(&count.to_be_bytes());
        for (key, value) in map {
            self.push(key.as_bytes())?;
            self.push(value.as_bytes())?;
        }
        Ok(())
    }
}

/// plugin.go `getHashIfNotEmpty`.
fn token_hash(token: &str) -> String {
    if token.is_empty() {
        return String::new();
    }
    let hash = digest::digest(&digest::SHA256, token.as_bytes());
    let digits = hash.as_ref().iter().map(|byte| format!("{byte:02x}"));
    format!("sha256:{}", digits.collect::<String>())
}

fn nanoseconds(now: Duration) -> i128 {
    i128::try_from(now.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::keyring::Keyring;
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: GoDuration = GoDuration::from_seconds(3600);

    fn response(cache_key_type: CacheKeyType, seconds: Option<i32>, key: &str) -> Response {
        let login = Credential { username: "u".to_owned(), password: "p".to_owned() };
        let auth = Some(BTreeMap::from([(key.to_owned(), login)]));
        let cache_duration = seconds.map(GoDuration::from_seconds);
        Response { cache_key_type, cache_duration, auth }
    }

    fn holding(image: &str, response: &Response) -> Cache {
        let mut cache = Cache::new(HOUR, Duration::ZERO);
        cache.store(image, b"", response, Duration::ZERO).unwrap();
        cache
    }

    fn hit(cache: &mut Cache, image: &str, now: Duration) -> bool {
        cache.look_up(image, b"", now).unwrap().is_some()
    }

    #[test]
    fn the_key_type_says_which_other_images_are_answered() {
        let images = ["reg.io/a", "reg.io/b", "reg.io:443/a", "other.io/a"];
        for (key_type, expected) in [
            (CacheKeyType::Image, [true, false, false, false]),
            (CacheKeyType::Registry, [true, true, false, false]),
            (CacheKeyType::Global, [true, true, true, true]),
        ] {
            let mut cache = holding("reg.io/a", &response(key_type, None, "reg.io"));
            let hits = images.map(|image| hit(&mut cache, image, MINUTE));
            assert_eq!(hits, expected, "{key_type:?}");
        }
    }

    #[test]
    fn the_narrowest_live_entry_answers() {
        let mut cache = holding("reg.io/a", &response(CacheKeyType::Global, None, "global"));
        let minute = response(CacheKeyType::Image, Some(60), "image");
        cache.store("reg.io/a", b"", &minute, Duration::ZERO).unwrap();
        let hour = response(CacheKeyType::Registry, Some(1800), "registry");
        cache.store("reg.io/a", b"", &hour, Duration::ZERO).unwrap();
        for (minutes, expected) in [(1, "image"), (2, "registry"), (31, "global")] {
            let found = cache.look_up("reg.io/a", b"", MINUTE * minutes).unwrap().unwrap();
            assert_eq!(found.into_keys().collect::<Vec<_>>(), [expected]);
        }
        assert!(!hit(&mut cache, "reg.io/a", MINUTE * 61));
        assert!(cache.is_empty());
    }

    #[test]
    fn an_entry_answers_even_without_a_key_for_the_image() {
        let mut cache = holding("reg.io/a", &response(CacheKeyType::Registry, None, "reg.io/a"));
        let auth = cache.look_up("reg.io/b", b"", MINUTE).unwrap().expect("a hit");
        let mut keyring = Keyring::default();
        keyring.add(&auth);
        assert!(keyring.look_up("reg.io/b").is_empty(), "an anonymous pull");
        // The same with no credentials at all: the whole registry is blanked.
        let none = Response { auth: None, ..response(CacheKeyType::Registry, None, "") };
        assert!(hit(&mut holding("reg.io/a", &none), "reg.io/b", MINUTE));
    }

    #[test]
    fn durations_decide_how_long() {
        let lives = |default, seconds| {
            let mut cache = Cache::new(default, Duration::ZERO);
            let response = response(CacheKeyType::Image, seconds, "reg.io");
            cache.store("reg.io/a", b"", &response, Duration::ZERO).unwrap();
            [Duration::new(59, 999_999_999), MINUTE, Duration::new(60, 1)]
                .map(|now| hit(&mut cache, "reg.io/a", now))
        };
        assert_eq!(lives(HOUR, Some(60)), [true, true, false]);
        assert_eq!(lives(GoDuration::from_seconds(60), None), [true, true, false]);
        assert_eq!(lives(HOUR, Some(0)), [false; 3]);
        assert_eq!(lives(GoDuration::ZERO, None), [false; 3]);
        assert_eq!(lives(HOUR, Some(-300)), [false; 3]);
    }

    #[test]
    fn expired_entries_are_swept_by_a_late_look_up() {
        let mut cache = holding("reg.io/a", &response(CacheKeyType::Image, Some(60), "reg.io"));
        assert!(!hit(&mut cache, "other.io/b", MINUTE * 15));
        assert_eq!(cache.len(), 1);
        assert!(!hit(&mut cache, "other.io/b", MINUTE * 18));
        assert!(cache.is_empty());
    }

    #[test]
    fn accounts_do_not_share_entries() {
        let mut cache = Cache::new(HOUR, Duration::ZERO);
        let response = response(CacheKeyType::Global, None, "reg.io");
        cache.store("reg.io/a", b"one", &response, Duration::ZERO).unwrap();
        let mut found =
            |account: &[u8]| cache.look_up("reg.io/a", account, MINUTE).unwrap().is_some();
        assert_eq!([found(b"one"), found(b"two"), found(b"")], [true, false, false]);
    }

    #[test]
    fn keys_have_the_bytes_of_the_kubelet() {
        assert_eq!(entry_key("reg.io", b"").unwrap(), b"\0\x06reg.io\0\0");
        let account = ServiceAccount {
            namespace: "ns".to_owned(),
            name: "sa".to_owned(),
            uid: "u1".to_owned(),
            token: "tok".to_owned(),
            ..ServiceAccount::default()
        };
        let passed =
            BTreeMap::from([("b", "2"), ("a", "")].map(|(k, v)| (k.to_owned(), v.to_owned())));
        let plain = b"\0\x02ns\0\x02sa\0\x02u1\0\0\0\x02\0\x01a\0\0\0\x01b\0\x012".to_vec();
        assert_eq!(account.cache_key(&passed, None).unwrap(), plain);
        assert_eq!(account.cache_key(&passed, Some(CacheType::ServiceAccount)).unwrap(), plain);
        // sha256 of "tok"
        let hash = b"\0\x05token\0\x47sha256:\
            1a7674eb4ee78df7e1ac439a93c3fa8e3c945784d4dec9fd8e3011738b2f1d62";
        let with_token = account.cache_key(&passed, Some(CacheType::Token)).unwrap();
        assert_eq!(with_token, [&plain[..], hash].concat());
    }

    #[test]
    fn a_key_part_of_64_kib_is_refused() {
        let mut cache = Cache::new(HOUR, Duration::ZERO);
        let too_long = vec![b'x'; 0x1_0000];
        assert_eq!(cache.look_up("reg.io/a", &too_long, MINUTE), Err(KeyTooLong));
        assert_eq!(cache.look_up("reg.io/a", &too_long[1..], MINUTE), Ok(None));
    }
}
