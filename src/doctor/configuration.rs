//! The configuration: every mistake at once, what is ignored, and what will bite later.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Claimed;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::path::Path;

use crate::aliyun::endpoint::Network;
use crate::aliyun::registry_host::RegistryHost;
use crate::config::yaml::Position;
use crate::config::{
    Config, ConfigError, Entry, IdentitySource, MAX_FILE, Mistakes, PodIdentity, SYSTEM_PATH,
    Scope, Source, variables,
};
use crate::doctor::report::{Check, Name, Status};
use crate::failure::Exit;
use crate::pull::identity::profile;
use crate::system::environment::Environment;
use crate::system::trusted_file;

/// What every role grants without its maximum being raised, in seconds.
const EVERY_ROLE_GRANTS: u32 = 3600;

/// The check for a configuration that can be used, or not.
#[must_use]
pub fn check(result: Result<&Config, &ConfigError>, environment: &Environment) -> Check {
    match result {
        Ok(config) => usable(config, environment),
        Err(error) => unusable(error, environment),
    }
}

/// The kubelet's file names a configuration, and that file could not be read.
#[must_use]
pub fn hidden() -> Check {
    let why = format!(
        "not known: the kubelet's file says where it is, and none is at {SYSTEM_PATH}. To check a configuration all the same, give --config FILE"
    );
    Check { exit: Exit::Usage as u8, ..Check::skipped(Name::CONFIGURATION, why) }
}

fn unusable(error: &ConfigError, environment: &Environment) -> Check {
    let mut check = Check::new(Name::CONFIGURATION);
    match error {
        ConfigError::Wrong(wrong) => mistakes(wrong, &mut check),
        ConfigError::Unreadable { path, remedy, .. } => {
            let look = || format!("see where the path leads: namei -l {}", path.display());
            check.warn(error.to_string(), remedy.clone().unwrap_or_else(look));
        }
        // The kubelet runs the program as root, who may: pulls need not fail.
        ConfigError::Closed { .. } => {
            check.warn(error.to_string(), "run doctor as root");
            check.exit = Exit::Usage as u8;
            return check;
        }
        ConfigError::Distrusted { path, .. } => {
            let refused = trusted_file::read(path, MAX_FILE).err();
            let commands = refused.and_then(|why| why.commands(path));
            let commands = commands.unwrap_or_else(|| {
                "only root, or the user who runs this, may be able to change the file: see its owner and mode, and its folder's".to_owned()
            });
            check.warn(error.to_string(), commands);
            // A person who checks a file away from its node wants to see the rest, too.
            if let Some(Err(ConfigError::Wrong(wrong))) = all_the_same(path, environment) {
                mistakes(&wrong, &mut check);
            }
        }
    }
    check.status = Status::Failed;
    check.exit = Exit::Usage as u8;
    check
}

fn mistakes(mistakes: &Mistakes, check: &mut Check) {
    for (what, remedy) in mistakes.all() {
        check.warn(what, remedy);
    }
    check.and_more(mistakes.more);
}

/// What a file that is not used would mean if it were.
pub(super) fn all_the_same(
    path: &Path,
    environment: &Environment,
) -> Option<Result<Config, ConfigError>> {
    fs::metadata(path).ok().filter(Metadata::is_file)?;
    let file = File::open(path).ok()?;
    let mut text = String::new();
    file.take(MAX_FILE * 1024).read_to_string(&mut text).ok()?;
    let source = Source { path: path.to_owned(), text, open_to_others: false };
    Some(Config::of(Some(source), environment))
}

fn usable(config: &Config, environment: &Environment) -> Check {
    let mut check = Check::new(Name::CONFIGURATION);
    match &config.path {
        Some(path) if config.written.is_empty => {
            let path = path.display();
            check.warn(
                format!("{path} is empty: only registries of the node's own account are answered, as without a file"),
                format!("write acr-registry-info into the file, or: rm {path}"),
            );
        }
        Some(path) => check.detail(format!("{}: no mistakes", path.display())),
        None => check.detail(format!(
            "no file at {SYSTEM_PATH}: registries of the node's own account are answered"
        )),
    }
    for entry in &config.entries {
        check.detail(summary(entry));
    }
    let settings = names(config.written.settings.iter().map(|(name, at)| (name, *at)));
    if !settings.is_empty() {
        check.detail(format!("settings in credential-provider: {settings}"));
    }
    ignored(config, environment, &mut check);
    for (warning, line) in config.warnings.iter().zip(config.warning_lines()) {
        check.problem(line, warning.remedy.clone());
    }
    if let Err(wrong) = variables::log_level(environment) {
        check.warn(wrong.to_string(), wrong.remedy());
    }
    check.and_more(config.more_warnings);
    for entry in &config.entries {
        what_will_bite(entry, config, &mut check);
    }
    overlaps(config, &mut check);
    check
}

