//! A Lease of the cluster, which one node has at a time: who has it may restart its kubelet.
//!
//! A holder that does not come back is waited for as long as its Lease says, by this node's own
//! monotonic clock, so that nodes whose clocks differ do not take it from each other.

use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::failure::{Exit, Failure};
use crate::net::error::HttpError;
use crate::net::http::{Http, Method, Request, Response, Route, Routes};
use crate::net::tls::Trust;
use crate::secret::Secret;
use crate::setup::options::Keep;
use crate::system::clock::{self, Clock};
use crate::system::trusted_file;

/// Where a pod finds the token of its service account, with the cluster's certificate beside it.
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

const PATIENCE: Duration = Duration::from_secs(10);

/// Largest token or file of certificates that is read, in KiB.
const MAX_FILE: u64 = 1024;

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
    /// The cluster's certificates, and the client that was made with them.
    http: Option<(Vec<u8>, Http)>,
    /// The version that was last seen in another's hands, and since when.
    seen: Option<(String, Instant)>,
    /// It may be this node's: taken, or left by an earlier process.
    may_be_held: bool,
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
        Ok(Some(Self {
            url: bracketed(url),
            holder: holder.clone(),
            // A restart that fails is watched twice, and systemd may wait for 90 seconds each time.
            seconds: 240 + 36 * watch,
            token: keep.token.clone().unwrap_or_else(|| TOKEN.into()),
            http: None,
            seen: None,
            may_be_held: true,
        }))
    }

    /// Takes it, if nobody else has it.
    ///
    /// # Errors
    ///
    /// An API server that does not answer or refuses.
    pub fn take(&mut self, clock: &Clock) -> Result<Turn, Failure> {
        let lease = self.read()?;
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
        // Also if the answer gets lost.
        self.may_be_held = true;
        let is_written = self.write(lease.clone(), held)?;
        Ok(if is_written { Turn::Ours } else { Turn::Of("another node".to_owned()) })
    }

    /// Gives it back, for the next node, if this node has it.
    ///
    /// # Errors
    ///
    /// An API server that does not answer or refuses.
    pub fn give_back(&mut self) -> Result<(), Failure> {
        if !self.may_be_held {
            return Ok(());
        }
        let lease = self.read()?;
        let is_held =
            lease.pointer("/spec/holderIdentity").and_then(Value::as_str) == Some(&self.holder);
        self.may_be_held = is_held && !self.write(lease, json!({"leaseDurationSeconds": 1}))?;
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

    fn read(&mut self) -> Result<Value, Failure> {
        self.call(Method::Get, None)?.ok_or_else(|| unusable("conflict"))
    }

    /// Whether it was written; another node may have been faster.
    fn write(&mut self, mut lease: Value, spec: Value) -> Result<bool, Failure> {
        if let Some(fields) = lease.as_object_mut() {
            fields.insert("spec".to_owned(), spec);
        }
        Ok(self.call(Method::Put, Some(lease.to_string()))?.is_some())
    }

    /// What the API server answers; none where somebody else has written it since.
    fn call(&mut self, method: Method, body: Option<String>) -> Result<Option<Value>, Failure> {
        let token = Secret::new(String::from_utf8_lossy(&contents(&self.token)?).trim());
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
        let answer = self.http()?.send(request).map_err(|error| self.unreachable(&error))?;
        match answer.status {
            200 => serde_json::from_slice(&answer.body)
                .map(Some)
                .map_err(|_| unusable("the answer is not JSON")),
            409 => Ok(None),
            _ => Err(self.refused(&answer)),
        }
    }

    /// The client, which trusts the cluster's certificates as they are now: they may be replaced.
    fn http(&mut self) -> Result<&Http, Failure> {
        let authority = self.authority();
        let is_loopback = self.url.starts_with("http://");
        let certificates = if is_loopback { Vec::new() } else { contents(&authority)? };
        let known = self.http.take().filter(|(known, _)| *known == certificates);
        let (_, http) = self.http.insert(known.unwrap_or_else(|| {
            let instead = (!is_loopback).then_some(("the cluster's certificates", authority));
            let trust = Trust { instead, ..Trust::default() };
            (certificates, Http::new(Routes { trust, ..Routes::default() }))
        }));
        Ok(http)
    }

    fn authority(&self) -> PathBuf {
        self.token.with_file_name("ca.crt")
    }

    fn unreachable(&self, error: &HttpError) -> Failure {
        let failure = self.named(unusable(&error.to_string()));
        match error {
            HttpError::Certificate(_) => failure.hint(format!(
                "see that this URL leads to the API server, and that {} is of its cluster",
                self.authority().display()
            )),
            _ => failure,
        }
    }

    /// With what the API server says itself.
    fn refused(&self, answer: &Response) -> Failure {
        let (why, hint) = match answer.status {
            401 => (
                "the API server does not accept the token",
                Some("see that the service account and this pod are still there"),
            ),
            403 => (
                "the service account may not use it",
                Some("apply the Role and the RoleBinding of config/setup-daemonset.yaml"),
            ),
            404 => (
                "the API server does not have it",
                Some("apply the Lease of config/setup-daemonset.yaml"),
            ),
            _ => ("the API server does not answer as usual", None),
        };
        let status: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let said = status.get("message").and_then(Value::as_str).unwrap_or("no message");
        let failure = unusable(&format!("{why} ({})", answer.status));
        let failure = self.named(failure.caused_by(said));
        hint.into_iter().fold(failure, Failure::hint)
    }

    fn named(&self, failure: Failure) -> Failure {
        failure.caused_by(format!("{} as {}", self.url, self.holder))
    }
}

fn unusable(why: &str) -> Failure {
    Failure::new(Exit::Unexpected, format!("the Lease cannot be used: {why}"))
}

fn contents(path: &Path) -> Result<Vec<u8>, Failure> {
    let read = trusted_file::read(path, MAX_FILE);
    let read = read.map_err(|why| unusable(&format!("{}: {why}", path.display())))?;
    Ok(read.bytes)
}

/// A URL whose host may be an IPv6 address as the kubelet gives it to pods: without brackets.
fn bracketed(url: &str) -> String {
    let parts = || {
        let (scheme, rest) = url.split_once("://")?;
        let (authority, path) = rest.split_once('/')?;
        let (host, port) = authority.rsplit_once(':')?;
        let is_bare = host.parse::<Ipv6Addr>().is_ok();
        is_bare.then(|| format!("{scheme}://[{host}]:{port}/{path}"))
    };
    parts().unwrap_or_else(|| url.to_owned())
}

/// A time as a Lease has it, with six digits behind the second.
fn micro_time(clock: &Clock) -> String {
    clock.now().to_string().replace('Z', ".000000Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_ipv6_address_gets_brackets() {
        for (url, expected) in [
            ("https://fd00::1:443/apis/l", "https://[fd00::1]:443/apis/l"),
            ("https://[fd00::1]:443/apis/l", "https://[fd00::1]:443/apis/l"),
            ("https://10.0.0.1:443/apis/l", "https://10.0.0.1:443/apis/l"),
            ("https://api.example:443/apis/l", "https://api.example:443/apis/l"),
            ("https://api.example/apis/l", "https://api.example/apis/l"),
        ] {
            assert_eq!(bracketed(url), expected);
        }
    }
}
