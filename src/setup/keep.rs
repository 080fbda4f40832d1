//! Keeps a node as it is wanted: installs or uninstalls, looks again from time to time, and goes on
//! until somebody asks to stop.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::failure::{Exit, Failure};
use crate::setup::lease::{Lease, Turn};
use crate::setup::options::{Keep, Options};
use crate::setup::outcome::{IN_PLACE, Outcome};
use crate::setup::status::{self, State};
use crate::setup::{install, uninstall};
use crate::system::clock::{self, Clock};
use crate::system::stop::Stop;

/// Where it says that the node is as wanted.
const READY: &str = concat!("/run/", env!("CARGO_PKG_NAME"), "-keep/ready");

/// Longest pause behind a pass that failed: each may have restarted the kubelet twice.
const LONGEST: u32 = 3600;

/// Pause while this node cannot have the Lease, in seconds.
const TURN: u32 = 5;

/// Keeps the node until somebody asks to stop. `say` writes a line of the log.
///
/// # Errors
///
/// Options that do not go together.
pub fn run(options: &Options, stop: &Stop, say: &dyn Fn(&str)) -> Result<(), Failure> {
    let keep = &options.keep;
    let options = Options { restart: true, ..options.clone() };
    let mut keeper = Keeper {
        lease: Lease::of(keep, options.watch())?,
        ready: ready(keep),
        is_first: true,
        of_lease: String::new(),
        options: &options,
        stop,
        say,
    };
    let every = keep.every.unwrap_or(60).max(1);
    let mut pause = every;
    while !stop.is_asked() {
        let next = match keeper.pass() {
            Ok(Pass::Kept) => {
                pause = every;
                every
            }
            Ok(Pass::Waits) => TURN,
            Err(failure) => {
                keeper.unready();
                say(&failure.to_string());
                if stop.is_asked() {
                    break;
                }
                pause = pause.saturating_mul(2).min(LONGEST.max(every));
                say(&format!("tries again in {pause} seconds"));
                pause
            }
        };
        wait(stop, Duration::from_secs(next.into()));
    }
    keeper.unready();
    say("stopped; the node stays as it is");
    Ok(())
}

/// Whether a keeper says that the node is as wanted.
///
/// # Errors
///
/// If it does not.
pub fn is_ready(keep: &Keep) -> Result<(), Failure> {
    let ready = ready(keep);
    if ready.exists() {
        return Ok(());
    }
    let message = format!("not ready: {} is not there", ready.display());
    Err(Failure::new(Exit::Unexpected, message).hint("see the log of `setup keep`"))
}

fn ready(keep: &Keep) -> PathBuf {
    keep.ready.clone().unwrap_or_else(|| Path::new(READY).to_owned())
}

enum Pass {
    /// The node is as wanted.
    Kept,
    /// It is not, and its kubelet may not be restarted yet.
    Waits,
}

struct Keeper<'k> {
    options: &'k Options,
    stop: &'k Stop,
    say: &'k dyn Fn(&str),
    lease: Option<Lease>,
    ready: PathBuf,
    is_first: bool,
    /// What was said of the Lease last: it is said once.
    of_lease: String,
}

impl Keeper<'_> {
    /// Looks at the node, and changes it if it is not as wanted.
    fn pass(&mut self) -> Result<Pass, Failure> {
        if self.is_first {
            self.unready();
        }
        match self.would_change()? {
            Some(would) => {
                self.unready();
                if would.restart && !self.has_turn() {
                    return Ok(Pass::Waits);
                }
                match self.change() {
                    Ok(outcome) => (self.say)(outcome.text(false).trim_end()),
                    Err(failure) => {
                        // Otherwise no other kubelet is restarted before the Lease has run out.
                        if self.stop.is_asked() {
                            self.give_back();
                        }
                        return Err(failure);
                    }
                }
            }
            None if self.is_first => (self.say)(IN_PLACE),
            None => {}
        }
        self.is_first = false;
        self.give_back();
        self.make_ready()?;
        Ok(Pass::Kept)
    }

    /// What a run would do; none where there is nothing to do.
    fn would_change(&self) -> Result<Option<Outcome>, Failure> {
        let dry = Options { dry_run: true, ..self.options.clone() };
        if !self.options.keep.uninstall {
            let outcome = install::run(&dry, self.stop)?;
            return Ok((outcome.state != IN_PLACE).then_some(outcome));
        }
        match status::run(&dry)?.state {
            State::NotInstalled => Ok(None),
            State::Installed | State::Changed | State::Unfinished => {
                uninstall::run(&dry, self.stop).map(Some)
            }
        }
    }

    fn change(&self) -> Result<Outcome, Failure> {
        if self.options.keep.uninstall {
            uninstall::run(self.options, self.stop)
        } else {
            install::run(self.options, self.stop)
        }
    }

    /// Whether this node may restart its kubelet now.
    fn has_turn(&mut self) -> bool {
        let Some(lease) = &mut self.lease else { return true };
        let text = match lease.take(&Clock::default()) {
            Ok(Turn::Ours) => {
                self.say_once(
                    "has the Lease; changes the node and restarts its kubelet".to_owned(),
                );
                return true;
            }
            Ok(Turn::Of(holder)) => format!("waits for {holder}, whose kubelet is restarted first"),
            Err(failure) => {
                format!("{failure}\nwaits for the Lease; the kubelet is not restarted without it")
            }
        };
        self.say_once(text);
        false
    }

    /// Lets another node restart its kubelet. Where that fails, the next pass tries again.
    fn give_back(&mut self) {
        match self.lease.as_mut().map(Lease::give_back) {
            Some(Err(failure)) => self.say_once(format!(
                "{failure}\nthis node may still have the Lease, and others wait for it; tries again"
            )),
            _ => self.of_lease.clear(),
        }
    }

    fn say_once(&mut self, text: String) {
        if self.of_lease != text {
            (self.say)(&text);
            self.of_lease = text;
        }
    }

    fn make_ready(&self) -> Result<(), Failure> {
        let folder = self.ready.parent().unwrap_or(Path::new("/"));
        let made = fs::create_dir_all(folder).and_then(|()| fs::write(&self.ready, ""));
        made.map_err(|error| {
            let message = format!("cannot write {}: {error}", self.ready.display());
            Failure::new(Exit::Unexpected, message)
        })
    }

    fn unready(&self) {
        match fs::remove_file(&self.ready) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                (self.say)(&format!("cannot remove {}: {error}", self.ready.display()));
            }
            _ => {}
        }
    }
}

/// Waits, or until somebody asks to stop.
fn wait(stop: &Stop, time: Duration) {
    let begun = clock::instant();
    while !stop.is_asked() && begun.elapsed() < time {
        thread::sleep(Duration::from_millis(100));
    }
}
