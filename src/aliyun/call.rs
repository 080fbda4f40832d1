//! One call to one service: its candidates, its tries, its share of the deadline, and the clock.

use std::time::Duration;

use jiff::Timestamp;

use crate::aliyun::Hop;
use crate::aliyun::endpoint::{Candidate, Endpoint};
use crate::aliyun::refusal::{Refusal, Sign};
use crate::aliyun::signature::Scheme;
use crate::net::error::{HttpError, SetupError};
use crate::net::http::{Http, Request, Response};
use crate::net::retry::{MAX_TRIES, Next, Pauses, Reason, SHORTEST_TRY};
use crate::net::tls::Untrusted;
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
    pub signature: Scheme,
}

/// Why a call gave nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// The service refused, or kept failing until the tries were used up.
    #[error("{refusal}")]
    Refused { host: String, refusal: Refusal },
    /// No answer came, however often it was tried. `given_up` are the hosts before this one.
    #[error("{why}{} (after {tries})", also(.given_up))]
    Unreachable { host: String, why: HttpError, given_up: Vec<String>, tries: Tries },
    /// Something answered, but not the service.
    #[error("{what}")]
    NotTheService { host: String, what: Stranger },
    /// The whole call's time ran out in this hop.
    #[error("{} after {tries}", last.as_ref().map_or("no answer".to_owned(), Last::to_string))]
    OutOfTime { host: String, last: Option<Last>, tries: Tries },
    /// A CA file or a proxy address that cannot be used.
    #[error("{0}")]
    Setup(SetupError),
}

/// What answered in the service's place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// Somebody without a certificate for the service's name.
    #[error("TLS certificate not accepted: {0}")]
    Untrusted(Untrusted),
    #[error("HTTP {0}, a redirect, which is not followed")]
    Redirect(u16),
    /// More than an answer of the service can be, in bytes.
    #[error("answer larger than {} KiB", .0 / 1024)]
    TooLarge(u64),
    /// The answer is not quoted: it may hold a credential.
    #[error(
        "HTTP {status} with {bytes} bytes of `{content_type}` that are {form}{}",
        request_id.as_ref().map_or(String::new(), |id| format!(" (request id {id})"))
    )]
    Unreadable {
        status: u16,
        bytes: usize,
        content_type: String,
        form: Form,
        request_id: Option<String>,
    },
}

/// What an answer is that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Form {
    #[error("not JSON")]
    NotJson,
    #[error("a JSON list")]
    List,
    #[error("JSON without the fields of this API")]
    OtherFields,
}

/// The last that is known of the tries before time ran out.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Last {
    /// The service answered: that says more than a later try that was cut off.
    #[error("{0}")]
    Refused(Refusal),
    #[error("{0}")]
    Failed(HttpError),
}

/// How long a hop is worth trying.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For one try; never more than the deadline's share.
    pub attempt: Duration,
    /// For what may never pass.
    pub tries: u32,
    /// Throttling is waited out until the deadline. Else it is left to the caller.
    pub outlasts_throttling: bool,
}

impl Patience {
    /// As long as the deadline allows: nothing can be answered without this hop.
    pub const FULL: Self =
        Self { attempt: Duration::MAX, tries: MAX_TRIES, outlasts_throttling: true };
    /// For something that may not be there at all.
    pub const BRIEF: Self = Self { attempt: Duration::from_secs(2), tries: 1, ..Self::FULL };
    /// For a call whose limit all processes of the node share.
    pub const UNTIL_THROTTLED: Self = Self { outlasts_throttling: false, ..Self::FULL };

