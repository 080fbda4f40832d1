//! What the runs of a node have come to, as a file for `node_exporter`'s textfile collector.
//!
//! The numbers count from the start of the machine and are kept beside the cache; the file is
//! written again from them. A run that was answered from the cache writes nothing: the kubelet's own
//! metrics count it. What cannot be written is left out, for no pull may fail or wait for it.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::failure::{Exit, Failure};
use crate::program;
use crate::pull::registry_token::Login;
use crate::pull::run_history::Outcome;

const NAME: &str = "metrics";

/// Most series of one metric; what comes later is counted as `other`.
const MOST: usize = 64;

/// Upper bounds of the histogram, in milliseconds: most calls take less than a second, and none
/// takes longer than the longest `timeout`.
const BOUNDS: [u32; 9] = [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000];

/// What one run adds.
pub struct Run<'r> {
    pub host: &'r str,
    /// Who asked, if the run came so far.
    pub identity: &'static str,
    pub outcome: Outcome,
    pub failure: Option<&'r Failure>,
    /// Each call, and what it took.
    pub calls: Vec<(&'static str, Duration)>,
    /// Calls that a service throttled.
    pub throttled: u64,
    /// By how many seconds a service's clock is ahead of this machine's, if one was seen.
    pub clock_offset: Option<i64>,
    /// When it ended, in seconds since 1970.
    pub now: i64,
}

/// Everything that is counted.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Counts {
    runs: Series,
    failures: Series,
    calls: BTreeMap<String, Histogram>,
    throttled: u64,
    clock_offset: Option<i64>,
    last_success: Option<i64>,
}

/// A counter for each set of labels. The labels are kept as they are written.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Series(BTreeMap<String, u64>);

#[derive(Debug, Default, Serialize, Deserialize)]
struct Histogram {
    /// How many took at most each bound.
    within: [u64; BOUNDS.len()],
    count: u64,
    milliseconds: u64,
}

impl Series {
    fn add(&mut self, labels: &[(&str, &str)]) {
        let written = written(labels);
        if self.0.len() < MOST || self.0.contains_key(&written) {
            *self.0.entry(written).or_default() += 1;
        } else {
            let other: Vec<_> = labels.iter().map(|(name, _)| (*name, "other")).collect();
            *self.0.entry(self::written(&other)).or_default() += 1;
        }
    }
}

impl Histogram {
    fn add(&mut self, time: Duration) {
        for (count, bound) in self.within.iter_mut().zip(BOUNDS) {
            *count += u64::from(time <= Duration::from_millis(bound.into()));
        }
        self.count += 1;
        self.milliseconds += u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    }
}

impl Counts {
    fn add(mut self, run: &Run<'_>) -> Self {
        let outcome = match run.outcome {
            Outcome::Fetched => "fetched",
            Outcome::Stale => "stale",
            Outcome::Foreign => "foreign",
            Outcome::Failed => "failed",
        };
        let host = if run.outcome == Outcome::Foreign { "" } else { run.host };
        self.runs.add(&[("host", host), ("identity", run.identity), ("outcome", outcome)]);
        if let Some(failure) = run.failure {
            let code = failure.code.as_deref().unwrap_or_default();
            self.failures.add(&[("hop", hop(failure.exit)), ("code", code)]);
        }
        for (name, time) in &run.calls {
            self.calls.entry((*name).to_owned()).or_default().add(*time);
        }
        self.throttled += run.throttled;
        self.clock_offset = run.clock_offset.or(self.clock_offset);
        if run.outcome == Outcome::Fetched {
            self.last_success = Some(run.now);
        }
        self
    }
}

/// Where a run failed, by its exit code.
fn hop(exit: Exit) -> &'static str {
    match exit {
        Exit::Unexpected => "unexpected",
        Exit::Usage => "configuration",
        Exit::Identity => "identity",
        Exit::AssumeRole => "role",
        Exit::RegistryToken => "token",
        Exit::OutOfTime => "time",
    }
}

/// Adds a run, and writes the file.
pub fn note(run: &Run<'_>, file: &Path, cache: &Cache<'_>) {
    cache.rewrite(NAME, |counts: Counts| {
        let counts = counts.add(run);
        write(file, &counts, cache);
        counts
    });
}

/// Writes the file for what is there, without a run.
pub fn renew(file: &Path, cache: &Cache<'_>) {
    cache.rewrite(NAME, |counts: Counts| {
        write(file, &counts, cache);
        counts
    });
}

fn write(file: &Path, counts: &Counts, cache: &Cache<'_>) {
    let logins = cache.logins::<Login>();
    let shortest = logins.iter().map(|login| login.left().as_secs()).min();
    let _ = replace(file, &text(counts, logins.len(), shortest));
}

/// Puts a text in place of a file at once. Nothing that is there already is followed or kept open.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    // The collector reads what ends in `.prom` alone.
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(".new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&unfinished)?;
    new.write_all(text.as_bytes())?;
    fs::rename(&unfinished, file)
}

