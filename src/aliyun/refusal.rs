//! What a service says when it says no.
//!
//! RPC services answer `{"RequestId", "HostId", "Code", "Message", "Recommend"}`, Container
//! Registry also with `IsSuccess`, ROA services with a lower-case initial, and a gateway that did
//! not get as far as `Format=JSON` in XML. Source: the vendor's "common parameters" pages and SDK tests.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::aliyun::redact;
use crate::secret::Secret;

/// Fields of answers that are secrets, wherever they stand.
const SECRETS: [&str; 4] =
    ["AccessKeySecret", "AuthorizationToken", "SecurityToken", "authorizationToken"];

/// Words with which a message begins to repeat what was signed: of signature version 1.0, and of
/// ACS3-HMAC-SHA256, whose canonical request holds the security token as it is.
const ECHOES: [&str; 4] =
    ["string to sign", "stringtosign", "canonical request", "canonicalrequest"];

/// A refusal, safe to print.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    /// Empty when the answer has none.
    pub code: String,
    /// The service's words, unless they echo what was signed.
    pub message: Option<String>,
    pub request_id: Option<String>,
    /// It is the service that spoke, as far as the answer shows: by a code, a request id or
    /// `IsSuccess`; or its refusals have nothing but the status.
    pub of_service: bool,
    /// What else than `true` the answer's `IsSuccess` is.
    pub is_success: Option<NotTrue>,
    /// Which kind of policy denied, if the service says so.
    pub policy_type: Option<PolicyType>,
    /// A policy has a statement that denies, which no other policy can allow.
    pub denied_explicitly: bool,
    /// For `SignatureDoesNotMatch`: the service signed the same text, so the secret is wrong.
    pub same_text_signed: Option<bool>,
    /// How long a call limit stays used up, if the service says so.
    pub limited_for: Option<Duration>,
}

/// Which kind of policy denied: `AccessDeniedDetail.PolicyType`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyType {
    /// The trust policy of the role that is assumed.
    Trust,
    /// The policies of the one who asks.
    Permission,
    /// The same, with policies that are attached for one resource group.
    PermissionInGroup,
    /// The policy that the caller's session was made with.
    Session,
    /// A policy above the account, of its resource directory.
    Control,
    /// A kind that this program does not know, as the service writes it.
    Other(String),
}

impl From<String> for PolicyType {
    fn from(word: String) -> Self {
        match word.as_str() {
            "AssumeRolePolicy" => Self::Trust,
            "AccountLevelIdentityBasedPolicy" => Self::Permission,
            "ResourceGroupLevelIdentityBasedPolicy" => Self::PermissionInGroup,
            "SessionPolicy" => Self::Session,
            "ControlPolicy" => Self::Control,
            _ => Self::Other(word),
        }
    }
}

impl fmt::Display for PolicyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trust => "AssumeRolePolicy",
            Self::Permission => "AccountLevelIdentityBasedPolicy",
            Self::PermissionInGroup => "ResourceGroupLevelIdentityBasedPolicy",
            Self::Session => "SessionPolicy",
            Self::Control => "ControlPolicy",
            Self::Other(word) => word,
        })
    }
}

/// An `IsSuccess` that makes a refusal of an answer with status 200.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTrue {
    False,
    /// Neither `true` nor `false`.
    Other,
}

/// What a refusal is a sign of, by its code and its status. All codes that decide something stand
/// here; what the others mean for a reader is in [`crate::failure::service_codes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// The account's call limit is used up.
    Throttling,
    /// The service does not accept the time stamp: it is more than 15 minutes off.
    Clock,
    /// A nonce was seen before: something on the way sent the request twice.
    Nonce,
    /// The service failed rather than refused.
    Passing,
    /// The caller may not do this.
    Denial,
    Other,
}

impl Refusal {
    pub fn sign(&self) -> Sign {
        let denials = ["NoPermission", "NoPrivilege", "Forbidden"];
        match self.code.as_str() {
            _ if self.status == 429 => Sign::Throttling,
            code if code == "Throttling" || code.starts_with("Throttling.") => Sign::Throttling,
            "InvalidTimeStamp.Expired" | "IllegalTimestamp" => Sign::Clock,
            "SignatureNonceUsed" => Sign::Nonce,
            "InternalError" | "ServiceUnavailable" | "SystemError" => Sign::Passing,
            _ if self.status >= 500 => Sign::Passing,
            code if denials.iter().any(|word| code.contains(word)) => Sign::Denial,
            _ => Sign::Other,
        }
    }

