//! Running a program to its end, and what that cost.

use std::error::Error;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// A program with everything that it is given. The environment is empty but for `env`.
#[derive(Clone, Debug, Default)]
pub struct Program {
    pub path: PathBuf,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    /// A file, so that nobody has to feed a pipe while the clock runs.
    pub stdin: Option<PathBuf>,
}

/// What one run cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// From before the start to after the end.
    pub wall: Duration,
    /// On all processors, in user mode and in the kernel.
    pub cpu: Duration,
    /// Pages that were not there when they were first used.
    pub faults: u64,
}

impl Program {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    pub fn command(&self, path: impl Into<PathBuf>) -> Result<Command, Box<dyn Error>> {
        let mut command = Command::new(path.into());
        command.env_clear().envs(self.env.iter().cloned());
        command.stdin(match &self.stdin {
            Some(file) => Stdio::from(File::open(file)?),
            None => Stdio::null(),
        });
        Ok(command)
    }

    /// Runs it, with nobody looking at what it says. A failure is an error.
    pub fn cost(&self) -> Result<Cost, Box<dyn Error>> {
        let mut command = self.command(&self.path)?;
        command.args(&self.args).stdout(Stdio::null()).stderr(Stdio::null());
        // The process has no other children while it waits for this one.
        let (cpu_before, faults_before) = used_by_children()?;
        let start = now();
        let status = command.spawn()?.wait()?;
        let wall = start.elapsed();
        let (cpu, faults) = used_by_children()?;
        if !status.success() {
            return Err(format!("{}: {status}", self.path.display()).into());
        }
        let cpu = cpu.saturating_sub(cpu_before);
        Ok(Cost { wall, cpu, faults: faults.saturating_sub(faults_before) })
    }

    /// Runs it and takes what it prints.
    pub fn answer(&self) -> Result<String, Box<dyn Error>> {
        let output = self.command(&self.path)?.args(&self.args).output()?;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("{}: {}: {complaint}", self.path.display(), output.status).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

fn used_by_children() -> Result<(Duration, u64), Box<dyn Error>> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let microseconds =
        usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    let faults = u64::try_from(usage.minor_page_faults())?;
    Ok((Duration::from_micros(u64::try_from(microseconds)?), faults))
}

#[expect(clippy::disallowed_methods, reason = "a process has no other clock to be measured by")]
pub fn now() -> Instant {
    Instant::now()
}

/// One of the things that are compared: run once for each call.
pub type Contestant<'a> = (&'a str, &'a mut dyn FnMut() -> Result<Cost, Box<dyn Error>>);

/// What many runs of one contestant cost.
pub struct Summary {
    /// The median of each.
    pub median: Cost,
    /// Wall time that one run in ten stays below: what it takes undisturbed.
    pub best_tenth: Duration,
}

/// What a comparison has found.
pub struct Comparison {
    /// By contestant.
    pub summaries: Vec<Summary>,
    /// How often each was run, repetitions included.
    pub runs: usize,
}

/// A median so many times the best tenth: the machine had other things to do.
const DISTURBED: f64 = 1.35;
const ATTEMPTS: usize = 6;
const PAUSE: Duration = Duration::from_secs(2);

/// Runs all in turn, A B C A B C …, so that whatever else the machine does meets all alike.
///
/// It does not burden all alike: who waits for a wake-up loses more than who computes. So a
/// comparison that was disturbed is made again, and the calmest counts, whatever it says.
pub fn compare(
    rounds: usize,
    contestants: &mut [Contestant<'_>],
) -> Result<Comparison, Box<dyn Error>> {
    let mut calmest: Option<(f64, Vec<Summary>)> = None;
    let mut runs = 0;
    while runs < ATTEMPTS * rounds && calmest.as_ref().is_none_or(|(least, _)| *least > DISTURBED) {
        if runs > 0 {
            thread::sleep(PAUSE);
        }
        runs += rounds;
        let summaries = compare_once(rounds, contestants)?;
        let disturbance = summaries
            .iter()
            .map(|summary| summary.median.wall.as_secs_f64() / summary.best_tenth.as_secs_f64())
            .fold(0.0, f64::max);
        println!("   measured; the median is up to {disturbance:.2} × the best tenth");
        if calmest.as_ref().is_none_or(|(least, _)| disturbance < *least) {
            calmest = Some((disturbance, summaries));
        }
    }
    let (least, summaries) = calmest.ok_or("nothing was measured")?;
    if least > DISTURBED {
        println!("   the machine stayed busy: wall times say little");
    }
    Ok(Comparison { summaries, runs })
}

fn compare_once(
    rounds: usize,
    contestants: &mut [Contestant<'_>],
) -> Result<Vec<Summary>, Box<dyn Error>> {
    let mut costs = vec![Vec::with_capacity(rounds); contestants.len()];
    for _ in 0..rounds {
        for ((name, run), costs) in contestants.iter_mut().zip(&mut costs) {
            costs.push(run().map_err(|error| format!("{name}: {error}"))?);
        }
    }
    let summary = |costs: &Vec<Cost>| {
        let walls = || costs.iter().map(|cost| cost.wall);
        let cpu = median(costs.iter().map(|cost| cost.cpu));
        let faults = costs.iter().map(|cost| cost.faults).min().unwrap_or_default();
        Summary {
            median: Cost { wall: median(walls()), cpu, faults },
            best_tenth: part(walls(), 10),
        }
    };
    Ok(costs.iter().map(summary).collect())
}

pub fn median(values: impl Iterator<Item = Duration>) -> Duration {
    part(values, 2)
}

/// The value that one in so many stays below.
fn part(values: impl Iterator<Item = Duration>, in_so_many: usize) -> Duration {
    let mut values: Vec<Duration> = values.collect();
    values.sort();
    values.get(values.len() / in_so_many).copied().unwrap_or_default()
}
