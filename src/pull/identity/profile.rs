//! A profile of the vendor's command line (`~/.aliyun/config.json`): who it says that asks.
//!
//! Fields and modes are those of the vendor's command line 3 and of its `credentials-go`. The file is
//! read again for each login. Regions and endpoints in it are not used: this program has its own.

use std::path::PathBuf;

use serde::Deserialize;

use crate::aliyun::Credentials;
use crate::aliyun::ids::{AccessKeyId, OidcProviderArn, RoleArn, is_role_name};
use crate::aliyun::sts::{AssumedRole, MAX_DURATION, MIN_DURATION, SessionRequest};
use crate::config::{Entry, Oidc, PodIdentity, PodLoginLife, Profile, session_name};
use crate::failure::{Exit, Failure};
use crate::pull::identity::established::{Identity, Requester};
use crate::pull::identity::{access_key, oidc, worker_role};
use crate::secret::Secret;
use crate::system::trusted_file;

/// Largest file that is read, in KiB.
const MOST: u64 = 1024;

/// Most profiles of which each names the next as its source.
const LONGEST_CHAIN: usize = 8;

/// Permissions of the group and of others.
const OTHERS: u32 = 0o077;

/// Whom a profile stands for: the first credentials, and the roles that are assumed with them, one
/// after another.
#[derive(Debug)]
pub struct Asker {
    first: First,
    roles: Vec<Role>,
}

#[derive(Debug)]
enum First {
    AccessKey(Credentials),
    /// None for the role that is attached.
    WorkerRole(Option<String>),
    Oidc(Oidc, Session),
}

#[derive(Debug)]
struct Role {
    assumed: AssumedRole,
    session: Session,
}

/// What a profile says of a session.
#[derive(Debug)]
struct Session {
    name: Option<String>,
    duration: Option<u32>,
    policy: Option<String>,
}

/// Why a profile is not used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("not the JSON of the vendor's command line (line {line}, column {column})")]
    NotJson { line: usize, column: usize },
    #[error("has no profile `{0}`")]
    NoProfile(String),
    #[error("profile `{0}` has no mode")]
    NoMode(String),
    #[error(
        "profile `{0}` has mode External: its `process_command` is a program, and this program does not run others"
    )]
    External(String),
    #[error("profile `{name}` has mode `{mode}`, which is not one of {MODES}")]
    Mode { name: String, mode: String },
    #[error("profile `{name}` has no `{field}`")]
    Missing { name: String, field: &'static str },
    #[error("`{field}` of profile `{name}` has another form; expected {form}")]
    Form { name: String, field: &'static str, form: &'static str },
    #[error("profile `{0}` has itself as its source, or too many profiles before it")]
    Circle(String),
    #[error("has secrets and can be read by its group or others (mode {0:04o})")]
    Readable(u32),
    #[error("{0}")]
    File(String),
}

const MODES: &str = "AK, StsToken, RamRoleArn, EcsRamRole, OIDC, ChainableRamRoleArn";

impl Refused {
    /// What to do.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NotJson { .. } => "correct the file; `aliyun configure list` reads it as well",
            Self::NoProfile(_) => {
                "give a name that `aliyun configure list` shows, in `profile` of the entry or in ALIBABA_CLOUD_PROFILE"
            }
            Self::External(_) | Self::Mode { .. } | Self::NoMode(_) => {
                "use a profile of another mode, such as RamRoleArn"
            }
            Self::Missing { .. } | Self::Form { .. } | Self::Circle(_) => {
                "correct the profile with `aliyun configure`"
            }
            Self::Readable(_) => "run: chmod 600 on it",
            Self::File(_) => {
                "see that the file is there and belongs to root or to the user who runs this; ALIBABA_CLOUD_CONFIG_FILE names another one"
            }
        }
    }
}

/// What distinguishes it from others. What its file says is part of what the cache distinguishes.
pub(super) fn key(profile: &Profile) -> String {
    let Profile { name, file } = profile;
    format!("profile {name} {}", file.display())
}

pub(super) fn establish(
    entry: &Entry,
    profile: &Profile,
    requester: &Requester<'_, '_>,
    first: &SessionRequest<'_>,
) -> Result<Identity, Failure> {
    let Asker { first: asker, roles } = read(profile).map_err(|refused| {
        let place = profile.file.display();
        Failure::new(Exit::Identity, format!("{place}: {refused}")).hint(refused.remedy())
    })?;
    // All but the last session are there to assume the next role.
    let of = |session: &Session, is_last: bool| match session.duration {
        _ if !is_last => MIN_DURATION,
        Some(duration) if entry.role.is_none() => duration,
        _ => first.duration,
    };
    let mut identity = match &asker {
        First::AccessKey(credentials) => access_key::establish(credentials),
        First::WorkerRole(role) => worker_role::establish(requester.node, role.as_deref())?,
        First::Oidc(oidc, session) => {
            let session = SessionRequest {
                session_name: session.name.as_deref().unwrap_or(first.session_name),
                duration: of(session, roles.is_empty()),
                policy: session.policy.as_deref(),
            };
            oidc::establish(entry, oidc, requester, &session)?
        }
    };
    for (number, role) in (1..).zip(&roles) {
        let request = SessionRequest {
            session_name: role.session.name.as_deref().unwrap_or(first.session_name),
            duration: of(&role.session, number == roles.len()),
            policy: role.session.policy.as_deref(),
        };
        identity = requester.assume(entry, &role.assumed, &request, &identity)?;
    }
    Ok(identity)
}

