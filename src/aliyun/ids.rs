//! What Alibaba Cloud calls things, checked for form once and trusted afterwards.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A region id such as `cn-hangzhou`. It becomes part of host names, so it is a strict label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Region(String);

impl Region {
    /// Lower-case words joined by single hyphens, at least two of them.
    pub fn parse(text: &str) -> Option<Self> {
        let word = |word: &str| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        let words: Vec<&str> = text.split('-').collect();
        let fits = text.len() <= 63 && words.len() >= 2 && words.iter().all(|w| word(w));
        // All begin with two letters for the country; `oss-cn-hangzhou` is not a region.
        let country = words
            .first()
            .is_some_and(|w| w.len() == 2 && w.bytes().all(|b| b.is_ascii_lowercase()));
        (fits && country).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of an Enterprise Edition instance, `cri-…`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InstanceId(String);

impl InstanceId {
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("cri-")?;
        let fits = !rest.is_empty() && text.len() <= 64;
        let clean = rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (fits && clean).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `acs:ram::<account>:role/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoleArn {
    text: String,
    account: String,
}

impl RoleArn {
    pub fn parse(text: &str) -> Option<Self> {
        let account = resource(text, "role/", ROLE_NAME)?;
        Some(Self { text: text.to_owned(), account })
    }

    /// The role of this name in this account, if the name can be one.
    pub fn of(account: &str, name: &str) -> Option<Self> {
        Self::parse(&format!("acs:ram::{account}:role/{name}"))
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn account(&self) -> &str {
        &self.account
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `acs:ram::<account>:oidc-provider/<name>`; for ACK the name is `ack-rrsa-<cluster id>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OidcProviderArn {
    text: String,
    account: String,
}

impl OidcProviderArn {
    pub fn parse(text: &str) -> Option<Self> {
        let account = resource(text, "oidc-provider/", PROVIDER_NAME)?;
        Some(Self { text: text.to_owned(), account })
    }

    /// The provider that ACK makes when RRSA is enabled on a cluster.
    pub fn of_cluster(account: &str, cluster_id: &str) -> Option<Self> {
        Self::parse(&format!("acs:ram::{account}:oidc-provider/ack-rrsa-{cluster_id}"))
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn account(&self) -> &str {
        &self.account
    }
}

impl fmt::Display for OidcProviderArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The id of an AccessKey: letters and digits, with `STS.` before those of a temporary one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessKeyId(String);

impl AccessKeyId {
    /// How ids of today begin. Older ones have no sign of their own.
    const PERMANENT: &'static str = "LTAI";
    const TEMPORARY: &'static str = "STS.";
    /// No limit is documented; this one is against nonsense.
    const LONGEST: usize = 128;

    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(Self::TEMPORARY).unwrap_or(text);
        let fits = (1..=Self::LONGEST).contains(&rest.len());
        let clean = rest.bytes().all(|b| b.is_ascii_alphanumeric());
        (fits && clean).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_temporary(&self) -> bool {
        self.0.starts_with(Self::TEMPORARY)
    }

    /// Whether it is one in base64, as the manifest of a Secret has it.
    pub fn is_encoded(&self) -> bool {
        let decoded = BASE64_STANDARD.decode(&self.0);
        decoded.is_ok_and(|id| id.starts_with(Self::PERMANENT.as_bytes()))
    }

    /// Whether it begins as only ids do. Other letters and digits may be a secret in the wrong place.
    pub fn is_certain(&self) -> bool {
        self.is_temporary() || self.0.starts_with(Self::PERMANENT)
    }

    /// Its end, by which its owner knows it; none where it may be a secret.
    pub fn end(&self) -> Option<&str> {
        self.0.get(self.0.len().saturating_sub(4)..).filter(|_| self.is_certain())
    }
}

/// Longest name of a role, in characters.
const ROLE_NAME: usize = 64;
/// No limit is documented for that of an OIDC provider; this one is against nonsense.
const PROVIDER_NAME: usize = 128;

/// Account id: decimal digits.
pub fn is_account_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit())
}

/// A RAM role's name, which also becomes part of a metadata path.
pub fn is_role_name(text: &str) -> bool {
    is_name(text, ROLE_NAME)
}

fn is_name(text: &str, longest: usize) -> bool {
    let clean = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@');
    !text.is_empty() && text.len() <= longest && text.bytes().all(clean) && !text.starts_with('.')
}

/// The account of an ARN, if the ARN is of this kind.
fn resource(text: &str, kind: &str, longest: usize) -> Option<String> {
    let (account, resource) = text.strip_prefix("acs:ram::")?.split_once(':')?;
    let name = resource.strip_prefix(kind)?;
    (is_account_id(account) && is_name(name, longest)).then(|| account.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions() {
        for region in ["cn-hangzhou", "us-east-1", "cn-beijing-finance-1", "cn-heyuan-acdr-1"] {
            assert!(Region::parse(region).is_some(), "{region}");
        }
        for not in [
            "",
            "cn",
            "CN-hangzhou",
            "cn-",
            "-cn",
            "cn--x",
            "cn-x.evil",
            "cn-hang zhou",
            "1-a",
            "oss-cn-hangzhou",
        ] {
            assert!(Region::parse(not).is_none(), "{not}");
        }
    }

    #[test]
    fn instance_ids() {
        let longest = format!("cri-{}", "a".repeat(60));
        for id in ["cri-a", "cri-acmeprod00000001", "cri-A-1", &longest] {
            assert_eq!(InstanceId::parse(id).unwrap().as_str(), id);
        }
        for not in ["", "cri", "cri-", "CRI-a", "a", "cri-a.b", "cri-a/b", "cri-a b", "cri-ü"] {
            assert!(InstanceId::parse(not).is_none(), "{not}");
        }
        assert!(InstanceId::parse(&format!("{longest}a")).is_none());
    }

    #[test]
    fn access_key_ids() {
        let end = |text: &str| AccessKeyId::parse(text)?.end().map(str::to_owned);
        assert_eq!(end("LTAI5tFakeFakeFakeFake01").as_deref(), Some("ke01"));
        assert_eq!(end("STS.NFakeFake02").as_deref(), Some("ke02"));
        // It may be an older id, or the secret.
        assert_eq!(end("MadeUpB3pullTk9Dw2Mv7Qz4Xc6Ln0"), None);
        assert!(AccessKeyId::parse("MadeUpB3pullTk9D").is_some());
        let encoded = AccessKeyId::parse("TFRBSTV0SW1hZ2VQdWxsZXJPZkIwMDAx").unwrap();
        assert!(encoded.is_encoded());
        assert!(!AccessKeyId::parse("LTAI5tFakeFakeFakeFake01").unwrap().is_encoded());
        for not in ["", "STS.", "LTAI5tabc // the key's id", "LTAI-1", "a.b", "ÄÖÜ", "a b"] {
            assert_eq!(AccessKeyId::parse(not), None, "{not}");
        }
    }

    #[test]
    fn arns() {
        let role = RoleArn::parse("acs:ram::1234:role/puller").unwrap();
        assert_eq!((role.account(), role.as_str()), ("1234", "acs:ram::1234:role/puller"));
        for not in [
            "acs:ram::12a4:role/x",
            "acs:ram::1:role/",
            "arn:aws:iam::1:role/x",
            "acs:ram::1:user/x",
        ] {
            assert!(RoleArn::parse(not).is_none(), "{not}");
        }
        assert!(OidcProviderArn::of_cluster("1234", "c0ffee").is_some());
        let long = |kind: &str, length| format!("acs:ram::1234:{kind}/{}", "p".repeat(length));
        assert!(OidcProviderArn::parse(&long("oidc-provider", 128)).is_some());
        assert!(OidcProviderArn::parse(&long("oidc-provider", 129)).is_none());
        assert!(RoleArn::parse(&long("role", 64)).is_some());
        assert!(RoleArn::parse(&long("role", 65)).is_none());
        assert!(OidcProviderArn::parse("acs:ram::1234:role/x").is_none());
    }
}
