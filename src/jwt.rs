//! The claims of a JWT, read for messages and bounds. Nothing here verifies anything: who a token
//! stands for is decided by STS.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;

/// What a token says of itself.
#[derive(Debug)]
pub struct Claims {
    pub audience: Vec<String>,
    pub expires: Option<Timestamp>,
    pub subject: Option<String>,
    pub issuer: Option<String>,
}

#[derive(Deserialize)]
struct Payload {
    #[serde(default)]
    aud: Audience,
    #[serde(default)]
    exp: Option<f64>,
    #[serde(default)]
    sub: Option<String>,
    #[serde(default)]
    iss: Option<String>,
}

/// One audience or several, RFC 7519 section 4.1.3.
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Default for Audience {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

/// The claims, if the text is a JWT at all.
#[must_use]
pub fn claims(token: &str) -> Option<Claims> {
    let payload = token.split('.').nth(1)?;
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    // serde would take an array for the fields in their order.
    payload.starts_with(b"{").then_some(())?;
    let payload: Payload = serde_json::from_slice(&payload).ok()?;
    let audience = match payload.aud {
        Audience::One(audience) => vec![audience],
        Audience::Many(audiences) => audiences,
    };
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and such a time is refused")]
    let expires = payload.exp.and_then(|seconds| Timestamp::from_second(seconds as i64).ok());
    Some(Claims { audience, expires, subject: payload.sub, issuer: payload.iss })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> String {
        format!("e30.{}.sig", BASE64_URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn claims_of_one_and_of_many_audiences() {
        let one = claims(&token(r#"{"aud":"sts.aliyuncs.com","exp":1767225600}"#)).unwrap();
        assert_eq!(one.audience, ["sts.aliyuncs.com"]);
        assert_eq!(one.expires.unwrap().as_second(), 1_767_225_600);
        let many = claims(&token(r#"{"aud":["a","b"]}"#)).unwrap();
        assert_eq!((many.audience.len(), many.expires), (2, None));
    }

    #[test]
    fn what_is_no_jwt() {
        for not in ["", "a.b", "a.!!.c", &token("[]"), &token("{\"aud\":1}")] {
            assert!(claims(not).is_none(), "{not}");
        }
    }
}
