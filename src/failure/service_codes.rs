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
    pub policy: Option<&'static PolicyType>,
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

const ROLE_HOPS: &[Hop] = &[Hop::AssumeRole, Hop::AssumeRoleWithOidc];
const OIDC: &[Hop] = &[Hop::AssumeRoleWithOidc];
const ACR_HOPS: &[Hop] = &[
    Hop::GetAuthorizationToken,
    Hop::ListInstance,
    Hop::ListInstanceEndpoint,
    Hop::PersonalTokens,
];

const fn is(code: &'static str) -> Remedy {
    Remedy {
        code: Code::Is(code),
        hops: &[],
        policy: None,
        message: None,
        by_access_key: false,
        key: None,
        cause: "",
        or_for_a_key: None,
        remedy: "",
    }
}

const fn begins(code: &'static str) -> Remedy {
    Remedy { code: Code::Begins(code), ..is(code) }
}

impl Remedy {
    /// Another code with the same meaning.
    const fn also(self, code: &'static str) -> Self {
        Self { code: Code::Is(code), ..self }
    }

    const fn at(self, hops: &'static [Hop]) -> Self {
        Self { hops, ..self }
    }

    const fn denied_by(self, policy: &'static PolicyType) -> Self {
        Self { policy: Some(policy), ..self }
    }

    const fn saying(self, words: &'static str) -> Self {
        Self { message: Some(words), ..self }
    }

    const fn about(self, key: &'static str) -> Self {
        Self { key: Some(key), ..self }
    }

    const fn by_access_key(self) -> Self {
        Self { by_access_key: true, ..self }
    }

    const fn or_by_root(self) -> Self {
        Self { or_for_a_key: Some(BY_ROOT), ..self }
    }

    const fn means(self, cause: &'static str, remedy: &'static str) -> Self {
        Self { cause, remedy, ..self }
    }
}

const BY_ROOT: &str =
    "or the AccessKey belongs to a root account, which cannot assume roles: use that of a RAM user";

const UNKNOWN_ROLE: Remedy = is("EntityNotExist.Role").means(
    "the role {role} does not exist",
    "compare account id and role name with the ARN in the RAM console of the role's account",
);

const WRONG_ROLE: Remedy = is("InvalidParameter.RoleArn")
    .means("the role ARN is not accepted", "compare {role} with the ARN in the RAM console");

/// An OIDC token that a role's trust policy does not name.
const UNTRUSTED_TOKEN: Remedy = is("NoPermission").means(
    "the trust policy of {role} does not allow {subject}",
    "add {provider} to `Principal.Federated` of that trust policy, with oidc:iss of the token, oidc:aud sts.aliyuncs.com and oidc:sub {subject}",
);

const CLOCK: Remedy = is("InvalidTimeStamp.Expired").means(
    "the service does not accept the request's time stamp, and its own time was not known or did not help",
    "synchronise the clock (chrony or ntpd); if the clock is right, look for a proxy that holds requests back or answers from a cache",
);

/// What to do about temporary credentials that are not accepted.
pub const CREDENTIALS: &str = "try again; if this lasts, see that the identity's source (metadata, environment) gives current credentials";

/// What to do about a request that arrives as another one.
pub const CHANGED: &str = "look for a proxy that changes requests";

const SUPPORT: &str = "try again later; if this lasts, give the request id to the vendor's support";

