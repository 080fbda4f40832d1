//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

/// What the user asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// A request on stdin, an answer on stdout.
    Provide {
        config: Option<PathBuf>,
    },
    /// Renew ahead of time what the node's cache holds too little of.
    Refresh {
        config: Option<PathBuf>,
    },
    /// Say what would happen and what is wrong.
    Doctor {
        config: Option<PathBuf>,
        options: DoctorOptions,
    },
    Help,
    Version,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct DoctorOptions {
    /// Call nothing.
    pub config_only: bool,
    pub json: bool,
}

/// A command line that means nothing here.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UsageError {
    #[error("{0}")]
    Wrong(String),
    /// Docker's credential helper protocol, which passes `get`, `store`, `erase` or `list`.
    #[error(
        "`{0}` is a command of docker credential helpers, and this is a kubelet credential provider: it takes a CredentialProviderRequest on stdin"
    )]
    DockerHelper(String),
}

pub const VERSION: &str = concat!("aliyun-acr-credential-provider ", env!("CARGO_PKG_VERSION"));

pub const HELP: &str = "\
Kubelet credential provider for Alibaba Cloud Container Registry (ACR).

Usage:
  aliyun-acr-credential-provider [--config FILE]
      Reads a CredentialProviderRequest on stdin and answers on stdout, as the kubelet calls it.
  aliyun-acr-credential-provider [--config FILE] refresh
      Renews the logins in the node's cache that pulls have used in the last 24 hours and that have
      less than expiring-threshold left, and says in one line which. For a systemd timer.
  aliyun-acr-credential-provider [--config FILE] doctor --config-only [--json]
      Checks the configuration, calls nothing: every mistake at once, and what will bite later.
  aliyun-acr-credential-provider --version | --help

Try it by hand:
  echo '{\"apiVersion\":\"credentialprovider.kubelet.k8s.io/v1\",\"kind\":\"CredentialProviderRequest\",
  \"image\":\"HOST/NAMESPACE/REPOSITORY\"}' | aliyun-acr-credential-provider --config FILE

Without --config the file is the one named by ACR_CREDENTIAL_PROVIDER_CONFIG, or else
/etc/aliyun-acr-credential-provider/config.yaml, or none: then registries of the node's own
account are answered. ACR_CREDENTIAL_PROVIDER_LOG is error, warn (default), info or debug.

Exit codes: 0 answered, 1 unexpected, 2 usage, request or configuration, 3 identity,
4 AssumeRole, 5 registry token, 6 out of time.
";

const COMMANDS: [&str; 2] = ["refresh", "doctor"];

/// Reads the arguments, the program's name left out.
///
/// # Errors
///
/// For anything that is not in [`HELP`].
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    let mut parser = Parser::from_args(arguments);
    let mut config = None;
    let mut word = None;
    let mut options = DoctorOptions::default();
    while let Some(argument) = parser.next().map_err(wrong)? {
        match argument {
            Arg::Long("config") if config.is_some() => {
                return Err(UsageError::Wrong("option '--config' is given twice".to_owned()));
            }
            Arg::Long("config") => {
                config = Some(PathBuf::from(parser.value().map_err(wrong)?));
            }
            Arg::Long("help") | Arg::Short('h') => return Ok(Command::Help),
            Arg::Long("version") | Arg::Short('V') => return Ok(Command::Version),
            Arg::Long("config-only") if word == Some("doctor") => options.config_only = true,
            Arg::Long("json") if word == Some("doctor") => options.json = true,
            Arg::Value(value) => {
                let value = value.string().map_err(wrong)?;
                let known = COMMANDS.into_iter().find(|known| *known == value);
                match known.filter(|_| word.is_none()) {
                    Some(known) => word = Some(known),
                    None if ["get", "store", "erase", "list"].contains(&value.as_str()) => {
                        return Err(UsageError::DockerHelper(value));
                    }
                    None => return Err(UsageError::Wrong(format!("unknown command `{value}`"))),
                }
            }
            other => return Err(wrong(other.unexpected())),
        }
    }
    Ok(match word {
        Some("refresh") => Command::Refresh { config },
        Some(_) if options.config_only => Command::Doctor { config, options },
        Some(_) => return Err(UsageError::Wrong("`doctor` takes --config-only".to_owned())),
        None => Command::Provide { config },
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
fn wrong(error: lexopt::Error) -> UsageError {
    UsageError::Wrong(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Command, UsageError> {
        parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn commands() {
        assert_eq!(parsed(&[]), Ok(Command::Provide { config: None }));
        assert_eq!(parsed(&["--config", "/c"]), Ok(Command::Provide { config: Some("/c".into()) }));
        assert_eq!(parsed(&["--config=/c"]), Ok(Command::Provide { config: Some("/c".into()) }));
        assert_eq!(parsed(&["refresh"]), Ok(Command::Refresh { config: None }));
        assert_eq!(
            parsed(&["refresh", "--config", "/c"]),
            Ok(Command::Refresh { config: Some("/c".into()) })
        );
        let options = DoctorOptions { config_only: true, json: true };
        assert_eq!(
            parsed(&["doctor", "--config-only", "--json"]),
            Ok(Command::Doctor { config: None, options })
        );
        assert_eq!(parsed(&["--version"]), Ok(Command::Version));
        assert_eq!(parsed(&["get"]), Err(UsageError::DockerHelper("get".to_owned())));
        for wrong in [
            &["--config"][..],
            &["--nope"],
            &["x"],
            &["refresh", "refresh"],
            &["--json"],
            &["--config", "a", "--config", "b"],
        ] {
            assert!(matches!(parsed(wrong), Err(UsageError::Wrong(_))), "{wrong:?}");
        }
    }
}
