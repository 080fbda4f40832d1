//! The command line, as the table of commands has it.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use crate::app::commands::{self, Asked, COMMANDS, Choice, What};
use crate::kubelet::versions::Release;
use crate::program::PROGRAM;
use crate::render::{Pods, ServiceAccount, kubelet_config};
use crate::setup::options::{Action, Keep, Options};

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
    /// Change a node's files, or put them back.
    Setup {
        action: Action,
        options: Options,
    },
    /// Change a client's file, or put it back.
    SetupDocker {
        config: Option<PathBuf>,
        options: DockerOptions,
    },
    Help(Option<Asked>),
    Version {
        json: bool,
    },
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
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
    /// The mistakes of the configuration at their lines, for code hosts.
    pub sarif: bool,
    /// Every detail of checks that passed, too.
    pub verbose: bool,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct DockerOptions {
    /// The client's file; docker's without it.
    pub file: Option<PathBuf>,
    pub undo: bool,
    pub dry_run: bool,
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

/// What docker's credential helper protocol passes.
const DOCKERS: [&str; 4] = ["get", "store", "erase", "list"];

/// Reads the arguments, the program's name left out.
///
/// # Errors
///
/// For anything that is not in [`COMMANDS`].
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    let mut line = Line::read(arguments)?;
    if line.asks_for(&commands::HELP) {
        let command = line.command().ok().filter(|command| !command.words.is_empty());
        return Ok(Command::Help(command.map(|command| command.asked)));
    }
    if line.asks_for(&commands::VERSION) {
        return Ok(Command::Version { json: line.asks_for(&commands::JSON) });
    }
    let command = line.command()?;
    line.check(command)?;
    let config = line.path(&commands::CONFIG);
    Ok(match command.asked {
        Asked::Provide => Command::Provide { config },
        Asked::Refresh => Command::Refresh { config },
        Asked::Doctor => Command::Doctor { config, options: doctor(&mut line)? },
        Asked::Render(what) => {
            let options = kubelet_config::Options {
                release: line.release()?,
                directory: line.asks_for(&commands::DIRECTORY),
                service_accounts: line.asks_for(&commands::SERVICE_ACCOUNTS),
            };
            let mut pods = Pods::default();
            while let Some(name) = line.text(&commands::SERVICE_ACCOUNT)? {
                pods.accounts.push(service_account(&name)?);
            }
            pods.issuer = line.text(&commands::ISSUER)?.map(issuer).transpose()?;
            Command::Render { config, what, options, pods }
        }
        Asked::SetupDocker => Command::SetupDocker {
            config,
            options: DockerOptions {
                file: line.path(&commands::CLIENT_FILE),
                undo: line.asks_for(&commands::UNDO),
                dry_run: line.asks_for(&commands::DRY_RUN),
            },
        },
        Asked::Setup(action) => Command::Setup { action, options: setup(&mut line, config)? },
    })
}

fn doctor(line: &mut Line) -> Result<DoctorOptions, UsageError> {
    let options = DoctorOptions {
        image: line.text(&commands::IMAGE)?,
        oss: line.text(&commands::OSS)?,
        root: line.path(&commands::ROOT),
        config_only: line.asks_for(&commands::CONFIG_ONLY),
        json: line.asks_for(&commands::JSON),
        sarif: line.asks_for(&commands::SARIF),
        verbose: line.asks_for(&commands::VERBOSE),
    };
    if options.sarif && !options.config_only {
        let error = UsageError::new("option '--sarif' needs '--config-only': it is about a file");
        return Err(error.meant("doctor --config-only --sarif"));
    }
    Ok(options)
}

fn setup(line: &mut Line, config: Option<PathBuf>) -> Result<Options, UsageError> {
    let patterns = line.text(&commands::MATCH_IMAGES)?;
    Ok(Options {
        root: line.path(&commands::ROOT),
        restart: line.asks_for(&commands::RESTART),
        dry_run: line.asks_for(&commands::DRY_RUN),
        json: line.asks_for(&commands::JSON),
        config,
        binary: line.path(&commands::BINARY),
        sha256: line.text(&commands::SHA256)?.map(|sum| sha256(&sum)).transpose()?,
        match_images: patterns.map(|list| list.split(',').map(str::to_owned).collect()),
        bin_dir: line.text(&commands::BIN_DIR)?,
        release: line.release()?,
        refresh_timer: line.asks_for(&commands::REFRESH_TIMER),
        service_accounts: line.asks_for(&commands::SERVICE_ACCOUNTS),
        close_images: line.asks_for(&commands::CLOSE_IMAGES),
        watch: line.seconds(&commands::WATCH)?,
        keep: Keep {
            uninstall: line.asks_for(&commands::UNINSTALL),
            every: line.seconds(&commands::EVERY)?,
            ready: line.path(&commands::READY),
            lease: line.text(&commands::LEASE)?,
            holder: line.text(&commands::HOLDER)?,
            token: line.path(&commands::TOKEN),
        },
    })
}

