//! A call that gave nothing, in words.

use crate::aliyun::Hop;
use crate::aliyun::call::{CallError, Last};
use crate::aliyun::refusal::Refusal;
use crate::aliyun::registry_host::without_port;
use crate::failure::service_codes::{self, Facts};
use crate::failure::{Exit, Failure};
use crate::net::tls::CLOCK_SAYS;

impl Failure {
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
}
