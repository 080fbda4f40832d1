//! What a node keeps: sessions and logins that its processes share, and what its kubelet was told.

use std::collections::VecDeque;
use std::time::Duration;

use aliyun_acr_credential_provider::net::congestion::Congestion;

/// A pod that waits for its image, as the kubelet's pod worker sees it.
#[derive(Clone, Copy)]
pub struct Pod {
    pub booting: bool,
    /// How long the kubelet stays away from the registry, and since when.
    pub back_off: Duration,
    pub since: Duration,
}

/// Who started a run.
#[derive(Clone, Copy)]
pub enum Origin {
    /// The kubelet, for a pod.
    Pod(Pod),
    /// The timer; one registry after the other.
    Timer,
}

/// One run of the program: for the kubelet a process of its own.
#[derive(Clone, Copy)]
pub struct Run {
    pub node: usize,
    pub registry: usize,
    pub deadline: Duration,
    /// When it asked last.
    pub asked: Duration,
    pub origin: Origin,
}

/// The time that a session or a login has.
#[derive(Clone, Copy)]
pub struct Lives {
    /// Until when it is used without anything new being fetched.
    pub fresh_until: Duration,
    pub ends: Duration,
}

impl Lives {
    pub fn left(self, now: Duration) -> Duration {
        self.ends.saturating_sub(now)
    }
}

/// Something that one run fetches and the others of the node wait for.
#[derive(Default)]
pub struct Shared {
    pub lives: Option<Lives>,
    pub failed: Option<Duration>,
    /// Those that wait, while somebody fetches it.
    pub waiting: Option<Vec<Run>>,
}

pub struct Node {
    pub boots: Duration,
    /// By role.
    pub sessions: Vec<Shared>,
    /// By registry.
    pub logins: Vec<Shared>,
    /// What the node knows of the limit.
    pub congestion: Option<Congestion>,
    /// The runs that want a session, while one of them asks.
    pub asking: Option<VecDeque<Run>>,
    /// By registry: until when the kubelet answers for itself.
    pub cached: Vec<Option<Duration>>,
}

impl Node {
    pub fn new(boots: Duration, roles: usize, registries: usize) -> Self {
        let shared = |number| (0..number).map(|_| Shared::default()).collect();
        let cached = vec![None; registries];
        Self {
            boots,
            sessions: shared(roles),
            logins: shared(registries),
            congestion: None,
            asking: None,
            cached,
        }
    }

    /// Whether the kubelet was given a login of every registry.
    pub fn is_served(&self) -> bool {
        self.cached.iter().all(Option::is_some)
    }
}
