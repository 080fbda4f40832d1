//! A call that gave nothing, in words.

use crate::aliyun::Hop;
use crate::aliyun::call::{CallError, Last, Stranger, Tries, also};
use crate::aliyun::refusal::{PolicyType, Refusal, Sign};
use crate::aliyun::registry_host::without_port;
use crate::failure::facts::Facts;
use crate::failure::service_codes::{self, Remedy};
use crate::failure::{Denied, Exit, Failure};
use crate::net::error::{HttpError, NoConnection, SetupError};
use crate::net::tls::Untrusted;

const IN_PLACE_OF_METADATA: &str =
    "see what answers in place of the metadata service, such as a proxy or a filter";
const IN_PLACE_OF_THE_SERVICE: &str = "see what answers in place of the service: a proxy, a captive portal, or a wrong address (DNS, /etc/hosts)";

impl From<Hop> for Exit {
    fn from(hop: Hop) -> Self {
        match hop {
            Hop::MetadataToken
            | Hop::MetadataRoleName
            | Hop::MetadataRoleDocument
            | Hop::MetadataRegion
            | Hop::MetadataAccount
            | Hop::CredentialsUri
            | Hop::AssumeRoleWithOidc => Self::Identity,
            Hop::AssumeRole => Self::AssumeRole,
            Hop::GetAuthorizationToken
            | Hop::ListInstance
            | Hop::ListInstanceEndpoint
            | Hop::PersonalTokens
            | Hop::RegistryChallenge => Self::RegistryToken,
        }
    }
}

impl Failure {
    /// A call that gave nothing.
    pub fn of_call(facts: &Facts, error: &CallError) -> Self {
        let failure = |text: String| Self::new(Exit::from(facts.hop), text);
        let call = facts.call();
        let failure = match error {
            CallError::Refused { host, refusal } => {
                failure(refused(refusal, &call, host)).of_refusal(facts, refusal)
            }
            CallError::Unreachable { host, why, given_up, tries } => {
                let text = no_answer(why, &call, host, *tries);
                failure(format!("{text}{}", also(given_up))).hint(no_answer_hint(facts, host, why))
            }
            CallError::NotTheService { host, what } => {
                failure(format!("{host}: {what}, in {call}")).hint(stranger_hint(facts.hop, what))
            }
            CallError::OutOfTime { host, last, tries } => {
                Self::out_of_time(facts, host, last.as_ref(), *tries)
            }
            CallError::Setup(error) => {
                Self::new(Exit::Usage, format!("{error}, in {call}")).hint(setup_hint(error))
            }
        };
        Self { may_pass: error.may_pass(), ..failure }
    }

    fn out_of_time(facts: &Facts, host: &str, last: Option<&Last>, tries: Tries) -> Self {
        let (hop, call) = (facts.hop, facts.call());
        let failure = |text: String| Self::new(Exit::OutOfTime, format!("out of time: {text}"));
        match last {
            Some(Last::Refused(refusal)) if tries.0 == 0 => {
                let code = refusal.named();
                let failure = failure(format!(
                    "another process of this node was refused; {call} at {host} was not begun"
                ));
                Self { code: Some(code), ..failure }.hint(throttling_hint(hop))
            }
            Some(Last::Refused(refusal)) => {
                let text = refused(refusal, &call, host);
                let failure = failure(format!("{text}, after {tries}"));
                let failure = Self { code: Some(refusal.named()), ..failure };
                if refusal.sign() == Sign::Throttling {
                    failure.hint(throttling_hint(hop))
                } else {
                    failure.explained(facts, refusal)
                }
            }
            Some(Last::Failed(why)) => {
                failure(no_answer(why, &call, host, tries)).hint(no_answer_hint(facts, host, why))
            }
            None if tries.0 == 0 => failure(format!("{call} at {host} was not begun")).hint(
                "see what took the time before; a higher `timeout` in the configuration gives more",
            ),
            None => failure(format!("{host}: no answer, in {call} (after {tries})"))
                .hint(unreachable_hint(host)),
        }
    }

