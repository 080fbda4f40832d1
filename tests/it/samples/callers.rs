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

/// Clients find a helper under the host alone, to the letter.
pub fn read_docker_configuration(name: &str, text: &str) {
    let config: Json = serde_json::from_str(text).unwrap();
    let helpers = config["credHelpers"].as_object().unwrap();
    assert!(!helpers.is_empty(), "{name}");
    for (host, helper) in helpers {
        assert_eq!(helper, "acr", "{name}");
        assert!(!host.contains(['/', '*', ' ']), "{name}: {host}");
    }
}
