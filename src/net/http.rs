//! HTTP over reqwest. This file and `error.rs` are the only ones that know it.
//!
//! A client costs a thread and a runtime, so none is built until the first call, and a path that
//! makes no call pays nothing. One request goes out as one request: redirects are not followed,
//! nothing is retried here, and an answer above 256 KiB is refused.

use std::cell::OnceCell;
use std::io::Read;
use std::mem::ManuallyDrop;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::blocking::{Client, ClientBuilder};
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use reqwest::redirect::Policy;
use reqwest::retry;
use rustls::ClientConfig;

use crate::net::ahead::{self, Ahead};
use crate::net::error::{Attempt, HttpError, SetupError, innermost};
use crate::net::origin::Origin;
use crate::net::proxy::{self, Proxy, ProxyError};
use crate::net::tls::{self, Trust};
use crate::system::clock;

/// Largest answer that is read, in bytes.
const MAX_ANSWER: u64 = 256 * 1024;

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

impl Route {
    fn connect_timeout(self) -> Duration {
        match self {
            Self::Metadata | Self::CloudQuick => QUICK_CONNECT,
            Self::Cloud => CONNECT,
        }
    }
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
    /// How long a call limit stays used up, where the service says so.
    pub limited_for: Option<Duration>,
    pub body: Vec<u8>,
}

impl Response {
    /// The answer is said to be elsewhere, which is not followed.
    pub fn is_redirect(&self) -> bool {
        (300..400).contains(&self.status)
    }
}

/// How requests leave the machine: what `HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE` and `caFile` say.
#[derive(Debug, Default, Clone)]
pub struct Routes {
    pub https_proxy: Option<proxy::Setting>,
    pub no_proxy: Option<String>,
    pub trust: Trust,
}

impl Routes {
    /// The proxy that a request goes through; none for plain http.
    ///
    /// # Errors
    ///
    /// When `HTTPS_PROXY` cannot be used, and the request would go through it.
    pub fn proxy_for(&self, origin: &Origin) -> Result<Option<Proxy>, ProxyError> {
        let no_proxy = self.no_proxy.as_deref().unwrap_or_default();
        let address = self.https_proxy.as_ref().filter(|_| origin.is_https);
        let address = address.filter(|_| !proxy::is_excepted(origin, no_proxy));
        address.map(Proxy::parse).transpose()
    }

    /// The proxy for a URL.
    fn proxy_for_url(&self, url: &str) -> Result<Option<Proxy>, ProxyError> {
        Origin::of(url).map_or(Ok(None), |origin| self.proxy_for(&origin))
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
    ahead_of: OnceCell<Origin>,
}

impl Http {
    pub fn new(routes: Routes) -> Self {
        Self { routes, ..Self::default() }
    }

    /// How requests leave the machine.
    pub fn routes(&self) -> &Routes {
        &self.routes
    }

    /// Begins to connect to a host that requests will soon go to, in a thread of its own. Nothing is
    /// sent, and a failure has no consequence: the request that comes next then opens its own connection. Only
    /// the first host of a run is connected to in this way, and none through a proxy, to which
    /// connecting is a request.
    pub fn connect_ahead(&self, base_url: &str, route: Route) {
        let (Some(origin), Ok(tls)) = (Origin::of(base_url), self.tls()) else { return };
        let is_direct = matches!(self.routes.proxy_for(&origin), Ok(None));
        if !is_direct || self.ahead_of.set(origin).is_err() {
            return;
        }
        let (url, tls, ahead) = (base_url.to_owned(), tls.clone(), self.ahead.clone());
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
        let attempt = self.attempt(&request)?;
        let timeout = request.timeout;
        let client = self.client(request.route)?;
        let ahead_of = self.ahead_of.get();
        self.ahead.want(ahead_of.is_some() && ahead_of == Origin::of(&request.url).as_ref());
        let mut builder = match request.method {
            Method::Get => client.get(&request.url),
            Method::Put => client.put(&request.url),
            Method::Post => client.post(&request.url),
        };
        for (name, value) in request.headers {
            let value = HeaderValue::from_str(&value);
            let mut value = value.map_err(|_| setup(format!("header `{name}` is not valid")))?;
            value.set_sensitive(true);
            builder = builder.header(HeaderName::from_static(name), value);
        }
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        let response = builder.timeout(timeout).send().map_err(|error| attempt.explain(error))?;
        read(response, &attempt)
    }

