//! A configuration that cannot be used, in words.

use crate::config::ConfigError;
use crate::failure::{Exit, Failure};

impl Failure {
    /// A configuration that cannot be used: what is wrong with it, and two more mistakes.
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
            ConfigError::Unreadable { remedy: Some(remedy), .. } => failure.hint(remedy.clone()),
            ConfigError::Unreadable { remedy: None, .. } => {
                failure.hint("see that the path is right and that this user can read the file")
            }
            ConfigError::Closed { .. } => {
                failure.hint("run it as the user who may read the file (the kubelet runs it as root), or name a file of your own with ACR_CREDENTIAL_PROVIDER_CONFIG")
            }
            ConfigError::Distrusted { .. } => failure.hint(
                "only root, or the user who runs this program, may be able to change the file: check owner and mode of the file and of its folder",
            ),
        }
    }
}
