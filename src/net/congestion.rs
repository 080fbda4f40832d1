//! When a node asks again after its account's call limit was used up: numbers only, no clock, no file
//! and no network.
//!
//! Nodes that boot together want more calls than their account has. A call that is refused helps
//! nobody, so a node asks with one process at a time, and all of its processes stay away until a time
//! that the node keeps. The longer the limit stays used up, the longer they stay away. An answer
//! ends all that. Times are those since the machine started.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::net::retry::SHORTEST_TRY;

/// What a node knows of a limit that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Congestion {
    /// When the first call was refused.
    since: Duration,
    /// Before this no process of the node asks.
    until: Duration,
}

/// What a process does that wants to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Ask,
    /// Nobody asks for so long.
    Wait(Duration),
    /// Nobody asks before this run must have ended.
    GiveUp,
}

/// The numbers of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    /// The longest pause after the first refusal; all of it is left to chance.
    pub first: Duration,
    /// A later pause.
    pub later: Duration,
    /// It grows by half of what the congestion lasts beyond this.
    pub long: Duration,
    /// No pause is longer.
    pub longest: Duration,
    /// So many tenths of a later pause are left to chance. Nodes that were refused together come back
    /// scattered; each of them comes back no more often than it must.
    pub tenths: u32,
    /// When no call was refused for so long after a pause, the congestion is over.
    pub forgotten: Duration,
    /// How long a process waits for the answer that another one is getting, where no call was refused
    /// yet: if that answer is a refusal, the process asks nothing.
    pub courtesy: Duration,
}

impl Gate {
    /// Those of the program; the simulated fleet of the tests also tries others.
    pub const DEFAULT: Self = Self {
        first: Duration::from_secs(8),
        later: Duration::from_secs(22),
        long: Duration::from_secs(130),
        longest: Duration::from_secs(60),
        tenths: 3,
        forgotten: Duration::from_secs(60),
        courtesy: Duration::from_millis(250),
    };

    /// What the node knows after a call that began at `asked` was refused. `hint` is how long the
    /// service says that the limit stays used up; `random` is uniform over all of `u64`.
    #[must_use]
    pub fn refused(
        self,
        known: Option<Congestion>,
        asked: Duration,
        now: Duration,
        hint: Duration,
        random: u64,
    ) -> Congestion {
        let known = self.lasting(known, now);
        let pause = match known {
            None => chance(self.first, random),
            // Another process was refused while this one asked: that says nothing new.
            Some(known) if asked < known.since => known.until.saturating_sub(now),
            Some(known) => {
                let lasted = now.saturating_sub(known.since);
                let whole = self.later + lasted.saturating_sub(self.long) / 2;
                let whole = whole.min(self.longest);
                whole.saturating_sub(chance(whole * self.tenths / 10, random))
            }
        };
        let pause = pause.max(hint).min(self.longest);
        Congestion { since: known.map_or(now, |known| known.since), until: now + pause }
    }

    /// What the node knows after an answer: nobody waits any more. Only a congestion that was long is
    /// remembered for a while, for the length of the pause should the limit be used up again.
    #[must_use]
    pub fn answered(self, known: Option<Congestion>, now: Duration) -> Option<Congestion> {
        let known = self.lasting(known, now)?;
        let is_long = now.saturating_sub(known.since) > self.long;
        is_long.then_some(Congestion { until: known.until.min(now), ..known })
    }

    /// What a process does that wants to ask and has `left` until its deadline.
    #[must_use]
    pub fn turn(self, known: Option<Congestion>, now: Duration, left: Duration) -> Turn {
        let until = self.lasting(known, now).map_or(now, |known| known.until);
        let wait = until.saturating_sub(now);
        match wait {
            _ if wait + SHORTEST_TRY > left => Turn::GiveUp,
            Duration::ZERO => Turn::Ask,
            _ => Turn::Wait(wait),
        }
    }

    /// When a node forgets what it knows.
    #[must_use]
    pub fn ends(self, known: Congestion) -> Duration {
        known.until + self.forgotten
    }

