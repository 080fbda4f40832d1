//! What a client writes to the stdin of a docker credential helper. A server that is read is the text up to
//! its path, and an answer repeats it as it was written; what is refused is refused in words that quote
//! nothing and that no client takes for "not found".

#![no_main]

use aliyun_acr_credential_provider::docker::{self, NOT_FOUND, Server, ServerError, Stored};
use aliyun_acr_credential_provider::secret::Secret;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|text: &[u8]| {
    match Server::read(text) {
        Ok(server) => {
            let written = std::str::from_utf8(text).expect("only text is read").trim();
            assert_eq!(server.written, written);
            assert!(!server.host.is_empty());
            assert!(
                !server
                    .host
                    .contains(|c: char| "/@".contains(c) || c.is_whitespace() || c.is_control())
            );
            // The same in another way: the first part that is not a scheme, without a user.
            let mut parts = written.splitn(2, "://");
            let bare = match (parts.next(), parts.next()) {
                (Some(_), Some(bare)) | (Some(bare), None) => bare,
                _ => unreachable!("a text has a first part"),
            };
            let authority = bare.split('/').next().expect("a text has a first part");
            let host = authority.split('@').next_back().map(str::to_ascii_lowercase);
            assert_eq!(host, Some(server.host.clone()));
            let answer = docker::credentials(&server, "user", &Secret::new("pass"));
            let answer: Value = serde_json::from_str(answer.expose()).expect("JSON");
            let expected = json!({"ServerURL": written, "Username": "user", "Secret": "pass"});
            assert_eq!(answer, expected);
        }
        Err(error) => refused(error),
    }
    match Stored::read(text) {
        Ok(stored) => {
            // What is skipped may be a number that this type does not hold.
            let Ok(sent) = serde_json::from_slice::<Value>(text) else { return };
            let sent = sent["ServerURL"].as_str().expect("a server").trim();
            match stored.server() {
                Ok(server) => assert_eq!(server.written, sent),
                Err(error) => refused(error),
            }
        }
        Err(error) => refused(error),
    }
});

fn refused(error: ServerError) {
    let said = error.to_string();
    assert!(!said.chars().any(char::is_control) && !said.contains(NOT_FOUND), "{said:?}");
}
