//! Signatures of Alibaba Cloud requests. Pure functions: time stamp and nonce are parameters like
//! any other.

pub mod acs3;
pub mod v1;

use std::fmt::Write;

/// Which signature requests have, as `signature` in the configuration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scheme {
    /// HMAC-SHA1, signature version 1.0.
    #[default]
    V1,
    /// ACS3-HMAC-SHA256.
    Acs3,
}

/// `name=value` pairs sorted by unencoded name and joined by `&`: what is signed, and also a
/// valid `application/x-www-form-urlencoded` body.
pub fn form_encode(parameters: &[(&str, &str)]) -> String {
    let mut sorted = parameters.to_vec();
    sorted.sort_unstable();
    let mut text = String::new();
    for (name, value) in sorted {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(&percent_encode(name));
        text.push('=');
        text.push_str(&percent_encode(value));
    }
    text
}

/// RFC 3986: everything but `A-Z a-z 0-9 - _ . ~` as upper-case `%XX` of its UTF-8 bytes.
pub fn percent_encode(text: impl AsRef<[u8]>) -> String {
    let bytes = text.as_ref();
    let mut encoded = String::with_capacity(bytes.len() + bytes.len() / 2);
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
