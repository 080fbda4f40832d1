//! Looks at everything that a pull would meet, and changes nothing.

use std::io::{self, IsTerminal};
use std::path::Path;

use crate::app::arguments::DoctorOptions;
use crate::app::session::{Process, Session, is_root};
use crate::cache::{Access, Cache};
use crate::config::{Config, Scope, variables};
use crate::doctor::report::{Report, Station};
use crate::doctor::{self, configuration, pull};
use crate::system::log::Journal;

/// The report as text, and the exit code that a pull would have.
#[must_use]
pub fn run(process: Process<'_>, config: Option<&Path>, options: &DoctorOptions) -> (String, u8) {
    // What would be a warning of a pull is in the report.
    let journal = &Journal::default();
    let process = Process { journal, ..process };
    let mut report = Report::default();
    let session = Session::open(process, config, Access::Look);
    let config = session.as_ref().map(|session| &session.config);
    report.add(configuration::station(config, process.environment));
    if !options.config_only {
        let asked: Vec<String> = options.image.clone().into_iter().collect();
        let hosts: Vec<String> = config.map_or_else(|_| Vec::new(), named_hosts);
        let root = options.root.as_deref().unwrap_or(Path::new("/"));
        let images = [asked.as_slice(), &hosts].concat();
        let kubelet = doctor::kubelet::look(root, &images, config.ok(), process.environment);
        if let Ok(session) = &session {
            let pulls = if asked.is_empty() { hosts } else { asked };
            follow(&pulls, &kubelet.with_tokens, session, journal, options, &mut report);
            report.images = pulls;
        }
        report.add(kubelet.station);
    }
    let colour = io::stdout().is_terminal() && variables::allows_colour(process.environment);
    let text = if options.json { report.json() } else { report.text(colour) };
    (text, report.exit())
}

/// Adds what a pull of each image would meet, and what the node keeps.
fn follow(
    images: &[String],
    with_tokens: &[String],
    session: &Session<'_>,
    journal: &Journal,
    options: &DoctorOptions,
    report: &mut Report,
) {
    let Session { config, cache, directory, .. } = session;
    for image in images {
        let deadline = session.deadline_from_now();
        let node = session.node(&deadline, &Cache::off(journal));
        let sends_tokens = with_tokens.contains(image);
        pull::image(image, options.oss.as_deref(), sends_tokens, config, &node, report);
    }
    if images.is_empty() {
        report.add(Station::unfollowed("entry", "no host is configured by name: give --image"));
    }
    let is_on = config.settings.cache_dir.is_some();
    let place = doctor::cache::place(is_on, directory.as_deref(), is_root());
    report.add(doctor::cache::station(place, Some(cache)));
    report.add(doctor::run_history::station(place, Some(cache)));
}

/// The hosts that entries name.
fn named_hosts(config: &Config) -> Vec<String> {
    let hosts = config.entries.iter().flat_map(|entry| match &entry.scope {
        Scope::Domains(domains) => domains.clone(),
        _ => Vec::new(),
    });
    hosts.collect()
}
