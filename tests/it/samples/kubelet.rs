//! The kubelet's own configuration, per version.

use simulation::kubelet::{Config, Kubelet, normalise_image, urls_match};

use super::sample;
use crate::corpus::hosts;

/// Every release that a file is for takes it.
pub fn read_configuration(name: &str, text: &str) {
    let version = name.split('.').nth(1).unwrap();
    let minors = match version {
        "v1alpha1" => 20..=23,
        "v1beta1" => 24..=25,
        "v1" => 26..=37,
        other => panic!("no release is for {other}"),
    };
    for minor in minors {
        let config = Kubelet::release(minor).decode_config(text);
        let config = config.unwrap_or_else(|wrong| panic!("{name} for 1.{minor}: {wrong}"));
        let [provider] = &config.providers[..] else { panic!("one provider in {name}") };
        assert_eq!(provider.name, "aliyun-acr-credential-provider");
        let same = format!("credentialprovider.kubelet.k8s.io/{version}");
        assert_eq!(provider.api_version, same, "{name}");
    }
}

/// As the last release that each file is for reads them.
pub fn configurations() -> Vec<(&'static str, Config)> {
    [("v1alpha1", 23), ("v1beta1", 25), ("v1", 37)]
        .map(|(version, minor)| {
            let text = sample(&format!("kubelet/credential-provider-config.{version}.yaml"));
            (version, Kubelet::release(minor).decode_config(&text).unwrap())
        })
        .into()
}

/// Whether a kubelet with this configuration asks the program for an image.
pub fn asks_for(config: &Config, image: &str) -> bool {
    let image = normalise_image(image).unwrap();
    let mut patterns = config.providers.iter().flat_map(|provider| &provider.match_images);
    patterns.any(|pattern| urls_match(pattern, &image) == Ok(true))
}

/// The program is asked for every form of host that it can have a login for, and no pattern is idle.
#[test]
fn the_patterns_cover_the_registries() {
    for (version, config) in configurations() {
        let [provider] = &config.providers[..] else { panic!("one provider") };
        let mut idle: Vec<&String> = provider.match_images.iter().collect();
        let (mut covered, mut left_out) = (0, 0);
        for (host, class) in hosts() {
            let image = format!("{host}/team/app");
            let matches = |pattern: &str| urls_match(pattern, &image) == Ok(true);
            if matches!(class.as_str(), "enterprise" | "personal" | "personal-instance") {
                assert!(provider.match_images.iter().any(|it| matches(it)), "{version}: {host}");
                idle.retain(|pattern| !matches(pattern));
                covered += 1;
            } else if !provider.match_images.iter().any(|it| matches(it)) {
                left_out += 1;
            }
        }
        assert_eq!(idle, Vec::<&String>::new(), "{version}: patterns that no host needs");
        assert!(covered > 80, "{covered}");
        assert!(left_out > 200, "most foreign hosts are left alone, not {left_out}");
    }
}
