//! A node that is kept as it is wanted, by a process that stays; one node after the other.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::live::Machine;
use super::{BIN_DIR, CONFIG, CONFIGURATION, PROVIDERS, fails, succeeds};
use crate::PROGRAM;

/// A keeper that runs; it ends with this value.
struct Keeper<'m> {
    machine: &'m Machine,
    process: Child,
    log: PathBuf,
}

impl<'m> Keeper<'m> {
    fn start(machine: &'m Machine, options: &[&str]) -> Self {
        let log = machine.0.beside.join("keep.log");
        let mut command = machine.on(machine.0.command("keep"));
        command.args(["--watch", "0", "--every", "1", "--kubelet-version", "1.30"]);
        command.arg("--ready").arg(ready(machine)).args(options);
        command.arg("--config").arg(machine.0.beside.join("config.yaml"));
        let file = fs::File::create(&log).unwrap();
        let process = command.stdout(Stdio::null()).stderr(file).spawn().unwrap();
        Self { machine, process, log }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits for what must come: three minutes, as a machine may be busy with other things.
    #[track_caller]
    fn waits_for(&mut self, what: &str, has_come: impl Fn(&Self) -> bool) {
        for _ in 0..3600 {
            if has_come(self) {
                return;
            }
            assert!(self.process.try_wait().unwrap().is_none(), "ended: {}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
        panic!("{what} did not come: {}", self.log());
    }

    #[track_caller]
    fn is_ready(&mut self) {
        self.waits_for("ready", |keeper| ready(keeper.machine).exists());
    }

    #[track_caller]
    fn says(&mut self, text: &str) {
        self.waits_for(text, |keeper| keeper.log().contains(text));
    }

    /// As the kubelet ends a container.
    fn stop(&mut self) {
        kill(Pid::from_raw(self.process.id().cast_signed()), Signal::SIGTERM).unwrap();
        assert!(self.process.wait().unwrap().success(), "{}", self.log());
        assert!(!ready(self.machine).exists());
    }
}

impl Drop for Keeper<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn ready(machine: &Machine) -> PathBuf {
    machine.0.beside.join("ready/file")
}

fn probe(machine: &Machine) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["setup", "ready", "--ready"]).arg(ready(machine));
    command
}

fn restarts(machine: &Machine) -> usize {
    machine.log().matches("restart kubelet\n").count()
}

#[test]
fn a_node_is_kept_as_it_is_wanted_until_sigterm() {
    let machine = Machine::new(&[("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=--v=2\n")]);
    let before = machine.0.snapshot();
    fails(probe(&machine), "not ready");
    let mut keeper = Keeper::start(&machine, &[]);
    keeper.is_ready();
    succeeds(probe(&machine));
    assert!(machine.arguments().ends_with(&format!("--v=2 {CONFIG} {BIN_DIR}")));
    assert_eq!(restarts(&machine), 1, "{}", keeper.log());

    // What somebody takes away comes back.
    fs::write(machine.0.path("/etc/default/kubelet"), "KUBELET_EXTRA_ARGS=--v=3\n").unwrap();
    machine.systemctl(&["restart", "kubelet"]);
    let line = machine.0.path("/proc/100/cmdline");
    let arguments = || fs::read_to_string(&line).unwrap_or_default().replace('\0', " ");
    keeper.waits_for("the arguments", |_| arguments().contains("--v=3 --image"));
    keeper.is_ready();

    // As a ConfigMap is replaced: by a rename.
    let new = machine.0.beside("new.yaml", &CONFIGURATION.replace("5000", "5001"), 0o600);
    fs::rename(new, machine.0.beside.join("config.yaml")).unwrap();
    let providers = |keeper: &Keeper| keeper.machine.0.read(PROVIDERS).unwrap_or_default();
    keeper.waits_for("the host", |keeper| providers(keeper).contains("registry.acme.example:5001"));

    // A mistake changes nothing, and the node is not ready while it is there.
    let new = machine.0.beside("new.yaml", "acr-registry-info: 1\n", 0o600);
    fs::rename(new, machine.0.beside.join("config.yaml")).unwrap();
    keeper.waits_for("not ready", |keeper| !ready(keeper.machine).exists());
    keeper.says("tries again in 2 seconds");
    assert!(machine.arguments().contains(CONFIG));
    keeper.stop();
    assert!(machine.arguments().contains(CONFIG));

    let mut keeper = Keeper::start(&machine, &["--uninstall"]);
    keeper.is_ready();
    assert!(machine.arguments().ends_with("--v=3"));
    keeper.stop();
    fs::write(machine.0.path("/etc/default/kubelet"), "KUBELET_EXTRA_ARGS=--v=2\n").unwrap();
    assert_eq!(machine.0.snapshot(), before);
}

/// A Lease as the API server keeps it.
struct ApiServer {
    url: String,
    lease: Arc<Mutex<Value>>,
    /// Who had it, one after the other.
    holders: Arc<Mutex<Vec<String>>>,
}

impl ApiServer {
    fn start(spec: &Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/leases/l", listener.local_addr().unwrap());
        let lease = json!({"kind": "Lease", "metadata": {"resourceVersion": "1"}, "spec": spec});
        let server = Self { url, lease: Arc::new(Mutex::new(lease)), holders: Arc::default() };
        let (lease, holders) = (Arc::clone(&server.lease), Arc::clone(&server.holders));
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut line, mut length) = (String::new(), 0);
                let mut head = String::new();
                while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                    if let Some(number) = line.to_lowercase().strip_prefix("content-length: ") {
                        length = number.trim().parse().unwrap();
                    }
                    head += &std::mem::take(&mut line);
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let mut lease = lease.lock().unwrap();
                let status = if !head.contains("Bearer the-token") {
                    "401 Unauthorized"
                } else if head.starts_with("PUT ") {
                    let mut new: Value = serde_json::from_slice(&body).unwrap();
                    let version = &lease["metadata"]["resourceVersion"];
                    if new["metadata"]["resourceVersion"] == *version {
                        let next = version.as_str().unwrap().parse::<u64>().unwrap() + 1;
                        new["metadata"]["resourceVersion"] = json!(next.to_string());
                        let holder = new["spec"]["holderIdentity"].as_str().unwrap_or("nobody");
                        holders.lock().unwrap().push(holder.to_owned());
                        *lease = new;
                        "200 OK"
                    } else {
                        "409 Conflict"
                    }
                } else {
                    "200 OK"
                };
                let text = lease.to_string();
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
                    text.len()
                );
            }
        });
        server
    }

    fn keeper<'m>(&self, machine: &'m Machine, holder: &str, options: &[&str]) -> Keeper<'m> {
        let token = machine.0.beside("token", "the-token\n", 0o600);
        let own = ["--lease", &self.url, "--holder", holder, "--token", token.to_str().unwrap()];
        Keeper::start(machine, &[&own, options].concat())
    }

    fn holders(&self) -> Vec<String> {
        self.holders.lock().unwrap().clone()
    }
}

