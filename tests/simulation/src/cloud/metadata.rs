//! ECS instance metadata: what the real one serves on 100.100.100.200 [doc][art].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use serde_json::json;

use super::backend::{Backend, Trace};
use super::clock::iso;
use super::description::{MetadataMode, Node};
use super::entropy;
use super::gateway::seconds;
use super::hop::Hop;
use super::http::{Request, Response};
use super::identity::{NewSession, Session};
use super::leaks::SecretKind;
use super::lock;
use super::sts::{remember_secrets, whole_second};

const TOKEN: &str = "/latest/api/token";
const TTL_HEADER: &str = "x-aliyun-ecs-metadata-token-ttl-seconds";
const TOKEN_HEADER: &str = "x-aliyun-ecs-metadata-token";
const ROLES: &str = "/latest/meta-data/ram/security-credentials/";
/// Not of the metadata service: what may stand in `ALIBABA_CLOUD_CREDENTIALS_URI`.
const CREDENTIALS_URI: &str = "/credentials";
const IDENTITY: &str = "/latest/dynamic/instance-identity/document";
/// A new credential is made so long before the present one ends, and both work in between
/// [old:ecs].
const ROTATION: u32 = 1800;

#[derive(Debug, Default)]
pub(super) struct MetadataState {
    /// Tokens and when they end.
    tokens: Mutex<BTreeMap<String, Timestamp>>,
    rotation: Mutex<Rotation>,
}

#[derive(Debug, Default)]
struct Rotation {
    /// Only the first credential can have been made before the cloud started.
    has_begun: bool,
    present: Option<Credential>,
}

#[derive(Clone, Debug)]
struct Credential {
    made: Timestamp,
    session: Arc<Session>,
}

pub(super) fn answer(backend: &Backend, request: &Request, trace: &mut Trace) -> Response {
    let world = backend.world();
    trace.hop = hop_of(&request.path);
    if trace.hop == Hop::MetadataItem {
        trace.what = Some(request.path.clone());
    }
    note_proxy(backend, request, trace.hop);
    if request.path == TOKEN {
        return token(backend, request, world.description.metadata.mode);
    }
    if request.method != "GET" {
        return page(405, "Method Not Allowed");
    }
    if let (CREDENTIALS_URI, Some(role)) = (request.path.as_str(), &world.description.node.role) {
        let document = role_document(backend, &world.description.node, role);
        return Response::new(200, "application/json", document);
    }
    if let Err(refusal) = admit(backend, request, world.description.metadata.mode, trace) {
        return refusal;
    }
    let node = &world.description.node;
    match item(backend, request, node, trace) {
        Some(mut text) => {
            if world.description.metadata.trailing_newline {
                text.push('\n');
            }
            Response::new(200, "text/plain", text)
        }
        None => page(404, "Not Found"),
    }
}

fn hop_of(path: &str) -> Hop {
    match path {
        TOKEN => Hop::MetadataToken,
        CREDENTIALS_URI => Hop::CredentialsUri,
        ROLES => Hop::MetadataRoleName,
        "/latest/meta-data/region-id" => Hop::MetadataRegion,
        _ if path.starts_with(ROLES) => Hop::MetadataRoleDocument,
        _ => Hop::MetadataItem,
    }
}

/// Metadata is this machine's own: asked through a proxy it is another machine's, or nobody's.
fn note_proxy(backend: &Backend, request: &Request, hop: Hop) {
    let signs = ["via", "proxy-connection", "proxy-authorization", "x-forwarded-for", "forwarded"];
    if request.absolute_form {
        backend.journal.violation(hop, "asked as a proxy is asked (absolute-form target)");
    }
    for sign in signs {
        if request.header(sign).is_some() {
            backend.journal.violation(hop, format!("went through a proxy (header {sign})"));
        }
    }
}

