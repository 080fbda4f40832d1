//! What the node's cache holds.

use std::path::Path;

use crate::cache::Cache;
use crate::cache::store::Store;
use crate::clock;
use crate::doctor::report::Station;
use crate::registry_token::Login;

const NAME: &str = "cache";

/// The station; `directory` is none where the configuration has `off` or nothing names one.
#[must_use]
pub fn station(directory: Option<&Path>, cache: Option<&Cache<'_>>) -> Station {
    let Some(directory) = directory else {
        return Station::skipped(NAME, "it is off: each pull asks the cloud");
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
