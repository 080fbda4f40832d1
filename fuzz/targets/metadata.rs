//! Answers of the metadata service, and what a token says of itself. What is taken can go into a
//! header or a path as it is.

#![no_main]

use aliyun_acr_credential_provider::aliyun::metadata::{self, Kind};
use aliyun_acr_credential_provider::pull::identity::jwt;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|body: &[u8]| {
    if let Some(token) = metadata::read_token(body) {
        assert!(!token.is_empty() && token.expose().bytes().all(|b| (0x21..=0x7e).contains(&b)));
    }
    match metadata::read_document(body, None) {
        Ok(credentials) => {
            // What is skipped may be a number that this type does not hold, or no UTF-8.
            let text = String::from_utf8_lossy(body);
            let Ok(document) = serde_json::from_str::<Value>(&text) else { return };
            assert!(document.is_object(), "{text}");
            assert_eq!(document["Code"], "Success");
            assert_eq!(document["AccessKeyId"], credentials.access_key_id);
            assert_eq!(document["AccessKeySecret"], credentials.access_key_secret.expose());
            let token = credentials.security_token.as_ref().expect("a token").expose();
            assert_eq!(document["SecurityToken"], token);
            assert!(!credentials.access_key_id.is_empty() && !token.is_empty());
        }
        Err(Kind::NotSuccess(code)) => {
            assert!(!code.chars().any(char::is_control) && code.chars().count() <= 301, "{code:?}");
        }
        Err(Kind::Malformed(_)) => {}
        Err(other) => panic!("{other}"),
    }
    let Ok(text) = std::str::from_utf8(body) else { return };
    if let Some(claims) = jwt::claims(text) {
        assert!(text.contains('.'));
        let _ = (claims.audience.len(), claims.expires, claims.subject, claims.issuer);
    }
    // The same as a token's payload, as fuzzing does not find base64 by itself.
    let token = format!("e30.{}.x", base64_url(body));
    if let Some(claims) = jwt::claims(&token) {
        let text = String::from_utf8_lossy(body);
        let Ok(payload) = serde_json::from_str::<Value>(&text) else { return };
        assert_eq!(claims.subject.as_deref(), payload["sub"].as_str());
        let said = payload["exp"].as_f64();
        if let (Some(end), Some(said)) = (claims.expires, said) {
            assert!((end.as_second() as f64 - said).abs() <= 1.0, "{said}");
        }
    }
});

fn base64_url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(DIGITS[(word >> (18 - 6 * digit) & 63) as usize]));
        }
    }
    text
}
