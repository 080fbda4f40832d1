//! One call to one service: its candidates, its tries, its share of the deadline, and the clock.

use std::time::Duration;

use jiff::Timestamp;

use crate::aliyun::Hop;
use crate::aliyun::endpoint::{Candidate, Endpoint};
use crate::aliyun::refusal::Refusal;
use crate::net::http::{Http, HttpError, Request, Response};
use crate::net::retry::{MAX_TRIES, Next, Pauses, Reason, SHORTEST_TRY};
use crate::system::clock::{Clock, Deadline, instant};
use crate::system::log::Journal;
use crate::system::random;

/// What every call of a run shares.
#[derive(Clone, Copy)]
pub struct Network<'a> {
    pub http: &'a Http,
    pub clock: &'a Clock,
    pub deadline: &'a Deadline,
    pub journal: &'a Journal,
}

/// Why a call gave nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// The service refused, or kept failing until the tries were used up.
    #[error("{refusal}")]
    Refused { host: String, refusal: Refusal },
    /// No answer came, however often it was tried.
    #[error("{detail} (after {tries})")]
    Unreachable { host: String, detail: String, tries: Tries },
    /// Something answered, but not the service.
    #[error("{detail}")]
    NotTheService { host: String, detail: String },
    /// The whole call's time ran out in this hop.
    #[error("{} after {tries}", last.as_ref().map_or("no answer".to_owned(), Last::to_string))]
    OutOfTime { host: String, last: Option<Last>, tries: Tries },
    /// A CA file or a proxy address that cannot be used.
    #[error("{0}")]
    Setup(String),
}

/// What is told of the tries before time ran out.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Last {
    /// The service answered: its word says more than a later try that was cut off.
    #[error("{0}")]
    Refused(Refusal),
    #[error("{0}")]
    Failed(String),
}

/// How long a hop is worth trying.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For one try; never more than the deadline's share.
    pub attempt: Duration,
    /// For what may never pass; throttling is waited out until the deadline.
    pub tries: u32,
}

impl Patience {
    /// As long as the deadline allows: nothing can be answered without this hop.
    pub const FULL: Self = Self { attempt: Duration::MAX, tries: MAX_TRIES };
    /// For something that may not be there at all.
    pub const BRIEF: Self = Self { attempt: Duration::from_secs(2), tries: 1 };

    /// For a shortcut, whose answer can be had in another way: two tries, a third of the whole.
    #[must_use]
    pub fn shortcut(deadline: &Deadline) -> Self {
        Self { attempt: deadline.total() / 6, tries: 2 }
    }
}

/// A number of tries, worded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries(pub u32);

impl std::fmt::Display for Tries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 == 1 { f.write_str("1 try") } else { write!(f, "{} tries", self.0) }
    }
}

/// What is to be made of an answer.
pub enum Verdict<T> {
    Done(T),
    /// A final word: not asked again.
    Refused(Refusal),
    /// Not an answer of this service (not JSON, a redirect).
    NotTheService(String),
}

