//! Whether a host resolves and can be connected to.

use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::clock;
use crate::doctor::report::Station;

/// For a name and for a connection each; a pull gives them no more.
const PATIENCE: Duration = Duration::from_secs(5);

/// Authentication services and OSS buckets have addresses in 100.0.0.0/8 within a VPC.
const VPC_SERVICES: u8 = 100;

/// What to do where an address in 100.0.0.0/8 is not reached as the service that it is: the VPC has
/// given the range, or a part of it, to something else.
#[derive(Debug, Clone, Copy)]
pub enum Conflict {
    Authentication,
    Storage,
    Other,
}

/// Adds a line about the host of a URL. False if it cannot be connected to.
pub fn tell(url: &str, conflict: Conflict, station: &mut Station) -> bool {
    let Some((host, port)) = host_and_port(url) else {
        station.warn(format!("`{url}` is no URL"), "see what answers in place of the registry");
        return false;
    };
    let begun = clock::instant();
    let addresses = resolve(&host, port);
    let resolved = clock::instant().saturating_duration_since(begun).as_millis();
    let Some(first) = addresses.first() else {
        station.warn(
            format!("{host} does not resolve"),
            format!("see /etc/resolv.conf; in a VPC without Internet add {host} to PrivateZone or /etc/hosts"),
        );
        return false;
    };
    let begun = clock::instant();
    let connected = addresses.iter().find_map(|at| TcpStream::connect_timeout(at, PATIENCE).ok());
    let took = clock::instant().saturating_duration_since(begun).as_millis();
    let address = first.ip();
    if connected.is_some() {
        station.tell(format!("{host}: {address} in {resolved} ms, connected in {took} ms"));
        return true;
    }
    let what = format!("{host}: {address} cannot be connected to at port {port}");
    station.warn(what, conflict.remedy(&host).unwrap_or("see route, security group and proxy"));
    false
}

/// Adds what is wrong with whatever answers at a URL whose host can be connected to.
pub fn impostor(url: &str, what: String, conflict: Conflict, station: &mut Station) {
    let remedy = host_and_port(url).and_then(|(host, _)| conflict.remedy(&host));
    station.warn(what, remedy.unwrap_or("see where the name leads (DNS, /etc/hosts, PrivateZone)"));
}

impl Conflict {
    fn remedy(self, host: &str) -> Option<&'static str> {
        let address = resolve(host, 443).first()?.ip();
        in_vpc(address).then_some(match self {
            Self::Authentication => {
                "100.0.0.0/8 is the vendor's services', and this VPC uses it otherwise: let the instance take over \
                 the authentication domain (console: Repository, Domain; ask by ticket to be put on the whitelist)"
            }
            Self::Storage => {
                "100.0.0.0/8 is the vendor's services', and this VPC uses it otherwise: reach the bucket by \
                 PrivateLink, with a CNAME record that leads the bucket's name to that connection's"
            }
            Self::Other => {
                "100.0.0.0/8 is the vendor's services': see whether this VPC uses it otherwise, and its routes"
            }
        })
    }
}

fn in_vpc(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if v4.octets().first() == Some(&VPC_SERVICES))
}

fn host_and_port(url: &str) -> Option<(String, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let default = if scheme == "http" { 80 } else { 443 };
    match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => {
            Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?))
        }
        _ => Some((authority.trim_matches(['[', ']']).to_owned(), default)),
    }
}

/// The resolver knows no time limit, so it is left behind when it takes too long.
fn resolve(host: &str, port: u16) -> Vec<SocketAddr> {
    let (sender, receiver) = mpsc::channel();
    let name = (host.to_owned(), port);
    thread::spawn(move || {
        let addresses = (name.0.as_str(), name.1).to_socket_addrs();
        // Nobody may be waiting any more.
        let _ = sender.send(addresses.map(Iterator::collect).unwrap_or_default());
    });
    receiver.recv_timeout(PATIENCE).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_urls() {
        let at = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(host_and_port("https://a.example/v2/"), at("a.example", 443));
        assert_eq!(host_and_port("http://127.0.0.1:81"), at("127.0.0.1", 81));
        assert_eq!(host_and_port("https://[::1]:8443/x"), at("::1", 8443));
        assert_eq!(host_and_port("https://[::1]"), at("::1", 443));
        assert_eq!(host_and_port("a.example"), None);
    }

    #[test]
    fn addresses_of_services_within_a_vpc() {
        assert!(in_vpc([100, 103, 0, 1].into()));
        assert!(!in_vpc([101, 103, 0, 1].into()));
    }
}
