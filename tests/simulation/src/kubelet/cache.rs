//! What a kubelet remembers of the answers of one provider, in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::config::CacheType;
use super::duration::GoDuration;
use super::image::registry_of;
use super::response::{CacheKeyType, Credential, Response};

/// The cache of plugin.go `pluginProvider`. Times are spans since any fixed point.
///
/// Nothing but time, or a restart of the kubelet, ends an entry: a registry that refuses the login
/// does not.
#[derive(Debug)]
pub struct Cache {
    default_duration: GoDuration,
    entries: BTreeMap<(String, AccountKey), Entry>,
}

#[derive(Debug)]
struct Entry {
    auth: BTreeMap<String, Credential>,
    /// In nanoseconds, and signed: a negative cacheDuration may lead to before the fixed point.
    expires_at: i128,
}

impl Cache {
    #[must_use]
    pub fn new(default_duration: GoDuration) -> Self {
        Self { default_duration, entries: BTreeMap::new() }
    }

    /// plugin.go `getCachedCredentials`: the image itself, then its registry, then everything; the
    /// first live entry answers, even if its `auth` has no key for this image.
    pub fn look_up(
        &self,
        image: &str,
        account: &AccountKey,
        now: Duration,
    ) -> Option<BTreeMap<String, Credential>> {
        [image, registry_of(image), GLOBAL_KEY].into_iter().find_map(|base| {
            let entry = self.entries.get(&(base.to_owned(), account.clone()))?;
            // At the very end of its time an entry still counts.
            (nanoseconds(now) <= entry.expires_at).then(|| entry.auth.clone())
        })
    }

    /// plugin.go `provide`, its second half. Zero is not stored; a negative duration is, and the
    /// entry has expired by the next look-up.
    pub fn store(&mut self, image: &str, account: &AccountKey, response: &Response, now: Duration) {
        let duration = response.cache_duration.unwrap_or(self.default_duration);
        if duration == GoDuration::ZERO {
            return;
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
        self.entries.insert((base.to_owned(), account.clone()), entry);
    }
}

/// Whose pods share an entry. Empty outside service account mode.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountKey {
    namespace: String,
    name: String,
    uid: String,
    annotations: BTreeMap<String, String>,
    token: Option<String>,
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
    /// key has the token only with cacheType `Token`, and the pod never. Release 1.33, without
    /// cacheType, behaved as `ServiceAccount`.
    #[must_use]
    pub fn cache_key(
        &self,
        passed: &BTreeMap<String, String>,
        cache_type: Option<CacheType>,
    ) -> AccountKey {
        let Self { namespace, name, uid, annotations: _, token } = self.clone();
        let token = Some(token).filter(|_| cache_type == Some(CacheType::Token));
        AccountKey { namespace, name, uid, annotations: passed.clone(), token }
    }
}

/// No image or registry can have this name.
const GLOBAL_KEY: &str = "<global>";

fn nanoseconds(now: Duration) -> i128 {
    i128::try_from(now.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
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
        let mut cache = Cache::new(HOUR);
        cache.store(image, &AccountKey::default(), response, Duration::ZERO);
        cache
    }

    fn hit(cache: &Cache, image: &str, now: Duration) -> bool {
        cache.look_up(image, &AccountKey::default(), now).is_some()
    }

    #[test]
    fn the_key_type_says_which_other_images_are_answered() {
        let images = ["reg.io/a", "reg.io/b", "reg.io:443/a", "other.io/a"];
        for (key_type, expected) in [
            (CacheKeyType::Image, [true, false, false, false]),
            (CacheKeyType::Registry, [true, true, false, false]),
            (CacheKeyType::Global, [true, true, true, true]),
        ] {
            let cache = holding("reg.io/a", &response(key_type, None, "reg.io"));
            let hits = images.map(|image| hit(&cache, image, MINUTE));
            assert_eq!(hits, expected, "{key_type:?}");
        }
    }

    #[test]
    fn the_narrowest_live_entry_answers() {
        let mut cache = holding("reg.io/a", &response(CacheKeyType::Global, None, "global"));
        let minute = response(CacheKeyType::Image, Some(60), "image");
        cache.store("reg.io/a", &AccountKey::default(), &minute, Duration::ZERO);
        let hour = response(CacheKeyType::Registry, Some(1800), "registry");
        cache.store("reg.io/a", &AccountKey::default(), &hour, Duration::ZERO);
        for (minutes, expected) in [(1, "image"), (2, "registry"), (31, "global")] {
            let found =
                cache.look_up("reg.io/a", &AccountKey::default(), MINUTE * minutes).unwrap();
            assert_eq!(found.into_keys().collect::<Vec<_>>(), [expected]);
        }
        assert!(!hit(&cache, "reg.io/a", MINUTE * 61));
    }

    /// With no credentials at all the whole registry is pulled from anonymously.
    #[test]
    fn an_entry_answers_even_without_credentials() {
        let none = Response { auth: None, ..response(CacheKeyType::Registry, None, "") };
        assert!(hit(&holding("reg.io/a", &none), "reg.io/b", MINUTE));
    }

    #[test]
    fn durations_decide_how_long() {
        let lives = |default, seconds| {
            let mut cache = Cache::new(default);
            let response = response(CacheKeyType::Image, seconds, "reg.io");
            cache.store("reg.io/a", &AccountKey::default(), &response, Duration::ZERO);
            [Duration::new(59, 999_999_999), MINUTE, Duration::new(60, 1)]
                .map(|now| hit(&cache, "reg.io/a", now))
        };
        assert_eq!(lives(HOUR, Some(60)), [true, true, false]);
        assert_eq!(lives(GoDuration::from_seconds(60), None), [true, true, false]);
        assert_eq!(lives(HOUR, Some(0)), [false; 3]);
        assert_eq!(lives(GoDuration::ZERO, None), [false; 3]);
        assert_eq!(lives(HOUR, Some(-300)), [false; 3]);
    }

    #[test]
    fn accounts_do_not_share_entries() {
        let key = |name: &str, token: &str, passed: &str, cache_type| {
            let account = ServiceAccount {
                name: name.to_owned(),
                token: token.to_owned(),
                ..ServiceAccount::default()
            };
            let passed = BTreeMap::from([("role".to_owned(), passed.to_owned())]);
            account.cache_key(&passed, Some(cache_type))
        };
        let mut cache = Cache::new(HOUR);
        let response = response(CacheKeyType::Global, None, "reg.io");
        let one = key("one", "x", "r", CacheType::ServiceAccount);
        cache.store("reg.io/a", &one, &response, Duration::ZERO);
        for (account, shared) in [
            (one, true),
            (key("one", "y", "r", CacheType::ServiceAccount), true),
            (key("one", "x", "other", CacheType::ServiceAccount), false),
            (key("two", "x", "r", CacheType::ServiceAccount), false),
            (key("one", "x", "r", CacheType::Token), false),
            (AccountKey::default(), false),
        ] {
            let found = cache.look_up("reg.io/a", &account, MINUTE).is_some();
            assert_eq!(found, shared, "{account:?}");
        }
    }
}
