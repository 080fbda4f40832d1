//! Every rule for configurations of any release.

use super::*;

mod token_attributes;

const PLAIN: &str = r#"
apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
  - name: acr
    matchImages:
      - "*-registry.*.cr.aliyuncs.com"
    defaultCacheDuration: 10m
    apiVersion: credentialprovider.kubelet.k8s.io/v1
    args: ["--config", "/etc/acr.yaml"]
    env:
      - name: LOG
        value: debug
"#;

fn refusal(text: &str, minor: u32) -> String {
    match decode_config(text, minor) {
        Ok(_) => panic!("accepted at 1.{minor}: {text}"),
        Err(error) => error,
    }
}

/// Asserts that [`PLAIN`] with `from` replaced is refused for a reason that has `because` in it.
fn refused(from: &str, to: &str, because: &str) {
    assert!(PLAIN.contains(from), "{from}");
    let error = refusal(&PLAIN.replace(from, to), 34);
    assert!(error.contains(because), "{error}");
}

#[test]
fn a_plain_configuration_is_read_whole() {
    let expected = ProviderConfig {
        name: "acr".to_owned(),
        match_images: vec!["*-registry.*.cr.aliyuncs.com".to_owned()],
        default_cache_duration: GoDuration::from_seconds(600),
        api_version: "credentialprovider.kubelet.k8s.io/v1".to_owned(),
        args: vec!["--config".to_owned(), "/etc/acr.yaml".to_owned()],
        env: vec![("LOG".to_owned(), "debug".to_owned())],
        token_attributes: None,
    };
    for minor in [26, 32, 33, 34, 37] {
        assert_eq!(decode_config(PLAIN, minor).unwrap().providers, std::slice::from_ref(&expected));
    }
}

#[test]
fn json_is_read_as_strictly() {
    let json = r#" {"apiVersion":"kubelet.config.k8s.io/v1","kind":"CredentialProviderConfig",
        "providers":[{"name":"acr","matchImages":["a.b"],"defaultCacheDuration":"0s","args":null,
        "apiVersion":"credentialprovider.kubelet.k8s.io/v1"}]}"#;
    assert!(decode_config(json, 34).is_ok());
    assert!(refusal(&json.replace("args", "arg"), 34).contains("unknown field providers[0].arg"));
    assert!(
        refusal(&json.replace("\"args\":null", "\"name\":\"acr\""), 34).contains("more than once")
    );
    refusal(&json.replace("}]}", "}],}"), 34);
    refusal(&format!("{json}{json}"), 34);
}

#[test]
fn versions_come_with_releases() {
    for (version, since) in [("v1alpha1", 20), ("v1beta1", 24), ("v1", 26)] {
        let config =
            PLAIN.replace("kubelet.config.k8s.io/v1", &format!("kubelet.config.k8s.io/{version}"));
        let config = config.replace(
            "credentialprovider.kubelet.k8s.io/v1",
            "credentialprovider.kubelet.k8s.io/v1alpha1",
        );
        assert!(decode_config(&config, since).is_ok());
        refusal(&config, since - 1);

        let config = PLAIN.replace("kubelet.config.k8s.io/v1", "kubelet.config.k8s.io/v1alpha1");
        let api_version = format!("credentialprovider.kubelet.k8s.io/{version}");
        let config = config.replace("credentialprovider.kubelet.k8s.io/v1", &api_version);
        assert!(decode_config(&config, since).is_ok());
        refusal(&config, since - 1);
    }
}

#[test]
fn the_type_is_checked() {
    refused("kind: CredentialProviderConfig\n", "", "'Kind' is missing");
    refused("apiVersion: kubelet.config.k8s.io/v1\n", "", "'apiVersion' is missing");
    refused("kind: CredentialProviderConfig", "kind: KubeletConfiguration", "no kind");
    refused(
        "apiVersion: kubelet.config.k8s.io/v1\n",
        "apiVersion: kubelet.config.k8s.io/v2\n",
        "no kind",
    );
    refused("apiVersion: kubelet.config.k8s.io/v1\n", "apiVersion: v1\n", "no kind");
    refused("apiVersion: kubelet.config.k8s.io/v1\n", "apiVersion: 1\n", "strings");
    refusal("", 34);
    refusal("providers", 34);
}

