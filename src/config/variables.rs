//! Every environment variable that counts, in one table: read and checked here and nowhere else.
//!
//! What is wrong with one is a mistake of the configuration. The table in `docs/variables.md` comes
//! from here. A new variable begins as a row.

use std::path::{Path, PathBuf};

use crate::aliyun::ids::{Region, is_role_name};
use crate::config::form::{is_placeholder, not_of_form};
use crate::config::settings::{UrlError, absolute, check_base_url};
use crate::system::environment::Environment;
use crate::system::log::Level;

/// A variable and what is known of it.
#[derive(Debug)]
pub struct Variable {
    pub name: &'static str,
    pub counts: Counts,
    /// Its value may be shown.
    pub is_public: bool,
    /// What a value must look like, as a message says it behind `expected`.
    pub form: &'static str,
    /// For `docs/variables.md`.
    pub meaning: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    Always,
    /// Unless this key, or argument, is given.
    Unless(&'static str),
    /// It chooses an identity, which it must not where an entry is configured.
    WithoutEntries,
    WithProxy,
    /// For the command `setup docker` alone.
    SetupDocker,
}

/// How the names of the vendor's variables begin.
const VENDORS: &str = "ALIBABA_CLOUD_";

pub const CONFIG_FILE: &str = "ACR_CREDENTIAL_PROVIDER_CONFIG";
const LOG: &str = "ACR_CREDENTIAL_PROVIDER_LOG";
pub(super) const ACCESS_KEY_ID: &str = "ALIBABA_CLOUD_ACCESS_KEY_ID";
pub(super) const ACCESS_KEY_SECRET: &str = "ALIBABA_CLOUD_ACCESS_KEY_SECRET";
pub(super) const SECURITY_TOKEN: &str = "ALIBABA_CLOUD_SECURITY_TOKEN";
pub(super) const ROLE_ARN: &str = "ALIBABA_CLOUD_ROLE_ARN";
pub(super) const OIDC_PROVIDER_ARN: &str = "ALIBABA_CLOUD_OIDC_PROVIDER_ARN";
pub(super) const OIDC_TOKEN_FILE: &str = "ALIBABA_CLOUD_OIDC_TOKEN_FILE";
pub(super) const ROLE_SESSION_NAME: &str = "ALIBABA_CLOUD_ROLE_SESSION_NAME";
pub(super) const CREDENTIALS_URI: &str = "ALIBABA_CLOUD_CREDENTIALS_URI";
pub(super) const PROFILE: &str = "ALIBABA_CLOUD_PROFILE";
const PROFILES: &str = "ALIBABA_CLOUD_CONFIG_FILE";
const HOME: &str = "HOME";
const ECS_METADATA: &str = "ALIBABA_CLOUD_ECS_METADATA";
const ECS_METADATA_DISABLED: &str = "ALIBABA_CLOUD_ECS_METADATA_DISABLED";
const IMDSV1_DISABLED: &str = "ALIBABA_CLOUD_IMDSV1_DISABLED";
const STS_REGION: &str = "ALIBABA_CLOUD_STS_REGION";
const STS_ENDPOINT: &str = "ALIBABA_CLOUD_STS_ENDPOINT";
const VPC_ENDPOINT_ENABLED: &str = "ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED";
const HTTPS_PROXY: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];
const SSL_CERT_FILE: &str = "SSL_CERT_FILE";
const RUNTIME_DIRECTORY: &str = "XDG_RUNTIME_DIR";
const NO_COLOR: &str = "NO_COLOR";
const DOCKER_CONFIG: &str = "DOCKER_CONFIG";
const PATH: &str = "PATH";

const fn public(
    name: &'static str,
    counts: Counts,
    [form, meaning]: [&'static str; 2],
) -> Variable {
    Variable { name, counts, is_public: true, form, meaning }
}

const fn hidden(name: &'static str, counts: Counts, words: [&'static str; 2]) -> Variable {
    Variable { is_public: false, ..public(name, counts, words) }
}

use Counts::{Always, SetupDocker, Unless, WithProxy, WithoutEntries};

