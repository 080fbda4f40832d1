//! How long what was fetched is worth keeping: numbers only, no clock, no file and no network.
//!
//! Durations are what is left, or what is wanted, at the moment that a caller asks about.

use std::time::Duration;

/// The numbers of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// A login is renewed once it has less than this part of its life left, however large the
    /// configured threshold is: else a long threshold would renew a short-lived login all the time.
    pub largest_share: u32,
    /// Up to this part of the threshold is taken off at random, so that nodes that fetched together
    /// do not renew together.
    pub spread: u32,
    /// A role session is used again while no more than this part of it is over: a login lives no
    /// longer than the session that asked for it.
    pub session_used_up: u32,
    /// How long the kubelet may keep a login that should have been renewed and could not be.
    pub stale_answer: Duration,
    /// A login that has less left is not handed out any more: it could end on the way to the
    /// registry, and the service reports its time in whole seconds.
    pub least_left: Duration,
    /// For how long others take over a failure instead of asking again: longer than it takes to
    /// start all the processes of a burst, shorter than the kubelet's shortest pause between two
    /// pulls (10 s).
    pub shared_failure: Duration,
}

impl Rules {
    /// Those of the program; the simulated fleet of the tests also tries others.
    pub const DEFAULT: Self = Self {
        largest_share: 3,
        spread: 10,
        session_used_up: 10,
        stale_answer: Duration::from_secs(5 * 60),
        least_left: Duration::from_secs(5),
        shared_failure: Duration::from_secs(3),
    };

    /// What a login may have left before it is renewed. `random` is uniform over all of `u64`.
    pub fn renew_below(self, life: Duration, threshold: Duration, random: u64) -> Duration {
        let most = threshold.max(self.least_left).min(life / self.largest_share);
        let nanos = (most / self.spread).as_nanos() * u128::from(random) / u128::from(u64::MAX);
        most.saturating_sub(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// How long a role session that lives for `life` is worth another login.
    pub fn session_worth(self, life: Duration) -> Duration {
        life / self.session_used_up
    }
}

/// What the kubelet gets: `min(expireDuration, time left − margin)` in whole seconds, never
/// negative.
pub fn cache_seconds(left: Duration, margin: Duration, expire_duration: u32) -> u64 {
    let left = left.as_secs();
    left.saturating_sub(margin.as_secs()).min(u64::from(expire_duration))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARGIN: Duration = Duration::from_secs(30);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn cache_seconds_end_before_the_login_does() {
        let seconds_of = |milliseconds, expire_duration| {
            cache_seconds(Duration::from_millis(milliseconds), MARGIN, expire_duration)
        };
        assert_eq!(seconds_of(3_600_000, 3600), 3570);
        assert_eq!(seconds_of(3_599_999, 3600), 3569);
        assert_eq!(seconds_of(43_200_000, 3600), 3600);
        assert_eq!(seconds_of(43_200_000, 43_200), 43_170);
        assert_eq!(seconds_of(29_000, 3600), 0);
        assert_eq!(seconds_of(0, 3600), 0);
    }

    #[test]
    fn renewal_begins_at_the_threshold_or_a_little_later_and_never_before_two_thirds() {
        let quarter = seconds(900);
        assert_eq!(Rules::DEFAULT.renew_below(seconds(3600), quarter, 0), quarter);
        assert_eq!(Rules::DEFAULT.renew_below(seconds(3600), quarter, u64::MAX), seconds(810));
        assert_eq!(Rules::DEFAULT.renew_below(seconds(900), quarter, 0), seconds(300));
        let never = Duration::ZERO;
        assert_eq!(Rules::DEFAULT.renew_below(seconds(3600), never, 0), seconds(5));
    }

    /// What docs/operations.md promises of a login that could not be renewed.
    #[test]
    fn a_login_that_should_have_been_renewed_is_kept_for_five_minutes() {
        assert_eq!(Rules::DEFAULT.stale_answer, seconds(300));
    }

    #[test]
    fn a_session_is_used_again_in_the_first_tenth_of_its_life() {
        assert_eq!(Rules::DEFAULT.session_worth(seconds(3600)), seconds(360));
    }
}
