//! Signatures by another way: the `form_urlencoded` crate with the three replacements that the
//! vendor's page on signature method V2 names, a sorted map, and HMAC by ring, which is C and
//! assembler where the program has the `RustCrypto` crates.

use std::collections::BTreeMap;

use aliyun_acr_credential_provider::aliyun::signature::{self, acs3, v1};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;
use ring::{digest, hmac};

fn encode(text: &str) -> String {
    let form: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    form.replace('+', "%20").replace('*', "%2A").replace("%7E", "~")
}

fn sign(key: &str, text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
    BASE64_STANDARD.encode(hmac::sign(&key, text.as_bytes()))
}

/// Anything, with what encodings trip over more often than chance would have it.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[ -~]{0,40}", "[+*~%/=& \u{e9}\u{4e2d}\u{1f980}\0]{0,12}"]
}

fn parameters() -> impl Strategy<Value = BTreeMap<String, String>> {
    proptest::collection::btree_map(text(), text(), 0..12)
}

fn pairs(map: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    map.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

proptest! {
    #![proptest_config(super::config())]

    #[test]
    fn encoded_as_the_other_way_encodes(text in text()) {
        let encoded = signature::percent_encode(&text);
        prop_assert_eq!(&encoded, &encode(&text));
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~%".contains(&b);
        prop_assert!(encoded.bytes().all(plain));
    }

    /// A service that decodes the body finds what was meant, in the order that is signed.
    #[test]
    fn a_body_decodes_to_what_was_encoded(parameters in parameters(), turn in 0usize..12) {
        let mut given = pairs(&parameters);
        let turns = turn % given.len().max(1);
        given.rotate_left(turns);
        let body = signature::form_encode(&given);
        let decoded: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let meant: Vec<(String, String)> = parameters.into_iter().collect();
        prop_assert_eq!(decoded, meant);
    }

    #[test]
    fn rpc(secret in text(), parameters in parameters(), post in any::<bool>(), turn in 0usize..12) {
        let method = if post { "POST" } else { "GET" };
        let canonical: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let expected = [method, &encode("/"), &encode(&canonical.join("&"))].join("&");
        let mut given = pairs(&parameters);
        let turns = turn % given.len().max(1);
        given.rotate_left(turns);
        let signed = v1::rpc_string_to_sign(method, &given);
        prop_assert_eq!(&signed, &expected);
        let key = [secret.as_str(), "&"].concat();
        prop_assert_eq!(v1::rpc_signature(&secret, &signed), sign(&key, &expected));
    }

    #[test]
    fn roa(
        secret in text(),
        path in "/[a-z/-]{0,20}",
        query in proptest::collection::btree_map("[A-Za-z]{1,6}", "[ -~]{0,10}", 0..4),
        acs in proptest::collection::btree_map("x-acs-[a-z-]{1,10}", "[ -~]{0,20}", 0..5),
        standard in proptest::array::uniform4(proptest::option::of("[ -~]{0,20}")),
        shout in any::<bool>(),
        turn in 0usize..10,
    ) {
        const STANDARD: [&str; 4] = ["accept", "content-md5", "content-type", "date"];
        let mut lines = vec!["GET".to_owned()];
        lines.extend(standard.iter().map(|value| value.clone().unwrap_or_default()));
        lines.extend(acs.iter().map(|(name, value)| format!("{name}:{value}")));
        let query_text: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let separator = if query.is_empty() { "" } else { "?" };
        lines.push([path.as_str(), separator, &query_text.join("&")].concat());
        let expected = lines.join("\n");

        let mut headers: Vec<(String, String)> = STANDARD
            .iter()
            .zip(&standard)
            .filter_map(|(name, value)| Some(((*name).to_owned(), value.clone()?)))
            .chain(acs)
            .chain([("host".to_owned(), "cr.example".to_owned()), ("x-acsimilar".to_owned(), "no".to_owned())])
            .map(|(name, value)| (if shout { name.to_ascii_uppercase() } else { name }, value))
            .collect();
        let turns = turn % headers.len();
        headers.rotate_left(turns);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let mut given = pairs(&query);
        given.reverse();
        let signed = v1::roa_string_to_sign("GET", &path, &given, &headers);
        prop_assert_eq!(&signed, &expected);
        prop_assert_eq!(v1::roa_signature(&secret, &signed), sign(&secret, &expected));
    }

    #[test]
    fn acs3(
        secret in text(),
        path in "/[a-z/-]{0,20}",
        query in parameters(),
        headers in proptest::collection::btree_map("[a-z-]{1,12}", "[!-~]{0,20}", 1..6),
        body in text(),
    ) {
        let hash = hexadecimal(digest::digest(&digest::SHA256, body.as_bytes()).as_ref());
        prop_assert_eq!(acs3::hash(&body), hash.clone());
        let form: Vec<String> =
            query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let mut lines = vec!["POST".to_owned(), path.clone(), form.join("&")];
        lines.extend(headers.iter().map(|(name, value)| format!("{name}:{value}")));
        let names: Vec<&str> = headers.keys().map(String::as_str).collect();
        lines.extend([String::new(), names.join(";"), hash.clone()]);
        let expected = lines.join("\n");
        let (mut query, mut signed) = (pairs(&query), pairs(&headers));
        query.reverse();
        signed.reverse();
        let request = acs3::canonical_request("POST", &path, &query, &signed, &hash);
        prop_assert_eq!(&request, &expected);
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let string = acs3::string_to_sign(&acs3::hash(&request));
        let tag = hmac::sign(&key, string.as_bytes());
        prop_assert_eq!(acs3::signature(&secret, &string), hexadecimal(tag.as_ref()));
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}
