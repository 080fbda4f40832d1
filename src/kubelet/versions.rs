//! What came and went with which version of Kubernetes: the one table of it.
//!
//! Source: the tags of `k8s.io/kubelet`, and `kube_features.go` for the feature gates.

use std::fmt;

/// The API group of the kubelet's own configuration files.
pub const CONFIG_GROUP: &str = "kubelet.config.k8s.io/";
/// The API group of requests and answers.
pub const PROTOCOL_GROUP: &str = "credentialprovider.kubelet.k8s.io/";

/// Credential providers as such.
pub const CREDENTIAL_PROVIDERS: Gate = Gate {
    name: "KubeletCredentialProviders",
    is_beta_since: Release(24),
    is_stable_since: Some(Release(26)),
};
/// Tokens of service accounts for them.
pub const TOKENS: Gate = Gate {
    name: "KubeletServiceAccountTokenForCredentialProviders",
    is_beta_since: Release(34),
    is_stable_since: None,
};
/// Records of whose credentials pulled an image, which are asked for when it is on the node.
pub const PULL_RECORDS: Gate = Gate {
    name: "KubeletEnsureSecretPulledImages",
    is_beta_since: Release(35),
    is_stable_since: None,
};

impl Release {
    /// The first with credential providers.
    pub const FIRST: Self = Self(20);
    /// Taken where the release is not known: its files are those of all later ones.
    pub const ASSUMED: Self = Self(34);
    pub const WITH_TOKEN_ATTRIBUTES: Self = Self(33);
    /// `cacheType` in `tokenAttributes`: unknown before, required since.
    pub const WITH_CACHE_TYPE: Self = Self(34);
    /// The configuration may be a folder of files.
    pub const WITH_FOLDERS: Self = Self(34);
}

impl ApiVersion {
    /// Oldest first, each with the release that brought it to both groups. None has gone.
    const ALL: [(Self, &str, Release); 3] = [
        (Self::V1Alpha1, "v1alpha1", Release::FIRST),
        (Self::V1Beta1, "v1beta1", Release(24)),
        (Self::V1, "v1", Release(26)),
    ];
}

/// A minor version of Kubernetes 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release(u32);

impl Release {
    /// `1.33`, `v1.33.4` or `1.33.4-aliyun.1`, if it has credential providers.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.strip_prefix('v').unwrap_or(text).split('.');
        (numbers.next()? == "1").then_some(())?;
        numbers.next()?.parse().ok().map(Self).filter(|release| *release >= Self::FIRST)
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

/// A version of both API groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiVersion {
    V1Alpha1,
    V1Beta1,
    V1,
}

impl ApiVersion {
    /// What stands behind the group's name.
    pub fn parse(text: &str, group: &str) -> Option<Self> {
        let text = text.strip_prefix(group)?;
        Self::ALL.into_iter().find(|(_, name, _)| *name == text).map(|(version, ..)| version)
    }

    pub fn newest(release: Release) -> Self {
        let has = |(_, _, since): &(Self, &str, Release)| *since <= release;
        Self::ALL.into_iter().rfind(has).map_or(Self::V1Alpha1, |(version, ..)| version)
    }

    fn row(self) -> (&'static str, Release) {
        let row = Self::ALL.into_iter().find(|(version, ..)| *version == self);
        row.map_or(("v1", Release::ASSUMED), |(_, name, since)| (name, since))
    }

    pub fn since(self) -> Release {
        self.row().1
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().0)
    }
}

/// A feature gate: off by default as alpha, on as beta, and not to be changed once it is stable.
#[derive(Debug)]
pub struct Gate {
    pub name: &'static str,
    is_beta_since: Release,
    is_stable_since: Option<Release>,
}

impl Gate {
    /// The gate that stands for all of the same stage, and what both are by default; none once the
    /// feature is stable.
    pub fn by_default(&self, release: Release) -> Option<(&'static str, bool)> {
        if self.is_stable_since.is_some_and(|stable| stable <= release) {
            return None;
        }
        Some(if self.is_beta_since <= release { ("AllBeta", true) } else { ("AllAlpha", false) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases() {
        for (text, minor) in [("1.33", 33), ("v1.33.4", 33), ("1.26.15-aliyun.1", 26)] {
            assert_eq!(Release::parse(text), Some(Release(minor)));
        }
        for not in ["", "1", "2.0", "1.x", "1.19", "v"] {
            assert_eq!(Release::parse(not), None, "{not}");
        }
    }

    #[test]
    fn api_versions() {
        for (minor, version) in [
            (20, ApiVersion::V1Alpha1),
            (23, ApiVersion::V1Alpha1),
            (24, ApiVersion::V1Beta1),
            (26, ApiVersion::V1),
            (99, ApiVersion::V1),
        ] {
            assert_eq!(ApiVersion::newest(Release(minor)), version, "{minor}");
        }
        for (version, name, _) in ApiVersion::ALL {
            assert_eq!(
                ApiVersion::parse(&format!("{CONFIG_GROUP}{name}"), CONFIG_GROUP),
                Some(version)
            );
        }
        assert_eq!(ApiVersion::parse("v1", CONFIG_GROUP), None);
    }
}
