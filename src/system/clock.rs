//! The only place that reads a clock.

use std::cell::Cell;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// Wall-clock time, corrected by what a service said of it.
///
/// Requests are refused when their time stamp is more than 15 minutes off; the service's `Date`
/// header then has the right time, and every later request of this run uses it.
#[derive(Debug, Default)]
pub struct Clock {
    offset_seconds: Cell<i64>,
    /// By how many seconds a service's clock was ahead of this machine's when last seen.
    seen: Cell<Option<i64>>,
}

impl Clock {
    /// Now, in whole seconds, as this machine has it.
    pub fn local(&self) -> Timestamp {
        let second = self.now().as_second().saturating_sub(self.offset_seconds.get());
        Timestamp::from_second(second).unwrap_or_default()
    }

    /// Now, in whole seconds, as the services see it as far as we know.
    pub fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "the one reading of wall-clock time")]
        let local = Timestamp::now();
        Timestamp::from_second(local.as_second().saturating_add(self.offset_seconds.get()))
            .unwrap_or(local)
    }

    /// Notes what a service's clock says.
    pub fn see(&self, service: Timestamp) {
        let local = self.now().as_second().saturating_sub(self.offset_seconds.get());
        self.seen.set(Some(service.as_second().saturating_sub(local)));
    }

    /// By how many seconds a service's clock was last ahead of this machine's.
    pub fn seen(&self) -> Option<i64> {
        self.seen.get()
    }

    /// Now, by the service's clock that was last seen; by this machine's where none was.
    pub fn services(&self) -> Timestamp {
        let second = self.local().as_second().saturating_add(self.seen.get().unwrap_or(0));
        Timestamp::from_second(second).unwrap_or_default()
    }

    /// Takes the service's time for ours. Returns by how many seconds the clock was off.
    pub fn correct(&self, service: Timestamp) -> i64 {
        let off = service.as_second().saturating_sub(self.now().as_second());
        self.offset_seconds.set(self.offset_seconds.get().saturating_add(off));
        off
    }
}

/// Time since the machine started, sleep included. Nobody can set it, and it is the same for all
/// processes of the machine (`clock_gettime(2)`, `CLOCK_BOOTTIME`).
pub fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let part = |number: i64| u64::try_from(number).unwrap_or(0);
    Duration::from_secs(part(time.tv_sec)) + Duration::from_nanos(part(time.tv_nsec))
}

/// A monotonic instant, for time spent.
#[expect(clippy::disallowed_methods, reason = "the one reading of monotonic time")]
pub fn instant() -> Instant {
    Instant::now()
}

/// An answer that takes this long is slow, but may well come.
const SHORTEST_ATTEMPT: Duration = Duration::from_secs(5);

/// The one deadline of a whole call.
///
/// The kubelet kills a plugin after 60 seconds and then logs only that it did
/// (`plugin.go`, `ExecPlugin`), so ours must come first to be read.
#[derive(Debug)]
pub struct Deadline {
    start: Instant,
    /// What was gone when it was set.
    before: Duration,
    total: Cell<Duration>,
    /// As long as the whole may take if a call limit is used up.
    patience: Cell<Duration>,
}

impl Deadline {
    pub fn new(start: Instant, total: Duration) -> Self {
        let before = instant().saturating_duration_since(start);
        Self { start, before, total: Cell::new(total), patience: Cell::new(total) }
    }

    /// The same deadline, for a run that may go on for longer if a call limit is used up.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        self.patience.set(patience);
        self
    }

    /// Goes on for as long as a run may that meets a used-up call limit. What is worth only a part of
    /// the time gets no more of it.
    pub fn outlast_throttling(&self) {
        self.total.set(self.total.get().max(self.patience.get()));
    }

    /// The time that was gone when it was set: for the request, and for what says how long it is.
    pub fn before(&self) -> Duration {
        self.before
    }

    pub fn total(&self) -> Duration {
        self.total.get()
    }

    /// Does something that is worth only a part of the time that is left.
    pub fn within_share<T>(&self, share: u32, work: impl FnOnce() -> T) -> T {
        if share <= 1 {
            return work();
        }
        let (whole, patience) = (self.total.get(), self.patience.replace(Duration::ZERO));
        self.total.set(self.elapsed() + self.left() / share);
        let result = work();
        self.total.set(whole);
        self.patience.set(patience);
        result
    }

    pub fn elapsed(&self) -> Duration {
        instant().saturating_duration_since(self.start)
    }

    pub fn left(&self) -> Duration {
        self.total.get().saturating_sub(self.elapsed())
    }

    /// How long one attempt may take: a third of the whole, so that a hop whose first
    /// connection hangs gets another, but no less than 5 seconds, and never more than
    /// what is left.
    pub fn attempt(&self) -> Duration {
        self.left().min((self.total.get() / 3).max(SHORTEST_ATTEMPT))
    }
}
