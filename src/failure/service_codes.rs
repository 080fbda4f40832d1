//! What each known service code means and what to do about it: the one place for both.
//!
//! Codes and their meanings: the vendor's API error lists and the RRSA troubleshooting page. The
//! table of errors in the documentation is written from this one, and a test holds them equal.

use std::fmt;

use crate::aliyun::Hop;
use crate::aliyun::refusal::{PolicyType, Refusal};
use crate::failure::facts::Facts;

/// A code, its cause and its remedy. Words in braces are filled in from [`Facts`].
#[derive(Debug)]
pub struct Remedy {
    pub code: Code,
    /// Where it has this meaning; everywhere if empty.
    pub hops: &'static [Hop],
    /// Which kind of policy denied, if it has this meaning for that kind alone.
    pub policy: Option<PolicyType>,
    /// Words of the service's message, if it has this meaning with them alone.
    pub message: Option<&'static str>,
    /// It has this meaning for an AccessKey that is configured, not for temporary credentials.
    pub by_access_key: bool,
    /// The key of an entry whose value is in question, if there is one.
    pub key: Option<&'static str>,
    pub cause: &'static str,
    /// What else may be the cause where an AccessKey asks.
    pub or_for_a_key: Option<&'static str>,
    pub remedy: &'static str,
}

