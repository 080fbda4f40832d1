//! Whatever a service puts into its answer, no secret comes back in what people read: stderr,
//! `doctor`, and the file of what happened.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value as Json, json};
use simulation::cloud::standard::{self, ACCESS_KEY_SECRET};

use crate::node::{ACME, Node, request};

const PASSWORD: &str = "MadeUpPassword0123456789abcdef";

/// Serves the same answer to any client.
fn answering(status: u16, content_type: &str, body: &Json) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let body = body.to_string();
    let answer = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), answer.clone());
            thread::spawn(move || {
                let _ = stream.read(&mut vec![0; 65_536]);
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    format!("http://{address}")
}

/// What is told of a pull from a registry of which this is all that answers: stderr, the file of
/// what happened, and both forms of `doctor`.
fn told(status: u16, content_type: &str, body: &Json) -> String {
    let url = answering(status, content_type, body);
    let node = Node::new("{}");
    let text = format!(
        "acr-registry-info:\n  - instanceId: {}\n    regionId: cn-hangzhou\n    domains: {ACME}\n    customAccessKey: {}\n    customAccessKeySecret: {ACCESS_KEY_SECRET}\ncredential-provider:\n{}  timeout: 8s\n  endpoints: {{cr: \"{url}\", registry: \"{url}\"}}\n",
        standard::ACME,
        standard::ACCESS_KEY_ID,
        node.settings,
    );
    fs::write(node.config(), text).unwrap();
    let run = |arguments: &[&str]| {
        let mut exec = node.exec(arguments);
        exec.config_env = vec![("ACR_CREDENTIAL_PROVIDER_LOG".to_owned(), "debug".to_owned())];
        exec.run(&request(ACME)).unwrap()
    };
    let mut told = run(&[]).stderr;
    let (_, _, trace) = node
        .kept_as_it_is()
        .into_iter()
        .find(|(path, ..)| path.to_string_lossy().ends_with("-trace"))
        .unwrap();
    told.extend(trace);
    for arguments in [&["doctor"][..], &["doctor", "--json"]] {
        let output = run(arguments);
        told.extend([output.stdout, output.stderr].concat());
    }
    String::from_utf8(told).unwrap()
}

/// A login that is as it should be, but for these fields.
fn login(other: &Json) -> Json {
    let mut login = json!({
        "IsSuccess": true,
        "RequestId": "R-1",
        "TempUsername": "cr_temp_user",
        "AuthorizationToken": PASSWORD,
        "ExpireTime": 4_000_000_000_000_i64,
    });
    let (fields, other) = (login.as_object_mut().unwrap(), other.as_object().unwrap());
    fields.extend(other.clone());
    login
}

fn no_secret(told: &str, case: &str) {
    assert!(told.contains("[secret]"), "{case}: nothing was taken out of\n{told}");
    for secret in [ACCESS_KEY_SECRET, PASSWORD] {
        for form in [secret.to_owned(), BASE64_STANDARD.encode(secret)] {
            let characters: Vec<char> = form.chars().collect();
            for part in characters.windows(12).map(String::from_iter) {
                assert!(!told.contains(&part), "{case}: {part} in\n{told}");
            }
        }
    }
}

#[test]
fn in_a_request_id_a_user_name_or_a_type() {
    let json = "application/json";
    for other in [
        json!({"RequestId": ACCESS_KEY_SECRET}),
        json!({"RequestId": PASSWORD}),
        json!({"RequestId": format!("R-{PASSWORD}")}),
        json!({"RequestId": PASSWORD, "ExpireTime": null}),
        json!({"RequestId": BASE64_STANDARD.encode(PASSWORD)}),
        json!({"TempUsername": PASSWORD}),
        json!({"TempUsername": ACCESS_KEY_SECRET}),
        json!({"TempUsername": format!("cr:{PASSWORD}")}),
    ] {
        no_secret(&told(200, json, &login(&other)), &other.to_string());
    }
    no_secret(&told(200, json, &json!({"RequestId": ACCESS_KEY_SECRET})), "no login");
    no_secret(&told(200, &format!("text/{ACCESS_KEY_SECRET}"), &json!("x")), "a text");
    no_secret(
        &told(200, &format!("text/{PASSWORD}"), &login(&json!({"ExpireTime": null}))),
        "no end",
    );
}

#[test]
fn in_a_refusal_in_whatever_form() {
    let base64 = BASE64_STANDARD.encode(ACCESS_KEY_SECRET);
    let (begin, end) = ACCESS_KEY_SECRET.split_at(11);
    let (middle, end) = end.split_at(9);
    let lines = format!("{begin}\n{middle}\n{end}");
    for message in [ACCESS_KEY_SECRET, &base64, &lines] {
        for field in ["Message", "Code", "RequestId"] {
            let mut body = json!({"Code": "Forbidden", "Message": "no", "RequestId": "R-1"});
            body[field] = format!("key {message} is bad").into();
            let told = told(403, "application/json", &body);
            no_secret(&told, &body.to_string());
            assert!(![begin, middle, end].iter().all(|part| told.contains(part)), "{told}");
        }
    }
}

/// The request that the service repeats by ACS3-HMAC-SHA256 has a session's token in clear.
#[test]
fn nor_of_a_request_that_is_repeated() {
    const IN_HOUSE: &str = "inhouse-registry.cn-hangzhou.cr.aliyuncs.com";
    let mut node = Node::new("{}");
    node.settings.push_str("  signature: acs3\n");
    node.configure_all("");
    let role = standard::WORKER_ROLE_NAME;
    let url = node.cloud.metadata_url();
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    let path = format!("/latest/meta-data/ram/security-credentials/{role}");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: metadata\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let document: Json = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let text = |field: &str| document[field].as_str().unwrap().to_owned();
    let mut exec = node.exec(&[]);
    for (name, value) in [
        ("ACCESS_KEY_ID", text("AccessKeyId")),
        ("ACCESS_KEY_SECRET", "MadeUpAndWrong12345678901234".to_owned()),
        ("SECURITY_TOKEN", text("SecurityToken")),
    ] {
        exec.config_env.push((format!("ALIBABA_CLOUD_{name}"), value));
    }
    exec.config_env.push(("ACR_CREDENTIAL_PROVIDER_LOG".to_owned(), "debug".to_owned()));
    let stderr = exec.run(&request(IN_HOUSE)).unwrap().stderr_text();
    assert!(stderr.contains("SignatureDoesNotMatch: no login for "), "{stderr}");
    assert!(stderr.contains("the service signed the same text"), "{stderr}");
    assert_eq!(node.cloud.leaks(&stderr), []);
    for (path, _, bytes) in node.kept_as_it_is() {
        assert_eq!(node.cloud.leaks(&String::from_utf8_lossy(&bytes)), [], "{}", path.display());
    }
}

#[test]
fn nor_do_control_characters_in_a_user_name() {
    let user = json!({"TempUsername": "a\u{1b}[31m\u{9b}31m\u{202e}b\u{61c}c\nd"});
    let told = told(200, "application/json", &login(&user));
    assert!(told.contains("user a [31m 31m b c d, "), "{told}");
    let raw =
        told.chars().find(|c| *c != '\n' && (c.is_control() || "\u{202e}\u{61c}".contains(*c)));
    assert_eq!(raw, None, "{told}");
}
