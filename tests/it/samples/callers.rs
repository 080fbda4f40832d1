//! For programs other than the kubelet: docs/docker.md and docs/other-callers.md.

use serde_json::Value as Json;
use simulation::kubelet::Kubelet;

/// As one of these programs reads it, which knows nothing but JSON.
pub fn read_json(name: &str, text: &str) {
    serde_json::from_str::<Json>(text).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
    read_configuration(name, text);
}

/// As the kubelet's library reads it, which most of them use.
fn read_configuration(name: &str, text: &str) {
    for minor in 26..=37 {
        let config = Kubelet::release(minor).decode_config(text);
        let config = config.unwrap_or_else(|wrong| panic!("{name} for 1.{minor}: {wrong}"));
        let [provider] = &config.providers[..] else { panic!("one provider in {name}") };
        assert_eq!(provider.name, "aliyun-acr-credential-provider");
        assert_eq!(provider.api_version, "credentialprovider.kubelet.k8s.io/v1", "{name}");
    }
}

/// The daemon reads the one key of this name.
pub fn read_config_map(name: &str, text: &str) {
    let map: Json = serde_saphyr::from_str(text).unwrap();
    assert_eq!(map["kind"], "ConfigMap");
    read_configuration(name, map["data"]["CredentialProviderPlugin.yaml"].as_str().unwrap());
}

/// Clients find a helper under the host alone, exactly as written.
pub fn read_docker_configuration(name: &str, text: &str) {
    let config: Json = serde_json::from_str(text).unwrap();
    let helpers = config["credHelpers"].as_object().unwrap();
    assert!(!helpers.is_empty(), "{name}");
    for (host, helper) in helpers {
        assert_eq!(helper, "acr", "{name}");
        assert!(!host.contains(['/', '*', ' ']), "{name}: {host}");
    }
}

/// What a chart or a program reads at a path of keys, and whether nothing else is beside it.
fn values(name: &str, values: &Json, path: &[&str], keys: &[&str]) {
    let mut at = values;
    for key in path {
        assert_eq!(at.as_object().unwrap().keys().collect::<Vec<_>>(), [key], "{name}");
        at = &at[key];
    }
    let at = at.as_object().unwrap();
    assert_eq!(at.keys().collect::<Vec<_>>(), keys, "{name}");
    for (key, value) in at {
        // The kubelet's folders and files are absolute in all of them; one chart's own default is not.
        let is_path = key.to_lowercase().ends_with("dir") || key.to_lowercase().ends_with("path");
        assert!(!is_path || value.as_str().unwrap().starts_with('/'), "{name}: {key}");
    }
}

pub fn read_kruise_values(name: &str, text: &str) {
    let chart: Json = serde_saphyr::from_str(text).unwrap();
    values(name, &chart, &["daemon", "credentialProvider"], &["configmap", "enable", "hostPath"]);
    let map = include_str!("../../../config/callers/kruise-config-map.yaml");
    let map: Json = serde_saphyr::from_str(map).unwrap();
    assert_eq!(chart["daemon"]["credentialProvider"]["configmap"], map["metadata"]["name"]);
}

pub fn read_noe_values(name: &str, text: &str) {
    let chart: Json = serde_saphyr::from_str(text).unwrap();
    values(name, &chart, &["kubeletConfig"], &["binDir", "config", "configDir"]);
    assert!(!chart["kubeletConfig"]["config"].as_str().unwrap().contains('/'), "{name}");
}

pub fn read_warm_metal_values(name: &str, text: &str) {
    let chart: Json = serde_saphyr::from_str(text).unwrap();
    values(name, &chart, &["imageCredentialProvider"], &["binDir", "configPath", "enabled"]);
}

pub fn read_nydus_configuration(name: &str, text: &str) {
    let configuration: Json = toml::from_str(text).unwrap();
    let keys = [
        "credential_provider_bin_dir",
        "credential_provider_config",
        "credential_renewal_interval",
        "enable_kubelet_credential_providers",
    ];
    values(name, &configuration, &["remote", "auth"], &keys);
}
