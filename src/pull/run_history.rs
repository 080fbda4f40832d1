//! What happened in the last runs that asked the cloud, or failed: the kubelet throws stderr away when a run
//! succeeds, so this is where to look afterwards.
//!
//! A small file beside the cache. It may never fail or delay an answer: what cannot be written is
//! left out, and an answer from the cache writes nothing.

use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::failure::Failure;
use crate::kubelet::exec_api::Pod;
use crate::pull::registry_token::Served;
use crate::system::clock::Clock;
use crate::system::log::Journal;

/// Runs that are remembered.
const MOST: usize = 50;

/// Warnings of one run that are remembered.
const MOST_WARNINGS: usize = 3;

const NAME: &str = "trace";

/// One run. No secret is in it: a failure's texts never hold one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// By this machine's wall clock, RFC 3339.
    pub time: String,
    pub host: String,
    pub outcome: Outcome,
    /// What a reader of the kubelet's log would have seen first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// An answer that a program reads comes without them on stderr.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    pub hops: Vec<Hop>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// A login was fetched.
    Fetched,
    /// It could not be renewed, and the old one was handed out.
    Stale,
    /// The host is not ours.
    Foreign,
    Failed,
}

/// One kind of call, and what all of them took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    pub name: String,
    pub milliseconds: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub request_ids: Vec<String>,
}

impl Outcome {
    /// What a run has come to, and why it has no fresh login.
    pub fn of(result: &Result<Option<Served>, Failure>) -> (Self, Option<&Failure>) {
        match result {
            Ok(Some(Served { stale: None, .. })) => (Self::Fetched, None),
            Ok(Some(Served { stale: Some(failure), .. })) => (Self::Stale, Some(failure)),
            Ok(None) => (Self::Foreign, None),
            Err(failure) => (Self::Failed, Some(failure)),
        }
    }
}

impl Run {
    pub fn new(
        time: String,
        host: &str,
        outcome: Outcome,
        failure: Option<&Failure>,
        journal: &Journal,
    ) -> Self {
        let hops = journal.take_hops().into_iter().map(|(name, time, request_ids)| Hop {
            name: name.to_owned(),
            milliseconds: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
            request_ids,
        });
        let message = failure.map(Failure::text);
        let (host, hops) = (host.to_owned(), hops.collect());
        Self { time, host, outcome, message, warnings: Vec::new(), hops }
    }
}

/// Notes the result of a run that asked the cloud, or failed before it could. Of a pod's own identity
/// nothing is written down, and what failed may speak of it: that is in the kubelet's log alone.
pub fn note(
    host: &str,
    pod: Pod<'_>,
    result: &Result<Option<Served>, Failure>,
    clock: &Clock,
    journal: &Journal,
    cache: &Cache<'_>,
) {
    if journal.longest().is_none() && (result.is_ok() || cache.has_shared_a_failure()) {
        return;
    }
    let (outcome, failure) = Outcome::of(result);
    let time = clock.local().to_string();
    let failure = failure.filter(|_| pod.token.is_none());
    let mut run = Run::new(time, host, outcome, failure, journal);
    if pod.token.is_none() {
        run.warnings = journal.warnings();
        run.warnings.truncate(MOST_WARNINGS);
    }
    add(cache, run);
}

/// Adds a run, if that can be done at once.
fn add(cache: &Cache<'_>, run: Run) {
    cache.rewrite(NAME, |mut runs: Vec<Run>| {
        runs.push(run);
        let superfluous = runs.len().saturating_sub(MOST);
        runs.drain(..superfluous);
        runs
    });
}

/// The runs that are remembered, oldest first.
pub fn runs(cache: &Cache<'_>) -> Vec<Run> {
    cache.look(NAME).unwrap_or_default()
}
