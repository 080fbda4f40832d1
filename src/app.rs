//! The commands: one file for each.

pub mod answer;
pub mod arguments;
pub mod commands;
pub mod docker_helper;
pub mod doctor;
pub mod refresh;
pub mod render;
pub mod session;
pub mod setup;
pub mod setup_docker;
pub mod stdin;
pub mod version;

use std::ffi::{OsStr, OsString};
use std::io;

use crate::app::arguments::{Command, UsageError};
use crate::app::session::Process;
use crate::config::variables;
use crate::failure::{Exit, Failure};
use crate::program;
use crate::secret::Secret;
use crate::setup::in_root;
use crate::system::environment::Environment;
use crate::system::log::{Journal, Level};

/// What goes to stdout, and the exit code of the process.
pub struct Done {
    pub text: Secret,
    pub exit: u8,
    /// A program reads the answer. Some programs drop an answer that comes with text on stderr.
    pub is_for_program: bool,
}

impl Done {
    fn for_person(text: Secret) -> Self {
        Self { text, exit: 0, is_for_program: false }
    }

    fn for_program(text: Secret) -> Self {
        Self { text, exit: 0, is_for_program: true }
    }
}

/// Who runs the program: the name that it was called by says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// The kubelet, a program that does what the kubelet does, or a person.
    Any,
    /// A client that speaks docker's protocol of credential helpers.
    Docker,
    /// This program, to start one of a node's (`setup::in_root`).
    Itself,
}

impl Caller {
    pub fn of(program: Option<&OsStr>) -> Self {
        if docker_helper::is_name(program) {
            Self::Docker
        } else if program.is_some_and(|program| program == in_root::NAME) {
            Self::Itself
        } else {
            Self::Any
        }
    }
}

/// Runs the command that the arguments name.
///
/// # Errors
///
/// When there is no answer; the failure has the exit code.
pub fn run(
    process: Process<'_>,
    caller: Caller,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Done, Failure> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    match caller {
        Caller::Docker => return docker_helper::run(process, &arguments),
        Caller::Itself => return Err(in_root::enter(&arguments)),
        Caller::Any => {}
    }
    match arguments::parse(arguments).map_err(|error| usage(&error))? {
        Command::Help(of) => Ok(Done::for_person(Secret::new(commands::help(of)))),
        Command::Version { json: false } => {
            Ok(Done::for_person(Secret::new(format!("{}\n", program::version()))))
        }
        Command::Version { json: true } => Ok(Done::for_program(Secret::new(version::document()))),
        Command::Setup { action, options } => setup::run(process, action, &options),
        Command::SetupDocker { config, options } => {
            setup_docker::run(process, config.as_deref(), &options)
        }
        Command::Provide { config } => {
            answer::run(process, config.as_deref()).map(Done::for_program)
        }
        Command::Refresh { config } => {
            refresh::run(process, config.as_deref()).map(Done::for_person)
        }
        Command::Render { config, what, options, pods } => {
            render::run(process, config.as_deref(), what, &options, &pods).map(Done::for_person)
        }
        Command::Doctor { config, options } => {
            let (text, exit) = doctor::run(process, config.as_deref(), &options)
                .map_err(|error| unwritten(&error))?;
            Ok(Done { text: Secret::new(text), exit, is_for_program: false })
        }
    }
}

/// What is for stdout did not get there.
pub fn unwritten(error: &io::Error) -> Failure {
    Failure::new(Exit::Unexpected, format!("the answer cannot be written to stdout: {error}"))
}

/// The program runs with another user's rights.
pub fn foreign_rights() -> Failure {
    Failure::new(Exit::Usage, "started with another user's rights (setuid or setgid)").hint(
        "take the bit away: chmod u-s,g-s on the program; the kubelet runs it as root by itself",
    )
}

/// The program has a mistake, which shows at a place in its source.
pub fn internal_error(place: Option<&str>) -> Failure {
    let place = place.map_or_else(String::new, |place| format!(" at {place}"));
    Failure::new(Exit::Unexpected, format!("internal error{place}")).hint("please report this")
}

fn usage(error: &UsageError) -> Failure {
    Failure::new(Exit::Usage, error.to_string()).hint(error.hint.clone())
}

/// How much goes to stderr, if the environment says so.
pub fn log_level(environment: &Environment, journal: &Journal) -> Option<Level> {
    variables::log_level(environment).unwrap_or_else(|wrong| {
        journal.warn(format!("{wrong}; warn is used"));
        Some(Level::Warn)
    })
}
