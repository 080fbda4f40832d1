//! How the container runtime of this machine reaches a registry: by its own proxies, and by rules of its
//! own.

use std::path::Path;

use crate::config::Config;
use crate::config::variables::Proxies;
use crate::doctor::mirrors;
use crate::kubelet::process::variables_of;
use crate::net::http::Routes;
use crate::net::proxy;
use crate::system::environment::Environment;

const RUNTIMES: [&str; 3] = ["containerd", "crio", "dockerd"];

/// The runtime, as far as it is seen.
pub struct ContainerRuntime<'c> {
    root: &'c Path,
    config: &'c Config,
    /// Its process, and the proxies of its environment.
    process: Option<(&'static str, Proxies)>,
}

impl<'c> ContainerRuntime<'c> {
    #[must_use]
    pub fn of(root: &'c Path, config: &'c Config) -> Self {
        let process = RUNTIMES.into_iter().find_map(|name| {
            let environment = Environment::new(variables_of(root, name)?);
            Some((name, Proxies::of(&environment)))
        });
        Self { root, config, process }
    }

    /// The runtime's name, and how its requests leave the machine. Where no runtime is seen they are
    /// taken to leave as the kubelet's do.
    #[must_use]
    pub fn routes(&self, kubelets: &Routes) -> (&'static str, Routes) {
        let Some((name, Proxies { https_proxy, no_proxy })) = &self.process else {
            return ("", kubelets.clone());
        };
        let trust = kubelets.trust.clone();
        let setting = |(variable, address)| proxy::Setting { variable, address };
        let https_proxy = https_proxy.clone().map(setting);
        (name, Routes { https_proxy, no_proxy: no_proxy.clone(), trust })
    }

    /// Whether it has rules for a host, by which images may come from elsewhere.
    #[must_use]
    pub fn has_rule(&self, host: &str) -> bool {
        mirrors::has_rule(self.root, host, self.config)
    }
}
