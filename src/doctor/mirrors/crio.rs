//! The rules of CRI-O: `registries.conf` in both of its forms, and `registries.conf.d`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::Look;
use crate::aliyun::registry_host::without_port;
use crate::kubelet::process::arguments_of;

const NAME: &str = "crio";
const FILE: &str = "/etc/containers/registries.conf";
const FOLDER: &str = "/etc/containers/registries.conf.d";

/// `registries.conf`.
#[derive(Default, Deserialize)]
struct Registries {
    #[serde(default)]
    registry: Vec<Registry>,
    /// The older form.
    #[serde(default)]
    registries: Lists,
}

#[derive(Default, Deserialize)]
struct Lists {
    #[serde(default)]
    insecure: List,
}

#[derive(Default, Deserialize)]
struct List {
    #[serde(default)]
    registries: Vec<String>,
}

#[derive(Default, Deserialize)]
struct Registry {
    prefix: Option<String>,
    location: Option<String>,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    mirror: Vec<OneMirror>,
}

#[derive(Deserialize)]
struct OneMirror {
    location: String,
    #[serde(default)]
    insecure: bool,
}

impl Look<'_> {
    /// CRI-O keeps the login of an image from mirrors on other hosts. What is left is the host itself.
    pub(super) fn crio(&mut self, root: &Path, hosts: &[String]) {
        if arguments_of(root, NAME).is_none() {
            return;
        }
        for (file, rule) in self.crio_rules() {
            for host in hosts.iter().filter(|host| rule.is_for(host) && rule.is_insecure(host)) {
                self.check.warn(
                    format!(
                        "CRI-O may send the login of {host} in clear, or to any server that answers: {file} names it as insecure"
                    ),
                    format!("remove `insecure` for {host} from {file}"),
                );
            }
        }
    }

    pub(super) fn crio_has_rule(&mut self, host: &str) -> bool {
        self.crio_rules().iter().any(|(_, rule)| rule.is_for(host))
    }

    /// Each with its file. A later file replaces what an earlier one has for the same images.
    fn crio_rules(&mut self) -> Vec<(String, Registry)> {
        let more = self.tree.names(FOLDER).into_iter();
        let more = more.filter(|name| Path::new(name).extension().is_some_and(|end| end == "conf"));
        let more = more.map(|name| format!("{FOLDER}/{name}"));
        let files: Vec<String> = std::iter::once(FILE.to_owned()).chain(more).collect();
        let mut all = BTreeMap::new();
        for file in files {
            let Registries { registry, registries } = self.read(&file).unwrap_or_default();
            let old = registries.insecure.registries.into_iter();
            let old = old.map(|host| Registry {
                location: Some(host),
                insecure: true,
                ..Registry::default()
            });
            for rule in registry.into_iter().chain(old) {
                all.insert(rule.images().to_owned(), (file.clone(), rule));
            }
        }
        all.into_values().collect()
    }
}

impl Registry {
    /// The beginning of the names of the images that it is for.
    fn images(&self) -> &str {
        self.prefix.as_deref().filter(|prefix| !prefix.is_empty()).unwrap_or(self.location())
    }

    fn location(&self) -> &str {
        self.location.as_deref().unwrap_or_default()
    }

    fn is_for(&self, host: &str) -> bool {
        match self.images().strip_prefix("*.") {
            Some(domain) => without_port(host).ends_with(&format!(".{domain}")),
            None => is_at(self.images(), host),
        }
    }

    /// Whether it is the host itself, not another one in its place, that is reached so.
    fn is_insecure(&self, host: &str) -> bool {
        let stays = self.location().is_empty() || is_at(self.location(), host);
        let is_one = |mirror: &OneMirror| mirror.insecure && is_at(&mirror.location, host);
        self.insecure && stays || self.mirror.iter().any(is_one)
    }
}

/// Whether a place, which may have a path, is at a host.
fn is_at(place: &str, host: &str) -> bool {
    place.split('/').next() == Some(host)
}
