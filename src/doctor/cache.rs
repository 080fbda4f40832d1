//! What the node's cache holds.

use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;

use crate::cache::store::{Store, Unusable};
use crate::cache::{Cache, Kept};
use crate::doctor::disk;
use crate::doctor::report::{Check, Name};
use crate::pull::registry_token::Login;
use crate::system::clock::{self, Clock};

const NAME: Name = Name("cache");

/// Where the cache is, or why there is nothing to look at. `configured` is false where the
/// configuration has `off`, and `directory` is none where nothing names one.
///
/// # Errors
///
/// The reason, for people.
pub fn place(
    configured: bool,
    directory: Option<&Path>,
    is_root: bool,
) -> Result<&Path, &'static str> {
    const ROOTS: &str = "root's cache is not visible to this user: run doctor as root";
    if !configured {
        return Err("the cache is off: each pull asks the cloud");
    }
    let directory = directory.ok_or(ROOTS)?;
    match Store::look(directory) {
        Err(Unusable::Io(Errno::ACCESS) | Unusable::Foreign(0)) if !is_root => Err(ROOTS),
        _ => Ok(directory),
    }
}

/// `restart` is what drops the logins that the kubelet keeps.
#[must_use]
pub fn check(
    place: Result<&Path, &str>,
    cache: Option<&Cache<'_>>,
    clock: &Clock,
    restart: &str,
) -> Check {
    let directory = match place {
        Ok(directory) => directory,
        Err(why) => return Check::skipped(NAME, why),
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
            kept(directory, &logins, clock, restart, &mut check);
        }
    }
    disk::check(directory, &mut check);
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
