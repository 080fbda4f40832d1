//! The cache of one run: what is read, kept, forgotten and cleared away.

use std::cell::{Cell, OnceCell};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use zeroize::Zeroizing;

use crate::cache::record::{
    Kept, Key, Kind, Made, Part, Record, Scope, Whose, lock_name, unfinished_name,
};
use crate::cache::store::{Contents, Lock, Store, Unusable};
use crate::system::clock;
use crate::system::log::Journal;

/// A login that no pull has used for so long is not renewed ahead of time any more, and goes once
/// it has ended.
pub const USED_LATELY: Duration = Duration::from_secs(24 * 60 * 60);

/// How closely uses are noted: a pull that comes sooner after another writes nothing.
const USE_NOTED: Duration = Duration::from_secs(10 * 60);

/// How often it is tried to change what all processes of a configuration share.
const REWRITE_TRIES: u32 = 5;

/// The pause between two tries of that.
const PAUSE: Duration = Duration::from_millis(2);

/// What a run may do with the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A pull: the directory is made if need be, and uses are noted.
    Pull,
    /// A renewal ahead of time: as a pull, but it is not a use.
    Ahead,
    /// A pull that only takes what is there.
    Glance,
    /// Nothing is changed.
    Look,
}

/// The cache of one run. Without a directory it keeps nothing and nobody waits.
pub struct Cache<'a> {
    /// None where nothing is kept.
    directory: Option<PathBuf>,
    access: Access,
    /// Opened when first needed: a request for a foreign host leaves no trace.
    store: OnceCell<Option<Store>>,
    pub(super) scope: Scope,
    pub(super) journal: &'a Journal,
    /// Boot time: what is younger was made while this run was waiting for it.
    pub(super) started: Duration,
    /// Boot time: what is older is not believed.
    pub(super) not_before: Cell<Duration>,
    /// The result of this run was another's failure.
    pub(super) has_shared_a_failure: Cell<bool>,
    /// Something that an earlier run had learnt was used.
    remembered: Cell<bool>,
}

impl<'a> Cache<'a> {
    /// The cache in a directory. A directory that cannot be used is reported, and then nothing is
    /// kept.
    pub fn new(directory: PathBuf, scope: Scope, access: Access, journal: &'a Journal) -> Self {
        Self { directory: Some(directory), scope, access, ..Self::off(journal) }
    }

    /// No cache.
    pub fn off(journal: &'a Journal) -> Self {
        Self {
            directory: None,
            access: Access::Look,
            store: OnceCell::new(),
            scope: Scope::new(&[], &[]),
            journal,
            started: clock::since_boot(),
            not_before: Cell::new(Duration::ZERO),
            has_shared_a_failure: Cell::new(false),
            remembered: Cell::new(false),
        }
    }

    /// From now on nothing that is there already is believed. False if nothing of it has been used.
    pub fn distrust(&self) -> bool {
        self.not_before.set(clock::since_boot() + Duration::from_millis(1));
        self.remembered.replace(false)
    }

    /// Whether what this run has failed with is what another process has met.
    pub fn has_shared_a_failure(&self) -> bool {
        self.has_shared_a_failure.get()
    }

    /// What is kept under a key, as long as it is of any use.
    pub fn get<T: DeserializeOwned>(&self, key: &Key) -> Option<Kept<T>> {
        let kept = self.read(&self.scope.name(key), Some(key))?.1;
        (clock::since_boot() < kept.until && kept.since >= self.not_before.get()).then_some(kept)
    }