    /// It says nothing of what the caller may do: the service failed, is overrun, doubts the
    /// caller's clock, or it was not the service that spoke.
    pub fn may_pass(&self) -> bool {
        !self.of_service || !matches!(self.sign(), Sign::Denial | Sign::Other)
    }

    /// The service's code, or what there is in its place.
    pub fn named(&self) -> String {
        match self.is_success {
            _ if !self.code.is_empty() => self.code.clone(),
            Some(NotTrue::False) => "IsSuccess false without an error code".to_owned(),
            Some(NotTrue::Other) => {
                "IsSuccess neither true nor false, without an error code".to_owned()
            }
            None => format!("HTTP {} without an error code", self.status),
        }
    }

    /// The service's message, the HTTP status and the request id; empty where nothing is known
    /// that the name does not say.
    pub fn details(&self) -> String {
        let Self { status, message, request_id, policy_type, is_success, .. } = self;
        let bare = self.code.is_empty() && is_success.is_none();
        if bare && message.is_none() && request_id.is_none() {
            return String::new();
        }
        let said = message.as_ref().map_or(String::new(), |said| format!(": \"{said}\""));
        let denied = policy_type.as_ref().map_or(String::new(), |by| format!(", denied by {by}"));
        let id =
            request_id.as_ref().map_or("no request id".to_owned(), |id| format!("request id {id}"));
        format!("{said} (HTTP {status}{denied}, {id})")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.named(), self.details())
    }
}

/// What was sent, for reading the answer to it: no secret of it may come back in a message.
#[derive(Default)]
pub struct Sent<'a> {
    pub secrets: Vec<&'a Secret>,
    /// What a service repeats that has got, and signs, the same text.
    pub echo: Option<&'a str>,
}

/// The fields of an error envelope. A field of the wrong form does not hide the others.
#[derive(Default)]
struct Envelope {
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
    is_success: Option<NotTrue>,
    policy_type: Option<String>,
    denied_explicitly: bool,
    /// What the answer itself gives out.
    issued: Vec<Secret>,
}

impl Envelope {
    fn read(body: &[u8]) -> Option<Self> {
        let fields: Map<String, Value> = serde_json::from_slice(body).ok()?;
        let either = |names: [&str; 2]| names.iter().find_map(|name| word(fields.get(*name)?));
        let is_success = match fields.get("IsSuccess") {
            None | Some(Value::Bool(true)) => None,
            Some(Value::Bool(false)) => Some(NotTrue::False),
            Some(_) => Some(NotTrue::Other),
        };
        let detail = fields.get("AccessDeniedDetail");
        let denial = |name| word(detail?.get(name)?);
        let mut issued = Vec::new();
        collect_secrets(&fields, &mut issued);
        Some(Self {
            // All answers of Container Registry have a code.
            code: either(["Code", "code"]).filter(|code| code != "success"),
            message: either(["Message", "message"]),
            request_id: either(["RequestId", "requestId"]),
            is_success,
            policy_type: denial("PolicyType"),
            denied_explicitly: denial("NoPermissionType")
                .is_some_and(|kind| kind == "ExplicitDeny"),
            issued,
        })
    }

    /// What must not be printed of the answer: what was sent, and what is given out.
    fn secrets<'s>(&'s self, sent: &Sent<'s>) -> Vec<&'s Secret> {
        sent.secrets.iter().copied().chain(&self.issued).collect()
    }
}

/// A text, or a number as one.
pub fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Finds what an answer gives out.
fn collect_secrets(fields: &Map<String, Value>, secrets: &mut Vec<Secret>) {
    for (name, value) in fields {
        match value {
            Value::Object(fields) => collect_secrets(fields, secrets),
            value if SECRETS.contains(&name.as_str()) => {
                secrets.extend(word(value).map(Secret::new));
            }
            _ => {}
        }
    }
}

