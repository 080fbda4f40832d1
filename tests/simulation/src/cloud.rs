//! An Alibaba Cloud on loopback: RAM, STS, Container Registry, a registry and instance metadata.
//!
//! It is a judge and not a mirror. Whatever the real services check is checked here as well, from
//! the same documents a client is written from and not from any client: signatures, nonces, time
//! stamps, policies, trust, tokens. Requests that the real services might let pass, but that a good
//! client never sends, are kept as [`Violation`]s; every test should assert that there are none.
//!
//! Tags in comments, such as [meta] or [cgo], name the public source of a fact:
//!
//! - [meta]: the vendor's own OpenAPI metadata (sts 2015-04-01, cr 2018-12-01)
//! - [doc]: a page of the vendor's documentation; [old:…]: its mirror of 2021
//! - [cgo], [art], [pysdk]: the vendor's credentials-go, ack-ram-tool and Python core SDK
//! - [dcah], [harbor]: docker-credential-acr-helper and Harbor's adapter, seen to work
//!
//! ```no_run
//! use simulation::cloud::{Cloud, Description};
//!
//! let world = Description::standard().overlaid("metadata: {mode: hardened-only}").unwrap();
//! let cloud = Cloud::start(&world).unwrap();
//! println!("{} {} {}", cloud.metadata_url(), cloud.sts_url(), cloud.cr_url());
//! assert!(cloud.violations().is_empty());
//! ```

// Tags of facts look like links.
#![allow(rustdoc::broken_intra_doc_links)]

mod backend;
mod clock;
mod cr;
pub mod description;
mod entropy;
mod failure;
pub mod fault;
mod gateway;
mod hop;
mod http;
mod identity;
mod journal;
mod jwt;
mod leaks;
mod metadata;
mod parameters;
mod policy;
mod port;
mod registry;
mod serve;
mod signature;
mod spoil;
pub mod standard;
mod sts;
mod tls;
mod world;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use self::backend::{Backend, OwnUrls};
pub use self::cr::LoginRefused;
use self::cr::Place;
pub use self::description::Description;
use self::fault::BrokenConnection;
use self::gateway::Door;
pub use self::hop::{Hop, Service};
pub use self::journal::{Call, Outcome, Violation};
pub use self::jwt::{Forgery, ServiceAccountToken};
pub use self::leaks::{Leak, Secret, SecretKind};
use self::port::Port;
use self::tls::Authority;

/// A running cloud. Dropping it ends its threads and connections.
pub struct Cloud {
    backend: Arc<Backend>,
    ports: Vec<Port>,
    authority: Option<Authority>,
}

/// Why a cloud cannot be, or cannot become, what a description says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impossible(String);

impl fmt::Display for Impossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Impossible {}

/// Starting and steering.
impl Cloud {
    pub fn start(description: &Description) -> Result<Self, Impossible> {
        let backend = Arc::new(Backend::new(description.clone()).map_err(Impossible)?);
        let world = backend.world();
        let authority = description.tls.then(|| Authority::new(&world));
        let authority = authority.transpose().map_err(Impossible)?;
        let mut cloud = Self { backend, ports: Vec::new(), authority };
        let fixed =
            [Service::Metadata, Service::Sts, Service::Cr, Service::Registry, Service::Sink];
        for service in fixed {
            cloud.open(Door { service, region: None })?;
        }
        if description.cr_per_region {
            for region in world.cr_regions() {
                cloud.open(Door { service: Service::Cr, region: Some(region) })?;
            }
        }
        let urls = OwnUrls { sink: cloud.sink_url(), registry: cloud.registry_url() };
        // Nobody listens yet, so this is the first and only time.
        drop(cloud.backend.own_urls.set(urls));
        cloud.listen_where_wanted()?;
        Ok(cloud)
    }

