//! How the kubelet runs the program: with which environment and which configuration.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::{Config, PATH_VARIABLE, SYSTEM_PATH};
use crate::doctor::report::Check;
use crate::kubelet::process::Kubelet;
use crate::kubelet::provider_config::Provider;
use crate::system::environment::Environment;

/// Reads a provider's arguments as the program does: the configuration that they name, or why the
/// program answers no request with them.
pub type ReadArguments = fn(&[String]) -> Result<Option<PathBuf>, String>;

pub struct Invocation {
    /// The kubelet's environment, and what the provider adds to it; none where this user cannot see
    /// it.
    pub environment: Option<Environment>,
    /// The configuration, by a path that is good here; none where the program has none.
    pub config: Option<PathBuf>,
}

impl Invocation {
    /// None where the program answers no request with the provider's arguments.
    pub(super) fn of(
        provider: &Provider,
        kubelet: &Kubelet,
        read_arguments: ReadArguments,
    ) -> Option<Self> {
        let named = read_arguments(&provider.arguments).ok()?;
        let environment = environment(provider, kubelet);
        let config = named.or_else(|| without_argument(environment.as_ref(), kubelet));
        let config = config.map(|path| here(path, kubelet));
        Some(Self { environment, config })
    }
}

fn environment(provider: &Provider, kubelet: &Kubelet) -> Option<Environment> {
    let added = provider.variables.iter().map(|(name, value)| (name.into(), value.into()));
    Some(Environment::new(kubelet.environment()?.into_iter().chain(added)))
}

fn without_argument(environment: Option<&Environment>, kubelet: &Kubelet) -> Option<PathBuf> {
    let named = environment.and_then(|all| all.get(PATH_VARIABLE)).map(PathBuf::from);
    let there = || fs::symlink_metadata(kubelet.path(SYSTEM_PATH)).is_ok();
    named.or_else(|| there().then(|| SYSTEM_PATH.into()))
}

/// The kubelet's path as it is, unless it leads to another file here.
fn here(path: PathBuf, kubelet: &Kubelet) -> PathBuf {
    let through = kubelet.path(&path.to_string_lossy());
    if through.exists() && !is_same(&path, &through) { through } else { path }
}

fn is_same(one: &Path, other: &Path) -> bool {
    fs::canonicalize(one).is_ok_and(|one| fs::canonicalize(other).ok() == Some(one))
}

/// Arguments with which there is no answer, and another configuration than `config`, which the
/// other checks are about.
pub(super) fn check(
    provider: &Provider,
    config: Option<&Config>,
    kubelet: &Kubelet,
    read_arguments: ReadArguments,
    check: &mut Check,
) {
    let place = |key| format!("{}:{}", provider.file, provider.line_of(key));
    if let Err(why) = read_arguments(&provider.arguments) {
        let what = format!("{}: args: {why}", place("args"));
        return check.refuse(what, "remove args, or give --config alone");
    }
    let invocation = Invocation::of(provider, kubelet, read_arguments);
    let (Some(invocation), Some(config)) = (invocation, config) else { return };
    let shown =
        |path: Option<&PathBuf>| path.map_or("none".to_owned(), |path| path.display().to_string());
    let (used, read) = (invocation.config.as_ref(), config.path.as_ref());
    let are_same = match (used, read) {
        (Some(used), Some(read)) => used == read || is_same(used, read),
        (used, read) => used.is_none() && read.is_none(),
    };
    if !are_same {
        check.warn(
            format!(
                "{}: the configuration of {} is {}; doctor reads {}",
                place("name"),
                provider.name,
                shown(used),
                shown(read)
            ),
            format!(
                "run doctor without --config, or give the provider args: [\"--config\", \"{}\"]",
                shown(read)
            ),
        );
    }
}
