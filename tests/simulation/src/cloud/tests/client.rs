//! A client in as few words as possible. It does what it is told, right or wrong.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value as Json;

use super::super::clock::iso;
use super::super::entropy;
use super::super::signature::{percent_encode, rpc_signature, rpc_string_to_sign};
use super::super::standard::{ACCESS_KEY_ID, ACCESS_KEY_SECRET, PULLER, WORKER_ROLE_NAME};
use super::super::{Cloud, Violation};

#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Status and `Code`, as in `403 NoPermission`.
    pub(super) fn verdict(&self) -> String {
        let code = self.json()["Code"].as_str().unwrap_or_default().to_owned();
        format!("{} {code}", self.status).trim().to_owned()
    }

    pub(super) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        Self { status, headers, body: body.to_owned() }
    }
}

/// Sends a request on a connection of its own.
pub(super) fn send(
    url: &str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<Reply> {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap())?;
    stream.write_all(request(method, target, headers, body).as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(Reply::parse(&answer))
}

pub(super) fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        text.push_str("Host: 127.0.0.1\r\n");
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    format!("{text}Content-Length: {}\r\n\r\n{body}", body.len())
}

pub(super) fn get(url: &str, target: &str, headers: &[(&str, &str)]) -> Reply {
    send(url, "GET", target, headers, "").unwrap()
}

#[derive(Clone, Debug)]
pub(super) struct Credentials {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) token: Option<String>,
}

impl Credentials {
    pub(super) fn key(id: &str, secret: &str) -> Self {
        Self { id: id.to_owned(), secret: secret.to_owned(), token: None }
    }

    /// Out of a role document or the `Credentials` of an answer.
    pub(super) fn session(document: &Json) -> Self {
        let text = |name: &str| document[name].as_str().unwrap().to_owned();
        Self {
            id: text("AccessKeyId"),
            secret: text("AccessKeySecret"),
            token: Some(text("SecurityToken")),
        }
    }
}

/// An RPC call: right, unless a test spoils it.
#[derive(Clone)]
pub(super) struct Rpc {
    pub(super) method: &'static str,
    pub(super) content_type: &'static str,
    pub(super) host: &'static str,
    pub(super) in_query: bool,
    parameters: BTreeMap<String, String>,
    /// Set after signing.
    tampered: Option<(String, String)>,
    secret: Option<String>,
}

impl Rpc {
    pub(super) fn unsigned(cloud: &Cloud, action: &str) -> Self {
        let version = if action.starts_with("AssumeRole") { "2015-04-01" } else { "2018-12-01" };
        Self {
            method: "POST",
            content_type: "application/x-www-form-urlencoded",
            host: "127.0.0.1",
            in_query: false,
            parameters: BTreeMap::new(),
            tampered: None,
            secret: None,
        }
        .set("Action", action)
        .set("Version", version)
        .set("Format", "JSON")
        .set("Timestamp", &iso(cloud.now()))
    }

    pub(super) fn signed(cloud: &Cloud, action: &str, credentials: &Credentials) -> Self {
        let mut call = Self::unsigned(cloud, action)
            .set("AccessKeyId", &credentials.id)
            .set("SignatureMethod", "HMAC-SHA1")
            .set("SignatureVersion", "1.0")
            .set("SignatureNonce", &entropy::alphanumeric(32));
        if let Some(token) = &credentials.token {
            call = call.set("SecurityToken", token);
        }
        call.secret = Some(credentials.secret.clone());
        call
    }

    pub(super) fn set(mut self, name: &str, value: &str) -> Self {
        self.parameters.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.parameters.remove(name);
        self
    }

    pub(super) fn tampered(mut self, name: &str, value: &str) -> Self {
        self.tampered = Some((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn send(&self, url: &str) -> Reply {
        let mut parameters = self.parameters.clone();
        if let Some(secret) = &self.secret {
            let signature = rpc_signature(secret, &rpc_string_to_sign(self.method, &parameters));
            parameters.insert("Signature".to_owned(), signature);
        }
        if let Some((name, value)) = self.tampered.clone() {
            parameters.insert(name, value);
        }
        let form: Vec<String> = parameters
            .iter()
            .map(|(name, value)| format!("{}={}", percent_encode(name), percent_encode(value)))
            .collect();
        let form = form.join("&");
        let headers = [("Content-Type", self.content_type), ("Host", self.host)];
        if self.in_query {
            send(url, self.method, &format!("/?{form}"), &headers, "").unwrap()
        } else {
            send(url, self.method, "/", &headers, &form).unwrap()
        }
    }
}

pub(super) fn image_puller() -> Credentials {
    Credentials::key(ACCESS_KEY_ID, ACCESS_KEY_SECRET)
}

/// The credentials of the node's role, from metadata in hardened mode.
pub(super) fn node(cloud: &Cloud) -> Credentials {
    let url = cloud.metadata_url();
    let ttl = ("X-aliyun-ecs-metadata-token-ttl-seconds", "21600");
    let token = send(&url, "PUT", "/latest/api/token", &[ttl], "").unwrap();
    let path = format!("/latest/meta-data/ram/security-credentials/{WORKER_ROLE_NAME}");
    let document = get(&url, &path, &[("X-aliyun-ecs-metadata-token", token.body.trim())]);
    Credentials::session(&document.json())
}

pub(super) fn assume_role(cloud: &Cloud, credentials: &Credentials, role: &str) -> Rpc {
    Rpc::signed(cloud, "AssumeRole", credentials)
        .set("RoleArn", role)
        .set("RoleSessionName", "node@cluster-a")
}

/// A session of the puller role, by way of the node's.
pub(super) fn puller(cloud: &Cloud) -> Credentials {
    let reply = assume_role(cloud, &node(cloud), PULLER).send(&cloud.sts_url());
    assert_eq!(reply.status, 200, "{}", reply.body);
    Credentials::session(&reply.json()["Credentials"])
}

pub(super) fn get_token(cloud: &Cloud, credentials: &Credentials, instance: &str) -> Rpc {
    Rpc::signed(cloud, "GetAuthorizationToken", credentials).set("InstanceId", instance)
}

/// User name and password of an answer of GetAuthorizationToken.
pub(super) fn login(reply: &Reply) -> (String, String) {
    assert_eq!(reply.status, 200, "{}", reply.body);
    let answer = reply.json();
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    (text("TempUsername"), text("AuthorizationToken"))
}

pub(super) fn violations(cloud: &Cloud) -> Vec<String> {
    cloud.violations().iter().map(Violation::to_string).collect()
}

/// The last call in its one-line form.
pub(super) fn last_call(cloud: &Cloud) -> String {
    cloud.call_lines().pop().unwrap()
}