/// What stands on a command line: words, and options with their values.
struct Line {
    words: Vec<String>,
    given: Vec<(&'static Choice, OsString)>,
}

impl Line {
    fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, UsageError> {
        let mut parser = Parser::from_args(arguments);
        let mut line = Self { words: Vec::new(), given: Vec::new() };
        while let Some(argument) = parser.next().map_err(wrong)? {
            let name = match argument {
                Arg::Value(word) => {
                    line.add_word(word.string().map_err(wrong)?)?;
                    continue;
                }
                Arg::Short('h') => commands::HELP.name,
                Arg::Short('V') => commands::VERSION.name,
                Arg::Long(name) => name,
                Arg::Short(_) => return Err(wrong(argument.unexpected())),
            };
            let choice = all_choices().find(|choice| choice.name == name);
            let choice = choice.ok_or_else(|| unknown_option(name, &line.words))?;
            let value = match choice.value {
                Some(_) => parser.value().map_err(wrong)?,
                None => OsString::new(),
            };
            if choice.value.is_some() && value.is_empty() {
                return Err(UsageError::new(format!("option '--{}' is empty", choice.name)));
            }
            if !choice.may_repeat && line.given.iter().any(|(other, _)| other.name == choice.name) {
                let message = format!("option '--{}' is given twice", choice.name);
                return Err(UsageError::new(message));
            }
            line.given.push((choice, value));
        }
        Ok(line)
    }

    fn add_word(&mut self, word: String) -> Result<(), UsageError> {
        self.words.push(word);
        if COMMANDS.iter().any(|command| is_prefix(&self.words, command)) {
            return Ok(());
        }
        let word = self.words.pop().unwrap_or_default();
        Err(unknown_word(&word, &self.words))
    }

    fn command(&self) -> Result<&'static commands::Command, UsageError> {
        COMMANDS.iter().find(|command| command.words == self.words).ok_or_else(|| {
            let words = self.words.join(" ");
            let next: Vec<&str> = next_words(&self.words).collect();
            UsageError::new(format!("`{words}`: expected {}", next.join(", ")))
        })
    }

    /// Every option must be one of the command's.
    fn check(&self, command: &commands::Command) -> Result<(), UsageError> {
        let has = |command: &commands::Command, name| {
            command.options.iter().any(|choice| choice.name == name)
        };
        for (choice, _) in &self.given {
            if !has(command, choice.name) {
                let owner = COMMANDS.iter().find(|command| has(command, choice.name));
                let owner = owner.map_or_else(String::new, |owner| owner.words.join(" "));
                let message = format!("option '--{}' belongs to `{owner}`", choice.name);
                return Err(UsageError::new(message).meant(&format!("{owner} --{}", choice.name)));
            }
        }
        Ok(())
    }

    /// Takes the next value of an option.
    fn take(&mut self, choice: &Choice) -> Option<OsString> {
        let at = self.given.iter().position(|(given, _)| given.name == choice.name)?;
        Some(self.given.remove(at).1)
    }

    fn asks_for(&mut self, choice: &Choice) -> bool {
        self.take(choice).is_some()
    }

    fn path(&mut self, choice: &Choice) -> Option<PathBuf> {
        self.take(choice).map(PathBuf::from)
    }

    fn text(&mut self, choice: &Choice) -> Result<Option<String>, UsageError> {
        self.take(choice).map(|value| value.string().map_err(wrong)).transpose()
    }

    fn seconds(&mut self, choice: &Choice) -> Result<Option<u32>, UsageError> {
        let Some(text) = self.text(choice)? else { return Ok(None) };
        let number = text.parse().map_err(|_| {
            let message = format!("`--{} {text}`: expected a number of seconds", choice.name);
            UsageError::new(message)
        });
        number.map(Some)
    }

    fn release(&mut self) -> Result<Option<Release>, UsageError> {
        let version = self.text(&commands::KUBELET_VERSION)?;
        version.map(|version| release(&version)).transpose()
    }
}

fn all_choices() -> impl Iterator<Item = &'static Choice> {
    let own = COMMANDS.iter().flat_map(|command| command.options);
    own.chain([&commands::HELP, &commands::VERSION])
}

fn is_prefix(words: &[String], command: &commands::Command) -> bool {
    words.len() <= command.words.len() && command.words.iter().zip(words).all(|(a, b)| a == b)
}

/// The words that may follow some.
fn next_words(words: &[String]) -> impl Iterator<Item = &'static str> {
    let longer = COMMANDS.iter().filter(|command| is_prefix(words, command));
    let mut next: Vec<&str> =
        longer.filter_map(|command| command.words.get(words.len()).copied()).collect();
    next.dedup();
    next.into_iter()
}

