//! Signatures of Alibaba Cloud requests: RPC and ROA, HMAC-SHA1, signature version 1.0.
//!
//! The vendor titles this one "signature method V2" and calls it discontinued, yet its own
//! credential libraries still sign `AssumeRole` with it. Pure functions: time stamp and nonce are
//! parameters like any other. ACS3-HMAC-SHA256 would stand beside them here.
//!
//! Sources: "Request syntax and signature method V2 for RPC APIs" (the published example is a
//! test), and the composers of the vendor's Python SDK, whose output `tests/vectors` holds.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// The text that an RPC request signs: method, path `/` and all parameters, sorted by bytes.
///
/// `parameters` are those of query and body together, `Signature` left out.
pub fn rpc_string_to_sign(method: &str, parameters: &[(&str, &str)]) -> String {
    format!("{method}&%2F&{}", percent_encode(&form_encode(parameters)))
}

/// The value of an RPC request's `Signature` parameter.
pub fn rpc_signature(access_key_secret: &str, string_to_sign: &str) -> String {
    sign(&format!("{access_key_secret}&"), string_to_sign)
}

/// The text that a ROA request signs.
///
/// `headers` may hold more than is signed; `query` values are signed as they are, unencoded.
pub fn roa_string_to_sign(
    method: &str,
    path: &str,
    query: &[(&str, &str)],
    headers: &[(&str, &str)],
) -> String {
    let header = |name: &str| {
        headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    };
    let mut text = format!(
        "{method}\n{}\n{}\n{}\n{}\n",
        header("accept"),
        header("content-md5"),
        header("content-type"),
        header("date"),
    );
    let mut acs: Vec<(String, &str)> = headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), *value))
        .filter(|(name, _)| name.starts_with("x-acs-"))
        .collect();
    acs.sort_unstable();
    for (name, value) in acs {
        let _ = writeln!(text, "{name}:{value}");
    }
    text.push_str(path);
    let mut query = query.to_vec();
    query.sort_unstable();
    for (index, (name, value)) in query.into_iter().enumerate() {
        let _ = write!(text, "{}{name}={value}", if index == 0 { '?' } else { '&' });
    }
    text
}

/// The signature in a ROA request's `Authorization: acs <AccessKeyId>:<signature>`.
///
/// The key is the bare secret: no `&` behind it as with RPC.
pub fn roa_signature(access_key_secret: &str, string_to_sign: &str) -> String {
    sign(access_key_secret, string_to_sign)
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
pub fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + text.len() / 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn sign(key: &str, text: &str) -> String {
    // HMAC takes a key of any length; `new_from_slice` cannot fail for it.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key.as_bytes()) else {
        return String::new();
    };
    mac.update(text.as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}
