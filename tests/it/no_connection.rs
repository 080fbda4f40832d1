//! Why there is no connection: a name that leads nowhere, somebody who refuses, and silence after
//! connecting read differently, and each has its own hint.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;

use simulation::cloud::standard;

use crate::PROGRAM;
use crate::node::{ACME, Node, request};

/// What a pull by AccessKey says whose only service is at `url`.
fn pull_from(url: &str, timeout: &str, proxy: Option<&str>) -> String {
    let node = Node::new("{}");
    let text = format!(
        "acr-registry-info:\n  - instanceId: {}\n    regionId: cn-hangzhou\n    domains: {ACME}\n    customAccessKey: {}\n    customAccessKeySecret: {}\ncredential-provider:\n  cacheDir: off\n  timeout: {timeout}\n  endpoints: {{cr: \"{url}\"}}\n",
        standard::ACME,
        standard::ACCESS_KEY_ID,
        standard::ACCESS_KEY_SECRET,
    );
    fs::write(node.config(), text).unwrap();
    let mut child = Command::new(PROGRAM)
        .args(["--config".as_ref(), node.config().as_os_str()])
        .env_clear()
        .envs(proxy.map(|proxy| ("HTTPS_PROXY", proxy)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&request(ACME)).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

fn says(stderr: &str, message: &str, hint: &str) {
    let (first, rest) = stderr.split_once('\n').unwrap();
    assert!(first.contains(message), "{stderr}");
    assert!(rest.contains(&format!("hint: {hint}")), "{stderr}");
}

/// The proxy's name, so that no name server is asked: DNS has no label as long as this.
#[test]
fn a_name_that_leads_nowhere() {
    let proxy = format!("{}.example:3128", "a".repeat(64));
    let stderr = pull_from("https://cr.cn-hangzhou.aliyuncs.com", "8s", Some(&proxy));
    let message = "cr.cn-hangzhou.aliyuncs.com: the name does not resolve";
    says(&stderr, message, &format!("see that this node reaches the proxy {proxy}"));
}

#[test]
fn a_connection_that_is_refused() {
    let stderr = pull_from("https://127.0.0.1:1", "8s", None);
    says(&stderr, "127.0.0.1:1: connection refused", "see where 127.0.0.1:1 leads");
}

/// As where the certificate is lost on the way, for its packets are larger than those before.
#[test]
fn silence_after_connecting() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    let stderr = pull_from(&format!("https://{address}"), "17s", None);
    says(&stderr, "connected, then no answer to the TLS handshake", "large packets may be lost");
}
