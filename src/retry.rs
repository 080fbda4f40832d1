//! When to try again, and after how long: numbers only, no clock and no network.

use std::time::Duration;

/// How often a hop is tried when connections fail or the service answers 5xx. With the pauses
/// below that takes about two seconds: what has not come back by then is told, not waited for.
pub const MAX_TRIES: u32 = 5;

/// The first pause is drawn from `0..=FIRST_PAUSE`, each later one from a range twice as long.
pub const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// No pause is drawn from a longer range than this.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// Why another try may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Connection failure, broken answer or 5xx: likely to pass soon or not at all.
    Passing,
    /// The account's call limit is used up: passes for certain, so it is tried until the deadline.
    Throttled,
}

/// The pause before the next try, or none when there should not be one.
///
/// "Full jitter": the whole range down to zero is drawn from, so that nodes that failed together
/// do not come back together. `tries` counts those made, `most` bounds them for what may never
/// pass; `random` is uniform over all of `u64`.
#[must_use]
pub fn pause(tries: u32, most: u32, reason: Reason, random: u64) -> Option<Duration> {
    if reason == Reason::Passing && tries >= most {
        return None;
    }
    let doublings = tries.saturating_sub(1).min(16);
    let range = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
    let nanos = u128::from(random) * range.as_nanos() / u128::from(u64::MAX);
    Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_cover_the_whole_range_and_stop_growing() {
        let longest = |tries| pause(tries, MAX_TRIES, Reason::Throttled, u64::MAX);
        assert_eq!(longest(1), Some(FIRST_PAUSE));
        assert_eq!(longest(2), Some(FIRST_PAUSE * 2));
        assert_eq!(longest(60), Some(LONGEST_PAUSE));
        assert_eq!(pause(3, MAX_TRIES, Reason::Throttled, 0), Some(Duration::ZERO));
    }

    #[test]
    fn what_may_never_pass_is_given_up() {
        assert!(pause(MAX_TRIES - 1, MAX_TRIES, Reason::Passing, 7).is_some());
        assert_eq!(pause(MAX_TRIES, MAX_TRIES, Reason::Passing, 7), None);
    }
}
