//! STS as far as its limit goes: so many calls in each second, and `Throttling` beyond.

use std::time::Duration;

use super::PER_SECOND;

/// A window of one second that begins with the second; what is refused does not count.
#[derive(Default)]
pub struct Limit {
    /// Calls of each second, those throttled among them.
    pub calls: Vec<u32>,
    pub throttled: Vec<u32>,
}

impl Limit {
    pub fn new(lasts: Duration) -> Self {
        let seconds = usize::try_from(lasts.as_secs()).unwrap() + 2;
        Self { calls: vec![0; seconds], throttled: vec![0; seconds] }
    }

    /// Whether a call that arrives now is served.
    pub fn admits(&mut self, now: Duration) -> bool {
        let second = usize::try_from(now.as_secs()).unwrap();
        let served = self.calls[second] - self.throttled[second];
        self.calls[second] += 1;
        if served < PER_SECOND {
            return true;
        }
        self.throttled[second] += 1;
        false
    }
}

/// When each of these calls would be served if they stood in a queue: what the limit alone
/// dictates, however clever the clients.
pub fn queued(arrivals: &[Duration]) -> Vec<Duration> {
    let (mut second, mut served) = (0, 0);
    let serve = |&arrival: &Duration| {
        if arrival.as_secs() > second {
            (second, served) = (arrival.as_secs(), 0);
        } else if served == PER_SECOND {
            (second, served) = (second + 1, 0);
        }
        served += 1;
        arrival.max(Duration::from_secs(second))
    };
    arrivals.iter().map(serve).collect()
}
