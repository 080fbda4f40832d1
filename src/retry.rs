//! When to try again, and after how long: numbers only, no clock and no network.

use std::time::Duration;

/// How often a hop is tried when connections fail or the service answers 5xx. With the pauses
/// below that takes about two seconds: what has not come back by then is told, not waited for.
pub const MAX_TRIES: u32 = 5;

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

impl Pauses {
    /// Those of the program; the simulated fleet of the tests also tries others.
    pub const DEFAULT: Self =
        Self { first: Duration::from_millis(250), longest: Duration::from_secs(4) };

    /// The pause before the next try, or none when there should not be one.
    ///
    /// "Full jitter": the whole range down to zero is drawn from, so that nodes that failed
    /// together do not come back together. `tries` counts those made, `most` bounds them for what
    /// may never pass; `random` is uniform over all of `u64`.
    #[must_use]
    pub fn pause(self, tries: u32, most: u32, reason: Reason, random: u64) -> Option<Duration> {
        if reason == Reason::Passing && tries >= most {
            return None;
        }
        let doublings = tries.saturating_sub(1).min(16);
        let range = self.first.saturating_mul(1 << doublings).min(self.longest);
        let nanos = u128::from(random) * range.as_nanos() / u128::from(u64::MAX);
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSES: Pauses = Pauses::DEFAULT;

    #[test]
    fn pauses_cover_the_whole_range_and_stop_growing() {
        let longest = |tries| PAUSES.pause(tries, MAX_TRIES, Reason::Throttled, u64::MAX);
        assert_eq!(longest(1), Some(PAUSES.first));
        assert_eq!(longest(2), Some(PAUSES.first * 2));
        assert_eq!(longest(60), Some(PAUSES.longest));
        assert_eq!(PAUSES.pause(3, MAX_TRIES, Reason::Throttled, 0), Some(Duration::ZERO));
    }

    #[test]
    fn what_may_never_pass_is_given_up() {
        assert!(PAUSES.pause(MAX_TRIES - 1, MAX_TRIES, Reason::Passing, 7).is_some());
        assert_eq!(PAUSES.pause(MAX_TRIES, MAX_TRIES, Reason::Passing, 7), None);
    }
}
