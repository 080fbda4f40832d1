//! `credential-provider`: our own settings, all optional.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::aliyun::endpoint::Network;
use crate::aliyun::ids::{Region, is_account_id, is_role_name};
use crate::aliyun::metadata;
use crate::aliyun::registry_host::{is_host_and_port, is_port};
use crate::config::diagnostics::notes::{Notes, quotable};
use crate::config::file::{Section, Written};
use crate::system::go_duration;

/// Where ACK's RRSA webhook, and our `DaemonSet`, put the token.
const OIDC_TOKEN_FILE: &str = "/var/run/secrets/ack.alibabacloud.com/rrsa-tokens/token";

const TIMEOUT: Duration = Duration::from_secs(25);
/// The kubelet kills a plugin after a minute; above this its message would come instead of ours.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(50);
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
    /// For the whole call.
    pub timeout: Duration,
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
        let endpoints = Endpoints {
            sts: base_url("sts", endpoints, notes),
            cr: base_url("cr", endpoints, notes),
            metadata: base_url("metadata", endpoints, notes),
            registry: base_url("registry", endpoints, notes),
        };
        Self {
            endpoints,
            network: network(section, notes),
            ca_file: absolute("caFile", section, notes),
            oidc_token_file: absolute("oidcTokenFile", section, notes)
                .unwrap_or_else(|| PathBuf::from(OIDC_TOKEN_FILE)),
            worker_role_name: checked(
                "workerRoleName",
                section,
                notes,
                is_role_name,
                "a RAM role's name, not its ARN",
            ),
            node_region: region("nodeRegion", section, notes),
            margin: duration("margin", MARGIN, Duration::ZERO..=LONGEST_MARGIN, section, notes),
            cache_dir: cache_dir(section, notes),
            timeout: duration(
                "timeout",
                TIMEOUT,
                Duration::from_secs(1)..=LONGEST_TIMEOUT,
                section,
                notes,
            ),
            cluster_id: checked("clusterId", section, notes, is_cluster_id, "letters and digits"),
            account_id: checked(
                "accountId",
                section,
                notes,
                is_account_id,
                "an account id: digits only",
            ),
        }
    }
}

/// A region id behind a key.
pub(super) fn region(name: &str, section: &Section, notes: &mut Notes) -> Option<Region> {
    let written = section.text(name, notes)?;
    let region = Region::parse(&written.text);
    if region.is_none() {
        notes.problem(
            written.at,
            format!(
                "`{name}` is `{}`; expected a region id such as cn-hangzhou",
                quotable(&written.text)
            ),
        );
    }
    region
}

/// Checks a base URL: https, or http where the traffic stays on the machine.
///
/// # Errors
///
/// What is wrong with it, to be put behind its name.
pub fn check_base_url(url: &str, is_metadata: bool) -> Result<String, String> {
    let trimmed = url.strip_suffix('/').unwrap_or(url);
    let (scheme, authority) = trimmed.split_once("://").ok_or("no URL; expected https://<host>")?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let address: Option<IpAddr> = match in_brackets {
        Some(inner) => inner.parse().ok().map(IpAddr::V6),
        None => host.parse().ok().map(IpAddr::V4),
    };
    // A dot at its end makes a name absolute. What ends in a number is an address and no name.
    let bare = host.strip_suffix('.').unwrap_or(host);
    let digits = |label: &str| label.bytes().all(|b| b.is_ascii_digit());
    let is_address = bare.rsplit('.').next().is_some_and(digits);
    let name = !is_address && !host.contains(':') && is_host_and_port(bare);
    if !(name || address.is_some()) || !port.is_none_or(is_port) {
        return Err("no base URL; expected https://<host>[:port] and nothing behind it".to_owned());
    }
    let loopback = host == "localhost" || address.is_some_and(|address| address.is_loopback());
    match scheme {
        "https" => Ok(trimmed.to_owned()),
        "http" if loopback || (is_metadata && trimmed == metadata::ADDRESS) => {
            Ok(trimmed.to_owned())
        }
        "http" => {
            Err("http; expected https (http is for loopback and the metadata address only)"
                .to_owned())
        }
        _ => Err("neither https nor http".to_owned()),
    }
}

fn base_url(name: &str, section: &Section, notes: &mut Notes) -> Option<String> {
    let written = section.text(name, notes)?;
    match check_base_url(&written.text, name == "metadata") {
        Ok(url) => Some(url),
        Err(wrong) => {
            notes.problem(written.at, format!("`endpoints.{name}` is {wrong}"));
            None
        }
    }
}

fn network(section: &Section, notes: &mut Notes) -> Option<Network> {
    let written = section.text("network", notes)?;
    match written.text.as_str() {
        "auto" => Some(Network::Auto),
        "vpc" => Some(Network::Vpc),
        "internet" => Some(Network::Internet),
        other => {
            notes.problem(
                written.at,
                format!("`network` is `{}`; expected auto, vpc or internet", quotable(other)),
            );
            None
        }
    }
}

fn cache_dir(section: &Section, notes: &mut Notes) -> Option<CacheDir> {
    if section.text("cacheDir", notes).is_some_and(|written| written.text == "off") {
        return None;
    }
    Some(absolute("cacheDir", section, notes).map_or(CacheDir::Default, CacheDir::At))
}

/// The kubelet's working directory is none of ours, so a path must not depend on it.
fn absolute(name: &str, section: &Section, notes: &mut Notes) -> Option<PathBuf> {
    let written = section.text(name, notes)?;
    if !Path::new(&written.text).is_absolute() {
        notes.problem(
            written.at,
            format!("`{name}` is `{}`; expected an absolute path", quotable(&written.text)),
        );
        return None;
    }
    Some(PathBuf::from(written.text))
}

fn checked(
    name: &str,
    section: &Section,
    notes: &mut Notes,
    fits: fn(&str) -> bool,
    expected: &str,
) -> Option<String> {
    let Written { at, text } = section.text(name, notes)?;
    if !fits(&text) {
        notes.problem(at, format!("`{name}` is `{}`; expected {expected}", quotable(&text)));
        return None;
    }
    Some(text)
}

fn is_cluster_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 54
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn duration(
    name: &str,
    default: Duration,
    range: std::ops::RangeInclusive<Duration>,
    section: &Section,
    notes: &mut Notes,
) -> Duration {
    let Some(written) = section.text(name, notes) else {
        return default;
    };
    let Some(value) = go_duration::parse_go(&written.text) else {
        notes.problem(
            written.at,
            format!("`{name}` is `{}`; expected a duration such as 25s", quotable(&written.text)),
        );
        return default;
    };
    if !range.contains(&value) {
        let bounds =
            [range.start(), range.end()].map(|bound| go_duration::format_go(bound.as_secs()));
        notes.problem(
            written.at,
            format!(
                "`{name}` is {}; expected {} to {}",
                quotable(&written.text),
                bounds[0],
                bounds[1]
            ),
        );
        return default;
    }
    value
}
