//! The process: arguments, environment, streams and exit code. Everything else is in the library.
//!
//! stdout carries one JSON document, written once at the very end; everything for people goes to
//! stderr, the error first.

#![forbid(unsafe_code)]

use std::alloc::System;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::exit;

use aliyun_acr_credential_provider::aliyun::call::Network;
use aliyun_acr_credential_provider::app::arguments::{self, Command, DoctorOptions, What};
use aliyun_acr_credential_provider::cache::{Cache, Scope};
use aliyun_acr_credential_provider::config::{
    Config, ConfigError, Scope as Hosts, Source, variables,
};
use aliyun_acr_credential_provider::doctor::report::{Report, Station};
use aliyun_acr_credential_provider::doctor::{self, configuration, pull};
use aliyun_acr_credential_provider::failure::{Exit, Failure};
use aliyun_acr_credential_provider::kubelet::exec_api::{self, RequestError};
use aliyun_acr_credential_provider::net::http::{Http, Routes};
use aliyun_acr_credential_provider::net::tls::Trust;
use aliyun_acr_credential_provider::pull::due::{self, Outcome};
use aliyun_acr_credential_provider::pull::fast_path;
use aliyun_acr_credential_provider::pull::identity::Pod;
use aliyun_acr_credential_provider::pull::node::Node;
use aliyun_acr_credential_provider::pull::pipeline::{learnt, login, note, provide};
use aliyun_acr_credential_provider::render::{config_map, kubelet_config, ram_policy, rbac};
use aliyun_acr_credential_provider::secret::Secret;
use aliyun_acr_credential_provider::system::clock::{self, Clock, Deadline};
use aliyun_acr_credential_provider::system::environment::Environment;
use aliyun_acr_credential_provider::system::firmware::{self, Machine};
use aliyun_acr_credential_provider::system::log::{Journal, Level};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getegid, geteuid, getgid, getuid, set_dumpable_behavior,
    setrlimit,
};
use zeroizing_alloc::ZeroAlloc;

/// Wipes every block of memory that is given back. Secrets pass through buffers that are not ours,
/// of HTTP, TLS and JSON, and through strings that grow; no type of our own could reach those.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

/// Warnings about the configuration that a pull tells; each goes into the kubelet's log every time.
const MAX_WARNINGS: usize = 10;

/// Largest request that is read, in bytes.
const MAX_REQUEST: u64 = 1024 * 1024;

fn main() {
    let start = clock::instant();
    std::panic::set_hook(Box::new(|panic| {
        // The message may quote a value: only the place is told.
        let place = panic
            .location()
            .map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        say(&Failure::new(Exit::Unexpected, format!("internal error{place}"))
            .hint("please report this")
            .to_string());
        exit(Exit::Unexpected as i32);
    }));
    // Secrets do not go into core dumps. Either alone does, where a sandbox refuses the other.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    // Somebody else's rights and the caller's environment and files do not go together.
    if getuid() != geteuid() || getgid() != getegid() {
        say(&Failure::new(Exit::Usage, "started with another user's rights (setuid or setgid)")
            .hint("take the bit away: chmod u-s,g-s on the program; the kubelet runs it as root by itself")
            .to_string());
        exit(Exit::Usage as i32);
    }
    #[expect(clippy::disallowed_methods, reason = "the one reading of the environment")]
    let environment = Environment::new(std::env::vars_os());
    let journal = Journal::default();
    let level = log_level(&environment, &journal);
    let outcome = run(start, &environment, &journal);
    let code = match outcome {
        Ok(Done { text, exit }) => match write_answer(&text) {
            Ok(()) => i32::from(exit),
            Err(error) => {
                say(&Failure::new(
                    Exit::Unexpected,
                    format!("the answer cannot be written to stdout: {error}"),
                )
                .to_string());
                Exit::Unexpected as i32
            }
        },
        Err(failure) => {
            say(&failure.to_string());
            failure.exit as i32
        }
    };
    for line in journal.lines(level) {
        say(&line);
    }
    exit(code);
}

