//! The acceptance matrix of answers, row by row.

use super::*;

const V1: &str = "credentialprovider.kubelet.k8s.io/v1";

/// An answer of version v1 with `rest` after its two type fields.
fn answer(rest: &str) -> String {
    let comma = if rest.is_empty() { "" } else { "," };
    format!(r#"{{"apiVersion":"{V1}","kind":"CredentialProviderResponse"{comma}{rest}}}"#)
}

fn decode(text: &str) -> Result<Response, Refusal> {
    decode_response(text.as_bytes(), V1)
}

fn rule(text: &str) -> Rule {
    match decode(text) {
        Err(Refusal::Undecodable { rule, .. }) => rule,
        other => panic!("{text}: {other:?}"),
    }
}

fn login(username: &str, password: &str) -> Credential {
    Credential { username: username.to_owned(), password: password.to_owned() }
}

#[test]
fn a_full_answer_is_accepted_in_every_version() {
    for version in API_VERSIONS {
        let text = format!(
            r#"{{"kind":"CredentialProviderResponse","apiVersion":"{version}","cacheKeyType":"Registry",
                "cacheDuration":"1h0m0s","auth":{{"reg.example":{{"username":"u","password":"p"}}}}}}"#
        );
        let expected = Response {
            cache_key_type: CacheKeyType::Registry,
            cache_duration: Some(GoDuration::from_seconds(3600)),
            auth: Some(BTreeMap::from([("reg.example".to_owned(), login("u", "p"))])),
        };
        assert_eq!(decode_response(text.as_bytes(), version), Ok(expected));
    }
}

#[test]
fn valid_answers_are_accepted() {
    for rest in [
        r#""cacheKeyType":"Image""#,
        r#""cacheKeyType":"Registry""#,
        r#""cacheKeyType":"Global""#,
        r#""cacheKeyType":"Image","cacheDuration":null"#,
        r#""cacheKeyType":"Image","cacheDuration":"0s""#,
        r#""cacheKeyType":"Image","cacheDuration":"0""#,
        r#""cacheKeyType":"Image","cacheDuration":"-5m""#,
        r#""cacheKeyType":"Image","auth":null"#,
        r#""cacheKeyType":"Image","auth":{}"#,
        r#""cacheKeyType":"Image","auth":{"a":{}}"#,
        r#""cacheKeyType":"Image","auth":{"a":null}"#,
        r#""cacheKeyType":"Image","auth":{"a":{"username":"","password":""}}"#,
        r#""cacheKeyType":"Image","auth":{"a":{"username":null,"password":"p"}}"#,
        r#""cacheKeyType":"Image","auth":{"%zz":{"username":"u","password":"p"}}"#,
        r#""cacheKeyType":"\u0049mage""#,
    ] {
        let text = answer(rest);
        assert!(decode(&text).is_ok(), "{text}: {:?}", decode(&text));
    }
}

