//! What each known service code means and what to do about it: the one place for both.
//!
//! Codes and their meanings: the vendor's API error lists and the RRSA troubleshooting page. The
//! table in README is written from this one, and a test holds them equal.

use crate::aliyun::Hop;
use crate::aliyun::refusal::Refusal;

/// A code, its cause and its remedy. Words in braces are filled in from [`Facts`].
#[derive(Debug)]
pub struct Remedy {
    /// The code itself, or with `*` at its end all codes that begin so.
    pub code: &'static str,
    /// Where it has this meaning; everywhere if empty.
    pub hops: &'static [Hop],
    /// Which kind of policy denied, if it has this meaning for that kind alone.
    pub policy: Option<&'static str>,
    /// Words of the service's message, if it has this meaning with them alone.
    pub message: Option<&'static str>,
    /// It has this meaning for an AccessKey that is configured, not for temporary credentials.
    pub by_access_key: bool,
    /// The key of an entry whose value is in question, if there is one.
    pub key: Option<&'static str>,
    pub cause: &'static str,
    pub remedy: &'static str,
}

/// What is known of a call, to name the real thing in a remedy.
#[derive(Debug, Default, Clone)]
pub struct Facts {
    pub role: Option<String>,
    pub caller: Option<String>,
    pub instance: Option<String>,
    pub region: Option<String>,
    pub provider: Option<String>,
    /// Whom an OIDC token stands for, by its own word.
    pub subject: Option<String>,
}

/// How the owner of an AccessKey is called; the id's end follows.
pub const ACCESS_KEY_OWNER: &str = "the owner of AccessKey";

const ROLE_HOPS: &[Hop] = &[Hop::AssumeRole, Hop::AssumeRoleWithOidc];
const ACR_HOPS: &[Hop] = &[
    Hop::GetAuthorizationToken,
    Hop::ListInstance,
    Hop::ListInstanceEndpoint,
    Hop::PersonalTokens,
];

/// What a row leaves out.
const ANY: Remedy = Remedy {
    code: "",
    hops: &[],
    policy: None,
    message: None,
    by_access_key: false,
    key: None,
    cause: "",
    remedy: "",
};

/// An OIDC token that a role's trust policy does not name.
const UNTRUSTED_TOKEN: Remedy = Remedy {
    hops: ROLE_HOPS,
    cause: "the trust policy of {role} does not let {subject} in",
    remedy: "let the trust policy of {role} name {provider} under Principal.Federated, with the token's oidc:iss, oidc:aud sts.aliyuncs.com and oidc:sub {subject}",
    ..ANY
};

/// What to do about temporary credentials that are not accepted.
pub const CREDENTIALS: &str = "try again; if it stays, see that the identity's source (metadata, environment) gives current credentials";

