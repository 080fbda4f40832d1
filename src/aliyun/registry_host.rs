//! What a registry host is, by its name alone.
//!
//! This is a security boundary: credentials go only to a host that is configured by name or that
//! has exactly one of the forms below. A host is taken apart label by label from the right, so no
//! pattern can be left unanchored. Letter case counts, and a port makes it another host. `tests/hosts/corpus.tsv` has every documented form and every spoof that came up.

use crate::aliyun::ids::Region;

/// A host under the vendor's domain that is a container registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistryHost {
    /// `<name>-registry[-vpc].<region>.cr.aliyuncs.com` and its variants.
    Enterprise { name: String, region: Region, variant: Variant },
    /// `registry[-intl][-vpc|-internal].<region>.aliyuncs.com`: shared by everybody's
    /// repositories, public ones included.
    Personal { region: Region, variant: Variant },
    /// `crpi-<id>[-vpc].<region>.personal.cr.aliyuncs.com`: Personal Edition instances created
    /// from 2024-09-09, which the vendor's own helper cannot serve.
    PersonalInstance { region: Region },
    /// `registry-<region>[-vpc].ack.aliyuncs.com`: public system images of ACK.
    System { region: Region },
}

/// From where a registry is reached by one of its hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    Public,
    Vpc,
    /// The classic network.
    Internal,
    /// Of the international site.
    Intl,
    IntlVpc,
    IntlInternal,
}

impl Variant {
    pub const ALL: [Self; 6] =
        [Self::Public, Self::Vpc, Self::Internal, Self::Intl, Self::IntlVpc, Self::IntlInternal];

    /// What stands between `registry` and the first dot.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Public => "",
            Self::Vpc => "-vpc",
            Self::Internal => "-internal",
            Self::Intl => "-intl",
            Self::IntlVpc => "-intl-vpc",
            Self::IntlInternal => "-intl-internal",
        }
    }

    fn of(suffix: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|variant| variant.suffix() == suffix)
    }

    fn is_inside(self) -> bool {
        !matches!(self, Self::Public | Self::Intl)
    }
}

impl RegistryHost {
    /// The form that a host has, if it has one.
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
                let (region, variant) = (Region::parse(region)?, Variant::of(variant)?);
                is_label(name).then(|| Self::Enterprise { name: name.to_owned(), region, variant })
            }
            [first, "ack"] => {
                let region = first.strip_prefix("registry-")?;
                let region = region.strip_suffix("-vpc").unwrap_or(region);
                Region::parse(region).map(|region| Self::System { region })
            }
            [first, region] => {
                let variant = Variant::of(first.strip_prefix("registry")?)?;
                Region::parse(region).map(|region| Self::Personal { region, variant })
            }
            _ => None,
        }
    }

    /// The region in the host's name.
    pub fn region(&self) -> &Region {
        match self {
            Self::Enterprise { region, .. }
            | Self::Personal { region, .. }
            | Self::PersonalInstance { region }
            | Self::System { region } => region,
        }
    }

    /// Both are hosts of one Enterprise Edition instance.
    pub fn is_of_same_instance(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Enterprise { name, region, .. },
                Self::Enterprise { name: other, region: there, .. },
            ) => name == other && region == there,
            _ => false,
        }
    }

    /// It is reached from within a VPC or the classic network only.
    pub fn is_inside(&self) -> bool {
        match self {
            Self::Enterprise { variant, .. } | Self::Personal { variant, .. } => {
                variant.is_inside()
            }
            Self::PersonalInstance { .. } | Self::System { .. } => false,
        }
    }

    /// Patterns of `matchImages` for all Enterprise Edition hosts of a region, or of all regions.
    pub fn enterprise_patterns(region: Option<&Region>) -> Vec<String> {
        let region = region.map_or("*", Region::as_str);
        ["*", "*.distributed"].map(|first| format!("{first}.{region}.cr.aliyuncs.com")).to_vec()
    }

    /// Patterns for all Personal Edition hosts.
    pub fn personal_patterns(region: Option<&Region>) -> Vec<String> {
        let region = region.map_or("*", Region::as_str);
        Variant::ALL
            .map(|variant| format!("registry{}.{region}.aliyuncs.com", variant.suffix()))
            .to_vec()
    }
}

/// Whether a host can be of Personal Edition: by its form, or as the one without a region.
pub fn may_be_personal(host: &str) -> bool {
    let name = without_port(host);
    let form = RegistryHost::parse(name);
    let personal =
        matches!(form, Some(RegistryHost::Personal { .. } | RegistryHost::PersonalInstance { .. }));
    personal || name == "registry.aliyuncs.com"
}

/// The region in a registry's name. It does not prove what stands there, so a port may follow.
pub fn region_in_name(host: &str) -> Option<Region> {
    RegistryHost::parse(without_port(host)).map(|form| form.region().clone())
}

/// The name in `NAME:PORT`, or the address.
pub fn without_port(host: &str) -> &str {
    host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(name, _)| name)
}

/// A host name with or without a port, as images have it.
pub fn is_host_and_port(text: &str) -> bool {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let labels =
        host.len() <= 253 && host.split('.').all(|label| is_label(&label.to_ascii_lowercase()));
    labels && port.is_none_or(is_port)
}

/// A port in digits alone.
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
            // It is another host anyway.
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
