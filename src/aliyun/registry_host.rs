//! What a registry host is, by its name alone.
//!
//! This is a security boundary: credentials go only to a host that is configured by name or that
//! has exactly one of the forms below. A host is taken apart label by label from the right; there
//! is no pattern that could be left unanchored, letter case counts, and a port makes it another
//! host. `tests/hosts/corpus.tsv` has every documented form and every spoof that came up.

use crate::aliyun::ids::Region;

/// A host under the vendor's domain that is a container registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistryHost {
    /// `<name>-registry[-vpc].<region>.cr.aliyuncs.com` and its variants.
    Enterprise { name: String, region: Region },
    /// `registry[-intl][-vpc|-internal].<region>.aliyuncs.com`: shared by everybody's
    /// repositories, public ones included.
    Personal { region: Region },
    /// `crpi-<id>[-vpc].<region>.personal.cr.aliyuncs.com`: Personal Edition instances created
    /// from 2024-09-09, which the vendor's own helper cannot serve.
    PersonalInstance { region: Region },
    /// `registry-<region>[-vpc].ack.aliyuncs.com`: public system images of ACK.
    System { region: Region },
}

/// What may stand between an instance's `-registry` and the first dot.
const VARIANTS: [&str; 6] = ["", "-vpc", "-internal", "-intl", "-intl-vpc", "-intl-internal"];

impl RegistryHost {
    /// The form that a host has, if it has one.
    #[must_use]
    pub fn parse(host: &str) -> Option<Self> {
        if !is_host(host) {
            return None;
        }
        let labels: Vec<&str> = host.split('.').collect();
        match labels.strip_suffix(&["aliyuncs", "com"])? {
            [first, region, "personal", "cr"] => {
                let id = first.strip_prefix("crpi-")?;
                let id = id.strip_suffix("-vpc").unwrap_or(id);
                let region = Region::parse(region)?;
                id.bytes().all(|b| b.is_ascii_alphanumeric()).then_some(())?;
                (!id.is_empty()).then_some(Self::PersonalInstance { region })
            }
            [first, region, "cr"] | [first, "distributed", region, "cr"] => {
                let (name, variant) = first.rsplit_once("-registry")?;
                let region = Region::parse(region)?;
                let fits = is_label(name) && VARIANTS.contains(&variant);
                fits.then(|| Self::Enterprise { name: name.to_owned(), region })
            }
            [first, "ack"] => {
                let region = first.strip_prefix("registry-")?;
                let region = region.strip_suffix("-vpc").unwrap_or(region);
                Region::parse(region).map(|region| Self::System { region })
            }
            [first, region] => {
                let variant = first.strip_prefix("registry")?;
                let region = Region::parse(region)?;
                VARIANTS.contains(&variant).then_some(Self::Personal { region })
            }
            _ => None,
        }
    }

    /// The region in the host's name.
    #[must_use]
    pub fn region(&self) -> &Region {
        match self {
            Self::Enterprise { region, .. }
            | Self::Personal { region }
            | Self::PersonalInstance { region }
            | Self::System { region } => region,
        }
    }
}

/// The region in a registry's name. It is no proof of what stands there, so a port may follow.
#[must_use]
pub fn region_in_name(host: &str) -> Option<Region> {
    RegistryHost::parse(without_port(host)).map(|form| form.region().clone())
}

/// The name in `NAME:PORT`, or the address.
#[must_use]
pub fn without_port(host: &str) -> &str {
    host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(name, _)| name)
}

/// A host name with or without a port, as images have it.
#[must_use]
pub fn is_host_and_port(text: &str) -> bool {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let labels =
        host.len() <= 253 && host.split('.').all(|label| is_label(&label.to_ascii_lowercase()));
    labels && port.is_none_or(is_port)
}

/// A port in digits alone.
#[must_use]
pub fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|number| number > 0)
}

/// A name of lower-case labels.
fn is_host(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

/// A DNS label (RFC 1123) in lower case.
fn is_label(label: &str) -> bool {
    let clean = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !label.is_empty()
        && label.len() <= 63
        && label.bytes().all(clean)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_hides_no_region() {
        let region = |host: &str| region_in_name(host).map(|region| region.as_str().to_owned());
        for host in
            ["acme-registry.cn-shanghai.cr.aliyuncs.com", "registry-vpc.cn-shanghai.aliyuncs.com"]
        {
            assert_eq!(region(host).as_deref(), Some("cn-shanghai"), "{host}");
            assert_eq!(region(&format!("{host}:443")), region(host), "{host}");
            // It is another host all the same.
            assert_eq!(RegistryHost::parse(&format!("{host}:443")), None, "{host}");
        }
        assert_eq!(region("img.example.com:443"), None);
    }

    #[test]
    fn a_host_may_have_a_port() {
        let label = "a".repeat(63);
        let long = [label.as_str(); 4].join(".");
        for host in ["a.example", "A.Example:5000", "localhost", "x:1", "x:65535", &label] {
            assert!(is_host_and_port(host), "{host}");
        }
        assert!(is_host_and_port(long.get(2..).unwrap()));
        for not in [
            "",
            ":1",
            "a:",
            "a:0",
            "a:65536",
            "a:1:2",
            "a:x",
            "a:+1",
            "a b",
            "a..b",
            ".a",
            "a.",
            "-a",
            "a-",
            "a/b",
            "*.a",
            "a_b",
            "https://a",
            "a@b",
            "é.example",
            "a\n",
            &format!("{label}a"),
            &long,
        ] {
            assert!(!is_host_and_port(not), "{not:?}");
        }
    }

    #[test]
    fn what_is_nearly_of_a_form_is_of_none() {
        for host in [
            "a-registry-evil.cn-x.cr.aliyuncs.com",
            "-registry.cn-x.cr.aliyuncs.com",
            "a--registry.cn-x.cr.aliyuncs.com",
            "registry-evil.cn-x.aliyuncs.com",
            "crpi-.cn-x.personal.cr.aliyuncs.com",
            "crpi-a-1.cn-x.personal.cr.aliyuncs.com",
            "crpi-A1.cn-x.personal.cr.aliyuncs.com",
            "registry-cn-x-evil_.ack.aliyuncs.com",
            "a-registry.cn-x.cr.aliyuncs.com.",
        ] {
            assert_eq!(RegistryHost::parse(host), None, "{host}");
        }
    }

    #[test]
    fn every_form_has_its_region() {
        for host in [
            "a-registry.cn-x.cr.aliyuncs.com",
            "a-registry-vpc.distributed.cn-x.cr.aliyuncs.com",
            "registry.cn-x.aliyuncs.com",
            "crpi-1.cn-x.personal.cr.aliyuncs.com",
            "registry-cn-x.ack.aliyuncs.com",
        ] {
            assert_eq!(RegistryHost::parse(host).unwrap().region().as_str(), "cn-x", "{host}");
        }
    }
}
