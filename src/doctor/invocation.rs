//! How the kubelet runs the program: would it read the file that was looked at here?

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use crate::cli::{self, Command};
use crate::config::{Config, PATH_VARIABLE};
use crate::doctor::kubelet_process::Kubelet;
use crate::doctor::provider_config::Provider;
use crate::doctor::report::Station;

/// Tells of arguments with which there is no answer, and of another configuration than `config`.
pub(super) fn check(
    provider: &Provider,
    config: Option<&Config>,
    kubelet: &Kubelet,
    station: &mut Station,
) {
    let (file, given) = (&provider.file, provider.arguments.join(" "));
    let line = provider.line_of("args");
    let named = match cli::parse(provider.arguments.iter().map(OsString::from)) {
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
        let (_, value) = set.find(|(name, value)| name == PATH_VARIABLE && !value.is_empty())?;
        Some(value.into())
    };
    let (Some(named), Some(config)) = (named.or_else(by_variable), config) else { return };
    let read = config.path.as_deref();
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
