//! A configuration that cannot be used, in words.

use crate::config::ConfigError;
use crate::failure::{Exit, Failure};

impl Failure {
    /// A configuration that cannot be used: what is wrong with it, and two more mistakes.
    #[must_use]
    pub fn of_configuration(error: &ConfigError) -> Self {
        let failure = Failure::new(Exit::Usage, error.to_string());
        match error {
            ConfigError::Wrong { path, problems, more } => {
                let rest = problems.iter().skip(1);
                let listed = rest
                    .clone()
                    .take(2)
                    .map(|note| format!("{}:{}: {}", path.display(), note.at, note.message));
                let mut failure = listed.fold(failure, Failure::caused_by);
                let more = rest.count().saturating_sub(2) + more;
                if more > 0 {
                    failure = failure.caused_by(format!("and {more} more"));
                }
                failure.hint("correct the file; the next pull reads it again, without a restart of the kubelet")
            }
            ConfigError::Unreadable { .. } => {
                failure.hint("see that the path is right and that this user can read the file")
            }
            ConfigError::Distrusted { .. } => failure.hint(
                "only root, or the user who runs this program, may be able to change the file: check owner and mode of the file and of its folder",
            ),
            ConfigError::Environment(_) => {
                failure.hint("unset the variables that are not meant, or configure an entry in acr-registry-info")
            }
        }
    }
}