/// For a report of one pull.
pub(super) fn report(profile: &Profile, identity: &Identity) -> String {
    let Profile { name, file } = profile;
    format!("{}, by profile `{name}` of {}", identity.owner, file.display())
}

/// What a trust policy names, if the profile can be read and leads to a role. The node's own role is
/// made of `account` and the role that is attached.
pub(super) fn principal(
    profile: &Profile,
    account: impl FnOnce() -> String,
    worker_role: Option<&str>,
) -> Option<String> {
    let asker = read(profile).ok()?;
    if let Some(role) = asker.roles.last() {
        return Some(role.assumed.arn.to_string());
    }
    match asker.first {
        First::AccessKey(_) => Some(access_key::principal()),
        First::Oidc(oidc, _) => oidc.role.map(|role| role.to_string()),
        First::WorkerRole(named) => {
            Some(worker_role::principal(&account(), named.as_deref().or(worker_role)?))
        }
    }
}

/// Whom the profile stands for, by its file as it is now.
///
/// # Errors
///
/// See [`Refused`].
pub fn read(profile: &Profile) -> Result<Asker, Refused> {
    let contents = trusted_file::read(&profile.file, MOST);
    let contents = contents.map_err(|refused| Refused::File(refused.to_string()))?;
    let asker = asker(&contents.bytes, &profile.name)?;
    let is_readable = contents.mode & OTHERS != 0;
    if matches!(asker.first, First::AccessKey(_)) && is_readable {
        return Err(Refused::Readable(contents.mode));
    }
    Ok(asker)
}

#[derive(Deserialize)]
struct File {
    profiles: Option<Vec<Written>>,
}

/// A profile as it is written; an empty text counts as left out.
#[derive(Deserialize)]
struct Written {
    name: Option<String>,
    mode: Option<String>,
    access_key_id: Option<Secret>,
    access_key_secret: Option<Secret>,
    sts_token: Option<Secret>,
    ram_role_name: Option<String>,
    ram_role_arn: Option<String>,
    ram_session_name: Option<String>,
    external_id: Option<String>,
    policy: Option<String>,
    source_profile: Option<String>,
    expired_seconds: Option<u32>,
    oidc_provider_arn: Option<String>,
    oidc_token_file: Option<String>,
}

/// Whom a profile of a file's text stands for.
///
/// # Errors
///
/// See [`Refused`]. No message has a secret in it.
pub fn asker(text: &[u8], name: &str) -> Result<Asker, Refused> {
    let file: File = serde_json::from_slice(text)
        .map_err(|error| Refused::NotJson { line: error.line(), column: error.column() })?;
    let profiles = file.profiles.unwrap_or_default();
    let find = |name: &str| {
        let found = profiles.iter().find(|it| it.name.as_deref() == Some(name));
        found.ok_or_else(|| Refused::NoProfile(shown(name)))
    };
    let mut roles = Vec::new();
    let mut written = find(name)?;
    for _ in 0..LONGEST_CHAIN {
        let fields = Fields { name: written.name.as_deref().unwrap_or_default(), written };
        let first = match written.mode.as_deref().unwrap_or_default() {
            "AK" => First::AccessKey(fields.access_key(None)?),
            "StsToken" => {
                let token = fields.secret(written.sts_token.as_ref(), "sts_token")?;
                First::AccessKey(fields.access_key(Some(token))?)
            }
            "RamRoleArn" => {
                roles.push(fields.role()?);
                let token = written.sts_token.clone().filter(|token| !token.is_empty());
                First::AccessKey(fields.access_key(token)?)
            }
            "EcsRamRole" => {
                let form = "a RAM role's name";
                let named = |text: &str| is_role_name(text).then(|| text.to_owned());
                let name = written.ram_role_name.as_deref();
                First::WorkerRole(fields.optional(name, "ram_role_name", form, named)?)
            }
            "OIDC" => fields.oidc()?,
            "ChainableRamRoleArn" => {
                roles.push(fields.role()?);
                let source = written.source_profile.as_deref();
                written = find(fields.required(source, "source_profile", "", Some)?)?;
                continue;
            }
            "" => return Err(Refused::NoMode(shown(fields.name))),
            "External" => return Err(Refused::External(shown(fields.name))),
            mode => {
                return Err(Refused::Mode { name: shown(fields.name), mode: shown(mode) });
            }
        };
        roles.reverse();
        return Ok(Asker { first, roles });
    }
    Err(Refused::Circle(shown(name)))
}

