//! A program that crashes leaves no core dump, whatever the limits say, and nobody but root can look
//! into it while it runs.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use simulation::cloud::{Hop, standard};

use crate::PROGRAM;
use crate::node::{ACME, Node, entry, request};

const NOBODY: u32 = 65_534;

/// For a shell: runs a program in a folder, with core dumps allowed. A signal that this test ignores,
/// as it does under `nohup` or a shell's `&`, would be ignored there, too; `env` resets all of them.
const DUMPING: &str = r#"ulimit -c unlimited; cd "$0"; exec /usr/bin/env --default-signal -- "$@""#;

/// One that waits for an answer that does not come, with secrets in its memory.
fn waiting(node: &Node, user: Option<u32>) -> Child {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", DUMPING]).arg(&node.folder).arg(PROGRAM);
    command.arg("--config").arg(node.config()).env_clear();
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(&request(ACME)).unwrap();
    let began = Instant::now();
    while node.calls(Hop::MetadataRoleDocument) == 0
        || node.cloud.connections(simulation::cloud::Service::Sts) == 0
    {
        assert!(began.elapsed() < Duration::from_secs(60), "it never got as far as STS");
        thread::sleep(Duration::from_millis(10));
    }
    child
}

fn hanging() -> Node {
    Node::new("{faults: {assume-role: [{connection: hang}]}}")
}

#[test]
fn no_signal_makes_it_dump_core() {
    for signal in [Signal::SIGSEGV, Signal::SIGABRT, Signal::SIGQUIT, Signal::SIGBUS] {
        let node = hanging();
        let mut child = waiting(&node, None);
        let status = ended_by(&mut child, signal);
        assert_eq!(status.signal(), Some(signal as i32));
        assert!(!status.core_dumped(), "{signal}");
        let cores = fs::read_dir(&node.folder).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(cores.filter(|name| name.to_string_lossy().starts_with("core")).count(), 0);
    }
    // Whether this machine's kernel writes any at all, so that one knows what was shown.
    let node = Node::new("{}");
    let mut other = Command::new("/bin/sh");
    other.args(["-c", DUMPING]).arg(&node.folder).args(["/bin/sleep", "60"]);
    let mut other = other.spawn().unwrap();
    thread::sleep(Duration::from_millis(300));
    let dumped = ended_by(&mut other, Signal::SIGSEGV).core_dumped();
    println!("another program dumps core here: {dumped}");
}

/// Rust's own handler takes the first SIGSEGV for a full stack, and lets the second one through.
fn ended_by(child: &mut Child, signal: Signal) -> ExitStatus {
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
        thread::sleep(Duration::from_millis(20));
    }
}

/// The kernel gives the files of a process that must not be dumped to root: they are what a
/// debugger of the same user would open.
#[test]
fn its_memory_is_not_its_users_to_read() {
    let node = hanging();
    // A user of his own, with a configuration and a folder of his own.
    let owned = |path: &std::path::Path| chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    let mut node = node;
    node.settings = "  cacheDir: off\n".to_owned();
    node.configure(&entry(ACME, standard::ACME, standard::PULLER));
    fs::set_permissions(&node.folder, fs::Permissions::from_mode(0o700)).unwrap();
    owned(&node.config());
    owned(&node.folder);
    let mut child = waiting(&node, Some(NOBODY));
    let of = |file: &str| fs::metadata(format!("/proc/{}/{file}", child.id())).unwrap().uid();
    let (mem, environ) = (of("mem"), of("environ"));
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(status.contains(&format!("Uid:\t{NOBODY}")), "{status}");
    assert_eq!((mem, environ), (0, 0));
    // The limit that it was started with is none; its own keeps a core back where it is dumpable
    // anyway.
    let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size"));
    let words: Vec<&str> = core.unwrap().split_whitespace().collect();
    assert_eq!(words, ["0", "0", "bytes"]);
    // That of another program of the same user is.
    let mut other = Command::new("/bin/sleep").arg("60").uid(NOBODY).gid(NOBODY).spawn().unwrap();
    thread::sleep(Duration::from_millis(100));
    let others = fs::metadata(format!("/proc/{}/mem", other.id())).unwrap().uid();
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(others, NOBODY);
}
