//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use crate::kubelet::versions::Release;
use crate::render::{Pods, ServiceAccount, kubelet_config};

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
    /// Write a file for others.
    Render {
        config: Option<PathBuf>,
        what: What,
        options: kubelet_config::Options,
        pods: Pods,
    },
    Help,
    Version,
}

/// What can be rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    KubeletConfig,
    RamPolicy,
    Rbac,
    ConfigMap,
}

impl What {
    fn parse(text: &str) -> Result<Self, UsageError> {
        Ok(match text {
            "kubelet-config" => Self::KubeletConfig,
            "ram-policy" => Self::RamPolicy,
            "rbac" => Self::Rbac,
            "config-map" => Self::ConfigMap,
            _ => {
                return Err(UsageError::Wrong(format!(
                    "`render {text}`: expected kubelet-config, ram-policy, rbac or config-map"
                )));
            }
        })
    }
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct DoctorOptions {
    /// The image whose pull is followed; without one the configured hosts are.
    pub image: Option<String>,
    /// The bucket that layers come from, or `auto`; without it the instance's own is looked at where
    /// its name leads anywhere.
    pub oss: Option<String>,
    /// Where the kubelet and its files are, in place of `/`.
    pub root: Option<PathBuf>,
    /// Call nothing.
    pub config_only: bool,
    pub json: bool,
    /// Every detail of checks that passed, too.
    pub verbose: bool,
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

pub use crate::VERSION;

pub const HELP: &str = "\
Kubelet credential provider for Alibaba Cloud Container Registry (ACR).

Usage:
  aliyun-acr-credential-provider [--config FILE]
      Reads a CredentialProviderRequest on stdin and answers on stdout, as the kubelet calls it.
  aliyun-acr-credential-provider [--config FILE] refresh
      Renews the logins in the node's cache that pulls have used in the last 24 hours and that have
      less than expiring-threshold left, and says in one line which. For a systemd timer.
  aliyun-acr-credential-provider [--config FILE] doctor [--image IMAGE] [--oss HOST] [--config-only] [--verbose] [--json]
      Follows a pull of the image, or of the configured hosts, and says what would happen and what
      is wrong; changes nothing. --oss names the bucket that layers come from; auto: by the
      instance's id and region. --config-only calls nothing: it checks the file, for CI.
      --root DIR finds the kubelet and its files below DIR.
  aliyun-acr-credential-provider [--config FILE] render WHAT
      Writes a file for others, without secrets. WHAT is
        kubelet-config [--kubelet-version V] [--directory] [--service-accounts]
                      the kubelet's CredentialProviderConfig for the configured hosts; with
                      --service-accounts (Kubernetes 1.33 and later) pods' tokens are sent along
        ram-policy [--service-account NAMESPACE/NAME]... [--issuer URL]
                      trust and permission policies of both accounts
        rbac [--service-account NAMESPACE/NAME]... [--issuer URL]
                      what lets kubelets ask for service account tokens, for all that are named
                      (applying it replaces those named before) or for any, and their trust policies
        config-map    the ConfigMap of the vendor's helper
  aliyun-acr-credential-provider setup install [--config FILE] [--dry-run] [--root DIR]
      Installs this program on a node and makes its kubelet use it, restarts the kubelet and puts
      everything back if it is not healthy then. --dry-run shows the changes. More options:
        --binary FILE, --sha256 HEX    another program, and what it must have
        --match-images LIST            patterns of images, with commas, in place of those of ACR
        --service-accounts             pods' tokens are sent along, by a second provider
        --refresh-timer                a systemd timer that renews logins before they end
        --bin-dir DIR, --kubelet-version V, --watch SECONDS, --restart, --json
  aliyun-acr-credential-provider setup uninstall | setup status [--root DIR] [--json]
      Takes back what was installed, or says what has become of it.
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

const COMMANDS: [&str; 3] = ["refresh", "doctor", "render"];

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
    let mut what = None;
    let mut file = kubelet_config::Options::default();
    let mut pods = Pods::default();
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
            Arg::Long("image") if word == Some("doctor") && options.image.is_none() => {
                options.image = Some(parser.value().map_err(wrong)?.string().map_err(wrong)?);
            }
            Arg::Long("oss") if word == Some("doctor") && options.oss.is_none() => {
                options.oss = Some(parser.value().map_err(wrong)?.string().map_err(wrong)?);
            }
            Arg::Long("root") if word == Some("doctor") && options.root.is_none() => {
                options.root = Some(PathBuf::from(parser.value().map_err(wrong)?));
            }
            Arg::Long("json") if word == Some("doctor") => options.json = true,
            Arg::Long("verbose") if word == Some("doctor") => options.verbose = true,
            Arg::Long("kubelet-version") if what == Some(What::KubeletConfig) => {
                let version = parser.value().map_err(wrong)?.string().map_err(wrong)?;
                file.release = Release::parse(&version);
                if file.release.is_none() {
                    return Err(UsageError::Wrong(format!(
                        "`--kubelet-version {version}`: expected a version such as 1.33"
                    )));
                }
            }
            Arg::Long("directory") if what == Some(What::KubeletConfig) => file.directory = true,
            Arg::Long("service-accounts") if what == Some(What::KubeletConfig) => {
                file.service_accounts = true;
            }
            Arg::Long("service-account") if matches!(what, Some(What::Rbac | What::RamPolicy)) => {
                let name = parser.value().map_err(wrong)?.string().map_err(wrong)?;
                pods.accounts.push(ServiceAccount::parse(&name).ok_or_else(|| {
                    UsageError::Wrong(format!(
                        "`--service-account {name}`: expected {}",
                        ServiceAccount::FORM
                    ))
                })?);
            }
            Arg::Long("issuer") if matches!(what, Some(What::Rbac | What::RamPolicy)) => {
                let url = parser.value().map_err(wrong)?.string().map_err(wrong)?;
                let host = url.strip_prefix("https://").unwrap_or_default();
                if host.is_empty() || host.starts_with('/') || url.contains(char::is_whitespace) {
                    return Err(UsageError::Wrong(format!(
                        "`--issuer {url}`: expected a URL such as https://oidc.example.com/c1"
                    )));
                }
                pods.issuer = Some(url);
            }
            Arg::Value(value) if word == Some("render") && what.is_none() => {
                what = Some(What::parse(&value.string().map_err(wrong)?)?);
            }
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
        Some("render") => match what {
            Some(what) => Command::Render { config, what, options: file, pods },
            None => return What::parse("").map(|_| Command::Help),
        },
        Some(_) => Command::Doctor { config, options },
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
        let options = DoctorOptions {
            config_only: true,
            json: true,
            image: Some("a/b".to_owned()),
            ..DoctorOptions::default()
        };
        assert_eq!(
            parsed(&["doctor", "--config-only", "--json", "--image", "a/b"]),
            Ok(Command::Doctor { config: None, options })
        );
        assert_eq!(parsed(&["--version"]), Ok(Command::Version));
        for word in ["get", "store", "erase", "list"] {
            assert_eq!(parsed(&[word]), Err(UsageError::DockerHelper(word.to_owned())));
        }
        for wrong in [
            &["--config"][..],
            &["--nope"],
            &["x"],
            &["refresh", "refresh"],
            &["--json"],
            &["--config", "a", "--config", "b"],
            &["render", "rbac", "--issuer", "http://oidc.example.com"],
            &["render", "rbac", "--issuer", "https://"],
            &["render", "rbac", "--issuer", "https://a b"],
        ] {
            assert!(matches!(parsed(wrong), Err(UsageError::Wrong(_))), "{wrong:?}");
        }
    }
}