/// A code, or all that begin in one way.
#[derive(Debug, Clone, Copy)]
pub enum Code {
    Is(&'static str),
    Begins(&'static str),
}

use Code::{Begins, Is};

const ROLE_HOPS: &[Hop] = &[Hop::AssumeRole, Hop::AssumeRoleWithOidc];
const OIDC: &[Hop] = &[Hop::AssumeRoleWithOidc];
const ACR_HOPS: &[Hop] = &[
    Hop::GetAuthorizationToken,
    Hop::ListInstance,
    Hop::ListInstanceEndpoint,
    Hop::PersonalTokens,
];

/// What a row leaves out.
const ANY: Remedy = Remedy {
    code: Is(""),
    hops: &[],
    policy: None,
    message: None,
    by_access_key: false,
    key: None,
    cause: "",
    or_for_a_key: None,
    remedy: "",
};

/// Of who asks to assume a role.
const ROOT: Option<&str> = Some(
    "or the AccessKey belongs to a root account, which cannot assume roles: use that of a RAM user",
);

/// An OIDC token that a role's trust policy does not name.
const UNTRUSTED_TOKEN: Remedy = Remedy {
    hops: OIDC,
    cause: "the trust policy of {role} does not allow {subject}",
    remedy: "add {provider} to `Principal.Federated` of that trust policy, with oidc:iss of the token, oidc:aud sts.aliyuncs.com and oidc:sub {subject}",
    ..ANY
};

const UNKNOWN_ROLE: Remedy = Remedy {
    code: Is("EntityNotExist.Role"),
    hops: &[Hop::AssumeRole],
    key: Some("assumeRoleARN"),
    cause: "the role {role} does not exist",
    remedy: "compare account id and role name with the ARN in the RAM console of the role's account",
    ..ANY
};

const WRONG_ROLE: Remedy = Remedy {
    code: Is("InvalidParameter.RoleArn"),
    hops: &[Hop::AssumeRole],
    key: Some("assumeRoleARN"),
    cause: "the role ARN is not accepted",
    remedy: "compare {role} with the ARN in the RAM console",
    ..ANY
};

const CLOCK: Remedy = Remedy {
    cause: "the service does not accept the request's time stamp, and its own time was not known or did not help",
    remedy: "synchronise the clock (chrony or ntpd); if the clock is right, look for a proxy that holds requests back or answers from a cache",
    ..ANY
};

/// What to do about temporary credentials that are not accepted.
pub const CREDENTIALS: &str = "try again; if this lasts, see that the identity's source (metadata, environment) gives current credentials";

/// What to do about a request that arrives as another one.
pub const CHANGED: &str = "look for a proxy that changes requests";

const SUPPORT: &str = "try again later; if this lasts, give the request id to the vendor's support";

/// Specific before general: the first that fits is taken.
pub static REMEDIES: &[Remedy] = &[
    Remedy {
        code: Is("NoPermission"),
        hops: &[Hop::AssumeRole],
        policy: Some(PolicyType::Trust),
        cause: "the trust policy of {role} does not allow {caller}",
        or_for_a_key: ROOT,
        remedy: "add {caller's ARN} to `Principal.RAM` of that trust policy; if the policy has sts:ExternalId, set externalId to its value",
        ..ANY
    },
    Remedy {
        code: Is("NoPermission"),
        hops: &[Hop::AssumeRole],
        policy: Some(PolicyType::Permission),
        cause: "{caller} has no permission to assume roles",
        or_for_a_key: ROOT,
        remedy: "attach AliyunSTSAssumeRoleAccess to {caller}, or a policy that allows sts:AssumeRole on {role}",
        ..ANY
    },
    Remedy {
        code: Is("NoPermission"),
        hops: &[Hop::AssumeRole],
        cause: "{caller} has no permission to assume roles, or the role's trust policy does not allow {caller}",
        or_for_a_key: ROOT,
        remedy: "attach AliyunSTSAssumeRoleAccess to {caller}, and add {caller's ARN} to `Principal.RAM` of the trust policy of {role}; if that policy has sts:ExternalId, set externalId to its value",
        ..ANY
    },
    UNKNOWN_ROLE,
    Remedy { hops: OIDC, key: Some("rrsaRoleARN"), ..UNKNOWN_ROLE },
    Remedy {
        code: Is("InvalidParameter.DurationSeconds"),
        hops: ROLE_HOPS,
        key: Some("expireDuration"),
        cause: "expireDuration is above the role's maximum session duration",
        remedy: "lower expireDuration to that maximum (3600 unless it was raised), or raise the maximum session duration of {role} in the RAM console",
        ..ANY
    },
    WRONG_ROLE,
    Remedy { hops: OIDC, key: Some("rrsaRoleARN"), ..WRONG_ROLE },
    Remedy {
        code: Is("InvalidParameter.RoleSessionName"),
        hops: ROLE_HOPS,
        key: Some("roleSessionName"),
        cause: "the session name is not accepted",
        remedy: "set roleSessionName to 2 to 64 letters, digits or `.@-_`",
        ..ANY
    },
    Remedy {
        code: Is("InvalidParameter.ExternalId"),
        hops: ROLE_HOPS,
        key: Some("externalId"),
        cause: "the external id is not accepted",
        remedy: "set externalId to the value of sts:ExternalId in the trust policy of {role}",
        ..ANY
    },
    Remedy {
        code: Begins("InvalidParameter.Policy"),
        hops: ROLE_HOPS,
        key: Some("sessionPolicy"),
        cause: "the session policy is not accepted",
        remedy: "remove sessionPolicy from the entry, and report this error",
        ..ANY
    },
    Remedy {
        code: Is("AuthenticationFail.OIDCToken.Expired"),
        hops: ROLE_HOPS,
        cause: "the OIDC token has expired",
        remedy: "see that the token is renewed (a token file by the token DaemonSet), and that this machine's clock is right",
        ..ANY
    },
    Remedy {
        code: Is("AuthenticationFail.OIDCToken.AudienceNotMatch"),
        hops: ROLE_HOPS,
        cause: "the token's audience is not a client id of {provider}",
        remedy: "project the token with audience sts.aliyuncs.com, and keep that client id on the OIDC provider",
        ..ANY
    },
    Remedy {
        code: Is("AuthenticationFail.OIDCToken.IssuerNotMatch"),
        hops: ROLE_HOPS,
        key: Some("rrsaOIDCProviderRoleARN"),
        cause: "the token comes from a cluster other than that of {provider}, or RRSA is not enabled",
        remedy: "enable RRSA on the cluster, and set rrsaOIDCProviderRoleARN to the ARN on the cluster's basic information page",
        ..ANY
    },
    Remedy {
        code: Is("AuthenticationFail.OIDCToken.IssuerConfigurationBroken"),
        hops: ROLE_HOPS,
        cause: "STS cannot read the issuer's public keys",
        remedy: "see that RRSA is enabled on the cluster, and that the issuer URL of {provider} can be reached",
        ..ANY
    },
    Remedy {
        code: Is("AuthenticationFail.OIDCToken.PublicKeyFingerprintMismatch"),
        hops: ROLE_HOPS,
        cause: "the issuer's certificate is not among the fingerprints of {provider}",
        remedy: "renew the fingerprints of {provider} in the RAM console",
        ..ANY
    },
    Remedy {
        code: Begins("AuthenticationFail.OIDCToken"),
        hops: ROLE_HOPS,
        cause: "the OIDC token is not accepted",
        remedy: "see that the token comes from the cluster of {provider}, and that the provider's fingerprints are current",
        ..ANY
    },
    Remedy {
        code: Is("AuthenticationFail.NoPermission"),
        hops: ROLE_HOPS,
        message: Some("No such OIDC Provider"),
        key: Some("rrsaOIDCProviderRoleARN"),
        cause: "the OIDC provider {provider} does not exist",
        remedy: "enable RRSA on the cluster, and set rrsaOIDCProviderRoleARN to the ARN on the cluster's basic information page",
        ..ANY
    },
    Remedy { code: Is("AuthenticationFail.NoPermission"), hops: ROLE_HOPS, ..UNTRUSTED_TOKEN },
    Remedy { code: Is("NoPermission"), ..UNTRUSTED_TOKEN },
    Remedy {
        code: Is("NoPrivilege"),
        hops: &[Hop::ListInstance],
        cause: "{caller} may not list instances, and the registry did not say which instance it is",
        remedy: "grant cr:ListInstance to {caller}, or add an entry with instanceId",
        ..ANY
    },
    Remedy {
        code: Is("NoPrivilege"),
        hops: &[Hop::PersonalTokens],
        key: Some("instanceId"),
        cause: "{caller} has no permission for this call, or its account has no Personal Edition registry in {region}",
        remedy: "grant cr:GetAuthorizationToken and cr:PullRepository to {caller}; for a registry of another account set assumeRoleARN to a role in it; for Enterprise Edition set instanceId",
        ..ANY
    },
    Remedy {
        code: Is("NoPrivilege"),
        hops: &[Hop::GetAuthorizationToken, Hop::ListInstanceEndpoint],
        key: Some("instanceId"),
        cause: "{caller} has no permission for this call, or {instance} is in another account or another region",
        remedy: "grant cr:GetAuthorizationToken, cr:ListInstanceEndpoint and cr:PullRepository to {caller}; compare instanceId and regionId with the console; for an instance of another account set assumeRoleARN to a role in it",
        ..ANY
    },
    Remedy {
        code: Is("NoPermission"),
        hops: ACR_HOPS,
        cause: "{caller} has no permission for this call",
        remedy: "grant cr:GetAuthorizationToken, cr:ListInstanceEndpoint and cr:PullRepository to {caller}",
        ..ANY
    },
    Remedy {
        code: Is("INSTANCE_NOT_EXIST"),
        hops: &[Hop::GetAuthorizationToken, Hop::ListInstanceEndpoint],
        key: Some("instanceId"),
        cause: "{instance} is not in the account and region that were asked",
        remedy: "see that instanceId exists in regionId and belongs to the account whose role is assumed",
        ..ANY
    },
    Remedy {
        code: Begins("USER_NOT_EXIST"),
        hops: ACR_HOPS,
        key: Some("instanceId"),
        cause: "the account has no Personal Edition registry in this region",
        remedy: "for Enterprise Edition set instanceId; for Personal Edition set regionId to the registry's region, and activate Personal Edition there",
        ..ANY
    },
    Remedy { code: Is("InvalidTimeStamp.Expired"), ..CLOCK },
    Remedy { code: Is("IllegalTimestamp"), ..CLOCK },
    Remedy {
        code: Is("SignatureNonceUsed"),
        cause: "the service got the same request more than once",
        remedy: "look for a proxy between this machine and the service that repeats requests",
        ..ANY
    },
    Remedy {
        code: Is("SignatureDoesNotMatch"),
        by_access_key: true,
        key: Some("customAccessKeySecret"),
        cause: "the AccessKey secret is wrong, or the request was changed on its way",
        remedy: "compare the configured secret with the secret of the AccessKey; if it is right, look for a proxy that changes requests",
        ..ANY
    },
    Remedy {
        code: Is("SignatureDoesNotMatch"),
        cause: "the temporary credentials do not belong together, or the request was changed on its way",
        remedy: "try again; if this lasts, look for a proxy that changes requests",
        ..ANY
    },
    Remedy {
        code: Is("IncompleteSignature"),
        cause: "the request was changed on its way",
        remedy: CHANGED,
        ..ANY
    },
    Remedy {
        code: Is("InvalidAccessKeyId.Inactive"),
        by_access_key: true,
        key: Some("customAccessKey"),
        cause: "the AccessKey is disabled",
        remedy: "enable the AccessKey in the RAM console, or configure another one",
        ..ANY
    },
    Remedy {
        code: Begins("InvalidAccessKeyId"),
        by_access_key: true,
        key: Some("customAccessKey"),
        cause: "the AccessKey does not exist",
        remedy: "compare the configured AccessKey id with the RAM console",
        ..ANY
    },
    Remedy {
        code: Begins("InvalidAccessKeyId"),
        cause: "the service does not know the temporary credentials",
        remedy: CREDENTIALS,
        ..ANY
    },
    Remedy {
        code: Begins("InvalidSecurityToken"),
        cause: "the temporary credentials have expired or do not belong together",
        remedy: CREDENTIALS,
        ..ANY
    },
    Remedy {
        code: Begins("Throttling"),
        cause: "the account's call limit is used up (STS AssumeRole: 100 calls a second for the account with all its users and roles)",
        remedy: "wait: the next try comes later by itself; if this lasts, ask the vendor for a higher quota",
        ..ANY
    },
    Remedy {
        code: Begins("InvalidAction"),
        cause: "the endpoint does not know this action",
        remedy: "see that the configured endpoint belongs to the right service",
        ..ANY
    },
    Remedy {
        code: Is("InvalidVersion"),
        cause: "the endpoint does not know this API version",
        remedy: "see that the configured endpoint belongs to the right service",
        ..ANY
    },
    Remedy {
        code: Begins("Missing"),
        cause: "a parameter was lost on its way",
        remedy: CHANGED,
        ..ANY
    },
    Remedy { code: Is("InternalError"), cause: "the service failed", remedy: SUPPORT, ..ANY },
    Remedy {
        code: Is("ServiceUnavailable"),
        cause: "the service is not available",
        remedy: SUPPORT,
        ..ANY
    },
    Remedy {
        code: Is("SystemError"),
        key: Some("regionId"),
        cause: "the service failed",
        remedy: "see that regionId is the instance's region; if it is, give the request id to the vendor's support",
        ..ANY
    },
];

/// The entry of the table for a refusal.
#[must_use]
pub fn find(facts: &Facts, refusal: &Refusal) -> Option<&'static Remedy> {
    let fits = |remedy: &&Remedy| {
        let hop = remedy.hops.is_empty() || remedy.hops.contains(&facts.hop);
        let policy = remedy.policy.is_none() || remedy.policy == refusal.policy_type;
        let said = refusal.message.as_deref().unwrap_or_default();
        let message = remedy.message.is_none_or(|words| said.contains(words));
        let caller = !remedy.by_access_key || facts.by_access_key();
        remedy.code.fits(&refusal.code) && hop && policy && message && caller
    };
    REMEDIES.iter().find(fits)
}

impl Code {
    fn fits(self, code: &str) -> bool {
        match self {
            Is(known) => code == known,
            Begins(prefix) => code.starts_with(prefix),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Is(code) => f.write_str(code),
            Begins(prefix) => write!(f, "{prefix}*"),
        }
    }
}