#[test]
fn one_kubelet_is_restarted_after_the_other() {
    let server = ApiServer::start(&json!({}));
    let machines: Vec<Machine> = (0..3).map(|_| Machine::new(&[])).collect();
    let mut keepers: Vec<Keeper> = (machines.iter().enumerate())
        .map(|(number, machine)| server.keeper(machine, &format!("node-{number}"), &[]))
        .collect();
    for keeper in &mut keepers {
        keeper.is_ready();
    }
    let holders = server.holders();
    assert_eq!(holders.len(), 6, "{holders:?}");
    // Each gives it back before the next takes it.
    assert!(
        holders.chunks(2).all(|pair| pair[0] != "nobody" && pair[1] == "nobody"),
        "{holders:?}"
    );
    assert!(machines.iter().all(|machine| restarts(machine) == 1));
    for keeper in &mut keepers {
        keeper.stop();
    }
}

#[test]
fn a_kubelet_is_not_restarted_while_another_node_has_the_lease() {
    let spec = json!({"holderIdentity": "node-9", "leaseDurationSeconds": 3600});
    let server = ApiServer::start(&spec);
    let machine = Machine::new(&[]);
    let mut keeper = server.keeper(&machine, "node-1", &[]);
    keeper.says("waits for node-9, whose kubelet is restarted first");
    assert!(!ready(&machine).exists() && restarts(&machine) == 0);
    // SIGTERM ends the wait.
    keeper.stop();
    assert_eq!(restarts(&machine), 0);

    // Its holder does not come back.
    server.lease.lock().unwrap()["spec"]["leaseDurationSeconds"] = json!(1);
    let mut keeper = server.keeper(&machine, "node-1", &[]);
    keeper.is_ready();
    assert_eq!(server.holders(), ["node-1", "nobody"]);
}

/// A kubelet that does not come up keeps the Lease from the others.
#[test]
fn a_mistake_reaches_one_node() {
    let server = ApiServer::start(&json!({}));
    let machine = Machine::new(&[]);
    machine.set("dislikes-flags", "");
    let mut keeper = server.keeper(&machine, "node-1", &[]);
    keeper.says("the kubelet is healthy again");
    keeper.says("tries again in");
    assert_eq!(server.holders().first().map(String::as_str), Some("node-1"));
    assert!(!server.holders().contains(&"nobody".to_owned()));
}

#[test]
fn a_lease_that_cannot_be_used_changes_nothing() {
    let server = ApiServer::start(&json!({}));
    let machine = Machine::new(&[]);
    let before = machine.0.snapshot();
    let file = machine.0.beside("token", "another\n", 0o600);
    let token = file.to_str().unwrap();
    let mut keeper =
        Keeper::start(&machine, &["--lease", &server.url, "--holder", "n", "--token", token]);
    keeper.says("the API server does not accept the token (401)");
    keeper.says("waits for the Lease; the kubelet is not restarted without it");
    assert_eq!(machine.0.snapshot(), before);
    assert!(!keeper.log().contains("another"), "{}", keeper.log());
    // The kubelet renews it.
    fs::write(&file, "the-token\n").unwrap();
    keeper.is_ready();
    assert_eq!((server.holders(), restarts(&machine)), (vec!["n".into(), "nobody".into()], 1));
    keeper.stop();
    for (options, message) in [
        (&["--lease", "https://127.0.0.1/l"][..], "--lease needs --holder"),
        (&["--lease", "http://api.example/l", "--holder", "n"], "expected a URL with https"),
    ] {
        let mut command = machine.on(machine.0.command("keep"));
        command.args(options);
        fails(command, message);
    }
}

/// SIGTERM and Ctrl-C break a run off, and what it had begun is put back.
#[test]
fn a_run_that_is_asked_to_stop_puts_everything_back() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let machine = Machine::new(&[]);
        let (before, arguments) = (machine.0.snapshot(), machine.arguments());
        let mut command = machine.on(machine.0.install(&["--restart", "--watch", "3"]));
        let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        while restarts(&machine) == 0 {
            thread::sleep(Duration::from_millis(20));
        }
        kill(Pid::from_raw(run.id().cast_signed()), signal).unwrap();
        let output = run.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.starts_with("error: stopped by a signal\n"), "{said}");
        assert!(said.contains("the kubelet is healthy again"), "{said}");
        assert_eq!((machine.0.snapshot(), machine.arguments()), (before, arguments));
    }
}
