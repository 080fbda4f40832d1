//! A registry's login for docker, podman and similar clients: what runs as `docker-credential-acr`.
//!
//! Nothing is ever stored: each login comes from the configuration, as the kubelet's do.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::app::answer::login;
use crate::app::session::Process;
use crate::app::{Done, stdin};
use crate::docker::{self, NOT_FOUND, Server, ServerError, Stored, Verb};
use crate::failure::{Exit, Failure};
use crate::kubelet::exec_api::{Login, Pod, WithoutTokens};
use crate::program;
use crate::secret::Secret;

/// How the name of a credential helper begins. What comes behind it is what clients' files say.
const PREFIX: &str = "docker-credential-";

const HELP: &str = "\
aliyun-acr-credential-provider as a credential helper of docker, podman and other clients.

usage: docker-credential-acr VERB

  get       reads a registry's host, and prints its login as JSON
  store     stores nothing, and succeeds for a host of the configuration
  erase     does nothing, and succeeds
  list      prints {}
  version   prints the version
  help      prints this

Clients run it for the hosts that their file names under credHelpers:
  aliyun-acr-credential-provider setup docker
";

/// A client does not say for whom it pulls.
const POD: Pod<'_> =
    Pod { token: None, annotations: None, without_tokens: Some(WithoutTokens::Docker) };

/// Whether a name that the program was called by is a credential helper's.
pub fn is_name(program: Option<&OsStr>) -> bool {
    let name = program.and_then(|program| Path::new(program).file_name());
    name.is_some_and(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()))
}

/// The name of the helper that clients' files call so.
pub fn name_of(helper: &str) -> String {
    format!("{PREFIX}{helper}")
}

/// Does what the one argument says.
///
/// # Errors
///
/// When the argument, stdin or the configuration cannot be used, or a host of ours gets no login.
pub fn run(process: Process<'_>, arguments: &[OsString]) -> Result<Done, Failure> {
    match verb(arguments)? {
        Verb::Get => get(process),
        Verb::Store => store(process),
        // Whatever else it says, the logout fails.
        Verb::Erase => Ok(Done::for_program(Secret::new(""))),
        // docker's old builder asks for each host that is listed, whatever it builds.
        Verb::List => Ok(Done::for_program(Secret::new("{}\n"))),
        Verb::Version => Ok(Done::for_program(Secret::new(format!("{}\n", program::version())))),
        Verb::Help => Ok(Done::for_program(Secret::new(HELP))),
    }
}

fn verb(arguments: &[OsString]) -> Result<Verb, Failure> {
    let verb = match arguments {
        [one] => one.to_str().and_then(Verb::parse),
        _ => None,
    };
    verb.ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            "a credential helper takes one argument: get, store, erase or list",
        )
        .hint("docker and similar clients run it; by hand: echo HOST | docker-credential-acr get")
    })
}

fn get(process: Process<'_>) -> Result<Done, Failure> {
    let text = stdin::read(process.start)?;
    let server = Server::read(&text).map_err(unusable)?;
    Ok(match login(process, None, &server.host, POD)? {
        Some(Login { user_name, password, .. }) => {
            Done::for_program(docker::credentials(&server, &user_name, &password))
        }
        None => Done { exit: 1, ..Done::for_program(Secret::new(format!("{NOT_FOUND}\n"))) },
    })
}

/// docker stores even the login that it was given by `get`, and takes a refusal for a failed login.
fn store(process: Process<'_>) -> Result<Done, Failure> {
    let text = stdin::read(process.start)?;
    let stored = Stored::read(&text).map_err(unusable)?;
    let host = stored.server().map_err(unusable)?.host;
    if login(process, None, &host, POD)?.is_some() {
        process.journal.warn(format!("nothing is stored: the configuration answers for {host}"));
        return Ok(Done::for_program(Secret::new("")));
    }
    Err(Failure::new(Exit::Usage, format!("{host} is not configured, and no login is stored here"))
        .hint("name this helper under credHelpers for hosts of the configuration alone"))
}

fn unusable(error: ServerError) -> Failure {
    Failure::new(Exit::Usage, error.to_string())
}
