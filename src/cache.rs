//! What this node has fetched and may use again, and who fetches it when many ask at once.
//!
//! The kubelet runs one process for each image, in parallel, since it learns only from an answer
//! which images share one. So processes meet here: one takes the lock of a key and fetches, the
//! others wait for what comes of it, a failure included. Nothing in here knows what is kept.
//!
//! A name begins with the configuration's place and contents, so that a changed configuration
//! finds nothing of what was there before, and clears it away. Times are those of the clock that
//! counts from the machine's start: nobody can set it, and another start is another scope.

pub mod freshness;
mod record;
mod single_flight;
pub mod store;

use std::cell::{Cell, OnceCell};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use zeroize::Zeroizing;

pub use record::{Kept, Key, Kind, Made, Scope};

use crate::cache::freshness::Rules;
use crate::cache::record::Record;
use crate::cache::single_flight::{FAILED, FIRST_PAUSE};
use crate::cache::store::{Contents, Lock, Store, Unusable};
use crate::failure::Failure;
use crate::system::clock::{self, Deadline};
use crate::system::log::Journal;

/// A login that no pull has used for so long is not renewed ahead of time any more, and goes once
/// it has ended.
pub const USED_LATELY: Duration = Duration::from_secs(24 * 60 * 60);

/// How closely uses are noted: a pull that comes sooner after another writes nothing.
const USE_NOTED: Duration = Duration::from_secs(10 * 60);

/// How often it is tried to change what all processes of a configuration share.
const REWRITE_TRIES: u32 = 5;

/// Fetching may have this part of the deadline while something old is still good.
const RENEWAL_SHARE: u32 = 3;

/// The cache of one run. Without a directory it keeps nothing and nobody waits.
pub struct Cache<'a> {
    /// None where nothing is kept.
    directory: Option<PathBuf>,
    /// Opened when first needed: a request for a foreign host leaves no trace.
    store: OnceCell<Option<Store>>,
    scope: Scope,
    journal: &'a Journal,
    /// Boot time: what is younger was made while this run was waiting for it.
    started: Duration,
    /// Boot time: what is older is not believed.
    not_before: Cell<Duration>,
    /// What came of this run was another's failure.
    has_shared_a_failure: Cell<bool>,
    /// Something that an earlier run had learnt was used.
    remembered: Cell<bool>,
    /// A pull has asked, not a renewal ahead of time.
    by_pull: bool,
}

impl<'a> Cache<'a> {
    /// The cache in a directory, which is made if need be. One that cannot be used is told, and
    /// then nothing is kept.
    #[must_use]
    pub fn new(directory: PathBuf, scope: Scope, by_pull: bool, journal: &'a Journal) -> Self {
        Self { directory: Some(directory), by_pull, ..Self::over(None, scope, journal) }
    }

    /// No cache.
    #[must_use]
    pub fn off(journal: &'a Journal) -> Self {
        Self::over(None, Scope::new(&[], &[]), journal)
    }

    fn over(store: Option<Store>, scope: Scope, journal: &'a Journal) -> Self {
        Self {
            directory: None,
            store: store.map_or_else(OnceCell::new, |store| OnceCell::from(Some(store))),
            scope,
            journal,
            started: clock::since_boot(),
            not_before: Cell::new(Duration::ZERO),
            has_shared_a_failure: Cell::new(false),
            remembered: Cell::new(false),
            by_pull: true,
        }
    }

    /// Only looks: a directory that is not there, or not to be used, is none.
    #[must_use]
    pub fn at_a_glance(path: &Path, scope: Scope, journal: &'a Journal) -> Option<Self> {
        let store = Store::open(path).ok()??;
        Some(Self::over(Some(store), scope, journal))
    }

    /// Only looks, and leaves everything as it is. None if there is nothing to look at.
    #[must_use]
    pub fn looked_at(path: &Path, scope: Scope, journal: &'a Journal) -> Option<Self> {
        let store = Store::look(path).ok()??;
        Some(Self { by_pull: false, ..Self::over(Some(store), scope, journal) })
    }

    /// From now on nothing that is there already is believed. False if nothing of it has been used.
    pub fn distrust(&self) -> bool {
        self.not_before.set(clock::since_boot() + Duration::from_millis(1));
        self.remembered.replace(false)
    }

    /// Whether what this run has failed with is what another process has met.
    #[must_use]
    pub fn has_shared_a_failure(&self) -> bool {
        self.has_shared_a_failure.get()
    }

    /// What is kept under a key, as long as it is good for anything.
    #[must_use]
    pub fn get<T: DeserializeOwned>(&self, key: &Key) -> Option<Kept<T>> {
        let kept = self.read(&self.scope.name(key), Some(key))?.1;
        (clock::since_boot() < kept.until && kept.since >= self.not_before.get()).then_some(kept)
    }

