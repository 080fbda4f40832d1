//! `cacheDuration`, as the kubelet reads it from the whole answer.

use std::time::Duration;

use aliyun_acr_credential_provider::aliyun::acr;
use aliyun_acr_credential_provider::cache::freshness::{self, Rules};
use aliyun_acr_credential_provider::kubelet::exec_api::{read_request, response};
use aliyun_acr_credential_provider::pull::registry_token::{Login, left};
use aliyun_acr_credential_provider::secret::Secret;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;
use simulation::kubelet::decode_response;

const ACME: &str = "acme-registry.cn-hangzhou.cr.aliyuncs.com";
const V1: &str = "credentialprovider.kubelet.k8s.io/v1";

const HOUR: i64 = 3_600_000;
/// Some time in 2026.
const NOW: i64 = 1_780_000_000_000;

fn time(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap()
}

/// Nanoseconds that the kubelet keeps a login.
fn kept(login: Login, left: Duration) -> i64 {
    let request = json!({"kind": "CredentialProviderRequest", "apiVersion": V1, "image": format!("{ACME}/a")});
    let request = read_request(request.to_string().as_bytes()).unwrap();
    let answer = response(&request, Some((ACME, &login.answer(left))));
    let answer = decode_response(answer.expose().as_bytes(), V1).unwrap();
    answer.cache_duration.unwrap().nanoseconds()
}

fn login(expire_duration: u32, margin: u64) -> Login {
    serde_json::from_value(json!({
        "user_name": "cr_temp_user", "password": "p", "expire_duration": expire_duration,
        "margin": {"secs": margin, "nanos": 0}, "host": ACME,
    }))
    .unwrap()
}

proptest! {
    #![proptest_config(super::config())]

    /// Never negative, never past the login's end or the pod token's by the service's clock, never
    /// past `expireDuration`; and all that it may be.
    #[test]
    fn no_longer_than_anything_allows(
        life in -HOUR..13 * HOUR,
        pod in proptest::option::of(-HOUR..13 * HOUR),
        off in -400 * 24 * HOUR..400 * 24 * HOUR,
        dated in any::<bool>(),
        expire_duration in 900u32..=43_200,
        margin in 0u64..=900,
        gone in 0u64..13 * 3_600_000,
    ) {
        // The service's clock says NOW, this machine's says something else if the answer is dated.
        let local = if dated { NOW + off } else { NOW };
        let issued = acr::Login {
            user_name: "cr_temp_user".to_owned(),
            password: Secret::new("p"),
            expires: time(NOW + life),
            issued: dated.then(|| time(NOW)),
        };
        let end = pod.map_or(life, |pod| pod.min(life));
        // A life that no session has is not believed to the date, and counted by the local clock.
        prop_assume!(life <= 12 * HOUR + 60_000 || !dated);
        match left(&issued, pod.map(|pod| time(NOW + pod)), time(local), None) {
            Err(at) => {
                prop_assert!(end <= 0, "{} left", end);
                prop_assert_eq!(at, time(NOW + end));
            }
            Ok(left) => {
                prop_assert!(end > 0);
                prop_assert_eq!(left, Duration::from_millis(end.unsigned_abs()));
                // At once, and later out of the node's cache.
                for gone in [0, gone] {
                    let rest = left.saturating_sub(Duration::from_millis(gone));
                    let told = kept(login(expire_duration, margin), rest);
                    let whole = 1_000_000_000;
                    prop_assert!(told >= 0 && told % whole == 0, "{}", told);
                    prop_assert!(told <= i64::from(expire_duration) * whole);
                    let rest = i64::try_from(rest.as_nanos()).unwrap();
                    let margin = i64::try_from(margin).unwrap() * whole;
                    prop_assert!(told == 0 || told + margin <= rest, "{} of {}", told, rest);
                    // Not a second is given away.
                    let most = ((rest - margin) / whole * whole).clamp(0, i64::from(expire_duration) * whole);
                    prop_assert_eq!(told, most);
                }
            }
        }
    }

    /// The longest life that there is, and an answer's way, are believed.
    #[test]
    fn a_date_of_the_longest_session_is_believed(over in -60_000i64..=60_000, off in 1..HOUR) {
        let life = 12 * HOUR + over;
        let issued = acr::Login {
            user_name: String::new(),
            password: Secret::new(""),
            expires: time(NOW + life),
            issued: Some(time(NOW)),
        };
        prop_assert_eq!(left(&issued, None, time(NOW + off), None), Ok(Duration::from_millis(life.unsigned_abs())));
    }

    /// A date by which the login would outlive every session is none: the local clock counts.
    #[test]
    fn an_impossible_date_is_not_believed(over in 60_001i64..1000 * HOUR, life in 1..12 * HOUR) {
        let issued = acr::Login {
            user_name: String::new(),
            password: Secret::new(""),
            expires: time(NOW + life),
            issued: Some(time(NOW + life - 12 * HOUR - over)),
        };
        prop_assert_eq!(left(&issued, None, time(NOW), None), Ok(Duration::from_millis(life.unsigned_abs())));
    }

    /// Without a date the time that was told on the way counts, whatever this machine's clock says;
    /// a pod's bound is kept by both.
    #[test]
    fn what_was_told_on_the_way(
        life in 1..12 * HOUR,
        pod in proptest::option::of(1..12 * HOUR),
        off in -400 * 24 * HOUR..400 * 24 * HOUR,
    ) {
        let issued = acr::Login {
            user_name: String::new(),
            password: Secret::new(""),
            expires: time(NOW + life),
            issued: None,
        };
        let end = pod.map_or(life, |pod| pod.min(life) - off.max(0));
        let left = left(&issued, pod.map(|pod| time(NOW + pod)), time(NOW + off), Some(time(NOW)));
        prop_assert_eq!(left.ok(), (end > 0).then(|| Duration::from_millis(end.unsigned_abs())));
    }

    /// No number makes it wrong, not those of a cache file either.
    #[test]
    fn any_numbers(left in any::<u64>(), margin in any::<u64>(), expire_duration in any::<u32>()) {
        let told = freshness::cache_seconds(Duration::from_secs(left), Duration::from_secs(margin), expire_duration);
        prop_assert!(told <= left && told <= u64::from(expire_duration));
        prop_assert!(told == 0 || u128::from(told) + u128::from(margin) <= u128::from(left));
    }

    /// Renewal begins no earlier than the threshold says, but for its last seconds, nor before two thirds of the life are over,
    /// and spread over a tenth.
    #[test]
    fn renewal(life in 0u64..=43_200, threshold in 0u64..100_000, random in any::<u64>()) {
        let below = Rules::DEFAULT.renew_below(Duration::from_secs(life), Duration::from_secs(threshold), random);
        let most = Duration::from_secs(threshold.max(5)).min(Duration::from_secs(life) / 3);
        prop_assert!(below <= most);
        prop_assert!(below + most / 10 >= most);
    }
}
