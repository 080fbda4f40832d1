//! What is printed: a table for each measure, and what holds or does not.

use std::time::Duration;

use crate::process::{Contestant, Summary};

pub fn section(title: &str, about: &str) {
    println!("\n== {title}");
    for line in about.lines() {
        println!("   {}", line.trim());
    }
    println!();
}

pub fn row(name: &str, cells: &[String]) {
    let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:>14}")).collect();
    println!("   {name:<52}{}", cells.concat());
}

/// A row for each contestant. Best tenths are also given as parts of the first contestant's.
pub fn costs(contestants: &[Contestant<'_>], costs: &[Summary]) {
    row("", &["wall", "best tenth", "of the first", "cpu", "page faults"].map(str::to_owned));
    let first = costs.first().map_or(Duration::ZERO, |first| first.best_tenth);
    for ((name, _), Summary { median, best_tenth }) in contestants.iter().zip(costs) {
        let of_first = format!("{:.2} ×", ratio(*best_tenth, first));
        let cells = [ms(median.wall), ms(*best_tenth), of_first, ms(median.cpu)];
        row(name, &[&cells[..], &[median.faults.to_string()]].concat());
    }
}

/// What holds and what does not.
#[derive(Default)]
pub struct Report {
    kept: usize,
    broken: Vec<String>,
}

impl Report {
    /// A number of calls that must be met exactly.
    pub fn calls(&mut self, what: &str, calls: usize, expected: usize) {
        self.holds(what, calls == expected, &format!("{calls} calls"));
    }

    pub fn at_most(&mut self, what: &str, value: f64, limit: f64, unit: &str) {
        self.holds(what, value <= limit, &format!("{value:.2}{unit}, limit {limit:.2}{unit}"));
    }

    pub fn at_least(&mut self, what: &str, value: f64, limit: f64, unit: &str) {
        self.holds(what, value >= limit, &format!("{value:.2}{unit}, at least {limit:.2}{unit}"));
    }

    pub fn holds(&mut self, what: &str, holds: bool, detail: &str) {
        let mark = if holds { "ok    " } else { "BROKEN" };
        println!("   {mark} {what}: {detail}");
        if holds {
            self.kept += 1;
        } else {
            self.broken.push(format!("{what}: {detail}"));
        }
    }

    pub fn not_run(&mut self, what: &str, why: &str) {
        println!("   NOT RUN {what}: {why}");
        self.broken.push(format!("NOT RUN {what}: {why}"));
    }

    /// Whether every limit was looked at and holds.
    pub fn close(&self) -> bool {
        println!("\n{} limits hold, {} do not", self.kept, self.broken.len());
        for line in &self.broken {
            println!("  {line}");
        }
        self.broken.is_empty()
    }
}

pub fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

pub fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}
