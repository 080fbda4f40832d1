//! What a fleet did, in the words of docs/scale.md.

use std::fmt::Write;
use std::time::Duration;

use super::service::queued;
use super::simulation::{Outcome, run};
use super::{Fleet, PER_SECOND};

const HOUR: usize = 3600;

/// The figures of one fleet. Rates are calls per second.
pub struct Report {
    pub nodes: usize,
    pub registries: usize,
    /// Calls of `AssumeRole` that the boot cannot do without.
    pub needed: usize,
    /// When all nodes had all logins if their calls stood in a queue, and the longest that one
    /// node waited.
    pub queue: (Duration, Duration),
    pub half: Duration,
    pub most: Duration,
    pub all: Duration,
    /// The longest that a node waited, from its own boot on.
    pub slowest: Duration,
    pub served: usize,
    pub throttled: u32,
    pub out_of_time: usize,
    pub last_pull: Duration,
    pub mean: f64,
    pub busiest_second: u32,
    /// Of each hour.
    pub busiest_minutes: Vec<f64>,
    pub calls_later: u32,
    pub throttled_later: u32,
    pub waited_later: usize,
}

impl Report {
    pub fn of(fleet: &Fleet) -> Self {
        let outcome = run(fleet);
        let served = outcome.served.len();
        let at = |part: usize| outcome.served.get(part).map_or(Duration::MAX, |(_, at)| *at);
        let from = usize::try_from(fleet.booted.as_secs()).unwrap();
        let later = |times: &[Duration]| times.iter().filter(|at| **at >= fleet.booted).count();
        let lasts = usize::try_from(fleet.lasts.as_secs()).unwrap();
        let (calls, throttled) = (&outcome.limit.calls[..lasts], &outcome.limit.throttled[..lasts]);
        let calls_later = calls[from..].iter().sum();
        let busiest = |hour: &[u32]| hour.windows(60).map(|minute| minute.iter().sum()).max();
        let minute = |hour: usize| {
            let calls: u32 = busiest(&calls[hour.max(from)..(hour + HOUR).min(lasts)]).unwrap_or(0);
            f64::from(calls) / 60.0
        };
        Self {
            nodes: fleet.nodes,
            registries: fleet.registries,
            needed: outcome.wanted.len(),
            queue: queue(&outcome),
            half: at(fleet.nodes / 2),
            most: at(fleet.nodes * 99 / 100),
            all: at(fleet.nodes - 1),
            slowest: outcome
                .served
                .iter()
                .map(|(boots, at)| at.saturating_sub(*boots))
                .max()
                .unwrap(),
            served,
            throttled: throttled[..from].iter().sum(),
            out_of_time: outcome.out_of_time.len() - later(&outcome.out_of_time),
            last_pull: outcome.last_pull,
            mean: f64::from(calls_later) / whole(lasts - from),
            busiest_second: calls[from..].iter().max().copied().unwrap_or(0),
            busiest_minutes: (0..lasts).step_by(HOUR).map(minute).collect(),
            calls_later,
            throttled_later: throttled[from..].iter().sum(),
            waited_later: later(&outcome.waited),
        }
    }

    pub fn busiest_minute(&self) -> f64 {
        self.busiest_minutes.iter().copied().fold(0.0, f64::max)
    }

    pub fn throttled_per_node(&self) -> f64 {
        f64::from(self.throttled) / whole(self.nodes)
    }
}

fn queue(outcome: &Outcome) -> (Duration, Duration) {
    let arrivals: Vec<Duration> = outcome.wanted.iter().map(|(_, at)| *at).collect();
    let served = queued(&arrivals);
    let waited = outcome
        .wanted
        .iter()
        .zip(&served)
        .map(|((node, _), at)| at.saturating_sub(outcome.boots[*node]));
    (served.iter().copied().max().unwrap(), waited.max().unwrap())
}

/// One line for each boot.
pub fn boots(lines: &[(&str, &Report)]) -> String {
    let mut table = String::from(
        "| boot | calls needed | dictated | all nodes served | the slowest node | calls wasted | for each node |\n|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for (name, report) in lines {
        let Report { needed, queue, all, slowest, throttled, .. } = *report;
        assert_eq!(report.served, report.nodes, "{name}");
        let cells = [
            grouped(*needed),
            seconds(queue.0),
            seconds(*all),
            seconds(*slowest),
            grouped(*throttled as usize),
            format!("{:.1}", report.throttled_per_node()),
        ];
        writeln!(table, "| {name} | {} |", cells.join(" | ")).unwrap();
    }
    table
}

/// One column for each fleet.
pub fn table(columns: &[(&str, &Report)]) -> String {
    let first = columns[0].1;
    let mut table =
        format!("| {} nodes, {} registries each |", grouped(first.nodes), first.registries);
    for (name, _) in columns {
        write!(table, " {name} |").unwrap();
    }
    table.push_str("\n|---|");
    table.push_str(&"---:|".repeat(columns.len()));
    table.push('\n');
    let mut row = |what: &str, cell: &dyn Fn(&Report) -> String| {
        write!(table, "| {what} |").unwrap();
        for (_, report) in columns {
            write!(table, " {} |", cell(report)).unwrap();
        }
        table.push('\n');
    };
    row("**the boot:** AssumeRole calls needed", &|report| grouped(report.needed));
    row(&format!("all nodes have all logins, as {PER_SECOND} calls a second dictate"), &|report| {
        seconds(report.queue.0)
    });
    row("half of the nodes have all logins", &|report| seconds(report.half));
    row("99 % of the nodes have all logins", &|report| seconds(report.most));
    row("all nodes have all logins", &|report| seconds(report.all));
    row("the slowest node, from its own boot on", &|report| seconds(report.slowest));
    row("the same in a queue in order of arrival", &|report| seconds(report.queue.1));
    row("calls wasted (answered Throttling)", &|report| grouped(report.throttled as usize));
    row("calls wasted for each node", &|report| format!("{:.1}", report.throttled_per_node()));
    row("runs that ended with exit code 6, after which the kubelet came again", &|report| {
        grouped(report.out_of_time)
    });
    row("the last pod may pull its image", &|report| seconds(report.last_pull));
    row("**six hours:** AssumeRole calls a second", &|report| format!("{:.1}", report.mean));
    row("in the busiest minute of each hour", &|report| {
        let minutes: Vec<String> =
            report.busiest_minutes.iter().map(|rate| format!("{rate:.0}")).collect();
        minutes.join(", ")
    });
    row("in the busiest second", &|report| report.busiest_second.to_string());
    row("calls wasted after the boot", &|report| grouped(report.throttled_later as usize));
    row("pods that waited for a login after the boot", &|report| grouped(report.waited_later));
    table
}

fn whole(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// With commas between thousands.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