/// Reads an answer as a refusal, if it is one: an error status, or `IsSuccess: false` on a 200.
pub fn read(status: u16, body: &[u8], sent: &Sent<'_>) -> Option<Refusal> {
    let envelope = Envelope::read(body);
    let success = (200..300).contains(&status);
    if success && envelope.as_ref().is_none_or(|envelope| envelope.is_success.is_none()) {
        return None;
    }
    let envelope = envelope.or_else(|| xml(body)).unwrap_or_default();
    let secrets = envelope.secrets(sent);
    let message = envelope.message.as_deref().unwrap_or_default();
    let word = |text: &Option<String>| {
        text.as_deref().map(|text| redact::word(text, &secrets)).filter(|word| !word.is_empty())
    };
    let code = word(&envelope.code);
    // By its code, and by its words should another code echo the same.
    let signature = ["SignatureDoesNotMatch", "IncompleteSignature"];
    let named = code.as_deref().is_some_and(|code| signature.contains(&code));
    let words = message.to_ascii_lowercase();
    let echoes = ECHOES.iter().any(|echo| words.contains(echo));
    let request_id = word(&envelope.request_id);
    Some(Refusal {
        status,
        of_service: code.is_some() || request_id.is_some() || envelope.is_success.is_some(),
        is_success: envelope.is_success,
        same_text_signed: sent.echo.filter(|_| echoes).map(|ours| message.contains(ours)),
        message: (!echoes && !named)
            .then(|| redact::line(message, &secrets))
            .filter(|m| !m.is_empty()),
        code: code.unwrap_or_default(),
        request_id,
        policy_type: word(&envelope.policy_type).map(PolicyType::from),
        denied_explicitly: envelope.denied_explicitly,
        limited_for: None,
    })
}

/// The id of an answer, whatever else it is.
pub fn request_id(body: &[u8], sent: &Sent<'_>) -> Option<String> {
    let envelope = Envelope::read(body)?;
    let id = redact::word(envelope.request_id.as_deref()?, &envelope.secrets(sent));
    (!id.is_empty()).then_some(id)
}

/// What kind of thing an answer says that it is.
pub fn content_type(said: Option<&str>, body: &[u8], sent: &Sent<'_>) -> String {
    let envelope = Envelope::read(body).unwrap_or_default();
    redact::line(said.unwrap_or("no content type"), &envelope.secrets(sent))
}

