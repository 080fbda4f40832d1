//! Renews logins ahead of time, one after another; reports the result in one line.

use std::path::Path;

use crate::app::session::{Process, Session};
use crate::cache::Access;
use crate::failure::{Exit, Failure};
use crate::kubelet::exec_api::Pod;
use crate::pull::due::{self, Outcome};
use crate::pull::metrics;
use crate::pull::pipeline::login;
use crate::secret::Secret;

/// Renews what is due.
///
/// # Errors
///
/// When the configuration cannot be used, there is no cache, or a login could not be renewed.
pub fn run(process: Process<'_>, config: Option<&Path>) -> Result<Secret, Failure> {
    let session = Session::open(process, config, Access::Ahead)
        .map_err(|error| Failure::of_configuration(&error))?;
    let Session { config, cache, .. } = &session;
    if config.settings.cache_dir.is_none() {
        return Err(Failure::new(Exit::Usage, "there is nothing to refresh: the cache is off")
            .hint("take `cacheDir: off` out of the configuration, or disable the timer"));
    }
    let lock = cache.alone("refresh");
    if let Ok(None) = lock
        && cache.is_on()
    {
        return Ok(Secret::new("another refresh is under way\n"));
    }
    cache.sweep();
    let mut outcome = Outcome::default();
    for host in due::due(cache) {
        let deadline = session.deadline_from_now();
        let node = session.node(&deadline, cache);
        let served = login(&host, Pod::default(), config, &node, cache);
        let result = served.and_then(|served| match served.and_then(|served| served.stale) {
            Some(failure) => Err(failure.for_host(&host)),
            None => Ok(()),
        });
        outcome.add(host, result);
    }
    if let Some(file) = &config.settings.metrics {
        metrics::renew(file, cache);
    }
    let line = outcome.line();
    match outcome.failed.into_iter().next() {
        None => Ok(Secret::new(format!("{line}\n"))),
        Some((_, failure)) => Err(failure.caused_by(line)),
    }
}
