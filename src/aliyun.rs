//! Alibaba Cloud as this program needs it: signed and unsigned calls, endpoints, and the services
//! behind them. Nothing in here knows the configuration file or the kubelet.

pub mod acr;
pub mod call;
pub mod challenge;
pub mod endpoint;
pub mod ids;
pub mod metadata;
pub mod owner;
pub mod pull_token;
pub mod ram_policy;
pub mod redact;
pub mod refusal;
pub mod registry_host;
pub mod rpc;
pub mod signature;
pub mod sts;

use std::fmt;

use crate::secret::Secret;

/// What signs a request: a long-lived AccessKey, or a temporary one with its `SecurityToken`.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub access_key_id: String,
    pub access_key_secret: Secret,
    /// With temporary credentials only.
    pub security_token: Option<Secret>,
}

impl Credentials {
    /// What must not be printed of them.
    pub fn secrets(&self) -> Vec<&Secret> {
        std::iter::once(&self.access_key_secret).chain(&self.security_token).collect()
    }
}

/// One step of the way through the cloud, as errors name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    MetadataToken,
    MetadataRoleName,
    MetadataRoleDocument,
    MetadataRegion,
    MetadataAccount,
    CredentialsUri,
    AssumeRoleWithOidc,
    AssumeRole,
    GetAuthorizationToken,
    ListInstance,
    ListInstanceEndpoint,
    PersonalTokens,
    RegistryChallenge,
}

impl Hop {
    /// The API action, or what the vendor calls the thing.
    pub fn name(self) -> &'static str {
        match self {
            Self::MetadataToken => "metadata token",
            Self::MetadataRoleName => "metadata role name",
            Self::MetadataRoleDocument => "metadata role document",
            Self::MetadataRegion => "metadata region-id",
            Self::MetadataAccount => "metadata owner-account-id",
            Self::CredentialsUri => "credentials URI",
            Self::AssumeRoleWithOidc => "AssumeRoleWithOIDC",
            Self::AssumeRole => "AssumeRole",
            Self::GetAuthorizationToken => "GetAuthorizationToken",
            Self::ListInstance => "ListInstance",
            Self::ListInstanceEndpoint => "ListInstanceEndpoint",
            Self::PersonalTokens => "GET /tokens",
            Self::RegistryChallenge => "registry challenge",
        }
    }

    /// A step at the instance metadata service.
    pub fn is_metadata(self) -> bool {
        matches!(
            self,
            Self::MetadataToken
                | Self::MetadataRoleName
                | Self::MetadataRoleDocument
                | Self::MetadataRegion
                | Self::MetadataAccount
        )
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