    /// Why the service refuses, what to do about it, and what of it decides which remedy is exact.
    fn of_refusal(self, facts: &Facts, refusal: &Refusal) -> Self {
        let key = service_codes::find(facts, refusal).and_then(|found| found.key);
        let denied = denied(refusal);
        let key = key.filter(|_| !matches!(denied, Some(Denied::BySession | Denied::Strictly)));
        let (key, code) = (key.map(str::to_owned), Some(refusal.named()));
        Self { code, denied, key, ..self.explained(facts, refusal) }
    }

    fn explained(self, facts: &Facts, refusal: &Refusal) -> Self {
        if let Some((cause, remedy)) = beyond_permissions(refusal) {
            return self.caused_by(facts.fill(cause)).hint(facts.fill(remedy));
        }
        let by_key = facts.by_access_key();
        match (service_codes::find(facts, refusal), refusal.same_text_signed) {
            (_, Some(true)) if by_key => self
                .caused_by("the AccessKey secret is wrong: the service signed the same text and got another signature")
                .hint("compare the configured secret (customAccessKeySecret, ALIBABA_CLOUD_ACCESS_KEY_SECRET, or access_key_secret of the profile) with the secret of the AccessKey"),
            (_, Some(true)) => self
                .caused_by("the temporary credentials do not belong together: the service signed the same text and got another signature")
                .hint(service_codes::CREDENTIALS),
            (_, Some(false)) => self
                .caused_by("the request was changed on its way: the service signed another text than this program sent")
                .hint(service_codes::CHANGED),
            (Some(Remedy { cause, or_for_a_key, remedy, .. }), None) => {
                let failure = self.caused_by(facts.fill(cause));
                let failure = match or_for_a_key.filter(|_| by_key) {
                    Some(cause) => failure.caused_by(cause),
                    None => failure,
                };
                failure.hint(facts.fill(remedy))
            }
            (None, None) => self.hint(unknown_code_hint(facts.hop, refusal)),
        }
    }
}

/// What denied the call, if the service says that the caller may not make it.
fn denied(refusal: &Refusal) -> Option<Denied> {
    // A code that is not known may say anything: no policy is proposed for it.
    let is_understood = refusal.policy_type.is_some()
        || refusal.denied_explicitly
        || service_codes::is_known(&refusal.code);
    (refusal.sign() == Sign::Denial && is_understood).then_some(match refusal.policy_type {
        Some(PolicyType::Session) => Denied::BySession,
        Some(PolicyType::Control) => Denied::Strictly,
        _ if refusal.denied_explicitly => Denied::Strictly,
        Some(PolicyType::Trust) => Denied::ByTrust,
        Some(PolicyType::Permission | PolicyType::PermissionInGroup) => Denied::ByPermission,
        Some(PolicyType::Other(_)) | None => Denied::Unknown,
    })
}

/// A denial that no further permission ends, whatever its code: its cause and its remedy.
fn beyond_permissions(refusal: &Refusal) -> Option<(&'static str, &'static str)> {
    match (denied(refusal)?, &refusal.policy_type) {
        (Denied::BySession, _) => Some((
            "the session policy of {caller} does not allow this call, whatever its role may do",
            "compare instanceId and regionId with the console, or remove sessionPolicy from the entry; if the entry has none, the session was made elsewhere: see there",
        )),
        (Denied::Strictly, Some(PolicyType::Control)) => Some((
            "a control policy of the resource directory denies this call, whatever {caller} may do",
            "ask who manages the resource directory to allow this call for the account",
        )),
        (Denied::Strictly, Some(PolicyType::Trust)) => Some((
            "the trust policy of {role} has a Deny statement for {caller}",
            "remove that statement, or meet its condition",
        )),
        (Denied::Strictly, _) => Some((
            "a policy of {caller} has a Deny statement for this call, whatever other policies allow",
            "remove that statement, or meet its condition (such as acs:SourceIp)",
        )),
        _ => None,
    }
}

