//! A Lease of the cluster, which one node has at a time: who has it may restart its kubelet.
//!
//! A holder that does not come back is waited for as long as its Lease says, by this node's own
//! monotonic clock, so that nodes whose clocks differ do not take it from each other.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::failure::{Exit, Failure};
use crate::net::http::{Http, Method, Request, Route, Routes};
use crate::net::tls::Trust;
use crate::secret::Secret;
use crate::setup::options::Keep;
use crate::system::clock::{self, Clock};
use crate::system::trusted_file;

/// Where a pod finds the token of its service account, with the cluster's certificate beside it.
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

const PATIENCE: Duration = Duration::from_secs(10);

/// Whether the Lease is this node's.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    Ours,
    /// The node that has it.
    Of(String),
}

pub struct Lease {
    url: String,
    holder: String,
    /// How long it is held by a node that does not come back, in seconds.
    seconds: u32,
    token: PathBuf,
    http: Http,
    /// The version that was last seen in another's hands, and since when.
    seen: Option<(String, Instant)>,
}

impl Lease {
    /// The Lease that is named; none where no other node is waited for.
    ///
    /// # Errors
    ///
    /// A Lease without a name for this node, or over plain http.
    pub fn of(keep: &Keep, watch: u32) -> Result<Option<Self>, Failure> {
        let Some(url) = &keep.lease else { return Ok(None) };
        let Some(holder) = &keep.holder else {
            let failure = Failure::new(Exit::Usage, "--lease needs --holder");
            return Err(failure.hint("give the name of this node"));
        };
        let is_loopback = url.starts_with("http://127.0.0.1:");
        if !url.starts_with("https://") && !is_loopback {
            let message = format!("--lease {url}: expected a URL with https");
            return Err(Failure::new(Exit::Usage, message));
        }
        let token = keep.token.clone().unwrap_or_else(|| TOKEN.into());
        let authority = token.with_file_name("ca.crt");
        let trust = Trust { instead: Some(authority), ..Trust::default() };
        let trust = if is_loopback { Trust::default() } else { trust };
        Ok(Some(Self {
            url: url.clone(),
            holder: holder.clone(),
            // A restart that fails is watched twice, and systemd may wait for 90 seconds each time.
            seconds: 240 + 36 * watch,
            token,
            http: Http::new(Routes { trust, ..Routes::default() }),
            seen: None,
        }))
    }

    /// Takes it, if nobody else has it.
    ///
    /// # Errors
    ///
    /// An API server that does not answer or refuses.
    pub fn take(&mut self, clock: &Clock) -> Result<Turn, Failure> {
        let lease = self
            .call(Method::Get, None)?
            .ok_or_else(|| Failure::new(Exit::Unexpected, format!("{}: conflict", self.url)))?;
        let text = |pointer| lease.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (holder, version) = (text("/spec/holderIdentity"), text("/metadata/resourceVersion"));
        if !holder.is_empty() && holder != self.holder && !self.is_over(&lease, version) {
            return Ok(Turn::Of(holder.to_owned()));
        }
        self.seen = None;
        let held = json!({
            "holderIdentity": self.holder,
            "leaseDurationSeconds": self.seconds,
            "acquireTime": micro_time(clock),
            "renewTime": micro_time(clock),
        });
        let is_written = self.write(lease.clone(), held)?;
        Ok(if is_written { Turn::Ours } else { Turn::Of("another node".to_owned()) })
    }

    /// Gives it back, for the next node.
    ///
    /// # Errors
    ///
    /// An API server that does not answer or refuses.
    pub fn release(&self) -> Result<(), Failure> {
        let Some(lease) = self.call(Method::Get, None)? else { return Ok(()) };
        let holder = lease.pointer("/spec/holderIdentity").and_then(Value::as_str);
        if holder == Some(&self.holder) {
            self.write(lease, json!({"leaseDurationSeconds": 1}))?;
        }
        Ok(())
    }

    /// Whether its holder has not touched it for as long as it lasts.
    fn is_over(&mut self, lease: &Value, version: &str) -> bool {
        let now = clock::instant();
        match &self.seen {
            Some((known, since)) if known == version => {
                let seconds = lease.pointer("/spec/leaseDurationSeconds").and_then(Value::as_u64);
                let lasts = Duration::from_secs(seconds.unwrap_or(self.seconds.into()));
                now.saturating_duration_since(*since) > lasts
            }
            _ => {
                self.seen = Some((version.to_owned(), now));
                false
            }
        }
    }

    /// Whether it was written; another node may have been faster.
    fn write(&self, mut lease: Value, spec: Value) -> Result<bool, Failure> {
        if let Some(fields) = lease.as_object_mut() {
            fields.insert("spec".to_owned(), spec);
        }
        Ok(self.call(Method::Put, Some(lease.to_string()))?.is_some())
    }

    /// What the API server answers; none where somebody else has written it since.
    fn call(&self, method: Method, body: Option<String>) -> Result<Option<Value>, Failure> {
        let failure = |why: &str| {
            Failure::new(Exit::Unexpected, format!("the Lease cannot be used: {why}"))
                .caused_by(format!("{} as {}", self.url, self.holder))
        };
        let token = token(&self.token).map_err(|why| failure(&why))?;
        let headers = vec![
            ("authorization", format!("Bearer {}", token.expose())),
            ("content-type", "application/json".to_owned()),
        ];
        let request = Request {
            method,
            url: self.url.clone(),
            headers,
            body,
            timeout: PATIENCE,
            route: Route::Cloud,
        };
        let answer = self.http.send(request).map_err(|error| failure(&error.to_string()))?;
        match answer.status {
            200 => serde_json::from_slice(&answer.body)
                .map(Some)
                .map_err(|_| failure("the answer is not JSON")),
            409 => Ok(None),
            401 | 403 => Err(failure(&format!("the API server answered {}", answer.status))
                .hint("apply the Role and the RoleBinding of config/setup-daemonset.yaml")),
            404 => Err(failure("the API server does not have it")
                .hint("apply the Lease of config/setup-daemonset.yaml")),
            status => Err(failure(&format!("the API server answered {status}"))),
        }
    }
}

fn token(path: &Path) -> Result<Secret, String> {
    let read = trusted_file::read(path, 64).map_err(|why| format!("{}: {why}", path.display()))?;
    Ok(Secret::new(String::from_utf8_lossy(&read.bytes).trim()))
}

/// A time as a Lease has it, with six digits behind the second.
fn micro_time(clock: &Clock) -> String {
    clock.now().to_string().replace('Z', ".000000Z")
}
