//! Changes a node's files so that its kubelet runs this program, and puts them back.

use crate::app::Done;
use crate::app::session::Process;
use crate::failure::{Exit, Failure};
use crate::secret::Secret;
use crate::setup::options::{Action, Options};
use crate::setup::{install, keep, status, uninstall};
use crate::system::stop::Stop;

/// Does what is asked for, and says what it did.
///
/// # Errors
///
/// What keeps it from being done; then everything is as it was.
pub fn run(process: Process<'_>, action: Action, options: &Options) -> Result<Done, Failure> {
    let stop = Stop::on_signals().map_err(|error| {
        Failure::new(Exit::Unexpected, format!("cannot wait for signals: {error}"))
    })?;
    let outcome = match action {
        Action::Install => install::run(options, &stop)?,
        Action::Uninstall => uninstall::run(options, &stop)?,
        Action::Keep => {
            let say = |text: &str| (process.say)(&format!("{text}\n"));
            keep::run(options, &stop, &say)?;
            return Ok(Done::for_person(Secret::new("")));
        }
        Action::Ready => {
            keep::is_ready(&options.keep)?;
            return Ok(Done::for_person(Secret::new("ready\n")));
        }
        Action::Status => {
            let status = status::run(options)?;
            let text = if options.json { status.json() } else { status.text() };
            let exit = u8::from(status.state != status::State::Installed);
            return Ok(Done { text: Secret::new(text), exit, is_for_program: false });
        }
    };
    let text = if options.json { outcome.json() } else { outcome.text(options.dry_run) };
    Ok(Done::for_person(Secret::new(text)))
}
