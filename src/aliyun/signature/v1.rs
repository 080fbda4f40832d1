//! HMAC-SHA1, signature version 1.0, of RPC and of ROA requests.
//!
//! The vendor titles this one "signature method V2" and calls it discontinued, yet its own
//! credential libraries still sign `AssumeRole` with it.
//!
//! Sources: "Request syntax and signature method V2 for RPC APIs" (the published example is a
//! test), and the composers of the vendor's Python SDK, whose output `tests/vectors` holds.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::aliyun::signature::{form_encode, percent_encode};

/// The text that an RPC request signs: method, path `/` and all parameters, sorted by bytes.
///
/// `parameters` are those of query and body together, `Signature` left out.
#[must_use]
pub fn rpc_string_to_sign(method: &str, parameters: &[(&str, &str)]) -> String {
    format!("{method}&%2F&{}", percent_encode(form_encode(parameters)))
}

/// The value of an RPC request's `Signature` parameter.
#[must_use]
pub fn rpc_signature(access_key_secret: &str, string_to_sign: &str) -> String {
    sign(&format!("{access_key_secret}&"), string_to_sign)
}

/// The text that a ROA request signs.
///
/// `headers` may hold more than is signed; `query` values are signed as they are, unencoded.
#[must_use]
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
#[must_use]
pub fn roa_signature(access_key_secret: &str, string_to_sign: &str) -> String {
    sign(access_key_secret, string_to_sign)
}

fn sign(key: &str, text: &str) -> String {
    // HMAC takes a key of any length; `new_from_slice` cannot fail for it.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key.as_bytes()) else {
        return String::new();
    };
    mac.update(text.as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}