#[test]
fn white_space_may_surround_the_answer() {
    let text = format!(" \r\n\t{}\n\n", answer(r#""cacheKeyType":"Image""#));
    assert!(decode(&text).is_ok());
}

#[test]
fn durations_are_read_as_go_reads_them() {
    for (text, nanoseconds) in [
        ("3600s", 3_600_000_000_000),
        ("1h", 3_600_000_000_000),
        ("1h30m", 5_400_000_000_000),
        ("1.5h", 5_400_000_000_000),
        ("90m0.5s", 5_400_500_000_000),
        ("250ms", 250_000_000),
        ("21.6µs", 21_600),
        ("0", 0),
        ("0s", 0),
        ("-5m", -300_000_000_000),
    ] {
        let text = answer(&format!(r#""cacheKeyType":"Image","cacheDuration":"{text}""#));
        let duration = decode(&text).unwrap().cache_duration;
        assert_eq!(duration, Some(GoDuration::from_nanoseconds(nanoseconds)), "{text}");
    }
    for text in ["", "1d", "PT1H", "1h 30m", "1 h", "3600", "2562048h", "-2562048h"] {
        let text = answer(&format!(r#""cacheKeyType":"Image","cacheDuration":"{text}""#));
        assert_eq!(rule(&text), Rule::NotADuration, "{text}");
    }
}

#[test]
fn what_is_not_one_json_object_has_no_type() {
    let valid = answer(r#""cacheKeyType":"Image""#);
    let refused = [
        String::new(),
        "\n".to_owned(),
        "error: no credentials".to_owned(),
        format!("apiVersion: {V1}\nkind: CredentialProviderResponse\ncacheKeyType: Image\n"),
        format!("level=info msg=asking\n{valid}"),
        format!("{valid}\ndone"),
        format!("{valid}{valid}"),
        format!("{valid}\n{valid}\n"),
        format!("\u{feff}{valid}"),
        format!("{valid}\0"),
        format!("[{valid}]"),
        format!("\"{}\"", valid.replace('"', "\\\"")),
        valid.replace('}', ""),
        valid.replace('}', ",}"),
        valid.replace('"', "'"),
        valid.replace(&format!("\"{V1}\""), "1"),
        valid.replace(V1, "a/b/c"),
        valid.replace("\"CredentialProviderResponse\"", "{}"),
    ];
    for text in &refused {
        let refusal = decode(text);
        assert!(matches!(refusal, Err(Refusal::NoTypeMeta { .. })), "{text:?}: {refusal:?}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused() {
    let mut bytes = answer(r#""cacheKeyType":"Image","auth":{"a":{"password":"?"}}"#).into_bytes();
    let position = bytes.iter().position(|byte| *byte == b'?').unwrap();
    bytes[position] = 0xff;
    assert!(matches!(decode_response(&bytes, V1), Err(Refusal::NoTypeMeta { .. })));
}

#[test]
fn the_version_is_compared_byte_for_byte() {
    for actual in [
        "credentialprovider.kubelet.k8s.io/v1beta1",
        "credentialprovider.kubelet.k8s.io/v1alpha1",
        "credentialprovider.kubelet.k8s.io/V1",
        "credentialprovider.kubelet.k8s.io/v1 ",
        "credentialprovider.kubelet.k8s.io",
        "client.authentication.k8s.io/v1",
        "v1",
        "",
    ] {
        let text = answer(r#""cacheKeyType":"Image""#).replace(V1, actual);
        let expected = V1.to_owned();
        let actual = actual.to_owned();
        assert_eq!(decode(&text), Err(Refusal::ApiVersion { expected, actual }));
    }
    let absent = r#"{"kind":"CredentialProviderResponse","cacheKeyType":"Image"}"#;
    let null = r#"{"apiVersion":null,"kind":"CredentialProviderResponse","cacheKeyType":"Image"}"#;
    for text in [absent, null, "{}", "null"] {
        assert!(matches!(decode(text), Err(Refusal::ApiVersion { .. })), "{text}");
    }
}

#[test]
fn the_version_is_judged_before_the_rest() {
    let text =
        r#"{"apiVersion":"credentialprovider.kubelet.k8s.io/v1beta1","status":{},"status":1}"#;
    assert!(matches!(decode(text), Err(Refusal::ApiVersion { .. })));
}

#[test]
fn kind_and_group_are_checked() {
    let valid = answer(r#""cacheKeyType":"Image""#);
    let kind = r#""kind":"CredentialProviderResponse","#;
    assert_eq!(rule(&valid.replace(kind, "")), Rule::MissingKind);
    assert_eq!(rule(&valid.replace(kind, r#""kind":null,"#)), Rule::MissingKind);
    for other in ["CredentialProviderRequest", "credentialProviderResponse", "ExecCredential"] {
        assert_eq!(rule(&valid.replace("CredentialProviderResponse", other)), Rule::OtherKind);
    }
    let group = "example.com/v1";
    let refusal = decode_response(valid.replace(V1, group).as_bytes(), group).unwrap_err();
    let place = String::new();
    assert_eq!(refusal, Refusal::Undecodable { rule: Rule::UnknownVersion, place });
}

#[test]
fn unknown_fields_are_refused() {
    for rest in [
        r#""cacheKeyType":"Image","status":{}"#,
        r#""cacheKeyType":"Image","metadata":{}"#,
        r#""cacheKeyType":"Image","metadata":null"#,
        r#""cacheKeyType":"Image","expirationTimestamp":"2026-01-01T00:00:00Z""#,
        r#""cacheKeyType":"Image","image":"a/b""#,
        r#""CacheKeyType":"Image""#,
        r#""cacheKeyType":"Image","CacheKeyType":"Image""#,
        r#""cachekeytype":"Image""#,
        r#""cacheKeyType":"Image","CacheDuration":"1h""#,
        r#""cacheKeyType":"Image","Auth":{}"#,
        r#""cacheKeyType":"Image","Kind":"CredentialProviderResponse""#,
        r#""cacheKeyType":"Image","":1"#,
        r#""cacheKeyType":"Image","auth":{"a":{"username":"u","password":"p","email":""}}"#,
        r#""cacheKeyType":"Image","auth":{"a":{"username":"u","password":"p","auth":"dTpw"}}"#,
        r#""cacheKeyType":"Image","auth":{"a":{"username":"u","password":"p","identitytoken":"t"}}"#,
        r#""cacheKeyType":"Image","auth":{"a":{"Username":"u","password":"p"}}"#,
        r#""cacheKeyType":"Image","auth":{"a":{"username":"u","passWord":"p"}}"#,
    ] {
        assert_eq!(rule(&answer(rest)), Rule::UnknownField, "{rest}");
    }
}

#[test]
fn repeated_keys_are_refused_at_every_level() {
    for rest in [
        r#""cacheKeyType":"Image","cacheKeyType":"Image""#,
        r#""cacheKeyType":"Image","kind":"CredentialProviderResponse""#,
        r#""cacheKeyType":"Image","apiVersion":"credentialprovider.kubelet.k8s.io/v1""#,
        r#""cacheKeyType":"Image","cacheDuration":null,"cacheDuration":"1h""#,
        r#""cacheKeyType":"Image","auth":null,"auth":{}"#,
        r#""cacheKeyType":"Image","auth":{"a":{},"a":{}}"#,
        r#""cacheKeyType":"Image","auth":{"a":{},"\u0061":{}}"#,
        r#""cacheKeyType":"Image","auth":{"a":{"password":"p","password":"p"}}"#,
    ] {
        assert_eq!(rule(&answer(rest)), Rule::RepeatedKey, "{rest}");
    }
}

#[test]
fn types_are_not_coerced() {
    for rest in [
        r#""cacheKeyType":1"#,
        r#""cacheKeyType":["Image"]"#,
        r#""cacheKeyType":"Image","cacheDuration":3600"#,
        r#""cacheKeyType":"Image","cacheDuration":0"#,
        r#""cacheKeyType":"Image","cacheDuration":{}"#,
        r#""cacheKeyType":"Image","auth":[]"#,
        r#""cacheKeyType":"Image","auth":"a""#,
        r#""cacheKeyType":"Image","auth":{"a":"u:p"}"#,
        r#""cacheKeyType":"Image","auth":{"a":[]}"#,
        r#""cacheKeyType":"Image","auth":{"a":{"username":1}}"#,
        r#""cacheKeyType":"Image","auth":{"a":{"password":true}}"#,
        r#""cacheKeyType":"Image","auth":{"a":{"password":["p"]}}"#,
    ] {
        assert_eq!(rule(&answer(rest)), Rule::WrongType, "{rest}");
    }
}

#[test]
fn the_cache_key_type_is_one_of_three() {
    let given = |rest: &str| match decode(&answer(rest)) {
        Err(Refusal::CacheKeyType { given }) => given,
        other => panic!("{rest}: {other:?}"),
    };
    assert_eq!(given(""), "");
    assert_eq!(given(r#""cacheKeyType":null"#), "");
    for other in ["", "ServiceAccount", "Token", "image", "REGISTRY", "Registry ", "None"] {
        assert_eq!(given(&format!(r#""cacheKeyType":"{other}""#)), other);
    }
}

#[test]
fn the_token_may_come_back_only_where_the_cache_dies_with_it() {
    let text = answer(r#""cacheKeyType":"Image","auth":{"a":{"username":"u","password":"tok"}}"#);
    let response = decode(&text).unwrap();
    let check = |token, cache_type| response.check_echo(token, cache_type);
    assert_eq!(check("tok", Some(CacheType::ServiceAccount)), Err(Refusal::EchoedToken));
    assert_eq!(check("tok", Some(CacheType::Token)), Ok(()));
    assert_eq!(check("other", Some(CacheType::ServiceAccount)), Ok(()));
    // Release 1.33 has no cacheType and no such check.
    assert_eq!(check("tok", None), Ok(()));
    // A pod without a service account: an empty password does not echo the missing token.
    let empty = decode(&answer(r#""cacheKeyType":"Image","auth":{"a":{}}"#)).unwrap();
    assert_eq!(empty.check_echo("", Some(CacheType::ServiceAccount)), Ok(()));
}

#[test]
fn refusals_and_debug_texts_show_no_secret() {
    let secret = "s3cr3t";
    let texts = [
        answer(r#""cacheKeyType":"Image","auth":{"s3cr3t":{"s3cr3t":"s3cr3t"}}"#),
        answer(r#""cacheKeyType":"Image","auth":{"s3cr3t":{},"s3cr3t":{}}"#),
        answer(r#""cacheKeyType":"Image","auth":{"a":{"password":["s3cr3t"]}}"#),
        answer(r#""cacheKeyType":"Image","cacheDuration":"s3cr3t""#),
        answer(r#""cacheKeyType":"Image","s3cr3t":1"#),
        "password s3cr3t".to_owned(),
    ];
    for text in texts {
        let refusal = decode(&text).unwrap_err();
        assert!(!format!("{refusal} {refusal:?}").contains(secret), "{refusal}");
    }
    assert!(!format!("{:?}", login("u", secret)).contains(secret));
}

#[test]
fn refusals_read_as_in_the_log() {
    let text = |rest: &str| decode(&answer(rest)).unwrap_err().to_string();
    assert_eq!(
        text(r#""cacheKeyType":"ServiceAccount""#),
        r#"credential provider plugin did not return a valid cacheKeyType: "ServiceAccount""#
    );
    assert_eq!(
        text(r#""cacheKeyType":"Image","auth":{"a":{"password":1}}"#),
        "error decoding credential provider plugin response from stdout \
         (WrongType at auth[0].password)"
    );
    assert_eq!(
        decode("{} x").unwrap_err().to_string(),
        "error reading GVK from response: trailing characters at line 1 column 4"
    );
    assert_eq!(
        decode("{}").unwrap_err().to_string(),
        "apiVersion from credential plugin response did not match expected \
         apiVersion:credentialprovider.kubelet.k8s.io/v1, actual apiVersion:"
    );
}
