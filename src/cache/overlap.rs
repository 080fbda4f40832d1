//! What processes share that run at the same time, and the node must not keep: one of them makes it, the
//! others are connected to that one and get it from its memory.
//!
//! In the directory there is a socket, which holds nothing, and the lock of the one who makes it. Both
//! go with that process; one that is killed leaves the empty names behind, and the next takes them over.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::cache::keep::Cache;
use crate::cache::record::{Key, lock_name};
use crate::cache::single_flight::{Failed, Missed};
use crate::cache::store::{Lock, Store};
use crate::system::clock::{self, Deadline};

/// Between two tries to be connected to the one who makes it.
const PAUSE: Duration = Duration::from_millis(10);

/// For handing it to one other; it fits into the buffer of a socket.
const HANDING: Duration = Duration::from_millis(200);

/// What is handed over.
#[derive(Serialize, Deserialize)]
struct Handed<K, O> {
    /// The key in clear: names have only a digest of it.
    of: K,
    outcome: O,
}

#[derive(Serialize, Deserialize)]
enum Outcome<T, F> {
    Made(T),
    Failed(F),
    /// A failure that is not for others.
    Nothing,
}

/// Who makes it.
enum Turn<T, E> {
    /// This process, for all.
    Ours(Lock),
    /// This process, for itself.
    Alone,
    /// Another process has.
    Theirs(T),
    TheirFailure(Failed<E>),
}

/// The result of waiting for another process.
enum Waited<T, E> {
    Outcome(Outcome<T, Failed<E>>),
    /// It has ended without a word, or was about to.
    Gone,
    /// It is taken for stuck.
    Stuck,
}

impl Cache<'_> {
    /// What `make` makes, in this process or in another one that runs now.
    ///
    /// # Errors
    ///
    /// The failure of `make`, of this run or of another's, or that another process was at it for all
    /// of the time.
    pub fn overlap<T: Serialize + DeserializeOwned, E: Serialize + DeserializeOwned>(
        &self,
        key: &Key,
        deadline: &Deadline,
        make: impl FnOnce() -> Result<T, Failed<E>>,
    ) -> Result<T, Missed<E>> {
        let Some(store) = self.store() else { return make().map_err(Missed::Failed) };
        let name = self.scope.name(key);
        let (lock_name, socket) = (lock_name(&name, 0), format!("{name}.socket"));
        match self.turn_in_overlap(store, key, &lock_name, &socket, deadline)? {
            Turn::Theirs(value) => Ok(value),
            Turn::TheirFailure(failed) => {
                self.has_shared_a_failure.set(true);
                Err(Missed::Failed(failed))
            }
            Turn::Alone => make().map_err(Missed::Failed),
            Turn::Ours(lock) => {
                let Ok(listener) = store.listen(&socket) else {
                    store.remove(&lock_name);
                    drop(lock);
                    return make().map_err(Missed::Failed);
                };
                let result = make();
                store.remove(&socket);
                hand_over(&listener, key, &result);
                store.remove(&lock_name);
                result.map_err(Missed::Failed)
            }
        }
    }

    fn turn_in_overlap<T: DeserializeOwned, E: DeserializeOwned>(
        &self,
        store: &Store,
        key: &Key,
        lock_name: &str,
        socket: &str,
        deadline: &Deadline,
    ) -> Result<Turn<T, E>, Missed<E>> {
        let patience = deadline.left() / 2;
        let begun = clock::instant();
        loop {
            match store.try_lock(lock_name) {
                Err(_) => return Ok(Turn::Alone),
                Ok(Some(lock)) => return Ok(Turn::Ours(lock)),
                Ok(None) => {}
            }
            let waited = clock::instant().saturating_duration_since(begun);
            match self.wait(store, socket, key, deadline, patience.saturating_sub(waited)) {
                Waited::Outcome(Outcome::Made(value)) => return Ok(Turn::Theirs(value)),
                Waited::Outcome(Outcome::Failed(failed)) => return Ok(Turn::TheirFailure(failed)),
                Waited::Outcome(Outcome::Nothing) | Waited::Stuck => return Ok(Turn::Alone),
                Waited::Gone if deadline.left() <= PAUSE => return Err(Missed::Busy),
                Waited::Gone => std::thread::sleep(PAUSE),
            }
        }
    }

    /// Waits for what another process makes. One that takes longer than `patience` is stuck, unless a
    /// note holds the processes of the node up.
    fn wait<T: DeserializeOwned, E: DeserializeOwned>(
        &self,
        store: &Store,
        socket: &str,
        key: &Key,
        deadline: &Deadline,
        patience: Duration,
    ) -> Waited<T, E> {
        let Ok(stream) = store.connect(socket) else {
            return if patience.is_zero() { Waited::Stuck } else { Waited::Gone };
        };
        let mut text = Zeroizing::new(Vec::new());
        let mut is_read = read(&stream, patience.min(deadline.left()), &mut text);
        if !is_read && self.is_held_up() {
            deadline.outlast_throttling();
            is_read = read(&stream, deadline.left(), &mut text);
        }
        if !is_read {
            return Waited::Stuck;
        }
        match serde_json::from_slice::<Handed<String, _>>(&text) {
            Ok(Handed { of, outcome }) if of == key.of => Waited::Outcome(outcome),
            _ => Waited::Gone,
        }
    }
}

/// Whether the other side has said all within some time.
fn read(mut stream: &UnixStream, within: Duration, text: &mut Vec<u8>) -> bool {
    let within = within.max(Duration::from_millis(1));
    stream.set_read_timeout(Some(within)).is_ok() && stream.read_to_end(text).is_ok()
}

/// Hands what was made to all who are connected. Nobody can connect any more.
fn hand_over<T: Serialize, E: Serialize>(
    listener: &UnixListener,
    key: &Key,
    result: &Result<T, Failed<E>>,
) {
    let outcome = match result {
        Ok(value) => Outcome::Made(value),
        Err(failed) if failed.is_for_all => Outcome::Failed(failed),
        Err(_) => Outcome::Nothing,
    };
    let handed = Handed { of: key.of.as_str(), outcome };
    let text = Zeroizing::new(serde_json::to_vec(&handed).unwrap_or_default());
    if listener.set_nonblocking(true).is_err() {
        return;
    }
    while let Ok((mut stream, _)) = listener.accept() {
        // Who does not get it makes it.
        let _ = stream.set_write_timeout(Some(HANDING));
        let _ = stream.write_all(&text);
    }
}
