//! The registry's login, and how long the kubelet may keep it.

use std::time::Duration;

use jiff::Timestamp;

use crate::aliyun::Hop;
use crate::aliyun::acr::{self, Login};
use crate::aliyun::endpoint::Endpoint;

use crate::clock::Clock;
use crate::error::{Exit, Failure};
use crate::identity::Identity;
use crate::instance::Target;
use crate::node::Node;
use crate::remedy::Facts;
use crate::secret::Secret;

/// No login lives longer than the longest role session, in milliseconds.
const LONGEST_LIFE: i64 = 43_200_000;
/// How far that may be exceeded by rounding and the time an answer takes, in milliseconds.
const SLACK: i64 = 60_000;

/// What goes to the kubelet.
#[derive(Debug)]
pub struct RegistryToken {
    pub user_name: String,
    pub password: Secret,
    /// Seconds that the kubelet may keep it.
    pub cache_seconds: u64,
}

/// Asks for the login of an instance, or of the Personal Edition registry.
///
/// # Errors
///
/// With exit code 5, or 6 when time ran out; also for a login that has already ended.
pub fn fetch(
    node: &Node<'_>,
    endpoint: &Endpoint,
    caller: &Identity,
    target: &Target<'_>,
) -> Result<RegistryToken, Failure> {
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
    let of = instance.map_or_else(String::new, |instance| format!(" of {instance}"));
    let subject = format!("{hop}{of} by {}", caller.owner);
    let facts = Facts {
        caller: Some(caller.owner.clone()),
        instance: instance.map(ToString::to_string),
        region: target.entry.region.as_ref().map(ToString::to_string),
        ..Facts::default()
    };
    let login = login
        .map_err(|error| Failure::of_call(Exit::RegistryToken, hop, &subject, &error, &facts))?;
    if login.user_name.is_empty() || login.password.is_empty() {
        return Err(Failure::new(
            Exit::RegistryToken,
            format!("{subject}: the answer has an empty user name or password"),
        )
        .hint("try again; tell the vendor's support if it stays"));
    }
    let now = service_time(&login, node.network.clock);
    let end = caller.ends.map_or(login.expires, |end| end.min(login.expires));
    let left = end.as_millisecond() - now.as_millisecond();
    if left <= 0 {
        return Err(Failure::new(Exit::RegistryToken, format!("{subject}: the login ended at {end}, before it was issued"))
            .hint("check this machine's clock, and whether something between it and the service caches answers"));
    }
    let cache_seconds = cache_seconds(left, node.settings.margin, target.entry.expire_duration);
    Ok(RegistryToken { user_name: login.user_name, password: login.password, cache_seconds })
}

/// What the service's clock said when it issued the login.
///
/// An answer without a usable `Date`, or one by which the login would outlive every possible
/// session, leaves our own clock.
fn service_time(login: &Login, clock: &Clock) -> Timestamp {
    let possible = |date: &Timestamp| {
        login.expires.as_millisecond() - date.as_millisecond() <= LONGEST_LIFE + SLACK
    };
    login.issued.filter(possible).unwrap_or_else(|| clock.now())
}

/// `min(expireDuration, time left − margin)`, whole seconds, never negative. `left` is in milliseconds.
fn cache_seconds(left: i64, margin: Duration, expire_duration: u32) -> u64 {
    let left = u64::try_from(left).unwrap_or(0) / 1000;
    left.saturating_sub(margin.as_secs()).min(u64::from(expire_duration))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARGIN: Duration = Duration::from_secs(30);

    #[test]
    fn cache_seconds_end_before_the_login_does() {
        assert_eq!(cache_seconds(3_600_000, MARGIN, 3600), 3570);
        assert_eq!(cache_seconds(3_599_999, MARGIN, 3600), 3569);
        assert_eq!(cache_seconds(43_200_000, MARGIN, 3600), 3600);
        assert_eq!(cache_seconds(43_200_000, MARGIN, 43_200), 43_170);
        assert_eq!(cache_seconds(29_000, MARGIN, 3600), 0);
        assert_eq!(cache_seconds(-1, MARGIN, 3600), 0);
    }
}
