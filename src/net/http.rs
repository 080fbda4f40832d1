//! HTTP over reqwest, and the only file that knows it.
//!
//! A client costs a thread and a runtime, so none is built until the first call, and a path that
//! makes no call pays nothing. One request goes out as one request: redirects are not followed,
//! nothing is retried here, and an answer above 1 MiB is refused.

use std::cell::OnceCell;
use std::error::Error as _;
use std::io::Read;
use std::mem::ManuallyDrop;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::blocking::{Client, ClientBuilder};
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use reqwest::redirect::Policy;
use reqwest::{NoProxy, Proxy, retry};
use rustls::ClientConfig;

use crate::net::ahead::{self, Ahead};
use crate::net::tls::{self, Trust};
use crate::system::clock;

/// Largest answer that is read, in bytes.
const MAX_ANSWER: u64 = 1024 * 1024;

/// Connecting to a VPC host that may not be reachable, and to the metadata service.
const QUICK_CONNECT: Duration = Duration::from_secs(1);

/// Connecting across the Internet.
const CONNECT: Duration = Duration::from_secs(5);

const USER_AGENT: &str = concat!("aliyun-acr-credential-provider/", env!("CARGO_PKG_VERSION"));

/// Which way a request leaves the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The instance metadata service: never through a proxy.
    Metadata,
    /// A host that is tried before another one: about a second to connect.
    CloudQuick,
    Cloud,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Put,
    Post,
}

/// One request. Header values and body may hold secrets; neither is ever logged.
#[derive(Debug)]
pub struct Request {
    pub method: Method,
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Option<String>,
    /// For the whole exchange, from connecting to the last byte of the answer.
    pub timeout: Duration,
    pub route: Route,
}

/// What came back, of any status.
pub struct Response {
    pub status: u16,
    /// The service's own time, whole seconds.
    pub date: Option<Timestamp>,
    pub content_type: Option<String>,
    /// Each of them: a server may offer several ways.
    pub www_authenticate: Vec<String>,
    pub body: Vec<u8>,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection: name not resolved, refused, no route, proxy, TLS handshake cut off.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// Connected, but to somebody whose certificate is not trusted for the name.
    #[error("TLS certificate not accepted: {0}")]
    Certificate(String),
    #[error("no answer within {0:.1?}")]
    Timeout(Duration),
    /// The connection ended before the answer did.
    #[error("connection broken: {0}")]
    Broken(String),
    #[error("answer larger than 1 MiB")]
    TooLarge,
    /// The client could not be set up at all: a CA file or a proxy address.
    #[error("{0}")]
    Setup(String),
}

/// How requests leave the machine: what `HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE` and `caFile` say.
#[derive(Debug, Default, Clone)]
pub struct Routes {
    pub https_proxy: Option<String>,
    pub no_proxy: Option<String>,
    pub trust: Trust,
}

impl Routes {
    /// The proxy that an https request to a host goes through. `reqwest` decides by its own reading of
    /// `NO_PROXY`; this one is for telling, and knows names, their parents and `*`. To both an item
    /// with a port is none.
    #[must_use]
    pub fn proxy_for(&self, host: &str) -> Option<&str> {
        let host = host.to_ascii_lowercase();
        let named = |item: &str| {
            let item = item.trim().trim_start_matches('.').to_ascii_lowercase();
            let parent = host.strip_suffix(&item).is_some_and(|rest| rest.ends_with('.'));
            !item.is_empty() && (item == "*" || item == host || parent)
        };
        let excepted = self.no_proxy.as_deref().unwrap_or_default().split(',').any(named);
        self.https_proxy.as_deref().filter(|_| !excepted)
    }
}

/// The clients, each built when first asked for.
///
/// They are never dropped: dropping one joins its runtime, which waits for a name look-up that
/// hangs, and the process is about to end anyway.
#[derive(Default)]
pub struct Http {
    routes: Routes,
    metadata: OnceCell<ManuallyDrop<Client>>,
    quick: OnceCell<ManuallyDrop<Client>>,
    cloud: OnceCell<ManuallyDrop<Client>>,
    /// What all clients but that for metadata trust.
    tls: OnceCell<ClientConfig>,
    ahead: Ahead,
    /// The host that is connected to before there is a request for it.
    ahead_of: OnceCell<String>,
}

