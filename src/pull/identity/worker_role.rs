//! The role of the instance, from its metadata service.

use crate::aliyun::owner::Owner;
use crate::failure::Failure;
use crate::pull::identity::established::Identity;
use crate::pull::node::Node;

/// What distinguishes it from others.
pub(super) fn key() -> String {
    "worker role".to_owned()
}

/// `named` is the role that is asked for, if the node is not to say which it has.
pub(super) fn establish(node: &Node<'_>, named: Option<&str>) -> Result<Identity, Failure> {
    let metadata = node.metadata()?;
    let role = match named.or(node.worker_role_name()) {
        Some(name) => name.to_owned(),
        None => metadata.role_name().map_err(|error| node.metadata_failure(&error))?,
    };
    let credentials =
        metadata.role_credentials(&role).map_err(|error| node.metadata_failure(&error))?;
    Ok(Identity { credentials, owner: Owner::WorkerRole(role), ends: None, about: None })
}

/// For a report of one pull.
pub(super) fn report(identity: &Identity) -> String {
    format!("{}, from the instance metadata", identity.owner)
}

/// What a trust policy names.
pub(super) fn principal(account: &str, role: &str) -> String {
    format!("acs:ram::{account}:role/{role}")
}
