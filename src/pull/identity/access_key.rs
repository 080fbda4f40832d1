//! An AccessKey, from an entry or the environment.

use sha1::{Digest, Sha1};

use crate::aliyun::owner::Owner;
use crate::aliyun::{Credentials, ram_policy};
use crate::config::Entry;
use crate::pull::identity::established::Identity;
use crate::system::text::hex;

/// What distinguishes it from others. Keys are written to files, and a secret may stand in the id's place,
/// so it is a digest.
pub(super) fn key(credentials: &Credentials) -> String {
    let Credentials { access_key_id, access_key_secret: _, security_token: _ } = credentials;
    format!("AccessKey {}", hex(&Sha1::digest(access_key_id)))
}

/// A temporary AccessKey does not say whose it is.
pub(super) fn may_be_kept(credentials: &Credentials) -> bool {
    credentials.security_token.is_none()
}

pub(super) fn establish(credentials: &Credentials) -> Identity {
    Identity {
        credentials: credentials.clone(),
        owner: Owner::of_access_key(&credentials.access_key_id),
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
