//! The front of the APIs: which action, which format, and is the request signed by whom it says.

mod access;
mod acs3;
mod envelope;
pub(super) mod roa;

use jiff::SignedDuration;

use self::access::{Signer, check_nonce, look_up};
pub(super) use self::envelope::{Envelope, Format};
use super::backend::{Backend, Trace};
use super::clock::parse_iso;
use super::failure::Failure;
use super::hop::{Hop, Service};
use super::http::{Request, Response};
use super::identity::Identity;
use super::parameters::Parameters;
use super::signature::{rpc_signature, rpc_string_to_sign};

/// A request that has passed the gateway.
pub(super) struct Admitted {
    pub(super) hop: Hop,
    pub(super) parameters: Parameters,
    /// None for the anonymous AssumeRoleWithOIDC.
    pub(super) caller: Option<Identity>,
    /// The region whose endpoint was called, where that can be told.
    pub(super) region: Option<String>,
}

/// Which endpoint a request arrived at.
#[derive(Clone, Debug)]
pub(super) struct Door {
    pub(super) service: Service,
    /// For the `cr` endpoints of a single region.
    pub(super) region: Option<String>,
}

struct Action {
    name: &'static str,
    hop: Hop,
    signed: bool,
}

const STS_ACTIONS: [Action; 2] = [
    Action { name: "AssumeRole", hop: Hop::AssumeRole, signed: true },
    Action { name: "AssumeRoleWithOIDC", hop: Hop::AssumeRoleWithOidc, signed: false },
];

const CR_ACTIONS: [Action; 3] = [
    Action { name: "GetAuthorizationToken", hop: Hop::GetAuthorizationToken, signed: true },
    Action { name: "ListInstance", hop: Hop::ListInstance, signed: true },
    Action { name: "ListInstanceEndpoint", hop: Hop::ListInstanceEndpoint, signed: true },
];

/// Takes an RPC request through the gateway and, if it is admitted, to the action.
pub(super) fn rpc(
    backend: &Backend,
    door: &Door,
    request: &Request,
    trace: &mut Trace,
    act: impl FnOnce(&Admitted, &mut Trace) -> Result<serde_json::Value, Failure>,
) -> Response {
    let region = region(door, request);
    let mut envelope = Envelope::new(door.service, request, region.as_deref());
    let result = parameters(request).and_then(|parameters| {
        if acs3::is_meant(request) {
            envelope.format = Format::of_accept(request.header("accept"));
            envelope.action = request.header("x-acs-action").unwrap_or("Error").to_owned();
        } else {
            envelope.format = Format::of_parameter(parameters.get("Format"));
            envelope.action = parameters.get("Action").unwrap_or("Error").to_owned();
        }
        let admitted = admit(backend, door, request, parameters, region, trace)?;
        let mut answer = act(&admitted, trace)?;
        answer["RequestId"] = trace.request_id.clone().into();
        Ok(answer)
    });
    envelope.seal(result, trace)
}

fn parameters(request: &Request) -> Result<Parameters, Failure> {
    if !matches!(request.method.as_str(), "GET" | "POST") {
        return Err(Failure::new(
            405,
            "UnsupportedHTTPMethod",
            "The HTTP method is not supported.",
        ));
    }
    if request.path != "/" {
        return Err(Failure::new(404, "InvalidAction.NotFound", "Specified api is not found."));
    }
    let content_type = request.header("content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let body = match media_type {
        "application/x-www-form-urlencoded" => String::from_utf8_lossy(&request.body),
        _ if request.body.is_empty() => "".into(),
        // Allowed [meta], but what it holds is no parameter of an RPC request.
        "application/json" => "".into(),
        _ => {
            let message =
                "The Content-Type must be application/json or application/x-www-form-urlencoded.";
            return Err(Failure::invalid("ContentType", message));
        }
    };
    Parameters::read(&request.query, &body)
        .ok_or_else(|| Failure::new(400, "InvalidParameter", "The parameters are wrongly encoded."))
}

fn admit(
    backend: &Backend,
    door: &Door,
    request: &Request,
    parameters: Parameters,
    region: Option<String>,
    trace: &mut Trace,
) -> Result<Admitted, Failure> {
    let in_headers = acs3::is_meant(request);
    let (name, told_version) = if in_headers {
        let (name, version) = acs3::action(request)?;
        (name, Some(version))
    } else {
        let name = parameters.get("Action").ok_or_else(|| Failure::missing("Action"))?;
        (name, parameters.get("Version"))
    };
    let (actions, version): (&[Action], _) = match door.service {
        Service::Sts => (&STS_ACTIONS, "2015-04-01"),
        _ => (&CR_ACTIONS, "2018-12-01"),
    };
    let Some(action) = actions.iter().find(|action| action.name == name) else {
        let message = "Specified api is not found, please check your url and method.";
        return Err(Failure::new(404, "InvalidAction.NotFound", message));
    };
    trace.hop = action.hop;
    let about = ["RoleArn", "InstanceId", "InstanceName"];
    trace.what = about.iter().find_map(|name| parameters.get(name)).map(str::to_owned);
    note_violations(backend, request, &parameters, action);
    if told_version.ok_or_else(|| Failure::missing("Version"))? != version {
        return Err(Failure::new(
            400,
            "InvalidVersion",
            "Specified parameter Version is not valid.",
        ));
    }
    if in_headers {
        let caller = Some(acs3::authenticate(backend, request, trace)?);
        return Ok(Admitted { hop: action.hop, parameters, caller, region });
    }
    check_time(backend, &parameters)?;
    let caller = if action.signed {
        Some(authenticate(backend, request, &parameters, trace)?)
    } else {
        None
    };
    Ok(Admitted { hop: action.hop, parameters, caller, region })
}

