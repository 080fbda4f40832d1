//! What the cloud saw: calls in order, and what no good client does.

use std::fmt;
use std::sync::Mutex;

use super::hop::Hop;
use super::leaks::Secrets;
use super::lock;

/// One request and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub hop: Hop,
    /// Who asked: a resource name, the id of an unknown key, or nobody.
    pub who: Option<String>,
    /// The Host header.
    pub host: Option<String>,
    /// The role, instance, region or path that was asked for.
    pub what: Option<String>,
    pub outcome: Outcome,
    pub request_id: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer, the `Code` in it if it is an error, and what a fault did to it on the way.
    Answered { status: u16, code: Option<String>, spoilt: Option<&'static str> },
    /// None, because of a fault: `reset`, `closed` or `hang`.
    Unanswered(&'static str),
}

impl Call {
    /// Whether a 2xx answer arrived as it was meant.
    pub fn succeeded(&self) -> bool {
        matches!(self.outcome, Outcome::Answered { status: 200..=299, code: None, spoilt: None })
    }
}

/// One line without random parts, e.g.
/// `AssumeRole acs:ram::2:role/puller by acs:ram::1:assumed-role/worker/… -> 200`.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.hop)?;
        if let Some(what) = &self.what {
            write!(f, " {what}")?;
        }
        if let Some(who) = &self.who {
            write!(f, " by {who}")?;
        }
        write!(f, " -> {}", self.outcome)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unanswered(how) => f.write_str(how),
            Self::Answered { status, code, spoilt } => {
                write!(f, "{status}")?;
                for word in code.as_deref().iter().chain(spoilt) {
                    write!(f, " {word}")?;
                }
                Ok(())
            }
        }
    }
}

/// Something that a good client never does, or that shows a fault of the simulation itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub hop: Hop,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.hop, self.what)
    }
}

#[derive(Debug, Default)]
pub(super) struct Journal {
    calls: Mutex<Vec<Call>>,
    violations: Mutex<Vec<Violation>>,
    pub(super) secrets: Secrets,
}

impl Journal {
    pub(super) fn record(&self, call: Call) {
        lock(&self.calls).push(call);
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        lock(&self.calls).clone()
    }

    pub(super) fn violation(&self, hop: Hop, what: impl Into<String>) {
        lock(&self.violations).push(Violation { hop, what: what.into() });
    }

    pub(super) fn violations(&self) -> Vec<Violation> {
        lock(&self.violations).clone()
    }
}
