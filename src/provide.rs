//! The pipeline, station by station: from an image to a login.

use crate::config::Config;
use crate::error::{Exit, Failure};
use crate::identity::{Pod, Requester};
use crate::image;
use crate::instance::Lookup;
use crate::kubelet::{self, Request};
use crate::node::Node;
use crate::registry::RegistryHost;
use crate::registry_token::{self, RegistryToken};
use crate::role_chain::{Purpose, Sessions};
use crate::secret::Secret;
use crate::selection;

/// Answers a request: the whole text for stdout.
///
/// # Errors
///
/// When the host is ours and there is no login for it.
pub fn provide(request: &Request, config: &Config, node: &Node<'_>) -> Result<Secret, Failure> {
    let host = image::registry_host(&request.image)
        .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let token = login(host, &request.pod(), config, node).map_err(|failure| {
        failure.for_host(host).after(node.settings.timeout, node.network.journal.longest())
    })?;
    Ok(kubelet::response(request, token.as_ref().map(|token| (host, token))))
}

/// The login of a registry host; none if it is not ours.
fn login(
    host: &str,
    pod: &Pod<'_>,
    config: &Config,
    node: &Node<'_>,
) -> Result<Option<RegistryToken>, Failure> {
    let form = RegistryHost::parse(host);
    let claim = selection::claim(&config.entries, host, form.as_ref(), || node.region())?;

    let registry_region = form.as_ref().map(RegistryHost::region);
    let requester = Requester { pod: *pod, node, registry_region };
    let sessions = Sessions::new(requester);
    let find = |entry: &_| sessions.session(entry, Purpose::Find);
    let lookup = Lookup { host, form: form.as_ref(), node, session: &find };
    let Some(target) = lookup.target(claim)? else { return Ok(None) };
    node.network.journal.debug(format!("{host} is answered by {}", target.entry.name));

    let pull = Purpose::Pull(target.instance.as_ref());
    let session = sessions.session(target.entry, pull)?;
    let endpoint = node.cr(|| lookup.region(target.entry))?;
    registry_token::fetch(node, endpoint, &session, &target).map(Some)
}
