//! What the node's cache holds.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rustix::io::Errno;

use crate::cache::store::{Store, Unusable};
use crate::cache::{Cache, Kept};
use crate::doctor::disk;
use crate::doctor::report::{Check, Name};
use crate::pull::registry_token::Login;
use crate::system::clock::{self, Clock};

const NAME: Name = Name("cache");

/// Why there is no cache to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unseen {
    #[error("the cache is off: each run asks the cloud")]
    Off,
    #[error("root's cache is not visible to this user: run doctor as root")]
    Roots,
}

/// Who keeps logins beside the cache.
pub struct Keeper {
    /// When the kubelet started, in seconds since 1970, if it runs.
    pub since: Option<i64>,
    /// What drops the logins that it keeps.
    pub restart: String,
}

/// Where the cache is, or why there is nothing to look at. `configured` is false where the
/// configuration has `off`, and `directory` is none where nothing names one.
///
/// # Errors
///
/// The reason, for people.
pub fn place(configured: bool, directory: Option<&Path>, is_root: bool) -> Result<&Path, Unseen> {
    if !configured {
        return Err(Unseen::Off);
    }
    let directory = directory.ok_or(Unseen::Roots)?;
    match Store::look(directory) {
        Err(Unusable::Io(Errno::ACCESS) | Unusable::Foreign(0)) if !is_root => Err(Unseen::Roots),
        _ => Ok(directory),
    }
}

#[must_use]
pub fn check(
    place: Result<&Path, Unseen>,
    cache: Option<&Cache<'_>>,
    clock: &Clock,
    kubelet: &Keeper,
) -> Check {
    let directory = match place {
        Ok(directory) => directory,
        Err(why) => return without(why, kubelet),
    };
    let mut check = Check::new(NAME);
    let place = directory.display();
    match Store::look(directory) {
        Err(why) => check.warn(
            format!("{place} is not used: {why}"),
            "set cacheDir to a directory that only this user can use, with mode 0700",
        ),
        Ok(None) => check.detail(format!("{place} does not exist yet: the first pull creates it")),
        Ok(Some(_)) => {
            let logins = cache.map(Cache::logins::<Login>).unwrap_or_default();
            kept(directory, &logins, clock, &kubelet.restart, &mut check);
        }
    }
    disk::check(directory, &mut check);
    check
}

/// The kubelet keeps what a run answered as long as the answer says.
fn without(why: Unseen, kubelet: &Keeper) -> Check {
    let mut check = Check::skipped(NAME, why.to_string());
    let since = kubelet.since.and_then(|since| Timestamp::from_second(since).ok());
    if let (Unseen::Off, Some(since)) = (why, since) {
        check.detail(format!(
            "the kubelet, which runs since {since}, may still have a login of before, and pulls get that one. To drop it:"
        ));
        check.detail(kubelet.restart.clone());
    }
    check
}

/// Pulls get what is kept, whatever a check has fetched meanwhile.
fn kept(directory: &Path, logins: &[Kept<Login>], clock: &Clock, restart: &str, check: &mut Check) {
    let (now, place) = (clock::since_boot(), directory.display());
    let lives: Vec<_> = logins.iter().filter(|login| now < login.until).collect();
    check.detail(format!(
        "{place}: {} of {} logins of this configuration are valid",
        lives.len(),
        logins.len()
    ));
    let since = |login: &Kept<Login>| {
        let seconds = now.saturating_sub(login.since).as_secs();
        clock.services().checked_sub(Duration::from_secs(seconds)).unwrap_or_default()
    };
    for login in logins {
        let left = login.until.saturating_sub(now).as_secs();
        check.detail(format!("{}: {left} s left, kept since {}", login.value.host, since(login)));
    }
    let oldest = lives.iter().filter(|login| now < login.fresh_until).min_by_key(|it| it.since);
    if let Some(oldest) = oldest {
        check.note(format!(
            "pulls get the login kept since {}, not one fetched now. To drop it:",
            since(oldest)
        ));
        check.note(format!("rm -rf {place}; {restart}"));
    }
}