/// Specific before general: the first that fits is taken.
pub static REMEDIES: &[Remedy] = &[
    Remedy {
        code: "NoPermission",
        hops: &[Hop::AssumeRole],
        policy: Some("AssumeRolePolicy"),
        cause: "the trust policy of {role} does not let {caller} in",
        remedy: "let it name the ARN of {caller} under Principal.RAM; if it asks for an external id, set externalId to it",
        ..ANY
    },
    Remedy {
        code: "NoPermission",
        hops: &[Hop::AssumeRole],
        policy: Some("AccountLevelIdentityBasedPolicy"),
        cause: "{caller} has no permission to assume roles",
        remedy: "attach AliyunSTSAssumeRoleAccess to {caller}, or a policy that allows sts:AssumeRole on {role}",
        ..ANY
    },
    Remedy {
        code: "NoPermission",
        hops: &[Hop::AssumeRole],
        cause: "{caller} may not assume the role, or the role's trust policy does not name it",
        remedy: "attach AliyunSTSAssumeRoleAccess to {caller}, and let the trust policy of {role} name its ARN under Principal.RAM (and the externalId, if it asks for one)",
        ..ANY
    },
    Remedy {
        code: "EntityNotExist.Role",
        hops: ROLE_HOPS,
        key: Some("assumeRoleARN"),
        cause: "there is no role {role}",
        remedy: "compare account id and role name with the ARN shown in the RAM console of the role's account",
        ..ANY
    },
    Remedy {
        code: "InvalidParameter.DurationSeconds",
        hops: ROLE_HOPS,
        key: Some("expireDuration"),
        cause: "expireDuration is above the role's maximum session duration",
        remedy: "lower expireDuration to it (3600 unless it was raised), or raise the maximum session duration of {role} in its RAM console",
        ..ANY
    },
    Remedy {
        code: "InvalidParameter.RoleArn",
        hops: ROLE_HOPS,
        key: Some("assumeRoleARN"),
        cause: "the role ARN is not accepted",
        remedy: "compare {role} with the ARN shown in the RAM console",
        ..ANY
    },
    Remedy {
        code: "InvalidParameter.RoleSessionName",
        hops: ROLE_HOPS,
        key: Some("roleSessionName"),
        cause: "the session name is not accepted",
        remedy: "set roleSessionName to 2 to 64 letters, digits or `.@-_`",
        ..ANY
    },
    Remedy {
        code: "InvalidParameter.ExternalId",
        hops: ROLE_HOPS,
        key: Some("externalId"),
        cause: "the external id is not accepted",
        remedy: "set externalId to the value in the trust policy of {role}",
        ..ANY
    },
    Remedy {
        code: "InvalidParameter.Policy*",
        hops: ROLE_HOPS,
        key: Some("sessionPolicy"),
        cause: "the session policy is not accepted",
        remedy: "leave sessionPolicy out and report this error",
        ..ANY
    },
    Remedy {
        code: "AuthenticationFail.OIDCToken.Expired",
        hops: ROLE_HOPS,
        cause: "the OIDC token has expired",
        remedy: "see that what renews the token still runs (for a token file the token DaemonSet), and check this machine's clock",
        ..ANY
    },
    Remedy {
        code: "AuthenticationFail.OIDCToken.AudienceNotMatch",
        hops: ROLE_HOPS,
        cause: "the token's audience is not a client id of {provider}",
        remedy: "project the token with audience sts.aliyuncs.com, and keep that client id on the OIDC provider",
        ..ANY
    },
    Remedy {
        code: "AuthenticationFail.OIDCToken.IssuerNotMatch",
        hops: ROLE_HOPS,
        key: Some("rrsaOIDCProviderRoleARN"),
        cause: "the token was issued by another cluster than {provider} stands for, or RRSA is not enabled",
        remedy: "enable RRSA on the cluster and take rrsaOIDCProviderRoleARN from its basic information page",
        ..ANY
    },
    Remedy {
        code: "AuthenticationFail.OIDCToken.IssuerConfigurationBroken",
        hops: ROLE_HOPS,
        cause: "STS cannot read the issuer's public keys",
        remedy: "see that RRSA is enabled on the cluster and the issuer URL of {provider} can be reached",
        ..ANY
    },
    Remedy {
        code: "AuthenticationFail.OIDCToken.PublicKeyFingerprintMismatch",
        hops: ROLE_HOPS,
        cause: "the issuer's certificate is not among the fingerprints of {provider}",
        remedy: "renew the fingerprints of {provider} in the RAM console",
        ..ANY
    },
    Remedy {
        code: "AuthenticationFail.OIDCToken*",
        hops: ROLE_HOPS,
        cause: "the OIDC token is not accepted",
        remedy: "see that the token is one of the cluster that {provider} stands for, and that the provider's fingerprints are current",
        ..ANY
    },
    Remedy {
        code: "AuthenticationFail.NoPermission",
        hops: ROLE_HOPS,
        message: Some("No such OIDC Provider"),
        key: Some("rrsaOIDCProviderRoleARN"),
        cause: "there is no OIDC provider {provider}",
        remedy: "take rrsaOIDCProviderRoleARN from the cluster's basic information page; RRSA has to be enabled there",
        ..ANY
    },
    Remedy { code: "AuthenticationFail.NoPermission", ..UNTRUSTED_TOKEN },
    Remedy { code: "NoPermission", hops: &[Hop::AssumeRoleWithOidc], ..UNTRUSTED_TOKEN },
    Remedy {
        code: "NoPrivilege",
        hops: &[Hop::ListInstance],
        cause: "{caller} may not list instances, and the registry did not say which instance it is",
        remedy: "grant cr:ListInstance to {caller}, or add an entry with instanceId",
        ..ANY
    },
    Remedy {
        code: "NoPrivilege",
        hops: &[Hop::PersonalTokens],
        key: Some("instanceId"),
        cause: "{caller} may not ask for this, or its account has no Personal Edition registry in {region}",
        remedy: "grant cr:GetAuthorizationToken and cr:PullRepository to {caller}; for a registry of another account set assumeRoleARN to a role in it; if it is Enterprise Edition give instanceId",
        ..ANY
    },
    Remedy {
        code: "NoPrivilege",
        hops: &[Hop::GetAuthorizationToken, Hop::ListInstanceEndpoint],
        key: Some("instanceId"),
        cause: "{caller} may not ask for this, or {instance} is in another account or another region",
        remedy: "grant cr:GetAuthorizationToken, cr:ListInstanceEndpoint and cr:PullRepository to {caller}; compare instanceId and regionId with the console; for an instance of another account set assumeRoleARN to a role in it",
        ..ANY
    },
    Remedy {
        code: "NoPermission",
        hops: ACR_HOPS,
        cause: "{caller} may not ask for this",
        remedy: "grant cr:GetAuthorizationToken, cr:ListInstanceEndpoint and cr:PullRepository to {caller}",
        ..ANY
    },
    Remedy {
        code: "USER_NOT_EXIST*",
        hops: ACR_HOPS,
        key: Some("instanceId"),
        cause: "the account has no Personal Edition registry in this region",
        remedy: "give instanceId if the registry is Enterprise Edition; else set regionId to the registry's region and activate Personal Edition there",
        ..ANY
    },
    Remedy {
        code: "InvalidTimeStamp.Expired",
        hops: &[],
        cause: "the service refuses the request's time stamp, and its own time could not be taken or did not help",
        remedy: "synchronise the clock (chrony or ntpd); if it is right, look for something on the way that holds requests back or answers from a cache",
        ..ANY
    },
    Remedy {
        code: "SignatureNonceUsed",
        hops: &[],
        cause: "the service got the same request more than once",
        remedy: "look for a proxy between this machine and the service that repeats requests",
        ..ANY
    },
    Remedy {
        code: "SignatureDoesNotMatch",
        by_access_key: true,
        key: Some("customAccessKeySecret"),
        cause: "the AccessKey secret is wrong, or the request was changed on its way",
        remedy: "compare the configured secret with the key's own; if it is right, look for a proxy that changes requests",
        ..ANY
    },
    Remedy {
        code: "SignatureDoesNotMatch",
        cause: "the temporary credentials do not belong together, or the request was changed on its way",
        remedy: "try again; if it stays, look for a proxy that changes requests",
        ..ANY
    },
    Remedy {
        code: "IncompleteSignature",
        hops: &[],
        cause: "the request was changed on its way",
        remedy: "look for a proxy that changes requests",
        ..ANY
    },
    Remedy {
        code: "InvalidAccessKeyId.Inactive",
        by_access_key: true,
        key: Some("customAccessKey"),
        cause: "the AccessKey is disabled",
        remedy: "enable it in the RAM console, or put another one into the configuration",
        ..ANY
    },
    Remedy {
        code: "InvalidAccessKeyId*",
        by_access_key: true,
        key: Some("customAccessKey"),
        cause: "the AccessKey does not exist",
        remedy: "compare the configured key with its id in the RAM console",
        ..ANY
    },
    Remedy {
        code: "InvalidAccessKeyId*",
        cause: "the service does not know the temporary credentials, or no longer",
        remedy: CREDENTIALS,
        ..ANY
    },
    Remedy {
        code: "InvalidSecurityToken*",
        hops: &[],
        cause: "the temporary credentials have ended or do not belong together",
        remedy: CREDENTIALS,
        ..ANY
    },
    Remedy {
        code: "Throttling*",
        hops: &[],
        cause: "the account's call limit is used up (STS AssumeRole: 100 a second for the account with all its users and roles)",
        remedy: "nothing at once: the next try comes later by itself; ask the vendor for a higher quota if it stays",
        ..ANY
    },
    Remedy {
        code: "InvalidAction*",
        hops: &[],
        cause: "what answered does not know this action",
        remedy: "see that the configured endpoint is that of the right service",
        ..ANY
    },
    Remedy {
        code: "InvalidVersion",
        hops: &[],
        cause: "what answered does not know this API version",
        remedy: "see that the configured endpoint is that of the right service",
        ..ANY
    },
    Remedy {
        code: "Missing*",
        hops: &[],
        cause: "a parameter got lost on its way",
        remedy: "look for a proxy that changes requests",
        ..ANY
    },
    Remedy {
        code: "InternalError",
        hops: &[],
        cause: "the service failed",
        remedy: "try again later; give the request id to the vendor's support if it stays",
        ..ANY
    },
    Remedy {
        code: "ServiceUnavailable",
        hops: &[],
        cause: "the service is not available",
        remedy: "try again later; give the request id to the vendor's support if it stays",
        ..ANY
    },
    Remedy {
        code: "SystemError",
        hops: &[],
        key: Some("regionId"),
        cause: "the service failed",
        remedy: "see that regionId is the instance's region; give the request id to the vendor's support if it stays",
        ..ANY
    },
];

