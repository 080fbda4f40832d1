//! Mirrors in the files of containerd and CRI-O: whether the login of a host would go out in clear, or
//! to a host that the configuration does not name.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::aliyun::registry_host::{RegistryHost, without_port};
use crate::config::Config;
use crate::doctor::report::{Check, Name};
use crate::kubelet::process::arguments_of;
use crate::setup::tree::Tree;

const NAME: Name = Name("mirrors");

const CONTAINERD: &str = "containerd";
const CONTAINERD_CONFIG: &str = "/etc/containerd/config.toml";
/// Where containerd looks for `hosts.toml` if its configuration does not say so.
const HOSTS_FOLDER: &str = "/etc/containerd/certs.d";

const CRIO: &str = "crio";
const REGISTRIES: &str = "/etc/containers/registries.conf";
const REGISTRIES_FOLDER: &str = "/etc/containers/registries.conf.d";

/// The check, if a runtime of this machine has a rule for one of the hosts.
#[must_use]
pub fn check(root: &Path, hosts: &[String], config: &Config) -> Option<Check> {
    let mut look = Look { tree: Tree::new(root).ok()?, config, check: Check::new(NAME) };
    let folders = look.hosts_folders(root);
    for host in hosts {
        look.containerd(&folders, host);
    }
    if arguments_of(root, CRIO).is_some() {
        look.crio(hosts);
    }
    (!look.check.details().is_empty()).then_some(look.check)
}

/// Whether a runtime of this machine has a rule for a host, so that it may pull from elsewhere or trust
/// other certificates.
#[must_use]
pub fn has_rule(root: &Path, host: &str, config: &Config) -> bool {
    let Ok(tree) = Tree::new(root) else { return false };
    let mut look = Look { tree, config, check: Check::new(NAME) };
    let folders = look.hosts_folders(root);
    look.folder(&folders, host).is_some() || look.rules().any(|(_, rule)| rule.is_for(host))
}

/// What is read of containerd's own configuration, in each of its versions.
#[derive(Default, Deserialize)]
struct Containerd {
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
    registry: Option<PluginRegistry>,
}

#[derive(Deserialize)]
struct PluginRegistry {
    config_path: Option<String>,
}

/// `hosts.toml`.
#[derive(Deserialize)]
struct Hosts {
    #[serde(default)]
    host: BTreeMap<String, HostTable>,
}

#[derive(Deserialize)]
struct HostTable {
    capabilities: Option<Vec<String>>,
    #[serde(default)]
    skip_verify: bool,
}

/// `registries.conf`.
#[derive(Deserialize)]
struct Registries {
    #[serde(default)]
    registry: Vec<Registry>,
}

#[derive(Deserialize)]
struct Registry {
    prefix: Option<String>,
    location: Option<String>,
    #[serde(default)]
    insecure: bool,
}

struct Look<'c> {
    tree: Tree,
    config: &'c Config,
    check: Check,
}

