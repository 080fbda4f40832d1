//! STS as far as its limit goes: so many calls in each second, and `Throttling` beyond.

use std::collections::VecDeque;
use std::time::Duration;

use super::PER_SECOND;

/// How the calls of a second are counted; the vendor does not say.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// From each full second on, those that were served.
    Fixed,
    /// Over the second before each call, those that were served.
    Sliding,
    /// The same, with those that were refused.
    SlidingOverAll,
}

pub struct Limit {
    /// Calls of each second, those throttled among them.
    pub calls: Vec<u32>,
    pub throttled: Vec<u32>,
    window: Window,
    /// What counts, with a sliding window.
    recent: VecDeque<Duration>,
}

impl Limit {
    pub fn new(window: Window, lasts: Duration) -> Self {
        let seconds = usize::try_from(lasts.as_secs()).unwrap() + 2;
        let none = vec![0; seconds];
        Self { calls: none.clone(), throttled: none, window, recent: VecDeque::new() }
    }

    /// Whether a call that arrives now is served.
    pub fn admits(&mut self, now: Duration) -> bool {
        let second = usize::try_from(now.as_secs()).unwrap();
        let served = self.calls[second] - self.throttled[second];
        while self.recent.front().is_some_and(|&at| at + Duration::from_secs(1) <= now) {
            self.recent.pop_front();
        }
        let most = PER_SECOND as usize;
        let admits = match self.window {
            Window::Fixed => served < PER_SECOND,
            Window::Sliding | Window::SlidingOverAll => self.recent.len() < most,
        };
        let counts = match self.window {
            Window::Fixed => false,
            Window::Sliding => admits,
            Window::SlidingOverAll => true,
        };
        if counts {
            self.recent.push_back(now);
        }
        self.calls[second] += 1;
        self.throttled[second] += u32::from(!admits);
        admits
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
