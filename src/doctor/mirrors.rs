//! Mirrors in the files of containerd and CRI-O: whether the login of a host would go out in clear, or
//! to a host that the configuration does not name.

mod containerd;
mod crio;

use std::net::IpAddr;
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::aliyun::registry_host::{RegistryHost, without_port};
use crate::config::Config;
use crate::doctor::report::{Check, Name};
use crate::setup::tree::Tree;

const NAME: Name = Name("mirrors");

/// The check, if a runtime of this machine has a rule for one of the hosts.
#[must_use]
pub fn check(root: &Path, hosts: &[String], config: &Config) -> Option<Check> {
    let mut look = Look::new(root, config)?;
    look.containerd(root, hosts);
    look.crio(root, hosts);
    (!look.check.details().is_empty()).then_some(look.check)
}

/// Whether a runtime of this machine has a rule for a host, so that it may pull from elsewhere or trust
/// other certificates.
#[must_use]
pub fn has_rule(root: &Path, host: &str, config: &Config) -> bool {
    let Some(mut look) = Look::new(root, config) else { return false };
    look.containerd_has_rule(root, host) || look.crio_has_rule(host)
}

struct Look<'c> {
    tree: Tree,
    config: &'c Config,
    check: Check,
}

impl<'c> Look<'c> {
    fn new(root: &Path, config: &'c Config) -> Option<Self> {
        Some(Self { tree: Tree::new(root).ok()?, config, check: Check::new(NAME) })
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

/// A host that a runtime asks in place of a registry.
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
}
