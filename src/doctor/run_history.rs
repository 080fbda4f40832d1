//! Whether the program was ever run here, and what came of it.

use std::path::Path;

use crate::cache::Cache;
use crate::doctor::report::{Check, Name};
use crate::pull::run_history::{self, Outcome, Run};

/// Runs that are listed.
const MOST: usize = 5;

/// The last runs that asked the cloud or failed, newest first.
#[must_use]
pub fn check(place: Result<&Path, &str>, cache: Option<&Cache<'_>>) -> Check {
    if let Err(why) = place {
        return Check::skipped(Name::LastRuns, why);
    }
    let runs = cache.map(run_history::runs).unwrap_or_default();
    if runs.is_empty() {
        return Check::skipped(
            Name::LastRuns,
            "no run with this configuration asked the cloud since this machine was started",
        );
    }
    let mut check = Check::new(Name::LastRuns);
    for run in runs.iter().rev().take(MOST) {
        check.detail(line(run));
        for warning in &run.warnings {
            check.detail(format!("{} {}: warning: {warning}", run.time, run.host));
        }
    }
    if runs.last().is_some_and(|run| run.outcome == Outcome::Failed) {
        check.warn("the last run failed", "see the checks above: they make the same calls");
    }
    check
}

fn line(run: &Run) -> String {
    let outcome = match run.outcome {
        Outcome::Fetched => "fetched",
        Outcome::Stale => "not renewed; the old login was returned",
        Outcome::Foreign => "not ours",
        Outcome::Failed => "failed",
    };
    let hops: Vec<String> =
        run.hops.iter().map(|hop| format!("{} {} ms", hop.name, hop.milliseconds)).collect();
    let message = run.message.as_ref().map_or(String::new(), |message| format!(": {message}"));
    let hops = if hops.is_empty() { "no call".to_owned() } else { hops.join(", ") };
    format!("{} {}: {outcome} ({hops}){message}", run.time, run.host)
}
