//! What a name leads to, and who says so: a line of `/etc/hosts`, or a name server.

use std::fmt::{self, Display};
use std::fs;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const HOSTS: &str = "/etc/hosts";
const RESOLVER: &str = "/etc/resolv.conf";

/// Authentication services and OSS buckets have addresses in 100.0.0.0/8 within a VPC.
const VPC_SERVICES: u8 = 100;

/// Addresses that are tried of one name.
const MOST: usize = 4;

/// Where an address comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The name is an address.
    Literal,
    /// So many lines down.
    Hosts(usize),
    Resolver,
}

/// Why a name has no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unresolved {
    NoAnswer,
    /// In the words of the resolver.
    Says(String),
}

impl Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal => f.write_str("as it is written"),
            Self::Hosts(line) => write!(f, "{HOSTS}:{line}"),
            Self::Resolver => write!(f, "{}", name_servers()),
        }
    }
}

impl Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer => write!(f, "no answer of {}", name_servers()),
            Self::Says(why) => write!(f, "{why}; asked {}", name_servers()),
        }
    }
}

/// The addresses of a host. The resolver knows no time limit, so it is left behind when it takes too
/// long.
///
/// # Errors
///
/// See [`Unresolved`].
pub fn resolve(host: &str, port: u16, patience: Duration) -> Result<Vec<SocketAddr>, Unresolved> {
    let (sender, receiver) = mpsc::channel();
    let name = (host.to_owned(), port);
    thread::spawn(move || {
        let found = (name.0.as_str(), name.1).to_socket_addrs();
        let found = found.map(|all| all.take(MOST).collect::<Vec<_>>());
        // Nobody may be waiting any more.
        let _ = sender.send(found.map_err(|error| error.to_string()));
    });
    match receiver.recv_timeout(patience) {
        Ok(Ok(addresses)) if addresses.is_empty() => Err(Unresolved::Says("no address".to_owned())),
        Ok(found) => found.map_err(Unresolved::Says),
        Err(_) => Err(Unresolved::NoAnswer),
    }
}

/// Who says that a name has this address.
#[must_use]
pub fn source(host: &str, address: IpAddr) -> Source {
    if host.parse::<IpAddr>().is_ok() {
        return Source::Literal;
    }
    let hosts = fs::read_to_string(HOSTS).unwrap_or_default();
    line_of(&hosts, host, address).map_or(Source::Resolver, Source::Hosts)
}

fn line_of(hosts: &str, host: &str, address: IpAddr) -> Option<usize> {
    let says = |line: &str| {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        words.next().and_then(|first| first.parse().ok()) == Some(address)
            && words.any(|name| name.eq_ignore_ascii_case(host))
    };
    hosts.lines().position(says).map(|at| at + 1)
}

/// The name servers, for people.
fn name_servers() -> String {
    let text = fs::read_to_string(RESOLVER).unwrap_or_default();
    let servers = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    let servers: Vec<&str> = servers.map(str::trim).filter(|server| !server.is_empty()).collect();
    match servers.as_slice() {
        [] => format!("the resolver ({RESOLVER} names no server)"),
        servers => format!("the name server {} of {RESOLVER}", servers.join(", ")),
    }
}

/// Whether an address is of the vendor's services within a VPC.
#[must_use]
pub fn is_vendors(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if v4.octets().first() == Some(&VPC_SERVICES))
}

/// Whether an address is one of the Internet: neither private, nor of a machine or link, nor of the
/// vendor's services within a VPC.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || is_vendors(address))
        }
        IpAddr::V6(v6) => !(v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_hosts() {
        let hosts = "127.0.0.1 localhost\n# 10.0.0.1 a.b\n10.0.0.1\tx A.B # y\n10.0.0.2 a.b\n";
        let line = |name, address: [u8; 4]| line_of(hosts, name, address.into());
        assert_eq!(line("a.b", [10, 0, 0, 1]), Some(3));
        assert_eq!(line("a.b", [10, 0, 0, 2]), Some(4));
        assert_eq!(line("y", [10, 0, 0, 1]), None);
        assert_eq!(line("a.b", [10, 0, 0, 3]), None);
    }

    #[test]
    fn addresses_of_services_within_a_vpc() {
        assert!(is_vendors([100, 103, 0, 1].into()));
        assert!(!is_vendors([101, 103, 0, 1].into()));
    }

    #[test]
    fn public_addresses() {
        for (address, is) in [
            ("47.1.2.3", true),
            ("101.0.0.1", true),
            ("2408:4000::1", true),
            ("100.100.0.1", false),
            ("10.0.0.1", false),
            ("127.0.0.1", false),
            ("fd00::1", false),
            ("::1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), is, "{address}");
        }
    }
}