impl Look<'_> {
    /// As the running containerd has them.
    fn hosts_folders(&mut self, root: &Path) -> Vec<String> {
        let line = arguments_of(root, CONTAINERD).unwrap_or_default();
        let file = option(&line).unwrap_or(CONTAINERD_CONFIG.to_owned());
        let plugins = self.read::<Containerd>(&file).unwrap_or_default().plugins;
        let named = [plugins.images, plugins.grpc, plugins.cri].into_iter().flatten();
        let named = named.filter_map(|plugin| plugin.registry?.config_path);
        let folders = named.into_iter().find(|path| !path.is_empty());
        let folders = folders.unwrap_or(HOSTS_FOLDER.to_owned());
        folders.split(':').map(str::to_owned).collect()
    }

    /// The folder with containerd's rules for a host.
    fn folder(&self, folders: &[String], host: &str) -> Option<String> {
        let names = host.split_once(':').map(|(name, port)| format!("{name}_{port}_"));
        let names: Vec<&str> = names.as_deref().into_iter().chain([host, "_default"]).collect();
        let mut all = folders.iter().flat_map(|folder| {
            names.iter().map(move |name| format!("{}/{name}", folder.trim_end_matches('/')))
        });
        all.find(|folder| self.tree.is_folder(folder))
    }

    fn containerd(&mut self, folders: &[String], host: &str) {
        let Some(folder) = self.folder(folders, host) else { return };
        let file = format!("{folder}/hosts.toml");
        let Some(Hosts { host: mirrors }) = self.read(&file) else { return };
        for (url, table) in &mirrors {
            let is_pulled = |capabilities: &Vec<String>| {
                capabilities.iter().any(|what| what == "pull" || what == "resolve")
            };
            if table.capabilities.as_ref().is_none_or(is_pulled) {
                self.mirror(&file, host, &Mirror::of(url), table.skip_verify);
            }
        }
    }

    /// containerd gives the registry's login to every host of the file that asks for one.
    fn mirror(&mut self, file: &str, host: &str, mirror: &Mirror, skips: bool) {
        let Mirror { authority, is_clear } = mirror;
        self.check.detail(format!("containerd asks {authority} for images of {host} ({file})"));
        if *is_clear && !is_loopback(authority) {
            self.check.warn(
                format!("containerd sends the login of {host} to {authority} in clear, over http"),
                format!("use https for {authority} in {file}, or remove it there"),
            );
        } else if skips {
            self.check.warn(
                format!(
                    "containerd sends the login of {host} to {authority} and does not check its certificate"
                ),
                format!("set `ca` in place of `skip_verify` in {file}"),
            );
        }
        if !self.is_named(host, authority) {
            self.check.warn(
                format!(
                    "containerd gives the login of {host} to {authority}, which is in neither `domains` nor `mirrors`"
                ),
                format!(
                    "if you trust {authority} with the login, list it in `mirrors` of the entry; else remove it from {file}"
                ),
            );
        }
    }

    /// Whether a mirror may have a host's login: it is listed, or it is another host of the same instance.
    fn is_named(&self, host: &str, mirror: &str) -> bool {
        let is_listed = self.config.entries.iter().any(|entry| {
            entry.scope.domains().iter().chain(&entry.mirrors).any(|named| named == mirror)
        });
        let forms = RegistryHost::parse(host).zip(RegistryHost::parse(mirror));
        let is_same = forms.is_some_and(|(one, other)| one.is_of_same_instance(&other));
        is_listed || host == mirror || is_same
    }

    /// CRI-O keeps the login of an image from mirrors on other hosts. What is left is the host itself.
    fn crio(&mut self, hosts: &[String]) {
        for (file, rule) in self.rules().filter(|(_, rule)| rule.insecure) {
            for host in hosts.iter().filter(|host| rule.is_for(host)) {
                self.check.warn(
                    format!(
                        "CRI-O may send the login of {host} in clear, or to any server that answers: {file} has `insecure = true`"
                    ),
                    format!("remove `insecure` for {host} from {file}"),
                );
            }
        }
    }

    /// The rules of CRI-O, each with its file.
    fn rules(&mut self) -> impl Iterator<Item = (String, Registry)> + use<> {
        let more = self.tree.names(REGISTRIES_FOLDER).into_iter();
        let more = more.filter(|name| Path::new(name).extension().is_some_and(|end| end == "conf"));
        let more = more.map(|name| format!("{REGISTRIES_FOLDER}/{name}"));
        let files: Vec<String> = std::iter::once(REGISTRIES.to_owned()).chain(more).collect();
        let mut all = Vec::new();
        for file in files {
            let read = self.read(&file).unwrap_or(Registries { registry: Vec::new() });
            all.extend(read.registry.into_iter().map(|rule| (file.clone(), rule)));
        }
        all.into_iter()
    }

    /// A file, if it is there; what keeps it from being read is a warning.
    fn read<T: DeserializeOwned>(&mut self, file: &str) -> Option<T> {
        let why = match self.tree.text(file) {
            Ok(None) => return None,
            Ok(Some(text)) => match toml::from_str(&text) {
                Ok(read) => return Some(read),
                // Its own words quote the file, which may hold a login.
                Err(error) => {
                    let before = error.span().and_then(|span| text.get(..span.start));
                    let line = before.unwrap_or_default().matches('\n').count() + 1;
                    format!("line {line} is not of the form that is known")
                }
            },
            Err(error) => error.to_string(),
        };
        self.check.warn(
            format!("mirrors of {file} are not known: {why}"),
            "run doctor as root, and look at this file: the runtime reads it",
        );
        None
    }
}

impl Registry {
    fn is_for(&self, host: &str) -> bool {
        let rule = self.prefix.as_ref().or(self.location.as_ref());
        rule.is_some_and(|rule| match rule.strip_prefix("*.") {
            Some(domain) => without_port(host).ends_with(&format!(".{domain}")),
            None => rule.split('/').next() == Some(host),
        })
    }
}

/// A host of `hosts.toml`.
#[derive(Debug, PartialEq, Eq)]
struct Mirror {
    authority: String,
    is_clear: bool,
}

impl Mirror {
    /// Without a scheme it is https.
    fn of(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        let is_clear = scheme.eq_ignore_ascii_case("http");
        let authority = rest.split('/').next().unwrap_or_default();
        let authority = authority.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
        let port = if is_clear { ":80" } else { ":443" };
        let authority = authority.strip_suffix(port).unwrap_or(&authority).to_owned();
        Self { authority, is_clear }
    }
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => without_port(authority),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
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
    fn hosts_of_mirrors() {
        for (url, authority, is_clear) in [
            ("https://m.example", "m.example", false),
            ("http://M.example:80/v2", "m.example", true),
            ("HTTP://m.example:5000", "m.example:5000", true),
            ("m.example:443", "m.example", false),
            ("https://u:p@m.example/", "m.example", false),
        ] {
            let mirror = Mirror { authority: authority.to_owned(), is_clear };
            assert_eq!(Mirror::of(url), mirror, "{url}");
        }
        for (authority, is_one) in [
            ("localhost:5000", true),
            ("127.0.0.1:30020", true),
            ("[::1]:5000", true),
            ("10.0.0.1", false),
            ("localhost.example", false),
        ] {
            assert_eq!(is_loopback(authority), is_one, "{authority}");
        }
    }

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
