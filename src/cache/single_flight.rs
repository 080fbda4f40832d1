//! Who fetches when many processes ask at once: one takes the lock of a key, the others wait for its
//! result, a failure included.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::cache::freshness::Rules;
use crate::cache::keep::Cache;
use crate::cache::record::{Kept, Key, Made, Record, failure_name, lock_name};
use crate::cache::store::{Lock, Store};
use crate::system::clock::{self, Deadline};
use crate::system::random;

/// Fetching may have this part of the deadline while something old can still be used.
const RENEWAL_SHARE: u32 = 3;

/// Pauses between two looks at a lock that another process holds.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(40);

/// An attempt that made nothing.
#[derive(Debug, Serialize, Deserialize)]
pub struct Failed<E> {
    pub error: E,
    /// A later attempt may succeed.
    pub may_pass: bool,
    /// It is the answer for others, too, who ask the same.
    #[serde(skip)]
    pub is_for_all: bool,
}

/// Why there is nothing.
#[derive(Debug)]
pub enum Missed<E> {
    /// The attempt of this run, or of another, made nothing.
    Failed(Failed<E>),
    /// Another process had the lock for all of the time.
    Busy,
}

impl<E> Missed<E> {
    fn may_pass(&self) -> bool {
        match self {
            Self::Failed(failed) => failed.may_pass,
            Self::Busy => true,
        }
    }
}

/// What is there now.
#[derive(Debug)]
pub struct Fetched<T, E> {
    pub kept: Kept<T>,
    /// Why it is the old one, though it should have been made again.
    pub stale: Option<Missed<E>>,
}

/// Who fetches.
enum Turn<T, E> {
    /// This run; the round, which counts those before us that we gave up waiting for, and the lock.
    Ours(u32, Lock),
    /// Another process has.
    Theirs(Kept<T>),
    TheirFailure(Failed<E>),
    /// Everybody: there are no locks.
    Unlocked,
}

impl Cache<'_> {
    /// What is kept, or else what `make` makes; `make` runs in one process at a time.
    ///
    /// A failure is shared with those who wait, and for [`Rules::shared_failure`] with those who
    /// come. Where one that may pass prevents the renewal of something that can still be used, the
    /// old thing is the result, with the reason.
    ///
    /// # Errors
    ///
    /// The failure of `make`, of this run or of another's, or that another process had the lock for
    /// all of the time.
    pub fn fetch<T: Serialize + DeserializeOwned, E: Serialize + DeserializeOwned>(
        &self,
        key: &Key,
        deadline: &Deadline,
        make: impl FnOnce() -> Result<Made<T>, Failed<E>>,
    ) -> Result<Fetched<T, E>, Missed<E>> {
        if let Some(kept) = self.get_fresh(key) {
            return Ok(Fetched { kept, stale: None });
        }
        let lives = |old: &Kept<T>| old.left() >= Rules::DEFAULT.least_left;
        let old = self.get::<T>(key).filter(lives);
        let share = if old.is_some() { RENEWAL_SHARE } else { 1 };
        match (deadline.within_share(share, || self.fetch_once(key, deadline, make)), old) {
            (Ok(kept), _) => Ok(Fetched { kept, stale: None }),
            (Err(missed), Some(kept)) if missed.may_pass() && lives(&kept) => {
                Ok(Fetched { kept, stale: Some(missed) })
            }
            (Err(missed), _) => Err(missed),
        }
    }

    /// What `make` makes, in this process or in another one that has the lock.
    fn fetch_once<T: Serialize + DeserializeOwned, E: Serialize + DeserializeOwned>(
        &self,
        key: &Key,
        deadline: &Deadline,
        make: impl FnOnce() -> Result<Made<T>, Failed<E>>,
    ) -> Result<Kept<T>, Missed<E>> {
        let make = || make().map_err(Missed::Failed);
        let Some(store) = self.store() else { return make().map(Kept::from) };
        let (round, _lock) = match self.turn(store, key, deadline)? {
            Turn::Unlocked => return make().map(Kept::from),
            Turn::Theirs(kept) => return Ok(kept),
            Turn::TheirFailure(failed) => return Err(Missed::Failed(failed)),
            Turn::Ours(round, lock) => (round, lock),
        };
        let name = self.scope.name(key);
        let result = make();
        match &result {
            Ok(_) => store.remove(&failure_name(&name)),
            Err(Missed::Failed(failed)) if failed.is_for_all => {
                self.write_failure(store, &name, round, failed);
            }
            Err(_) => {}
        }
        result.map(|made| Kept::from(self.write(store, key, &name, round, made)))
    }

    /// Waits until it is our turn to fetch, or another process has. One that holds the lock for
    /// half of our time is taken for stuck, and the next in line goes past it, once; not while a note
    /// holds the processes of the node up.
    fn turn<T: DeserializeOwned, E: DeserializeOwned>(
        &self,
        store: &Store,
        key: &Key,
        deadline: &Deadline,
    ) -> Result<Turn<T, E>, Missed<E>> {
        let name = self.scope.name(key);
        let patience = deadline.left() / 2;
        let begun = clock::instant();
        let mut pause = FIRST_PAUSE;
        let mut round = 0;
        loop {
            let lock = match store.try_lock(&lock_name(&name, round)) {
                Ok(lock) => lock,
                Err(why) => {
                    self.journal.warn(format!(
                        "the cache cannot be locked: {why}; several processes may fetch the same"
                    ));
                    return Ok(Turn::Unlocked);
                }
            };
            // What the last holder made or met is looked for with the lock in hand, too.
            if let Some(kept) = self.get_fresh(key) {
                return Ok(Turn::Theirs(kept));
            }
            if let Some(failure) = self.shared_failure(&name) {
                return Ok(Turn::TheirFailure(failure));
            }
            if let Some(lock) = lock {
                return Ok(Turn::Ours(round, lock));
            }
            let waited = clock::instant().saturating_duration_since(begun);
            let is_late = waited >= patience || deadline.left() <= pause;
            let is_held_up = is_late && self.is_held_up();
            if is_held_up {
                deadline.outlast_throttling();
            }
            if deadline.left() <= pause {
                self.journal.spent("waiting for another process", waited);
                return Err(Missed::Busy);
            }
            if waited >= patience && !is_held_up {
                round = 1;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE).mul_f64(0.75 + 0.25 * part(random::number()));
        }
    }

    fn shared_failure<E: DeserializeOwned>(&self, name: &str) -> Option<Failed<E>> {
        let (_, kept) = self.read::<Failed<E>>(&failure_name(name), None)?;
        let now = clock::since_boot();
        let young = now < kept.until || kept.since >= self.started;
        if !young || kept.since < self.not_before.get() {
            return None;
        }
        self.has_shared_a_failure.set(true);
        let ago = now.saturating_sub(kept.since).as_millis();
        self.journal.info(format!("another process asked {ago} ms ago, and failed"));
        Some(kept.value)
    }

    fn write_failure<E: Serialize>(
        &self,
        store: &Store,
        name: &str,
        round: u32,
        failed: &Failed<E>,
    ) {
        let now = clock::since_boot();
        let until = now + Rules::DEFAULT.shared_failure;
        let record = Record { of: "", since: now, fresh_until: until, until, value: failed };
        self.write_record(store, &failure_name(name), round, &record, now);
    }
}

/// 0 to 1.
fn part(random: u64) -> f64 {
    let [.., high] = random.to_le_bytes();
    f64::from(high) / f64::from(u8::MAX)
}
