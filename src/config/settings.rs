//! `credential-provider`: our own settings, all optional.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::aliyun::endpoint::Network;
use crate::aliyun::ids::{Region, is_account_id, is_role_name};
use crate::aliyun::metadata;
use crate::aliyun::registry_host::{is_host_and_port, is_port};
use crate::aliyun::signature::Scheme;
use crate::config::diagnostics::notes::Notes;
use crate::config::file::Section;
use crate::config::hosts;
use crate::system::go_duration;

/// Where ACK's RRSA webhook, and our `DaemonSet`, put the token.
const OIDC_TOKEN_FILE: &str = "/var/run/secrets/ack.alibabacloud.com/rrsa-tokens/token";

const TIMEOUT: Duration = Duration::from_secs(25);
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);
/// The kubelet kills a plugin after a minute; above this its message would come instead of ours.
pub const LONGEST_TIMEOUT: Duration = Duration::from_secs(50);
const MARGIN: Duration = Duration::from_secs(30);
const LONGEST_MARGIN: Duration = Duration::from_secs(15 * 60);

/// Our own settings, with their defaults filled in.
#[derive(Debug, Clone)]
pub struct Settings {
    pub endpoints: Endpoints,
    /// None when left out, so that the vendor's variable can say something.
    pub network: Option<Network>,
    pub ca_file: Option<PathBuf>,
    pub oidc_token_file: PathBuf,
    pub worker_role_name: Option<String>,
    pub node_region: Option<Region>,
    /// What is kept back of a login's life, so that a pull that has begun can end.
    pub margin: Duration,
    /// None for `off`.
    pub cache_dir: Option<CacheDir>,
    /// A file for `node_exporter`'s textfile collector.
    pub metrics: Option<PathBuf>,
    /// For the whole call.
    pub timeout: Duration,
    pub signature: Scheme,
    /// For a run that meets a used-up call limit: as configured, else as long as a kubelet allows for.
    pub patience: Duration,
    pub cluster_id: Option<String>,
    /// The account of roles that a service account's annotation names.
    pub account_id: Option<String>,
}

/// Where the node's cache is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheDir {
    /// The runtime directory of root or of the user.
    Default,
    At(PathBuf),
}

/// Base URLs in place of the regions' own.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    pub sts: Option<String>,
    pub cr: Option<String>,
    pub metadata: Option<String>,
    pub registry: Option<String>,
}

impl Settings {
    pub(super) fn read(section: &Section, endpoints: &Section, notes: &mut Notes) -> Self {
        let mut url = |name: &str, is_metadata| base_url(name, is_metadata, endpoints, notes);
        let endpoints = Endpoints {
            sts: url("sts", false),
            cr: url("cr", false),
            metadata: url("metadata", true),
            registry: url("registry", false),
        };
        let mut path = |name: &str| section.value(name, notes, absolute);
        let (ca_file, oidc_token_file) = (path("caFile"), path("oidcTokenFile"));
        let mut text = |name: &str, fits: fn(&str) -> bool| {
            section.value(name, notes, |text| fits(text).then(|| text.to_owned()))
        };
        let worker_role_name = text("workerRoleName", is_role_name);
        let (cluster_id, account_id) =
            (text("clusterId", is_cluster_id), text("accountId", is_account_id));
        let mut duration = |name: &str, range: RangeInclusive<Duration>| {
            let within = |text: &str| go_duration::parse_go(text).filter(|it| range.contains(it));
            section.value(name, notes, within)
        };
        let margin = duration("margin", Duration::ZERO..=LONGEST_MARGIN).unwrap_or(MARGIN);
        let timeout = duration("timeout", SHORTEST_TIMEOUT..=LONGEST_TIMEOUT);
        let cache_dir = section.value("cacheDir", notes, |text| match text {
            "off" => Some(None),
            path => absolute(path).map(|path| Some(CacheDir::At(path))),
        });
        let metrics = section.value("metrics", notes, |text| {
            absolute(text).filter(|path| path.extension().is_some_and(|kind| kind == "prom"))
        });
        if let (Some(None), Some(_), Some(at)) = (&cache_dir, &metrics, section.given("metrics")) {
            let message = "`metrics` needs the cache, and `cacheDir` is off: take one of them out";
            notes.problem(at, message);
        }
        Self {
            endpoints,
            metrics,
            network: section.value("network", notes, |text| match text {
                "auto" => Some(Network::Auto),
                "vpc" => Some(Network::Vpc),
                "internet" => Some(Network::Internet),
                _ => None,
            }),
            ca_file,
            oidc_token_file: oidc_token_file.unwrap_or_else(|| PathBuf::from(OIDC_TOKEN_FILE)),
            worker_role_name,
            node_region: hosts::region(section, "nodeRegion", notes),
            margin,
            cache_dir: cache_dir.unwrap_or(Some(CacheDir::Default)),
            timeout: timeout.unwrap_or(TIMEOUT),
            patience: timeout.unwrap_or(LONGEST_TIMEOUT),
            signature: section
                .value("signature", notes, |text| match text {
                    "v1" => Some(Scheme::V1),
                    "acs3" => Some(Scheme::Acs3),
                    _ => None,
                })
                .unwrap_or_default(),
            cluster_id,
            account_id,
        }
    }
}

/// What is wrong with a base URL, to be put behind its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("not a URL; expected https://<host>")]
    NoScheme,
    #[error("not a base URL; expected https://<host>[:port] and nothing behind it")]
    NoBase,
    #[error("http; expected https (http is for loopback and the metadata address only)")]
    Http,
    #[error("neither https nor http")]
    OtherScheme,
}

/// Checks a base URL: https, or http where the traffic stays on the machine.
///
/// # Errors
///
/// See [`UrlError`].
pub fn check_base_url(url: &str, is_metadata: bool) -> Result<String, UrlError> {
    let trimmed = url.strip_suffix('/').unwrap_or(url);
    let (scheme, authority) = trimmed.split_once("://").ok_or(UrlError::NoScheme)?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let address: Option<IpAddr> = match in_brackets {
        Some(inner) => inner.parse().ok().map(IpAddr::V6),
        None => host.parse().ok().map(IpAddr::V4),
    };
    // A dot at its end makes a name absolute. What ends in a number is an address and not a name.
    let bare = host.strip_suffix('.').unwrap_or(host);
    let digits = |label: &str| label.bytes().all(|b| b.is_ascii_digit());
    let is_address = bare.rsplit('.').next().is_some_and(digits);
    let name = !is_address && !host.contains(':') && is_host_and_port(bare);
    if !(name || address.is_some()) || !port.is_none_or(is_port) {
        return Err(UrlError::NoBase);
    }
    let loopback = host == "localhost" || address.is_some_and(|address| address.is_loopback());
    match scheme {
        "https" => Ok(trimmed.to_owned()),
        "http" if loopback || (is_metadata && trimmed == metadata::ADDRESS) => {
            Ok(trimmed.to_owned())
        }
        "http" => Err(UrlError::Http),
        _ => Err(UrlError::OtherScheme),
    }
}

fn base_url(name: &str, is_metadata: bool, section: &Section, notes: &mut Notes) -> Option<String> {
    let written = section.text(name, notes)?;
    let checked = check_base_url(&written.text, is_metadata);
    let wrong = |wrong| notes.problem(written.at, format!("`endpoints.{name}` is {wrong}"));
    checked.map_err(wrong).ok()
}

/// The kubelet decides what the working directory is, so a path must not depend on it.
pub(super) fn absolute(text: &str) -> Option<PathBuf> {
    Path::new(text).is_absolute().then(|| PathBuf::from(text))
}

fn is_cluster_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 54
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}
