//! The machine this runs on: its metadata service, its region, and which endpoints it can reach.
//!
//! Everything is found out when it is first needed, and once: an AccessKey with a configured
//! region never asks the metadata service anything.

use std::cell::OnceCell;

use serde::{Deserialize, Serialize};

use crate::aliyun::Hop;
use crate::aliyun::call::{self, Patience};
use crate::aliyun::endpoint::{self, Endpoint};
use crate::aliyun::ids::Region;
use crate::aliyun::metadata::{self, Kind, Metadata, MetadataError};
use crate::config::Settings;
use crate::config::variables::Variables;
use crate::failure::facts::Facts;
use crate::failure::{Exit, Failure};
use crate::pull::call_limit::CallLimit;
use crate::system::firmware::Machine;

/// What one run finds out of the machine and its network, and the next may start from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learnt {
    region: Option<Region>,
    /// Hosts that could not be connected to while another one for the same service could.
    unreachable: Vec<String>,
}

/// The machine, and what has been found out of it so far.
pub struct Node<'a> {
    pub network: call::Network<'a>,
    pub settings: &'a Settings,
    variables: &'a Variables,
    machine: Machine,
    metadata: OnceCell<Metadata<'a>>,
    region: OnceCell<Option<Region>>,
    sts: OnceCell<Endpoint>,
    /// One host is asked for in a run, and it is in one region.
    cr: OnceCell<Endpoint>,
    learnt: Learnt,
    /// What all processes of the machine know of the limit for calls to STS.
    pub limit: CallLimit<'a>,
}

impl<'a> Node<'a> {
    pub fn new(
        network: call::Network<'a>,
        settings: &'a Settings,
        variables: &'a Variables,
        machine: Machine,
        learnt: Learnt,
        limit: CallLimit<'a>,
    ) -> Self {
        let region = learnt.region.clone().map_or_else(OnceCell::new, |region| Some(region).into());
        Self {
            network,
            settings,
            variables,
            machine,
            metadata: OnceCell::new(),
            region,
            sts: OnceCell::new(),
            cr: OnceCell::new(),
            learnt,
            limit,
        }
    }

    /// What the next run may start from, if it is more than this one started from.
    pub fn learnt(&self) -> Option<Learnt> {
        let endpoints = [self.sts.get(), self.cr.get()];
        let given_up = endpoints.into_iter().flatten().flat_map(Endpoint::given_up);
        let mut unreachable = self.learnt.unreachable.clone();
        unreachable.extend(given_up.map(str::to_owned));
        unreachable.sort();
        unreachable.dedup();
        let learnt = Learnt { region: self.region.get().cloned().flatten(), unreachable };
        (learnt != self.learnt).then_some(learnt)
    }

    /// The role name that configuration or environment give, which saves asking for it.
    pub fn worker_role_name(&self) -> Option<&str> {
        let configured = self.settings.worker_role_name.as_deref();
        configured.or(self.variables.worker_role_name.as_deref())
    }

