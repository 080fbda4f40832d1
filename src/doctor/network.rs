//! Whether a host resolves, can be connected to, and proves who it is.

use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::doctor::report::Station;
use crate::net::http::Routes;
use crate::net::tls;
use crate::system::clock::{self, Deadline};

/// For a name, a connection and a handshake each; a pull gives them no more.
const PATIENCE: Duration = Duration::from_secs(5);

/// For a question to a registry, an authentication service or a bucket: two tries of four seconds.
const QUESTION: Duration = Duration::from_secs(24);

/// Authentication services and OSS buckets have addresses in 100.0.0.0/8 within a VPC.
const VPC_SERVICES: u8 = 100;

/// What to do where 100.0.0.0/8, or a part of it, is used for something else: the vendor's page
/// has one remedy for each kind of name.
pub const AUTHENTICATION_TAKEOVER: &str = "100.0.0.0/8 is the vendor's services', and this VPC uses it otherwise: let the instance take over the authentication domain (console of the instance: Repository, Domain; ask by ticket to be put on the whitelist)";
pub const OSS_BY_PRIVATE_LINK: &str = "100.0.0.0/8 is the vendor's services', and this VPC uses it otherwise: reach OSS by PrivateLink, with a CNAME record for the bucket's name that leads to the PrivateLink domain";

pub const LOOK_AT_THE_NAME: &str = "see where the name leads (DNS, /etc/hosts, PrivateZone)";

/// A deadline for one question, so that a service that took all the time of the pull is not told to be
/// the trouble of those behind it.
#[must_use]
pub fn question() -> Deadline {
    Deadline::new(clock::instant(), QUESTION)
}

/// A host as a URL names it, and what was found of it.
pub struct Probe {
    pub name: String,
    pub address: Option<IpAddr>,
    /// What took how long, for people.
    steps: Vec<String>,
    /// The first step that was not well.
    pub trouble: Option<String>,
}

impl Probe {
    /// Resolves, connects and, for https, shakes hands, as far as it comes.
    #[must_use]
    pub fn of(url: &str, routes: &Routes) -> Self {
        let Some((name, port, is_https)) = host_and_port(url) else {
            let trouble = Some("it is no URL".to_owned());
            return Self { name: url.to_owned(), address: None, steps: Vec::new(), trouble };
        };
        let mut probe = Self { name, address: None, steps: Vec::new(), trouble: None };
        match routes.proxy_for(&probe.name).filter(|_| is_https) {
            None => probe.go(port, is_https, routes),
            Some(address) => {
                let proxy = host_and_port(address);
                let proxy = proxy.map(|(name, port, _)| Self::of_proxy(name, port));
                let told = proxy.as_ref().map_or("it is no URL".to_owned(), Self::told);
                let told = format!("through the proxy of HTTPS_PROXY ({told})");
                match proxy {
                    Some(Self { trouble: None, .. }) => probe.steps.push(told),
                    _ => probe.trouble = Some(told),
                }
            }
        }
        probe
    }

    fn of_proxy(name: String, port: u16) -> Self {
        let mut probe = Self { name, address: None, steps: Vec::new(), trouble: None };
        probe.go(port, false, &Routes::default());
        probe
    }

    fn go(&mut self, port: u16, is_https: bool, routes: &Routes) {
        let begun = clock::instant();
        let addresses = resolve(&self.name, port);
        let Some(first) = addresses.first() else {
            self.trouble = Some("does not resolve".to_owned());
            return;
        };
        self.address = Some(first.ip());
        self.steps.push(format!("{} in {} ms", first.ip(), since(begun)));
        let begun = clock::instant();
        let connect = |at| TcpStream::connect_timeout(at, PATIENCE).ok();
        let Some(stream) = addresses.iter().find_map(connect) else {
            let address = first.ip();
            self.trouble = Some(format!("{address} cannot be connected to at port {port}"));
            return;
        };
        self.steps.push(format!("connected in {} ms", since(begun)));
        if !is_https {
            return;
        }
        let begun = clock::instant();
        match tls::handshake(&routes.trust, &self.name, stream, PATIENCE) {
            Ok(version) => self.steps.push(format!("{version} in {} ms", since(begun))),
            Err(why) => self.trouble = Some(format!("{}: TLS: {why}", first.ip())),
        }
    }

