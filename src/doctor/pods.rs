//! Hosts that pods alone get a login for, each with a token of its own.

use crate::config::Config;
use crate::doctor::report::Station;
use crate::node::Node;
use crate::registry::RegistryHost;
use crate::selection;

/// The stations of a pull that nobody but a pod can make; none where doctor can go the way itself.
/// Without this a node that is set up well would look broken.
pub(super) fn stations(
    host: &str,
    form: Option<&RegistryHost>,
    config: &Config,
    node: &Node<'_>,
) -> Option<Vec<Station>> {
    let claim = selection::claim(&config.entries, host, form, || node.region()).ok()?;
    let entries = claim.entries();
    let pods_alone = entries.iter().all(|entry| entry.identity.requires_pod_tokens());
    if entries.is_empty() || !pods_alone {
        return None;
    }
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    let mut entry = Station::new("entry");
    entry.tell(format!("{host} is for pods with a token of their own, by {}", names.join(" or ")));
    let why = "podIdentity: required, and there is no pod's token here; README says how to try one by hand";
    let later = ["identity", "endpoints", "clock", "role", "token", "registry"];
    let skipped = later.into_iter().map(|name| Station::skipped(name, why));
    Some([entry].into_iter().chain(skipped).collect())
}
