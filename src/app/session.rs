//! What every command works with: configuration, environment, cache and clients, opened once.

use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::process::geteuid;

use crate::aliyun::call::Network;
use crate::cache::{Access, Cache, Scope};
use crate::config::variables::Variables;
use crate::config::{Config, ConfigError, Source};
use crate::kubelet::exec_api::{Login, Pod};
use crate::net::http::{Http, Routes};
use crate::net::proxy;
use crate::net::tls::Trust;
use crate::pull::call_limit::CallLimit;
use crate::pull::fast_path;
use crate::pull::known::learnt;
use crate::pull::node::Node;
use crate::system::clock::{self, Clock, Deadline};
use crate::system::environment::Environment;
use crate::system::firmware::{self, Machine};
use crate::system::log::Journal;

/// Warnings about the configuration that a run reports; each goes into the kubelet's log every time.
const MAX_WARNINGS: usize = 10;

const NO_DIRECTORY: &str = "no cache: neither cacheDir nor XDG_RUNTIME_DIR names a directory";
const NO_BOOT_ID: &str = "no cache: the kernel does not say which start of this machine this is";

/// What `main` knows of the process.
#[derive(Clone, Copy)]
pub struct Process<'p> {
    pub start: Instant,
    pub environment: &'p Environment,
    pub journal: &'p Journal,
    /// Writes to stderr at once, for a command that stays.
    pub say: fn(&str),
}

/// The configuration file, or that there is none, before anything in it is understood.
pub struct Found<'p> {
    process: Process<'p>,
    source: Option<Source>,
    /// None where the kernel does not say which start of the machine this is.
    scope: Option<Scope>,
}

/// Everything that a command works with.
pub struct Session<'p> {
    process: Process<'p>,
    pub config: Config,
    /// Where the cache is; none where it is off or nothing names a directory.
    pub directory: Option<PathBuf>,
    pub cache: Cache<'p>,
    http: Http,
    pub clock: Clock,
}

impl<'p> Found<'p> {
    /// Looks for the configuration file.
    ///
    /// # Errors
    ///
    /// When there is one and it cannot be read or trusted.
    pub fn find(process: Process<'p>, config: Option<&Path>) -> Result<Self, ConfigError> {
        let source = Source::find(config, process.environment, user_file)?;
        let boot_id = firmware::boot_id();
        let scope = boot_id.map(|id| fast_path::scope(source.as_ref(), process.environment, &id));
        Ok(Self { process, source, scope })
    }

    /// The login of a host from the node's cache, if that has a fresh one.
    pub fn cached_login(&self, host: &str, pod: Pod<'_>) -> Option<Login> {
        let (source, environment) = (self.source.as_ref(), self.process.environment);
        fast_path::login(host, pod, source, environment, is_root(), self.scope.as_ref()?)
    }

    /// Understands the configuration and opens what it names.
    ///
    /// # Errors
    ///
    /// Every mistake in the configuration.
    pub fn open(self, access: Access) -> Result<Session<'p>, ConfigError> {
        let Self { process, source, scope } = self;
        let config = Config::of(source, process.environment)?;
        warn(&config, process.journal);
        let configured = config.settings.cache_dir.as_ref();
        let directory =
            configured.and_then(|dir| fast_path::directory(dir, process.environment, is_root()));
        let cache = match (&directory, scope) {
            (Some(directory), Some(scope)) => {
                Cache::new(directory.clone(), scope, access, process.journal)
            }
            (directory, _) => {
                if directory.is_some() {
                    process.journal.warn(NO_BOOT_ID);
                } else if configured.is_some() {
                    process.journal.info(NO_DIRECTORY);
                }
                Cache::off(process.journal)
            }
        };
        let http = Http::new(routes(&config));
        Ok(Session { process, config, directory, cache, http, clock: Clock::default() })
    }
}

impl<'p> Session<'p> {
    /// Finds and opens everything.
    ///
    /// # Errors
    ///
    /// When the configuration cannot be used.
    pub fn open(
        process: Process<'p>,
        config: Option<&Path>,
        access: Access,
    ) -> Result<Self, ConfigError> {
        Found::find(process, config)?.open(access)
    }

    /// The deadline of a pull that began at this instant.
    pub fn deadline(&self, start: Instant) -> Deadline {
        let settings = &self.config.settings;
        Deadline::new(start, settings.timeout).with_patience(settings.patience)
    }

    /// The deadline of a pull that begins now.
    pub fn deadline_from_now(&self) -> Deadline {
        self.deadline(clock::instant())
    }

    /// The machine, for one pull, with what earlier runs learnt of it.
    pub fn node<'n>(&'n self, deadline: &'n Deadline, cache: &'n Cache<'n>) -> Node<'n> {
        let Self { http, clock, process, .. } = self;
        let Config { settings, variables, .. } = &self.config;
        let (journal, signature) = (process.journal, settings.signature);
        let network = Network { http, clock, deadline, journal, signature };
        let limit = CallLimit::new(cache);
        Node::new(network, settings, variables, Machine::read(), learnt(cache), limit)
    }
}

pub fn is_root() -> bool {
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

fn warn(config: &Config, journal: &Journal) {
    let path = config.path.as_ref().map_or("none".to_owned(), |path| path.display().to_string());
    journal.debug(format!("configuration: {path}"));
    for warning in config.warning_lines().take(MAX_WARNINGS) {
        journal.warn(warning);
    }
    let more = config.warnings.len().saturating_sub(MAX_WARNINGS) + config.more_warnings;
    if more > 0 {
        journal.warn(format!("{path}: {more} more; see aliyun-acr-credential-provider doctor"));
    }
}

fn routes(config: &Config) -> Routes {
    let Variables { https_proxy, no_proxy, certificates, .. } = &config.variables;
    let instead = certificates.clone().map(|path| ("SSL_CERT_FILE", path));
    Routes {
        https_proxy: https_proxy
            .clone()
            .map(|(variable, address)| proxy::Setting { variable, address }),
        no_proxy: no_proxy.clone(),
        trust: Trust { instead, also: config.settings.ca_file.clone() },
    }
}
