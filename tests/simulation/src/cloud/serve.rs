//! From a connection to answers: each request is answered by its service, recorded, and spoilt if a
//! fault says so.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::backend::{Backend, Trace};
use super::gateway::Door;
use super::hop::{Hop, Service};
use super::http::{Request, Response};
use super::journal::{Call, Outcome};
use super::leaks::SecretKind;
use super::port::{Parting, Wire};
use super::spoil::{self, Delivery};
use super::{cr, entropy, metadata, registry, sts};

/// Answers what comes on a connection until it ends.
pub(super) fn converse(backend: &Backend, door: &Door, wire: &mut Wire) -> Parting {
    let mut pending = Vec::new();
    loop {
        let request = match Request::read(wire, &mut pending) {
            Ok(Some(request)) => request,
            Ok(None) => return Parting::Close,
            Err(error) => {
                // Over TLS this is also how a client leaves that does not know our authority.
                if error.kind() == io::ErrorKind::InvalidData && !wire.is_tls() {
                    let what = format!("{:?} was sent no HTTP: {error}", door.service);
                    backend.journal.violation(Hop::Unrecognised, what);
                }
                return Parting::Close;
            }
        };
        let Some(delivery) = guarded(backend, || serve(backend, door, &request)) else {
            return Parting::Close;
        };
        // A write fails when the client has given up, which is its good right.
        match delivery.send(backend, wire).and_then(|parting| wire.flush().map(|()| parting)) {
            Ok(None) if !request.wants_close() => {}
            Ok(parting) => return parting.unwrap_or(Parting::Close),
            Err(_) => return Parting::Close,
        }
    }
}

/// A bug of the simulation must be seen by the test that meets it: as a violation, since a panic in
/// a thread of the cloud's fails no test.
pub(super) fn guarded<T>(backend: &Backend, act: impl FnOnce() -> T) -> Option<T> {
    let result = catch_unwind(AssertUnwindSafe(act));
    result
        .inspect_err(|panic| {
            let text = panic.downcast_ref::<&str>().copied();
            let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            let what = format!("the simulation itself failed: {}", text.unwrap_or("panic"));
            backend.journal.violation(Hop::Unrecognised, what);
        })
        .ok()
}

fn serve(backend: &Backend, door: &Door, request: &Request) -> Delivery {
    let mut trace = Trace {
        hop: Hop::Unrecognised,
        who: None,
        what: None,
        code: None,
        request_id: entropy::request_id(),
    };
    let response = answer(backend, door, request, &mut trace);
    if trace.hop == Hop::Unrecognised {
        trace.what = Some(format!("{} {}", request.method, request.path));
    }
    note_leaks(backend, door.service, request, trace.hop);
    let world = backend.world();
    let fault = backend.counters.meet(trace.hop, &world.description.faults);
    let delivery = match fault {
        Some(fault) => spoil::spoil(backend, door, request, &mut trace, response, fault),
        None => Delivery::plain(backend, response),
    };
    backend.journal.record(Call {
        hop: trace.hop,
        who: trace.who,
        host: request.header("host").map(str::to_owned),
        what: trace.what,
        outcome: match delivery.unanswered {
            Some(how) => Outcome::Unanswered(how),
            None => Outcome::Answered {
                status: delivery.response.status,
                code: trace.code,
                spoilt: delivery.spoilt,
            },
        },
        request_id: trace.request_id,
    });
    delivery
}

fn answer(backend: &Backend, door: &Door, request: &Request, trace: &mut Trace) -> Response {
    match door.service {
        Service::Metadata => metadata::answer(backend, request, trace),
        Service::Sts => sts::answer(backend, door, request, trace),
        Service::Cr => cr::answer(backend, door, request, trace),
        Service::Registry => registry::answer(backend, request, trace),
        Service::Sink => {
            trace.hop = Hop::Sink;
            backend
                .journal
                .violation(Hop::Sink, format!("a redirect was followed to {}", request.path));
            Response::new(200, "application/json", "{}")
        }
    }
}

/// A secret in a URL ends up in logs; and each kind has the only places where it may be sent to.
fn note_leaks(backend: &Backend, service: Service, request: &Request, hop: Hop) {
    for leak in backend.journal.secrets.leaks(&request.target) {
        backend.journal.violation(hop, format!("{:?} in the URL", leak.secret));
    }
    for leak in backend.journal.secrets.leaks(&request.raw) {
        let at_home = match leak.secret.kind {
            // Signing needs it, sending never does.
            SecretKind::AccessKeySecret => false,
            SecretKind::SecurityToken => matches!(service, Service::Sts | Service::Cr),
            SecretKind::OidcToken => service == Service::Sts,
            SecretKind::RegistryPassword => hop == Hop::RegistryAuth,
            SecretKind::MetadataToken => service == Service::Metadata,
        };
        if !at_home {
            backend.journal.violation(hop, format!("{:?} was sent to {service:?}", leak.secret));
        }
    }
}
