//! When to try again, and after how long: numbers only, no clock and no network.

use std::time::Duration;

/// How often a hop is tried when connections fail or the service answers 5xx. With the pauses
/// below that takes about two seconds: what has not come back by then is told, not waited for.
pub const MAX_TRIES: u32 = 5;

/// With less than this left no try is begun: nothing can come of it.
pub const SHORTEST_TRY: Duration = Duration::from_millis(50);

/// How long the pauses between tries are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pauses {
    /// The first pause is drawn from `0..=first`, each later one from a range twice as long.
    pub first: Duration,
    /// No pause is drawn from a longer range than this.
    pub longest: Duration,
}

/// Why another try may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Connection failure, broken answer or 5xx: likely to pass soon or not at all.
    Passing,
    /// The account's call limit is used up: passes for certain, so it is tried until the deadline.
    Throttled,
}

/// What follows a try that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another try, after this pause.
    Try(Duration),
    /// What may never pass has been tried often enough.
    GiveUp,
    /// Nothing could come of another try within the time that is left.
    OutOfTime,
}

impl Pauses {
    /// Those of the program; the simulated fleet of the tests also tries others.
    pub const DEFAULT: Self =
        Self { first: Duration::from_millis(250), longest: Duration::from_secs(4) };

    /// What to do after `tries` tries, with `left` until the deadline.
    ///
    /// "Full jitter": the whole range down to zero is drawn from, so that nodes that failed
    /// together do not come back together. `most` bounds the tries for what may never pass;
    /// `random` is uniform over all of `u64`.
    #[must_use]
    pub fn next(self, tries: u32, most: u32, reason: Reason, left: Duration, random: u64) -> Next {
        let doublings = tries.saturating_sub(1).min(16);
        let range = self.first.saturating_mul(1 << doublings).min(self.longest);
        let nanos = u128::from(random) * range.as_nanos() / u128::from(u64::MAX);
        let pause = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        if reason == Reason::Passing && tries >= most {
            return if left.is_zero() { Next::OutOfTime } else { Next::GiveUp };
        }
        if pause + SHORTEST_TRY > left { Next::OutOfTime } else { Next::Try(pause) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSES: Pauses = Pauses::DEFAULT;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn pauses_cover_the_whole_range_and_stop_growing() {
        let next = |tries, random| PAUSES.next(tries, 1, Reason::Throttled, MINUTE, random);
        assert_eq!(next(1, u64::MAX), Next::Try(PAUSES.first));
        assert_eq!(next(2, u64::MAX), Next::Try(PAUSES.first * 2));
        assert_eq!(next(60, u64::MAX), Next::Try(PAUSES.longest));
        assert_eq!(next(3, 0), Next::Try(Duration::ZERO));
    }

    #[test]
    fn what_may_never_pass_is_given_up() {
        let next = |tries, left| PAUSES.next(tries, MAX_TRIES, Reason::Passing, left, 0);
        assert_eq!(next(MAX_TRIES - 1, MINUTE), Next::Try(Duration::ZERO));
        assert_eq!(next(MAX_TRIES, MINUTE), Next::GiveUp);
        assert_eq!(next(MAX_TRIES, Duration::ZERO), Next::OutOfTime);
    }

    #[test]
    fn no_pause_is_begun_that_leaves_no_time_for_a_try() {
        let next = |left| PAUSES.next(1, 1, Reason::Throttled, left, u64::MAX);
        assert_eq!(next(PAUSES.first + SHORTEST_TRY), Next::Try(PAUSES.first));
        assert_eq!(next(PAUSES.first + SHORTEST_TRY / 2), Next::OutOfTime);
    }
}
