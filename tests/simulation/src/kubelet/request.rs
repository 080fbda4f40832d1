//! The exact bytes the kubelet writes to a plugin's stdin.

use std::collections::BTreeMap;
use std::fmt::Write;

/// A `CredentialProviderRequest` as plugin.go `encodeRequest` has it: one compact object with its
/// fields in the order of the type, map keys sorted, empty optional fields left out, one newline.
///
/// Only v1 has the two service account fields (since 1.33); the other versions drop them.
#[must_use]
pub fn encode_request(
    api_version: &str,
    image: &str,
    token: Option<&str>,
    annotations: &BTreeMap<String, String>,
) -> Vec<u8> {
    let mut text = String::from(r#"{"kind":"CredentialProviderRequest","apiVersion":"#);
    push_string(&mut text, api_version);
    text.push_str(r#","image":"#);
    push_string(&mut text, image);
    if api_version.ends_with("/v1") {
        if let Some(token) = token.filter(|token| !token.is_empty()) {
            text.push_str(r#","serviceAccountToken":"#);
            push_string(&mut text, token);
        }
        if !annotations.is_empty() {
            text.push_str(r#","serviceAccountAnnotations":"#);
            push_map(&mut text, annotations);
        }
    }
    text.push_str("}\n");
    text.into_bytes()
}

fn push_map(text: &mut String, map: &BTreeMap<String, String>) {
    let mut separator = '{';
    for (key, value) in map {
        text.push(separator);
        push_string(text, key);
        text.push(':');
        push_string(text, value);
        separator = ',';
    }
    text.push('}');
}

/// A string as Go's `json.Encoder` writes it by default: `<`, `>` and `&` are escaped to be safe in
/// HTML, U+2028 and U+2029 to be safe in JavaScript; everything else above U+001F is written out.
fn push_string(text: &mut String, value: &str) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\u{:04x}", u32::from(character));
            }
            _ => text.push(character),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::super::response::API_VERSIONS;
    use super::*;

    fn encode(
        api_version: &str,
        image: &str,
        token: Option<&str>,
        annotations: &[(&str, &str)],
    ) -> String {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let annotations = annotations.iter().map(owned).collect();
        String::from_utf8(encode_request(api_version, image, token, &annotations)).unwrap()
    }

    const V1: &str = "credentialprovider.kubelet.k8s.io/v1";

    #[test]
    fn without_a_service_account() {
        for version in API_VERSIONS {
            assert_eq!(
                encode(version, "test.registry.io/foobar", None, &[]),
                format!(
                    "{{\"kind\":\"CredentialProviderRequest\",\"apiVersion\":\"{version}\",\
                     \"image\":\"test.registry.io/foobar\"}}\n"
                )
            );
        }
    }

    #[test]
    fn with_a_token_and_annotations() {
        assert_eq!(
            encode(V1, "reg.io/a", Some("tok"), &[("b.example/x", "2"), ("a.example/x", "")]),
            concat!(
                r#"{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","#,
                r#""image":"reg.io/a","serviceAccountToken":"tok","#,
                r#""serviceAccountAnnotations":{"a.example/x":"","b.example/x":"2"}}"#,
                "\n"
            )
        );
    }

    #[test]
    fn empty_fields_and_fields_of_other_versions_are_left_out() {
        let plain = encode(V1, "reg.io/a", None, &[]);
        assert_eq!(encode(V1, "reg.io/a", Some(""), &[]), plain);
        let v1beta1 = API_VERSIONS[1];
        let plain = encode(v1beta1, "reg.io/a", None, &[]);
        assert_eq!(encode(v1beta1, "reg.io/a", Some("tok"), &[("a", "b")]), plain);
    }

    #[test]
    fn strings_are_escaped_as_go_escapes_them() {
        let value = "<a>&\"\\/\u{8}\u{c}\n\r\t\u{1}\u{1f}\u{7f}é\u{2028}\u{2029}😀";
        let text = encode(V1, "reg.io/a", Some(value), &[]);
        let escaped = concat!(
            r#""\u003ca\u003e\u0026\"\\/\b\f\n\r\t\u0001\u001f"#,
            "\u{7f}é",
            r#"\u2028\u2029"#,
            "😀\""
        );
        assert!(text.contains(escaped), "{text}");
        assert!(json::read(text.as_bytes()).is_ok());
    }
}
