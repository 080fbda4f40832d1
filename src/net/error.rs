//! Why no answer came back. What reqwest, hyper and the kernel say of it is read here alone; what
//! rustls says is read in `tls.rs`.

use std::error::Error as StdError;
use std::io::{self, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::net::origin::Origin;
use crate::net::proxy::ProxyError;
use crate::net::tls::{self, TrustError, Untrusted};

/// How long it takes at most to learn whether a host that was silent accepts connections at all.
const KNOCK: Duration = Duration::from_millis(500);

/// What hyper-util says when a proxy asks for a login (`client/legacy/connect/proxy/tunnel.rs`).
const PROXY_LOGIN: &str = "tunnel error: proxy authorization required";

/// Why nothing came back.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HttpError {
    /// There was no connection to the host, or to the proxy in front of it.
    #[error("{why}{}", proxy.as_ref().map_or(String::new(), |proxy| format!(", at the proxy {proxy}")))]
    NoConnection { why: NoConnection, proxy: Option<String> },
    /// Somebody whose certificate is not trusted for the name.
    #[error("TLS certificate not accepted: {0}")]
    Certificate(Untrusted),
    #[error("no answer within {0:.1?}")]
    Silent(Duration),
    /// The connection ended before the answer did.
    #[error("connection broken: {0}")]
    Broken(String),
    #[error("answer larger than {} KiB", .0 / 1024)]
    TooLarge(u64),
    #[error("{0}")]
    Setup(SetupError),
}

/// Why there was no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoConnection {
    /// The name leads to no address.
    #[error("the name does not resolve ({0})")]
    Name(String),
    #[error("connection refused")]
    Refused,
    /// Nothing came back at all.
    #[error("no connection within {0:.1?}")]
    Silent(Duration),
    /// The connection was accepted, and the TLS handshake was not answered.
    #[error("connected, then no answer to the TLS handshake within {0:.1?}")]
    Handshake(Duration),
    /// The proxy wants to know who asks.
    #[error("a user name and password are required")]
    ProxyLogin,
    #[error("cannot connect: {0}")]
    Other(String),
}

/// A setting that makes every request impossible.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SetupError {
    #[error("{0}")]
    Trust(TrustError),
    #[error("{0}")]
    Proxy(ProxyError),
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
}

/// How far a request went, for reading an error of it.
pub(super) struct Attempt {
    /// Where it was to go; read only where that was not a proxy.
    pub url: String,
    /// `host:port` of the proxy that it was to go through.
    pub proxy: Option<String>,
    /// For the whole exchange, and for connecting.
    pub timeout: Duration,
    pub connect_timeout: Duration,
    /// Another host is tried next, so nobody asks why this one was silent.
    pub is_first_of_several: bool,
}

impl Attempt {
    /// Why a request failed.
    pub fn explain(&self, error: reqwest::Error) -> HttpError {
        let error = error.without_url();
        if let Some(why) = tls::refused_certificate(&error) {
            HttpError::Certificate(why)
        } else if error.is_connect() {
            HttpError::NoConnection { why: self.no_connection(&error), proxy: self.proxy.clone() }
        } else if error.is_timeout() {
            HttpError::Silent(self.timeout)
        } else {
            HttpError::Broken(innermost(&error))
        }
    }

    fn no_connection(&self, error: &reqwest::Error) -> NoConnection {
        let detail = innermost(error);
        if error.is_dns() {
            NoConnection::Name(detail)
        } else if error.is_timeout() {
            self.silence()
        } else if io_kind(error) == Some(ErrorKind::ConnectionRefused) {
            NoConnection::Refused
        } else if detail == PROXY_LOGIN {
            NoConnection::ProxyLogin
        } else {
            NoConnection::Other(detail)
        }
    }

    /// reqwest has one time limit for name, connection and handshake. A second connection shows
    /// which of them was silent: packets that are too large for the way are lost only after it.
    fn silence(&self) -> NoConnection {
        let limit = self.connect_timeout.min(self.timeout);
        let asks = !self.is_first_of_several && self.proxy.is_none();
        let origin = asks.then(|| Origin::of(&self.url)).flatten();
        if origin.is_some_and(accepts) {
            NoConnection::Handshake(limit)
        } else {
            NoConnection::Silent(limit)
        }
    }
}

/// Whether a host accepts connections, if that shows at once. The resolver has no time limit, so
/// it is left behind when it takes too long.
fn accepts(origin: Origin) -> bool {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut addresses =
            (origin.host.as_str(), origin.port).to_socket_addrs().into_iter().flatten();
        let accepts = addresses.any(|at| TcpStream::connect_timeout(&at, KNOCK).is_ok());
        // Nobody may be waiting any more.
        let _ = sender.send(accepts);
    });
    receiver.recv_timeout(KNOCK).unwrap_or(false)
}

/// What the kernel said.
fn io_kind(error: &reqwest::Error) -> Option<ErrorKind> {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(error) = inner.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        cause = inner.source();
    }
    None
}

/// The last cause is the one that says something: "connection reset", not "error sending request".
pub(super) fn innermost(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    let mut text = error.to_string();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    text
}
