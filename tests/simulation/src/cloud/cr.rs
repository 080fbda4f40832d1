//! Container Registry's API: Enterprise Edition (RPC, 2018-12-01) and Personal (ROA, 2016-06-07).

mod enterprise;
mod login;
mod personal;

pub use self::login::LoginRefused;
pub(super) use self::login::{Logins, Place};
use super::backend::{Backend, Trace};
use super::gateway::roa::roa;
use super::gateway::{Door, rpc};
use super::http::{Request, Response};

pub(super) fn answer(
    backend: &Backend,
    door: &Door,
    request: &Request,
    trace: &mut Trace,
) -> Response {
    if request.method == "GET" && request.path == "/tokens" {
        roa(backend, door, request, trace, |caller, region, trace| {
            personal::tokens(backend, caller, region, trace)
        })
    } else {
        rpc(backend, door, request, trace, |admitted, _| enterprise::answer(backend, admitted))
    }
}
