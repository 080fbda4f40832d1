//! Service account mode: what each release knows of it, and every rule for its fields.

use super::*;

/// [`PLAIN`] in service account mode, as of release 1.34.
fn with_token_attributes() -> String {
    format!(
        "{PLAIN}    tokenAttributes:
      serviceAccountTokenAudience: sts.aliyuncs.com
      cacheType: ServiceAccount
      requireServiceAccount: true
      requiredServiceAccountAnnotationKeys: [example.com/role]
      optionalServiceAccountAnnotationKeys: [Example.com/Team_1]
"
    )
}

fn refused_in_token_attributes(from: &str, to: &str, because: &str) {
    let text = with_token_attributes();
    assert!(text.contains(from), "{from}");
    let error = refusal(&text.replace(from, to), 34);
    assert!(error.contains(because), "{error}");
}

#[test]
fn token_attributes_are_read_whole() {
    let expected = TokenAttributes {
        audience: "sts.aliyuncs.com".to_owned(),
        cache_type: Some(CacheType::ServiceAccount),
        require_service_account: true,
        required_annotation_keys: vec!["example.com/role".to_owned()],
        optional_annotation_keys: vec!["Example.com/Team_1".to_owned()],
    };
    let config = decode_config(&with_token_attributes(), 34).unwrap();
    assert_eq!(config.providers[0].token_attributes, Some(expected));
}

#[test]
fn token_attributes_by_release() {
    let with_cache_type = with_token_attributes();
    let without = with_cache_type.replace("      cacheType: ServiceAccount\n", "");
    let gate = |minor| Kubelet::release(minor).with_service_account_tokens(true);

    // 1.32: no such field, gate or not.
    assert!(refusal(&without, 32).contains("unknown field providers[0].tokenAttributes"));
    assert!(gate(32).decode_config(&without).is_err());
    // 1.33: off unless the gate is turned on; cacheType is unknown.
    assert!(refusal(&without, 33).contains("feature gate is disabled"));
    let attributes = gate(33).decode_config(&without).unwrap().providers.remove(0).token_attributes;
    assert_eq!(attributes.unwrap().cache_type, None);
    let error = gate(33).decode_config(&with_cache_type).unwrap_err();
    assert!(error.contains("unknown field providers[0].tokenAttributes.cacheType"), "{error}");
    // 1.34: cacheType is required.
    for minor in [34, 37] {
        assert!(decode_config(&with_cache_type, minor).is_ok());
        assert!(refusal(&without, minor).contains("cacheType"));
    }
    let off = Kubelet::release(34).with_service_account_tokens(false);
    assert!(off.decode_config(&with_cache_type).unwrap_err().contains("feature gate is disabled"));
    assert!(off.decode_config(PLAIN).is_ok());
}

#[test]
fn token_attributes_need_v1_twice() {
    for old in ["v1beta1", "v1alpha1"] {
        let text = with_token_attributes().replace(
            "apiVersion: kubelet.config.k8s.io/v1\n",
            &format!("apiVersion: kubelet.config.k8s.io/{old}\n"),
        );
        assert!(refusal(&text, 34).contains("unknown field providers[0].tokenAttributes"));
        let old = format!("credentialprovider.kubelet.k8s.io/{old}");
        refused_in_token_attributes(
            "credentialprovider.kubelet.k8s.io/v1",
            &old,
            "only supported for",
        );
    }
}

#[test]
fn token_attributes_are_checked_field_by_field() {
    let refused = refused_in_token_attributes;
    refused("      serviceAccountTokenAudience: sts.aliyuncs.com\n", "", "Audience: required");
    refused("sts.aliyuncs.com", "\"\"", "Audience: required");
    refused("sts.aliyuncs.com", "[sts.aliyuncs.com]", "wrong type");
    refused("cacheType: ServiceAccount", "cacheType: Image", "neither Token nor ServiceAccount");
    refused("cacheType: ServiceAccount", "cacheType: token", "neither Token nor ServiceAccount");
    refused("      requireServiceAccount: true\n", "", "requireServiceAccount: required");
    refused("requireServiceAccount: true", "requireServiceAccount: \"true\"", "wrong type");
    refused("requireServiceAccount: true", "requireServiceAccount: false", "cannot be false");
    refused(
        "cacheType:",
        "audience: x\n      cacheType:",
        "unknown field providers[0].tokenAttributes.audience",
    );
    refused("[Example.com/Team_1]", "[example.com/role]", "both required and optional");
    refused("[example.com/role]", "[a/b, a/b]", "duplicate value");
    refused("[Example.com/Team_1]", "[a/b, a/b]", "duplicate value");
    let long = "a".repeat(64);
    for bad in ["-a", "a-", "a/b/c", "/a", "a/", "\"a b\"", "_x/a", "a..b/c", "\"\"", long.as_str()]
    {
        refused("[example.com/role]", &format!("[{bad}]"), "no qualified name");
    }
    let token = with_token_attributes().replace("cacheType: ServiceAccount", "cacheType: Token");
    assert!(decode_config(&token, 34).is_ok());
}