    /// The standard world with an overlay. Panics if that is impossible: for use in tests.
    pub fn with(overlay: &str) -> Self {
        let description = Description::standard().overlaid(overlay);
        let cloud =
            description.map_err(Impossible).and_then(|description| Self::start(&description));
        cloud.unwrap_or_else(|error| panic!("no such cloud: {error}"))
    }

    /// Changes the world of the running cloud by an overlay, e.g. takes a role away or adds faults.
    /// Sessions, logins and calls stay; calls are counted again if the faults change. `tls`,
    /// `certificate`, `cr-per-region` and the clock's past are settled at the start.
    pub fn change(&self, overlay: &str) -> Result<(), Impossible> {
        let present = self.backend.world().description.clone();
        let changed = present.overlaid(overlay).map_err(Impossible)?;
        self.backend.become_world(changed).map_err(Impossible)?;
        self.listen_where_wanted()
    }

    /// Lets time pass for the services, though not for this machine.
    pub fn advance(&self, seconds: i64) {
        self.backend.clock.advance(seconds);
    }

    /// The services' time.
    pub fn now(&self) -> Timestamp {
        self.backend.clock.now()
    }

    /// From now on connections to the service are refused, until [`Cloud::bring_up`] or the next
    /// [`Cloud::change`], which has services up or down as the faults say.
    pub fn take_down(&self, service: Service) -> Result<(), Impossible> {
        self.for_each_port(service, Port::take_down)
    }

    /// Undoes [`Cloud::take_down`]; the port is the same as before.
    pub fn bring_up(&self, service: Service) -> Result<(), Impossible> {
        self.for_each_port(service, Port::bring_up)
    }

    /// A service account token as the cluster of this OIDC provider issues it, by default for
    /// audience `sts.aliyuncs.com` and one hour. Panics if the world has no such provider.
    pub fn service_account_token(
        &self,
        provider_arn: &str,
        namespace: &str,
        name: &str,
    ) -> ServiceAccountToken<'_> {
        let subject = format!("system:serviceaccount:{namespace}:{name}");
        ServiceAccountToken::new(self, provider_arn, subject)
    }

    fn open(&mut self, door: Door) -> Result<(), Impossible> {
        let may_have_tls = !matches!(door.service, Service::Metadata | Service::Sink);
        let authority = self.authority.as_ref().filter(|_| may_have_tls);
        let tls = authority.map(|authority| Arc::clone(&authority.server));
        let port =
            Port::open(&self.backend, door, tls).map_err(|error| Impossible(error.to_string()))?;
        self.ports.push(port);
        Ok(())
    }

    fn listen_where_wanted(&self) -> Result<(), Impossible> {
        let world = self.backend.world();
        let refused = |service: Service| {
            world.description.faults.iter().any(|(hop, faults)| {
                let refuse =
                    |fault: &fault::Fault| fault.connection == Some(BrokenConnection::Refuse);
                hop.service() == Some(service) && faults.iter().any(refuse)
            })
        };
        for port in &self.ports {
            let service = port.door.service;
            if refused(service) { self.take_down(service)? } else { self.bring_up(service)? }
        }
        Ok(())
    }

    fn for_each_port(
        &self,
        service: Service,
        act: impl Fn(&Port) -> std::io::Result<()>,
    ) -> Result<(), Impossible> {
        for port in self.ports.iter().filter(|port| port.door.service == service) {
            act(port).map_err(|error| Impossible(format!("{service:?}: {error}")))?;
        }
        Ok(())
    }
}

/// Where it is.
impl Cloud {
    pub fn metadata_url(&self) -> String {
        self.url(Service::Metadata, None)
    }

    pub fn sts_url(&self) -> String {
        self.url(Service::Sts, None)
    }

    /// Container Registry's API, for any region.
    pub fn cr_url(&self) -> String {
        self.url(Service::Cr, None)
    }

    /// Container Registry's API of one region; needs `cr-per-region: true`, else it panics.
    pub fn cr_url_of(&self, region: &str) -> String {
        self.url(Service::Cr, Some(region))
    }

