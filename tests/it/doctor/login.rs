//! Whom doctor shows the login that it fetched: who takes it from a container runtime, and nobody else.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use super::{check, doctor, lines};
use crate::node::{ACME, Node};

/// A server that notes the head of each request and answers 401 with a header.
fn server(challenge: &str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heads = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&heads);
    let answer = format!(
        "HTTP/1.1 401 Unauthorized\r\n{challenge}content-length: 0\r\nconnection: close\r\n\r\n"
    );
    thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let lines = BufReader::new(client.try_clone().unwrap()).lines();
            let head = lines.map_while(Result::ok).take_while(|line| !line.is_empty());
            let head: Vec<String> = head.collect();
            if !head.is_empty() {
                noted.lock().unwrap().push(head.join("\n"));
            }
            let _ = client.write_all(answer.as_bytes());
        }
    });
    (url, heads)
}

#[test]
fn the_login_is_shown_to_no_realm_of_a_stranger() {
    let node = Node::new("{}");
    let (realm, asked_there) = server("");
    let service = "registry.aliyuncs.com:cn-hangzhou:china:cri-acmeprod00000001";
    let (registry, asked) = server(&format!(
        "www-authenticate: Bearer realm=\"{realm}/auth\",service=\"{service}\"\r\n"
    ));
    let text = fs::read_to_string(node.config()).unwrap();
    fs::write(node.config(), text.replace(&node.cloud.registry_url(), &registry)).unwrap();
    let image = format!("{ACME}/team/app");
    let (exit, document) = doctor(&node, &["--image", &image]);
    assert_eq!(exit, 0, "{document:#}");
    let said = lines(check(&document, "registry"), "details");
    assert!(said.contains("the login was not tried"), "{said}");
    let heads = [asked.lock().unwrap().clone(), asked_there.lock().unwrap().clone()];
    assert!(heads.iter().all(|heads| !heads.is_empty()), "{heads:?}");
    let heads = heads.concat().join("\n").to_ascii_lowercase();
    assert!(!heads.contains("authorization"), "{heads}");
}
