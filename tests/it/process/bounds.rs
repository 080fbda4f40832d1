//! Requests and answers without an end are read up to their bounds and no further.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use simulation::cloud::standard;

use crate::PROGRAM;
use crate::node::{ACME, Node, request};

/// Address space in KiB: what has no bound does not fit.
const SPACE: u64 = 256 * 1024;

/// Serves the same head and then the same piece without end, to any client.
fn endless(head: &'static str, piece: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, piece): (TcpStream, _) = (stream.unwrap(), piece.clone());
            thread::spawn(move || {
                let _ = stream.read(&mut vec![0; 65_536]);
                let _ = stream.write_all(head.as_bytes());
                while stream.write_all(&piece).is_ok() {}
            });
        }
    });
    format!("http://{address}")
}

/// A pull by AccessKey whose only service is at `url`: exit code and first line.
fn pull_from(url: &str) -> (Option<i32>, String) {
    pull_within(SPACE, url)
}

fn pull_within(space: u64, url: &str) -> (Option<i32>, String) {
    let node = Node::new("{}");
    let text = format!(
        "acr-registry-info:\n  - instanceId: {}\n    regionId: cn-hangzhou\n    domains: {ACME}\n    customAccessKey: {}\n    customAccessKeySecret: {}\ncredential-provider:\n  cacheDir: off\n  timeout: 20s\n  endpoints: {{cr: \"{url}\"}}\n",
        standard::ACME,
        standard::ACCESS_KEY_ID,
        standard::ACCESS_KEY_SECRET,
    );
    fs::write(node.config(), text).unwrap();
    let mut child = Command::new("/bin/sh")
        .args(["-c", &format!(r#"ulimit -v {space}; exec "$0" --config "$1""#)])
        .args([PROGRAM.as_ref(), node.config().as_os_str()])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&request(ACME)).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.stdout.is_empty());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), stderr.lines().next().unwrap_or_default().to_owned())
}

fn too_large(url: &str) {
    let (code, first) = pull_from(url);
    assert_eq!(code, Some(5), "{first}");
    assert!(first.contains("answer larger than 256 KiB"), "{first}");
}

#[test]
fn an_answer_without_a_length() {
    too_large(&endless(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n",
        vec![b' '; 65_536],
    ));
}

#[test]
fn an_answer_in_chunks_without_end() {
    let mut chunk = b"10000\r\n".to_vec();
    chunk.extend(vec![b' '; 65_536]);
    chunk.extend(b"\r\n");
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    too_large(&endless(head, chunk));
}

#[test]
fn an_answer_that_says_it_is_huge() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 9999999999999\r\n\r\n";
    too_large(&endless(head, vec![b' '; 65_536]));
}

/// As large as is read, and of as many values as fit.
#[test]
fn an_answer_of_as_many_objects_as_fit() {
    const SPACE: u64 = 128 * 1024;
    for field in ["x", "Code", "IsSuccess", "AccessDeniedDetail", "ExpireTime"] {
        let objects = r#"{"a":{}},"#.repeat(29_000);
        let body = format!(r#"{{"{field}":[{objects}0]}}"#);
        assert!(body.len() < 1 << 18 && body.len() > 250_000);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        let (code, first) = pull_within(SPACE, &endless(head.leak(), body.into_bytes()));
        assert_eq!(code, Some(5), "{first}");
    }
}

/// What says that it is compressed is taken as it is: none was asked for.
#[test]
fn a_compressed_answer_is_not_unpacked() {
    // Nothing, as gzip packs it: who unpacks it finds an empty answer, and not these 22 bytes.
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 22\r\n\r\n";
    let packed =
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00{}";
    let (code, first) = pull_from(&endless(head, packed.to_vec()));
    assert_eq!(code, Some(5), "{first}");
    assert!(
        first.contains("HTTP 200 with 22 bytes of `application/json` that are not JSON"),
        "{first}"
    );
}

#[test]
fn headers_without_end() {
    let (code, first) =
        pull_from(&endless("HTTP/1.1 200 OK\r\n", b"X-More: of the same\r\n".repeat(3000)));
    assert!(matches!(code, Some(5 | 6)), "{code:?} {first}");
}

fn fed(stdin: Stdio) -> (Option<i32>, String) {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &format!(r#"ulimit -v {SPACE}; exec "$0""#), PROGRAM]).env_clear();
    let output = command.stdin(stdin).output().unwrap();
    assert!(output.stdout.is_empty());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), stderr.lines().next().unwrap_or_default().to_owned())
}

#[test]
fn a_request_without_end() {
    let (code, first) = fed(File::open("/dev/zero").unwrap().into());
    assert_eq!((code, first.as_str()), (Some(2), "error: the text on stdin is larger than 1 MiB"));
}

/// Whether a process waits: this one for its request.
fn is_asleep(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    status.contains("\nState:\tS")
}

/// No service is blamed for time that was gone before it could be asked, and nobody else is told
/// that it was.
#[test]
fn a_request_that_comes_late() {
    let node = Node::new("{}");
    let text = fs::read_to_string(node.config()).unwrap();
    let text = text.replace("credential-provider:\n", "credential-provider:\n  timeout: 1s\n");
    fs::write(node.config(), text).unwrap();
    let mut child = Command::new(PROGRAM)
        .args(["--config".as_ref(), node.config().as_os_str()])
        .env_clear()
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The time runs from its start, and on a busy machine that comes late.
    while !is_asleep(child.id()) {
        thread::sleep(Duration::from_millis(10));
    }
    thread::sleep(Duration::from_millis(1300));
    child.stdin.take().unwrap().write_all(&request(ACME)).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(6), "{told}");
    let first = format!(
        "error: no login for {ACME}: out of time before anything was asked: reading the request on stdin and the configuration took too long"
    );
    assert_eq!(told.lines().next(), Some(first.as_str()));
    assert!(told.contains("the whole call may take 1s, and reading the request"), "{told}");
    assert!(told.contains("hint: see what sends the request on stdin"), "{told}");
    let files = node.kept_as_it_is();
    let failed = files.iter().find(|(path, ..)| path.to_string_lossy().ends_with(".failed"));
    assert_eq!(failed, None);
}

#[test]
fn a_request_of_a_mebibyte_is_read() {
    let node = Node::new("{}");
    let mut text = request(ACME);
    text.resize(1 << 20, b' ');
    assert_eq!(node.exec(&[]).run(&text).unwrap().exit, simulation::kubelet::Exit::Code(0));
    text.push(b' ');
    assert_eq!(node.exec(&[]).run(&text).unwrap().exit, simulation::kubelet::Exit::Code(2));
}
