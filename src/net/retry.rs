//! When to try again, and after how long: numbers only, no clock and no network.

use std::time::Duration;

/// How often a hop is tried when connections fail or the service answers 5xx. With the pauses
/// below that takes about two seconds: what fails for longer is reported.
pub const MAX_TRIES: u32 = 5;

/// With less than this left no try is begun: it cannot end in time.
pub const SHORTEST_TRY: Duration = Duration::from_millis(50);

/// Why another try may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Connection failure, broken answer or 5xx: likely to pass soon or not at all.
    Passing,
    /// The account's call limit is used up: passes for certain, so it is tried until the deadline.
    Throttled,
}

/// How long the pauses between tries are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pauses {
    /// The first pause is drawn from a range up to this, each later one from one twice as long.
    pub first: Duration,
    /// No range goes beyond this.
    pub longest: Duration,
}

/// What follows a try that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another try, after this pause.
    Try(Duration),
    /// What may never pass has been tried often enough.
    GiveUp,
    /// Another try could not end within the time that is left.
    OutOfTime,
}

impl Pauses {
    /// Those of the program; the simulated fleet of the tests also tries others.
    ///
    /// The whole of a range is left to chance ("full jitter"): nodes that failed together must not
    /// come back together.
    pub fn after(reason: Reason) -> Self {
        match reason {
            Reason::Passing => {
                Self { first: Duration::from_millis(250), longest: Duration::from_secs(4) }
            }
            // The limit counts by the second: a try within the same second fails again.
            Reason::Throttled => {
                Self { first: Duration::from_secs(2), longest: Duration::from_secs(8) }
            }
        }
    }

    /// The pause after `tries` tries; `random` is uniform over all of `u64`.
    pub fn pause(self, tries: u32, random: u64) -> Duration {
        let doublings = tries.saturating_sub(1).min(16);
        let range = self.first.saturating_mul(1 << doublings).min(self.longest);
        let nanos = range.as_nanos() * u128::from(random) / u128::from(u64::MAX);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// What to do after `tries` tries, with `left` until the deadline. `most` bounds the tries for
    /// what may never pass, and no pause is shorter than `least`.
    pub fn next(
        self,
        tries: u32,
        most: u32,
        reason: Reason,
        least: Duration,
        left: Duration,
        random: u64,
    ) -> Next {
        if reason == Reason::Passing && tries >= most {
            return if left.is_zero() { Next::OutOfTime } else { Next::GiveUp };
        }
        let pause = self.pause(tries, random).max(least);
        if pause + SHORTEST_TRY > left { Next::OutOfTime } else { Next::Try(pause) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn pauses_double_until_they_are_longest() {
        for reason in [Reason::Passing, Reason::Throttled] {
            let pauses = Pauses::after(reason);
            let longest = |tries| pauses.pause(tries, u64::MAX);
            assert_eq!(longest(1), pauses.first);
            assert_eq!(longest(2), pauses.first * 2);
            assert_eq!(longest(60), pauses.longest);
        }
    }

    #[test]
    fn chance_has_the_whole_range() {
        for reason in [Reason::Passing, Reason::Throttled] {
            assert_eq!(Pauses::after(reason).pause(3, 0), Duration::ZERO);
        }
    }

    #[test]
    fn what_may_never_pass_is_given_up() {
        let pauses = Pauses::after(Reason::Passing);
        let next =
            |tries, left| pauses.next(tries, MAX_TRIES, Reason::Passing, Duration::ZERO, left, 0);
        assert_eq!(next(MAX_TRIES - 1, MINUTE), Next::Try(Duration::ZERO));
        assert_eq!(next(MAX_TRIES, MINUTE), Next::GiveUp);
        assert_eq!(next(MAX_TRIES, Duration::ZERO), Next::OutOfTime);
    }

    #[test]
    fn throttling_is_tried_while_there_is_time_for_a_try() {
        let pauses = Pauses::after(Reason::Throttled);
        let next =
            |left| pauses.next(60, MAX_TRIES, Reason::Throttled, Duration::ZERO, left, u64::MAX);
        assert_eq!(next(pauses.longest + SHORTEST_TRY), Next::Try(pauses.longest));
        assert_eq!(next(pauses.longest + SHORTEST_TRY / 2), Next::OutOfTime);
    }

    #[test]
    fn no_pause_is_shorter_than_the_service_asks_for() {
        let next = |left| {
            Pauses::after(Reason::Throttled).next(1, MAX_TRIES, Reason::Throttled, MINUTE, left, 0)
        };
        assert_eq!(next(MINUTE * 2), Next::Try(MINUTE));
        assert_eq!(next(MINUTE), Next::OutOfTime);
    }
}