impl Http {
    #[must_use]
    pub fn new(routes: Routes) -> Self {
        Self { routes, ..Self::default() }
    }

    /// How requests leave the machine.
    #[must_use]
    pub fn routes(&self) -> &Routes {
        &self.routes
    }

    /// Begins to connect to a host that requests will soon go to, in a thread of its own. Nothing is
    /// sent, and a failure has no consequence: whoever sends a request then connects by himself. Only
    /// the first host of a run is connected to in this way, and none through a proxy, to which
    /// connecting is a request.
    pub fn connect_ahead(&self, base_url: &str, route: Route) {
        let Ok(tls) = self.tls() else { return };
        let url = base_url.to_owned();
        if self.routes.https_proxy.is_some() || self.ahead_of.set(url.clone()).is_err() {
            return;
        }
        let (tls, ahead) = (tls.clone(), self.ahead.clone());
        let connect = move || {
            let begun = clock::instant();
            if let Ok(client) = builder(route, tls).connector_layer(ahead.opening()).build() {
                let _ = ManuallyDrop::new(client).head(url).send();
                thread::sleep(ahead::USABLE.saturating_sub(begun.elapsed()));
            }
            ahead.close();
        };
        // Where no thread can be had, there is no connection ahead.
        let _ = thread::Builder::new().spawn(connect);
    }

    /// Sends one request and reads the whole answer.
    ///
    /// # Errors
    ///
    /// When no whole answer came back in time. An answer with an error status is not an error here.
    pub fn send(&self, request: Request) -> Result<Response, HttpError> {
        let timeout = request.timeout;
        let client = self.client(request.route)?;
        let of = self.ahead_of.get().and_then(|host| request.url.strip_prefix(host));
        self.ahead.want(of.is_some_and(|path| path.starts_with('/')));
        let mut builder = match request.method {
            Method::Get => client.get(&request.url),
            Method::Put => client.put(&request.url),
            Method::Post => client.post(&request.url),
        };
        for (name, value) in request.headers {
            let value = HeaderValue::from_str(&value);
            let mut value =
                value.map_err(|_| HttpError::Setup(format!("header `{name}` is not valid")))?;
            value.set_sensitive(true);
            builder = builder.header(HeaderName::from_static(name), value);
        }
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        let by_proxy = request.route != Route::Metadata && self.routes.https_proxy.is_some();
        let response =
            builder.timeout(timeout).send().map_err(|error| match explain(error, timeout) {
                HttpError::Connect(detail) if by_proxy => HttpError::Connect(format!(
                    "{detail} (through the proxy of HTTPS_PROXY, unless NO_PROXY names the host)"
                )),
                other => other,
            })?;
        read(response, timeout)
    }

    fn client(&self, route: Route) -> Result<&Client, HttpError> {
        let cell = match route {
            Route::Metadata => &self.metadata,
            Route::CloudQuick => &self.quick,
            Route::Cloud => &self.cloud,
        };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let builder = match route {
            Route::Metadata => builder(route, tls_config(&Trust::default())?),
            Route::CloudQuick | Route::Cloud => {
                let builder = builder(route, self.tls()?.clone());
                self.through_proxy(builder.connector_layer(self.ahead.taking()))?
            }
        };
        let client = builder.build().map_err(|error| HttpError::Setup(innermost(&error)))?;
        Ok(cell.get_or_init(|| ManuallyDrop::new(client)))
    }

