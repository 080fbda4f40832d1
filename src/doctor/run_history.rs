//! Whether the program was ever run here, and with what result.

use std::path::Path;

use jiff::Timestamp;

use crate::cache::Cache;
use crate::doctor::cache::Unseen;
use crate::doctor::report::{Check, Name};
use crate::program::PROGRAM;
use crate::pull::identity::AUDIENCE;
use crate::pull::run_history::{self, Outcome, Run};

const NAME: Name = Name("last runs");

/// Runs that are listed.
const MOST: usize = 5;

/// Runs that the kubelet makes only if it may ask for tokens of pods.
pub struct WithTokens {
    pub hosts: Vec<String>,
    /// When the kubelet started, in seconds since 1970.
    pub since: Option<i64>,
    /// The command that shows the kubelet's log.
    pub log: String,
}

/// The last runs that asked the cloud or failed, newest first.
#[must_use]
pub fn check(
    place: Result<&Path, Unseen>,
    cache: Option<&Cache<'_>>,
    with_tokens: &WithTokens,
) -> Check {
    if let Err(why) = place {
        return Check::skipped(NAME, why.to_string());
    }
    let runs = cache.map(run_history::runs).unwrap_or_default();
    let never: Vec<&str> = with_tokens
        .hosts
        .iter()
        .map(String::as_str)
        .filter(|host| !with_tokens.has(host, &runs))
        .collect();
    if runs.is_empty() && never.is_empty() {
        return Check::skipped(
            NAME,
            "no run with this configuration asked the cloud since this machine was started",
        );
    }
    let mut check = Check::new(NAME);
    for run in runs.iter().rev().take(MOST) {
        check.detail(line(run));
        for warning in &run.warnings {
            check.detail(format!("{} {}: warning: {warning}", run.time, run.host));
        }
    }
    if !never.is_empty() {
        check.warn(
            format!(
                "no run for {} since the kubelet started, which sends tokens of pods: if pods wait, it may not be allowed to ask for them",
                never.join(", ")
            ),
            format!(
                "{} | grep 'audience \"{AUDIENCE}\" not found'; if that is there, on a machine with kubectl: {PROGRAM} render rbac | kubectl apply -f -",
                with_tokens.log
            ),
        );
        check.also(["docs/troubleshooting.md has the line of the kubelet's log for each reason, below `Pod identity without a word of ours`".to_owned()]);
    }
    if runs.last().is_some_and(|run| run.outcome == Outcome::Failed) {
        check.warn("the last run failed", "see the checks above: they make the same calls");
    }
    check
}

impl WithTokens {
    /// Whether there was a run for a host; true where that cannot be known.
    fn has(&self, host: &str, runs: &[Run]) -> bool {
        let Some(since) = self.since else { return true };
        let is_since =
            |run: &&Run| run.time.parse::<Timestamp>().is_ok_and(|time| time.as_second() >= since);
        runs.iter().filter(is_since).any(|run| run.host == host)
    }
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