#[rustfmt::skip]
pub static VARIABLES: [Variable; 28] = [
    public(CONFIG_FILE, Unless("--config"), ["a path", "path of the configuration"]),
    public(LOG, Always, ["error, warn, info or debug", "`error`, `warn`, `info` or `debug`; default `warn`, and `error` for an answer that nobody reads on a terminal"]),
    hidden(ACCESS_KEY_ID, WithoutEntries, ["the id of an AccessKey: letters and digits", "an AccessKey as identity: its id"]),
    hidden(ACCESS_KEY_SECRET, WithoutEntries, ["the secret of an AccessKey", "its secret"]),
    hidden(SECURITY_TOKEN, WithoutEntries, ["the token of a temporary AccessKey", "makes that AccessKey a temporary one"]),
    public(ROLE_ARN, WithoutEntries, ["`acs:ram::<account id>:role/<role name>`", "RRSA as identity: the role"]),
    public(OIDC_PROVIDER_ARN, WithoutEntries, ["`acs:ram::<account id>:oidc-provider/<provider name>`", "RRSA as identity: the OIDC provider"]),
    public(OIDC_TOKEN_FILE, WithoutEntries, ["an absolute path", "RRSA as identity: the token"]),
    public(ROLE_SESSION_NAME, WithoutEntries, ["2 to 64 letters, digits or `.@-_`", "names the role session of that identity"]),
    hidden(CREDENTIALS_URI, WithoutEntries, ["an `https` URL, or an `http` URL of this machine, without user name and password", "a service that gives temporary credentials as identity. `https`, or `http` for loopback"]),
    public(PROFILE, WithoutEntries, ["the name of a profile", "a profile of the vendor's command line as identity"]),
    public(PROFILES, Always, ["an absolute path", "the file that has the profiles; default `.aliyun/config.json` in `HOME`"]),
    public(HOME, Unless(PROFILES), ["an absolute path", "the folder in which the profiles are looked for, and docker's file by `setup docker`; not read for anything else"]),
    public(ECS_METADATA, Unless("workerRoleName"), ["a RAM role's name", "name of the node's role"]),
    public(ECS_METADATA_DISABLED, Always, ["true or false", "`true`: never ask the metadata service"]),
    public(IMDSV1_DISABLED, Always, ["true or false", "`true`: metadata in hardened mode only"]),
    public(STS_REGION, Unless("nodeRegion"), ["a region id such as cn-hangzhou", "region of STS"]),
    hidden(STS_ENDPOINT, Unless("endpoints.sts"), ["a host", "host of STS"]),
    public(VPC_ENDPOINT_ENABLED, Unless("network"), ["true or false", "`true`: the VPC host of STS"]),
    hidden(HTTPS_PROXY[0], Always, ["a URL", "proxy for STS and ACR; never for metadata"]),
    hidden(HTTPS_PROXY[1], Always, ["a URL", "the same; the name in capitals wins"]),
    public(NO_PROXY[0], WithProxy, ["hosts", "hosts that are called without the proxy"]),
    public(NO_PROXY[1], WithProxy, ["hosts", "the same; the name in capitals wins"]),
    public(SSL_CERT_FILE, Always, ["an absolute path", "PEM file of CAs, instead of the built-in and the system's"]),
    public(RUNTIME_DIRECTORY, Unless("cacheDir"), ["an absolute path", "folder of the cache for users other than root"]),
    public(NO_COLOR, Always, ["", "no colour in the text of `doctor`"]),
    public(DOCKER_CONFIG, SetupDocker, ["a path", "the folder of docker's `config.json`; default `.docker` in `HOME`"]),
    public(PATH, SetupDocker, ["folders", "where clients look for the helper; a note says if it is not there"]),
];

/// Whether a variable counts for pulls and renewals. All of the vendor's do: they are part of what the
/// node's cache keeps apart.
pub fn decides(name: &str) -> bool {
    name.starts_with(VENDORS) || known(name).is_some_and(|it| it.counts != SetupDocker)
}

/// The row of a variable, if it counts.
pub fn known(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.name == name)
}

/// What the environment says beside an identity.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    pub worker_role_name: Option<String>,
    pub is_metadata_disabled: bool,
    pub is_hardened_only: bool,
    pub sts_region: Option<Region>,
    /// A base URL.
    pub sts_endpoint: Option<String>,
    pub prefers_vpc: bool,
    /// The name that counts, and its value.
    pub https_proxy: Option<(&'static str, String)>,
    pub no_proxy: Option<String>,
    pub certificates: Option<PathBuf>,
    /// The file of the vendor's command line.
    pub profiles: Option<PathBuf>,
}

