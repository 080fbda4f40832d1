//! The rules of the running containerd: `hosts.toml` in the folders that its configuration names, or
//! mirrors in the configuration itself, the older form.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use serde::Deserialize;

use super::{Look, Mirror};
use crate::kubelet::process::arguments_of;
use crate::setup::unit_files;

const NAME: &str = "containerd";
const CONFIG: &str = "/etc/containerd/config.toml";

/// What is read of containerd's own configuration, in each of its versions.
#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    imports: Vec<String>,
    #[serde(default)]
    plugins: Plugins,
}

#[derive(Default, Deserialize)]
struct Plugins {
    #[serde(rename = "io.containerd.cri.v1.images")]
    images: Option<Plugin>,
    #[serde(rename = "io.containerd.grpc.v1.cri")]
    grpc: Option<Plugin>,
    cri: Option<Plugin>,
}

#[derive(Deserialize)]
struct Plugin {
    registry: Option<Registry>,
}

#[derive(Deserialize)]
struct Registry {
    config_path: Option<String>,
    #[serde(default)]
    mirrors: BTreeMap<String, Endpoints>,
}

#[derive(Deserialize)]
struct Endpoints {
    #[serde(default)]
    endpoint: Vec<String>,
}

/// `hosts.toml`.
#[derive(Deserialize)]
struct Hosts {
    /// Asked last, in place of the registry itself.
    server: Option<String>,
    capabilities: Option<Vec<String>>,
    #[serde(default)]
    skip_verify: bool,
    #[serde(default)]
    host: BTreeMap<String, HostTable>,
}

#[derive(Deserialize)]
struct HostTable {
    capabilities: Option<Vec<String>>,
    #[serde(default)]
    skip_verify: bool,
}

/// Where containerd has its rules.
#[derive(Default)]
struct Rules {
    folders: Vec<String>,
    /// Endpoints by registry host, with the file that names them. They count only if `folders` is empty.
    mirrors: BTreeMap<String, (String, Vec<String>)>,
}

impl Look<'_> {
    pub(super) fn containerd(&mut self, root: &Path, hosts: &[String]) {
        let rules = self.containerd_rules(root);
        for host in hosts {
            if let Some(folder) = self.hosts_folder(&rules, host) {
                self.hosts_file(&format!("{folder}/hosts.toml"), host);
            } else if let Some((file, endpoints)) = rules.mirrors_of(host) {
                for url in endpoints {
                    self.mirror(file, host, &Mirror::of(url), false);
                }
            }
        }
    }

    pub(super) fn containerd_has_rule(&mut self, root: &Path, host: &str) -> bool {
        let rules = self.containerd_rules(root);
        self.hosts_folder(&rules, host).is_some() || rules.mirrors_of(host).is_some()
    }

    /// As the running containerd has them: what a file imports comes behind it and wins.
    fn containerd_rules(&mut self, root: &Path) -> Rules {
        let line = arguments_of(root, NAME).unwrap_or_default();
        let mut rules = Rules::default();
        let mut left = VecDeque::from([option(&line).unwrap_or(CONFIG.to_owned())]);
        let mut seen = BTreeSet::new();
        while let Some(file) = left.pop_front() {
            if !seen.insert(file.clone()) {
                continue;
            }
            let Some(Config { imports, plugins }) = self.read(&file) else { continue };
            let Plugins { images, grpc, cri } = plugins;
            for registry in [cri, grpc, images].into_iter().flatten().filter_map(|it| it.registry) {
                if let Some(path) = registry.config_path {
                    let folders = path.split(':').filter(|folder| !folder.is_empty());
                    rules.folders = folders.map(str::to_owned).collect();
                }
                let mirrors = registry.mirrors.into_iter();
                rules.mirrors.extend(
                    mirrors.map(|(host, Endpoints { endpoint })| (host, (file.clone(), endpoint))),
                );
            }
            let folder = Path::new(&file).parent().unwrap_or(Path::new("/"));
            for import in imports {
                left.extend(unit_files::matching(
                    &self.tree,
                    &folder.join(import).to_string_lossy(),
                ));
            }
        }
        rules
    }

    /// The folder with the rules for a host.
    fn hosts_folder(&self, rules: &Rules, host: &str) -> Option<String> {
        let names = host.split_once(':').map(|(name, port)| format!("{name}_{port}_"));
        let names: Vec<&str> = names.as_deref().into_iter().chain([host, "_default"]).collect();
        let mut all = rules.folders.iter().flat_map(|folder| {
            names.iter().map(move |name| format!("{}/{name}", folder.trim_end_matches('/')))
        });
        all.find(|folder| self.tree.is_folder(folder))
    }

    fn hosts_file(&mut self, file: &str, host: &str) {
        let Some(Hosts { server, capabilities, skip_verify, host: mut all }) = self.read(file)
        else {
            return;
        };
        // The registry itself is not a mirror, unless something is different about it.
        let is_own = Mirror { authority: host.to_owned(), is_clear: false };
        if let Some(server) = server.filter(|it| skip_verify || Mirror::of(it) != is_own) {
            all.entry(server).or_insert(HostTable { capabilities, skip_verify });
        }
        for (url, table) in &all {
            let is_pulled = |capabilities: &Vec<String>| {
                capabilities.iter().any(|what| what == "pull" || what == "resolve")
            };
            if table.capabilities.as_ref().is_none_or(is_pulled) {
                self.mirror(file, host, &Mirror::of(url), table.skip_verify);
            }
        }
    }
}

impl Rules {
    fn mirrors_of(&self, host: &str) -> Option<&(String, Vec<String>)> {
        let found = self.mirrors.get(host).or_else(|| self.mirrors.get("*"));
        found.filter(|_| self.folders.is_empty())
    }
}

/// The value of containerd's `--config`.
fn option(arguments: &[String]) -> Option<String> {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.split_once('=') {
            Some(("--config" | "-config" | "-c", value)) => return Some(value.to_owned()),
            None if ["--config", "-config", "-c"].contains(&argument.as_str()) => {
                return arguments.next().cloned();
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_of_a_running_containerd() {
        for (line, file) in [
            ("containerd", None),
            ("containerd --config /c.toml", Some("/c.toml")),
            ("containerd -c /c.toml --root /r", Some("/c.toml")),
            ("containerd --log-level=debug --config=/c.toml", Some("/c.toml")),
        ] {
            let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(option(&arguments).as_deref(), file, "{line}");
        }
    }
}
