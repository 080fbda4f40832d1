//! Who asks for an entry's login: exactly one identity, from the entry or the environment.

use std::path::{Path, PathBuf};

use crate::aliyun::Credentials;
use crate::aliyun::ids::{AccessKeyId, OidcProviderArn, RoleArn};
use crate::config::credentials_uri::CredentialsUri;
use crate::config::diagnostics::lines::Position;
use crate::config::diagnostics::notes::Notes;
use crate::config::file::Section;
use crate::config::settings::{Settings, absolute};
use crate::config::variables::{
    ACCESS_KEY_ID, ACCESS_KEY_SECRET, CREDENTIALS_URI, OIDC_PROVIDER_ARN, OIDC_TOKEN_FILE, PROFILE,
    ROLE_ARN, Reader, SECURITY_TOKEN, VariableError,
};
use crate::secret::Secret;

/// What `tokenMode` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenMode {
    /// The identity is the entry's own.
    Auto,
    /// The node's role only; an entry with another identity is an error.
    WorkerRole,
}

/// Where the first credentials come from.
#[derive(Debug, Clone)]
pub enum IdentitySource {
    AccessKey(Credentials),
    Oidc(Oidc),
    WorkerRole,
    /// Of the environment alone.
    CredentialsUri(CredentialsUri),
    Profile(Profile),
}

/// A profile of the vendor's command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    pub name: String,
    pub file: PathBuf,
}

impl TokenMode {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(Self::Auto),
            "workerRole" => Some(Self::WorkerRole),
            _ => None,
        }
    }
}

impl IdentitySource {
    /// Who shares a limit for calls, as far as that is known here: a key may be of any account.
    pub fn limit_group(&self) -> &str {
        match self {
            Self::AccessKey(credentials) => &credentials.access_key_id,
            Self::CredentialsUri(uri) => &uri.base_url,
            Self::Profile(profile) => &profile.name,
            Self::Oidc(_) | Self::WorkerRole => "this node",
        }
    }

    /// Who asks, in a few words.
    pub fn summary(&self) -> String {
        match self {
            Self::AccessKey(_) => "an AccessKey".to_owned(),
            Self::WorkerRole => "the worker role".to_owned(),
            Self::CredentialsUri(uri) => format!("the credentials URI at {}", uri.base_url),
            Self::Profile(Profile { name, file }) => {
                format!("profile `{name}` of {}", file.display())
            }
            Self::Oidc(oidc) => match &oidc.role {
                Some(role) => format!("RRSA as {role}"),
                None => "RRSA as the role that the service account names".to_owned(),
            },
        }
    }

    /// In one word, as metrics name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::AccessKey(_) => "access-key",
            Self::WorkerRole => "worker-role",
            Self::Oidc(_) => "rrsa",
            Self::CredentialsUri(_) => "credentials-uri",
            Self::Profile(_) => "profile",
        }
    }

    /// Whether the token of a pod, if a request has one, is the identity.
    pub fn takes_pod_tokens(&self) -> bool {
        matches!(self, Self::Oidc(oidc) if oidc.pod_identity != PodIdentity::Off)
    }

    /// Whether only a pod's token is an identity.
    pub fn requires_pod_tokens(&self) -> bool {
        matches!(self, Self::Oidc(oidc) if oidc.pod_identity == PodIdentity::Required)
    }
}

/// An OIDC token, and the role that it is exchanged for.
#[derive(Debug, Clone)]
pub struct Oidc {
    pub provider: OidcProviderArn,
    /// None when only an annotation can name one.
    pub role: Option<RoleArn>,
    pub token_file: PathBuf,
    pub pod_identity: PodIdentity,
    /// Names or patterns with `*` of roles that an annotation may name.
    pub allowed_roles: Vec<String>,
    /// The account of roles that an annotation names.
    pub account: Option<String>,
    pub pod_login_life: PodLoginLife,
}

/// Whether the pod's own service account token is the identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodIdentity {
    /// If the request has a token.
    Auto,
    /// Without one the request is refused.
    Required,
    /// Never.
    Off,
}

/// How long the kubelet may keep what a pod's token obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PodLoginLife {
    /// No longer than that token lives.
    Token,
    /// As long as the login itself.
    Session,
}

