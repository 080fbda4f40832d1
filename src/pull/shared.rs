//! What the processes of a node share through its cache: a value, or the failure to get it.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::aliyun::call::Network;
use crate::cache::{Cache, Failed, Fetched, Kept, Key, Made, Missed};
use crate::failure::{Exit, Failure};

/// What is kept, or else what `make` makes, with the failure to renew it where it is an old one.
///
/// # Errors
///
/// The failure of `make`, of this run or of another's; exit code 6 when another process had the
/// lock for all of the time.
pub fn fetch<T: Serialize + DeserializeOwned>(
    key: &Key,
    cache: &Cache<'_>,
    network: &Network<'_>,
    make: impl FnOnce() -> Result<Made<T>, Failure>,
) -> Result<(Kept<T>, Option<Failure>), Failure> {
    let make = || make().map_err(|failure| failed(failure, network));
    match cache.fetch(key, network.deadline, make) {
        Ok(Fetched { kept, stale }) => Ok((kept, stale.map(failure))),
        Err(missed) => Err(failure(missed)),
    }
}

/// A failure as others learn of it.
pub(super) fn failed(failure: Failure, network: &Network<'_>) -> Failed<Failure> {
    Failed {
        may_pass: failure.may_pass,
        // Who had no time left to ask has learnt nothing for the others.
        is_for_all: failure.exit != Exit::OutOfTime || network.journal.longest().is_some(),
        error: failure,
    }
}

/// What is said where there is nothing.
pub(super) fn failure(missed: Missed<Failure>) -> Failure {
    match missed {
        Missed::Failed(failed) => failed.error,
        Missed::Busy => Failure::new(
            Exit::OutOfTime,
            "out of time waiting for another process of this program, which is fetching the same",
        )
        .hint("look for a process of this program that hangs, and end it")
        .passing(),
    }
}