#[test]
fn decoding_is_strict() {
    refused("kind:", "metadata: {}\nkind:", "unknown field metadata");
    refused("    args:", "    Args:", "unknown field providers[0].Args");
    refused("    args:", "    timeout: 1s\n    args:", "unknown field providers[0].timeout");
    refused("value: debug", "Value: debug", "unknown field providers[0].env[0].Value");
    refused("    args:", "    name: acr\n    args:", "duplicate");
    refused("value: debug", "name: LOG", "duplicate");
    refused("providers:", "providers: []\nproviders:", "duplicate");
    refusal(&format!("{PLAIN}---\n{PLAIN}"), 34);
    refusal(&PLAIN.replace("  - name", "\t- name"), 34);
}

#[test]
fn types_are_not_coerced() {
    refused("name: acr", "name: 1", "wrong type providers[0].name");
    refused("name: acr", "name: yes", "wrong type providers[0].name");
    refused("name: acr", "name: [acr]", "wrong type providers[0].name");
    refused("value: debug", "value: 1.0", "wrong type providers[0].env[0].value");
    refused("value: debug", "value: true", "wrong type providers[0].env[0].value");
    refused("10m", "600", "wrong type providers[0].defaultCacheDuration");
    refused("[\"--config\", \"/etc/acr.yaml\"]", "\"--config\"", "wrong type providers[0].args");
}

#[test]
fn providers_are_required() {
    let (head, _) = PLAIN.split_once("providers:").unwrap();
    for providers in ["", "providers: []\n", "providers:\n"] {
        assert!(refusal(&format!("{head}{providers}"), 34).contains("at least 1 item in plugins"));
    }
}

#[test]
fn names_are_file_names_and_unique() {
    refused("name: acr", "name: bin/acr", "cannot contain '/'");
    refused("name: acr", "name: the acr", "cannot contain spaces");
    refused("name: acr", "name: .", "cannot be '.'");
    refused("name: acr", "name: ..", "cannot be '..'");
    refused("name: acr", "name: \"\"", "name is required");
    refused("name: acr", "name:", "name is required");
    let (_, provider) = PLAIN.split_once("providers:\n").unwrap();
    assert!(refusal(&format!("{PLAIN}{provider}"), 34).contains("duplicate value \"acr\""));
    let second = provider.replace("acr\n", "acr2\n");
    assert_eq!(decode_config(&format!("{PLAIN}{second}"), 34).unwrap().providers.len(), 2);
}

#[test]
fn match_images_are_urls() {
    refused("      - \"*-registry.*.cr.aliyuncs.com\"\n", "", "at least 1 item in matchImages");
    for bad in ["%invalid%", "reg.io:*", "reg .io", "[a-z].io", "k[8s.io"] {
        refused("*-registry.*.cr.aliyuncs.com", bad, "match image is invalid");
    }
    // Accepted, and never matching anything.
    for useless in ["registry.io/*", "https://reg.io", ""] {
        let text = PLAIN.replace("*-registry.*.cr.aliyuncs.com", useless);
        assert!(decode_config(&text, 34).is_ok(), "{useless}");
    }
}

#[test]
fn the_default_cache_duration_is_required_and_not_negative() {
    refused("    defaultCacheDuration: 10m\n", "", "defaultCacheDuration: required");
    refused("10m", "", "defaultCacheDuration: required");
    refused("10m", "-1s", "must be greater than or equal to 0");
    refused("10m", "1d", "not a duration");
    refused("10m", "\"600\"", "not a duration");
    assert!(decode_config(&PLAIN.replace("10m", "0s"), 34).is_ok());
    assert!(decode_config(&PLAIN.replace("10m", "\"0\""), 34).is_ok());
}

#[test]
fn the_api_version_is_required_and_known() {
    refused("    apiVersion: credentialprovider.kubelet.k8s.io/v1\n", "", "apiVersion: required");
    refused(
        "credentialprovider.kubelet.k8s.io/v1",
        "credentialprovider.kubelet.k8s.io/v2",
        "unsupported value",
    );
    refused("credentialprovider.kubelet.k8s.io/v1", "v1", "unsupported value");
}

#[test]
fn args_and_env_are_optional() {
    let text = PLAIN.replace("    args: [\"--config\", \"/etc/acr.yaml\"]\n", "");
    let text = text.replace("    env:\n      - name: LOG\n        value: debug\n", "");
    let provider = &decode_config(&text, 34).unwrap().providers[0];
    assert!(provider.args.is_empty() && provider.env.is_empty());
}

#[test]
fn all_problems_are_named_at_once() {
    let text = PLAIN.replace("name: acr", "name: a/b").replace("10m", "-1s");
    let error = refusal(&text, 34);
    assert!(
        error.contains("cannot contain '/'") && error.contains("greater than or equal to 0"),
        "{error}"
    );
}
