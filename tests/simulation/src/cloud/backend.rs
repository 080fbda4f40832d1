//! What the services share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::clock::Clock;
use super::cr::Logins;
use super::description::Description;
use super::fault::Counters;
use super::hop::Hop;
use super::identity::Sessions;
use super::journal::Journal;
use super::jwt::ProviderKeys;
use super::leaks::SecretKind;
use super::lock;
use super::metadata::MetadataState;
use super::registry::bearer::TokenSigner;
use super::world::World;

pub(super) struct Backend {
    world: RwLock<Arc<World>>,
    pub(super) clock: Clock,
    pub(super) journal: Journal,
    pub(super) sessions: Sessions,
    pub(super) logins: Logins,
    pub(super) nonces: Nonces,
    pub(super) metadata: MetadataState,
    pub(super) provider_keys: ProviderKeys,
    pub(super) token_signer: TokenSigner,
    pub(super) throttle: TokenBuckets,
    pub(super) counters: Counters,
    pub(super) stopping: Stopping,
    /// Where requests can be led to; known once the ports are.
    pub(super) own_urls: OnceLock<OwnUrls>,
}

pub(super) struct OwnUrls {
    pub(super) sink: String,
    pub(super) registry: String,
}

impl Backend {
    pub(super) fn new(description: Description) -> Result<Self, String> {
        let backend = Self {
            world: RwLock::new(Arc::new(World::new(Description::default())?)),
            clock: Clock::default(),
            journal: Journal::default(),
            sessions: Sessions::default(),
            logins: Logins::default(),
            nonces: Nonces::default(),
            metadata: MetadataState::default(),
            provider_keys: ProviderKeys::default(),
            token_signer: TokenSigner::new()?,
            throttle: TokenBuckets::default(),
            counters: Counters::default(),
            stopping: Stopping::default(),
            own_urls: OnceLock::new(),
        };
        backend.become_world(description)?;
        Ok(backend)
    }

    /// Takes another world in place of the present one. What was issued stays issued.
    pub(super) fn become_world(&self, description: Description) -> Result<(), String> {
        let world = World::new(description)?;
        self.clock.set_offset(world.description.clock.offset_seconds);
        for (id, secret) in world.access_key_secrets() {
            self.journal.secrets.add(SecretKind::AccessKeySecret, id, secret);
        }
        for (provider, _) in world.oidc_providers() {
            self.provider_keys.ensure(&provider);
        }
        let mut present = self.world.write().unwrap_or_else(PoisonError::into_inner);
        if present.description.faults != world.description.faults {
            self.counters.reset();
        }
        *present = Arc::new(world);
        Ok(())
    }

    pub(super) fn world(&self) -> Arc<World> {
        Arc::clone(&self.world.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Every nonce that an AccessKey has ever sent.
#[derive(Debug, Default)]
pub(super) struct Nonces(Mutex<BTreeMap<String, BTreeSet<String>>>);

impl Nonces {
    /// Remembers a nonce; whether it is new.
    pub(super) fn is_new(&self, access_key_id: &str, nonce: &str) -> bool {
        lock(&self.0).entry(access_key_id.to_owned()).or_default().insert(nonce.to_owned())
    }
}

/// Limits calls per second, by account.
#[derive(Debug, Default)]
pub(super) struct TokenBuckets(Mutex<BTreeMap<String, (f64, Instant)>>);

impl TokenBuckets {
    /// Takes a token, if there is one. A bucket holds as many as are filled in a second.
    #[expect(
        clippy::disallowed_methods,
        reason = "a limit per real second, whatever the clock says"
    )]
    pub(super) fn take(&self, account: &str, per_second: u32) -> bool {
        let now = Instant::now();
        let size = f64::from(per_second);
        let mut buckets = lock(&self.0);
        let (tokens, filled) = buckets.entry(account.to_owned()).or_insert((size, now));
        *tokens = (*tokens + now.duration_since(*filled).as_secs_f64() * size).min(size);
        *filled = now;
        let enough = *tokens >= 1.0;
        if enough {
            *tokens -= 1.0;
        }
        enough
    }
}

/// Ends waiting threads when the cloud is dropped.
#[derive(Debug, Default)]
pub(super) struct Stopping {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stopping {
    pub(super) fn stop(&self) {
        *lock(&self.stopped) = true;
        self.changed.notify_all();
    }

    /// Sleeps; whether the cloud still runs.
    pub(super) fn sleep(&self, duration: Duration) -> bool {
        let stopped = lock(&self.stopped);
        let waited = self.changed.wait_timeout_while(stopped, duration, |stopped| !*stopped);
        let (stopped, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !*stopped
    }
}

/// What becomes known of a request while it is worked on, for the record.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) hop: Hop,
    pub(super) who: Option<String>,
    pub(super) what: Option<String>,
    /// The `Code` of the answer.
    pub(super) code: Option<String>,
    pub(super) request_id: String,
}
