//! What the node's cache holds.

use std::path::Path;

use rustix::io::Errno;

use crate::cache::Cache;
use crate::cache::store::{Store, Unusable};
use crate::doctor::report::Station;
use crate::pull::registry_token::Login;
use crate::system::clock;

const NAME: &str = "cache";

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
    const ROOTS: &str =
        "the kubelet's runs keep theirs as root, which this user cannot see: run doctor as root";
    if !configured {
        return Err("it is off: each pull asks the cloud");
    }
    let directory = directory.ok_or(ROOTS)?;
    match Store::look(directory) {
        Err(Unusable::Io(Errno::ACCESS) | Unusable::Foreign(0)) if !is_root => Err(ROOTS),
        _ => Ok(directory),
    }
}

/// The station.
#[must_use]
pub fn station(place: Result<&Path, &str>, cache: Option<&Cache<'_>>) -> Station {
    let directory = match place {
        Ok(directory) => directory,
        Err(why) => return Station::skipped(NAME, why),
    };
    let mut station = Station::new(NAME);
    let place = directory.display();
    match Store::look(directory) {
        Err(why) => station.warn(
            format!("{place} is not used: {why}"),
            "set cacheDir to a directory that only this user can use; it is made with mode 0700",
        ),
        Ok(None) => station.tell(format!("{place} is not there yet: the first pull makes it")),
        Ok(Some(_)) => {
            let now = clock::since_boot();
            let logins = cache.map(Cache::logins::<Login>).unwrap_or_default();
            let lives = logins.iter().filter(|login| now < login.until).count();
            station.tell(format!(
                "{place}: {lives} of {} logins of this configuration live",
                logins.len()
            ));
            for login in &logins {
                let left = login.until.saturating_sub(now).as_secs();
                station.tell(format!("{}: {left} s left", login.value.host));
            }
        }
    }
    station
}
