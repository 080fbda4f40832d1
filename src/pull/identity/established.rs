//! What the identities have in common: what they need, and what they give.

use jiff::Timestamp;

use crate::aliyun::Credentials;
use crate::aliyun::endpoint::Endpoint;
use crate::aliyun::ids::Region;
use crate::aliyun::owner::Owner;
use crate::aliyun::sts::About;
use crate::config::Entry;
use crate::failure::Failure;
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

impl<'a> Requester<'a, '_> {
    /// STS as this node should reach it, for a call that is sent now: ACR is connected to while STS answers.
    ///
    /// # Errors
    ///
    /// See [`Node::sts`].
    pub fn sts(&self, entry: &Entry) -> Result<&'a Endpoint, Failure> {
        let region = entry.region.as_ref().or(self.registry_region);
        let sts = self.node.sts(region)?;
        self.node.connect_to_cr(region);
        Ok(sts)
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
