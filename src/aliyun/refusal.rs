//! What a service says when it says no.
//!
//! RPC services answer `{"RequestId", "HostId", "Code", "Message", "Recommend"}`, Container
//! Registry also with `IsSuccess`, ROA services with a lower-case initial, and a gateway that did
//! not get as far as `Format=JSON` in XML. Source: the vendor's "common parameters" pages and SDK tests.

use std::collections::HashSet;
use std::fmt;

use zeroize::Zeroizing;

use crate::aliyun::loose::{Document, Word};
use crate::aliyun::signature::percent_encode;
use crate::secret::Secret;

/// Longest service message that is passed on, in characters.
const MAX_MESSAGE: usize = 300;

/// So many characters of a secret one after another are not printed.
const TELLING: usize = 12;

/// A refusal, safe to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    /// Empty when the answer was none of the service's own.
    pub code: String,
    /// The service's words, unless they echo what was signed.
    pub message: Option<String>,
    pub request_id: Option<String>,
    /// The service's refusals have no code: the status is all there is.
    pub is_bare: bool,
    /// Which kind of policy denied, as the service tells it (`AccessDeniedDetail.PolicyType`).
    pub policy_type: Option<String>,
    /// For `SignatureDoesNotMatch`: the service signed the same text, so the secret is wrong.
    pub same_string_to_sign: Option<bool>,
}

impl Refusal {
    /// The account's call limit is used up.
    #[must_use]
    pub fn is_throttling(&self) -> bool {
        self.status == 429 || self.code == "Throttling" || self.code.starts_with("Throttling.")
    }

    /// The service failed rather than refused.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        let server_side = ["InternalError", "ServiceUnavailable", "SystemError"];
        self.status >= 500 || server_side.contains(&self.code.as_str())
    }

    /// It says nothing of what the caller may do: the service failed, is overrun, doubts the
    /// caller's clock, or, where refusals have codes, it was not the service that spoke.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        (self.code.is_empty() && !self.is_bare)
            || self.is_throttling()
            || self.is_passing()
            || self.is_clock()
            || self.is_nonce()
    }

    /// The time stamp was more than 15 minutes off.
    #[must_use]
    pub fn is_clock(&self) -> bool {
        self.code == "InvalidTimeStamp.Expired"
    }

    /// A nonce was seen before: something on the way sent the request twice.
    #[must_use]
    pub fn is_nonce(&self) -> bool {
        self.code == "SignatureNonceUsed"
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, code, .. } = self;
        if code.is_empty() {
            return write!(f, "HTTP {status} without an error code");
        }
        f.write_str(code)?;
        if let Some(message) = &self.message {
            write!(f, " \"{message}\"")?;
        }
        write!(f, " (HTTP {status}")?;
        if let Some(policy) = &self.policy_type {
            write!(f, ", denied by {policy}")?;
        }
        match &self.request_id {
            Some(id) => write!(f, ", request id {id})"),
            None => f.write_str(", no request id)"),
        }
    }
}

/// What was sent, for reading the refusal of it: no secret of it may come back in a message.
#[derive(Default)]
pub struct Sent<'a> {
    pub secrets: Vec<&'a Secret>,
    pub string_to_sign: Option<&'a str>,
}

/// The fields of an error envelope. One that is not as it should be is no reason to lose the others.
#[derive(Default)]
struct Envelope {
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
    /// `IsSuccess: false`, or something that is neither `true` nor left out.
    unsuccessful: bool,
    policy_type: Option<String>,
}

impl Envelope {
    fn read(body: &[u8]) -> Option<Self> {
        let fields: Document = serde_json::from_slice(body).ok()?;
        let denied = fields.get("AccessDeniedDetail").and_then(|detail| detail.text("PolicyType"));
        Some(Self {
            code: fields.either("Code", "code"),
            message: fields.either("Message", "message"),
            request_id: fields.either("RequestId", "requestId"),
            unsuccessful: fields.get("IsSuccess").is_some_and(|is| is.word != Word::Flag(true)),
            policy_type: denied.map(str::to_owned),
        })
    }
}

/// Reads an answer as a refusal, if it is one: an error status, or `IsSuccess: false` on a 200.
#[must_use]
pub fn read(status: u16, body: &[u8], sent: &Sent<'_>) -> Option<Refusal> {
    let envelope = Envelope::read(body);
    let success = (200..300).contains(&status);
    if success && envelope.as_ref().is_none_or(|envelope| !envelope.unsuccessful) {
        return None;
    }
    let envelope = envelope.or_else(|| xml(body)).unwrap_or_default();
    let message = envelope.message.unwrap_or_default();
    let word = |text: String| identifier(&without(&text, &sent.secrets));
    let code = envelope.code.map(word).filter(|code| !code.is_empty());
    // By its code, and by its words should another code echo the same.
    let signature = ["SignatureDoesNotMatch", "IncompleteSignature"];
    let named = code.as_deref().is_some_and(|code| signature.contains(&code));
    let echoes = message.to_ascii_lowercase().contains("string to sign");
    Some(Refusal {
        status,
        same_string_to_sign: sent
            .string_to_sign
            .filter(|_| echoes)
            .map(|ours| message.contains(ours)),
        message: (!echoes && !named)
            .then(|| printable(&message, &sent.secrets))
            .filter(|m| !m.is_empty()),
        code: code.unwrap_or_default(),
        request_id: envelope.request_id.map(word).filter(|id| !id.is_empty()),
        is_bare: false,
        policy_type: envelope.policy_type.map(word),
    })
}