/// An entry in a line: which hosts, which instance, who asks, through which role.
fn summary(entry: &Entry) -> String {
    let hosts = match &entry.scope {
        Scope::Domains(domains) => domains.join(", "),
        Scope::Instances => "the hosts of its instances".to_owned(),
        Scope::Personal => "the Personal Edition of its region".to_owned(),
        Scope::Account => "every Enterprise Edition host".to_owned(),
    };
    let who = entry.identity.summary();
    let role = entry.role.as_ref().map_or(String::new(), |role| format!(", then {}", role.arn));
    let mirrors = match entry.mirrors.join(", ") {
        none if none.is_empty() => none,
        mirrors => format!(", and the mirrors {mirrors}"),
    };
    format!("{}: {hosts}{mirrors}, by {who}{role}", entry.name)
}

/// What is in the file, or in the environment, and does not count here.
fn ignored(config: &Config, environment: &Environment, check: &mut Check) {
    let ignored = &config.written.ignored;
    if !ignored.is_empty() {
        let names = names(ignored.iter().map(|(name, at, _)| (name, *at)));
        check.detail(format!("without a meaning on a node: {names}"));
    }
    let restricts = |(name, _, value): &&(String, Position, String)| {
        ["service-account", "watch-namespace"].contains(&name.as_str())
            && !["", "*", "all"].contains(&value.as_str())
    };
    let everybody = config.entries.iter().any(|entry| !pods_alone(entry));
    for (name, at, _) in ignored.iter().filter(restricts).filter(|_| everybody) {
        check.warn(
            format!(
                "{}`{name}` does not restrict who pulls: every pod of the node does",
                prefix(config, Some(*at))
            ),
            "where that matters use RRSA with `podIdentity: required` (Kubernetes 1.33 and later); else take the key out",
        );
    }
    let unused = variables::unused_with_entries(environment);
    if !unused.is_empty() && config.entries.iter().any(|entry| entry.written.at.is_some()) {
        let names = unused.join(", ");
        check.detail(format!("set in the environment and not used, as there are entries: {names}"));
    }
}

/// Whether only pods with a token of their own have the entry's login.
#[must_use]
pub fn pods_alone(entry: &Entry) -> bool {
    matches!(&entry.identity, IdentitySource::Oidc(oidc) if oidc.pod_identity == PodIdentity::Required)
}

fn names<'k>(keys: impl Iterator<Item = (&'k String, Position)>) -> String {
    let names: Vec<String> = keys.map(|(name, at)| format!("{name} (line {})", at.line)).collect();
    names.join(", ")
}

/// `FILE:LINE:COLUMN: ` of a key of an entry, or of the entry if it has no such key.
#[must_use]
pub fn place(config: &Config, entry: &Entry, key: &str) -> String {
    prefix(config, entry.written.place(key))
}

fn prefix(config: &Config, at: Option<Position>) -> String {
    match (&config.path, at) {
        (Some(path), Some(at)) => format!("{}:{at}: ", path.display()),
        _ => String::new(),
    }
}

fn what_will_bite(entry: &Entry, config: &Config, check: &mut Check) {
    let at = |key: &str| place(config, entry, key);
    let roles = last_roles(entry);
    if !roles.is_empty() && entry.expire_duration > EVERY_ROLE_GRANTS {
        let (seconds, roles) = (entry.expire_duration, roles.join(" and "));
        check.warn(
            format!("{}`expireDuration` {seconds} is refused unless the role's maximum session was raised: every role grants {EVERY_ROLE_GRANTS}", at("expireDuration")),
            format!("set the maximum session duration of {roles} to {seconds} or more, if that is not done, or take expireDuration out"),
        );
    }
    if matches!(entry.identity, IdentitySource::AccessKey(_)) {
        let at = match entry.written.at {
            Some(_) => at("customAccessKey"),
            None => "environment: ".to_owned(),
        };
        check.warn(
            format!("{at}an AccessKey that does not end by itself lies on this node"),
            "prefer the worker role or RRSA; else give its user nothing but the pull policy, and rotate the key",
        );
    }
    if let IdentitySource::Profile(of) = &entry.identity
        && let Err(refused) = profile::read(of)
    {
        let at =
            if entry.written.at.is_some() { at("profile") } else { "environment: ".to_owned() };
        check.warn(format!("{at}{}: {refused}", of.file.display()), refused.remedy());
    }
    for host in entry.scope.domains() {
        domain(host, entry, config, check);
    }
    accounts(entry, config, check);
}