    fn through_proxy(&self, builder: ClientBuilder) -> Result<ClientBuilder, HttpError> {
        let Some(address) = &self.routes.https_proxy else {
            return Ok(builder);
        };
        // The address may hold a password: it is not in the messages.
        let unusable =
            |why: &str| HttpError::Setup(format!("the proxy address in HTTPS_PROXY {why}"));
        let url = match address.split_once("://") {
            None => format!("http://{address}"),
            Some((scheme, _))
                if ["http", "https"].iter().any(|it| it.eq_ignore_ascii_case(scheme)) =>
            {
                address.clone()
            }
            // `reqwest` would pass over it and go without.
            Some(_) => return Err(unusable("has another scheme than http and https")),
        };
        let proxy = Proxy::https(url).map_err(|_| unusable("is no URL"))?;
        let except = self.routes.no_proxy.as_deref().and_then(NoProxy::from_string);
        Ok(builder.proxy(proxy.no_proxy(except)))
    }

    fn tls(&self) -> Result<&ClientConfig, HttpError> {
        if let Some(config) = self.tls.get() {
            return Ok(config);
        }
        let config = tls_config(&self.routes.trust)?;
        Ok(self.tls.get_or_init(|| config))
    }
}

fn tls_config(trust: &Trust) -> Result<ClientConfig, HttpError> {
    tls::client_config(trust).map_err(|error| HttpError::Setup(error.to_string()))
}

fn builder(route: Route, tls: ClientConfig) -> ClientBuilder {
    let connect = match route {
        Route::Metadata | Route::CloudQuick => QUICK_CONNECT,
        Route::Cloud => CONNECT,
    };
    Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .retry(retry::never())
        .referer(false)
        .http1_only()
        .user_agent(USER_AGENT)
        .timeout(None)
        .connect_timeout(connect)
        .tls_backend_preconfigured(tls)
}

fn read(response: reqwest::blocking::Response, timeout: Duration) -> Result<Response, HttpError> {
    let headers = response.headers();
    let text = |name| header(headers, &name);
    let mut answer = Response {
        status: response.status().as_u16(),
        date: text(DATE).and_then(|date| http_date(&date)),
        content_type: text(CONTENT_TYPE),
        www_authenticate: headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok().map(str::to_owned))
            .collect(),
        body: Vec::new(),
    };
    let mut body = response.take(MAX_ANSWER + 1);
    body.read_to_end(&mut answer.body).map_err(|error| match error.into_inner() {
        Some(inner) => match inner.downcast::<reqwest::Error>() {
            Ok(inner) => explain(*inner, timeout),
            Err(inner) => HttpError::Broken(inner.to_string()),
        },
        None => HttpError::Broken("the answer ended early".to_owned()),
    })?;
    if answer.body.len() as u64 > MAX_ANSWER { Err(HttpError::TooLarge) } else { Ok(answer) }
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// `Fri, 01 Mar 2024 08:09:10 GMT`, as RFC 9110 has it.
#[must_use]
pub fn http_date(text: &str) -> Option<Timestamp> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    PARSER.parse_timestamp(text).ok()
}

fn explain(error: reqwest::Error, timeout: Duration) -> HttpError {
    let error = error.without_url();
    let detail = match innermost(&error) {
        detail if detail == "deadline has elapsed" => "timed out".to_owned(),
        detail => detail,
    };
    if let Some(why) = tls::refused_certificate(&error) {
        HttpError::Certificate(why)
    } else if error.is_connect() {
        HttpError::Connect(detail)
    } else if error.is_timeout() {
        HttpError::Timeout(timeout)
    } else {
        HttpError::Broken(detail)
    }
}

/// The last cause is the one that says something: "Connection refused", not "error sending request".
fn innermost(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    let mut text = error.to_string();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_hosts_a_proxy_is_for() {
        let routes = |no_proxy: &str| Routes {
            https_proxy: Some("proxy:3128".to_owned()),
            no_proxy: Some(no_proxy.to_owned()),
            trust: Trust::default(),
        };
        let host = "sts.cn-hangzhou.aliyuncs.com";
        for none in ["*", host, "STS.cn-hangzhou.aliyuncs.com", "a, .aliyuncs.com", "aliyuncs.com"]
        {
            assert_eq!(routes(none).proxy_for(host), None, "{none}");
        }
        for other in ["", ",", "yuncs.com", "sts", "sts.cn-hangzhou.aliyuncs.com:443", "*:443"] {
            assert_eq!(routes(other).proxy_for(host), Some("proxy:3128"), "{other}");
        }
    }
}