fn token(backend: &Backend, request: &Request, mode: MetadataMode) -> Response {
    match mode {
        MetadataMode::NoTokenApi => return page(404, "Not Found"),
        MetadataMode::TokenForbidden => return page(403, "Forbidden"),
        MetadataMode::TokenNotAllowed => return page(405, "Method Not Allowed"),
        MetadataMode::TokenNotImplemented => return page(501, "Not Implemented"),
        MetadataMode::TokenEmpty => return Response::new(200, "text/plain", String::new()),
        MetadataMode::Both | MetadataMode::HardenedOnly => {}
    }
    if request.method != "PUT" {
        return page(405, "Method Not Allowed");
    }
    let ttl = request.header(TTL_HEADER).and_then(|text| text.parse::<u32>().ok());
    let Some(ttl) = ttl.filter(|ttl| (1..=21_600).contains(ttl)) else {
        return page(400, "Bad Request");
    };
    let token = entropy::metadata_token();
    backend.journal.secrets.add(SecretKind::MetadataToken, "the node", &token);
    lock(&backend.metadata.tokens).insert(token.clone(), backend.clock.now() + seconds(ttl));
    let newline = if backend.world().description.metadata.trailing_newline { "\n" } else { "" };
    Response::new(200, "text/plain", format!("{token}{newline}"))
}

/// That a missing token is answered 403 where one is required is only seen in a client's handling
/// [art]; a token that is wrong or too old is treated the same here.
fn admit(
    backend: &Backend,
    request: &Request,
    mode: MetadataMode,
    trace: &mut Trace,
) -> Result<(), Response> {
    let issued = |token: &str| {
        let tokens = lock(&backend.metadata.tokens);
        tokens.get(token).is_some_and(|end| backend.clock.now() < *end)
    };
    match request.header(TOKEN_HEADER) {
        Some(token) if issued(token) => {
            trace.who = Some("token".to_owned());
            Ok(())
        }
        Some(_) => Err(page(403, "Forbidden")),
        None if mode == MetadataMode::HardenedOnly => Err(page(403, "Forbidden")),
        None => Ok(()),
    }
}

fn item(backend: &Backend, request: &Request, node: &Node, trace: &mut Trace) -> Option<String> {
    if let Some(asked) = request.path.strip_prefix(ROLES) {
        let role = node.role.as_deref()?;
        if asked.is_empty() {
            return Some(role.to_owned());
        }
        trace.what = Some(asked.to_owned());
        return (asked == role).then(|| role_document(backend, node, role));
    }
    if request.path == IDENTITY {
        let document = json!({
            "account-id": node.account,
            "owner-account-id": node.account,
            "region-id": node.region,
            "zone-id": node.zone,
            "instance-id": node.instance_id,
            "image-id": node.image_id,
        });
        return Some(document.to_string());
    }
    let value = match request.path.strip_prefix("/latest/meta-data/")? {
        "region-id" => &node.region,
        "zone-id" => &node.zone,
        "instance-id" => &node.instance_id,
        "owner-account-id" => &node.account,
        "vpc-id" => &node.vpc_id,
        "image-id" => &node.image_id,
        _ => return None,
    };
    Some(value.clone())
}

fn role_document(backend: &Backend, node: &Node, role: &str) -> String {
    let credential = credential(backend, node, role);
    let session = &credential.session;
    let mut document = json!({
        "AccessKeyId": session.access_key_id,
        "AccessKeySecret": session.access_key_secret,
        "Expiration": iso(session.expires),
        "SecurityToken": session.security_token,
        "LastUpdated": iso(credential.made),
    });
    let world = backend.world();
    let code = &world.description.metadata.role_document_code;
    if !code.is_empty() {
        document["Code"] = code.as_str().into();
    }
    format!("{document:#}")
}

/// The present credential of the role, a new one when it is time.
fn credential(backend: &Backend, node: &Node, role: &str) -> Credential {
    let now = whole_second(backend.clock.now());
    let mut rotation = lock(&backend.metadata.rotation);
    let is_good = |credential: &&Credential| {
        let session = &credential.session;
        session.account == node.account
            && session.role == role
            && now + seconds(ROTATION) < session.expires
    };
    if let Some(credential) = rotation.present.iter().find(is_good) {
        return credential.clone();
    }
    let age = if rotation.has_begun { 0 } else { node.credential_age };
    let made = now - seconds(age);
    let session = backend.sessions.open(NewSession {
        expires: made + seconds(node.credential_life),
        account: node.account.clone(),
        role: role.to_owned(),
        name: node.instance_id.clone(),
        policy: None,
    });
    remember_secrets(backend, &session);
    let credential = Credential { made, session };
    *rotation = Rotation { has_begun: true, present: Some(credential.clone()) };
    credential
}

fn page(status: u16, title: &str) -> Response {
    let body = format!("<html><head><title>{status} {title}</title></head></html>\n");
    Response::new(status, "text/html", body)
}
