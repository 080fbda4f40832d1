//! Whether the program was ever run here, and what came of it.

use std::path::Path;

use crate::cache::Cache;
use crate::doctor::report::Station;
use crate::pull::run_history::{self, Outcome, Run};

const NAME: &str = "last runs";

/// Runs that are told.
const TOLD: usize = 5;

/// The station: the last runs that asked the cloud or failed, newest first.
#[must_use]
pub fn station(place: Result<&Path, &str>, cache: Option<&Cache<'_>>) -> Station {
    if let Err(why) = place {
        return Station::skipped(NAME, format!("they are noted in the cache; {why}"));
    }
    let runs = cache.map(run_history::runs).unwrap_or_default();
    if runs.is_empty() {
        return Station::skipped(
            NAME,
            "none with this configuration file has asked the cloud, or failed, since this machine was started",
        );
    }
    let mut station = Station::new(NAME);
    for run in runs.iter().rev().take(TOLD) {
        station.tell(line(run));
    }
    if runs.last().is_some_and(|run| run.outcome == Outcome::Failed) {
        station.warn("the last one failed", "see the stations above: they ask the same again");
    }
    station
}

fn line(run: &Run) -> String {
    let outcome = match run.outcome {
        Outcome::Fetched => "fetched",
        Outcome::Stale => "not renewed, the old login was handed out",
        Outcome::Foreign => "not ours",
        Outcome::Failed => "failed",
    };
    let hops: Vec<String> =
        run.hops.iter().map(|hop| format!("{} {} ms", hop.name, hop.milliseconds)).collect();
    let message = run.message.as_ref().map_or(String::new(), |message| format!(": {message}"));
    let hops = if hops.is_empty() { "no call".to_owned() } else { hops.join(", ") };
    format!("{} {}: {outcome} ({hops}){message}", run.time, run.host)
}