/// The entry of the table for a refusal.
#[must_use]
pub fn find(hop: Hop, refusal: &Refusal, facts: &Facts) -> Option<&'static Remedy> {
    let fits = |remedy: &&Remedy| {
        let code = match remedy.code.strip_suffix('*') {
            Some(prefix) => refusal.code.starts_with(prefix),
            None => refusal.code == remedy.code,
        };
        let hop = remedy.hops.is_empty() || remedy.hops.contains(&hop);
        let policy = remedy.policy.is_none() || remedy.policy == refusal.policy_type.as_deref();
        let said = refusal.message.as_deref().unwrap_or_default();
        let message = remedy.message.is_none_or(|words| said.contains(words));
        let caller = !remedy.by_access_key || facts.by_access_key();
        code && hop && policy && message && caller
    };
    REMEDIES.iter().find(fits)
}

impl Facts {
    /// It is an AccessKey that asks, and no role.
    #[must_use]
    pub fn by_access_key(&self) -> bool {
        self.caller.as_ref().is_some_and(|caller| caller.starts_with(ACCESS_KEY_OWNER))
    }

    /// Puts what is known into a text, and general words for the rest.
    #[must_use]
    pub fn fill(&self, text: &str) -> String {
        let parts = [
            ("{role}", &self.role, "the role"),
            ("{caller}", &self.caller, "the caller"),
            ("{instance}", &self.instance, "the instance"),
            ("{region}", &self.region, "this region"),
            ("{provider}", &self.provider, "the OIDC provider"),
            ("{subject}", &self.subject, "the token's subject"),
        ];
        parts.iter().fold(text.to_owned(), |text, (name, value, otherwise)| {
            text.replace(name, value.as_deref().unwrap_or(otherwise))
        })
    }
}