    /// What is known of a request before it is sent.
    fn attempt(&self, request: &Request) -> Result<Attempt, HttpError> {
        let proxy = match request.route {
            Route::Metadata => Ok(None),
            Route::CloudQuick | Route::Cloud => self.routes.proxy_for_url(&request.url),
        };
        let proxy = proxy.map_err(|error| HttpError::Setup(SetupError::Proxy(error)))?;
        Ok(Attempt {
            url: request.url.clone(),
            proxy: proxy.map(|proxy| proxy.shown),
            timeout: request.timeout,
            connect_timeout: request.route.connect_timeout(),
            is_first_of_several: request.route == Route::CloudQuick,
        })
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
                let routes = self.routes.clone();
                // What cannot be used was refused before.
                let proxy = reqwest::Proxy::custom(move |url| {
                    let proxy = routes.proxy_for_url(url.as_str()).ok().flatten();
                    proxy.map(|proxy| proxy.url().to_owned())
                });
                let builder = builder(route, self.tls()?.clone()).proxy(proxy);
                builder.connector_layer(self.ahead.taking())
            }
        };
        let client = builder.build().map_err(|error| setup(innermost(&error)))?;
        Ok(cell.get_or_init(|| ManuallyDrop::new(client)))
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
    tls::client_config(trust).map_err(|error| HttpError::Setup(SetupError::Trust(error)))
}

fn builder(route: Route, tls: ClientConfig) -> ClientBuilder {
    Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .retry(retry::never())
        .referer(false)
        .http1_only()
        .user_agent(USER_AGENT)
        .timeout(None)
        .connect_timeout(route.connect_timeout())
        .tls_backend_preconfigured(tls)
}

fn setup(detail: String) -> HttpError {
    HttpError::Setup(SetupError::Client(detail))
}

fn read(response: reqwest::blocking::Response, attempt: &Attempt) -> Result<Response, HttpError> {
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
        limited_for: limited_for(headers),
        body: Vec::new(),
    };
    let mut body = response.take(MAX_ANSWER + 1);
    body.read_to_end(&mut answer.body).map_err(|error| match error.into_inner() {
        Some(inner) => match inner.downcast::<reqwest::Error>() {
            Ok(inner) => attempt.explain(*inner),
            Err(inner) => HttpError::Broken(inner.to_string()),
        },
        None => HttpError::Broken("the answer ended early".to_owned()),
    })?;
    if answer.body.len() as u64 > MAX_ANSWER {
        Err(HttpError::TooLarge(MAX_ANSWER))
    } else {
        Ok(answer)
    }
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// What the vendor's SDKs wait for after a call that was throttled, in milliseconds: those of one release
/// or another read `TimeLeft` in `Limit:1,Remain:0,TimeLeft:2000,Reset:1234`, or a header with nothing
/// else in it.
fn limited_for(headers: &HeaderMap) -> Option<Duration> {
    let parts = ["x-ratelimit-user-api", "x-ratelimit-user"].map(HeaderName::from_static);
    let parts = parts.iter().filter_map(|name| header(headers, name)).filter_map(|limit| {
        let mut pairs = limit.split(',').filter_map(|pair| pair.split_once(':'));
        pairs.find(|(name, _)| name.trim() == "TimeLeft").map(|(_, time)| time.to_owned())
    });
    let whole = header(headers, &HeaderName::from_static("x-acs-retry-after"));
    let times = parts.chain(whole).filter_map(|time| time.trim().parse().ok());
    times.max().map(Duration::from_millis)
}

/// `Fri, 01 Mar 2024 08:09:10 GMT`, as RFC 9110 has it.
pub fn http_date(text: &str) -> Option<Timestamp> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    PARSER.parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_a_limit_stays_used_up() {
        let of = |headers: &[(&'static str, &'static str)]| {
            let pairs = headers.iter().map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            });
            limited_for(&pairs.collect()).map(|time| time.as_millis())
        };
        let (user, api) = ("x-ratelimit-user", "x-ratelimit-user-api");
        let left = "Limit:1,Remain:0,TimeLeft:2000,Reset:1234";
        assert_eq!(of(&[(user, left)]), Some(2000));
        assert_eq!(of(&[(api, left), (user, "TimeLeft: 5")]), Some(2000));
        assert_eq!(of(&[("x-acs-retry-after", "300")]), Some(300));
        assert_eq!(of(&[(user, "Limit:1,Remain:0"), (api, "TimeLeft:-1")]), None);
        assert_eq!(of(&[(user, "TimeLeft:soon"), ("x-acs-retry-after", "")]), None);
        assert_eq!(of(&[]), None);
    }
}