/// The id in an answer that is no refusal and cannot be used either.
#[must_use]
pub fn request_id(body: &[u8]) -> Option<String> {
    Envelope::read(body)?.request_id.map(|id| identifier(&id))
}

/// One line of at most `MAX_MESSAGE` (300) characters without any of the secrets, nor a part of one.
#[must_use]
pub fn printable(text: &str, secrets: &[&Secret]) -> String {
    let text = without(text, secrets);
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let line = words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(" ");
    if line.chars().count() > MAX_MESSAGE {
        line.chars().take(MAX_MESSAGE).chain(['…']).collect()
    } else {
        line
    }
}

/// What a text is without what it has in common with a secret, as it is or percent-encoded: a
/// service may quote a secret's beginning alone.
fn without(text: &str, secrets: &[&Secret]) -> String {
    let mut text = text.to_owned();
    let mut forms: Vec<Zeroizing<Vec<char>>> = Vec::new();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        let once = Zeroizing::new(percent_encode(secret.expose()));
        let twice = Zeroizing::new(percent_encode(&once));
        for form in [&**twice, &**once, secret.expose()] {
            // A short one has no parts that would tell it.
            if form.len() <= TELLING {
                text = text.replace(form, "[secret]");
            } else {
                forms.push(Zeroizing::new(form.chars().collect()));
            }
        }
    }
    let parts: HashSet<&[char]> = forms.iter().flat_map(|form| form.windows(TELLING)).collect();
    let characters: Vec<char> = text.chars().collect();
    let mut cleaned = String::new();
    // Up to where what has been seen is part of a secret.
    let mut secret_until = 0;
    for (at, character) in characters.iter().enumerate() {
        let here = characters.get(at..at + TELLING).is_some_and(|part| parts.contains(part));
        if here && at >= secret_until {
            cleaned.push_str("[secret]");
        }
        if here {
            secret_until = at + TELLING;
        }
        if at >= secret_until {
            cleaned.push(*character);
        }
    }
    cleaned
}

/// Codes and request ids are plain words; anything else in them is not passed on.
fn identifier(text: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    text.chars().filter(plain).take(100).collect()
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
        Sent { secrets: vec![secret], string_to_sign: Some("POST&%2F&A%3Db") }
    }

    #[test]
    fn the_echo_of_what_was_signed_is_never_passed_on() {
        let token = Secret::new("CAIS/secret==");
        let body = br#"{"Code":"SignatureDoesNotMatch","RequestId":"R-1","Message":"Specified signature is not matched with our calculation. server string to sign is:POST&%2F&A%3Db"}"#;
        let refusal = read(400, body, &sent(&token)).unwrap();
        assert_eq!(refusal.message, None);
        assert_eq!(refusal.same_string_to_sign, Some(true));
        assert_eq!(refusal.to_string(), "SignatureDoesNotMatch (HTTP 400, request id R-1)");
    }

    #[test]
    fn a_signature_message_is_withheld_whatever_its_words() {
        let body = br#"{"Code":"SignatureDoesNotMatch","Message":"StringToSign was POST&%2F"}"#;
        let refusal = read(400, body, &Sent::default()).unwrap();
        assert_eq!((refusal.message, refusal.same_string_to_sign), (None, None));
    }

    #[test]
    fn a_secret_in_a_message_is_taken_out_in_every_encoding() {
        let token = Secret::new("CAIS/se+t==");
        let encoded = percent_encode(token.expose());
        let text = format!("a {} b {encoded} c {} d", token.expose(), percent_encode(&encoded));
        assert_eq!(printable(&text, &[&token]), "a [secret] b [secret] c [secret] d");
    }

    #[test]
    fn a_part_of_a_secret_is_taken_out_as_well() {
        let token = Secret::new("CAISbeginning+of/a/long+token/and=its==end");
        let encoded = percent_encode(token.expose());
        for (text, printed) in [
            ("`CAISbeginning+of/a…` is malformed", "`[secret]…` is malformed"),
            ("it ends in /and=its==end.", "it ends in [secret]."),
            (&format!("({encoded}{encoded})"), "([secret][secret])"),
            (&format!("x{}", encoded.get(20..50).unwrap()), "x[secret]"),
            ("CAISbeginni, token and its end", "CAISbeginni, token and its end"),
            ("a long+token/a and CAISbeginning", "a [secret] and [secret]"),
        ] {
            assert_eq!(printable(text, &[&token]), printed);
        }
        let body = br#"{"Code":"CAISbeginning+of/a","RequestId":"CAISbeginning+of/a"}"#;
        let refusal = read(400, body, &sent(&token)).unwrap().to_string();
        assert!(!refusal.contains("CAISbeg"), "{refusal}");
    }

    #[test]
    fn xml_and_other_bodies_are_read_as_far_as_they_go() {
        let secret = Secret::new("x");
        let xml = b"<?xml version='1.0'?><Error><RequestId>R-2</RequestId><Code>NoPermission</Code><Message>no</Message></Error>";
        assert_eq!(
            read(403, xml, &sent(&secret)).unwrap().to_string(),
            "NoPermission \"no\" (HTTP 403, request id R-2)"
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
    fn a_message_cannot_forge_log_lines() {
        let secret = Secret::new("");
        let body = br#"{"Code":"A\nB","Message":"one\r\nerror: two\u001b[31m"}"#;
        assert_eq!(
            read(400, body, &sent(&secret)).unwrap().to_string(),
            "AB \"one error: two [31m\" (HTTP 400, no request id)"
        );
    }
}