    /// What is kept under a key if it is fresh, with the use noted.
    pub fn get_fresh<T: DeserializeOwned>(&self, key: &Key) -> Option<Kept<T>> {
        let (contents, kept) = self.read(&self.scope.name(key), Some(key))?;
        let now = clock::since_boot();
        let believed = kept.since >= self.not_before.get();
        let fresh = now < kept.fresh_until || kept.since >= self.started;
        if !(believed && fresh && now < kept.until) {
            return None;
        }
        if self.is_use() && key.kind == Kind::Login && now.saturating_sub(kept.used) >= USE_NOTED {
            contents.touch(now);
        }
        if kept.since < self.started && key.kind != Kind::Login {
            self.remembered.set(true);
        }
        Some(kept)
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
    pub fn logins<T: DeserializeOwned>(&self) -> Vec<Kept<T>> {
        let Some(store) = self.there() else { return Vec::new() };
        let mut names = store.names();
        names.retain(|name| self.scope.whose(name) == Whose::Ours(Kind::Login, Part::Value));
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

    /// Something that is kept beside and outlives a change of configuration.
    pub fn look<T: DeserializeOwned>(&self, what: &str) -> Option<T> {
        let contents = self.there()?.read(&format!("{}-{what}", self.scope.place)).ok()??;
        serde_json::from_slice(&contents.body).ok()
    }

    /// Changes it. What cannot be written, or is being written by others for longer than a few
    /// milliseconds, is left out.
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
                std::thread::sleep(PAUSE);
            }
            store.try_lock(&lock)
        });
        let Some(Ok(Some(_lock))) = tries.find(|lock| !matches!(lock, Ok(None))) else { return };
        let changed = change(self.look(what).unwrap_or_default());
        let body = serde_json::to_vec(&changed).unwrap_or_default();
        let _ = store.write(&name, &unfinished_name(&name, 0), &body, clock::since_boot());
    }

    /// Whether there is a directory to keep things in.
    pub fn is_on(&self) -> bool {
        self.store().is_some()
    }

    fn is_use(&self) -> bool {
        matches!(self.access, Access::Pull | Access::Glance)
    }

    /// The directory, made if need be and allowed.
    pub(super) fn store(&self) -> Option<&Store> {
        match self.access {
            Access::Pull | Access::Ahead => self.open(|path| Store::make(path).map(Some)),
            Access::Glance | Access::Look => self.there(),
        }
    }

    /// The directory if it is there.
    pub(super) fn there(&self) -> Option<&Store> {
        match self.access {
            Access::Look => self.open(Store::look),
            _ => self.open(Store::open),
        }
    }

    fn open(&self, open: impl FnOnce(&Path) -> Result<Option<Store>, Unusable>) -> Option<&Store> {
        if self.store.get().is_none() {
            let path = self.directory.as_deref()?;
            let found = match open(path) {
                Ok(None) => return None,
                Ok(found) => found,
                Err(why) => {
                    self.journal.warn(format!("the cache `{}` is not used: {why}", path.display()));
                    None
                }
            };
            return self.store.get_or_init(|| found).as_ref();
        }
        self.store.get()?.as_ref()
    }

    pub(super) fn read<T: DeserializeOwned>(
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
        Some((contents, Kept { value, since, fresh_until, until, used }))
    }

    pub(super) fn write<T: Serialize>(
        &self,
        store: &Store,
        key: &Key,
        name: &str,
        round: u32,
        made: Made<T>,
    ) -> Made<T> {
        let now = clock::since_boot();
        let used = match store.read(name) {
            Ok(Some(before)) if !self.is_use() => before.used,
            _ => now,
        };
        let Made { value, fresh_until, until } = made;
        let record = Record { of: key.of.as_str(), since: now, fresh_until, until, value: &value };
        self.write_record(store, name, round, &record, used);
        Made { value, fresh_until, until }
    }

    pub(super) fn write_record<T: Serialize>(
        &self,
        store: &Store,
        name: &str,
        round: u32,
        record: &Record<&str, T>,
        used: Duration,
    ) {
        // Strings and numbers only: it cannot fail.
        let body = Zeroizing::new(serde_json::to_vec(record).unwrap_or_default());
        if let Err(why) = store.write(name, &unfinished_name(name, round), &body, used) {
            self.journal.warn(format!("nothing can be kept in the cache: {why}"));
        }
    }

    /// Clears away what the configuration no longer has, and what is of no use any more.
    pub fn sweep(&self) {
        let Some(store) = self.there() else { return };
        let now = clock::since_boot();
        for name in store.names() {
            let goes = match self.scope.whose(&name) {
                Whose::Another => false,
                Whose::Former => true,
                // Its lock stays: another process may hold it, to make it again.
                Whose::Ours(kind, part) => is_over(store, &name, kind, part, now),
            };
            if goes {
                store.remove(&name);
            }
        }
    }
}

/// Whether a file's contents are of no use any more. A login that ended a while ago still shows
/// that it should be renewed ahead of time.
fn is_over(store: &Store, name: &str, kind: Kind, part: Part, now: Duration) -> bool {
    let Ok(Some(contents)) = store.read(name) else { return false };
    let record = serde_json::from_slice(&contents.body);
    let ended = record.is_ok_and(|record: Record<IgnoredAny, IgnoredAny>| record.until <= now);
    let is_login = kind == Kind::Login && part != Part::Failure;
    ended && (!is_login || now.saturating_sub(contents.used) >= USED_LATELY)
}