    /// A line about it.
    #[must_use]
    pub fn told(&self) -> String {
        let steps = self.steps.join(", ");
        match &self.trouble {
            None => format!("{}: {steps}", self.name),
            Some(trouble) if self.address.is_none() => format!("{} {trouble}", self.name),
            Some(trouble) => format!("{}: {trouble}", self.name),
        }
    }

    /// Somebody answers, but not the one whose name it is.
    #[must_use]
    pub fn impostor(&self) -> Option<&str> {
        self.trouble.as_deref().filter(|trouble| trouble.contains("TLS: "))
    }

    /// Whether the name leads to the addresses of the vendor's services within a VPC.
    #[must_use]
    pub fn is_vpc_service(&self) -> bool {
        self.address.is_some_and(in_vpc)
    }

    /// What is to be done about its trouble, in general.
    fn remedy(&self) -> String {
        let name = &self.name;
        match (&self.trouble, self.address) {
            (Some(trouble), _) if trouble.contains("TLS") => "see what answers at this name (DNS, /etc/hosts); behind a proxy that inspects TLS set caFile to its CA".to_owned(),
            (Some(trouble), _) if trouble.contains("HTTPS_PROXY") => {
                format!("see that the proxy can be reached, or name {name} in NO_PROXY")
            }
            (_, None) => format!("see /etc/resolv.conf; in a VPC without Internet add {name} to PrivateZone or /etc/hosts"),
            _ => format!("see route, security group and proxy: {name} has to be reached from this node"),
        }
    }

    /// Adds the line, as a warning if there is trouble. False if there is.
    pub fn tell(&self, label: &str, conflict: &str, station: &mut Station) -> bool {
        let line = format!("{label} {}", self.told()).trim_start().to_owned();
        if self.trouble.is_none() {
            station.tell(line);
            return true;
        }
        let by_conflict = self.is_vpc_service() && !conflict.is_empty();
        let remedy = if by_conflict { conflict.to_owned() } else { self.remedy() };
        station.warn(line, remedy);
        false
    }
}

fn since(begun: Instant) -> u128 {
    clock::instant().saturating_duration_since(begun).as_millis()
}

fn in_vpc(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if v4.octets().first() == Some(&VPC_SERVICES))
}

/// Host, port, and whether it is https. User name and password of a proxy are left out.
fn host_and_port(url: &str) -> Option<(String, u16, bool)> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let authority = rest.split(['/', '?']).next()?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let default = if scheme == "http" { 80 } else { 443 };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, port.parse().ok()?),
        _ => (authority, default),
    };
    let host = host.trim_matches(['[', ']']);
    (!host.is_empty()).then(|| (host.to_owned(), port, scheme == "https"))
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
        let at = |host: &str, port, https| Some((host.to_owned(), port, https));
        assert_eq!(host_and_port("https://a.example/v2/"), at("a.example", 443, true));
        assert_eq!(host_and_port("http://127.0.0.1:81"), at("127.0.0.1", 81, false));
        assert_eq!(host_and_port("https://[::1]:8443/x"), at("::1", 8443, true));
        assert_eq!(host_and_port("https://[::1]"), at("::1", 443, true));
        assert_eq!(host_and_port("user:word@proxy:3128"), at("proxy", 3128, false));
        assert_eq!(host_and_port("https:///v2/"), None);
    }

    #[test]
    fn addresses_of_services_within_a_vpc() {
        assert!(in_vpc([100, 103, 0, 1].into()));
        assert!(!in_vpc([101, 103, 0, 1].into()));
    }
}
