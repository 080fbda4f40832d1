//! The requests that the services tell apart.

use std::fmt;

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hop {
    /// `PUT /latest/api/token`.
    MetadataToken,
    /// The listing that names the attached role.
    MetadataRoleName,
    MetadataRoleDocument,
    MetadataRegion,
    /// A service on this machine that gives the credentials of the node's role.
    CredentialsUri,
    /// Any other item of instance metadata.
    MetadataItem,
    AssumeRoleWithOidc,
    AssumeRole,
    GetAuthorizationToken,
    ListInstance,
    ListInstanceEndpoint,
    /// `GET /tokens` of the Personal Edition.
    PersonalTokens,
    /// The registry's anonymous `GET /v2/`.
    RegistryChallenge,
    /// The realm that the challenge names.
    RegistryAuth,
    /// Where redirects lead: nobody should ever arrive.
    Sink,
    /// A request that none of the services has.
    Unrecognised,
}

impl Hop {
    /// The service that has it; none for what no service knows.
    pub fn service(self) -> Option<Service> {
        match self {
            Self::MetadataToken
            | Self::MetadataRoleName
            | Self::MetadataRoleDocument
            | Self::MetadataRegion
            | Self::CredentialsUri
            | Self::MetadataItem => Some(Service::Metadata),
            Self::AssumeRoleWithOidc | Self::AssumeRole => Some(Service::Sts),
            Self::GetAuthorizationToken
            | Self::ListInstance
            | Self::ListInstanceEndpoint
            | Self::PersonalTokens => Some(Service::Cr),
            Self::RegistryChallenge | Self::RegistryAuth => Some(Service::Registry),
            Self::Sink => Some(Service::Sink),
            Self::Unrecognised => None,
        }
    }
}

/// The name in the one-line form of a call: the API's own word where there is one.
impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MetadataToken => "metadata token",
            Self::MetadataRoleName => "metadata role name",
            Self::MetadataRoleDocument => "metadata role document",
            Self::MetadataRegion => "metadata region",
            Self::CredentialsUri => "credentials URI",
            Self::MetadataItem => "metadata item",
            Self::AssumeRoleWithOidc => "AssumeRoleWithOIDC",
            Self::AssumeRole => "AssumeRole",
            Self::GetAuthorizationToken => "GetAuthorizationToken",
            Self::ListInstance => "ListInstance",
            Self::ListInstanceEndpoint => "ListInstanceEndpoint",
            Self::PersonalTokens => "GET /tokens",
            Self::RegistryChallenge => "GET /v2/",
            Self::RegistryAuth => "GET realm",
            Self::Sink => "redirect target",
            Self::Unrecognised => "unrecognised",
        })
    }
}

/// One listening endpoint (cr: possibly one more for each region).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    Metadata,
    Sts,
    Cr,
    Registry,
    /// Where the redirect fault points to.
    Sink,
}
