//! The registry's login, and how long the kubelet may keep it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::aliyun::endpoint::Endpoint;
use crate::aliyun::ids::InstanceId;
use crate::aliyun::{Credentials, Hop, acr, redact};
use crate::cache::freshness::{self, Rules};
use crate::failure::facts::Facts;
use crate::failure::{Exit, Failure};
use crate::kubelet::exec_api;
use crate::pull::identity::Identity;
use crate::pull::node::Node;
use crate::pull::registry_instance::Target;
use crate::secret::{self, Secret};
use crate::system::clock::Clock;

/// No login lives longer than the longest role session, in milliseconds.
const LONGEST_LIFE: i64 = 43_200_000;
/// How far that may be exceeded by rounding and the time an answer takes, in milliseconds.
const SLACK: i64 = 60_000;

/// A login as it is kept, with what was configured for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Login {
    user_name: String,
    #[serde(serialize_with = "secret::expose")]
    password: Secret,
    /// Seconds.
    expire_duration: u32,
    /// What is kept back of its life.
    margin: Duration,
    /// The host it was first asked for.
    pub host: String,
}

impl Login {
    /// What the kubelet is given of it while `left` of its life is left.
    pub fn answer(self, left: Duration) -> exec_api::Login {
        let cache_seconds = freshness::cache_seconds(left, self.margin, self.expire_duration);
        exec_api::Login { user_name: self.user_name, password: self.password, cache_seconds }
    }
}

/// A login that can be handed out.
pub struct Served {
    pub login: exec_api::Login,
    /// What is left of its life.
    pub left: Duration,
    /// Why it is an old one, though it should have been renewed.
    pub stale: Option<Failure>,
}

impl Served {
    /// An old login is handed out for a short time only.
    pub fn new(kept: Login, left: Duration, stale: Option<Failure>) -> Self {
        let mut login = kept.answer(left);
        if stale.is_some() {
            login.cache_seconds = login.cache_seconds.min(Rules::DEFAULT.stale_answer.as_secs());
        }
        Self { login, left, stale }
    }

    /// The user name for a report, with nothing in it of the password or of what it was asked with.
    pub fn user_name_shown(&self, caller: &Credentials) -> String {
        let exec_api::Login { user_name, password, .. } = &self.login;
        redact::line(user_name, &[&caller.secrets()[..], &[password]].concat())
    }
}

/// Asks for the login of an instance, or of the Personal Edition registry. The second value is
/// what it had left to live when the service issued it.
///
/// # Errors
///
/// With exit code 5, or 6 when time ran out; also for a login that has already ended.
pub fn fetch(
    node: &Node<'_>,
    endpoint: &Endpoint,
    caller: &Identity,
    target: &Target<'_>,
    host: &str,
) -> Result<(Login, Duration), Failure> {
    let instance = target.instance.as_ref();
    let (hop, login) = match instance {
        Some(instance) => (
            Hop::GetAuthorizationToken,
            acr::authorization_token(&node.network, endpoint, &caller.credentials, instance),
        ),
        None => {
            (Hop::PersonalTokens, acr::personal_token(&node.network, endpoint, &caller.credentials))
        }
    };
    let region = target.entry.region.as_ref();
    let facts = Facts::registry(hop, &caller.owner, instance.map(InstanceId::as_str), region);
    let login = login.map_err(|error| Failure::of_call(&facts, &error))?;
    if login.user_name.is_empty() || login.password.is_empty() {
        return Err(Failure::new(
            Exit::RegistryToken,
            format!("the answer has an empty user name or password, in {}", facts.call()),
        )
        .hint("try again; if this lasts, ask the vendor's support")
        .passing());
    }
    let clock = node.network.clock;
    let left = left(&login, caller.ends, clock.now(), reported_time(clock)).map_err(|end| {
        Failure::new(Exit::RegistryToken, format!("the login ended at {end}, before it was issued, in {}", facts.call()))
            .hint("check this machine's clock, and whether something between it and the service caches answers")
            .passing()
    })?;
    let login = Login {
        user_name: login.user_name,
        password: login.password,
        expire_duration: target.entry.expire_duration,
        margin: node.settings.margin,
        host: host.to_owned(),
    };
    Ok((login, left))
}

/// What a login had left to live when it was issued. `ends` is when the pod's own token does,
/// `local` what this machine's clock says, `reported` what an earlier answer of this run reported.
///
/// # Errors
///
/// When it ended, if that was no later than it was issued.
pub fn left(
    login: &acr::Login,
    ends: Option<Timestamp>,
    local: Timestamp,
    reported: Option<Timestamp>,
) -> Result<Duration, Timestamp> {
    let end = ends.map_or(login.expires, |ends| ends.min(login.expires));
    let now = match (ends, login.issued) {
        // A bound that must not be exceeded goes by the later of two clocks that may be wrong.
        (Some(_), None) => local.max(reported.unwrap_or(local)),
        _ => service_time(login, reported).unwrap_or(local),
    };
    let left = u64::try_from(end.as_millisecond() - now.as_millisecond()).unwrap_or(0);
    if left == 0 { Err(end) } else { Ok(Duration::from_millis(left)) }
}

/// What the service's clock said when it issued the login: as its answer says, or else as an
/// earlier one did.
///
/// None without a usable `Date`, and for one by which the login would outlive every possible
/// session.
fn service_time(login: &acr::Login, reported: Option<Timestamp>) -> Option<Timestamp> {
    let possible = |date: &Timestamp| {
        login.expires.as_millisecond() - date.as_millisecond() <= LONGEST_LIFE + SLACK
    };
    login.issued.or(reported).filter(possible)
}

/// The time as the last answer with a `Date` reported it.
fn reported_time(clock: &Clock) -> Option<Timestamp> {
    let ahead = clock.seen().map(SignedDuration::from_secs)?;
    clock.local().checked_add(ahead).ok()
}
