//! Names this program as a credential helper in a client's file, and takes that back.

use std::path::Path;

use crate::app::arguments::DockerOptions;
use crate::app::session::{Process, Session};
use crate::app::{Done, docker_helper};
use crate::cache::Access;
use crate::config::{Config, Scope, variables};
use crate::failure::{Exit, Failure};
use crate::secret::Secret;
use crate::setup::client_file::HELPER;
use crate::setup::docker;

/// Does what is asked for, and says what it did.
///
/// # Errors
///
/// What keeps it from being done; then the file is as it was.
pub fn run(
    process: Process<'_>,
    config: Option<&Path>,
    options: &DockerOptions,
) -> Result<Done, Failure> {
    let file = options.file.clone().or_else(|| variables::docker_file(process.environment));
    let file = file.ok_or_else(|| {
        Failure::new(Exit::Usage, "neither DOCKER_CONFIG nor HOME says where docker's file is")
            .hint("name the file: setup docker --file FILE")
    })?;
    if options.undo {
        let text = docker::undo(&file, options.dry_run)?;
        return Ok(Done::for_person(Secret::new(text)));
    }
    let session = Session::open(process, config, Access::Look)
        .map_err(|error| Failure::of_configuration(&error))?;
    let (hosts, mut notes) = hosts(&session.config);
    if hosts.is_empty() {
        return Err(Failure::new(Exit::Usage, "the configuration does not name a host")
            .hint("list the hosts in `domains`: clients look a helper up by the whole host"));
    }
    let mut text = docker::install(&file, &hosts, options.dry_run)?;
    notes.extend(docker::logins(&file, &hosts).iter().map(|host| {
        format!(
            "the file has a login for {host}: remove it, or docker uses it when the helper fails"
        )
    }));
    let program = docker_helper::name_of(HELPER);
    if !variables::is_on_path(&program, process.environment) {
        notes.push(format!("{program} is not on PATH: link this program under that name"));
    }
    text.extend(notes.iter().map(|note| format!("note: {note}\n")));
    Ok(Done::for_person(Secret::new(text)))
}

/// Every host that an entry names, and what is to say about those that name none.
fn hosts(config: &Config) -> (Vec<String>, Vec<String>) {
    let (mut hosts, mut notes) = (Vec::new(), Vec::new());
    for entry in &config.entries {
        match &entry.scope {
            Scope::Domains(domains) => hosts.extend_from_slice(domains),
            _ => notes.push(format!("{} has no `domains`: its hosts are not written", entry.name)),
        }
        hosts.extend_from_slice(&entry.mirrors);
    }
    hosts.sort();
    hosts.dedup();
    (hosts, notes)
}
