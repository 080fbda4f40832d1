//! The fleet's hours, event by event.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use aliyun_acr_credential_provider::cache::freshness::cache_seconds;
use aliyun_acr_credential_provider::config::LONGEST_TIMEOUT;
use aliyun_acr_credential_provider::net::congestion::Turn;

use super::chance::Chance;
use super::node::{Lives, Node, Origin, Pod, Run, Shared};
use super::service::Limit;
use super::{
    ANONYMOUS_PULL, BACK_OFF, EXPIRE_DURATION, Fleet, LATENCY, LIFE, LONGEST_BACK_OFF, MARGIN,
    POD_SYNC, POD_SYNC_JITTER, START, THRESHOLD,
};

/// What can be read off a fleet afterwards. Times count from the moment when the first may boot.
pub struct Outcome {
    pub limit: Limit,
    /// Of each node.
    pub boots: Vec<Duration>,
    /// When each node booted and when it had all its logins, in the order of the latter.
    pub served: Vec<(Duration, Duration)>,
    /// Which node wanted a session for its boot, and when first.
    pub wanted: Vec<(usize, Duration)>,
    /// When the last pod of the boot got to pull its image with a login.
    pub last_pull: Duration,
    /// Runs for the kubelet that ended with exit code 6, and when.
    pub out_of_time: Vec<Duration>,
    /// Runs for the kubelet that did not find their login in the node's cache, and when.
    pub waited: Vec<Duration>,
}

pub fn run(fleet: &Fleet) -> Outcome {
    let mut simulation = Simulation::new(fleet);
    while let Some(Event { at, what, .. }) = simulation.events.pop() {
        if at > fleet.lasts {
            break;
        }
        simulation.now = at;
        simulation.happen(what);
    }
    simulation.outcome
}

struct Event {
    at: Duration,
    /// Of events at the same moment the one that was planned first comes first.
    order: u64,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    Boots(usize),
    /// Another pod wants an image of this registry.
    Starts(usize, usize),
    Timer(usize),
    /// The pod worker's turn.
    Syncs(usize, usize, Pod),
    /// The kubelet's pull without a login was refused.
    Denied(usize, usize, Pod),
    Looks(Run),
    Asks(Run),
    Assumed(Run),
    Throttled(Run),
    LoggedIn(Run),
}

struct Simulation<'a> {
    fleet: &'a Fleet,
    now: Duration,
    events: BinaryHeap<Event>,
    planned: u64,
    chance: Chance,
    nodes: Vec<Node>,
    outcome: Outcome,
}

impl<'a> Simulation<'a> {
    fn new(fleet: &'a Fleet) -> Self {
        let outcome = Outcome {
            limit: Limit::new(fleet.window, fleet.lasts),
            boots: Vec::new(),
            served: Vec::new(),
            wanted: Vec::new(),
            last_pull: Duration::ZERO,
            out_of_time: Vec::new(),
            waited: Vec::new(),
        };
        let mut simulation = Self {
            fleet,
            now: Duration::ZERO,
            events: BinaryHeap::new(),
            planned: 0,
            chance: Chance(fleet.seed),
            nodes: Vec::new(),
            outcome,
        };
        for node in 0..fleet.nodes {
            let boots = simulation.chance.below(fleet.boots_within);
            simulation.outcome.boots.push(boots);
            simulation.nodes.push(Node::new(boots, fleet.roles, fleet.registries));
            simulation.plan(boots, What::Boots(node));
        }
        simulation
    }

