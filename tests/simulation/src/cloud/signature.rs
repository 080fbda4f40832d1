//! Signature version 1 (HMAC-SHA1), for RPC and for ROA requests, and ACS3-HMAC-SHA256, which is one
//! for both, as the services compute them.
//!
//! Written from the vendor's documents and checked against `tests/vectors`, which the vendor's own
//! SDK made: it owes nothing to the client that it judges.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// `METHOD&%2F&<percent-encoded canonical query>`, over all query and body parameters but
/// `Signature` [pysdk].
///
/// A `BTreeMap` sorts by the bytes of the unencoded name, which is the required order.
pub(super) fn rpc_string_to_sign(method: &str, parameters: &BTreeMap<String, String>) -> String {
    let canonical: Vec<String> = parameters
        .iter()
        .filter(|(name, _)| name.as_str() != "Signature")
        .map(|(name, value)| format!("{}={}", percent_encode(name), percent_encode(value)))
        .collect();
    format!("{method}&%2F&{}", percent_encode(&canonical.join("&")))
}

/// The key of an RPC signature is the secret with `&` behind it.
pub(super) fn rpc_signature(secret: &str, string_to_sign: &str) -> String {
    hmac_sha1(&format!("{secret}&"), string_to_sign)
}

/// What an ROA signature covers.
pub(super) struct RoaRequest<'a> {
    pub(super) method: &'a str,
    /// Lower-case names.
    pub(super) headers: &'a [(String, String)],
    pub(super) path: &'a str,
    /// Decoded: the values are signed raw.
    pub(super) query: &'a BTreeMap<String, String>,
}

pub(super) fn roa_string_to_sign(request: &RoaRequest<'_>) -> String {
    let header = |wanted: &str| {
        request
            .headers
            .iter()
            .find(|(name, _)| name == wanted)
            .map_or("", |(_, value)| value.as_str())
    };
    let mut text = format!("{}\n", request.method);
    for name in ["accept", "content-md5", "content-type", "date"] {
        text.push_str(header(name));
        text.push('\n');
    }
    let vendor: BTreeMap<_, _> = request
        .headers
        .iter()
        .filter(|(name, _)| name.starts_with("x-acs-"))
        .map(|(n, v)| (n, v))
        .collect();
    for (name, value) in vendor {
        text.push_str(&format!("{name}:{value}\n"));
    }
    text.push_str(request.path);
    if !request.query.is_empty() {
        let pairs: Vec<String> =
            request.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        text.push('?');
        text.push_str(&pairs.join("&"));
    }
    text
}

/// The key of an ROA signature is the bare secret.
pub(super) fn roa_signature(secret: &str, string_to_sign: &str) -> String {
    hmac_sha1(secret, string_to_sign)
}

/// What ACS3-HMAC-SHA256 covers, of RPC and ROA requests alike [doc: signature method V3].
pub(super) struct Acs3Request<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    /// Decoded.
    pub(super) query: &'a BTreeMap<String, String>,
    /// Lower-case names; more than those that are signed.
    pub(super) headers: &'a [(String, String)],
    /// The names of `SignedHeaders`.
    pub(super) signed: &'a [&'a str],
    pub(super) body: &'a [u8],
}

/// None if a header is missing that is said to be signed.
pub(super) fn acs3_canonical_request(request: &Acs3Request<'_>) -> Option<String> {
    let pair = |(name, value): (&String, &String)| {
        format!("{}={}", percent_encode(name), percent_encode(value))
    };
    let query: Vec<String> = request.query.iter().map(pair).collect();
    let mut lines = vec![request.method.to_owned(), request.path.to_owned(), query.join("&")];
    for name in request.signed {
        let (_, value) = request.headers.iter().find(|(it, _)| it == name)?;
        lines.push(format!("{name}:{}", value.trim()));
    }
    lines.extend([String::new(), request.signed.join(";"), sha256(request.body)]);
    Some(lines.join("\n"))
}

pub(super) fn acs3_string_to_sign(canonical_request: &str) -> String {
    format!("ACS3-HMAC-SHA256\n{}", sha256(canonical_request.as_bytes()))
}