fn xml(body: &[u8]) -> Option<Envelope> {
    let body = std::str::from_utf8(body).ok()?;
    let element = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(value, _)| value.to_owned())
    };
    let code = element("Code")?;
    Some(Envelope {
        code: Some(code),
        message: element("Message"),
        request_id: element("RequestId"),
        ..Envelope::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(secret: &Secret) -> Sent<'_> {
        Sent { secrets: vec![secret], echo: Some("POST&%2F&A%3Db") }
    }

    #[test]
    fn the_echo_of_what_was_signed_is_never_passed_on() {
        let token = Secret::new("CAIS/secret==");
        let body = br#"{"Code":"SignatureDoesNotMatch","RequestId":"R-1","Message":"Specified signature is not matched with our calculation. server string to sign is:POST&%2F&A%3Db"}"#;
        let refusal = read(400, body, &sent(&token)).unwrap();
        assert_eq!(refusal.message, None);
        assert_eq!(refusal.same_text_signed, Some(true));
        assert_eq!(refusal.to_string(), "SignatureDoesNotMatch (HTTP 400, request id R-1)");
    }

    #[test]
    fn the_echo_of_an_acs3_request_is_never_passed_on() {
        let (token, digest) = (Secret::new("CAIS/secret=="), "7ea06492da5221eba5297e897ce16e55");
        let reported = |digest: &str, code: &str| {
            let body = format!(
                r#"{{"Code":"{code}","RequestId":"R-1","Message":"Specified signature does not match our calculation. server StringToSign is [ACS3-HMAC-SHA256\n{digest}] server CanonicalRequest is [POST\n/\n\nx-acs-security-token:CAIS/secret==\n]"}}"#
            );
            let sent =
                Sent { secrets: vec![&token], echo: Some("7ea06492da5221eba5297e897ce16e55") };
            let refusal = read(400, body.as_bytes(), &sent).unwrap();
            assert_eq!(refusal.message, None);
            refusal.same_text_signed
        };
        assert_eq!(reported(digest, "SignatureDoesNotMatch"), Some(true));
        assert_eq!(reported("another", "SignatureDoesNotMatch"), Some(false));
        assert_eq!(reported(digest, "InvalidSignature"), Some(true));
    }

    #[test]
    fn a_signature_message_is_withheld_whatever_its_words() {
        let body = br#"{"Code":"SignatureDoesNotMatch","Message":"it was POST&%2F"}"#;
        let refusal = read(400, body, &Sent::default()).unwrap();
        assert_eq!((refusal.message, refusal.same_text_signed), (None, None));
    }

    #[test]
    fn no_word_of_an_answer_is_a_secret() {
        let token = Secret::new("CAISbeginning+of/a/long+token/and=its==end");
        let body = br#"{"Code":"CAISbeginning+of/a","RequestId":"CAISbeginning+of/a"}"#;
        let refusal = read(400, body, &sent(&token)).unwrap();
        assert_eq!(refusal.to_string(), "[secret] (HTTP 400, request id [secret])");
        assert_eq!(request_id(body, &sent(&token)).as_deref(), Some("[secret]"));
        for issued in [
            r#""AuthorizationToken":"made-up-password""#,
            r#""data":{"authorizationToken":"made-up-password"}"#,
            r#""Credentials":{"AccessKeySecret":"made-up-password"}"#,
            r#""Credentials":{"SecurityToken":"made-up-password"}"#,
        ] {
            let body = format!(r#"{{"RequestId":"R-made-up-password",{issued}}}"#);
            let id = request_id(body.as_bytes(), &Sent::default());
            assert_eq!(id.as_deref(), Some("[secret]"), "{body}");
            let said = Some("text/made-up-password; a");
            let kind = content_type(said, body.as_bytes(), &Sent::default());
            assert_eq!(kind, "text/[secret]; a");
        }
    }

    #[test]
    fn xml_and_other_bodies_are_read_as_far_as_they_go() {
        let secret = Secret::new("x");
        let xml = b"<?xml version='1.0'?><Error><RequestId>R-2</RequestId><Code>NoPermission</Code><Message>no</Message></Error>";
        assert_eq!(
            read(403, xml, &sent(&secret)).unwrap().to_string(),
            "NoPermission: \"no\" (HTTP 403, request id R-2)"
        );
        assert_eq!(
            read(502, b"<html>", &sent(&secret)).unwrap().to_string(),
            "HTTP 502 without an error code"
        );
        assert_eq!(read(200, b"{\"IsSuccess\":true}", &sent(&secret)), None);
        assert!(read(200, b"{\"IsSuccess\":false,\"Code\":\"X\"}", &sent(&secret)).is_some());
    }

    #[test]
    fn an_odd_field_loses_none_of_the_others() {
        let body = br#"{"IsSuccess":"false","Code":"X","code":7,"RequestId":"R-3","AccessDeniedDetail":"none"}"#;
        let refusal = read(200, body, &Sent::default()).unwrap();
        assert_eq!(refusal.to_string(), "X (HTTP 200, request id R-3)");
    }

    #[test]
    fn a_refusal_without_a_code_is_the_services_if_it_shows_so() {
        let rest = r#""RequestId":"R-5","Message":"Being upgraded.""#;
        for (status, body, said, of_service, may_pass) in [
            (
                200,
                format!(r#"{{"IsSuccess":false,{rest}}}"#),
                r#"IsSuccess false without an error code: "Being upgraded." (HTTP 200, request id R-5)"#,
                true,
                false,
            ),
            (
                200,
                r#"{"IsSuccess":"true","Code":"success"}"#.to_owned(),
                "IsSuccess neither true nor false, without an error code (HTTP 200, no request id)",
                true,
                false,
            ),
            (
                403,
                format!(r#"{{"Code":"",{rest}}}"#),
                r#"HTTP 403 without an error code: "Being upgraded." (HTTP 403, request id R-5)"#,
                true,
                false,
            ),
            (
                500,
                format!("{{{rest}}}"),
                r#"HTTP 500 without an error code: "Being upgraded." (HTTP 500, request id R-5)"#,
                true,
                true,
            ),
            (
                403,
                r#"{"message":"Forbidden"}"#.to_owned(),
                r#"HTTP 403 without an error code: "Forbidden" (HTTP 403, no request id)"#,
                false,
                true,
            ),
            (403, "<html>".to_owned(), "HTTP 403 without an error code", false, true),
        ] {
            let refusal = read(status, body.as_bytes(), &Sent::default()).unwrap();
            assert_eq!(refusal.to_string(), said);
            let found = (refusal.of_service, refusal.may_pass());
            assert_eq!(found, (of_service, may_pass), "{body}");
        }
    }

    #[test]
    fn a_message_cannot_forge_log_lines() {
        let secret = Secret::new("");
        let body = br#"{"Code":"A\nB","Message":"one\r\nerror: two\u001b[31m"}"#;
        assert_eq!(
            read(400, body, &sent(&secret)).unwrap().to_string(),
            "AB: \"one error: two [31m\" (HTTP 400, no request id)"
        );
    }
}
