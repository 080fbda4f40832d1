//! A client that is not ours: skopeo asks the helper and then a registry on loopback, which takes the
//! logins of the simulated cloud and no others.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::thread;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use simulation::cloud::standard;

use super::helper;
use crate::node::{Node, entry};

const MANIFEST: &str =
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}"#;

/// What skopeo does with an image of a registry, the configuration's or another.
fn inspected(node: &Node, host: &str) -> Output {
    let get = helper(node, "get");
    let folder = node.folder.display();
    let auth = json!({"credHelpers": {host: "acr"}}).to_string();
    fs::write(node.folder.join("auth.json"), auth).unwrap();
    Command::new("/usr/bin/skopeo")
        .args(["inspect", "--raw", "--tls-verify=false"])
        .args([format!("--authfile={folder}/auth.json"), format!("docker://{host}/team/app:v1")])
        .env_clear()
        .envs(get.config_env)
        .env("PATH", format!("{folder}:/usr/bin:/bin"))
        .env("HOME", &node.folder)
        .output()
        .unwrap()
}

/// Answers one request of a connection after another, until it is closed.
fn serve(mut connection: &TcpStream, node: &Node) {
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let mut authorization = None;
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line).unwrap_or(0) == 0 {
            return;
        }
        let line = String::from_utf8_lossy(&line).trim().to_owned();
        if let Some(basic) = line.strip_prefix("Authorization: Basic ") {
            authorization = Some(BASE64_STANDARD.decode(basic).unwrap());
        }
        if line.is_empty() {
            let answer = answer(node, authorization.take());
            if connection.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
        if line.starts_with('\u{16}') {
            // TLS: skopeo tries that first.
            let _ = connection.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n");
            return;
        }
    }
}

fn answer(node: &Node, login: Option<Vec<u8>>) -> String {
    let is_allowed = login.is_some_and(|login| {
        let login = String::from_utf8(login).unwrap();
        let (user, password) = login.split_once(':').unwrap();
        node.cloud.login_allows_pull(user, password, standard::ACME, "team/app").is_ok()
    });
    let (status, header, body) = if is_allowed {
        ("200 OK", "Content-Type: application/vnd.oci.image.manifest.v1+json", MANIFEST)
    } else {
        ("401 Unauthorized", "WWW-Authenticate: Basic realm=\"here\"", "")
    };
    format!("HTTP/1.1 {status}\r\n{header}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Runs with a registry at the host that is handed over.
fn with_registry(run: impl FnOnce(&Node, &str)) {
    let node = Node::new("{}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (host, node) = (format!("localhost:{}", address.port()), &node);
    thread::scope(|scope| {
        scope.spawn(move || {
            for connection in listener.incoming() {
                let connection = connection.unwrap();
                // The last one is the test's own.
                let mut first = [0];
                if connection.peek(&mut first).unwrap_or(0) == 1 && first == *b"!" {
                    return;
                }
                scope.spawn(move || serve(&connection, node));
            }
        });
        run(node, &host);
        TcpStream::connect(address).unwrap().write_all(b"!").unwrap();
    });
}

#[test]
#[ignore = "needs skopeo: apt-get install skopeo"]
fn an_image_of_ours_is_read_with_the_helpers_login() {
    with_registry(|node, host| {
        node.configure(&entry(host, standard::ACME, standard::PULLER));
        let output = inspected(node, host);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((&*String::from_utf8_lossy(&output.stdout), &*stderr), (MANIFEST, ""));
    });
}

#[test]
#[ignore = "needs skopeo: apt-get install skopeo"]
fn a_wrong_identity_stops_it_with_the_reason() {
    with_registry(|node, host| {
        node.configure(&entry(host, standard::ACME, &standard::PULLER.replace("puller", "none")));
        let output = inspected(node, host);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        let says = format!(": no login for {host}: ");
        assert!(stderr.starts_with("error: ") && stderr.matches(&says).count() == 2, "{stderr}");
    });
}

#[test]
#[ignore = "needs skopeo: apt-get install skopeo"]
fn a_host_that_is_not_ours_is_asked_without_a_login() {
    with_registry(|node, host| {
        let output = inspected(node, host);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        assert!(stderr.contains("unauthorized") || stderr.contains("401"), "{stderr}");
        assert!(!stderr.contains("error getting credentials"), "{stderr}");
    });
}
