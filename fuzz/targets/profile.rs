//! The file of the vendor's command line, and an answer of a credentials URI. What is taken is whole, and
//! no message has a part of a secret.

#![no_main]

use aliyun_acr_credential_provider::pull::identity::{credentials_uri, profile};
use aliyun_acr_credential_provider::secret::Secret;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &[u8]| {
    // What is skipped may be a number that this type does not hold, or no UTF-8.
    let known: Option<Value> = serde_json::from_str(&String::from_utf8_lossy(text)).ok();
    for name in ["ci", "other", ""] {
        match profile::asker(text, name) {
            Ok(_) => {
                let Some(known) = &known else { continue };
                let profiles = known["profiles"].as_array().expect("a list of profiles");
                assert!(profiles.iter().any(|it| it["name"] == name), "{name}");
            }
            Err(refused) => {
                let message = refused.to_string();
                assert!(!message.chars().any(char::is_control), "{message:?}");
                assert!(message.chars().count() <= 400, "{message}");
                assert!(!refused.remedy().is_empty());
            }
        }
    }
    let now = "2026-01-01T00:00:00Z".parse().expect("a time");
    if let Ok(credentials) = credentials_uri::read(text, &Secret::new("/"), now) {
        assert!(!credentials.access_key_id.is_empty() && credentials.security_token.is_some());
    }
});
