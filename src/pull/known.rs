//! What the node keeps of a registry's host, and of itself, from one run to the next.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::aliyun::ids::InstanceId;
use crate::cache::freshness::Rules;
use crate::cache::{Cache, Key, Kind, Made};
use crate::failure::Failure;
use crate::pull::node::{Learnt, Node};
use crate::pull::registry_instance::Target;
use crate::system::clock;

/// How long the node trusts what it has learnt of a registry's host before it asks again, and how
/// long if the answer does not come.
const HOST_FRESH: Duration = Duration::from_secs(24 * 60 * 60);
const HOST_USABLE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How long hosts that could not be connected to are not tried.
const NETWORK_FRESH: Duration = Duration::from_secs(60 * 60);

/// Whose login a registry's host takes.
#[derive(Serialize, Deserialize)]
pub struct KnownHost {
    /// By its number.
    pub entry: usize,
    /// None for Personal Edition.
    pub instance: Option<InstanceId>,
    pub login: Key,
}

impl KnownHost {
    pub fn key(host: &str) -> Key {
        Key::new(Kind::Host, &[host])
    }

    /// What is kept of a host; without a target that it is not ours, for a moment.
    pub fn of(target: Option<(&Target<'_>, Key)>) -> Made<Option<Self>> {
        let now = clock::since_boot();
        let Some((target, login)) = target else {
            let until = now + Rules::DEFAULT.shared_failure;
            return Made { value: None, fresh_until: until, until };
        };
        let (entry, instance) = (target.entry.number, target.instance.clone());
        let value = Some(Self { entry, instance, login });
        Made { value, fresh_until: now + HOST_FRESH, until: now + HOST_USABLE }
    }
}

/// What earlier runs have found out of the machine and its network.
pub fn learnt(cache: &Cache<'_>) -> Learnt {
    cache.get_fresh(&node_key()).map(|kept| kept.value).unwrap_or_default()
}

/// Keeps what this run has found out. A failure that may pass could be the result of what earlier runs did.
pub fn keep_learnt<T>(result: &Result<T, Failure>, node: &Node<'_>, cache: &Cache<'_>) {
    match (result, node.learnt()) {
        (Ok(_), Some(value)) => {
            let until = clock::since_boot() + NETWORK_FRESH;
            cache.put(&node_key(), Made { value, fresh_until: until, until });
        }
        (Err(failure), _) if failure.may_pass => cache.forget(&node_key()),
        _ => {}
    }
}

fn node_key() -> Key {
    Key::new(Kind::Node, &[])
}
