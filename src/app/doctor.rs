//! Looks at everything that a pull would meet, as the kubelet runs the program; changes nothing.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use crate::app::arguments::{self, Command, DoctorOptions};
use crate::app::session::{Process, Session, is_root};
use crate::cache::{Access, Cache};
use crate::config::{Config, variables};
use crate::doctor::cache::Keeper;
use crate::doctor::kubelet::Look;
use crate::doctor::pull::Surroundings;
use crate::doctor::report::{Check, Name, Report, Text};
use crate::doctor::run_history::WithTokens;
use crate::doctor::runtime::ContainerRuntime;
use crate::doctor::{self, configuration, pull};
use crate::pull::image::registry_host;
use crate::system::log::Journal;

/// Writes the report to stdout as the checks end, or as a document at the end. The result is what is
/// still to be written, and the exit code that a pull would have.
///
/// # Errors
///
/// When it cannot be written.
pub fn run(
    process: Process<'_>,
    config: Option<&Path>,
    options: &DoctorOptions,
) -> io::Result<(String, u8)> {
    let is_terminal = io::stdout().is_terminal();
    let colour = is_terminal && variables::allows_colour(process.environment);
    let mut out = io::stdout().lock();
    let mut report = if options.json || options.sarif {
        Report::default()
    } else {
        Report::written(Text::new(&mut out, colour, is_terminal, options.verbose))
    };
    report.is_of_configuration = options.config_only;
    report.begin("the kubelet of this machine");
    let look = (!options.config_only).then(|| Look::at(root(options), provider_arguments));
    let invocation = look.as_ref().and_then(|look| look.invocation(options.image.as_deref()));
    // What would be a warning of a pull is in the report.
    let journal = &Journal::default();
    let seen = invocation.as_ref().and_then(|found| found.environment.as_ref());
    let environment = seen.unwrap_or(process.environment);
    let process = Process { environment, journal, ..process };
    // Somebody who names a configuration asks for the checks of that one.
    let is_chosen = config.is_some();
    let asked = config.map(Path::to_owned).or_else(|| invocation.as_ref()?.config.clone());
    let session = Session::open(process, asked.as_deref(), Access::Look);
    let config = session.as_ref().map(|session| &session.config);
    let hosts: Vec<String> = config.map_or_else(|_| Vec::new(), named_hosts);
    let asked: Vec<String> = options.image.clone().into_iter().collect();
    if let Some(look) = &look {
        report.add(look.check(&[asked.as_slice(), &hosts].concat(), config.ok()));
    }
    let is_hidden = !is_chosen
        && look.as_ref().is_some_and(Look::hides_arguments)
        && config.is_ok_and(|config| config.path.is_none());
    report.has_no_pull = config.is_err() || is_hidden;
    report.add(if is_hidden {
        configuration::hidden()
    } else {
        configuration::check(config, environment)
    });
    if let (Some(look), Ok(session), false) = (&look, &session, is_hidden) {
        report.images = if asked.is_empty() { hosts } else { asked };
        if is_chosen || look.is_answered(options.image.as_deref()) {
            follow(look, session, journal, options, &mut report);
        } else {
            let why = "not reached: a pull ends at the arguments of the provider";
            report.add(Check::skipped(Name::ENTRY, why));
        }
    }
    report.end()?;
    if options.sarif {
        return Ok((doctor::sarif::document(config, environment), report.exit()));
    }
    Ok((if options.json { report.json() } else { String::new() }, report.exit()))
}

fn root(options: &DoctorOptions) -> &Path {
    options.root.as_deref().unwrap_or(Path::new("/"))
}

/// Adds what a pull of each image would meet, and what the node keeps.
fn follow(
    look: &Look,
    session: &Session<'_>,
    journal: &Journal,
    options: &DoctorOptions,
    report: &mut Report<'_>,
) {
    let images = report.images.clone();
    let Session { config, cache, directory, clock, .. } = session;
    let runtime = ContainerRuntime::of(root(options), config);
    for image in &images {
        let deadline = session.deadline_from_now();
        let off = Cache::off(journal);
        let node = session.node(&deadline, &off);
        let sends_tokens = look.sends_tokens(image);
        let around = Surroundings { oss: options.oss.as_deref(), sends_tokens, runtime: &runtime };
        pull::image(image, &around, config, &node, report);
    }
    if images.is_empty() {
        report.add(Check::unfollowed(Name::ENTRY, "no entry names a host: give --image"));
    }
    let hosts: Vec<String> =
        images.iter().filter_map(|image| registry_host(image).ok()).map(str::to_owned).collect();
    if let Some(check) = doctor::mirrors::check(root(options), &hosts, config) {
        report.add(check);
    }
    if let Some(check) = look.pulled_images(config) {
        report.add(check);
    }
    let is_on = config.settings.cache_dir.is_some();
    let place = doctor::cache::place(is_on, directory.as_deref(), is_root());
    let keeper = Keeper { since: look.since(), restart: look.restart() };
    report.add(doctor::cache::check(place, Some(cache), clock, &keeper));
    let hosts = images.iter().filter(|image| look.sends_tokens(image));
    let hosts = hosts.filter_map(|image| registry_host(image).ok()).map(str::to_owned).collect();
    let with_tokens = WithTokens { hosts, since: look.since(), log: look.log() };
    report.add(doctor::run_history::check(place, Some(cache), &with_tokens));
}

/// The configuration that a provider's arguments name, or why there is no answer with them.
fn provider_arguments(arguments: &[String]) -> Result<Option<PathBuf>, String> {
    match arguments::parse(arguments.iter().map(OsString::from)) {
        Ok(Command::Provide { config }) => Ok(config),
        Ok(_) => Err("the program answers no request with these".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The hosts that entries name.
fn named_hosts(config: &Config) -> Vec<String> {
    config.entries.iter().flat_map(|entry| entry.scope.domains()).cloned().collect()
}