/// What one try came to.
enum Try<T> {
    Done(T),
    /// With the next candidate or the service's time it may go at once.
    Once(&'static str, Option<Refusal>),
    Again(Reason, CallError),
    Final(CallError),
}

impl Network<'_> {
    /// Sends a request until there is an answer worth having.
    ///
    /// `request` is called anew for each try, so that each has its own nonce and time stamp.
    /// Connection failures move on to the endpoint's next candidate before they count as tries;
    /// an HTTP answer of any kind never does.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    pub fn call<T>(
        &self,
        hop: Hop,
        endpoint: &Endpoint,
        patience: Patience,
        mut request: impl FnMut(&Candidate, Duration) -> Request,
        mut judge: impl FnMut(&Response) -> Verdict<T>,
    ) -> Result<T, CallError> {
        let mut tries = 0;
        let mut last: Option<Last> = None;
        let mut clock_is_right = false;
        loop {
            let candidate = endpoint.current();
            let host = candidate.host();
            let timeout = self.deadline.attempt().min(patience.attempt);
            if timeout < SHORTEST_TRY {
                return Err(out_of_time(host, last, tries));
            }
            tries += 1;
            let begun = instant();
            let sent = self.http.send(request(candidate, timeout));
            let duration = instant().saturating_duration_since(begun);
            self.journal.spent(hop.name(), duration);
            let took = duration.as_millis();
            if let Some(date) = sent.as_ref().ok().and_then(|response| response.date) {
                self.clock.see(date);
            }
            let outcome = match sent {
                Ok(response) => match judge(&response) {
                    Verdict::Done(value) => Try::Done(value),
                    Verdict::NotTheService(detail) => Try::Final(not_the_service(host, detail)),
                    Verdict::Refused(refusal) => {
                        self.refused(host, refusal, response.date, &mut clock_is_right)
                    }
                },
                Err(error) => failed(endpoint, host, error, tries),
            };
            let (reason, error) = match outcome {
                Try::Done(value) => {
                    self.journal.info(format!("{hop} at {host} answered in {took} ms"));
                    return Ok(value);
                }
                Try::Once(why, refusal) => {
                    self.journal.info(format!("{hop} at {host}: {why} after {took} ms"));
                    let failed = || Last::Failed(format!("{host}: {why}"));
                    last = Some(refusal.map_or_else(failed, Last::Refused));
                    continue;
                }
                Try::Again(reason, error) => (reason, error),
                Try::Final(error) => return Err(error),
            };
            self.journal.info(format!("{hop} at {host}: try {tries} failed in {took} ms: {error}"));
            match &error {
                CallError::Refused { refusal, .. } => last = Some(Last::Refused(refusal.clone())),
                _ => last = last.or_else(|| Some(Last::Failed(error.detail()))),
            }
            let left = self.deadline.left();
            match Pauses::after(reason).next(tries, patience.tries, reason, left, random::number())
            {
                Next::Try(pause) => std::thread::sleep(pause),
                Next::GiveUp => return Err(error),
                Next::OutOfTime => return Err(out_of_time(host, last, tries)),
            }
        }
    }

    /// A refusal that may pass, one that a right clock would have spared us, or a final one.
    fn refused<T>(
        &self,
        host: &str,
        refusal: Refusal,
        date: Option<Timestamp>,
        clock_is_right: &mut bool,
    ) -> Try<T> {
        if let (true, false, Some(date)) = (refusal.is_clock(), *clock_is_right, date) {
            *clock_is_right = true;
            let off = self.clock.correct(date);
            if off.abs() >= 60 {
                self.journal.warn(format!(
                "this machine's clock is off by {off} seconds; using the time of {host}: check time synchronisation (chrony)"
            ));
            }
            let why = "the time stamp was refused; using the service's time";
            return Try::Once(why, Some(refusal));
        }
        let throttled = refusal.is_throttling();
        let passing = refusal.is_passing() || refusal.is_nonce();
        let error = CallError::Refused { host: host.to_owned(), refusal };
        match (throttled, passing) {
            (true, _) => Try::Again(Reason::Throttled, error),
            (false, true) => Try::Again(Reason::Passing, error),
            (false, false) => Try::Final(error),
        }
    }
}

/// What a failure to get any answer means.
fn failed<T>(endpoint: &Endpoint, host: &str, error: HttpError, tries: u32) -> Try<T> {
    match error {
        HttpError::Setup(detail) => Try::Final(CallError::Setup(detail)),
        HttpError::TooLarge | HttpError::Certificate(_) => {
            Try::Final(not_the_service(host, error.to_string()))
        }
        HttpError::Connect(_) if endpoint.next() => {
            Try::Once("cannot be connected to; trying the next host", None)
        }
        HttpError::Connect(_) | HttpError::Timeout(_) | HttpError::Broken(_) => {
            let detail = match endpoint.given_up().join(", ").as_str() {
                "" => error.to_string(),
                others => format!("{error}; {others} cannot be connected to either"),
            };
            let host = host.to_owned();
            Try::Again(
                Reason::Passing,
                CallError::Unreachable { host, detail, tries: Tries(tries) },
            )
        }
    }
}

fn out_of_time(host: &str, last: Option<Last>, tries: u32) -> CallError {
    CallError::OutOfTime { host: host.to_owned(), last, tries: Tries(tries) }
}

fn not_the_service(host: &str, detail: String) -> CallError {
    CallError::NotTheService { host: host.to_owned(), detail }
}

impl CallError {
    /// Whether it says nothing of what the caller may do.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Refused { refusal, .. } => refusal.may_pass(),
            Self::Unreachable { .. } | Self::NotTheService { .. } | Self::OutOfTime { .. } => true,
            Self::Setup(_) => false,
        }
    }

    /// Without the number of tries.
    fn detail(&self) -> String {
        match self {
            Self::Unreachable { detail, .. } => detail.clone(),
            other => other.to_string(),
        }
    }
}