/// Specific before general: the first that fits is taken.
pub static REMEDIES: &[Remedy] = &[
    is("NoPermission").at(&[Hop::AssumeRole]).denied_by(&PolicyType::Trust).or_by_root().means(
        "the trust policy of {role} does not allow {caller}",
        "add {caller's ARN} to `Principal.RAM` of that trust policy; if the policy has sts:ExternalId, set externalId to its value",
    ),
    is("NoPermission").at(&[Hop::AssumeRole]).denied_by(&PolicyType::Permission).or_by_root().means(
        "{caller} has no permission to assume roles",
        "attach AliyunSTSAssumeRoleAccess to {caller}, or a policy that allows sts:AssumeRole on {role}",
    ),
    is("NoPermission").at(&[Hop::AssumeRole]).or_by_root().means(
        "{caller} has no permission to assume roles, or the role's trust policy does not allow {caller}",
        "attach AliyunSTSAssumeRoleAccess to {caller}, and add {caller's ARN} to `Principal.RAM` of the trust policy of {role}; if that policy has sts:ExternalId, set externalId to its value",
    ),
    UNKNOWN_ROLE.at(&[Hop::AssumeRole]).about("assumeRoleARN"),
    UNKNOWN_ROLE.at(OIDC).about("rrsaRoleARN"),
    is("InvalidParameter.DurationSeconds").at(ROLE_HOPS).about("expireDuration").means(
        "expireDuration is above the role's maximum session duration",
        "lower expireDuration to that maximum (3600 unless it was raised), or raise the maximum session duration of {role} in the RAM console",
    ),
    WRONG_ROLE.at(&[Hop::AssumeRole]).about("assumeRoleARN"),
    WRONG_ROLE.at(OIDC).about("rrsaRoleARN"),
    is("InvalidParameter.RoleSessionName").at(ROLE_HOPS).about("roleSessionName").means(
        "the session name is not accepted",
        "set roleSessionName to 2 to 64 letters, digits or `.@-_`",
    ),
    is("InvalidParameter.ExternalId").at(ROLE_HOPS).about("externalId").means(
        "the external id is not accepted",
        "set externalId to the value of sts:ExternalId in the trust policy of {role}",
    ),
    begins("InvalidParameter.Policy").at(ROLE_HOPS).about("sessionPolicy").means(
        "the session policy is not accepted",
        "remove sessionPolicy from the entry, and report this error",
    ),
    is("AuthenticationFail.OIDCToken.Expired").at(ROLE_HOPS).means(
        "the OIDC token has expired",
        "see that the token is renewed (a token file by the token DaemonSet), and that this machine's clock is right",
    ),
    is("AuthenticationFail.OIDCToken.AudienceNotMatch").at(ROLE_HOPS).means(
        "the token's audience is not a client id of {provider}",
        "project the token with audience sts.aliyuncs.com, and keep that client id on the OIDC provider",
    ),
    is("AuthenticationFail.OIDCToken.IssuerNotMatch")
        .at(ROLE_HOPS)
        .about("rrsaOIDCProviderRoleARN")
        .means(
            "the token comes from a cluster other than that of {provider}, or RRSA is not enabled",
            "enable RRSA on the cluster, and set rrsaOIDCProviderRoleARN to the ARN on the cluster's basic information page",
        ),
    is("AuthenticationFail.OIDCToken.IssuerConfigurationBroken").at(ROLE_HOPS).means(
        "STS cannot read the issuer's public keys",
        "see that RRSA is enabled on the cluster, and that the issuer URL of {provider} can be reached",
    ),
    is("AuthenticationFail.OIDCToken.PublicKeyFingerprintMismatch").at(ROLE_HOPS).means(
        "the issuer's certificate is not among the fingerprints of {provider}",
        "renew the fingerprints of {provider} in the RAM console",
    ),
    begins("AuthenticationFail.OIDCToken").at(ROLE_HOPS).means(
        "the OIDC token is not accepted",
        "see that the token comes from the cluster of {provider}, and that the provider's fingerprints are current",
    ),
    is("AuthenticationFail.NoPermission")
        .at(ROLE_HOPS)
        .saying("No such OIDC Provider")
        .about("rrsaOIDCProviderRoleARN")
        .means(
            "the OIDC provider {provider} does not exist",
            "enable RRSA on the cluster, and set rrsaOIDCProviderRoleARN to the ARN on the cluster's basic information page",
        ),
    UNTRUSTED_TOKEN.also("AuthenticationFail.NoPermission").at(ROLE_HOPS),
    UNTRUSTED_TOKEN.at(OIDC),
    is("NoPrivilege").at(&[Hop::ListInstance]).means(
        "{caller} may not list instances, and the registry did not say which instance it is",
        "grant cr:ListInstance to {caller}, or add an entry with instanceId",
    ),
    is("NoPrivilege").at(&[Hop::PersonalTokens]).about("instanceId").means(
        "{caller} has no permission for this call, or its account has no Personal Edition registry in {region}",
        "grant cr:GetAuthorizationToken and cr:PullRepository to {caller}; for a registry of another account set assumeRoleARN to a role in it; for Enterprise Edition set instanceId",
    ),
    is("NoPrivilege")
        .at(&[Hop::GetAuthorizationToken, Hop::ListInstanceEndpoint])
        .about("instanceId")
        .means(
            "{caller} has no permission for this call, or {instance} is in another account or another region",
            "grant cr:GetAuthorizationToken, cr:ListInstanceEndpoint and cr:PullRepository to {caller}; compare instanceId and regionId with the console; for an instance of another account set assumeRoleARN to a role in it",
        ),
    is("NoPermission").at(ACR_HOPS).means(
        "{caller} has no permission for this call",
        "grant cr:GetAuthorizationToken, cr:ListInstanceEndpoint and cr:PullRepository to {caller}",
    ),
    is("INSTANCE_NOT_EXIST")
        .at(&[Hop::GetAuthorizationToken, Hop::ListInstanceEndpoint])
        .about("instanceId")
        .means(
            "{instance} is not in the account and region that were asked",
            "see that instanceId exists in regionId and belongs to the account whose role is assumed",
        ),
    begins("USER_NOT_EXIST").at(ACR_HOPS).about("instanceId").means(
        "the account has no Personal Edition registry in this region",
        "for Enterprise Edition set instanceId; for Personal Edition set regionId to the registry's region, and activate Personal Edition there",
    ),
    CLOCK,
    CLOCK.also("IllegalTimestamp"),
    is("SignatureNonceUsed").means(
        "the service got the same request more than once",
        "look for a proxy between this machine and the service that repeats requests",
    ),
    is("SignatureDoesNotMatch").by_access_key().about("customAccessKeySecret").means(
        "the AccessKey secret is wrong, or the request was changed on its way",
        "compare the configured secret with the secret of the AccessKey; if it is right, look for a proxy that changes requests",
    ),
    is("SignatureDoesNotMatch").means(
        "the temporary credentials do not belong together, or the request was changed on its way",
        "try again; if this lasts, look for a proxy that changes requests",
    ),
    is("IncompleteSignature").means("the request was changed on its way", CHANGED),
    is("InvalidAccessKeyId.Inactive").by_access_key().about("customAccessKey").means(
        "the AccessKey is disabled",
        "enable the AccessKey in the RAM console, or configure another one",
    ),
    begins("InvalidAccessKeyId").by_access_key().about("customAccessKey").means(
        "the AccessKey does not exist",
        "compare the configured AccessKey id with the RAM console",
    ),
    begins("InvalidAccessKeyId").means(
        "the service does not know the temporary credentials",
        CREDENTIALS,
    ),
    begins("InvalidSecurityToken").means(
        "the temporary credentials have expired or do not belong together",
        CREDENTIALS,
    ),
    begins("Throttling").means(
        "the account's call limit is used up (STS AssumeRole: 100 calls a second for the account with all its users and roles)",
        "wait: the next try comes later by itself; if this lasts, ask the vendor for a higher quota",
    ),
    begins("InvalidAction").means(
        "the endpoint does not know this action",
        "see that the configured endpoint belongs to the right service",
    ),
    is("InvalidVersion").means(
        "the endpoint does not know this API version",
        "see that the configured endpoint belongs to the right service",
    ),
    begins("Missing").means("a parameter was lost on its way", CHANGED),
    is("InternalError").means("the service failed", SUPPORT),
    is("ServiceUnavailable").means("the service is not available", SUPPORT),
    is("SystemError").about("regionId").means(
        "the service failed",
        "see that regionId is the instance's region; if it is, give the request id to the vendor's support",
    ),
];

/// Whether a code is in the table, with whatever else.
pub fn is_known(code: &str) -> bool {
    REMEDIES.iter().any(|remedy| remedy.code.fits(code))
}

/// The entry of the table for a refusal.
pub fn find(facts: &Facts, refusal: &Refusal) -> Option<&'static Remedy> {
    let fits = |remedy: &&Remedy| {
        let hop = remedy.hops.is_empty() || remedy.hops.contains(&facts.hop);
        let denied_by = match refusal.policy_type.as_ref() {
            Some(PolicyType::PermissionInGroup) => Some(&PolicyType::Permission),
            denied_by => denied_by,
        };
        let policy = remedy.policy.is_none() || remedy.policy == denied_by;
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
            Self::Is(known) => code == known,
            Self::Begins(prefix) => code.starts_with(prefix),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(code) => f.write_str(code),
            Self::Begins(prefix) => write!(f, "{prefix}*"),
        }
    }
}
