//! Each fault, seen from the other end of the line.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::super::clock::parse_http_date;
use super::super::standard::ACME;
use super::super::{Cloud, Service};
use super::client::{
    Reply, Rpc, get, get_token, image_puller, last_call, request, send, violations,
};

fn with_fault(fault: &str) -> Cloud {
    Cloud::with(&format!("faults: {{get-authorization-token: [{fault}]}}"))
}

fn call(cloud: &Cloud) -> Rpc {
    get_token(cloud, &image_puller(), ACME)
}

fn answer(cloud: &Cloud) -> Reply {
    call(cloud).send(&cloud.cr_url())
}

/// A GET /tokens: wrong, but enough to meet a fault of the connection itself. Waits for so long.
fn connect_and_ask(cloud: &Cloud, patience: u64) -> (TcpStream, std::io::Result<Vec<u8>>) {
    let address = cloud.cr_url().replace("http://", "");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request("GET", "/tokens", &[], "").as_bytes()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(patience))).unwrap();
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes).map(|_| bytes);
    (stream, read)
}

#[expect(clippy::disallowed_methods, reason = "measures how long a fault takes")]
fn timed<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    (act(), start.elapsed())
}

#[test]
fn errors_come_as_told_and_as_often_as_told() {
    let cloud = with_fault(
        "{calls: 1-2, instead: {error: {status: 503, code: ServiceUnavailable}}}, \
         {calls: 3, instead: {error: {status: 400, code: Throttling.User, message: slowly}}}",
    );
    let verdicts: Vec<_> = (0..4).map(|_| answer(&cloud).verdict()).collect();
    assert_eq!(
        verdicts,
        ["503 ServiceUnavailable", "503 ServiceUnavailable", "400 Throttling.User", "200 success"]
    );
    assert!(cloud.call_lines()[0].ends_with("user/image-puller -> 503 ServiceUnavailable"));
    assert!(!cloud.calls()[0].succeeded());
    assert!(cloud.calls()[3].succeeded());
}

#[test]
fn a_faulted_call_has_been_worked_on() {
    let cloud = with_fault("{calls: 1, instead: {error: {status: 500, code: InternalError}}}");
    let call = call(&cloud);
    assert_eq!(call.send(&cloud.cr_url()).verdict(), "500 InternalError");
    // Its nonce is used up: a retry needs a new one.
    assert_eq!(call.send(&cloud.cr_url()).verdict(), "400 SignatureNonceUsed");
}

#[test]
fn other_answers_than_expected() {
    let html = answer(&with_fault("{instead: html}"));
    assert!(html.headers["content-type"].starts_with("text/html") && html.status == 200);
    let huge = answer(&with_fault("{instead: huge}"));
    assert!(huge.body.len() > 512 * 1024);
    assert_eq!(huge.verdict(), "200 success");
    let unsuccessful = answer(&with_fault("{instead: {unsuccessful: {code: INSTANCE_NOT_EXIST}}}"));
    assert_eq!(unsuccessful.verdict(), "200 INSTANCE_NOT_EXIST");
    assert_eq!(unsuccessful.json()["IsSuccess"], false);
    let made_up =
        answer(&with_fault("{instead: {answer: {status: 204, body: '', headers: {X-A: b}}}}"));
    assert_eq!((made_up.status, made_up.headers["x-a"].as_str()), (204, "b"));
}

#[test]
fn a_redirect_must_not_be_followed() {
    let cloud = with_fault("{instead: redirect}");
    let reply = answer(&cloud);
    assert_eq!(reply.status, 302);
    let location = reply.headers["location"].clone();
    assert!(location.starts_with(&cloud.sink_url()));
    assert_eq!(violations(&cloud), [""; 0]);
    get(&cloud.sink_url(), "/", &[]);
    assert_eq!(violations(&cloud), ["redirect target: a redirect was followed to /"]);
}

#[test]
fn dates_can_be_wrong_or_missing() {
    let missing = answer(&with_fault("{date: missing}"));
    assert!(!missing.headers.contains_key("date"));
    let garbage = answer(&with_fault("{date: garbage}"));
    assert_eq!(garbage.headers["date"], "yesterday");
    let cloud = with_fault("{date: {offset: -3600}}");
    let date = parse_http_date(&answer(&cloud).headers["date"]).unwrap();
    let behind = cloud.now().duration_since(date).as_secs();
    assert!((3570..=3630).contains(&behind), "{behind}");
    assert!(last_call(&cloud).ends_with("-> 200 misdated"));
}

