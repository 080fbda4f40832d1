//! Whether a host resolves, can be connected to, and proves who it is.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::doctor::report::Check;
use crate::net::http::Routes;
use crate::net::origin::Origin;
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
pub const AUTHENTICATION_TAKEOVER: &str = "100.0.0.0/8 belongs to the vendor's services, and this VPC uses it for something else. Let the instance take over the authentication domain (console of the instance: Repository, Domain; a ticket puts you on the whitelist)";
pub const OSS_BY_PRIVATE_LINK: &str = "100.0.0.0/8 belongs to the vendor's services, and this VPC uses it for something else. Reach OSS by PrivateLink, with a CNAME record that leads the bucket's name to the PrivateLink domain";

pub const LOOK_AT_THE_NAME: &str = "see where the name leads (DNS, /etc/hosts, PrivateZone)";

/// A deadline for one question: a service that took all the time of the pull is not to make those
/// behind it fail.
#[must_use]
pub fn question() -> Deadline {
    Deadline::new(clock::instant(), QUESTION)
}

/// A host as a URL names it, and what came of asking for it.
pub struct Probe {
    pub name: String,
    pub address: Option<IpAddr>,
    /// What took how long, for people.
    steps: Vec<String>,
    pub outcome: Outcome,
}

/// How far it went.
pub enum Outcome {
    /// Connected and, for https, with a certificate that is trusted for the name.
    Reached,
    NotAUrl,
    Unresolved,
    NotConnected {
        port: u16,
        why: io::Error,
    },
    /// Somebody answers, but not the one whose name it is.
    NotItself(String),
    /// The proxy that leads there.
    Proxy(Box<Probe>),
}

impl Probe {
    /// Resolves, connects and, for https, shakes hands, as far as it comes.
    #[must_use]
    pub fn of(url: &str, routes: &Routes) -> Self {
        let Some(origin) = Origin::of(url) else {
            return Self::new(url.to_owned(), Outcome::NotAUrl);
        };
        let proxy = match routes.proxy_for(&origin) {
            Ok(None) => return Self::direct(origin, Some(routes)),
            Ok(Some(proxy)) => Origin::of(proxy.url()),
            Err(_) => None,
        };
        let proxy = match proxy {
            Some(proxy) => Self::direct(proxy, None),
            // It may hold a password.
            None => Self::new("HTTPS_PROXY".to_owned(), Outcome::NotAUrl),
        };
        Self::new(origin.host, Outcome::Proxy(Box::new(proxy)))
    }

    fn new(name: String, outcome: Outcome) -> Self {
        Self { name, address: None, steps: Vec::new(), outcome }
    }

    /// `routes` say whom to trust, where there is to be TLS.
    fn direct(origin: Origin, routes: Option<&Routes>) -> Self {
        let mut probe = Self::new(origin.host, Outcome::Reached);
        if let Err(outcome) = probe.go(origin.port, routes.filter(|_| origin.is_https)) {
            probe.outcome = outcome;
        }
        probe
    }

    fn go(&mut self, port: u16, routes: Option<&Routes>) -> Result<(), Outcome> {
        let begun = clock::instant();
        let addresses = resolve(&self.name, port);
        let first = addresses.first().ok_or(Outcome::Unresolved)?;
        self.address = Some(first.ip());
        self.steps.push(format!("{} in {} ms", first.ip(), since(begun)));
        let begun = clock::instant();
        let mut refused = None;
        let connect = |at| match TcpStream::connect_timeout(at, PATIENCE) {
            Ok(stream) => Some(stream),
            Err(error) => {
                refused.get_or_insert(error);
                None
            }
        };
        let Some(stream) = addresses.iter().find_map(connect) else {
            let why = refused.unwrap_or_else(|| ErrorKind::NotConnected.into());
            return Err(Outcome::NotConnected { port, why });
        };
        self.steps.push(format!("connected in {} ms", since(begun)));
        let Some(routes) = routes else { return Ok(()) };
        let begun = clock::instant();
        let version = tls::handshake(&routes.trust, &self.name, stream, PATIENCE)
            .map_err(Outcome::NotItself)?;
        self.steps.push(format!("{version} in {} ms", since(begun)));
        Ok(())
    }

    #[must_use]
    pub fn is_reached(&self) -> bool {
        match &self.outcome {
            Outcome::Reached => true,
            Outcome::Proxy(proxy) => proxy.is_reached(),
            _ => false,
        }
    }

    /// A line about it.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { name, outcome, .. } = self;
        let at = self.address.map_or(String::new(), |address| format!("{address} "));
        match outcome {
            Outcome::Reached => format!("{name}: {}", self.steps.join(", ")),
            Outcome::NotAUrl => format!("{name} is not a URL"),
            Outcome::Unresolved => format!("{name} does not resolve"),
            Outcome::NotConnected { port, why } => match why.kind() {
                ErrorKind::ConnectionRefused => {
                    format!("{name}: {at}refuses connections to port {port}")
                }
                ErrorKind::TimedOut => format!("{name}: {at}does not answer at port {port}"),
                _ => format!("{name}: {at}is not reached at port {port}: {why}"),
            },
            Outcome::NotItself(why) => format!("{name}: {at}TLS: {why}"),
            Outcome::Proxy(proxy) => {
                format!("{name} through the proxy of HTTPS_PROXY ({})", proxy.line())
            }
        }
    }

    /// Whether the name leads to the addresses of the vendor's services within a VPC.
    #[must_use]
    pub fn is_vpc_service(&self) -> bool {
        self.address.is_some_and(in_vpc)
    }

    /// What is to be done about it, in general.
    fn remedy(&self) -> String {
        let name = &self.name;
        match &self.outcome {
            Outcome::NotItself(_) => format!(
                "see where {name} leads (DNS, /etc/hosts); behind a proxy that inspects TLS set caFile to its CA"
            ),
            Outcome::Proxy(_) => format!("correct HTTPS_PROXY, or name {name} in NO_PROXY"),
            Outcome::Unresolved => format!(
                "see /etc/resolv.conf; in a VPC without Internet add {name} to PrivateZone or /etc/hosts"
            ),
            _ => format!("see route, security group and proxy: this node needs {name}"),
        }
    }

    /// Adds the line, as a warning if the host was not reached. `conflict` is the remedy where other
    /// machines have the addresses of the vendor's services.
    pub fn add_to(&self, label: &str, conflict: &str, check: &mut Check) -> bool {
        let line = format!("{label} {}", self.line()).trim_start().to_owned();
        if self.is_reached() {
            check.detail(line);
            return true;
        }
        let by_conflict = self.is_vpc_service() && !conflict.is_empty();
        check.warn(line, if by_conflict { conflict.to_owned() } else { self.remedy() });
        false
    }
}

fn since(begun: Instant) -> u128 {
    clock::instant().saturating_duration_since(begun).as_millis()
}

fn in_vpc(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if v4.octets().first() == Some(&VPC_SERVICES))
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
    fn addresses_of_services_within_a_vpc() {
        assert!(in_vpc([100, 103, 0, 1].into()));
        assert!(!in_vpc([101, 103, 0, 1].into()));
    }
}