fn refused(refusal: &Refusal, call: &str, host: &str) -> String {
    format!("{call} at {host}{}", refusal.details())
}

fn no_answer(why: &HttpError, call: &str, host: &str, tries: Tries) -> String {
    format!("{host}: {why}, in {call} (after {tries})")
}

fn no_answer_hint(facts: &Facts, host: &str, why: &HttpError) -> String {
    match why {
        HttpError::NoConnection { why, proxy: Some(proxy) } => proxy_hint(host, why, proxy),
        _ if facts.hop.is_metadata() => metadata_hint(facts).to_owned(),
        _ if facts.hop == Hop::CredentialsUri => {
            format!("see that the service of ALIBABA_CLOUD_CREDENTIALS_URI runs at {host}")
        }
        HttpError::NoConnection { why, proxy: None } => match why {
            NoConnection::Name(_) => format!(
                "see that this node resolves {host} (/etc/resolv.conf, PrivateZone, /etc/hosts); names with `-vpc` resolve only inside a VPC of their region"
            ),
            NoConnection::Refused => format!(
                "see where {host} leads (DNS, /etc/hosts), and whether a firewall rejects the connection"
            ),
            NoConnection::Handshake(_) => {
                "large packets may be lost on the way: compare the MTU of this node with that of its tunnel or VPN, and look for a filter".to_owned()
            }
            NoConnection::Silent(_) | NoConnection::ProxyLogin | NoConnection::Other(_) => {
                unreachable_hint(host)
            }
        },
        HttpError::Silent(_) => format!(
            "see what delays or drops packets between this node and {host}: route, security group, proxy, and the MTU if connections succeed"
        ),
        HttpError::Broken(_) => {
            "something on the way breaks connections: a proxy, a filter, a wrong address".to_owned()
        }
        HttpError::Certificate(_) | HttpError::TooLarge(_) | HttpError::Setup(_) => {
            unreachable_hint(host)
        }
    }
}

fn proxy_hint(host: &str, why: &NoConnection, proxy: &str) -> String {
    let name = without_port(host);
    match why {
        NoConnection::ProxyLogin => {
            format!("put user name and password into HTTPS_PROXY, or add {name} to NO_PROXY")
        }
        _ => format!(
            "see that this node reaches the proxy {proxy} and that the proxy allows {name}, or add {name} to NO_PROXY"
        ),
    }
}

fn metadata_hint(facts: &Facts) -> &'static str {
    match (facts.hop, facts.on_cloud_node) {
        (Hop::MetadataToken, false) => {
            "the metadata service answers on ECS instances only; elsewhere use RRSA or an AccessKey"
        }
        (Hop::MetadataToken, true) => {
            "see that nothing on this instance filters 100.100.100.200, and that its metadata service is enabled"
        }
        _ => {
            "the metadata service has answered before in this run: try again, and if that fails see what filters or overloads the service"
        }
    }
}

fn unreachable_hint(host: &str) -> String {
    format!(
        "see that this node reaches {host} (route, security group, firewall, proxy), or set `network` or `endpoints` in the configuration"
    )
}

fn stranger_hint(hop: Hop, what: &Stranger) -> &'static str {
    match what {
        Stranger::Untrusted(Untrusted::NotYetValid { .. } | Untrusted::Expired { .. }) => {
            "if this machine's clock is wrong, synchronise it (chrony or ntpd); if it is right, see where the name leads (DNS, /etc/hosts)"
        }
        Stranger::Untrusted(Untrusted::Other(_)) => {
            "see where the name leads (DNS, /etc/hosts); behind a proxy that inspects TLS, set caFile to the proxy's CA"
        }
        _ if hop.is_metadata() => IN_PLACE_OF_METADATA,
        Stranger::Unreadable { request_id: Some(_), .. } => {
            "see that the configured endpoint belongs to the right service; if it does, give the request id to the vendor's support"
        }
        Stranger::Redirect(_) | Stranger::TooLarge(_) | Stranger::Unreadable { .. } => {
            IN_PLACE_OF_THE_SERVICE
        }
    }
}

