//! What the pods of one service account share while their runs overlap: the login that one of them gets.
//!
//! Each pod has a token of its own. STS decides by issuer, subject and audience, so it would give all of
//! them the same. Nobody checks the signature of a token that is not exchanged: it comes from the kubelet,
//! which has it from the API server. The login reaches only processes of the user to whom the cache
//! belongs, and anyone who can run those can read it anyway.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::aliyun::call::Network;
use crate::cache::{Cache, Failed, Key, Kind};
use crate::config::PodLoginLife;
use crate::failure::{Exit, Failure};
use crate::kubelet::exec_api::Pod;
use crate::pull::identity::{ROLE_NAME_ANNOTATION, service_account};
use crate::pull::registry_token::Login;
use crate::pull::shared;
use crate::system::clock;

/// A login as one run hands it to others.
#[derive(Serialize, Deserialize)]
struct Handed {
    login: Login,
    left: Duration,
    /// Boot time.
    since: Duration,
    /// By how many seconds the service's clock was ahead of this machine's.
    ahead: Option<i64>,
}

/// The login that `make` gets for a pod, or that another run of its service account gets now, and what is
/// left of it; none if the host is not ours. `life` bounds a login of another run: that run may have had
/// another configuration.
///
/// # Errors
///
/// The failure of `make`, of this run or of another's.
pub fn fetch(
    host: &str,
    pod: Pod<'_>,
    cache: &Cache<'_>,
    network: &Network<'_>,
    life: PodLoginLife,
    mut make: impl FnMut() -> Result<Option<(Login, Duration)>, Failure>,
) -> Result<Option<(Login, Duration)>, Failure> {
    let Some((account, ends)) = pod.token.and_then(service_account) else { return make() };
    let role = pod.annotations.and_then(|annotations| annotations.get(ROLE_NAME_ANNOTATION));
    let mut parts = vec![host, role.map_or("", String::as_str)];
    parts.extend(account.iter().map(String::as_str));
    let key = Key::new(Kind::Overlap, &parts);
    let mut own = None;
    let handed = cache.overlap(&key, network.deadline, || {
        let found = make().map_err(|failure| failed(failure, network))?;
        let handed = found.as_ref().map(|(login, left)| Handed {
            login: login.clone(),
            left: *left,
            since: clock::since_boot(),
            ahead: network.clock.seen(),
        });
        own = Some(found);
        Ok(handed)
    });
    if let Some(own) = own {
        return Ok(own);
    }
    let Some(handed) = handed.map_err(shared::failure)? else { return Ok(None) };
    let ends = match life {
        PodLoginLife::Token => Some(ends),
        PodLoginLife::Session => None,
    };
    let Some(login) = handed.for_another(ends, network.clock.local()) else { return make() };
    network.journal.info("another run of this service account has fetched the login");
    Ok(Some(login))
}

/// A failure of the identity may be that of one token alone.
fn failed(failure: Failure, network: &Network<'_>) -> Failed<Failure> {
    let shared = shared::failed(failure, network);
    let is_of_the_token = shared.error.exit == Exit::Identity && !shared.may_pass;
    Failed { is_for_all: shared.is_for_all && !is_of_the_token, ..shared }
}

impl Handed {
    /// The login for another pod, which may keep it until then if its own token is a bound; none if
    /// nothing of it is left.
    fn for_another(self, ends: Option<Timestamp>, local: Timestamp) -> Option<(Login, Duration)> {
        let mut left = self.left.checked_sub(clock::since_boot().saturating_sub(self.since))?;
        if let Some(ends) = ends {
            let service = local + SignedDuration::from_secs(self.ahead.unwrap_or(0));
            left = left.min(Duration::try_from(ends.duration_since(service)).ok()?);
        }
        Some((self.login, left))
    }
}
