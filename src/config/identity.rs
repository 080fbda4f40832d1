//! Who asks for an entry's login: exactly one identity, from the entry or the environment.

use std::path::PathBuf;

use crate::aliyun::Credentials;
use crate::aliyun::ids::{OidcProviderArn, RoleArn};
use crate::config::diagnostics::notes::{Notes, quotable};
use crate::config::file::{Section, Written};
use crate::config::settings::Settings;
use crate::config::yaml::Position;
use crate::secret::Secret;
use crate::system::environment::Environment;

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
}

impl IdentitySource {
    /// Whether the token of a pod, if a request has one, is the identity.
    #[must_use]
    pub fn takes_pod_tokens(&self) -> bool {
        matches!(self, Self::Oidc(oidc) if oidc.pod_identity != PodIdentity::Off)
    }

    /// Whether there is no identity without one.
    #[must_use]
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
}

/// Whether the pod's own service account token is the identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodIdentity {
    /// If the request has a token.
    Auto,
    /// And without one there is no answer.
    Required,
    /// Never.
    Off,
}

/// What an entry's meaning depends on beside the entry itself.
pub(super) struct Context<'a> {
    pub settings: &'a Settings,
    pub token_mode: TokenMode,
    pub rrsa: bool,
    pub open_to_others: bool,
}

/// The identity that the environment gives where no entry is configured, else the node's role.
pub(super) fn of_environment(
    environment: &Environment,
    settings: &Settings,
    token_mode: TokenMode,
) -> Result<IdentitySource, String> {
    const KEY: [&str; 2] = ["ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"];
    const OIDC: [&str; 3] = [
        "ALIBABA_CLOUD_ROLE_ARN",
        "ALIBABA_CLOUD_OIDC_PROVIDER_ARN",
        "ALIBABA_CLOUD_OIDC_TOKEN_FILE",
    ];
    const SESSION: &str = "ALIBABA_CLOUD_SECURITY_TOKEN";
    let names = [&KEY[..], &OIDC[..]].concat();
    if let Some(name) = names.iter().chain(&[SESSION]).find(|name| !environment.is_text(name)) {
        return Err(format!("{name} is not UTF-8 text"));
    }
    let given = names.into_iter().find(|name| environment.get(name).is_some());
    if let (TokenMode::WorkerRole, Some(name)) = (token_mode, given) {
        return Err(format!(
            "`tokenMode: workerRole` allows the node's role only, and {name} is set"
        ));
    }
    match (any(environment, &KEY), any(environment, &OIDC)) {
        (true, true) => {
            Err(format!("both {} and {} are set; one identity at a time", KEY[0], OIDC[0]))
        }
        (true, false) => {
            let [id, secret] = all(environment, KEY)?;
            Ok(IdentitySource::AccessKey(Credentials {
                access_key_id: id.to_owned(),
                access_key_secret: Secret::new(secret),
                security_token: environment.get(SESSION).map(Secret::new),
            }))
        }
        (false, true) => {
            let [role, provider, file] = all(environment, OIDC)?;
            let role = RoleArn::parse(role)
                .ok_or_else(|| format!("{} is not of the form {}", OIDC[0], RoleArn::FORM))?;
            let provider = OidcProviderArn::parse(provider).ok_or_else(|| {
                format!("{} is not of the form {}", OIDC[1], OidcProviderArn::FORM)
            })?;
            Ok(IdentitySource::Oidc(Oidc {
                provider,
                account: settings.account_id.clone().or_else(|| Some(role.account().to_owned())),
                role: Some(role),
                token_file: PathBuf::from(file),
                pod_identity: PodIdentity::Auto,
                allowed_roles: Vec::new(),
            }))
        }
        (false, false) => Ok(IdentitySource::WorkerRole),
    }
}

fn any(environment: &Environment, names: &[&str]) -> bool {
    names.iter().any(|name| environment.get(name).is_some())
}

/// Half an identity is a mistake, not a reason to use another one.
fn all<'e, const N: usize>(
    environment: &'e Environment,
    names: [&str; N],
) -> Result<[&'e str; N], String> {
    if let Some(missing) = names.iter().find(|name| environment.get(name).is_none()) {
        return Err(format!("{missing} is missing beside the others of {}", names.join(", ")));
    }
    Ok(names.map(|name| environment.get(name).unwrap_or_default()))
}

/// Reads the identity of an entry; none if it has no usable one, and `notes` says why.
pub(super) fn read(
    section: &Section,
    context: &Context<'_>,
    notes: &mut Notes,
) -> Option<IdentitySource> {
    let key = section.text("customAccessKey", notes);
    let secret = section.text("customAccessKeySecret", notes);
    let rrsa = section.text("rrsaRoleARN", notes);
    let provider = section.text("rrsaOIDCProviderRoleARN", notes);
    let pod_identity = pod_identity(section, notes);
    let other = key.as_ref().or(secret.as_ref()).or(rrsa.as_ref());
    let required = (pod_identity == PodIdentity::Required).then_some(section.at);
    let other = other.map(|written| written.at).or(required);
    if let (TokenMode::WorkerRole, Some(other)) = (context.token_mode, other) {
        notes.problem(other, "`tokenMode: workerRole` allows the node's role only, and this entry asks for another identity");
        return None;
    }
    let key_at = key.as_ref().or(secret.as_ref()).map(|written| written.at);
    let oidc = rrsa.is_some() || provider.is_some() || pod_identity == PodIdentity::Required;
    match (key_at, oidc) {
        (Some(at), true) => {
            notes.problem(
                at,
                "both an AccessKey and RRSA are given; an entry has exactly one identity",
            );
            None
        }
        (None, true) => self::oidc(section, rrsa, provider, pod_identity, context, notes),
        (key_at, false) => {
            if let Some(at) = section.position("allowedRoles") {
                notes.problem(
                    at,
                    "`allowedRoles` is for RRSA: give `rrsaRoleARN` or `podIdentity: required`",
                );
            }
            match key_at {
                Some(at) => access_key(at, key, secret, context, notes),
                None => Some(IdentitySource::WorkerRole),
            }
        }
    }
}

