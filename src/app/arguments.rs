//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use crate::kubelet::versions::Release;
use crate::program::PROGRAM;
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
    const ALL: [(&str, Self); 4] = [
        ("kubelet-config", Self::KubeletConfig),
        ("ram-policy", Self::RamPolicy),
        ("rbac", Self::Rbac),
        ("config-map", Self::ConfigMap),
    ];

    fn parse(text: &str) -> Result<Self, UsageError> {
        let found = Self::ALL.into_iter().find(|(name, _)| *name == text);
        found.map(|(_, what)| what).ok_or_else(|| {
            let error = UsageError::new(format!(
                "`render {text}`: expected kubelet-config, ram-policy, rbac or config-map"
            ));
            match nearest(text, Self::ALL.map(|(name, _)| name)) {
                Some(name) => error.meant(&format!("render {name}")),
                None => error,
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

/// A command line that means nothing here, and what to do about it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{message}")]
pub struct UsageError {
    message: String,
    pub hint: String,
}

impl UsageError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: format!("see {PROGRAM} --help") }
    }

    /// Names the command line that was meant.
    fn meant(self, arguments: &str) -> Self {
        Self { hint: format!("did you mean: {PROGRAM} {arguments}"), ..self }
    }

    fn hint(self, hint: &str) -> Self {
        Self { hint: hint.to_owned(), ..self }
    }
}

pub const HELP: &str = include_str!("help.txt");

const COMMANDS: [&str; 3] = ["refresh", "doctor", "render"];

/// What docker's credential helper protocol passes.
const DOCKERS: [&str; 4] = ["get", "store", "erase", "list"];

/// The options, the command that each belongs to, and what of it has to stand before.
const OPTIONS: [(&str, &str, &str); 14] = [
    ("config", "", ""),
    ("help", "", ""),
    ("version", "", ""),
    ("image", "doctor", ""),
    ("oss", "doctor", ""),
    ("root", "doctor", ""),
    ("config-only", "doctor", ""),
    ("json", "doctor", ""),
    ("verbose", "doctor", ""),
    ("kubelet-version", "render", " kubelet-config"),
    ("directory", "render", " kubelet-config"),
    ("service-accounts", "render", " kubelet-config"),
    ("service-account", "render", " rbac"),
    ("issuer", "render", " rbac"),
];

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
            Arg::Long("config") if config.is_none() => {
                config = Some(PathBuf::from(parser.value().map_err(wrong)?));
            }
            Arg::Long("help") | Arg::Short('h') => return Ok(Command::Help),
            Arg::Long("version") | Arg::Short('V') => return Ok(Command::Version),
            Arg::Long("config-only") if word == Some("doctor") => options.config_only = true,
            Arg::Long("image") if word == Some("doctor") && options.image.is_none() => {
                options.image = Some(text(&mut parser)?);
            }
            Arg::Long("oss") if word == Some("doctor") && options.oss.is_none() => {
                options.oss = Some(text(&mut parser)?);
            }
            Arg::Long("root") if word == Some("doctor") && options.root.is_none() => {
                options.root = Some(PathBuf::from(parser.value().map_err(wrong)?));
            }
            Arg::Long("json") if word == Some("doctor") => options.json = true,
            Arg::Long("verbose") if word == Some("doctor") => options.verbose = true,
            Arg::Long("kubelet-version") if what == Some(What::KubeletConfig) => {
                file.release = Some(release(&text(&mut parser)?)?);
            }
            Arg::Long("directory") if what == Some(What::KubeletConfig) => file.directory = true,
            Arg::Long("service-accounts") if what == Some(What::KubeletConfig) => {
                file.service_accounts = true;
            }
            Arg::Long("service-account") if matches!(what, Some(What::Rbac | What::RamPolicy)) => {
                pods.accounts.push(service_account(&text(&mut parser)?)?);
            }
            Arg::Long("issuer") if matches!(what, Some(What::Rbac | What::RamPolicy)) => {
                pods.issuer = Some(issuer(text(&mut parser)?)?);
            }
            Arg::Long(name) => {
                return Err(unknown_option(name, word.unwrap_or_default()));
            }
            Arg::Value(value) if word == Some("render") && what.is_none() => {
                what = Some(What::parse(&value.string().map_err(wrong)?)?);
            }
            Arg::Value(value) => {
                let value = value.string().map_err(wrong)?;
                let known = COMMANDS.into_iter().find(|known| *known == value);
                match (known, word) {
                    (Some(_), None) => word = known,
                    _ => return Err(unknown_word(&value, word)),
                }
            }
            other @ Arg::Short(_) => return Err(wrong(other.unexpected())),
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

/// An option that is not known, is given twice or belongs to another command than `word`.
fn unknown_option(name: &str, word: &str) -> UsageError {
    let owner = OPTIONS.into_iter().find(|(known, ..)| *known == name);
    let known = OPTIONS.map(|(name, ..)| name);
    match (owner, nearest(name, known)) {
        (Some((_, "", _)), _) => UsageError::new(format!("option '--{name}' is given twice")),
        (Some((_, command, what)), _) => {
            let message = if command == word {
                format!("option '--{name}' is given twice, or before what it belongs to")
            } else {
                format!("option '--{name}' belongs to `{command}{what}`")
            };
            UsageError::new(message).meant(&format!("{command}{what} --{name}"))
        }
        (None, Some(near)) => {
            let arguments = format!("{word} --{near}");
            UsageError::new(format!("unknown option '--{name}'")).meant(arguments.trim_start())
        }
        (None, None) => UsageError::new(format!("unknown option '--{name}'")),
    }
}

/// A word that is not a command, or follows one.
fn unknown_word(value: &str, word: Option<&str>) -> UsageError {
    if word == Some("doctor") {
        let message = format!("`doctor {value}`: the image goes behind --image");
        return UsageError::new(message).meant(&format!("doctor --image {value}"));
    }
    if let Some(word) = word {
        return UsageError::new(format!("`{value}` after {word}: nothing is expected there"));
    }
    if DOCKERS.contains(&value) {
        return UsageError::new(format!(
            "`{value}` is a command of docker credential helpers, and this program was not called as one"
        ))
        .hint("link it as docker-credential-acr and call that");
    }
    let error = UsageError::new(format!("unknown command `{value}`"));
    let names = What::ALL.map(|(name, _)| name);
    match (value, nearest(value, COMMANDS), nearest(value, names)) {
        ("get-credentials", ..) => error.hint("other credential providers take it; remove it from `args` in the kubelet's CredentialProviderConfig: the kubelet runs this program without a command"),
        ("help", ..) => error.meant("--help"),
        ("version", ..) => error.meant("--version"),
        (_, Some(command), _) => error.meant(command),
        (_, _, Some(name)) => error.meant(&format!("render {name}")),
        _ if value.contains('/') => error.meant(&format!("doctor --image {value}")),
        _ => error,
    }
}

/// The name that was most likely meant.
fn nearest<const N: usize>(text: &str, names: [&'static str; N]) -> Option<&'static str> {
    let distances = names.into_iter().map(|name| (strsim::osa_distance(text, name), name));
    distances.min().filter(|(distance, _)| *distance <= 2).map(|(_, name)| name)
}

fn release(version: &str) -> Result<Release, UsageError> {
    Release::parse(version).ok_or_else(|| {
        UsageError::new(format!("`--kubelet-version {version}`: expected a version such as 1.33"))
    })
}

fn service_account(name: &str) -> Result<ServiceAccount, UsageError> {
    ServiceAccount::parse(name).ok_or_else(|| {
        UsageError::new(format!("`--service-account {name}`: expected {}", ServiceAccount::FORM))
    })
}

fn issuer(url: String) -> Result<String, UsageError> {
    let host = url.strip_prefix("https://").unwrap_or_default();
    if host.is_empty() || host.starts_with('/') || url.contains(char::is_whitespace) {
        let message =
            format!("`--issuer {url}`: expected a URL such as https://oidc.example.com/c1");
        return Err(UsageError::new(message));
    }
    Ok(url)
}

/// The value of an option.
fn text(parser: &mut Parser) -> Result<String, UsageError> {
    parser.value().and_then(ValueExt::string).map_err(wrong)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
fn wrong(error: lexopt::Error) -> UsageError {
    UsageError::new(error.to_string())
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
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_mistake_gets_the_command_that_was_meant() {
        for (arguments, meant) in [
            (&["help"][..], "--help"),
            (&["--hlep"], "--help"),
            (&["docter"], "doctor"),
            (&["doctor", "r.example.com/a"], "doctor --image r.example.com/a"),
            (&["r.example.com/a"], "doctor --image r.example.com/a"),
            (&["doctor", "--jsno"], "doctor --json"),
            (&["--json"], "doctor --json"),
            (&["render", "ram-polcy"], "render ram-policy"),
            (&["rbac"], "render rbac"),
        ] {
            let hint = parsed(arguments).unwrap_err().hint;
            assert_eq!(hint, format!("did you mean: {PROGRAM} {meant}"), "{arguments:?}");
        }
        assert!(parsed(&["get-credentials"]).unwrap_err().hint.contains("`args`"));
        for (arguments, message) in [
            (&["get"][..], "docker credential helpers"),
            (&["--config", "a", "--config", "b"], "given twice"),
            (&["doctor", "--image", "a/b", "--image", "a/b"], "given twice"),
        ] {
            let error = parsed(arguments).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