/// What an entry's meaning depends on beside the entry itself.
pub(super) struct Context<'a> {
    pub settings: &'a Settings,
    pub token_mode: TokenMode,
    pub rrsa: bool,
    pub open_to_others: bool,
    /// None where neither `ALIBABA_CLOUD_CONFIG_FILE` nor `HOME` names one.
    pub profiles: Option<&'a Path>,
}

/// The identity that the environment gives where no entry is configured, else the node's role. None
/// if there is a mistake, which is then among the reader's.
pub(super) fn of_environment(
    variables: &mut Reader<'_>,
    settings: &Settings,
    token_mode: TokenMode,
    profiles: Option<&Path>,
) -> Option<IdentitySource> {
    const KEY: [&str; 2] = [ACCESS_KEY_ID, ACCESS_KEY_SECRET];
    const OIDC: [&str; 3] = [ROLE_ARN, OIDC_PROVIDER_ARN, OIDC_TOKEN_FILE];
    let set = |names: &[&'static str]| names.iter().copied().find(|name| variables.is_set(name));
    let (by_key, by_oidc) = (set(&KEY), set(&OIDC));
    let (by_uri, by_profile) = (set(&[CREDENTIALS_URI]), set(&[PROFILE]));
    let mut chosen = [by_key, by_oidc, by_uri, by_profile].into_iter().flatten();
    let (chosen, another) = (chosen.next(), chosen.next());
    if let (TokenMode::WorkerRole, Some(name)) = (token_mode, chosen) {
        variables.wrong.push(VariableError::WorkerRoleOnly(name));
        return None;
    }
    if let (Some(one), Some(another)) = (chosen, another) {
        variables.wrong.push(VariableError::TwoIdentities(one, another));
        return None;
    }
    let secret = |text: &str| is_secret(text).then(|| Secret::new(text));
    let token = variables.read(SECURITY_TOKEN, secret);
    if by_key.is_some() {
        let id = variables.read(ACCESS_KEY_ID, AccessKeyId::parse);
        let access_key_secret = variables.read(ACCESS_KEY_SECRET, secret);
        if id.as_ref().is_some_and(AccessKeyId::is_temporary) && token.is_none() {
            variables.wrong.push(VariableError::NoToken);
        }
        missing(variables, &KEY);
        return Some(IdentitySource::AccessKey(Credentials {
            access_key_id: id?.as_str().to_owned(),
            access_key_secret: access_key_secret?,
            security_token: token,
        }));
    }
    if by_oidc.is_some() {
        let role = variables.read(ROLE_ARN, RoleArn::parse);
        let provider = variables.read(OIDC_PROVIDER_ARN, OidcProviderArn::parse);
        let token_file = variables.read(OIDC_TOKEN_FILE, absolute);
        missing(variables, &OIDC);
        let role = role?;
        return Some(IdentitySource::Oidc(Oidc {
            provider: provider?,
            account: settings.account_id.clone().or_else(|| Some(role.account().to_owned())),
            role: Some(role),
            token_file: token_file?,
            pod_identity: PodIdentity::Auto,
            allowed_roles: Vec::new(),
            pod_login_life: PodLoginLife::Token,
        }));
    }
    if by_uri.is_some() {
        return variables
            .read(CREDENTIALS_URI, CredentialsUri::parse)
            .map(IdentitySource::CredentialsUri);
    }
    if by_profile.is_some() {
        let name = variables.read(PROFILE, profile_name)?;
        let Some(file) = profiles else {
            variables.wrong.push(VariableError::NoProfiles);
            return None;
        };
        return Some(IdentitySource::Profile(Profile { name, file: file.to_owned() }));
    }
    Some(IdentitySource::WorkerRole)
}

fn profile_name(text: &str) -> Option<String> {
    (text.len() <= 128 && !text.contains(char::is_control)).then(|| text.to_owned())
}

/// Half an identity is a mistake, not a reason to use another one.
fn missing(variables: &mut Reader<'_>, of: &'static [&'static str]) {
    if let Some(name) = of.iter().find(|name| !variables.is_set(name)) {
        variables.wrong.push(VariableError::Missing { name, of });
    }
}

/// Whether a text can be a secret: a sample's words and comments are not.
fn is_secret(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=_.-".contains(&b))
}

/// What has no meaning in an entry without RRSA.
const OF_PODS: [(&str, &str); 2] = [
    ("allowedRoles", "`allowedRoles` is for RRSA: give `rrsaRoleARN` or `podIdentity: required`"),
    ("podLoginLife", "`podLoginLife` is for RRSA: give `rrsaRoleARN` or `podIdentity: required`"),
];

/// Reads the identity of an entry; none if it has no usable one, and `notes` says why.
pub(super) fn read(
    section: &Section,
    context: &Context<'_>,
    notes: &mut Notes,
) -> Option<IdentitySource> {
    let at = |name: &str| section.given(name);
    let key = at("customAccessKey").or_else(|| at("customAccessKeySecret"));
    let (role, provider) = (at("rrsaRoleARN"), at("rrsaOIDCProviderRoleARN"));
    let pod_identity = section.value("podIdentity", notes, |text| match text {
        "auto" => Some(PodIdentity::Auto),
        "required" => Some(PodIdentity::Required),
        "off" => Some(PodIdentity::Off),
        _ => None,
    });
    let pod_identity = pod_identity.unwrap_or(PodIdentity::Auto);
    let required = (pod_identity == PodIdentity::Required).then_some(section.at);
    let profile = at("profile");
    let other = key.or(role).or(required).or(profile);
    if let (TokenMode::WorkerRole, Some(other)) = (context.token_mode, other) {
        notes.problem(other, "`tokenMode: workerRole` allows the node's role only, and this entry asks for another identity");
        return None;
    }
    if let (Some(at), true) = (profile, key.or(role).or(provider).or(required).is_some()) {
        let message =
            "a profile and an AccessKey or RRSA are given; an entry has exactly one identity";
        notes.problem(at, message);
        return None;
    }
    match (key, role.or(provider).or(required).is_some()) {
        (Some(at), true) => {
            notes.problem(
                at,
                "both an AccessKey and RRSA are given; an entry has exactly one identity",
            );
            None
        }
        (None, true) => oidc(section, pod_identity, context, notes),
        (key, false) => {
            for (key, message) in OF_PODS {
                if let Some(at) = section.position(key) {
                    notes.problem(at, message);
                }
            }
            match key {
                Some(at) => access_key(at, section, context, notes),
                None if profile.is_some() => by_profile(section, context, notes),
                None => Some(IdentitySource::WorkerRole),
            }
        }
    }
}

fn by_profile(
    section: &Section,
    context: &Context<'_>,
    notes: &mut Notes,
) -> Option<IdentitySource> {
    let name = section.value("profile", notes, profile_name)?;
    let Some(file) = context.profiles else {
        let at = section.given("profile").unwrap_or(section.at);
        notes.problem(
            at,
            "`profile` needs a file: set ALIBABA_CLOUD_CONFIG_FILE, because HOME is not set either",
        );
        return None;
    };
    Some(IdentitySource::Profile(Profile { name, file: file.to_owned() }))
}

fn access_key(
    at: Position,
    section: &Section,
    context: &Context<'_>,
    notes: &mut Notes,
) -> Option<IdentitySource> {
    if context.open_to_others {
        notes.problem(
            at,
            "an AccessKey in a file that its group or others can read; run: chmod 600 on it",
        );
    }
    let is_missing = |name: &str| section.given(name).is_none();
    if is_missing("customAccessKey") || is_missing("customAccessKeySecret") {
        let message =
            "`customAccessKey` and `customAccessKeySecret` belong together; one is missing";
        notes.problem(at, message);
        return None;
    }
    let id = section.value("customAccessKey", notes, AccessKeyId::parse);
    let secret = section
        .value("customAccessKeySecret", notes, |text| is_secret(text).then(|| text.to_owned()));
    let (id, secret) = (id?, secret?);
    if id.is_encoded() {
        notes.problem(at, "`customAccessKey` is in base64, as a Secret has it; put the id itself there, and the secret itself into `customAccessKeySecret`");
        return None;
    }
    if id.is_temporary() {
        notes.problem(at, "`customAccessKey` is the id of a temporary AccessKey, which needs a token that no key of an entry holds; use the AccessKey of a RAM user");
    }
    if !id.is_certain() && AccessKeyId::parse(&secret).is_some_and(|it| it.is_certain()) {
        notes.problem(at, "`customAccessKeySecret` holds the id of an AccessKey: exchange it with `customAccessKey`");
    }
    Some(IdentitySource::AccessKey(Credentials {
        access_key_id: id.as_str().to_owned(),
        access_key_secret: Secret::new(secret),
        security_token: None,
    }))
}

fn oidc(
    section: &Section,
    pod_identity: PodIdentity,
    context: &Context<'_>,
    notes: &mut Notes,
) -> Option<IdentitySource> {
    let settings = context.settings;
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.@*".contains(&b);
    let allowed_roles = section
        .values("allowedRoles", notes, |text| text.bytes().all(fits).then(|| text.to_owned()));
    let pod_login_life = pod_login_life(section, pod_identity, notes);
    let role_at = section.given("rrsaRoleARN");
    match role_at {
        Some(at) if !context.rrsa => notes.problem(
            at,
            "`rrsaRoleARN` needs RRSA to be switched on: add `rrsa` with `enable: true` at the top",
        ),
        None if allowed_roles.is_empty() => {
            let at = section.given("rrsaOIDCProviderRoleARN");
            notes.problem(at.unwrap_or(section.at), "no role for RRSA: give `rrsaRoleARN`, or `allowedRoles` for roles named by annotations");
            return None;
        }
        None if pod_identity == PodIdentity::Off => {
            let at = section.position("podIdentity").unwrap_or(section.at);
            notes.problem(at, "`podIdentity: off` without `rrsaRoleARN` leaves no role: give `rrsaRoleARN`, because `allowedRoles` is for pods' tokens alone");
            return None;
        }
        Some(_) | None => {}
    }
    let role = section.value("rrsaRoleARN", notes, RoleArn::parse);
    let account =
        settings.account_id.clone().or_else(|| role.as_ref().map(|role| role.account().to_owned()));
    let of_cluster =
        || OidcProviderArn::of_cluster(account.as_deref()?, settings.cluster_id.as_deref()?);
    let provider = match section.given("rrsaOIDCProviderRoleARN") {
        Some(_) => section.value("rrsaOIDCProviderRoleARN", notes, OidcProviderArn::parse)?,
        None => of_cluster().or_else(|| {
            notes.problem(
                section.at,
                "RRSA needs `rrsaOIDCProviderRoleARN`, or `clusterId` in `credential-provider`",
            );
            None
        })?,
    };
    if role_at.is_some() && role.is_none() {
        return None;
    }
    if !allowed_roles.is_empty() && account.is_none() {
        notes.problem(
            section.at,
            "`allowedRoles` without `rrsaRoleARN` needs `accountId` in `credential-provider`",
        );
    }
    let token_file = settings.oidc_token_file.clone();
    Some(IdentitySource::Oidc(Oidc {
        provider,
        role,
        token_file,
        pod_identity,
        allowed_roles,
        account,
        pod_login_life,
    }))
}

fn pod_login_life(section: &Section, pod_identity: PodIdentity, notes: &mut Notes) -> PodLoginLife {
    if let (Some(at), PodIdentity::Off) = (section.position("podLoginLife"), pod_identity) {
        notes.problem(at, "`podLoginLife` is for pods' tokens, and `podIdentity: off` never uses them: delete one of the two keys");
    }
    let life = section.value("podLoginLife", notes, |text| match text {
        "token" => Some(PodLoginLife::Token),
        "session" => Some(PodLoginLife::Session),
        _ => None,
    });
    life.unwrap_or(PodLoginLife::Token)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::config::resolved::Config;
    use crate::system::environment::Environment;

    const ROLE: &str = "acs:ram::1:role/puller";
    const PROVIDER: &str = "acs:ram::1:oidc-provider/ack-rrsa-c1";

    fn resolve(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let variables =
            variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Config::resolve(None, text, false, &Environment::new(variables))
            .map_err(|error| error.to_string())
    }

    fn identity(text: &str, variables: &[(&str, &str)]) -> Result<IdentitySource, String> {
        let mut entries = resolve(text, variables)?.entries;
        assert_eq!(entries.len(), 1);
        Ok(entries.remove(0).identity)
    }

    fn entry(keys: &str) -> Result<IdentitySource, String> {
        identity(
            &format!(
                "rrsa: {{enable: true}}\ncredential-provider: {{clusterId: c1}}\nacr-registry-info: [{{instanceId: cri-a, {keys}}}]"
            ),
            &[],
        )
    }

    #[test]
    fn the_environment_gives_a_whole_identity_or_none() {
        let id = ("ALIBABA_CLOUD_ACCESS_KEY_ID", "LTAI");
        let secret = ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "s");
        let token = ("ALIBABA_CLOUD_SECURITY_TOKEN", "t");
        let role = ("ALIBABA_CLOUD_ROLE_ARN", ROLE);
        let provider = ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", PROVIDER);
        let file = ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "/t");
        assert!(matches!(identity("", &[]), Ok(IdentitySource::WorkerRole)));
        assert!(matches!(identity("", &[token]), Ok(IdentitySource::WorkerRole)));
        let Ok(IdentitySource::AccessKey(key)) = identity("", &[id, secret, token]) else {
            panic!()
        };
        assert_eq!((key.access_key_id.as_str(), key.access_key_secret.expose()), ("LTAI", "s"));
        assert_eq!(key.security_token.unwrap().expose(), "t");
        let Ok(IdentitySource::Oidc(oidc)) = identity("", &[role, provider, file]) else {
            panic!()
        };
        assert_eq!((oidc.role.unwrap().as_str(), oidc.provider.as_str()), (ROLE, PROVIDER));
        assert_eq!((oidc.token_file.to_str(), oidc.account.as_deref()), (Some("/t"), Some("1")));
        for (half, missing) in [
            (&[id][..], secret.0),
            (&[secret], id.0),
            (&[role], provider.0),
            (&[role, provider], file.0),
            (&[provider, file], role.0),
        ] {
            let error = identity("", half).unwrap_err();
            assert!(error.contains(&format!("{missing} is missing")), "{error}");
        }
        let error = identity("", &[id, file]).unwrap_err();
        assert!(error.contains("both"), "{error}");
        for one in [id, secret, role, provider, file] {
            let error = identity("tokenMode: workerRole", &[one]).unwrap_err();
            assert!(error.contains(one.0) && error.contains("workerRole"), "{error}");
        }
        assert!(identity("tokenMode: workerRole", &[]).is_ok());
        assert!(
            identity("", &[("ALIBABA_CLOUD_ROLE_ARN", "x"), provider, file])
                .unwrap_err()
                .contains("expected `acs:ram::")
        );
        assert!(
            identity("", &[role, ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "x"), file])
                .unwrap_err()
                .contains("expected `acs:ram::")
        );
    }

    #[test]
    fn the_environment_names_the_session_of_its_identity_alone() {
        let name = ("ALIBABA_CLOUD_ROLE_SESSION_NAME", "my-audit-name");
        let session = |text: &str| resolve(text, &[name]).unwrap().entries[0].session_name.clone();
        assert_eq!(session(""), "my-audit-name");
        let entry = "acr-registry-info: [{instanceId: cri-a}]";
        assert_eq!(session(entry), "aliyun-acr-credential-provider");
    }

    #[test]
    fn an_entry_has_exactly_one_identity() {
        let key = "customAccessKey: LTAI, customAccessKeySecret: s";
        let rrsa = format!("rrsaRoleARN: \"{ROLE}\"");
        assert!(matches!(entry(""), Ok(IdentitySource::WorkerRole)));
        let Ok(IdentitySource::AccessKey(credentials)) = entry(key) else { panic!() };
        assert_eq!(
            (credentials.access_key_id.as_str(), credentials.access_key_secret.expose()),
            ("LTAI", "s")
        );
        let Ok(IdentitySource::Oidc(oidc)) = entry(&rrsa) else { panic!() };
        assert_eq!((oidc.role.unwrap().as_str(), oidc.provider.as_str()), (ROLE, PROVIDER));
        assert_eq!((oidc.pod_identity, oidc.allowed_roles.len()), (PodIdentity::Auto, 0));
        assert_eq!(oidc.account.as_deref(), Some("1"));
        for other in [
            rrsa.as_str(),
            "podIdentity: required, allowedRoles: a",
            "rrsaOIDCProviderRoleARN: \"acs:ram::1:oidc-provider/p\"",
        ] {
            assert!(entry(&format!("{key}, {other}")).unwrap_err().contains("both"), "{other}");
        }
        assert!(entry("customAccessKey: LTAI").unwrap_err().contains("one is missing"));
        assert!(entry("customAccessKeySecret: s").unwrap_err().contains("one is missing"));
        assert!(entry("allowedRoles: a").unwrap_err().contains("for RRSA"));
        assert!(entry("podIdentity: required").unwrap_err().contains("no role"));
        assert!(entry(&format!("{rrsa}, podIdentity: never")).unwrap_err().contains("podIdentity"));
        let provider = format!("rrsaOIDCProviderRoleARN: \"{PROVIDER}\"");
        assert!(
            entry(&format!("rrsaRoleARN: x, {provider}"))
                .unwrap_err()
                .contains("acs:ram::<account id>:role/")
        );
    }

    #[test]
    fn pods_and_the_roles_they_may_name() {
        let with = |keys: &str| match entry(&format!("rrsaRoleARN: \"{ROLE}\", {keys}")) {
            Ok(IdentitySource::Oidc(oidc)) => oidc,
            other => panic!("{other:?}"),
        };
        for (word, meant) in [
            ("auto", PodIdentity::Auto),
            ("required", PodIdentity::Required),
            ("off", PodIdentity::Off),
        ] {
            assert_eq!(with(&format!("podIdentity: \"{word}\"")).pod_identity, meant);
        }
        assert_eq!(with("allowedRoles: \"team-*, x.y@z_1\"").allowed_roles, ["team-*", "x.y@z_1"]);
        let error = entry(&format!("rrsaRoleARN: \"{ROLE}\", allowedRoles: a/b")).unwrap_err();
        assert!(error.contains("a/b"), "{error}");
        let nobody = entry("podIdentity: required, allowedRoles: a").unwrap_err();
        assert!(nobody.contains("clusterId"), "{nobody}");
        let of = |settings: &str| {
            let provider = "rrsaOIDCProviderRoleARN: \"acs:ram::1:oidc-provider/p\"";
            identity(
                &format!(
                    "credential-provider: {{{settings}}}\nacr-registry-info: [{{instanceId: cri-a, {provider}, allowedRoles: a}}]"
                ),
                &[],
            )
        };
        assert!(of("").unwrap_err().contains("accountId"));
        let Ok(IdentitySource::Oidc(oidc)) = of("accountId: \"7\"") else { panic!() };
        assert_eq!((oidc.account.as_deref(), oidc.role), (Some("7"), None));
    }

    #[test]
    fn worker_role_mode_and_rrsa_switched_off() {
        for keys in [
            "customAccessKey: LTAI",
            "customAccessKeySecret: s",
            "rrsaRoleARN: x",
            "podIdentity: required",
        ] {
            let text = format!(
                "tokenMode: workerRole\nacr-registry-info: [{{instanceId: cri-a, {keys}}}]"
            );
            assert!(resolve(&text, &[]).unwrap_err().contains("workerRole"), "{keys}");
        }
        let plain = "tokenMode: workerRole\nacr-registry-info: [{instanceId: cri-a}]";
        assert!(matches!(identity(plain, &[]), Ok(IdentitySource::WorkerRole)));
        let off = format!(
            "credential-provider: {{clusterId: c1}}\nacr-registry-info: [{{instanceId: cri-a, rrsaRoleARN: \"{ROLE}\"}}]"
        );
        assert!(resolve(&off, &[]).unwrap_err().contains("switched on"));
        assert!(resolve(&format!("rrsa: {{enable: true}}\n{off}"), &[]).is_ok());
    }

    #[test]
    fn an_access_key_is_for_its_owner_alone_to_read() {
        let text = "acr-registry-info: [{instanceId: cri-a, customAccessKey: i, customAccessKeySecret: s}]";
        let of = |open| Config::resolve(None, text, open, &Environment::default());
        assert!(of(true).unwrap_err().to_string().contains("chmod 600"));
        assert!(of(false).is_ok());
    }
}