/// What goes to stdout, and what the process ends with.
struct Done {
    text: Secret,
    exit: u8,
}

impl From<Secret> for Done {
    fn from(text: Secret) -> Self {
        Self { text, exit: 0 }
    }
}

fn run(
    start: std::time::Instant,
    environment: &Environment,
    journal: &Journal,
) -> Result<Done, Failure> {
    #[expect(clippy::disallowed_methods, reason = "the one reading of the arguments")]
    let arguments = std::env::args_os().skip(1);
    match arguments::parse(arguments).map_err(|error| usage(&error.to_string()))? {
        Command::Help => Ok(Secret::new(arguments::HELP).into()),
        Command::Version => Ok(Secret::new(format!("{}\n", arguments::VERSION)).into()),
        Command::Provide { config } => {
            answer(start, config.as_deref(), environment, journal).map(Done::from)
        }
        Command::Refresh { config } => {
            refresh(config.as_deref(), environment, journal).map(Done::from)
        }
        Command::Render { config, what, options, pods } => {
            let config = load(find(config.as_deref(), environment)?, environment, journal)?;
            let text = match what {
                What::KubeletConfig => kubelet_config::render(&config, &options)?,
                What::RamPolicy => ram_policy::render(&config, &pods)?,
                What::Rbac => rbac::render(&config, &pods)?,
                What::ConfigMap => config_map::render(&config)?,
            };
            Ok(Secret::new(text).into())
        }
        Command::Doctor { config, options } => Ok(doctor(config.as_deref(), &options, environment)),
    }
}

fn answer(
    start: std::time::Instant,
    config: Option<&Path>,
    environment: &Environment,
    journal: &Journal,
) -> Result<Secret, Failure> {
    let request = read_stdin()?;
    let request = exec_api::read_request(&request)
        .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let source = find(config, environment)?;
    let scope = scope(source.as_ref(), environment);
    if let Some(scope) = &scope
        && let Some(answer) =
            fast_path::answer(&request, source.as_ref(), environment, is_root(), scope)
    {
        journal.debug("answered from the node's cache");
        return Ok(answer);
    }
    let config = load(source, environment, journal)?;
    let cache = cache(&config, scope, true, environment, journal);
    let parts = Parts::new(&config, journal);
    let deadline = Deadline::new(start, config.settings.timeout);
    provide(&request, &config, &parts.node(&deadline, &cache), &cache)
}

/// Renews logins ahead of time, one after another; says in one line what came of it.
fn refresh(
    config: Option<&Path>,
    environment: &Environment,
    journal: &Journal,
) -> Result<Secret, Failure> {
    let source = find(config, environment)?;
    let scope = scope(source.as_ref(), environment);
    let config = load(source, environment, journal)?;
    if config.settings.cache_dir.is_none() {
        return Err(Failure::new(Exit::Usage, "there is nothing to refresh: the cache is off")
            .hint("take `cacheDir: off` out of the configuration, or disable the timer"));
    }
    let cache = cache(&config, scope, false, environment, journal);
    let lock = cache.alone("refresh");
    if let Ok(None) = lock
        && cache.is_on()
    {
        return Ok(Secret::new("another refresh is under way\n"));
    }
    cache.sweep();
    let parts = Parts::new(&config, journal);
    let mut outcome = Outcome::default();
    for host in due::due(&cache) {
        let deadline = Deadline::new(clock::instant(), config.settings.timeout);
        let node = parts.node(&deadline, &cache);
        let pod = Pod::default();
        let served = login(&host, &pod, &config, &node, &cache);
        note(&host, &pod, &served, &node, &cache);
        let result = served.and_then(|served| match served.and_then(|served| served.stale) {
            Some(failure) => Err(failure.for_host(&host)),
            None => Ok(()),
        });
        outcome.add(host, result);
    }
    let line = outcome.line();
    match outcome.failed.into_iter().next() {
        None => Ok(Secret::new(format!("{line}\n"))),
        Some((_, failure)) => Err(failure.caused_by(line)),
    }
}

