//! The claims of a JWT, read for messages and bounds. Nothing here verifies anything: who a token
//! stands for is decided by STS.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

/// What STS accepts as `OIDCToken`, in characters.
pub const LENGTH: std::ops::RangeInclusive<usize> = 4..=20_000;

/// What a token says of itself.
#[derive(Debug)]
pub struct Claims {
    pub audience: Vec<String>,
    pub expires: Option<Timestamp>,
    pub subject: Option<String>,
    pub issuer: Option<String>,
}

/// A claim of the wrong type counts as none.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Payload {
    aud: Value,
    exp: Value,
    sub: Value,
    iss: Value,
}

/// The claims, if the text is a JWT at all: three parts, of which two are JSON objects.
pub fn claims(token: &str) -> Option<Claims> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else { return None };
    BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
    object::<IgnoredAny>(header)?;
    let payload: Payload = object(payload)?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    // One audience or several, RFC 7519 section 4.1.3.
    let audience = match &payload.aud {
        Value::Array(audiences) => audiences.iter().filter_map(text).collect(),
        audience => text(audience).into_iter().collect(),
    };
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and such a time is refused")]
    let second = payload.exp.as_f64().map(|seconds| seconds as i64);
    let expires = second.and_then(|second| Timestamp::from_second(second).ok());
    Some(Claims { audience, expires, subject: text(&payload.sub), issuer: text(&payload.iss) })
}

fn object<T: DeserializeOwned>(part: &str) -> Option<T> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(part).ok()?;
    // serde would take an array for the fields in their order.
    json.trim_ascii_start().starts_with(b"{").then_some(())?;
    serde_json::from_slice(&json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> String {
        format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(payload))
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
    fn claims_of_a_wrong_type_are_none() {
        for payload in ["{}", r#"{"aud":1,"exp":"x","sub":[]}"#, r#"{"aud":[2],"exp":1e300}"#] {
            let claims = claims(&token(payload)).unwrap();
            assert!(claims.audience.is_empty() && claims.expires.is_none(), "{payload}");
            assert_eq!(claims.subject, None);
        }
        let fraction = claims(&token(r#"{"exp":1767225600.9}"#)).unwrap();
        assert_eq!(fraction.expires.unwrap().as_second(), 1_767_225_600, "never later");
    }

    #[test]
    fn what_is_no_jwt() {
        let good = token("{}");
        for not in [
            "",
            "a.b",
            "e30.!!.c2ln",
            "e30.e30",
            "e30.e30.c2ln.c2ln",
            "e30.e30.c2ln\n",
            "W10.e30.c2ln",
            &token("[]"),
            &token("{\"aud\":"),
            &good.replace('.', ". "),
        ] {
            assert!(claims(not).is_none(), "{not}");
        }
        assert!(claims(&good).is_some());
    }
}