/// Digits that the id of an account has.
const ACCOUNT_ID: usize = 16;

/// An id that lost digits is one of nobody.
fn accounts(entry: &Entry, config: &Config, check: &mut Check) {
    let role = entry.role.as_ref().map(|role| ("assumeRoleARN", role.arn.account()));
    let oidc = match &entry.identity {
        IdentitySource::Oidc(oidc) => vec![
            oidc.role.as_ref().map(|role| ("rrsaRoleARN", role.account())),
            Some(("rrsaOIDCProviderRoleARN", oidc.provider.account())),
        ],
        _ => Vec::new(),
    };
    let named = role.into_iter().chain(oidc.into_iter().flatten());
    for (key, account) in named.filter(|(_, account)| account.len() < ACCOUNT_ID) {
        let at = place(config, entry, key);
        check.warn(
            format!("{at}the account `{account}` of `{key}` has {} digits, not {ACCOUNT_ID}: digits may be missing", account.len()),
            "take the ARN from the page of the role in the RAM console",
        );
    }
}

/// The roles whose session is asked for `expireDuration`: those behind the login.
fn last_roles(entry: &Entry) -> Vec<String> {
    if let Some(role) = &entry.role {
        return vec![role.arn.to_string()];
    }
    let IdentitySource::Oidc(oidc) = &entry.identity else { return Vec::new() };
    let mut roles: Vec<String> = oidc.role.iter().map(ToString::to_string).collect();
    if entry.identity.takes_pod_tokens() && !oidc.allowed_roles.is_empty() {
        roles.push(format!("every role by annotation ({})", oidc.allowed_roles.join(", ")));
    }
    roles
}

fn domain(host: &str, entry: &Entry, config: &Config, check: &mut Check) {
    let at = |key: &str| place(config, entry, key);
    let form = RegistryHost::parse(host);
    let inside = form.as_ref().is_some_and(RegistryHost::is_inside);
    if inside && config.settings.network == Some(Network::Internet) {
        check.warn(
            format!("{}`{host}` is a host within a VPC, and `network: internet` takes public ones for STS and ACR", at("domains")),
            "set network: auto or vpc, or name the registry's public host",
        );
    }
    if let Some(RegistryHost::PersonalInstance { .. }) = form {
        check.warn(
            format!(
                "{}`{host}` is a Personal Edition instance of the kind created from 2024-09-09",
                at("domains")
            ),
            "the vendor says that credential helpers cannot serve it: use imagePullSecrets",
        );
    }
    if let (Some(form), Some(region)) = (&form, &entry.region)
        && form.region() != region
    {
        check.warn(
            format!(
                "{}`regionId` is {region}, and `{host}` is in {}",
                at("regionId"),
                form.region()
            ),
            "correct regionId: it is the instance's region, not the cluster's",
        );
    }
}

/// What two entries claim. Of two that name a host the first answers. Of two that claim an
/// instance and name no host neither does.
fn overlaps(config: &Config, check: &mut Check) {
    let mut claims: HashMap<String, &Entry> = HashMap::new();
    for entry in &config.entries {
        let (key, own): (_, Vec<String>) = match &entry.scope {
            Scope::Domains(domains) => ("domains", domains.clone()),
            Scope::Instances => {
                ("instanceId", entry.instances.iter().map(ToString::to_string).collect())
            }
            Scope::Personal => {
                let region = entry.region.as_ref().map_or("the node's region", |r| r.as_str());
                ("regionId", vec![format!("the Personal Edition of {region}")])
            }
            Scope::Account => continue,
        };
        for claim in own {
            let first = match claims.entry(claim.clone()) {
                Claimed::Vacant(free) => {
                    free.insert(entry);
                    continue;
                }
                Claimed::Occupied(first) => &first.get().name,
            };
            let at = place(config, entry, key);
            if entry.scope == Scope::Instances {
                check.warn(
                    format!("{at}{first} has {claim} too: a pull from it ends with an error"),
                    "name the host in `domains` of the entry that is to answer for it",
                );
            } else {
                check.warn(
                    format!("{at}{first} has `{claim}` too, and answers: this one never does"),
                    format!("take {claim} out of one of them"),
                );
            }
        }
    }
}
