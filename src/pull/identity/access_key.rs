//! An AccessKey, from an entry or the environment.

use crate::aliyun::{Credentials, ram_policy};
use crate::config::Entry;
use crate::failure::service_codes::ACCESS_KEY_OWNER;
use crate::pull::identity::established::Identity;

/// What tells it from others, without its secret.
pub(super) fn key(credentials: &Credentials) -> String {
    let Credentials { access_key_id, access_key_secret: _, security_token: _ } = credentials;
    format!("AccessKey {access_key_id}")
}

/// A temporary AccessKey does not say whose it is.
pub(super) fn may_be_kept(credentials: &Credentials) -> bool {
    credentials.security_token.is_none()
}

pub(super) fn establish(credentials: &Credentials) -> Identity {
    Identity {
        credentials: credentials.clone(),
        owner: format!("{ACCESS_KEY_OWNER} {}", masked(&credentials.access_key_id)),
        ends: None,
        about: None,
    }
}

/// For a report of one pull.
pub(super) fn report(entry: &Entry, identity: &Identity) -> String {
    let from = if entry.written.at.is_some() { "configuration" } else { "environment" };
    format!("{}, from the {from}", identity.owner)
}

/// What a trust policy names.
pub(super) fn principal() -> String {
    ram_policy::KEY_ACCOUNT.to_owned()
}

/// Enough of an `AccessKey` id to tell which one it is; of what may be a secret in its place,
/// nothing. Ids of old accounts have no such prefix; a secret never does.
fn masked(id: &str) -> String {
    let is_id = ["LTAI", "STS."].iter().any(|prefix| id.starts_with(prefix));
    let tail: Vec<char> = id.chars().rev().take(if is_id { 4 } else { 0 }).collect();
    format!("…{}", tail.into_iter().rev().collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_key_is_shown_by_the_end_of_its_id_and_a_secret_not_at_all() {
        assert_eq!(masked("LTAI5tFakeFakeFakeFake01"), "…ke01");
        assert_eq!(masked("MadeUpB3pullTk9Dw2Mv7Qz4Xc6Ln0"), "…");
    }
}
