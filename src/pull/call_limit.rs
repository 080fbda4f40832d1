//! The limit for calls to STS, which all nodes of an account share: once it is used up, one process of
//! the node asks at a time, and none before a time that the node keeps.
//!
//! Where nothing can be kept, a run keeps to the same rules alone.

use std::cell::RefCell;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::aliyun::call::{CallError, Last, Network, Tries};
use crate::aliyun::endpoint::Endpoint;
use crate::aliyun::refusal::{Refusal, Sign};
use crate::cache::{Cache, NodeLock, Note};
use crate::config::IdentitySource;
use crate::net::congestion::{Congestion, Gate, Turn};
use crate::system::{clock, random};

const GATE: Gate = Gate::DEFAULT;

/// What the time goes to.
const WAITING: &str = "waiting for the call limit";

/// Between two looks at a lock that another process has.
const PAUSE: Duration = Duration::from_millis(20);

/// What the processes of the node know of the limit.
pub struct CallLimit<'a> {
    cache: &'a Cache<'a>,
    /// What this run knows, where the node keeps nothing.
    own: RefCell<Option<Known>>,
}

/// A limit that is used up, and how the service says so.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Known {
    congestion: Congestion,
    status: u16,
    code: String,
}

impl<'a> CallLimit<'a> {
    #[must_use]
    pub fn new(cache: &'a Cache<'a>) -> Self {
        Self { cache, own: RefCell::default() }
    }

    /// Asks when it is this run's turn, and again when the limit was used up. With the first answer the
    /// congestion is over for this node.
    ///
    /// # Errors
    ///
    /// What the last call came to, or that time ran out.
    pub fn ask<T>(
        &self,
        caller: &IdentitySource,
        endpoint: &Endpoint,
        network: &Network<'_>,
        mut call: impl FnMut() -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let name = caller.limit_group();
        let (mut last, mut tries) = (None, 0);
        let mut lock = self.lock(name, network, GATE.courtesy);
        loop {
            let known = self.known(name);
            if known.is_some() {
                network.deadline.outlast_throttling();
                lock = lock.or_else(|| self.lock(name, network, Duration::MAX));
            }
            // Another process may have had an answer meanwhile.
            let known = self.known(name);
            let congestion = known.as_ref().map(|known| known.congestion);
            match GATE.turn(congestion, clock::since_boot(), network.deadline.left()) {
                Turn::Ask => {}
                Turn::Wait(pause) => {
                    let seconds = pause.as_secs_f64();
                    network.journal.info(format!("STS is not asked for {seconds:.1}s"));
                    network.journal.spent(WAITING, pause);
                    std::thread::sleep(pause);
                    continue;
                }
                Turn::GiveUp => {
                    let before = known.map(|Known { status, code, .. }| Refusal {
                        status,
                        code,
                        ..Refusal::default()
                    });
                    let last = last.or(before).map(Last::Refused);
                    let host = endpoint.current().host().to_owned();
                    return Err(CallError::OutOfTime { host, last, tries: Tries(tries) });
                }
            }
            let asked = clock::since_boot();
            tries += 1;
            match call() {
                Err(CallError::Refused { refusal, .. }) if refusal.sign() == Sign::Throttling => {
                    network.deadline.outlast_throttling();
                    self.refused(name, asked, network.deadline.left(), &refusal);
                    last = Some(refusal);
                }
                Err(CallError::OutOfTime { host, last: later, .. }) if last.is_some() => {
                    let last = last.map(Last::Refused).or(later);
                    return Err(CallError::OutOfTime { host, last, tries: Tries(tries) });
                }
                result => {
                    let is_answer = matches!(result, Ok(_) | Err(CallError::Refused { .. }));
                    if is_answer && let Some(known) = known {
                        self.answered(name, known);
                    }
                    return result;
                }
            }
        }
    }

    fn known(&self, name: &str) -> Option<Known> {
        let known = self.cache.note::<Known>(name).or_else(|| self.own.borrow().clone());
        let now = clock::since_boot();
        known.filter(|known| GATE.lasting(Some(known.congestion), now).is_some())
    }

    fn answered(&self, name: &str, known: Known) {
        let congestion = GATE.answered(Some(known.congestion), clock::since_boot());
        if let Some(congestion) = congestion {
            self.keep(name, Known { congestion, ..known });
        } else {
            self.own.replace(None);
            self.cache.remove_note(name);
        }
    }

    /// A run that has little time left asks once more anyway.
    fn refused(&self, name: &str, asked: Duration, left: Duration, refusal: &Refusal) {
        let gate = Gate { first: GATE.first.min(left / 2), ..GATE };
        let known = self.known(name).map(|known| known.congestion);
        let hint = refusal.limited_for.unwrap_or_default();
        let congestion = gate.refused(known, asked, clock::since_boot(), hint, random::number());
        let (status, code) = (refusal.status, refusal.code.clone());
        self.keep(name, Known { congestion, status, code });
    }

    fn keep(&self, name: &str, value: Known) {
        let until = GATE.ends(value.congestion);
        let is_kept = self.cache.leave_note(name, Note { until, value: value.clone() });
        self.own.replace((!is_kept).then_some(value));
    }

    /// The lock, if it can be had within some time.
    fn lock(&self, name: &str, network: &Network<'_>, patience: Duration) -> Option<NodeLock<'_>> {
        let begun = clock::instant();
        loop {
            match self.cache.alone_on_node(name) {
                Ok(Some(lock)) => return Some(lock),
                Err(_) => return None,
                Ok(None) => {}
            }
            let waited = clock::instant().saturating_duration_since(begun);
            if waited >= patience || network.deadline.left() <= PAUSE {
                return None;
            }
            std::thread::sleep(PAUSE);
            network.journal.spent(WAITING, PAUSE);
        }
    }
}
