//! What all processes of a node share, whatever their configuration: a note of when to go on, and one
//! process at a time.

use std::time::Duration;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::cache::keep::Cache;
use crate::cache::record::{digest, milliseconds, unfinished_name};
use crate::cache::store::{Lock, PLACE, Store, Unusable};
use crate::system::{clock, firmware};

/// Stands in the names where others have the configuration's place.
const NODE: &str = "000000000000";

/// What is known of something that holds all processes up.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Note<T> {
    /// Boot time from which on it says nothing any more.
    #[serde(with = "milliseconds")]
    pub until: Duration,
    pub value: T,
}

/// A lock that one process of the node has at a time.
pub struct NodeLock<'a> {
    store: &'a Store,
    name: String,
    _lock: Lock,
}

impl Drop for NodeLock<'_> {
    fn drop(&mut self) {
        // While it is still held: nobody else has the file.
        self.store.remove(&self.name);
    }
}

/// A note as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept<T> {
    /// Another start of the machine is another clock.
    boot: String,
    note: Note<T>,
}

impl Cache<'_> {
    /// The note of that name, if it was made since the machine started and still says something.
    #[must_use]
    pub fn note<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        read(self.there()?, &note_name(name))
    }

    /// Leaves a note to all processes of the node. False if it could not be written.
    pub fn leave_note<T: Serialize>(&self, name: &str, note: Note<T>) -> bool {
        let (Some(store), Some(boot)) = (self.store(), boot()) else { return false };
        let name = note_name(name);
        let body = serde_json::to_vec(&Kept { boot, note }).unwrap_or_default();
        store.write(&name, &unfinished_name(&name, 0), &body, clock::since_boot()).is_ok()
    }

    /// Takes a note away.
    pub fn remove_note(&self, name: &str) {
        if let Some(store) = self.there() {
            store.remove(&note_name(name));
        }
    }

    /// A lock that one process of the node has at a time; none if another has it. Nothing of it stays in
    /// the directory.
    ///
    /// # Errors
    ///
    /// When there are no locks.
    pub fn alone_on_node(&self, name: &str) -> Result<Option<NodeLock<'_>>, Unusable> {
        let store = self.store().ok_or(Unusable::NoDirectory)?;
        let name = format!("{}.lock", note_name(name));
        let lock = store.try_lock(&name)?;
        Ok(lock.map(|lock| NodeLock { store, name, _lock: lock }))
    }

    /// Whether some note holds processes up: who waits for one that fetches then does not take it for
    /// stuck.
    pub(super) fn is_held_up(&self) -> bool {
        let Some(store) = self.there() else { return false };
        let is_note = |name: &String| name.starts_with(NODE) && !name.contains('.');
        store
            .names()
            .into_iter()
            .filter(is_note)
            .any(|name| read::<IgnoredAny>(store, &name).is_some())
    }
}

fn read<T: DeserializeOwned>(store: &Store, name: &str) -> Option<T> {
    let contents = store.read(name).ok()??;
    let kept: Kept<T> = serde_json::from_slice(&contents.body).ok()?;
    let holds = clock::since_boot() < kept.note.until && kept.boot == boot()?;
    holds.then_some(kept.note.value)
}

fn note_name(name: &str) -> String {
    format!("{NODE}-{}", digest(&[name.as_bytes()], PLACE))
}

fn boot() -> Option<String> {
    firmware::boot_id().map(|id| digest(&[id.as_bytes()], PLACE))
}
