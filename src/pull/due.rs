//! Renewal ahead of time: what pulls have used lately and what will soon have ended.
//!
//! Made for a timer, so that the next pull finds its login ready and an outage of the cloud that
//! lasts no longer than `expiring-threshold` is noticed by nobody.

use crate::cache::{Cache, USED_LATELY};
use crate::failure::Failure;
use crate::pull::registry_token::Login;
use crate::system::clock;

/// The hosts whose logins are due, each once.
pub fn due(cache: &Cache<'_>) -> Vec<String> {
    let now = clock::since_boot();
    let due = cache
        .logins::<Login>()
        .into_iter()
        .filter(|login| now >= login.fresh_until && now.saturating_sub(login.used) < USED_LATELY);
    due.map(|login| login.value.host).collect()
}

/// The result of a renewal, in one line.
#[derive(Debug, Default)]
pub struct Outcome {
    pub renewed: Vec<String>,
    pub failed: Vec<(String, Failure)>,
}

impl Outcome {
    pub fn add(&mut self, host: String, result: Result<(), Failure>) {
        match result {
            Ok(()) => self.renewed.push(host),
            Err(failure) => self.failed.push((host, failure)),
        }
    }

    /// For stdout.
    pub fn line(&self) -> String {
        let failed: Vec<&str> = self.failed.iter().map(|(host, _)| host.as_str()).collect();
        match (self.renewed.as_slice(), failed.as_slice()) {
            ([], []) => "nothing to renew".to_owned(),
            (renewed, []) => format!("renewed {}", renewed.join(", ")),
            ([], failed) => format!("not renewed: {}", failed.join(", ")),
            (renewed, failed) => {
                format!("renewed {}; not renewed: {}", renewed.join(", "), failed.join(", "))
            }
        }
    }
}