    /// What a node knows, if it still holds. What is beyond all rules was not written by this program.
    #[must_use]
    pub fn lasting(self, known: Option<Congestion>, now: Duration) -> Option<Congestion> {
        known.filter(|known| {
            known.since <= now && known.until <= now + self.longest && now < self.ends(*known)
        })
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
    const PATIENCE: Duration = Duration::from_secs(600);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn refused(known: Option<Congestion>, now: u64, random: u64) -> Congestion {
        GATE.refused(known, seconds(now), seconds(now), Duration::ZERO, random)
    }

    fn wait(known: Congestion, now: u64) -> Duration {
        match GATE.turn(Some(known), seconds(now), PATIENCE) {
            Turn::Wait(wait) => wait,
            Turn::Ask => Duration::ZERO,
            Turn::GiveUp => panic!("there is time"),
        }
    }

    #[test]
    fn a_node_that_was_never_refused_does_not_wait() {
        assert_eq!(GATE.turn(None, seconds(100), PATIENCE), Turn::Ask);
    }

    #[test]
    fn pauses_grow_with_the_congestion_up_to_the_longest() {
        let first = refused(None, 100, u64::MAX);
        assert!(wait(first, 100) < GATE.first);
        assert_eq!(wait(refused(None, 100, 0), 100), Duration::ZERO);
        let mut known = first;
        for (now, pause) in [(108, 22), (230, 22), (250, 32), (290, 52), (900, 60)] {
            // Refused all the while.
            known = Congestion { until: seconds(now), ..known };
            known = refused(Some(known), now, 0);
            let pause = seconds(pause);
            let waits = wait(known, now);
            assert!(waits >= pause && waits < pause + seconds(1), "{waits:?} at {now}");
        }
    }

    #[test]
    fn chance_has_three_tenths_of_a_later_pause() {
        let first = refused(None, 100, 0);
        let wait = wait(refused(Some(first), 101, u64::MAX), 101);
        assert!(wait >= GATE.later * 7 / 10 && wait < GATE.later * 71 / 100, "{wait:?}");
    }

    #[test]
    fn calls_that_were_refused_together_are_one_refusal() {
        let first = refused(None, 100, u64::MAX);
        let (asked, now) = (seconds(99), seconds(101));
        let second = GATE.refused(Some(first), asked, now, Duration::ZERO, 0);
        assert_eq!(second, first);
    }

    #[test]
    fn what_the_service_says_is_waited_for_within_bounds() {
        let hinted = |hint| GATE.refused(None, seconds(100), seconds(100), hint, 0);
        assert_eq!(wait(hinted(seconds(9)), 100), seconds(9));
        assert_eq!(wait(hinted(seconds(9000)), 100), GATE.longest);
    }

    #[test]
    fn who_could_not_ask_in_time_gives_up_at_once() {
        let known = GATE.refused(None, seconds(100), seconds(100), seconds(9), 0);
        let turn = |left| GATE.turn(Some(known), seconds(100), left);
        assert_eq!(turn(seconds(9)), Turn::GiveUp);
        assert_eq!(turn(seconds(9) + SHORTEST_TRY), Turn::Wait(seconds(9)));
        assert_eq!(GATE.turn(None, seconds(100), SHORTEST_TRY / 2), Turn::GiveUp);
    }

    #[test]
    fn an_answer_ends_it_and_a_long_one_is_remembered_for_a_minute() {
        let known = refused(None, 100, u64::MAX);
        assert_eq!(GATE.answered(Some(known), seconds(230)), None, "too long ago");
        assert_eq!(GATE.answered(Some(known), seconds(109)), None, "short");
        let long = Congestion { until: seconds(300), ..known };
        let after = GATE.answered(Some(long), seconds(290)).unwrap();
        assert_eq!(wait(after, 290), Duration::ZERO);
        assert!(wait(refused(Some(after), 300, 0), 300) > GATE.later);
        assert_eq!(GATE.lasting(Some(after), seconds(350)), None);
    }

    #[test]
    fn a_congestion_is_forgotten_and_another_boot_knows_nothing_of_it() {
        let known = refused(Some(refused(None, 100, 0)), 101, 0);
        let over = 101 + 22 + 60;
        let since = |now| refused(Some(known), now, 0).since;
        assert_eq!((since(over - 1), since(over)), (seconds(100), seconds(over)));
        // Times of a boot that lasted longer.
        assert_eq!(wait(known, 5), Duration::ZERO);
    }
}
