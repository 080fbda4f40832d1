//! What is wrong with the configuration, in words.

use crate::config::ConfigError;
use crate::failure::{Exit, Failure};

impl Failure {
    /// A configuration that cannot be used: what is wrong with it, and two more mistakes.
    #[must_use]
    pub fn of_configuration(error: &ConfigError) -> Self {
        let failure = Failure::new(Exit::Usage, error.to_string());
        match error {
            ConfigError::Wrong(mistakes) => {
                let rest = mistakes.all().skip(1).map(|(line, _)| line);
                let mut failure = rest.take(2).fold(failure, Failure::caused_by);
                let more = mistakes.all().skip(3).count() + mistakes.more;
                if more > 0 {
                    failure = failure.caused_by(format!("and {more} more"));
                }
                failure.hint(mistakes.remedy())
            }
            ConfigError::Unreadable { .. } => {
                failure.hint("see that the path is right and the file readable")
            }
            ConfigError::Distrusted { .. } => failure.hint(
                "only root, or the user who runs this, may be able to change the file: see its owner and mode, and its folder's",
            ),
        }
    }
}
