//! Changes a node's files so that its kubelet runs this program, and puts them back.

use crate::app::Done;
use crate::failure::Failure;
use crate::secret::Secret;
use crate::setup::options::{Action, Options};
use crate::setup::{install, status, uninstall};

/// Does what is asked for, and says what it did.
///
/// # Errors
///
/// What keeps it from being done; then everything is as it was.
pub fn run(action: Action, options: &Options) -> Result<Done, Failure> {
    let outcome = match action {
        Action::Install => install::run(options)?,
        Action::Uninstall => uninstall::run(options)?,
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