fn setup_hint(error: &SetupError) -> String {
    match error {
        SetupError::Trust(error) => {
            format!("set {} to a readable file of certificates in PEM form", error.setting)
        }
        SetupError::Proxy(error) => {
            format!("set {} to http://HOST:PORT, or add the host to NO_PROXY", error.variable())
        }
        SetupError::Client(_) => "please report this".to_owned(),
    }
}

fn throttling_hint(hop: Hop) -> &'static str {
    if hop.is_metadata() {
        "the metadata service gets too many requests: see what on this node calls it so often"
    } else if hop == Hop::CredentialsUri {
        "the service of ALIBABA_CLOUD_CREDENTIALS_URI gets too many requests: see its own limit"
    } else {
        "the account's call limit is used up; if this lasts, ask the vendor for a higher quota"
    }
}

fn unknown_code_hint(hop: Hop, refusal: &Refusal) -> &'static str {
    match refusal.status {
        407 => "put user name and password into HTTPS_PROXY, or add the host to NO_PROXY",
        500.. => "the service failed: try again later",
        _ if hop.is_metadata() => IN_PLACE_OF_METADATA,
        _ if hop == Hop::CredentialsUri => {
            "see that the path in ALIBABA_CLOUD_CREDENTIALS_URI is right, and what the service there reports of this request"
        }
        _ if !refusal.of_service => IN_PLACE_OF_THE_SERVICE,
        _ if refusal.code.is_empty() => {
            "go by the service's message; if this lasts, give the request id to the vendor's support"
        }
        _ => {
            "look the code up in the vendor's error center, or give the request id to the vendor's support"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aliyun::ids::RoleArn;
    use crate::aliyun::owner::Owner;

    fn refusal(code: &str) -> Refusal {
        let same_text_signed = Some(true);
        Refusal { status: 400, code: code.to_owned(), same_text_signed, ..Refusal::default() }
    }

    fn facts(caller: &Owner) -> Facts {
        Facts::assume_role(&RoleArn::of("1", "puller").unwrap(), caller)
    }

    #[test]
    fn a_wrong_secret_is_reported_to_who_has_configured_one() {
        let refusal = refusal("SignatureDoesNotMatch");
        let error = CallError::Refused { host: "sts".to_owned(), refusal };
        let failure = |caller: Owner| Failure::of_call(&facts(&caller), &error);
        let by_key = failure(Owner::of_access_key("LTAI0001"));
        assert!(by_key.hint.unwrap().contains("customAccessKeySecret"));
        assert_eq!(by_key.key.as_deref(), Some("customAccessKeySecret"));
        for role in [Owner::WorkerRole("AccessKeyRole".to_owned()), Owner::Role("a".to_owned())] {
            let by_role = failure(role);
            assert_eq!(by_role.hint.as_deref(), Some(service_codes::CREDENTIALS));
            assert_eq!(by_role.key, None);
        }
    }

    /// A log line may be cut at 120 columns.
    #[test]
    fn the_code_is_at_the_beginning_of_the_line() {
        let code = "AuthenticationFail.OIDCToken.PublicKeyFingerprintMismatch";
        let caller = Owner::WorkerRole("KubernetesWorkerRole".repeat(3));
        let (host, last) = ("sts".to_owned(), Some(Last::Refused(refusal(code))));
        for error in [
            CallError::Refused { host: host.clone(), refusal: refusal(code) },
            CallError::OutOfTime { host, last, tries: Tries(12) },
        ] {
            let failure = Failure::of_call(&facts(&caller), &error).for_host(&"a".repeat(253));
            let text = failure.to_string();
            assert!(text.starts_with(&format!("error: {code}: no login for aaa")), "{text}");
        }
    }
}
