//! How the kubelet runs the program: would it read the file that was looked at here?

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use crate::app::arguments::{self, Command};
use crate::config::{Config, PATH_VARIABLE, SYSTEM_PATH, variables};
use crate::doctor::report::Station;
use crate::kubelet::process::Kubelet;
use crate::kubelet::provider_config::Provider;
use crate::system::environment::{Environment, VENDORS};

/// Tells of variables that the kubelet sets for the program and that are otherwise here: what is said of
/// a pull is then said of another one.
pub(super) fn variables(provider: &Provider, environment: &Environment, station: &mut Station) {
    let set = &provider.variables;
    for (at, (name, value)) in set.iter().enumerate() {
        let again = set.iter().skip(at + 1).any(|(later, _)| later == name);
        let value = Some(value.trim()).filter(|value| !value.is_empty());
        let counts = name.starts_with(VENDORS) || variables::is_route(name);
        if again || !counts || value == environment.get(name) {
            continue;
        }
        let shown = match value {
            None => " to nothing".to_owned(),
            Some(value) if variables::known(name).is_some_and(|it| it.is_public) => {
                format!("={value}")
            }
            Some(_) => String::new(),
        };
        station.warn(
            format!(
                "{}:{}: the kubelet runs {} with {name}{shown}, which is not so here: a pull may end otherwise than is said here",
                provider.file, provider.line_of("env"), provider.name
            ),
            "run doctor with the same variables, and the unit of the timer for `refresh` too: without the vendor's, which the cache keeps apart, it finds none of the logins",
        );
    }
}

/// Tells of arguments with which there is no answer, and of another configuration than `config`.
pub(super) fn check(
    provider: &Provider,
    config: Option<&Config>,
    kubelet: &Kubelet,
    station: &mut Station,
) {
    let (file, given) = (&provider.file, provider.arguments.join(" "));
    let line = provider.line_of("args");
    let named = match arguments::parse(provider.arguments.iter().map(OsString::from)) {
        Ok(Command::Provide { config }) => config,
        Ok(_) => {
            return station.warn(
                format!("{file}:{line}: with args `{given}` the program answers no request"),
                "leave args out, or give --config alone",
            );
        }
        Err(error) => {
            return station.warn(
                format!("{file}:{line}: args: {error}"),
                "leave args out, or give --config alone",
            );
        }
    };
    let by_variable = || {
        let mut set = provider.variables.iter().rev();
        let set = set.find(|(name, _)| name == PATH_VARIABLE).map(|(_, value)| value.clone());
        let value = set.or_else(|| kubelet.variable(PATH_VARIABLE));
        value.filter(|value| !value.is_empty()).map(Into::into)
    };
    let by_default = || {
        let there = fs::symlink_metadata(kubelet.path(SYSTEM_PATH)).is_ok();
        there.then(|| SYSTEM_PATH.into())
    };
    let Some(config) = config else { return };
    let read = config.path.as_deref();
    let Some(named) = named.or_else(by_variable).or_else(by_default) else {
        if let Some(read) = read {
            let (name, read) = (&provider.name, read.display());
            station.warn(
                format!("{file}:{}: the kubelet runs {name} without a configuration, for there is no {SYSTEM_PATH}, and what is said here is of {read}", provider.line),
                format!("give the provider args: [\"--config\", \"{read}\"] and restart the kubelet, or put the file at {SYSTEM_PATH}"),
            );
        }
        return;
    };
    let theirs = kubelet.path(&named.to_string_lossy());
    let is_same = |own: &Path| {
        own == named
            || fs::canonicalize(own).is_ok_and(|own| fs::canonicalize(&theirs).ok() == Some(own))
    };
    if !read.is_some_and(is_same) {
        let read = read.map_or("none".to_owned(), |path| path.display().to_string());
        let named = named.display();
        station.warn(
            format!("by {file} the kubelet runs {} with the configuration {named}, and what is said here is of {read}", provider.name),
            format!("look at that one: doctor --config {named}; or correct args and env of the provider"),
        );
    }
}