    /// What is kept under a key if it is fresh, with the use noted.
    #[must_use]
    pub fn get_fresh<T: DeserializeOwned>(&self, key: &Key) -> Option<Kept<T>> {
        let (contents, kept) = self.read(&self.scope.name(key), Some(key))?;
        let now = clock::since_boot();
        let believed = kept.since >= self.not_before.get();
        let fresh = now < kept.fresh_until || kept.since >= self.started;
        if !(believed && fresh && now < kept.until) {
            return None;
        }
        if self.by_pull && key.kind == Kind::Login && now.saturating_sub(kept.used) >= USE_NOTED {
            contents.touch(now);
        }
        if kept.since < self.started && key.kind != Kind::Login {
            self.remembered.set(true);
        }
        Some(kept)
    }

    /// What is kept, or else what `make` makes of it; `make` runs in one process at a time.
    ///
    /// A failure is shared with those who wait, and for [`shared_failure`](crate::cache::freshness::Rules::shared_failure) with those who come.
    /// Where one that may pass stands in the way of renewing something that is still good, the old
    /// thing is the result, and says so.
    ///
    /// # Errors
    ///
    /// The failure of `make`, of this run or of another's; exit code 6 when another process had the
    /// lock for all of the time.
    pub fn fetch<T: Serialize + DeserializeOwned>(
        &self,
        key: &Key,
        deadline: &Deadline,
        make: impl FnOnce() -> Result<Made<T>, Failure>,
    ) -> Result<Kept<T>, Failure> {
        if let Some(kept) = self.get_fresh(key) {
            return Ok(kept);
        }
        let lives = |old: &Kept<T>| old.left() >= Rules::DEFAULT.least_left;
        let old = self.get::<T>(key).filter(lives);
        let share = if old.is_some() { RENEWAL_SHARE } else { 1 };
        let outcome = deadline.within_share(share, || self.fetch_once(key, deadline, make));
        match (outcome, old) {
            (Err(failure), Some(old)) if failure.may_pass && lives(&old) => {
                Ok(Kept { stale: Some(failure), ..old })
            }
            (outcome, _) => outcome,
        }
    }

    /// Keeps something unless another process is about to.
    pub fn put<T: Serialize>(&self, key: &Key, made: Made<T>) {
        let Some(store) = self.store() else { return };
        let name = self.scope.name(key);
        if let Ok(Some(_lock)) = store.try_lock(&lock_name(&name, 0)) {
            self.write(store, key, &name, 0, made);
        }
    }

    /// Forgets what is kept under a key.
    pub fn forget(&self, key: &Key) {
        if let Some(store) = self.there() {
            store.remove(&self.scope.name(key));
        }
    }

    /// All logins of this configuration.
    #[must_use]
    pub fn logins<T: DeserializeOwned>(&self) -> Vec<Kept<T>> {
        let Some(store) = self.there() else { return Vec::new() };
        let prefix = format!("{}{}-", self.scope.prefix(), Kind::Login.name());
        let mut names = store.names();
        // A dot begins what stands beside a login: locks, failures, files not yet in place.
        names.retain(|name| name.starts_with(&prefix) && !name.contains('.'));
        names.sort();
        names.iter().filter_map(|name| Some(self.read(name, None)?.1)).collect()
    }

    /// A lock that one process of this configuration has at a time; none if another has it.
    ///
    /// # Errors
    ///
    /// When there are no locks.
    pub fn alone(&self, what: &str) -> Result<Option<Lock>, Unusable> {
        let name = format!("{}-{what}.lock", self.scope.place);
        self.store().map_or(Ok(None), |store| store.try_lock(&name))
    }

    /// Something that stands beside what is kept and outlives a change of configuration.
    #[must_use]
    pub fn look<T: DeserializeOwned>(&self, what: &str) -> Option<T> {
        let contents = self.there()?.read(&format!("{}-{what}", self.scope.place)).ok()??;
        serde_json::from_slice(&contents.body).ok()
    }

    /// Changes it. That it cannot be written, or that others are about to for longer than a few
    /// milliseconds, is no matter.
    pub fn rewrite<T: Serialize + DeserializeOwned + Default>(
        &self,
        what: &str,
        change: impl FnOnce(T) -> T,
    ) {
        let Some(store) = self.store() else { return };
        let name = format!("{}-{what}", self.scope.place);
        let lock = lock_name(&name, 0);
        let mut tries = (0..REWRITE_TRIES).map(|index| {
            if index > 0 {
                std::thread::sleep(FIRST_PAUSE);
            }
            store.try_lock(&lock)
        });
        let Some(Ok(Some(_lock))) = tries.find(|lock| !matches!(lock, Ok(None))) else { return };
        let changed = change(self.look(what).unwrap_or_default());
        let body = serde_json::to_vec(&changed).unwrap_or_default();
        let _ = store.write(&name, &format!("{name}.new"), &body, clock::since_boot());
    }

