//! What a person reads when there is no answer.
//!
//! ```text
//! error: <what failed, on what, what the service said, request id>
//! caused by: <why that happens>
//! hint: <what to do>
//! ```
//!
//! The kubelet folds these lines into one log entry (`plugin.go`, `ExecPlugin`), so there are at
//! most five and the first is enough to act on.

pub mod service_codes;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::aliyun::Hop;
use crate::aliyun::call::{CallError, Last};
use crate::aliyun::refusal::Refusal;
use crate::aliyun::registry_host::without_port;
use crate::failure::service_codes::Facts;
use crate::kubelet::go_duration;
use crate::net::tls::CLOCK_SAYS;

/// What comes before anything is asked, in a run for the kubelet.
const START: &str = "reading the request on stdin and the configuration";

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

/// No answer, and why. Holds no secret, so that it can be kept for others who ask the same.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failure {
    pub exit: Exit,
    pub message: String,
    pub causes: Vec<String>,
    pub hint: Option<String>,
    /// The service's own code, if it refused with one.
    #[serde(default)]
    pub code: Option<String>,
    /// Which kind of policy denied, if the service told.
    #[serde(default)]
    pub denied_by: Option<String>,
    /// The key of an entry whose value is in question.
    #[serde(default)]
    pub key: Option<String>,
    /// It says nothing of what the caller may do: the same call may well succeed later.
    pub may_pass: bool,
}

impl Failure {
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            causes: Vec::new(),
            hint: None,
            code: None,
            denied_by: None,
            key: None,
            may_pass: false,
        }
    }

    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says that it may pass.
    #[must_use]
    pub fn passing(mut self) -> Self {
        self.may_pass = true;
        self
    }

    /// Says for which registry there is no login.
    #[must_use]
    pub fn for_host(mut self, host: &str) -> Self {
        self.message = format!("no login for {host}: {}", self.message);
        self
    }

    /// A call that gave nothing. `subject` is the hop with what it was asked for, such as
    /// `AssumeRole of acs:ram::1:role/puller`.
    #[must_use]
    pub fn of_call(exit: Exit, hop: Hop, subject: &str, error: &CallError, facts: &Facts) -> Self {
        let failure = match error {
            CallError::Refused { host, refusal } => {
                Self::new(exit, format!("{subject} refused by {host}: {refusal}"))
                    .explained(hop, refusal, facts)
            }
            CallError::Unreachable { host, detail, tries } => Self::new(
                exit,
                format!("{subject}: {host} gives no answer: {detail} (after {tries})"),
            )
            .hint(no_answer_hint(hop, host, detail)),
            CallError::NotTheService { host, detail } => Self::new(
                exit,
                format!("{subject}: {host} does not answer as the service would: {detail}"),
            )
            .hint(not_the_service_hint(detail)),
            CallError::OutOfTime { host, last, tries } => {
                let said = last.as_ref().map_or(String::new(), |last| format!("; last: {last}"));
                let failure = Self::new(
                    Exit::OutOfTime,
                    format!("out of time in {subject} at {host} after {tries}{said}"),
                );
                match last {
                    Some(Last::Refused(refusal)) if refusal.is_throttling() => {
                        failure.hint(throttling_hint(hop))
                    }
                    Some(Last::Refused(refusal)) => failure.explained(hop, refusal, facts),
                    _ if tries.0 == 0 => failure.hint(
                        "see what took the time before; a higher `timeout` in the configuration gives more",
                    ),
                    _ => failure.hint(unreachable_hint(hop, host)),
                }
            }
            CallError::Setup(detail) => Self::new(Exit::Usage, format!("{subject}: {detail}"))
                .hint("correct caFile, SSL_CERT_FILE or HTTPS_PROXY, whichever the message names"),
        };
        let failure = match error {
            CallError::Refused { refusal, .. } => Self {
                code: Some(refusal.code.clone()),
                denied_by: refusal.policy_type.clone(),
                key: service_codes::find(hop, refusal, facts)
                    .and_then(|found| found.key)
                    .map(str::to_owned),
                ..failure
            },
            _ => failure,
        };
        Self { may_pass: error.may_pass(), ..failure }
    }

    /// Why the service refuses, and what to do about it.
    fn explained(self, hop: Hop, refusal: &Refusal, facts: &Facts) -> Self {
        let by_key = facts.by_access_key();
        match (service_codes::find(hop, refusal, facts), refusal.same_string_to_sign) {
            (_, Some(true)) if by_key => self
                .caused_by("the AccessKey secret is wrong: the service signed the very same text with another result")
                .hint("compare the configured secret (customAccessKeySecret, ALIBABA_CLOUD_ACCESS_KEY_SECRET) with the key's own"),
            (_, Some(true)) => self
                .caused_by("the temporary credentials do not belong together: the service signed the very same text with another result")
                .hint(service_codes::CREDENTIALS),
            (_, Some(false)) => self
                .caused_by("the request was changed on its way: the service signed another text than was sent")
                .hint("look for a proxy that changes requests"),
            (Some(remedy), None) => {
                let failure = self.caused_by(facts.fill(remedy.cause));
                let failure = if by_key && hop == Hop::AssumeRole && refusal.code == "NoPermission" {
                    failure.caused_by("or the AccessKey is a root account's, which cannot assume roles: use a RAM user's")
                } else {
                    failure
                };
                failure.hint(facts.fill(remedy.remedy))
            }
            (None, None) => self.hint(unknown_code_hint(hop, refusal)),
        }
    }

    /// Says what the time went to, if it ran out: `before` was gone before there was anything to
    /// ask, and `longest` is what took most from then on.
    #[must_use]
    pub fn after(
        mut self,
        timeout: Duration,
        before: Duration,
        longest: Option<(&str, Duration)>,
    ) -> Self {
        if self.exit != Exit::OutOfTime {
            return self;
        }
        let whole = go_duration::format_go(timeout.as_secs());
        let start = before > timeout / 2;
        let most = if start { Some((START, before)) } else { longest };
        if start && longest.is_none() {
            let message = format!("out of time before anything was asked: {START} took too long");
            self = Self::new(Exit::OutOfTime, message).passing().hint("see what sends the request on stdin: it has to come at once and to end; a higher `timeout` gives it more time");
        }
        let most =
            most.map(|(what, time)| format!(", and {what} took {:.1}s of it", time.as_secs_f64()));
        self.caused_by(format!("the whole call may take {whole}{}", most.unwrap_or_default()))
    }
}