/// The key is the bare secret.
pub(super) fn acs3_signature(secret: &str, string_to_sign: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(string_to_sign.as_bytes());
    hexadecimal(&mac.finalize().into_bytes())
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Keeps `A-Z a-z 0-9 - _ . ~`; every other byte becomes `%XX` in upper case.
pub(super) fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte))
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

fn hmac_sha1(key: &str, text: &str) -> String {
    let mut mac =
        Hmac::<Sha1>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::parameters::{self, Parameters};
    use super::*;

    fn vectors(file: &str) -> Vec<Value> {
        let path = format!("{}/../vectors/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        document["vectors"].as_array().unwrap().clone()
    }

    fn strings(object: &Value) -> BTreeMap<String, String> {
        serde_json::from_value(object.clone()).unwrap()
    }

    fn text<'a>(vector: &'a Value, field: &str) -> &'a str {
        vector[field].as_str().unwrap()
    }

    #[test]
    fn every_rpc_vector_is_reproduced() {
        let vectors = vectors("rpc-signature-v1.json");
        assert_eq!(vectors.len(), 18);
        for vector in &vectors {
            let string = rpc_string_to_sign(text(vector, "method"), &strings(&vector["params"]));
            assert_eq!(string, text(vector, "string_to_sign"), "{}", vector["description"]);
            let signature = rpc_signature(text(vector, "access_key_secret"), &string);
            assert_eq!(signature, text(vector, "signature"), "{}", vector["description"]);
        }
    }

    #[test]
    fn every_rpc_vector_is_verified_from_what_goes_over_the_wire() {
        for vector in &vectors("rpc-signature-v1.json") {
            let sent = Parameters::read(text(vector, "final_query"), text(vector, "final_body"));
            let sent = sent.unwrap().all;
            let string = rpc_string_to_sign(text(vector, "method"), &sent);
            let signature = rpc_signature(text(vector, "access_key_secret"), &string);
            assert_eq!(signature, sent["Signature"], "{}", vector["description"]);
        }
    }

    #[test]
    fn every_roa_vector_is_reproduced() {
        let vectors = vectors("roa-signature-v1.json");
        assert_eq!(vectors.len(), 7);
        for vector in &vectors {
            let headers: Vec<_> = strings(&vector["headers"])
                .into_iter()
                .map(|(name, value)| (name.to_lowercase(), value))
                .collect();
            let string = roa_string_to_sign(&RoaRequest {
                method: text(vector, "method"),
                headers: &headers,
                path: text(vector, "path"),
                query: &strings(&vector["params"]),
            });
            assert_eq!(string, text(vector, "string_to_sign"), "{}", vector["description"]);
            let sent = parameters::decode(text(vector, "final_query")).unwrap();
            let sent: BTreeMap<_, _> = sent.into_iter().collect();
            assert_eq!(sent, strings(&vector["params"]), "{}", vector["description"]);
            let signature = roa_signature(text(vector, "access_key_secret"), &string);
            assert_eq!(signature, text(vector, "signature"), "{}", vector["description"]);
        }
    }

    #[test]
    fn every_acs3_vector_is_reproduced() {
        let vectors = vectors("acs3-signature.json");
        assert_eq!(vectors.len(), 86);
        for vector in &vectors {
            let headers: Vec<_> = strings(&vector["headers"]).into_iter().collect();
            let sent = text(vector, "url").split_once('?').map_or("", |(_, query)| query);
            let sent: BTreeMap<_, _> = parameters::decode(sent).unwrap().into_iter().collect();
            assert_eq!(sent, strings(&vector["query_params"]), "{}", vector["description"]);
            let request = acs3_canonical_request(&Acs3Request {
                method: text(vector, "method"),
                path: text(vector, "path"),
                query: &sent,
                headers: &headers,
                signed: &text(vector, "signed_headers").split(';').collect::<Vec<_>>(),
                body: text(vector, "body").as_bytes(),
            });
            let request = request.unwrap();
            assert_eq!(request, text(vector, "canonical_request"), "{}", vector["description"]);
            let string = acs3_string_to_sign(&request);
            assert_eq!(string, text(vector, "string_to_sign"), "{}", vector["description"]);
            let signature = acs3_signature(text(vector, "access_key_secret"), &string);
            assert_eq!(signature, text(vector, "signature"), "{}", vector["description"]);
        }
    }
}