#[test]
fn answers_can_be_cut_short_or_come_in_pieces() {
    let cloud = with_fault("{transfer: truncated}");
    let reply = answer(&cloud);
    let told: usize = reply.headers["content-length"].parse().unwrap();
    assert!(reply.body.len() < told);
    assert!(last_call(&cloud).ends_with("-> 200 truncated"));
    let chunked = answer(&with_fault("{transfer: chunked}"));
    assert_eq!(chunked.headers["transfer-encoding"], "chunked");
    assert!(chunked.body.starts_with("64\r\n") && chunked.body.ends_with("\r\n0\r\n\r\n"));
}

#[test]
fn answers_can_be_slow() {
    let (reply, took) = timed(|| answer(&with_fault("{delay-ms: 200}")));
    assert_eq!(reply.status, 200);
    assert!(took >= Duration::from_millis(200), "{took:?}");
    let cloud = with_fault("{transfer: {bytes-per-second: 1000}}");
    let (reply, took) = timed(|| answer(&cloud));
    assert_eq!(reply.verdict(), "200 success");
    assert!(took >= Duration::from_millis(350), "{took:?}");
}

#[test]
fn connections_break_as_told() {
    let broken =
        |how: &str| Cloud::with(&format!("faults: {{personal-tokens: [{{connection: {how}}}]}}"));
    let reset = broken("reset");
    let (_, read) = connect_and_ask(&reset, 60_000);
    assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(last_call(&reset), "GET /tokens -> reset");
    let closed = broken("close");
    let (_, read) = connect_and_ask(&closed, 60_000);
    assert_eq!(read.unwrap(), b"");
    assert_eq!(last_call(&closed), "GET /tokens -> closed");
    let hanging = broken("hang");
    let (_stream, read) = connect_and_ask(&hanging, 300);
    assert!(matches!(read.unwrap_err().kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    assert_eq!(last_call(&hanging), "GET /tokens -> hang");
    // Ends the hanging connection, which still has its client.
    let ((), took) = timed(|| drop(hanging));
    assert!(took < Duration::from_secs(30), "{took:?}");
}

#[test]
fn a_refused_connection_is_refused() {
    let cloud = Cloud::with("faults: {assume-role: [{connection: refuse}]}");
    let refused = send(&cloud.sts_url(), "GET", "/", &[], "");
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(answer(&cloud).status, 200);
    cloud.change("faults: null").unwrap();
    assert!(send(&cloud.sts_url(), "GET", "/", &[], "").is_ok());
}

#[test]
fn a_service_goes_down_and_comes_up_where_it_was() {
    let cloud = Cloud::with("{}");
    let url = cloud.cr_url();
    let mut kept = TcpStream::connect(url.replace("http://", "")).unwrap();
    assert_eq!(answer(&cloud).status, 200);
    cloud.take_down(Service::Cr).unwrap();
    assert_eq!(kept.read(&mut [0; 1]).unwrap(), 0, "the old connection ends");
    let refused = send(&url, "GET", "/", &[], "");
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    cloud.bring_up(Service::Cr).unwrap();
    assert_eq!(cloud.cr_url(), url);
    assert_eq!(answer(&cloud).status, 200);
}

#[test]
fn faults_change_while_the_cloud_runs() {
    let cloud = Cloud::with("{}");
    assert_eq!(answer(&cloud).status, 200);
    let fault = "{calls: 1, instead: {error: {status: 500, code: InternalError}}}";
    cloud.change(&format!("faults: {{get-authorization-token: [{fault}]}}")).unwrap();
    assert_eq!(answer(&cloud).verdict(), "500 InternalError");
    assert_eq!(answer(&cloud).status, 200);
}

#[test]
fn other_services_have_faults_in_their_own_form() {
    let error = "[{instead: {error: {status: 500, code: Oops, message: try later}}}]";
    let cloud =
        Cloud::with(&format!("faults: {{metadata-region: {error}, registry-challenge: {error}}}"));
    let region = get(&cloud.metadata_url(), "/latest/meta-data/region-id", &[]);
    assert_eq!((region.status, region.body.as_str()), (500, "try later\n"));
    assert_eq!(last_call(&cloud), "metadata region -> 500 Oops");
    let challenge = get(&cloud.registry_url(), "/v2/", &[("Host", "img.example.com")]);
    assert_eq!(challenge.json()["errors"][0]["code"], "Oops");
}
