//! The program `simulated-cloud`, as a shell test uses it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

struct Started {
    child: Child,
    stdout: BufReader<ChildStdout>,
    urls: Json,
}

impl Started {
    fn with(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_simulated-cloud"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let urls = serde_json::from_str(&line).unwrap_or(Json::Null);
        Self { child, stdout, urls }
    }

    fn command(&mut self, command: &str) -> Json {
        writeln!(self.child.stdin.as_mut().unwrap(), "{command}").unwrap();
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or(Json::Null)
    }

    fn get(&self, service: &str, path: &str) -> String {
        let address = self.urls[service].as_str().unwrap().replace("http://", "");
        let mut stream = TcpStream::connect(address).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Ends it; its exit code and stderr.
    fn end(mut self) -> (Option<i32>, String) {
        drop(self.child.stdin.take());
        let output = self.child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }
}

fn scratch(name: &str, content: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, content).unwrap();
    path
}

#[test]
fn it_serves_until_its_input_ends() {
    let token = scratch("token", "");
    let calls = scratch("calls", "");
    let overlay = scratch("overlay.yaml", "node: {region: cn-shanghai}");
    let cloud = Started::with(&[
        "--overlay",
        overlay.to_str().unwrap(),
        "--token-file",
        token.to_str().unwrap(),
        "--calls-file",
        calls.to_str().unwrap(),
    ]);
    assert_eq!(cloud.urls["ca"], Json::Null);
    assert!(cloud.get("metadata", "/latest/meta-data/region-id").ends_with("cn-shanghai\n"));
    assert_eq!(cloud.end(), (Some(0), String::new()));
    assert_eq!(fs::read_to_string(token).unwrap().split('.').count(), 3);
    assert_eq!(fs::read_to_string(calls).unwrap(), "metadata region -> 200\n");
}

#[test]
fn violations_make_it_fail() {
    let cloud = Started::with(&[]);
    cloud.get("metadata", "http://100.100.100.200/latest/meta-data/region-id");
    let (code, told) = cloud.end();
    assert_eq!(code, Some(1));
    assert!(told.starts_with("violation: metadata region: asked as a proxy is asked"), "{told}");
}

#[test]
fn the_certificate_is_there_while_it_runs() {
    let overlay = scratch("tls.yaml", "tls: true");
    let cloud = Started::with(&["--overlay", overlay.to_str().unwrap()]);
    let path = PathBuf::from(cloud.urls["ca"].as_str().unwrap());
    assert!(fs::read_to_string(&path).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(cloud.urls["sts"].as_str().unwrap().starts_with("https://127.0.0.1:"));
    assert_eq!(cloud.end().0, Some(0));
    assert!(!path.exists());
}

#[test]
fn it_obeys_commands() {
    let mut cloud = Started::with(&[]);
    cloud.get("metadata", "/latest/meta-data/region-id");
    assert_eq!(cloud.command("calls"), json!({"calls": ["metadata region -> 200"]}));
    let time = |answer: &Json| answer["now"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let before = time(&cloud.command("advance 0"));
    let after = time(&cloud.command("advance 3600"));
    assert!(after >= before + SignedDuration::from_hours(1), "{before} {after}");
    assert_eq!(cloud.command("frobnicate"), Json::Null);
    assert_eq!(
        cloud.end(),
        (Some(2), "simulated-cloud: unknown command `frobnicate`\n".to_owned())
    );
}

#[test]
fn a_real_registry_gets_its_certificates() {
    let overlay = scratch("registry-tls.yaml", "tls: true");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("registry");
    fs::create_dir_all(&folder).unwrap();
    let arguments = ["--registry-dir", folder.to_str().unwrap()];
    let cloud =
        Started::with(&[&arguments[..], &["--overlay", overlay.to_str().unwrap()]].concat());
    assert_eq!(cloud.end().0, Some(0));
    let kinds = |name| {
        let pem = fs::read_to_string(folder.join(name)).unwrap();
        pem.lines().filter(|line| line.starts_with("-----BEGIN")).map(str::to_owned).collect()
    };
    let (server, realm): (Vec<String>, Vec<String>) = (kinds("server.pem"), kinds("realm.pem"));
    assert_eq!(server, ["-----BEGIN CERTIFICATE-----", "-----BEGIN PRIVATE KEY-----"]);
    assert_eq!(realm, ["-----BEGIN CERTIFICATE-----"]);
    let (code, told) = Started::with(&arguments).end();
    assert_eq!(code, Some(2));
    assert!(told.contains("--registry-dir needs a world with `tls: true`"), "{told}");
}

#[test]
fn mistakes_are_told() {
    let wrong = scratch("wrong.yaml", "nodes: {}");
    for (arguments, words) in [
        (["--frobnicate", "x"], "unknown argument --frobnicate"),
        (["--overlay", wrong.to_str().unwrap()], "unknown field `nodes`"),
        (["--world", "/nowhere"], "/nowhere: No such file"),
    ] {
        let (code, told) = Started::with(&arguments).end();
        assert_eq!(code, Some(2));
        assert!(told.contains(words), "{told}");
    }
}
