//! Random values in the shapes the cloud gives them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};

const ALPHANUMERIC: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

fn bytes(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    SystemRandom::new().fill(&mut bytes).expect("the system has random bytes");
    bytes
}

pub(super) fn alphanumeric(length: usize) -> String {
    // The slight bias of the remainder does not matter to a simulation.
    bytes(length)
        .into_iter()
        .map(|byte| char::from(ALPHANUMERIC[usize::from(byte) % ALPHANUMERIC.len()]))
        .collect()
}

/// The identifier in every answer, `94E8C4B9-...`: an upper-case UUID.
pub(super) fn request_id() -> String {
    let hex: String = bytes(16).into_iter().map(|byte| format!("{byte:02X}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The access key id of a session, `STS.N...`.
pub(super) fn session_key_id() -> String {
    format!("STS.N{}", alphanumeric(28))
}

pub(super) fn access_key_secret() -> String {
    alphanumeric(44)
}

/// `CAIS...`: it always holds `+`, `/` and `=`, so that a client that forgets to encode one of them is
/// caught.
pub(super) fn security_token() -> String {
    loop {
        let token = format!("CAIS{}", STANDARD.encode(bytes(301)));
        if token.contains('+') && token.contains('/') && token.ends_with("==") {
            return token;
        }
    }
}

/// A registry password. It holds a colon, as the documented sample `ey..:ab..` does [meta]:
/// splitting a login at the last colon breaks it.
pub(super) fn registry_password() -> String {
    format!("eyJ{}:{}", alphanumeric(96), alphanumeric(40))
}

/// The opaque token of hardened metadata.
pub(super) fn metadata_token() -> String {
    format!("{}==", alphanumeric(54))
}

/// The number that RAM gives to a role or user.
pub(super) fn numeric_id() -> String {
    let digits: String = bytes(17).into_iter().map(|byte| char::from(b'0' + byte % 10)).collect();
    format!("3{digits}")
}
