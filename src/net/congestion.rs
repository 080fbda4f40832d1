//! When a node asks again after its account's call limit was used up: numbers only, no clock, no file
//! and no network.
//!
//! Nodes that boot together want more calls than their account has. A call that is refused helps
//! nobody, so a node asks with one process at a time, and all of its processes stay away until a time
//! that the node keeps. The longer the limit stays used up, the longer they stay away. Times are those
//! since the machine started.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A run that meets the limit may last so long in all, where nothing else is configured. The kubelet
/// kills it after a minute.
pub const PATIENCE: Duration = Duration::from_secs(50);

/// What a node knows of a limit that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Congestion {
    /// When the first call was refused.
    since: Duration,
    /// Before this no process of the node asks.
    until: Duration,
}

/// The numbers of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    /// The longest pause after the first refusal; all of it is left to chance.
    pub first: Duration,
    /// A later pause is as long as this, or as the part below of the time since the first refusal if
    /// that is longer.
    pub later: Duration,
    pub part: u32,
    /// No pause is longer.
    pub longest: Duration,
    /// So many tenths of a later pause are left to chance. Nodes that were refused together come back
    /// scattered; each of them comes back no more often than it must.
    pub tenths: u32,
    /// When no call was refused for so long after a pause, the congestion is over.
    pub forgotten: Duration,
}

impl Gate {
    /// Those of the program; the simulated fleet of the tests also tries others.
    pub const DEFAULT: Self = Self {
        first: Duration::from_secs(6),
        later: Duration::from_secs(22),
        part: 8,
        longest: Duration::from_secs(60),
        tenths: 3,
        forgotten: Duration::from_secs(60),
    };

    /// What the node knows after a refusal. `hint` is how long the service says that the limit stays
    /// used up; `random` is uniform over all of `u64`.
    #[must_use]
    pub fn refused(
        self,
        known: Option<Congestion>,
        now: Duration,
        hint: Duration,
        random: u64,
    ) -> Congestion {
        let known = known.filter(|known| self.lasts(known, now));
        let pause = match known {
            None => chance(self.first, random),
            Some(known) => {
                let lasted = now.saturating_sub(known.since);
                let whole = (lasted / self.part).clamp(self.later, self.longest);
                whole.saturating_sub(chance(whole * self.tenths / 10, random))
            }
        };
        let pause = pause.max(hint).min(self.longest);
        Congestion { since: known.map_or(now, |known| known.since), until: now + pause }
    }

    /// How long the node stays away.
    #[must_use]
    pub fn wait(self, known: Option<Congestion>, now: Duration) -> Duration {
        let known = known.filter(|known| self.lasts(known, now));
        known.map_or(Duration::ZERO, |known| known.until.saturating_sub(now))
    }

    /// Whether what a node knows still holds. What is beyond all rules was not written by this program.
    fn lasts(self, known: &Congestion, now: Duration) -> bool {
        known.since <= now
            && known.until <= now + self.longest
            && now < known.until + self.forgotten
    }
}

/// Anything from nothing to `most`.
fn chance(most: Duration, random: u64) -> Duration {
    let nanos = (most.as_nanos() * u128::from(random)) >> 64;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATE: Gate = Gate::DEFAULT;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn refused(known: Option<Congestion>, now: u64, random: u64) -> Congestion {
        GATE.refused(known, seconds(now), Duration::ZERO, random)
    }

    #[test]
    fn a_node_that_was_never_refused_does_not_wait() {
        assert_eq!(GATE.wait(None, seconds(100)), Duration::ZERO);
    }

    #[test]
    fn pauses_grow_with_the_congestion_up_to_the_longest() {
        let first = refused(None, 100, u64::MAX);
        assert!(GATE.wait(Some(first), seconds(100)) < GATE.first);
        assert_eq!(GATE.wait(Some(refused(None, 100, 0)), seconds(100)), Duration::ZERO);
        let mut known = first;
        for (now, pause) in [(106, 22), (128, 22), (350, 31), (381, 35), (900, 60)] {
            // Refused all the while.
            known = Congestion { until: seconds(now), ..known };
            known = refused(Some(known), now, 0);
            assert_eq!(GATE.wait(Some(known), seconds(now)).as_secs(), pause, "at {now}");
        }
    }

    #[test]
    fn chance_has_three_tenths_of_a_later_pause() {
        let first = refused(None, 100, 0);
        let later = refused(Some(first), 101, u64::MAX);
        let wait = GATE.wait(Some(later), seconds(101));
        assert!(wait >= GATE.later * 7 / 10 && wait < GATE.later * 71 / 100, "{wait:?}");
    }

    #[test]
    fn what_the_service_says_is_waited_for_within_bounds() {
        let hinted = |hint| GATE.refused(None, seconds(100), hint, 0);
        assert_eq!(GATE.wait(Some(hinted(seconds(9))), seconds(100)), seconds(9));
        assert_eq!(GATE.wait(Some(hinted(seconds(9000))), seconds(100)), GATE.longest);
    }

    #[test]
    fn a_congestion_is_forgotten_and_another_boot_knows_nothing_of_it() {
        let known = refused(Some(refused(None, 100, 0)), 101, 0);
        let over = 101 + 22 + 60;
        let since = |now| refused(Some(known), now, 0).since;
        assert_eq!((since(over - 1), since(over)), (seconds(100), seconds(over)));
        // Times of a boot that lasted longer.
        assert_eq!(GATE.wait(Some(known), seconds(5)), Duration::ZERO);
    }
}