/// Looks at everything that a pull would meet.
fn doctor(config: Option<&Path>, options: &DoctorOptions, environment: &Environment) -> Done {
    // What would be a warning of a pull is in the report.
    let journal = &Journal::default();
    let mut report = Report::default();
    let found = Source::find(config, environment, user_file);
    let scope = found.as_ref().ok().and_then(|source| scope(source.as_ref(), environment));
    let config = found.and_then(|source| Config::of(source, environment));
    report.add(configuration::station(&config, environment));
    if options.config_only {
        return told(&report, options, environment);
    }
    let asked: Vec<String> = options.image.clone().into_iter().collect();
    let hosts: Vec<String> = config.as_ref().map_or_else(|_| Vec::new(), named_hosts);
    let root = options.root.as_deref().unwrap_or(Path::new("/"));
    let images = [asked.as_slice(), &hosts].concat();
    let kubelet = doctor::kubelet::look(root, &images, config.as_ref().ok(), environment);
    if let Ok(config) = &config {
        let pulls = if asked.is_empty() { &hosts } else { &asked };
        let parts = Parts::new(config, journal);
        for image in pulls {
            let deadline = Deadline::new(clock::instant(), config.settings.timeout);
            let node = parts.node(&deadline, &Cache::off(journal));
            let sends_tokens = kubelet.with_tokens.contains(image);
            pull::image(image, options.oss.as_deref(), sends_tokens, config, &node, &mut report);
        }
        if pulls.is_empty() {
            report.add(Station::unfollowed("entry", "no host is configured by name: give --image"));
        }
        let kept = config.settings.cache_dir.as_ref();
        let directory = kept.and_then(|dir| fast_path::directory(dir, environment, is_root()));
        let cache = directory.as_deref().zip(scope);
        let cache = cache.and_then(|(path, scope)| Cache::looked_at(path, scope, journal));
        let place = doctor::cache::place(kept.is_some(), directory.as_deref(), is_root());
        report.add(doctor::cache::station(place, cache.as_ref()));
        report.add(doctor::run_history::station(place, cache.as_ref()));
        report.images.clone_from(pulls);
    }
    report.add(kubelet.station);
    told(&report, options, environment)
}

/// The hosts that entries name.
fn named_hosts(config: &Config) -> Vec<String> {
    let hosts = config.entries.iter().flat_map(|entry| match &entry.scope {
        Hosts::Domains(domains) => domains.clone(),
        _ => Vec::new(),
    });
    hosts.collect()
}

fn told(report: &Report, options: &DoctorOptions, environment: &Environment) -> Done {
    let colour = io::stdout().is_terminal() && variables::allows_colour(environment);
    let text = if options.json { report.json() } else { report.text(colour) };
    Done { text: Secret::new(text), exit: report.exit() }
}

/// What all logins of a run share.
struct Parts<'a> {
    config: &'a Config,
    journal: &'a Journal,
    http: Http,
    clock: Clock,
}

impl<'a> Parts<'a> {
    fn new(config: &'a Config, journal: &'a Journal) -> Self {
        let http = Http::new(routes(config));
        Self { config, journal, http, clock: Clock::default() }
    }

    fn node<'n>(&'n self, deadline: &'n Deadline, cache: &Cache<'_>) -> Node<'n> {
        let Self { http, clock, journal, .. } = self;
        let network = Network { http, clock, deadline, journal };
        let Config { settings, variables, .. } = self.config;
        Node::new(network, settings, variables, Machine::read(), learnt(cache))
    }
}

fn find(config: Option<&Path>, environment: &Environment) -> Result<Option<Source>, Failure> {
    Source::find(config, environment, user_file).map_err(|error| bad_configuration(&error))
}

