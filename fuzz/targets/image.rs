//! An image's name, its registry's host, and everything else that is a name with a strict form.
//!
//! What is taken for the vendor's is under the vendor's domain, label for label, by a rule that is
//! written here once more in another way.

#![no_main]

use std::net::Ipv6Addr;

use aliyun_acr_credential_provider::aliyun::ids::{
    InstanceId, OidcProviderArn, Region, RoleArn, is_account_id, is_role_name,
};
use aliyun_acr_credential_provider::aliyun::registry_host::{RegistryHost, is_host_and_port};
use aliyun_acr_credential_provider::config::check_base_url;
use aliyun_acr_credential_provider::pull::image::registry_host;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(host) = registry_host(text) {
        assert!(text.starts_with(host) || host == "docker.io", "{text:?} {host:?}");
        assert!(!host.contains('/'), "{host:?}");
        assert!(!host.chars().any(|c| c.is_whitespace() || c.is_control()), "{host:?}");
        // What is behind the host changes nothing of it.
        if text.starts_with(host) && text.contains('/') {
            assert_eq!(registry_host(&format!("{host}/other/image")), Ok(host));
        }
        known(host);
    }
    known(text);
    names(text);
    for metadata in [false, true] {
        if let Ok(url) = check_base_url(text, metadata) {
            assert!(text == url || text == format!("{url}/"), "{text:?}");
            let authority = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
            let authority = authority.expect("https or http");
            let strict = |b: u8| b.is_ascii_alphanumeric() || b".-:[]".contains(&b);
            assert!(!authority.is_empty() && authority.bytes().all(strict), "{url:?}");
            let one_port = authority.starts_with('[') || authority.matches(':').count() < 2;
            assert!(one_port, "{url:?}");
            if url.starts_with("http:") {
                let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
                let inner = authority.strip_prefix('[').and_then(|rest| rest.split(']').next());
                let loopback = inner.and_then(|inner| inner.parse::<Ipv6Addr>().ok());
                let near = ["localhost", "100.100.100.200"].contains(&host)
                    || loopback.is_some_and(|address| address.is_loopback())
                    || host.starts_with("127.");
                assert!(near, "{url:?}");
            }
        }
    }
});

fn known(host: &str) {
    let Some(form) = RegistryHost::parse(host) else { return };
    assert!(host.ends_with(".aliyuncs.com"), "{host:?}");
    let clean = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    assert!(host.bytes().all(clean) && !host.contains(".."), "{host:?}");
    assert!(is_host_and_port(host), "{host:?}");
    let region = form.region().as_str();
    let under = |tail: &str| {
        let tail = tail.replace("{}", region);
        host.strip_suffix(&tail).filter(|label| !label.is_empty() && !label.contains('.'))
    };
    match &form {
        RegistryHost::Enterprise { name, .. } => {
            let label = under(".{}.cr.aliyuncs.com").or(under(".distributed.{}.cr.aliyuncs.com"));
            assert!(
                label.is_some_and(|label| label.starts_with(&format!("{name}-registry"))),
                "{host:?}"
            );
        }
        RegistryHost::Personal { .. } => {
            assert!(
                under(".{}.aliyuncs.com").is_some_and(|l| l.starts_with("registry")),
                "{host:?}"
            );
        }
        RegistryHost::PersonalInstance { .. } => {
            let label = under(".{}.personal.cr.aliyuncs.com");
            assert!(label.is_some_and(|label| label.starts_with("crpi-")), "{host:?}");
        }
        RegistryHost::System { .. } => {
            let rest = host.strip_prefix(&format!("registry-{region}"));
            assert!(
                matches!(rest, Some(".ack.aliyuncs.com" | "-vpc.ack.aliyuncs.com")),
                "{host:?}"
            );
        }
    }
    // Nothing in front, behind or in another letter case is the same host.
    for other in [
        format!("{host}."),
        format!("x.{host}"),
        format!("{host}.evil.example"),
        host.to_uppercase(),
        format!("{host}:443"),
        format!("x@{host}"),
    ] {
        assert_ne!(RegistryHost::parse(&other).as_ref(), Some(&form), "{other:?}");
    }
}

fn names(text: &str) {
    let header_safe = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
    if let Some(region) = Region::parse(text) {
        assert!(!text.contains(['.', '/', '@', ':']) && header_safe(text));
        assert_eq!(region.as_str(), text);
    }
    if let Some(id) = InstanceId::parse(text) {
        assert!(text.starts_with("cri-") && id.as_str() == text && header_safe(text));
    }
    if let Some(arn) = RoleArn::parse(text) {
        let name = text.strip_prefix(&format!("acs:ram::{}:role/", arn.account())).unwrap();
        assert_eq!(RoleArn::of(arn.account(), name), Some(arn));
    }
    if let Some(arn) = OidcProviderArn::parse(text) {
        assert_eq!(arn.as_str(), text);
        assert!(RoleArn::parse(text).is_none());
    }
    if is_role_name(text) {
        // It becomes part of a metadata path.
        assert!(
            !text.contains(['/', '?', '#', '%']) && !text.starts_with('.') && header_safe(text)
        );
    }
    if is_account_id(text) {
        assert!(text.parse::<u128>().is_ok());
    }
}
