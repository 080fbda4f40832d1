//! What the node's cache holds.

use std::path::Path;

use rustix::io::Errno;

use crate::cache::Cache;
use crate::cache::store::{Store, Unusable};
use crate::doctor::report::{Check, Name};
use crate::pull::registry_token::Login;
use crate::system::clock;

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

#[must_use]
pub fn check(place: Result<&Path, &str>, cache: Option<&Cache<'_>>) -> Check {
    let directory = match place {
        Ok(directory) => directory,
        Err(why) => return Check::skipped(Name::Cache, why),
    };
    let mut check = Check::new(Name::Cache);
    let place = directory.display();
    match Store::look(directory) {
        Err(why) => check.warn(
            format!("{place} is not used: {why}"),
            "set cacheDir to a directory that only this user can use, with mode 0700",
        ),
        Ok(None) => check.detail(format!("{place} does not exist yet: the first pull creates it")),
        Ok(Some(_)) => {
            let now = clock::since_boot();
            let logins = cache.map(Cache::logins::<Login>).unwrap_or_default();
            let lives = logins.iter().filter(|login| now < login.until).count();
            check.detail(format!(
                "{place}: {lives} of {} logins of this configuration are valid",
                logins.len()
            ));
            for login in &logins {
                let left = login.until.saturating_sub(now).as_secs();
                check.detail(format!("{}: {left} s left", login.value.host));
            }
        }
    }
    check
}
