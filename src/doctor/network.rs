//! Whether a host resolves, can be connected to, and proves who it is.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::aliyun::endpoint::is_vendors_host;
use crate::doctor::address::{self, Source, Unresolved};
use crate::doctor::report::Check;
use crate::net::http::Routes;
use crate::net::origin::Origin;
use crate::net::proxy::ProxyError;
use crate::net::tls::{self, NoHandshake};
use crate::system::clock::{self, Deadline};

/// For a name, a connection and a handshake each; a pull gives them no more.
const PATIENCE: Duration = Duration::from_secs(5);

/// For a question to a registry, an authentication service or a bucket: two tries of four seconds.
const QUESTION: Duration = Duration::from_secs(24);

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

/// A host as a URL names it, and the answer when it was asked for.
pub struct Probe {
    pub name: String,
    pub address: Option<IpAddr>,
    /// Who says that the name has this address.
    source: Source,
    /// What took how long, for people.
    steps: Vec<String>,
    pub outcome: Outcome,
}

/// How far it went.
pub enum Outcome {
    /// Connected and, for https, with a certificate that is trusted for the name.
    Reached,
    NotAUrl,
    Unresolved(Unresolved),
    NotConnected {
        port: u16,
        why: io::Error,
        /// Every address is one of IPv6.
        is_v6_alone: bool,
    },
    /// Connected, and then nothing came, or the end.
    Mute(NoHandshake),
    /// Somebody answers, but not the one whose name it is.
    NotItself(NoHandshake),
    /// The proxy that leads there, by the variable that has its address.
    Proxy(&'static str, Box<Probe>),
    /// Its address cannot be used.
    NoProxy(ProxyError),
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
            Ok(Some(proxy)) => proxy,
            Err(error) => return Self::new(origin.host, Outcome::NoProxy(error)),
        };
        let variable = proxy.variable;
        let outcome = match Origin::of(proxy.url()) {
            Some(at) => Outcome::Proxy(variable, Box::new(Self::direct(at, None))),
            None => Outcome::NoProxy(ProxyError::NotAUrl(variable)),
        };
        Self::new(origin.host, outcome)
    }

    /// A proxy leads there that this program does not speak with.
    #[must_use]
    pub fn is_unspoken(&self) -> Option<ProxyError> {
        match self.outcome {
            Outcome::NoProxy(error @ ProxyError::Scheme(_)) => Some(error),
            _ => None,
        }
    }

    fn new(name: String, outcome: Outcome) -> Self {
        Self { name, address: None, source: Source::Literal, steps: Vec::new(), outcome }
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
        let addresses =
            address::resolve(&self.name, port, PATIENCE).map_err(Outcome::Unresolved)?;
        let first = addresses.first().ok_or(Outcome::NotAUrl)?;
        self.leads_to(first.ip());
        let from = match self.source {
            Source::Hosts(_) => format!(" ({})", self.source),
            Source::Literal | Source::Resolver => String::new(),
        };
        self.steps.push(format!("{}{from} in {} ms", first.ip(), since(begun)));
        let begun = clock::instant();
        let stream = match connected(&addresses) {
            Ok(stream) => stream,
            Err((at, why)) => {
                self.leads_to(at.ip());
                let is_v6_alone = addresses.iter().all(SocketAddr::is_ipv6);
                return Err(Outcome::NotConnected { port, why, is_v6_alone });
            }
        };
        self.steps.push(format!("connected in {} ms", since(begun)));
        let Some(routes) = routes else { return Ok(()) };
        let begun = clock::instant();
        let version = tls::handshake(&routes.trust, &self.name, stream, PATIENCE);
        let version = version.map_err(|why| match why {
            NoHandshake::Silent | NoHandshake::Closed => Outcome::Mute(why),
            NoHandshake::Untrusted(_) | NoHandshake::Other(_) => Outcome::NotItself(why),
        })?;
        self.steps.push(format!("{version} in {} ms", since(begun)));
        Ok(())
    }

    fn leads_to(&mut self, address: IpAddr) {
        self.address = Some(address);
        self.source = address::source(&self.name, address);
    }

    #[must_use]
    pub fn is_reached(&self) -> bool {
        match &self.outcome {
            Outcome::Reached => true,
            Outcome::Proxy(_, proxy) => proxy.is_reached(),
            _ => false,
        }
    }

    /// A line about it.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { name, outcome, .. } = self;
        let at = self.address.map_or(String::new(), |address| match &self.source {
            Source::Literal => format!("{address} "),
            source => format!("{address} ({source}) "),
        });
        match outcome {
            Outcome::Reached => format!("{name}: {}", self.steps.join(", ")),
            Outcome::NotAUrl => format!("{name} is not a URL"),
            Outcome::Unresolved(why) => format!("{name} does not resolve: {why}"),
            Outcome::NotConnected { is_v6_alone: true, why, .. } if is_routeless(why) => {
                format!(
                    "{name}: {at}is an IPv6 address, the name has no other, and this machine has no route for IPv6"
                )
            }
            Outcome::NotConnected { port, why, .. } => match why.kind() {
                ErrorKind::ConnectionRefused => {
                    format!("{name}: {at}refuses connections to port {port}")
                }
                ErrorKind::TimedOut => format!(
                    "{name}: {at}does not answer at port {port}: no connection within {} s",
                    PATIENCE.as_secs()
                ),
                ErrorKind::PermissionDenied => {
                    format!("{name}: {at}is closed to this machine by its own rules: {why}")
                }
                _ if is_routeless(why) => format!("{name}: {at}has no route from here: {why}"),
                _ => format!("{name}: {at}is not reached at port {port}: {why}"),
            },
            Outcome::Mute(why) => format!("{name}: {at}{why}"),
            Outcome::NotItself(why) => format!("{name}: {at}TLS: {why}"),
            Outcome::Proxy(variable, proxy) => {
                format!("{name} through the proxy of {variable} ({})", proxy.line())
            }
            Outcome::NoProxy(error) => format!("{name}: {error}"),
        }
    }

    /// Whether the name leads to the addresses of the vendor's services within a VPC.
    #[must_use]
    pub fn is_vpc_service(&self) -> bool {
        self.address.is_some_and(address::is_vendors)
    }

    /// What is to be done about it, in general.
    fn remedy(&self) -> String {
        let name = &self.name;
        let address = self.address.map_or_else(|| name.clone(), |address| address.to_string());
        match &self.outcome {
            Outcome::NotItself(_) => format!(
                "see where {name} leads (DNS, /etc/hosts); behind a proxy that inspects TLS set caFile to its CA"
            ),
            Outcome::Proxy(variable, proxy) => {
                format!(
                    "correct {variable}, or name {name} in NO_PROXY; the proxy: {}",
                    proxy.remedy()
                )
            }
            Outcome::NoProxy(error) => {
                format!("set {} to http://HOST:PORT, or name {name} in NO_PROXY", error.variable())
            }
            Outcome::Unresolved(Unresolved::NoAnswer) => format!(
                "correct the name servers in /etc/resolv.conf, and try: getent hosts {name}"
            ),
            Outcome::Unresolved(Unresolved::Says(_)) => format!(
                "see /etc/resolv.conf; in a VPC without Internet add {name} to PrivateZone or /etc/hosts"
            ),
            Outcome::Mute(_) => format!(
                "large packets may be lost on the way: ping -M do -s 1372 {address}; if that fails, lower the MTU (ip link set dev eth0 mtu 1400)"
            ),
            Outcome::NotConnected { is_v6_alone: true, why, .. } if is_routeless(why) => {
                format!(
                    "give {name} an IPv4 address (DNS, PrivateZone, /etc/hosts), or this machine a route for IPv6"
                )
            }
            Outcome::NotConnected { port, why, .. } => match why.kind() {
                ErrorKind::ConnectionRefused => match self.source {
                    Source::Hosts(line) => {
                        format!("correct line {line} of /etc/hosts, if {address} is not {name}")
                    }
                    Source::Literal | Source::Resolver => format!(
                        "see what should listen at {address} port {port}, and whether {name} is to lead there"
                    ),
                },
                ErrorKind::PermissionDenied => {
                    format!(
                        "see this machine's firewall: iptables-save | grep -F {address}; ip route get {address}"
                    )
                }
                _ if is_routeless(why) => format!("ip route get {address}; add the route"),
                _ => format!(
                    "see route, security group and proxy: this node needs {name} (ip route get {address}; security group: outbound TCP {port})"
                ),
            },
            Outcome::Reached | Outcome::NotAUrl => format!("correct the address of {name}"),
        }
    }

    /// A host for machines within a VPC has no address of the Internet.
    fn outside(&self, check: &mut Check) {
        let Self { name, source, .. } = self;
        if let Some(address) =
            self.address.filter(|address| address::is_public(*address) && is_inside(name))
        {
            check.warn(
                format!("{name} is a host within a VPC, and leads to {address}, an address of the Internet ({source})"),
                match source {
                    Source::Hosts(line) => format!("remove line {line} of /etc/hosts, or correct it"),
                    Source::Literal | Source::Resolver => "use the name servers of the VPC in /etc/resolv.conf, or name the public host (the name without -vpc or -internal)".to_owned(),
                },
            );
        }
    }

    /// Adds the line, as a warning if the host was not reached. `conflict` is the remedy where other
    /// machines have the addresses of the vendor's services.
    pub fn add_to(&self, label: &str, conflict: &str, check: &mut Check) -> bool {
        let line = format!("{label} {}", self.line()).trim_start().to_owned();
        self.outside(check);
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

/// A connection to the first address that gives one, or the result of the first of IPv4, of which more
/// is expected.
fn connected(addresses: &[SocketAddr]) -> Result<TcpStream, (SocketAddr, io::Error)> {
    let mut failed: Vec<(SocketAddr, io::Error)> = Vec::new();
    for at in addresses {
        match TcpStream::connect_timeout(at, PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed.push((*at, error)),
        }
    }
    let v4 = failed.iter().position(|(at, _)| at.is_ipv4()).unwrap_or_default();
    let none = || (SocketAddr::from(([0, 0, 0, 0], 0)), ErrorKind::NotConnected.into());
    Err(failed.into_iter().nth(v4).unwrap_or_else(none))
}

/// No packet leaves this machine for the address.
fn is_routeless(why: &io::Error) -> bool {
    use ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkUnreachable};
    [NetworkUnreachable, HostUnreachable, AddrNotAvailable].contains(&why.kind())
}

/// Whether the cloud names a host so that is for machines within a VPC.
fn is_inside(name: &str) -> bool {
    is_vendors_host(name) && (name.contains("-vpc.") || name.contains("-internal."))
}