/// A mistake in the environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    #[error("environment: {0} is not UTF-8 text")]
    NotText(&'static str),
    #[error("environment: {}", of_form(name, value))]
    Form { name: &'static str, value: String },
    #[error("environment: {name} is {wrong}")]
    Url { name: &'static str, wrong: UrlError },
    #[error("environment: {name} is missing beside the others of {}", of.join(", "))]
    Missing { name: &'static str, of: &'static [&'static str] },
    #[error("environment: {ACCESS_KEY_ID} is a temporary id and {SECURITY_TOKEN} is missing")]
    NoToken,
    #[error("environment: both {0} and {1} are set; one identity at a time")]
    TwoIdentities(&'static str, &'static str),
    #[error(
        "environment: {PROFILE} is set, and neither {PROFILES} nor {HOME} says where the profiles are"
    )]
    NoProfiles,
    #[error("environment: `tokenMode: workerRole` allows the node's role only, and {0} is set")]
    WorkerRoleOnly(&'static str),
}

fn of_form(name: &str, value: &str) -> String {
    let is = known(name).filter(|variable| variable.is_public).map(|_| "is");
    not_of_form(name, is, value, known(name).map_or("", |variable| variable.form))
}

impl VariableError {
    /// What to do.
    pub fn remedy(&self) -> &'static str {
        let name = match self {
            Self::NotText(name) | Self::Form { name, .. } | Self::Url { name, .. } => name,
            Self::Missing { .. } | Self::NoToken => return "set it, or unset the others",
            Self::NoProfiles => {
                return "set ALIBABA_CLOUD_CONFIG_FILE to the path of the vendor's config.json";
            }
            Self::TwoIdentities(..) | Self::WorkerRoleOnly(_) => {
                return "unset the variables that are not meant, or configure an entry in acr-registry-info";
            }
        };
        match known(name).map(|variable| variable.counts) {
            Some(Counts::WithoutEntries) => {
                "correct or unset it, or configure an entry in acr-registry-info"
            }
            _ => {
                "correct or unset it in the kubelet's unit, or in `env` of the provider, and restart the kubelet"
            }
        }
    }
}

/// Reads variables one by one and keeps what is wrong with them.
pub(super) struct Reader<'e> {
    environment: &'e Environment,
    pub wrong: Vec<VariableError>,
}

impl<'e> Reader<'e> {
    pub fn new(environment: &'e Environment) -> Self {
        Self { environment, wrong: Vec::new() }
    }

    pub fn is_set(&self, name: &str) -> bool {
        self.environment.get(name).is_some()
    }

    /// The value of a variable, if it has the form that `parse` knows.
    pub fn read<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.environment.get(name)?;
        if !self.environment.is_text(name) {
            self.wrong.push(VariableError::NotText(name));
            return None;
        }
        let value = parse(text).filter(|_| !is_placeholder(text));
        if value.is_none() {
            self.wrong.push(VariableError::Form { name, value: text.to_owned() });
        }
        value
    }

    /// What counts whether an entry is configured or not.
    pub fn variables(&mut self) -> Variables {
        let text = |text: &str| Some(text.to_owned());
        let flag = |text: &str| match text.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        };
        let role_name = |name: &str| is_role_name(name).then(|| name.to_owned());
        let sts_endpoint = self.read(STS_ENDPOINT, text).and_then(|text| {
            let url = if text.contains("://") { text } else { format!("https://{text}") };
            let checked = check_base_url(&url, false);
            let wrong = |wrong| self.wrong.push(VariableError::Url { name: STS_ENDPOINT, wrong });
            checked.map_err(wrong).ok()
        });
        let Proxies { https_proxy, no_proxy } = Proxies::of(self.environment);
        Variables {
            worker_role_name: self.read(ECS_METADATA, role_name),
            is_metadata_disabled: self.read(ECS_METADATA_DISABLED, flag).unwrap_or(false),
            is_hardened_only: self.read(IMDSV1_DISABLED, flag).unwrap_or(false),
            sts_region: self.read(STS_REGION, Region::parse),
            sts_endpoint,
            prefers_vpc: self.read(VPC_ENDPOINT_ENABLED, flag).unwrap_or(false),
            https_proxy,
            no_proxy,
            certificates: self.read(SSL_CERT_FILE, absolute),
            profiles: self.read(PROFILES, absolute).or_else(|| profiles_at_home(self.environment)),
        }
    }
}