fn unknown_option(name: &str, words: &[String]) -> UsageError {
    let error = UsageError::new(format!("unknown option '--{name}'"));
    match nearest(name, all_choices().map(|choice| choice.name)) {
        Some(near) => error.meant(format!("{} --{near}", words.join(" ")).trim_start()),
        None => error,
    }
}

/// A word that is not a command, or follows one.
fn unknown_word(value: &str, words: &[String]) -> UsageError {
    let before = words.join(" ");
    if before == "doctor" {
        let message = format!("`doctor {value}`: the image goes behind --image");
        return UsageError::new(message).meant(&format!("doctor --image {value}"));
    }
    let next: Vec<&str> = next_words(words).collect();
    if !words.is_empty() {
        if next.is_empty() {
            let message = format!("`{value}` after {before}: nothing is expected there");
            return UsageError::new(message);
        }
        let error = UsageError::new(format!("`{before} {value}`: expected {}", next.join(", ")));
        return match nearest(value, next.into_iter()) {
            Some(near) => error.meant(&format!("{before} {near}")),
            None => error,
        };
    }
    if DOCKERS.contains(&value) {
        return UsageError::new(format!(
            "`{value}` is a command of docker credential helpers, and this program was not called as one"
        ))
        .hint("link it as docker-credential-acr and call that");
    }
    let error = UsageError::new(format!("unknown command `{value}`"));
    let second = COMMANDS.iter().filter_map(|command| Some((command.words.get(1)?, command.words)));
    let second: Vec<_> = second.collect();
    let meant = nearest(value, second.iter().map(|(word, _)| **word));
    let meant = meant.and_then(|near| second.iter().find(|(word, _)| **word == near));
    match (value, nearest(value, next.into_iter()), meant) {
        ("get-credentials", ..) => error.hint("other credential providers take it; remove it from `args` in the kubelet's CredentialProviderConfig: the kubelet runs this program without a command"),
        ("help", ..) => error.meant("--help"),
        ("version", ..) => error.meant("--version"),
        (_, Some(command), _) => error.meant(command),
        (_, _, Some((_, words))) => error.meant(&words.join(" ")),
        _ if value.contains('/') => error.meant(&format!("doctor --image {value}")),
        _ => error,
    }
}

/// The name that was most likely meant.
fn nearest(text: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let distances = names.map(|name| (strsim::osa_distance(text, name), name));
    distances.min().filter(|(distance, _)| *distance <= 2).map(|(_, name)| name)
}

/// A version such as `1.33`, or what `kubelet --version` prints.
fn release(version: &str) -> Result<Release, UsageError> {
    version.split_whitespace().find_map(Release::parse).ok_or_else(|| {
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

fn sha256(sum: &str) -> Result<String, UsageError> {
    if sum.len() != 64 || !sum.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(UsageError::new("--sha256 takes 64 hexadecimal digits"));
    }
    Ok(sum.to_ascii_lowercase())
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
        assert_eq!(parsed(&["--version"]), Ok(Command::Version { json: false }));
        assert_eq!(parsed(&["-V", "--json"]), Ok(Command::Version { json: true }));
        assert_eq!(parsed(&["doctor", "-h"]), Ok(Command::Help(Some(Asked::Doctor))));
        let options = Options {
            root: Some("/t".into()),
            config: Some("/c".into()),
            dry_run: true,
            match_images: Some(vec!["a".to_owned(), "b".to_owned()]),
            ..Options::default()
        };
        let words = "--config /c setup install --root /t --dry-run --match-images a,b";
        assert_eq!(
            parsed(&words.split(' ').collect::<Vec<_>>()),
            Ok(Command::Setup { action: Action::Install, options })
        );
        for wrong in [
            &["--config"][..],
            &["--nope"],
            &["x"],
            &["refresh", "refresh"],
            &["--json"],
            &["doctor", "--sarif"],
            &["--config="],
            &["render"],
            &["setup"],
            &["setup", "install", "--sha256", "abc"],
            &["setup", "status", "--dry-run"],
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
            (&["setpu", "install"], "setup"),
            (&["setup", "instal"], "setup install"),
            (&["status"], "setup status"),
            (&["setup", "install", "--dry-rnu"], "setup install --dry-run"),
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
    /// The reader knows whether a value follows before it knows the command.
    #[test]
    fn an_option_has_one_form_in_all_commands() {
        for one in all_choices() {
            let mut alike = all_choices().filter(|other| other.name == one.name);
            assert!(
                alike.all(|other| other.value.is_some() == one.value.is_some()
                    && other.may_repeat == one.may_repeat),
                "{}",
                one.name
            );
        }
    }

    #[test]
    fn help_fits_a_terminal() {
        let text = commands::help(None);
        for line in text.lines() {
            assert!(line.len() <= 100, "{line}");
        }
        assert!(!commands::help(Some(Asked::Doctor)).contains("render"));
    }
}
