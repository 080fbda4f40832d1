//! For programs other than the kubelet: docs/docker.md and docs/other-callers.md.

use std::path::Path;

use serde_json::Value as Json;
use simulation::kubelet::Kubelet;

/// JSON, since one of these programs reads nothing else; and what each kubelet takes as well.
pub fn read_configuration(name: &str, text: &str) {
    if Path::new(name).extension().is_some_and(|extension| extension == "json") {
        serde_json::from_str::<Json>(text).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
    }
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