fn load(
    source: Option<Source>,
    environment: &Environment,
    journal: &Journal,
) -> Result<Config, Failure> {
    let config = Config::of(source, environment).map_err(|error| bad_configuration(&error))?;
    let path = config.path.as_ref().map_or("none".to_owned(), |path| path.display().to_string());
    journal.debug(format!("configuration: {path}"));
    for warning in config.warnings.iter().take(MAX_WARNINGS) {
        journal.warn(warning.clone());
    }
    let more = config.warnings.len().saturating_sub(MAX_WARNINGS) + config.more_warnings;
    if more > 0 {
        journal.warn(format!("{path}: {more} more; see aliyun-acr-credential-provider doctor"));
    }
    Ok(config)
}

fn scope(source: Option<&Source>, environment: &Environment) -> Option<Scope> {
    Some(fast_path::scope(source, environment, &firmware::boot_id()?))
}

fn cache<'j>(
    config: &Config,
    scope: Option<Scope>,
    by_pull: bool,
    environment: &Environment,
    journal: &'j Journal,
) -> Cache<'j> {
    let Some(configured) = &config.settings.cache_dir else { return Cache::off(journal) };
    let directory = fast_path::directory(configured, environment, is_root());
    match (directory, scope) {
        (Some(directory), Some(scope)) => Cache::new(directory, scope, by_pull, journal),
        (None, _) => {
            journal.info("no cache: neither cacheDir nor XDG_RUNTIME_DIR names a directory");
            Cache::off(journal)
        }
        (_, None) => {
            journal
                .warn("no cache: the kernel does not tell one start of this machine from another");
            Cache::off(journal)
        }
    }
}

fn read_stdin() -> Result<Vec<u8>, Failure> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Err(Failure::new(
            Exit::Usage,
            "stdin is a terminal, and a kubelet would send its request there",
        )
        .caused_by("to ask for a login by hand: echo '{\"apiVersion\":\"credentialprovider.kubelet.k8s.io/v1\",\"kind\":\"CredentialProviderRequest\",\"image\":\"HOST/NAME\"}' | aliyun-acr-credential-provider")
        .hint("to see what a pull would meet: aliyun-acr-credential-provider doctor --image HOST/NAME"));
    }
    let mut request = Vec::new();
    // Past the buffer of `Stdin`, which is never given back and would keep the pod's token.
    let stdin = stdin.as_fd().try_clone_to_owned().map(File::from);
    let read = stdin.and_then(|stdin| stdin.take(MAX_REQUEST + 1).read_to_end(&mut request));
    read.map_err(|error| Failure::new(Exit::Usage, format!("stdin cannot be read: {error}")))?;
    if request.len() as u64 > MAX_REQUEST {
        return Err(Failure::new(Exit::Usage, RequestError::TooLarge.to_string()));
    }
    Ok(request)
}

fn usage(message: &str) -> Failure {
    Failure::new(Exit::Usage, message).hint("see aliyun-acr-credential-provider --help")
}

fn bad_configuration(error: &ConfigError) -> Failure {
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

fn is_root() -> bool {
    geteuid().is_root()
}

/// The file of a user who is not root.
fn user_file() -> Option<PathBuf> {
    if is_root() {
        return None;
    }
    let directories = directories::BaseDirs::new()?;
    Some(directories.config_dir().join("aliyun-acr-credential-provider/config.yaml"))
}

fn routes(config: &Config) -> Routes {
    let variables = &config.variables;
    Routes {
        https_proxy: variables.https_proxy.clone(),
        no_proxy: variables.no_proxy.clone(),
        trust: Trust {
            instead: variables.certificates.clone(),
            also: config.settings.ca_file.clone(),
        },
    }
}

fn log_level(environment: &Environment, journal: &Journal) -> Level {
    variables::log_level(environment).unwrap_or_else(|wrong| {
        journal.warn(format!("{wrong}; taking warn"));
        Level::Warn
    })
}

fn write_answer(answer: &Secret) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(answer.expose().as_bytes())?;
    stdout.flush()
}

/// To stderr; where that is closed there is nobody to tell.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
