//! What a person reads when there is no answer.
//!
//! ```text
//! error: <the service's code>: <what failed, on what, what the service said, request id>
//! caused by: <why that happens>
//! hint: <what to do>
//! ```
//!
//! The kubelet folds these lines into one log entry (`plugin.go`, `ExecPlugin`), so there are at
//! most five and the first is enough to act on.

mod configuration;
pub mod facts;
mod of_call;
mod out_of_time;
pub mod service_codes;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::system::text;

/// Longest line, in characters.
const MAX_LINE: usize = 1000;

/// Exit codes, part of the contract with users. To the kubelet all but 0 are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// Something that should not be possible.
    Unexpected = 1,
    /// Usage, request or configuration.
    Usage = 2,
    /// First credentials: metadata, token file, `AssumeRoleWithOIDC`.
    Identity = 3,
    AssumeRole = 4,
    /// The registry's login and what is needed to ask for it.
    RegistryToken = 5,
    OutOfTime = 6,
}

/// What a service named when it denied a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Denied {
    /// The trust policy of the role that is assumed.
    ByTrust,
    /// The policies of the one who asks.
    ByPermission,
    /// The policy that the session of the one who asks was made with.
    BySession,
    /// A policy that says no, whatever others allow.
    Strictly,
    Unknown,
}

/// No answer, and why. Holds no secret, so that it can be kept for others who ask the same.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[must_use]
pub struct Failure {
    pub exit: Exit,
    /// What the service called its refusal. It stands before all else in the first line.
    #[serde(default)]
    pub code: Option<String>,
    pub message: String,
    pub causes: Vec<String>,
    pub hint: Option<String>,
    /// What denied the call, if the service denied it.
    #[serde(default)]
    pub denied: Option<Denied>,
    /// The key of an entry whose value is in question.
    #[serde(default)]
    pub key: Option<String>,
    /// It says nothing of what the caller may do: the same call may succeed later.
    pub may_pass: bool,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            code: None,
            message: message.into(),
            causes: Vec::new(),
            hint: None,
            denied: None,
            key: None,
            may_pass: false,
        }
    }

    pub fn caused_by(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says that it may pass.
    pub fn passing(mut self) -> Self {
        self.may_pass = true;
        self
    }

    /// The first line, without `error:`.
    pub fn text(&self) -> String {
        let code = self.code.as_ref().map_or(String::new(), |code| format!("{code}: "));
        format!("{code}{}", self.message)
    }

    /// Says for which registry there is no login.
    pub fn for_host(mut self, host: &str) -> Self {
        self.message = format!("no login for {host}: {}", self.message);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", line(&self.text()))?;
        for cause in self.causes.iter().take(3) {
            write!(f, "\ncaused by: {}", line(cause))?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {}", line(hint)),
            None => Ok(()),
        }
    }
}

/// One line of at most [`MAX_LINE`] characters, whatever was put into it.
fn line(text: &str) -> String {
    let mut line: String = text.chars().take(MAX_LINE).map(text::visible).collect();
    if text.chars().nth(MAX_LINE).is_some() {
        line.push('…');
    }
    line
}
