//! Faults at work: an answer is replaced or its delivery is spoilt.

use std::io::{self, Write};
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value as Json, json};

use super::backend::{Backend, Trace};
use super::clock::http_date;
use super::failure::Failure;
use super::fault::{BrokenConnection, DateFault, Fault, Instead, Transfer};
use super::gateway::{Door, Envelope};
use super::hop::{Hop, Service};
use super::http::{Request, Response};
use super::port::{Parting, Wire};

/// Padding that makes an answer too large for a client that keeps a limit of 256 KiB.
const HUGE: usize = 512 * 1024;

/// An answer and how it is to be sent.
pub(super) struct Delivery {
    pub(super) response: Response,
    /// What befalls the request instead of an answer.
    pub(super) unanswered: Option<&'static str>,
    /// What befalls the answer.
    pub(super) spoilt: Option<&'static str>,
    delay: Duration,
    connection: Option<BrokenConnection>,
    date: Option<String>,
    transfer: Option<Transfer>,
}

impl Delivery {
    pub(super) fn plain(backend: &Backend, response: Response) -> Self {
        Self {
            response,
            unanswered: None,
            spoilt: None,
            delay: Duration::ZERO,
            connection: None,
            date: Some(http_date(backend.clock.now())),
            transfer: None,
        }
    }