    /// For a shortcut, whose answer can be had in another way: two tries, a third of the whole.
    pub fn shortcut(deadline: &Deadline) -> Self {
        Self { attempt: deadline.total() / 6, tries: 2, ..Self::FULL }
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
    /// The service refuses.
    Refused(Refusal),
    /// Not an answer of this service.
    NotTheService(Stranger),
}

/// What one try came to.
enum Try<T> {
    Done(T),
    /// With the next candidate or the service's time it may go at once.
    Once(&'static str, Last),
    Again(Reason, CallError),
    Final(CallError),
}

impl Network<'_> {
    /// Sends a request until there is an answer worth having.
    ///
    /// `request` is called again for each try, so that each has its own nonce and time stamp.
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
            self.journal.called(hop.name(), duration);
            let took = duration.as_millis();
            if let Some(date) = sent.as_ref().ok().and_then(|response| response.date) {
                self.clock.see(date);
            }
            let outcome = match sent {
                Ok(response) => match judge(&response) {
                    Verdict::Done(value) => Try::Done(value),
                    Verdict::NotTheService(what) => Try::Final(not_the_service(host, what)),
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
                Try::Once(why, of) => {
                    self.journal.info(format!("{hop} at {host}: {why} after {took} ms"));
                    last = Some(of);
                    continue;
                }
                Try::Again(reason, error) => (reason, error),
                Try::Final(error) => return Err(error),
            };
            self.journal.info(format!("{hop} at {host}: try {tries} failed in {took} ms: {error}"));
            match &error {
                CallError::Refused { refusal, .. } => last = Some(Last::Refused(refusal.clone())),
                CallError::Unreachable { why, .. } => {
                    last = last.or_else(|| Some(Last::Failed(why.clone())));
                }
                _ => {}
            }
            if reason == Reason::Throttled {
                self.journal.throttled();
                if !patience.outlasts_throttling {
                    return Err(error);
                }
                self.deadline.outlast_throttling();
            }
            let shortest = error.limited_for();
            let left = self.deadline.left();
            let random = random::number();
            match Pauses::after(reason).next(tries, patience.tries, reason, shortest, left, random)
            {
                Next::Try(pause) => {
                    self.journal.spent(hop.name(), pause);
                    std::thread::sleep(pause);
                }
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
        let sign = refusal.sign();
        if let (Sign::Clock, false, Some(date)) = (sign, *clock_is_right, date) {
            *clock_is_right = true;
            let off = self.clock.correct(date);
            if off.abs() >= 60 {
                self.journal.warn(format!(
                "this machine's clock is off by {off} seconds; using the time of {host}: check time synchronisation (chrony)"
            ));
            }
            let why = "the time stamp was refused; using the service's time";
            return Try::Once(why, Last::Refused(refusal));
        }
        let error = CallError::Refused { host: host.to_owned(), refusal };
        match sign {
            Sign::Throttling => Try::Again(Reason::Throttled, error),
            Sign::Passing | Sign::Nonce => Try::Again(Reason::Passing, error),
            Sign::Clock | Sign::Denial | Sign::Other => Try::Final(error),
        }
    }
}

/// What a failure to get any answer means.
fn failed<T>(endpoint: &Endpoint, host: &str, why: HttpError, tries: u32) -> Try<T> {
    match why {
        HttpError::Setup(error) => Try::Final(CallError::Setup(error)),
        HttpError::TooLarge(bytes) => Try::Final(not_the_service(host, Stranger::TooLarge(bytes))),
        HttpError::Certificate(why) => Try::Final(not_the_service(host, Stranger::Untrusted(why))),
        HttpError::NoConnection { .. } if endpoint.next() => {
            Try::Once("no connection; trying the next host", Last::Failed(why))
        }
        HttpError::NoConnection { .. } | HttpError::Silent(_) | HttpError::Broken(_) => {
            let given_up = endpoint.given_up().into_iter().map(str::to_owned).collect();
            let (host, tries) = (host.to_owned(), Tries(tries));
            Try::Again(Reason::Passing, CallError::Unreachable { host, why, given_up, tries })
        }
    }
}

/// The hosts that were tried before.
pub(crate) fn also(given_up: &[String]) -> String {
    match given_up {
        [] => String::new(),
        hosts => format!("; no connection to {} either", hosts.join(", ")),
    }
}

fn out_of_time(host: &str, last: Option<Last>, tries: u32) -> CallError {
    CallError::OutOfTime { host: host.to_owned(), last, tries: Tries(tries) }
}

fn not_the_service(host: &str, what: Stranger) -> CallError {
    CallError::NotTheService { host: host.to_owned(), what }
}

impl CallError {
    /// How long the service says that its limit stays used up.
    #[must_use]
    pub fn limited_for(&self) -> Duration {
        match self {
            Self::Refused { refusal, .. } => refusal.limited_for.unwrap_or_default(),
            _ => Duration::ZERO,
        }
    }

    /// Whether it says nothing of what the caller may do.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Refused { refusal, .. } => refusal.may_pass(),
            Self::Unreachable { .. } | Self::NotTheService { .. } | Self::OutOfTime { .. } => true,
            Self::Setup(_) => false,
        }
    }
}
