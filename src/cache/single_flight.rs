//! Who fetches when many processes ask at once: one takes the lock of a key, the others wait for what
//! comes of it, a failure included.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Cache, lock_name};
use crate::cache::freshness::Rules;
use crate::cache::record::{Kept, Key, Made, Record};
use crate::cache::store::{Lock, Store};
use crate::failure::{Exit, Failure};
use crate::system::clock::{self, Deadline};
use crate::system::random;

/// Pauses between two looks at a lock that another process holds.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(40);

/// How the name of a file ends that holds the failure of the last attempt.
pub(super) const FAILED: &str = ".failed";

/// Who fetches.
enum Turn<T> {
    /// We do; how many before us were waited for in vain, and the lock.
    Ours(u32, Lock),
    /// Another process has.
    Theirs(Kept<T>),
    TheirFailure(Failure),
    /// Nobody can be kept from it: there are no locks.
    Unlocked,
}

impl Cache<'_> {
    /// What `fetch` makes, in this process or in another one that has the lock.
    pub(super) fn fetch_once<T: Serialize + DeserializeOwned>(
        &self,
        key: &Key,
        deadline: &Deadline,
        fetch: impl FnOnce() -> Result<Made<T>, Failure>,
    ) -> Result<Kept<T>, Failure> {
        let turn = self.store().map(|store| (store, self.turn(store, key, deadline)));
        let (store, round, _lock) = match turn {
            None | Some((_, Ok(Turn::Unlocked))) => return fetch().map(Kept::from),
            Some((_, Ok(Turn::Theirs(kept)))) => return Ok(kept),
            Some((_, Err(failure) | Ok(Turn::TheirFailure(failure)))) => return Err(failure),
            Some((store, Ok(Turn::Ours(round, lock)))) => (store, round, lock),
        };
        let name = self.scope.name(key);
        match fetch() {
            Ok(made) => {
                store.remove(&failure_name(&name));
                Ok(Kept::from(self.write(store, key, &name, round, made)))
            }
            Err(failure) => {
                // Who had no time left to ask has learnt nothing for the others.
                if failure.exit != Exit::OutOfTime || self.journal.longest().is_some() {
                    self.write_failure(store, &name, round, &failure);
                }
                Err(failure)
            }
        }
    }

    /// Waits until it is our turn to fetch, or another process has. One that holds the lock for
    /// half of our time is taken for stuck, and the next in line goes past it, once.
    fn turn<T: DeserializeOwned>(
        &self,
        store: &Store,
        key: &Key,
        deadline: &Deadline,
    ) -> Result<Turn<T>, Failure> {
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
            if deadline.left() <= pause {
                self.journal.spent("waiting for another process", waited);
                return Err(Failure::new(
                    Exit::OutOfTime,
                    "out of time waiting for another process of this program, which is fetching the same",
                )
                .hint("look for a process of this program that hangs, and end it")
                .passing());
            }
            if waited >= patience {
                round = 1;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE).mul_f64(0.75 + 0.25 * part(random::number()));
        }
    }

    fn shared_failure(&self, name: &str) -> Option<Failure> {
        let (_, kept) = self.read::<Failure>(&failure_name(name), None)?;
        let now = clock::since_boot();
        let young = now < kept.until || kept.since >= self.started;
        if !young || kept.since < self.not_before.get() {
            return None;
        }
        self.has_shared_a_failure.set(true);
        let ago = now.saturating_sub(kept.since).as_millis();
        self.journal.info(format!("another process has asked {ago} ms ago, and failed"));
        Some(kept.value)
    }

    fn write_failure(&self, store: &Store, name: &str, round: u32, failure: &Failure) {
        let now = clock::since_boot();
        let until = now + Rules::DEFAULT.shared_failure;
        let record = Record { of: "", since: now, fresh_until: until, until, value: failure };
        self.write_record(store, &failure_name(name), round, &record, now);
    }
}

fn failure_name(name: &str) -> String {
    format!("{name}{FAILED}")
}

/// 0 to 1.
fn part(random: u64) -> f64 {
    let [.., high] = random.to_le_bytes();
    f64::from(high) / f64::from(u8::MAX)
}