/// A name as a message can show it.
fn shown(name: &str) -> String {
    name.escape_debug().take(80).collect()
}

/// A profile whose fields are asked for.
struct Fields<'w> {
    name: &'w str,
    written: &'w Written,
}

impl<'w> Fields<'w> {
    fn role(&self) -> Result<Role, Refused> {
        let Written { ram_role_arn, external_id, .. } = self.written;
        let arn = self.required(
            ram_role_arn.as_deref(),
            "ram_role_arn",
            "`acs:ram::<account id>:role/<role name>`",
            RoleArn::parse,
        )?;
        let external_id = external_id.clone().filter(|id| !id.is_empty());
        let assumed = AssumedRole { arn, external_id };
        Ok(Role { assumed, session: self.session()? })
    }

    fn session(&self) -> Result<Session, Refused> {
        let Written { ram_session_name, expired_seconds, policy, .. } = self.written;
        let form = "2 to 64 letters, digits or `.@-_`";
        let name = ram_session_name.as_deref();
        let name = self.optional(name, "ram_session_name", form, session_name)?;
        // The command line leaves a zero out, and others write it.
        let duration = expired_seconds.filter(|seconds| *seconds != 0);
        if duration.is_some_and(|seconds| !(MIN_DURATION..=MAX_DURATION).contains(&seconds)) {
            return Err(self.form("expired_seconds", "900 to 43200"));
        }
        Ok(Session { name, duration, policy: policy.clone().filter(|it| !it.is_empty()) })
    }

    fn oidc(&self) -> Result<First, Refused> {
        let Written { ram_role_arn, oidc_provider_arn, oidc_token_file, .. } = self.written;
        let provider = oidc_provider_arn.as_deref();
        let provider = self.required(
            provider,
            "oidc_provider_arn",
            "`acs:ram::<account id>:oidc-provider/<provider name>`",
            OidcProviderArn::parse,
        )?;
        let path = |text: &str| Some(PathBuf::from(text)).filter(|path| path.is_absolute());
        let file = oidc_token_file.as_deref();
        let token_file = self.required(file, "oidc_token_file", "an absolute path", path)?;
        let role = self.required(
            ram_role_arn.as_deref(),
            "ram_role_arn",
            "`acs:ram::<account id>:role/<role name>`",
            RoleArn::parse,
        )?;
        let oidc = Oidc {
            provider,
            role: Some(role),
            token_file,
            pod_identity: PodIdentity::Off,
            allowed_roles: Vec::new(),
            pod_login_life: PodLoginLife::Token,
            account: None,
        };
        Ok(First::Oidc(oidc, self.session()?))
    }

    fn access_key(&self, security_token: Option<Secret>) -> Result<Credentials, Refused> {
        let Written { access_key_id, access_key_secret, .. } = self.written;
        let id = self.secret(access_key_id.as_ref(), "access_key_id")?;
        let form = "the id of an AccessKey: letters and digits";
        let id = AccessKeyId::parse(id.expose()).ok_or_else(|| self.form("access_key_id", form))?;
        if id.is_temporary() && security_token.is_none() {
            return Err(self.missing("sts_token"));
        }
        let access_key_secret = self.secret(access_key_secret.as_ref(), "access_key_secret")?;
        let access_key_id = id.as_str().to_owned();
        Ok(Credentials { access_key_id, access_key_secret, security_token })
    }

    fn secret(&self, value: Option<&Secret>, field: &'static str) -> Result<Secret, Refused> {
        value.filter(|it| !it.is_empty()).cloned().ok_or_else(|| self.missing(field))
    }

    fn required<T>(
        &self,
        value: Option<&'w str>,
        field: &'static str,
        form: &'static str,
        parse: impl FnOnce(&'w str) -> Option<T>,
    ) -> Result<T, Refused> {
        self.optional(value, field, form, parse)?.ok_or_else(|| self.missing(field))
    }

    fn optional<T>(
        &self,
        value: Option<&'w str>,
        field: &'static str,
        form: &'static str,
        parse: impl FnOnce(&'w str) -> Option<T>,
    ) -> Result<Option<T>, Refused> {
        let Some(text) = value.filter(|text| !text.is_empty()) else { return Ok(None) };
        parse(text).map(Some).ok_or_else(|| self.form(field, form))
    }

    fn missing(&self, field: &'static str) -> Refused {
        Refused::Missing { name: shown(self.name), field }
    }

    fn form(&self, field: &'static str, form: &'static str) -> Refused {
        Refused::Form { name: shown(self.name), field, form }
    }
}