    /// The metadata service, unless it is switched off.
    ///
    /// # Errors
    ///
    /// With `ALIBABA_CLOUD_ECS_METADATA_DISABLED`.
    pub fn metadata(&self) -> Result<&Metadata<'a>, Failure> {
        if self.variables.is_metadata_disabled {
            return Err(Failure::new(
                Exit::Identity,
                "the metadata service is needed but ALIBABA_CLOUD_ECS_METADATA_DISABLED is true",
            )
            .hint("unset the variable, or use RRSA or an AccessKey and set nodeRegion"));
        }
        Ok(self.metadata.get_or_init(|| {
            let base_url = self.settings.endpoints.metadata.as_deref().unwrap_or(metadata::ADDRESS);
            let hardened_only = self.variables.is_hardened_only;
            // Where the firmware does not name the vendor there is most likely nobody at that
            // address: one try of a second shows it; a cloud node is worth several.
            let patience = if self.expects_metadata() { Patience::FULL } else { Patience::BRIEF };
            Metadata::new(self.network, base_url, hardened_only, patience)
        }))
    }

    /// Words a failure of the metadata service.
    pub fn metadata_failure(&self, error: &MetadataError) -> Failure {
        let MetadataError { hop, kind } = error;
        let failure = match kind {
            Kind::Call(error) => {
                let on_cloud_node = self.machine == Machine::AlibabaCloud;
                Failure::of_call(&Facts::metadata(*hop, on_cloud_node), error)
            }
            Kind::Malformed(_) => Failure::new(Exit::Identity, format!("{hop}: {kind}")).passing(),
            other => Failure::new(Exit::Identity, format!("{hop}: {other}")),
        };
        let failure = match kind {
            Kind::NotFound(_) if *hop == Hop::MetadataRoleDocument => {
                failure.hint(match (&self.settings.worker_role_name, self.worker_role_name()) {
                    (Some(_), _) => "correct workerRoleName, or leave it out to use the instance's role",
                    (None, Some(_)) => "correct ALIBABA_CLOUD_ECS_METADATA, or unset it to use the instance's role",
                    (None, None) => "the metadata service named this role just before: try again; if this lasts, check that the role exists and attach it to the instance again",
                })
            }
            Kind::NotFound(_) => failure.hint(
                "attach a RAM role to the instance (ACK nodes have KubernetesWorkerRole-…), or use RRSA or an AccessKey",
            ),
            Kind::NotSuccess(code) => Failure { code: Some(code.clone()), ..failure }
                .hint("see that the instance's RAM role still exists and trusts ecs.aliyuncs.com"),
            Kind::HardenedOnly(_) => failure.hint(
                "unset ALIBABA_CLOUD_IMDSV1_DISABLED, or enable hardened mode on the instance",
            ),
            Kind::Malformed(_) => {
                failure.hint("see what answers in place of the metadata service: a proxy or a filter")
            }
            Kind::Call(_) => failure,
        };
        match (&self.machine, self.expects_metadata()) {
            (Machine::Other(vendor), false) => failure.caused_by(format!(
                "this machine is not a cloud node: its firmware names `{vendor}`, not `Alibaba Cloud`"
            )),
            (Machine::Unknown, false) => {
                failure.caused_by("this machine's firmware does not say that it is a cloud node")
            }
            _ => failure,
        }
    }

    /// The node's region.
    ///
    /// # Errors
    ///
    /// When nothing names it.
    pub fn region(&self) -> Result<Region, Failure> {
        if let Some(region) = &self.settings.node_region {
            return Ok(region.clone());
        }
        if let Some(Some(region)) = self.region.get() {
            return Ok(region.clone());
        }
        let region = self.metadata()?.region().map_err(|error| {
            self.metadata_failure(&error)
                .hint("set regionId in the entry, or nodeRegion in credential-provider")
        })?;
        // Taken already if the service did not answer at once: then it is asked again.
        let _ = self.region.set(Some(region.clone()));
        Ok(region)
    }

    /// STS for a registry in `registry_region`: in the node's region if that can be known.
    ///
    /// # Errors
    ///
    /// When a VPC host is wanted and no region is known.
    pub fn sts(&self, registry_region: Option<&Region>) -> Result<&Endpoint, Failure> {
        if let Some(endpoint) = self.sts.get() {
            return Ok(endpoint);
        }
        let endpoint = self.find_sts(registry_region)?;
        Ok(self.sts.get_or_init(|| endpoint))
    }

    /// The Container Registry API in the instance's region; `region` is asked only if nothing
    /// overrides the endpoint.
    ///
    /// # Errors
    ///
    /// When the region cannot be found out.
    pub fn cr(
        &self,
        region: impl FnOnce() -> Result<Region, Failure>,
    ) -> Result<&Endpoint, Failure> {
        if let Some(endpoint) = self.cr.get() {
            return Ok(endpoint);
        }
        let endpoint = if let Some(url) = &self.settings.endpoints.cr {
            Endpoint::fixed(url)
        } else {
            let region = region()?;
            let network = self.settings.network.unwrap_or(endpoint::Network::Auto);
            let auto = network == endpoint::Network::Auto;
            let same_region = auto && self.region_if_known().as_ref() == Some(&region);
            Endpoint::cr(&region, network, same_region).without(&self.learnt.unreachable)
        };
        Ok(self.cr.get_or_init(|| endpoint))
    }

    /// Begins to connect to ACR while STS answers, where its host is known without asking anybody.
    pub fn connect_to_cr(&self, region: Option<&Region>) {
        let auto = matches!(self.settings.network, None | Some(endpoint::Network::Auto));
        let chosen = !auto || self.settings.node_region.is_some() || self.region.get().is_some();
        if self.settings.endpoints.cr.is_none() && (region.is_none() || !chosen) {
            return;
        }
        let unknown = || Failure::new(Exit::Unexpected, "no region");
        if let Ok(endpoint) = self.cr(|| region.cloned().ok_or_else(unknown)) {
            let candidate = endpoint.current();
            self.network.http.connect_ahead(&candidate.url, candidate.route());
        }
    }

    fn find_sts(&self, registry_region: Option<&Region>) -> Result<Endpoint, Failure> {
        if let Some(url) = &self.settings.endpoints.sts {
            return Ok(Endpoint::fixed(url));
        }
        if let Some(url) = &self.variables.sts_endpoint {
            return Ok(Endpoint::fixed(url));
        }
        let network = match self.settings.network {
            Some(network) => network,
            None if self.variables.prefers_vpc => endpoint::Network::Vpc,
            None => endpoint::Network::Auto,
        };
        let region = self.settings.node_region.as_ref().or(self.variables.sts_region.as_ref());
        let region = region.cloned().or_else(|| self.region_if_known());
        let region = region.as_ref().or(registry_region);
        if region.is_none() && network == endpoint::Network::Vpc {
            return Err(Failure::new(
                Exit::Usage,
                "STS has VPC hosts by region, and no region is known",
            )
            .hint("set nodeRegion in credential-provider"));
        }
        let on_cloud_node = self.machine == Machine::AlibabaCloud
            || self.metadata.get().is_some_and(Metadata::has_answered);
        Ok(Endpoint::sts(region, network, on_cloud_node).without(&self.learnt.unreachable))
    }

    /// The node's region, if that takes no more than asking a metadata service that is there.
    fn region_if_known(&self) -> Option<Region> {
        if self.settings.node_region.is_some() {
            return self.settings.node_region.clone();
        }
        let ask = || {
            if !self.expects_metadata() && !self.metadata.get().is_some_and(Metadata::has_answered)
            {
                return None;
            }
            self.metadata().ok()?.region_at_once()
        };
        self.region.get_or_init(ask).clone()
    }

    fn expects_metadata(&self) -> bool {
        self.machine == Machine::AlibabaCloud || self.settings.endpoints.metadata.is_some()
    }
}