    /// Some if the connection is to end.
    pub(super) fn send(&self, backend: &Backend, wire: &mut Wire) -> io::Result<Option<Parting>> {
        if !self.delay.is_zero() && !backend.stopping.sleep(self.delay) {
            return Ok(Some(Parting::Close));
        }
        match self.connection {
            Some(BrokenConnection::Reset) => return Ok(Some(Parting::Reset)),
            // A refused hop has no listener; one that still gets here was connected before.
            Some(BrokenConnection::Close | BrokenConnection::Refuse) => {
                return Ok(Some(Parting::Close));
            }
            Some(BrokenConnection::Hang) => {
                // Ends when the client gives up or the cloud is dropped.
                io::copy(wire, &mut io::sink())?;
                return Ok(Some(Parting::Close));
            }
            None => {}
        }
        let mut headers: Vec<(&str, String)> = Vec::new();
        if let Some(date) = &self.date {
            headers.push(("Date", date.clone()));
        }
        let body = &self.response.body;
        match self.transfer {
            Some(Transfer::Chunked) => headers.push(("Transfer-Encoding", "chunked".to_owned())),
            _ => headers.push(("Content-Length", body.len().to_string())),
        }
        let mut bytes = self.response.head(&headers);
        match self.transfer {
            None => bytes.extend_from_slice(body),
            Some(Transfer::Chunked) => bytes.extend(chunked(body)),
            Some(Transfer::Truncated) => {
                bytes.extend_from_slice(&body[..body.len() / 2]);
                wire.write_all(&bytes)?;
                return Ok(Some(Parting::Close));
            }
            Some(Transfer::BytesPerSecond(rate)) => {
                bytes.extend_from_slice(body);
                return drip(backend, wire, &bytes, rate);
            }
        }
        wire.write_all(&bytes)?;
        Ok(None)
    }
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in body.chunks(100) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

fn drip(
    backend: &Backend,
    wire: &mut Wire,
    bytes: &[u8],
    rate: u32,
) -> io::Result<Option<Parting>> {
    // Ten times a second, or byte by byte when that is still too fast.
    let step = usize::try_from(rate / 10).unwrap_or(usize::MAX).max(1);
    let pause = Duration::from_secs_f64(step as f64 / f64::from(rate.max(1)));
    for piece in bytes.chunks(step) {
        wire.write_all(piece)?;
        wire.flush()?;
        if !backend.stopping.sleep(pause) {
            return Ok(Some(Parting::Close));
        }
    }
    Ok(None)
}

pub(super) fn spoil(
    backend: &Backend,
    door: &Door,
    request: &Request,
    trace: &mut Trace,
    response: Response,
    fault: &Fault,
) -> Delivery {
    let (response, replaced) = match &fault.instead {
        None => (response, None),
        Some(instead) => replace(backend, door, request, trace, response, instead),
    };
    let now = backend.clock.now();
    let (date, date_spoilt) = match fault.date {
        None => (Some(http_date(now)), None),
        Some(DateFault::Missing) => (None, Some("undated")),
        Some(DateFault::Garbage) => (Some("yesterday".to_owned()), Some("misdated")),
        Some(DateFault::Offset(seconds)) => {
            (Some(http_date(now + SignedDuration::from_secs(seconds))), Some("misdated"))
        }
    };
    let transfer_spoilt = match fault.transfer {
        Some(Transfer::Truncated) => Some("truncated"),
        Some(Transfer::BytesPerSecond(_)) => Some("dripping"),
        Some(Transfer::Chunked) | None => None,
    };
    Delivery {
        response,
        unanswered: fault.connection.map(|broken| match broken {
            BrokenConnection::Refuse | BrokenConnection::Close => "closed",
            BrokenConnection::Reset => "reset",
            BrokenConnection::Hang => "hang",
        }),
        spoilt: transfer_spoilt.or(date_spoilt).or(replaced),
        delay: Duration::from_millis(fault.delay_ms),
        connection: fault.connection,
        date,
        transfer: fault.transfer,
    }
}

/// Another answer, and a word for it in the record of calls where its status and code do not tell.
fn replace(
    backend: &Backend,
    door: &Door,
    request: &Request,
    trace: &mut Trace,
    response: Response,
    instead: &Instead,
) -> (Response, Option<&'static str>) {
    if !matches!(instead, Instead::Huge) {
        trace.code = None;
    }
    match instead {
        Instead::Html => {
            let body = "<!DOCTYPE html><html><head><title>Welcome</title></head><body>Please log in.</body></html>";
            (Response::new(200, "text/html; charset=utf-8", body), Some("html"))
        }
        Instead::Huge => (padded(response), Some("huge")),
        Instead::Redirect => {
            let sink = backend.own_urls.get().map_or("", |urls| urls.sink.as_str());
            let location = format!("{sink}{}", request.path);
            (Response::new(302, "text/html", "Found").with("Location", location), None)
        }
        Instead::Error(error) => {
            let failure = Failure::new(error.status, &error.code, &*error.message);
            (in_form_of(door.service, request, trace, failure), None)
        }
        Instead::Unsuccessful(told) => {
            trace.code = Some(told.code.clone());
            let body = json!({
                "RequestId": trace.request_id,
                "IsSuccess": false,
                "Code": told.code,
                "Message": told.message,
            });
            (Response::new(200, "application/json;charset=utf-8", body.to_string()), None)
        }
        Instead::Answer(answer) => {
            let response = Response::new(answer.status, &answer.content_type, answer.body.clone());
            let headers = answer.headers.iter();
            let response = headers.fold(response, |it, (name, value)| it.with(name, value.clone()));
            (response, Some("made-up"))
        }
    }
}

/// An error as the service itself would tell it.
fn in_form_of(
    service: Service,
    request: &Request,
    trace: &mut Trace,
    failure: Failure,
) -> Response {
    match service {
        Service::Sts | Service::Cr => {
            Envelope::new(service, request, None).json().seal(Err(failure), trace)
        }
        Service::Registry if trace.hop == Hop::RegistryChallenge => {
            trace.code = Some(failure.code.clone());
            let body = json!({"errors": [{"code": failure.code, "message": failure.message}]});
            Response::new(failure.status, "application/json; charset=utf-8", body.to_string())
        }
        _ => {
            trace.code = Some(failure.code.clone());
            Response::new(failure.status, "text/plain", format!("{}\n", failure.message))
        }
    }
}

/// The answer as it is, with so much behind it that a limit on the size must have been hit: as one
/// more field where the answer is a JSON object, as blanks elsewhere.
fn padded(mut response: Response) -> Response {
    let object = serde_json::from_slice::<Json>(&response.body).ok().filter(Json::is_object);
    match object {
        Some(mut object) => {
            object["Padding"] = "x".repeat(HUGE).into();
            response.body = object.to_string().into_bytes();
        }
        None => response.body.resize(response.body.len() + HUGE, b' '),
    }
    response
}