/// The variables by which programs written in Go find proxies, as the kubelet and containerd are.
#[derive(Debug, Default)]
pub struct Proxies {
    /// The name that counts, and its value.
    pub https_proxy: Option<(&'static str, String)>,
    pub no_proxy: Option<String>,
}

impl Proxies {
    /// Of two spellings the first that is set and not empty counts.
    #[must_use]
    pub fn of(environment: &Environment) -> Self {
        let either = |names: [&'static str; 2]| {
            let mut set = names.into_iter().filter_map(|name| Some((name, environment.get(name)?)));
            set.find(|(_, value)| !value.is_empty()).map(|(name, value)| (name, value.to_owned()))
        };
        let no_proxy = either(NO_PROXY).map(|(_, value)| value);
        Self { https_proxy: either(HTTPS_PROXY), no_proxy }
    }
}

/// How much the log says, if the environment says so. A level that does not exist must not stop a
/// pull: callers warn of it and take `warn`.
///
/// # Errors
///
/// If the level does not exist.
pub fn log_level(environment: &Environment) -> Result<Option<Level>, VariableError> {
    let Some(text) = environment.get(LOG) else { return Ok(None) };
    let level = Level::parse(text);
    let wrong = || VariableError::Form { name: LOG, value: text.to_owned() };
    level.map(Some).ok_or_else(wrong)
}

fn profiles_at_home(environment: &Environment) -> Option<PathBuf> {
    Some(absolute(environment.get(HOME)?)?.join(".aliyun/config.json"))
}

/// The file of the vendor's command line, where the environment chooses a profile of it, or may as
/// well be that the configuration does.
#[must_use]
pub fn profiles(environment: &Environment, configuration: &str) -> Option<PathBuf> {
    let is_used = environment.get(PROFILE).is_some() || configuration.contains("profile");
    let named =
        || environment.get(PROFILES).map_or_else(|| profiles_at_home(environment), absolute);
    is_used.then(named).flatten()
}

/// The folder of a user's session, in which the cache is.
pub fn runtime_directory(environment: &Environment) -> Option<&str> {
    environment.get(RUNTIME_DIRECTORY)
}

/// Docker's own file.
pub fn docker_file(environment: &Environment) -> Option<PathBuf> {
    let folder = environment.get(DOCKER_CONFIG).map(PathBuf::from);
    let folder = folder.or_else(|| Some(Path::new(environment.get(HOME)?).join(".docker")))?;
    Some(folder.join("config.json"))
}

/// Whether clients find a program.
pub fn is_on_path(program: &str, environment: &Environment) -> bool {
    let path = environment.get(PATH).unwrap_or_default();
    path.split(':').any(|folder| Path::new(folder).join(program).is_file())
}

/// Whether text for people has colours.
pub fn allows_colour(environment: &Environment) -> bool {
    environment.get(NO_COLOR).is_none()
}

/// The variables that are set, and that do not count where an entry is configured.
pub fn unused_with_entries(environment: &Environment) -> Vec<&'static str> {
    let of_identity = VARIABLES.iter().filter(|it| it.counts == Counts::WithoutEntries);
    of_identity.map(|it| it.name).filter(|name| environment.get(name).is_some()).collect()
}

/// The vendor's variables in one text, for telling the logins of two environments apart.
///
/// A temporary AccessKey is left out: it changes while its owner stays the same. The text says that
/// there is one, and no login is kept for who uses it.
pub fn fingerprint(environment: &Environment) -> String {
    let is_temporary = environment.get(SECURITY_TOKEN).is_some();
    let key = [ACCESS_KEY_ID, ACCESS_KEY_SECRET, SECURITY_TOKEN];
    let mut variables: Vec<(&str, &str)> = environment
        .all()
        .filter(|(name, _)| name.starts_with(VENDORS))
        .map(|(name, value)| match environment.get(name) {
            Some(_) if is_temporary && key.contains(&name) => (name, "temporary"),
            _ => (name, value),
        })
        .collect();
    variables.sort_unstable();
    format!("{variables:?}")
}
