//! What the identities have in common: what they need, and what they give.

use jiff::Timestamp;

use crate::aliyun::Credentials;
use crate::aliyun::call::{CallError, Network};
use crate::aliyun::endpoint::Endpoint;
use crate::aliyun::ids::Region;
use crate::aliyun::owner::Owner;
use crate::aliyun::sts::{self, About, AssumedRole, SessionRequest};
use crate::config::Entry;
use crate::failure::Failure;
use crate::failure::facts::Facts;
use crate::kubelet::exec_api::Pod;
use crate::pull::node::Node;

/// Who asks, from where, and for a registry in which region.
#[derive(Clone, Copy)]
pub struct Requester<'a, 'n> {
    pub pod: Pod<'a>,
    pub node: &'a Node<'n>,
    /// The region in the registry's host name, if it has one.
    pub registry_region: Option<&'a Region>,
}

impl Requester<'_, '_> {
    /// Asks STS, as this node should reach it, within the limit for calls. ACR is connected to while STS
    /// answers.
    ///
    /// # Errors
    ///
    /// See [`Node::sts`]; within, what the call came to.
    pub fn ask_sts<T>(
        &self,
        entry: &Entry,
        call: impl Fn(&Network<'_>, &Endpoint) -> Result<T, CallError>,
    ) -> Result<Result<T, CallError>, Failure> {
        let (node, region) = (self.node, entry.region.as_ref().or(self.registry_region));
        let endpoint = node.sts(region)?;
        Ok(node.limit.ask(&entry.identity, endpoint, &node.network, || {
            node.connect_to_cr(region);
            call(&node.network, endpoint)
        }))
    }

    /// The session of a role that `caller` assumes.
    ///
    /// # Errors
    ///
    /// With exit code 4, or 6 when time ran out.
    pub fn assume(
        &self,
        entry: &Entry,
        role: &AssumedRole,
        request: &SessionRequest<'_>,
        caller: &Identity,
    ) -> Result<Identity, Failure> {
        let facts = Facts::assume_role(&role.arn, &caller.owner);
        let session = self
            .ask_sts(entry, |network, endpoint| {
                sts::assume_role(network, endpoint, &caller.credentials, role, request)
            })?
            .map_err(|error| Failure::of_call(&facts, &error))?;
        let owner = Owner::from(&role.arn);
        let about = Some(session.about);
        Ok(Identity { credentials: session.credentials, owner, ends: caller.ends, about })
    }
}

/// Credentials, and whose they are.
#[derive(Debug, Clone)]
pub struct Identity {
    pub credentials: Credentials,
    pub owner: Owner,
    /// When the pod's token ends; no answer may outlive it.
    pub ends: Option<Timestamp>,
    /// What the service said of the session, if it was just made.
    pub about: Option<About>,
}

impl Identity {
    /// How long its session lasts, for a report.
    pub fn life(&self, seconds: u32) -> String {
        let expires = self.about.as_ref().and_then(About::expires);
        format!(
            " for {seconds} s, until {}",
            expires.as_deref().unwrap_or("a time that was not reported")
        )
    }
}