    /// Whether there is a directory to keep things in.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.store().is_some()
    }

    /// The directory, made if need be.
    fn store(&self) -> Option<&Store> {
        let directory = self.directory.as_ref();
        self.open(|| directory.map(|directory| Store::make(directory).map(Some)))
    }

    /// The directory if it is there: looking leaves no trace.
    fn there(&self) -> Option<&Store> {
        let directory = self.directory.as_ref();
        self.open(|| directory.map(|directory| Store::open(directory)))
    }

    fn open(
        &self,
        open: impl FnOnce() -> Option<Result<Option<Store>, Unusable>>,
    ) -> Option<&Store> {
        if self.store.get().is_none() {
            let found = match open()? {
                Ok(None) => return None,
                Ok(found) => found,
                Err(why) => {
                    let place = self.directory.as_deref().unwrap_or(Path::new("")).display();
                    self.journal.warn(format!("the cache `{place}` is not used: {why}"));
                    None
                }
            };
            return self.store.get_or_init(|| found).as_ref();
        }
        self.store.get()?.as_ref()
    }

    fn read<T: DeserializeOwned>(
        &self,
        name: &str,
        key: Option<&Key>,
    ) -> Option<(Contents, Kept<T>)> {
        let contents = match self.there()?.read(name) {
            Ok(contents) => contents?,
            Err(why) => {
                self.journal.warn(format!("`{name}` in the cache is not used: {why}"));
                return None;
            }
        };
        let record: Record<String, T> = serde_json::from_slice(&contents.body).ok()?;
        if key.is_some_and(|key| record.of != key.of) {
            return None;
        }
        let Record { since, fresh_until, until, value, .. } = record;
        let used = contents.used;
        Some((contents, Kept { value, since, fresh_until, until, used, stale: None }))
    }

    fn write<T: Serialize>(
        &self,
        store: &Store,
        key: &Key,
        name: &str,
        round: u32,
        made: Made<T>,
    ) -> Made<T> {
        let now = clock::since_boot();
        let used = match store.read(name) {
            Ok(Some(before)) if !self.by_pull => before.used,
            _ => now,
        };
        let Made { value, fresh_until, until } = made;
        let record = Record { of: key.of.as_str(), since: now, fresh_until, until, value: &value };
        self.write_record(store, name, round, &record, used);
        Made { value, fresh_until, until }
    }

    fn write_record<T: Serialize>(
        &self,
        store: &Store,
        name: &str,
        round: u32,
        record: &Record<&str, T>,
        used: Duration,
    ) {
        // Strings and numbers only: it cannot fail.
        let body = Zeroizing::new(serde_json::to_vec(record).unwrap_or_default());
        if let Err(why) = store.write(name, &format!("{name}.new{round}"), &body, used) {
            self.journal.warn(format!("nothing can be kept in the cache: {why}"));
        }
    }

    /// Clears away what the configuration no longer has, and what is good for nothing any more.
    pub fn sweep(&self) {
        let Some(store) = self.there() else { return };
        let now = clock::since_boot();
        let place = format!("{}-", self.scope.place);
        let scope = self.scope.prefix();
        for name in store.names() {
            let Some(rest) = name.strip_prefix(&place) else { continue };
            if !name.starts_with(&scope) {
                // What stands alone behind the place is a lock of all its configurations.
                if rest.contains('-') {
                    store.remove(&name);
                }
            } else if is_over(store, &name, now) {
                // Its lock stays: somebody may hold it, to make it anew.
                store.remove(&name);
            }
        }
    }
}

/// Whether a file's contents are good for nothing any more. A login that ended a while ago still
/// tells that it should be renewed ahead of time.
fn is_over(store: &Store, name: &str, now: Duration) -> bool {
    let Ok(Some(contents)) = store.read(name) else { return false };
    let record = serde_json::from_slice(&contents.body);
    let ended = record.is_ok_and(|record: Record<IgnoredAny, IgnoredAny>| record.until <= now);
    let is_login = name.contains(Kind::Login.name()) && !name.ends_with(FAILED);
    ended && (!is_login || now.saturating_sub(contents.used) >= USED_LATELY)
}

fn lock_name(name: &str, round: u32) -> String {
    format!("{name}.lock{round}")
}

/// Where the cache is when the configuration does not say: root's runtime directory, or the one
/// that the user's session has.
#[must_use]
pub fn default_directory(is_root: bool, runtime_directory: Option<&str>) -> Option<PathBuf> {
    const NAME: &str = "aliyun-acr-credential-provider";
    let parent = if is_root { Some("/run") } else { runtime_directory };
    parent.map(Path::new).filter(|parent| parent.is_absolute()).map(|parent| parent.join(NAME))
}