fn no_answer_hint(hop: Hop, host: &str, detail: &str) -> String {
    if detail.contains("connection broken") {
        "something on the way breaks connections: a proxy, a filter, a wrong address".to_owned()
    } else if detail.contains("through the proxy") {
        // An item with a port would except nothing.
        let name = without_port(host);
        format!("see that the proxy can be reached, or name {name} in NO_PROXY")
    } else {
        unreachable_hint(hop, host)
    }
}

fn throttling_hint(hop: Hop) -> &'static str {
    if hop.is_metadata() {
        "the metadata service gets too many requests; see what on this node asks it so often"
    } else {
        "the account's call limit is used up; ask the vendor for a higher quota if it stays"
    }
}

fn unreachable_hint(hop: Hop, host: &str) -> String {
    match hop {
        Hop::MetadataToken => {
            "the metadata service answers on ECS instances only; elsewhere use RRSA or an AccessKey"
                .to_owned()
        }
        _ if hop.is_metadata() => {
            "the metadata service has answered before in this run; try again, and see what filters or overloads it if it stays"
                .to_owned()
        }
        _ => format!(
            "see that {host} resolves and can be reached from this node (route, security group, proxy, /etc/hosts), or set `network` or `endpoints` in the configuration"
        ),
    }
}

fn not_the_service_hint(detail: &str) -> &'static str {
    if detail.contains(CLOCK_SAYS) {
        "synchronise this machine's clock (chrony or ntpd) if it is wrong; if it is right, see where the name leads (DNS, /etc/hosts)"
    } else if detail.contains("certificate") {
        "see where the name leads (DNS, /etc/hosts); behind a proxy that inspects TLS set caFile to its CA"
    } else {
        "something between this node and the service answers in its place: a proxy, a captive portal, a wrong address"
    }
}