/// The vendor takes GET and POST and any split between query and body. This project promises more:
/// signed calls are POSTs with everything in the body, since query strings end up in logs.
fn note_violations(backend: &Backend, request: &Request, parameters: &Parameters, action: &Action) {
    let violation = |what: String| backend.journal.violation(action.hop, what);
    if request.method != "POST" {
        violation(format!("sent as {}", request.method));
    }
    if action.signed && !parameters.in_query.is_empty() {
        let names: Vec<_> = parameters.in_query.iter().map(String::as_str).collect();
        violation(format!("parameters in the query: {}", names.join(", ")));
    }
    for name in ["OIDCToken", "Policy", "SecurityToken"] {
        if !action.signed && parameters.in_query.contains(name) {
            violation(format!("{name} in the query"));
        }
    }
    for name in &parameters.repeated {
        violation(format!("parameter {name} is there twice"));
    }
}

fn check_time(backend: &Backend, parameters: &Parameters) -> Result<(), Failure> {
    let Some(told) = parameters.get("Timestamp") else {
        let message = "The input parameter \"Timestamp\" that is mandatory for processing this request is not supplied.";
        return Err(Failure::new(400, "MissingTimestamp", message));
    };
    let Some(at) = parse_iso(told) else {
        let message = "Specified time stamp or date value is not well formatted.";
        return Err(Failure::new(400, "InvalidTimeStamp.Format", message));
    };
    if backend.clock.tolerates(at) { Ok(()) } else { Err(time_expired()) }
}

fn time_expired() -> Failure {
    let message = "Specified time stamp or date value is expired.";
    Failure::new(400, "InvalidTimeStamp.Expired", message)
}

fn authenticate(
    backend: &Backend,
    request: &Request,
    parameters: &Parameters,
    trace: &mut Trace,
) -> Result<Identity, Failure> {
    let required = |name: &str| parameters.get(name).ok_or_else(|| Failure::missing(name));
    let key_id = required("AccessKeyId")?;
    trace.who = Some(key_id.to_owned());
    let nonce = required("SignatureNonce")?;
    let fresh = check_nonce(backend, trace.hop, key_id, nonce);
    for (name, value) in [("SignatureMethod", "HMAC-SHA1"), ("SignatureVersion", "1.0")] {
        if required(name)? != value {
            return Err(incomplete_signature());
        }
    }
    let signature = parameters.get("Signature").ok_or_else(incomplete_signature)?;
    let Signer { identity, secret } =
        look_up(backend, key_id, parameters.get("SecurityToken"), trace)?;
    let string_to_sign = rpc_string_to_sign(&request.method, &parameters.all);
    if signature != rpc_signature(&secret, &string_to_sign) {
        return Err(signature_mismatch(&string_to_sign));
    }
    fresh?;
    Ok(identity)
}

fn incomplete_signature() -> Failure {
    let message = "The request signature does not conform to Aliyun standards.";
    Failure::new(400, "IncompleteSignature", message)
}

/// The real one echoes all of what it signed, the SecurityToken included (seen in several projects'
/// reports): a client that prints this message leaks it.
fn signature_mismatch(string_to_sign: &str) -> Failure {
    let message = format!(
        "Specified signature is not matched with our calculation. server string to sign is:{string_to_sign}"
    );
    Failure::new(400, "SignatureDoesNotMatch", message)
}

/// The region of the endpoint: the door's own, else what a host like `cr-vpc.cn-hangzhou.…` says.
fn region(door: &Door, request: &Request) -> Option<String> {
    if door.region.is_some() {
        return door.region.clone();
    }
    let host = request.host_name();
    let mut labels = host.strip_suffix(".aliyuncs.com")?.split('.');
    match (labels.next(), labels.next(), labels.next()) {
        (Some("cr" | "cr-vpc"), Some(region), None) => Some(region.to_owned()),
        _ => None,
    }
}

/// Seconds as a span of time.
pub(super) fn seconds(count: u32) -> SignedDuration {
    SignedDuration::from_secs(i64::from(count))
}
