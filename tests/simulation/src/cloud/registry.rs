//! The registry itself: its anonymous challenge, and the realm that the challenge names.

pub(super) mod bearer;
pub(super) mod hosts;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use self::bearer::Grant;
use self::hosts::Named;
use super::backend::{Backend, Trace};
use super::clock::{self, iso};
use super::cr::{LoginRefused, Place};
use super::description::Challenge;
use super::hop::Hop;
use super::http::{Request, Response};
use super::parameters;
use super::world::World;

/// Where the realm is on this cloud's own registry endpoint.
const REALM_PATH: &str = "/auth";

pub(super) fn answer(backend: &Backend, request: &Request, trace: &mut Trace) -> Response {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/v2/") => challenge(backend, request, trace),
        ("GET", REALM_PATH) => realm(backend, request, trace),
        ("POST", REALM_PATH) => {
            // Clients try OAuth2's form first. Whether the real realm has it is not known, so that
            // a client has to do without.
            trace.hop = Hop::RegistryAuth;
            trace.what = Some("by OAuth2".to_owned());
            Response::new(404, "text/plain", "404 page not found\n")
        }
        _ => Response::new(404, "text/plain", "404 page not found\n"),
    }
}

fn challenge(backend: &Backend, request: &Request, trace: &mut Trace) -> Response {
    trace.hop = Hop::RegistryChallenge;
    if request.header("authorization").is_some() {
        backend.journal.violation(trace.hop, "Authorization was sent to an anonymous endpoint");
    }
    let world = backend.world();
    let registry = &world.description.registry;
    let asked = request.host_name();
    let known = hosts::resolve(&world, &asked).map(|named| (asked.clone(), named));
    let default = || {
        let host = registry.default_host.clone()?;
        hosts::resolve(&world, &host).map(|named| (host, named))
    };
    let Some((host, named)) = known.or_else(default) else {
        trace.what = Some(asked);
        return Response::new(404, "text/plain", "404 page not found\n");
    };
    trace.what = Some(host.clone());
    trace.code = Some("UNAUTHORIZED".to_owned());
    let body = json!({"errors": [{
        "code": "UNAUTHORIZED", "message": "authentication required", "detail": null,
    }]});
    let response = Response::new(401, "application/json; charset=utf-8", body.to_string())
        .with("Docker-Distribution-Api-Version", "registry/2.0");
    if registry.challenge == Challenge::None {
        return response;
    }
    let realm = match backend.own_urls.get() {
        Some(urls) if registry.local_realm => format!("{}{REALM_PATH}", urls.registry),
        _ => hosts::realm(&host, &named),
    };
    let bearer = format!("Bearer realm=\"{realm}\",service=\"{}\"", service(&named));
    response.with("Www-Authenticate", bearer)
}

/// Four fields or five for Enterprise, three for Personal [harbor].
fn service(named: &Named<'_>) -> String {
    match named {
        Named::Enterprise(located) => {
            let region = &located.instance.region;
            let suffix = located.instance.challenge_suffix.as_ref();
            let suffix = suffix.map(|suffix| format!(":{suffix}")).unwrap_or_default();
            format!("registry.aliyuncs.com:{region}:china:{}{suffix}", located.id)
        }
        Named::Personal { region } => format!("registry.aliyuncs.com:{region}:26842"),
    }
}

/// Changes a login for a bearer token: `GET <realm>?service=…&scope=repository:<ns>/<repo>:pull`.
/// A client that asks for more actions gets a token for `pull` alone. `docker login` and its like ask without
/// a scope, and get a token for nothing if the login is right.
fn realm(backend: &Backend, request: &Request, trace: &mut Trace) -> Response {
    trace.hop = Hop::RegistryAuth;
    let query = parameters::decode(&request.query).unwrap_or_default();
    let value = |wanted: &str| {
        query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    };
    let scope = value("scope");
    let repository = scope.and_then(|scope| {
        let (name, actions) = scope.strip_prefix("repository:")?.rsplit_once(':')?;
        actions.split(',').any(|action| action == "pull").then_some(name)
    });
    let (Some(service), true) = (value("service"), scope.is_some() == repository.is_some()) else {
        return Response::new(
            400,
            "text/plain",
            "service is needed, and a scope must be repository:<name>:pull\n",
        );
    };
    trace.what = repository.map(str::to_owned);
    let (user, password) = basic_login(request).unwrap_or_default();
    let logins = &backend.logins;
    let allowed = places(&backend.world(), service)
        .iter()
        .map(|place| match repository {
            Some(repository) => logins.allow_pull(backend, &user, &password, place, repository),
            None => logins.is_for(backend, &user, &password, place),
        })
        .reduce(Result::or)
        .unwrap_or(Err(LoginRefused::Elsewhere));
    match allowed {
        Ok(()) => {
            // A real registry that reads the token goes by the machine's clock.
            let issued = clock::machine();
            let grant = Grant { user: &user, service, repository };
            let token = backend.token_signer.sign(&grant, issued);
            let answer = json!({
                "token": token,
                "access_token": token,
                "expires_in": bearer::LIFE,
                "issued_at": iso(issued),
            });
            Response::new(200, "application/json; charset=utf-8", answer.to_string())
        }
        Err(refused) => {
            trace.code = Some(format!("{refused:?}"));
            let answer = json!({"details": refused.to_string()});
            Response::new(401, "application/json; charset=utf-8", answer.to_string())
        }
    }
}

/// What the `service` of a challenge may stand for: a Personal registry is in some account.
fn places(world: &World, service: &str) -> Vec<Place> {
    let fields: Vec<&str> = service.split(':').collect();
    match fields[..] {
        ["registry.aliyuncs.com", _, "china", instance, ..] => {
            vec![Place::Enterprise { instance: instance.to_owned() }]
        }
        ["registry.aliyuncs.com", region, "26842"] => world
            .accounts()
            .map(|(account, _)| Place::Personal {
                account: account.to_owned(),
                region: Some(region.to_owned()),
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn basic_login(request: &Request) -> Option<(String, String)> {
    let encoded = request.header("authorization")?.strip_prefix("Basic ")?;
    let login = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    // Only the first colon separates: the password has colons of its own.
    login.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}