    fn plan(&mut self, after: Duration, what: What) {
        self.planned += 1;
        self.events.push(Event { at: self.now + after, order: self.planned, what });
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Boots(node) => self.boots(node),
            What::Starts(node, registry) => {
                self.next_start(node, registry);
                self.syncs(node, registry, NEW_POD);
            }
            What::Timer(node) => {
                self.next_timer(node);
                self.renews(node, 0);
            }
            What::Syncs(node, registry, pod) => self.syncs(node, registry, pod),
            What::Denied(node, registry, pod) => self.denied(node, registry, pod),
            What::Looks(run) => self.looks(run),
            What::Asks(run) => self.asks(run),
            What::Throttled(run) => self.throttled(run),
            What::Assumed(run) => self.assumed(run),
            What::LoggedIn(run) => self.logged_in(run),
        }
    }

    // The node and its kubelet.

    fn boots(&mut self, node: usize) {
        for registry in 0..self.fleet.registries {
            for _ in 0..self.fleet.images {
                self.syncs(node, registry, Pod { booting: true, ..NEW_POD });
            }
            self.next_start(node, registry);
        }
        self.next_timer(node);
    }

    fn next_start(&mut self, node: usize, registry: usize) {
        let gap = self.chance.below(self.fleet.pods_every * 2);
        self.plan(gap, What::Starts(node, registry));
    }

    fn next_timer(&mut self, node: usize) {
        let delay = self.chance.below(self.fleet.timer_delay);
        self.plan(self.fleet.timer + delay, What::Timer(node));
    }

    /// The look-up comes before the back-off is asked about, so an empty cache costs a run.
    fn syncs(&mut self, node: usize, registry: usize, pod: Pod) {
        match self.nodes[node].cached[registry] {
            Some(until) if self.now < until => self.pulls(node, registry, pod),
            _ => self.starts(node, registry, Origin::Pod(pod)),
        }
    }

    /// With a login in its hand the kubelet pulls, unless it backs off.
    fn pulls(&mut self, node: usize, registry: usize, pod: Pod) {
        if self.backs_off(pod) {
            self.comes_again(node, registry, pod);
        } else if pod.booting {
            self.outcome.last_pull = self.outcome.last_pull.max(self.now);
        }
    }

    /// Without one it pulls as well, which is denied and begins or doubles the back-off.
    fn denied(&mut self, node: usize, registry: usize, mut pod: Pod) {
        pod.back_off = (pod.back_off * 2).clamp(BACK_OFF, LONGEST_BACK_OFF);
        pod.since = self.now;
        self.comes_again(node, registry, pod);
    }

    fn backs_off(&self, pod: Pod) -> bool {
        self.now < pod.since + pod.back_off
    }

    fn comes_again(&mut self, node: usize, registry: usize, pod: Pod) {
        let jitter = self.chance.below(POD_SYNC_JITTER);
        self.plan(POD_SYNC + jitter, What::Syncs(node, registry, pod));
    }

    fn renews(&mut self, node: usize, first: usize) {
        let has_login = |&registry: &usize| self.nodes[node].logins[registry].lives.is_some();
        if let Some(registry) = (first..self.fleet.registries).find(has_login) {
            self.starts(node, registry, Origin::Timer);
        }
    }

    fn starts(&mut self, node: usize, registry: usize, origin: Origin) {
        let deadline = self.now + LONGEST_TIMEOUT;
        let run = Run { node, registry, deadline, asked: Duration::ZERO, origin };
        self.plan(START, What::Looks(run));
    }

    // A run of the program.

    fn looks(&mut self, run: Run) {
        let Fleet { rules, .. } = *self.fleet;
        let login = &mut self.nodes[run.node].logins[run.registry];
        let fresh = login.lives.is_some_and(|lives| self.now < lives.fresh_until);
        if fresh {
            self.answers(run);
            return;
        }
        if matches!(run.origin, Origin::Pod(_)) {
            self.outcome.waited.push(self.now);
        }
        if failed_just_now(login, self.now, rules.shared_failure) {
            self.fails(run);
        } else if let Some(waiting) = &mut login.waiting {
            waiting.push(run);
        } else {
            login.waiting = Some(Vec::new());
            self.wants_session(run);
        }
    }

    /// Holds the login's lock from here on.
    fn wants_session(&mut self, run: Run) {
        let Fleet { rules, .. } = *self.fleet;
        let session = &mut self.nodes[run.node].sessions[run.registry % self.fleet.roles];
        let fresh = session.lives.is_some_and(|lives| self.now <= lives.fresh_until);
        if fresh {
            self.plan(LATENCY, What::LoggedIn(run));
        } else if failed_just_now(session, self.now, rules.shared_failure) {
            self.login_fails(run);
        } else if let Some(waiting) = &mut session.waiting {
            waiting.push(run);
        } else {
            session.waiting = Some(Vec::new());
            if session.lives.is_none() && session.failed.is_none() {
                self.outcome.wanted.push((run.node, self.now));
            }
            self.queues(run);
        }
    }

    /// Holds the session's lock, too. One run of a node asks at a time.
    fn queues(&mut self, run: Run) {
        if let Some(asking) = &mut self.nodes[run.node].asking {
            asking.push_back(run);
        } else {
            self.nodes[run.node].asking = Some(VecDeque::new());
            self.asks(run);
        }
    }

    fn asks(&mut self, mut run: Run) {
        let (gate, left) = (self.fleet.gate, run.deadline.saturating_sub(self.now));
        match gate.turn(self.nodes[run.node].congestion, self.now, left) {
            Turn::GiveUp => {
                self.session_fails(run);
                self.next_asks(run.node);
            }
            Turn::Wait(pause) => self.plan(pause, What::Asks(run)),
            Turn::Ask => {
                run.asked = self.now;
                let admitted = self.outcome.limit.admits(self.now);
                let answer = if admitted { What::Assumed(run) } else { What::Throttled(run) };
                self.plan(LATENCY, answer);
            }
        }
    }

    fn next_asks(&mut self, node: usize) {
        let asking = &mut self.nodes[node].asking;
        match asking.as_mut().and_then(VecDeque::pop_front) {
            Some(next) => self.asks(next),
            None => *asking = None,
        }
    }

    fn throttled(&mut self, run: Run) {
        let random = self.chance.number();
        let known = self.nodes[run.node].congestion;
        let Fleet { gate, hint, .. } = *self.fleet;
        let known = gate.refused(known, run.asked, self.now, hint, random);
        self.nodes[run.node].congestion = Some(known);
        self.asks(run);
    }

    fn assumed(&mut self, run: Run) {
        let session = &mut self.nodes[run.node].sessions[run.registry % self.fleet.roles];
        let fresh_until = self.now + self.fleet.rules.session_worth(LIFE);
        session.lives = Some(Lives { fresh_until, ends: self.now + LIFE });
        session.failed = None;
        for run in session.waiting.take().unwrap().into_iter().chain([run]) {
            self.plan(LATENCY, What::LoggedIn(run));
        }
        let known = self.nodes[run.node].congestion;
        self.nodes[run.node].congestion = self.fleet.gate.answered(known, self.now);
        self.next_asks(run.node);
    }

    fn session_fails(&mut self, run: Run) {
        let session = &mut self.nodes[run.node].sessions[run.registry % self.fleet.roles];
        session.failed = Some(self.now);
        for run in session.waiting.take().unwrap().into_iter().chain([run]) {
            self.login_fails(run);
        }
    }

    /// A login lives as long as the session that asked for it.
    fn logged_in(&mut self, run: Run) {
        let random = self.chance.number();
        let node = &mut self.nodes[run.node];
        let ends = node.sessions[run.registry % self.fleet.roles].lives.unwrap().ends;
        let login = &mut node.logins[run.registry];
        let left = ends.saturating_sub(self.now);
        let renew_below = self.fleet.rules.renew_below(left, THRESHOLD, random);
        let fresh_until = ends.saturating_sub(renew_below);
        login.lives = Some(Lives { fresh_until, ends });
        login.failed = None;
        for run in login.waiting.take().unwrap().into_iter().chain([run]) {
            self.answers(run);
        }
    }

    fn login_fails(&mut self, run: Run) {
        let login = &mut self.nodes[run.node].logins[run.registry];
        login.failed = Some(self.now);
        for run in login.waiting.take().unwrap().into_iter().chain([run]) {
            self.fails(run);
        }
    }

    fn answers(&mut self, run: Run) {
        self.hands_over(run, Duration::MAX);
    }

    /// What lives still is better than nothing, for a short time.
    fn fails(&mut self, run: Run) {
        assert!(self.now <= run.deadline, "nobody outlives its deadline");
        let lives = self.nodes[run.node].logins[run.registry].lives;
        if lives.is_some_and(|lives| lives.left(self.now) > MARGIN) {
            self.hands_over(run, self.fleet.rules.stale_answer);
            return;
        }
        match run.origin {
            Origin::Timer => self.renews(run.node, run.registry + 1),
            Origin::Pod(pod) => {
                self.outcome.out_of_time.push(self.now);
                if self.backs_off(pod) {
                    self.comes_again(run.node, run.registry, pod);
                } else {
                    self.plan(ANONYMOUS_PULL, What::Denied(run.node, run.registry, pod));
                }
            }
        }
    }

    fn hands_over(&mut self, run: Run, most: Duration) {
        let Origin::Pod(pod) = run.origin else {
            return self.renews(run.node, run.registry + 1);
        };
        let node = &mut self.nodes[run.node];
        let left = node.logins[run.registry].lives.unwrap().left(self.now);
        let told = cache_seconds(left, MARGIN, EXPIRE_DURATION);
        let served_before = node.is_served();
        node.cached[run.registry] = Some(self.now + Duration::from_secs(told).min(most));
        if node.is_served() && !served_before {
            self.outcome.served.push((node.boots, self.now));
        }
        self.pulls(run.node, run.registry, pod);
    }
}

const NEW_POD: Pod = Pod { booting: false, back_off: Duration::ZERO, since: Duration::ZERO };

fn failed_just_now(shared: &Shared, now: Duration, shared_for: Duration) -> bool {
    shared.failed.is_some_and(|failed| now < failed + shared_for)
}

impl Ord for Event {
    /// Reversed, for the heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Event {}