fn unknown_code_hint(hop: Hop, refusal: &Refusal) -> &'static str {
    match (refusal.status, refusal.code.as_str()) {
        (407, _) => "put user name and password into HTTPS_PROXY, or name the host in NO_PROXY",
        (500.., _) => "the service failed; try again later",
        _ if hop.is_metadata() => {
            "see what answers in place of the metadata service: a proxy or a filter"
        }
        _ if !refusal.of_service => not_the_service_hint(""),
        (_, "") => {
            "go by what the service says; give the request id to the vendor's support if it stays"
        }
        _ if matches!(hop, Hop::GetAuthorizationToken | Hop::ListInstanceEndpoint) => {
            "see that instanceId exists in regionId and belongs to the account whose role is assumed"
        }
        _ => {
            "look the code up in the vendor's error center, and give the request id to its support"
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", line(&self.message))?;
        for cause in self.causes.iter().take(3) {
            write!(f, "\ncaused by: {}", line(cause))?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {}", line(hint)),
            None => Ok(()),
        }
    }
}

/// One line, whatever was put into it.
fn line(text: &str) -> String {
    let mut line: String = text.chars().take(MAX_LINE).map(visible).collect();
    if text.chars().nth(MAX_LINE).is_some() {
        line.push('…');
    }
    line
}

/// A blank in place of what ends a line, moves the cursor, turns the direction of what follows so
/// that it reads as something else, or cannot be seen at all.
#[must_use]
pub fn visible(c: char) -> char {
    // Unicode's Bidi_Control and Default_Ignorable_Code_Point, line and paragraph separators, and
    // the marks of annotations.
    let unseen = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}');
    if c.is_control() || unseen { ' ' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_secret_is_told_to_who_has_configured_one() {
        let refusal = Refusal {
            status: 400,
            code: "SignatureDoesNotMatch".to_owned(),
            message: None,
            request_id: None,
            of_service: true,
            is_success: None,
            policy_type: None,
            same_string_to_sign: Some(true),
        };
        let error = CallError::Refused { host: "sts".to_owned(), refusal };
        let told = |caller: &str| {
            let facts = Facts { caller: Some(caller.to_owned()), ..Facts::default() };
            Failure::of_call(Exit::AssumeRole, Hop::AssumeRole, "AssumeRole", &error, &facts)
        };
        let by_key = told("the owner of AccessKey …0001");
        assert!(by_key.hint.unwrap().contains("customAccessKeySecret"));
        assert_eq!(by_key.key.as_deref(), Some("customAccessKeySecret"));
        for role in ["the worker role AccessKeyRole", "acs:ram::1:role/AccessKey"] {
            let by_role = told(role);
            assert_eq!(by_role.hint.as_deref(), Some(service_codes::CREDENTIALS));
            assert_eq!(by_role.key, None);
        }
    }

    #[test]
    fn what_cannot_be_seen_is_a_blank() {
        let bidi_control = ['\u{61c}', '\u{200e}', '\u{200f}'];
        let bidi_control = bidi_control.into_iter().chain('\u{202a}'..='\u{202e}');
        for c in bidi_control.chain('\u{2066}'..='\u{2069}').chain("\u{1b}\n\u{9b}\u{7f}".chars()) {
            assert_eq!(visible(c), ' ', "{c:?}");
        }
        for c in "\u{ad}\u{180e}\u{200b}\u{200d}\u{2028}\u{2060}\u{3164}\u{fe0f}\u{feff}\u{fff9}\u{e0041}".chars() {
            assert_eq!(visible(c), ' ', "{c:?}");
        }
        for c in "aé画 「…\u{fffd}".chars() {
            assert_eq!(visible(c), c, "{c:?}");
        }
    }
}