fn access_key(
    at: Position,
    key: Option<Written>,
    secret: Option<Written>,
    context: &Context<'_>,
    notes: &mut Notes,
) -> Option<IdentitySource> {
    if context.open_to_others {
        notes.problem(
            at,
            "an AccessKey in a file that its group or others can read; run: chmod 600 on it",
        );
    }
    let (Some(key), Some(secret)) = (key, secret) else {
        notes.problem(
            at,
            "`customAccessKey` and `customAccessKeySecret` belong together; one is missing",
        );
        return None;
    };
    Some(IdentitySource::AccessKey(Credentials {
        access_key_id: key.text,
        access_key_secret: Secret::new(secret.text),
        security_token: None,
    }))
}

fn oidc(
    section: &Section,
    role: Option<Written>,
    provider: Option<Written>,
    pod_identity: PodIdentity,
    context: &Context<'_>,
    notes: &mut Notes,
) -> Option<IdentitySource> {
    let settings = context.settings;
    let allowed_roles = allowed_roles(section, notes);
    if let Some(role) = role.as_ref().filter(|_| !context.rrsa) {
        notes.problem(
            role.at,
            "`rrsaRoleARN` needs RRSA to be switched on: add `rrsa` with `enable: true` at the top",
        );
    }
    if role.is_none() && allowed_roles.is_empty() {
        let at = provider.map_or(section.at, |provider| provider.at);
        notes.problem(at, "no role for RRSA: give `rrsaRoleARN`, or `allowedRoles` for roles named by annotations");
        return None;
    }
    if role.is_none() && pod_identity == PodIdentity::Off {
        let at = section.position("podIdentity").unwrap_or(section.at);
        notes.problem(at, "`podIdentity: off` without `rrsaRoleARN` leaves no role: give it, for `allowedRoles` are for pods' tokens alone");
        return None;
    }
    let role_is_written = role.is_some();
    let role =
        role.and_then(|role| arn("rrsaRoleARN", &role, RoleArn::parse, RoleArn::FORM, notes));
    let account =
        settings.account_id.clone().or_else(|| role.as_ref().map(|role| role.account().to_owned()));
    let of_cluster =
        || OidcProviderArn::of_cluster(account.as_deref()?, settings.cluster_id.as_deref()?);
    let provider = match &provider {
        Some(written) => arn(
            "rrsaOIDCProviderRoleARN",
            written,
            OidcProviderArn::parse,
            OidcProviderArn::FORM,
            notes,
        )?,
        None => of_cluster().or_else(|| {
            notes.problem(
                section.at,
                "RRSA needs `rrsaOIDCProviderRoleARN`, or `clusterId` in `credential-provider`",
            );
            None
        })?,
    };
    if role_is_written && role.is_none() {
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
    }))
}

/// An ARN of the form that `parse` knows.
pub(super) fn arn<T>(
    name: &str,
    written: &Written,
    parse: fn(&str) -> Option<T>,
    form: &str,
    notes: &mut Notes,
) -> Option<T> {
    let arn = parse(&written.text);
    if arn.is_none() {
        let text = quotable(&written.text);
        notes.problem(written.at, format!("`{name}` is `{text}`; expected {form}"));
    }
    arn
}

fn pod_identity(section: &Section, notes: &mut Notes) -> PodIdentity {
    let Some(Written { at, text }) = section.text("podIdentity", notes) else {
        return PodIdentity::Auto;
    };
    match text.as_str() {
        "auto" => PodIdentity::Auto,
        "required" => PodIdentity::Required,
        "off" => PodIdentity::Off,
        other => {
            let other = quotable(other);
            notes
                .problem(at, format!("`podIdentity` is `{other}`; expected auto, required or off"));
            PodIdentity::Auto
        }
    }
}

fn allowed_roles(section: &Section, notes: &mut Notes) -> Vec<String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.@*".contains(&b);
    let mut allowed = Vec::new();
    for Written { at, text } in section.list("allowedRoles", notes) {
        if text.bytes().all(fits) {
            allowed.push(text);
        } else {
            let text = quotable(&text);
            notes.problem(at, format!("`allowedRoles` has `{text}`; expected role names, `*` standing for any characters"));
        }
    }
    allowed
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::config::Config;

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
                .contains("form")
        );
        assert!(
            identity("", &[role, ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "x"), file])
                .unwrap_err()
                .contains("form")
        );
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
        assert!(entry(&format!("rrsaRoleARN: x, {provider}")).unwrap_err().contains(RoleArn::FORM));
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