    /// The registry: `/v2/` for any registry host, and a realm at `/auth`.
    pub fn registry_url(&self) -> String {
        self.url(Service::Registry, None)
    }

    /// Where redirects lead.
    pub fn sink_url(&self) -> String {
        self.url(Service::Sink, None)
    }

    /// The certificate of the cloud's authority, if it serves TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.authority.as_ref().map(|authority| authority.pem.as_str())
    }

    /// A certificate for the host names of all services, and its key, if the cloud serves TLS: for
    /// a real registry in the place of this one.
    pub fn server_pem(&self) -> Option<&str> {
        self.authority.as_ref().map(|authority| authority.server_pem.as_str())
    }

    /// The certificate by which a registry knows the realm's tokens.
    pub fn realm_pem(&self) -> &str {
        &self.backend.token_signer.pem
    }

    fn url(&self, service: Service, region: Option<&str>) -> String {
        let is_it =
            |port: &&Port| port.door.service == service && port.door.region.as_deref() == region;
        let port = self.ports.iter().find(is_it);
        let port = port.unwrap_or_else(|| panic!("there is no {service:?} endpoint of {region:?}"));
        let has_tls =
            !matches!(service, Service::Metadata | Service::Sink) && self.authority.is_some();
        format!("{}://{}", if has_tls { "https" } else { "http" }, port.address)
    }
}

/// What it saw and gave out.
impl Cloud {
    /// All requests, in the order in which they were answered.
    pub fn calls(&self) -> Vec<Call> {
        self.backend.journal.calls()
    }

    /// The calls in their one-line form.
    pub fn call_lines(&self) -> Vec<String> {
        self.calls().iter().map(Call::to_string).collect()
    }

    /// What no good client does. A test that does not assert that this is empty is not finished.
    pub fn violations(&self) -> Vec<Violation> {
        self.backend.journal.violations()
    }

    /// How many connections a service has had.
    pub fn connections(&self, service: Service) -> usize {
        self.ports.iter().filter(|port| port.door.service == service).map(Port::connections).sum()
    }

    /// Everything that must stay secret: configured, issued or minted.
    pub fn secrets(&self) -> Vec<Secret> {
        self.backend.journal.secrets.all()
    }

    /// The secrets that a text gives away, wholly or by their beginning or end, plain or encoded.
    /// The password that a credential provider prints on stdout is among them: that one is legal.
    pub fn leaks(&self, text: &str) -> Vec<Leak> {
        self.backend.journal.secrets.leaks(text)
    }

    /// Whether an Enterprise instance would let the login pull `<namespace>/<repository>` now.
    pub fn login_allows_pull(
        &self,
        user: &str,
        password: &str,
        instance: &str,
        repository: &str,
    ) -> Result<(), LoginRefused> {
        let place = Place::Enterprise { instance: instance.to_owned() };
        self.backend.logins.allow_pull(&self.backend, user, password, &place, repository)
    }

    /// The same for an account's Personal registry of a region.
    pub fn login_allows_personal_pull(
        &self,
        user: &str,
        password: &str,
        account: &str,
        region: &str,
        repository: &str,
    ) -> Result<(), LoginRefused> {
        let place =
            Place::Personal { account: account.to_owned(), region: Some(region.to_owned()) };
        self.backend.logins.allow_pull(&self.backend, user, password, &place, repository)
    }

    /// When a login ends that was issued.
    pub fn login_ends(&self, user: &str, password: &str) -> Option<Timestamp> {
        self.backend.logins.ends(user, password)
    }

    /// How many logins were issued so far.
    pub fn logins(&self) -> usize {
        self.backend.logins.count()
    }

    /// Who asked for a login that was issued, as trust policies call him, and how many were issued
    /// before it.
    pub fn login_asked_by(&self, user: &str, password: &str) -> Option<(String, usize)> {
        self.backend.logins.asked_by(user, password)
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.backend.stopping.stop();
    }
}

/// A mutex is used on when a thread has panicked with it: the panic is a violation already.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