/// The text format of Prometheus, version 0.0.4.
fn text(counts: &Counts, logins: usize, shortest: Option<u64>) -> String {
    let mut page = Page(String::new());
    page.metric("build_info", "gauge", "The build of the program; always 1.");
    let target = program::target();
    let build = [
        ("version", program::VERSION),
        ("commit", program::COMMIT.unwrap_or_default()),
        ("target", target.as_str()),
    ];
    page.value("build_info", &written(&build), 1);
    page.metric("runs_total", "counter", "Runs that asked the cloud or failed, by outcome.");
    for (labels, count) in &counts.runs.0 {
        page.value("runs_total", labels, count);
    }
    page.metric(
        "failures_total",
        "counter",
        "Runs without a fresh login, by where and with which code of a service.",
    );
    for (labels, count) in &counts.failures.0 {
        page.value("failures_total", labels, count);
    }
    page.metric("cloud_call_duration_seconds", "histogram", "Calls to services of the cloud.");
    for (hop, calls) in &counts.calls {
        page.histogram("cloud_call_duration_seconds", hop, calls);
    }
    page.single(
        "throttled_calls_total",
        "counter",
        "Calls that a service throttled.",
        Some(counts.throttled),
    );
    page.single(
        "logins",
        "gauge",
        "Logins in the node's cache when this was written.",
        Some(logins),
    );
    page.single(
        "shortest_login_seconds",
        "gauge",
        "What was left of the login that ends first when this was written.",
        shortest,
    );
    page.single(
        "clock_offset_seconds",
        "gauge",
        "By how much a service's clock was ahead of this machine's when last seen.",
        counts.clock_offset,
    );
    page.single(
        "last_success_timestamp_seconds",
        "gauge",
        "When a login was last fetched.",
        counts.last_success,
    );
    page.0
}

struct Page(String);

impl Page {
    const PREFIX: &str = "acr_credential_provider_";

    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {0}{name} {help}\n# TYPE {0}{name} {kind}\n", Self::PREFIX);
    }

    /// A metric without labels, if it has a value.
    fn single(&mut self, name: &str, kind: &str, help: &str, value: Option<impl fmt::Display>) {
        if let Some(value) = value {
            self.metric(name, kind, help);
            self.value(name, "", value);
        }
    }

    /// `labels` are written already.
    fn value(&mut self, name: &str, labels: &str, value: impl fmt::Display) {
        let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(self.0, "{}{name}{braces} {value}", Self::PREFIX);
    }

    fn histogram(&mut self, name: &str, hop: &str, calls: &Histogram) {
        let bounds = BOUNDS.map(|bound| seconds(bound.into()));
        let bounds = bounds.iter().map(String::as_str).zip(calls.within);
        for (bound, count) in bounds.chain([("+Inf", calls.count)]) {
            self.value(&format!("{name}_bucket"), &written(&[("hop", hop), ("le", bound)]), count);
        }
        let hop = written(&[("hop", hop)]);
        self.value(&format!("{name}_sum"), &hop, seconds(calls.milliseconds));
        self.value(&format!("{name}_count"), &hop, calls.count);
    }
}

/// Milliseconds as seconds, without needless digits.
fn seconds(milliseconds: u64) -> String {
    let text = format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn written(labels: &[(&str, &str)]) -> String {
    let quoted = labels.iter().map(|(name, value)| {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("{name}=\"{value}\"")
    });
    quoted.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<'r>(host: &'r str, outcome: Outcome, failure: Option<&'r Failure>) -> Run<'r> {
        let calls = vec![("AssumeRole", Duration::from_millis(120))];
        let identity = "worker-role";
        Run {
            host,
            identity,
            outcome,
            failure,
            calls,
            throttled: 2,
            clock_offset: Some(-3),
            now: 7,
        }
    }

    #[test]
    fn runs_are_counted() {
        let failure =
            Failure { code: Some("a\"b".to_owned()), ..Failure::new(Exit::AssumeRole, "x") };
        let counts = Counts::default()
            .add(&run("h", Outcome::Fetched, None))
            .add(&run("h", Outcome::Failed, Some(&failure)))
            .add(&run("h", Outcome::Failed, Some(&failure)));
        let text = text(&counts, 3, Some(61));
        for line in [
            "runs_total{host=\"h\",identity=\"worker-role\",outcome=\"failed\"} 2",
            "failures_total{hop=\"role\",code=\"a\\\"b\"} 2",
            "cloud_call_duration_seconds_bucket{hop=\"AssumeRole\",le=\"0.1\"} 0",
            "cloud_call_duration_seconds_bucket{hop=\"AssumeRole\",le=\"0.25\"} 3",
            "cloud_call_duration_seconds_bucket{hop=\"AssumeRole\",le=\"+Inf\"} 3",
            "cloud_call_duration_seconds_sum{hop=\"AssumeRole\"} 0.36",
            "throttled_calls_total 6",
            "logins 3",
            "shortest_login_seconds 61",
            "clock_offset_seconds -3",
            "last_success_timestamp_seconds 7",
        ] {
            let line = format!("acr_credential_provider_{line}\n");
            assert!(text.contains(&line), "{line}{text}");
        }
    }

    /// A person who chooses hosts cannot fill the file.
    #[test]
    fn series_are_bounded() {
        let mut counts = Counts::default();
        for number in 0..1000 {
            counts = counts.add(&run(&format!("h{number}"), Outcome::Fetched, None));
        }
        assert_eq!(counts.runs.0.len(), MOST + 1);
        assert_eq!(counts.runs.0.values().sum::<u64>(), 1000);
    }
}
