//! Killed at every call that changes a file: the next run ends well, and what was there comes back.
#![cfg(target_arch = "x86_64")]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::{BIN_DIR, CONFIG, KUBEADM, NAME, PROVIDERS, Tree, succeeds};

type Snapshot = BTreeMap<String, String>;

const CHANGES: [libc::c_long; 12] = [
    libc::SYS_write,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_unlink,
    libc::SYS_unlinkat,
    libc::SYS_rmdir,
    libc::SYS_mkdir,
    libc::SYS_symlink,
    libc::SYS_chmod,
    libc::SYS_fchmod,
    libc::SYS_fsync,
];

/// Runs a command and kills it before its call of this number that changes a file; says whether it
/// had so many.
pub(super) fn killed(command: &Command, number: usize) -> bool {
    // The shell stops itself, so that nothing of the program has run when it is taken hold of.
    #[expect(clippy::zombie_processes, reason = "it is waited for below, by its id")]
    let child = Command::new("/bin/sh")
        .args(["-c", r#"kill -STOP $$; exec "$0" "$@""#])
        .arg(command.get_program())
        .args(command.get_args())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let stopped = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
    assert_eq!(stopped, WaitStatus::Stopped(pid, Signal::SIGSTOP));
    ptrace::seize(pid, Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACEEXEC).unwrap();
    kill(pid, Signal::SIGCONT).unwrap();
    let (mut count, mut is_entry, mut is_program) = (0, true, false);
    loop {
        let signal = match waitpid(pid, Some(WaitPidFlag::__WALL)).unwrap() {
            WaitStatus::PtraceSyscall(_) => {
                let call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap();
                let call = call.split(' ').next().unwrap().parse().unwrap_or(-1);
                if is_entry && is_program && CHANGES.contains(&call) {
                    count += 1;
                    if count == number {
                        kill(pid, Signal::SIGKILL).unwrap();
                    }
                }
                is_entry = !is_entry;
                None
            }
            WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_EXEC) => {
                is_program = true;
                None
            }
            WaitStatus::Stopped(_, signal) => Some(signal),
            WaitStatus::Exited(_, code) => {
                assert_eq!(code, 0);
                return false;
            }
            WaitStatus::Signaled(..) => return true,
            _ => None,
        };
        // Once it was killed it is gone.
        let _ = ptrace::syscall(pid, signal.filter(|signal| *signal != Signal::SIGTRAP));
    }
}

/// At every third call, or as `SETUP_STRIDE` says: one tries all, in some minutes.
pub(super) fn stride() -> usize {
    env::var("SETUP_STRIDE").map_or(3, |stride| stride.parse().unwrap())
}

fn node() -> Tree {
    Tree::of(&[
        ("/usr/lib/systemd/system/kubelet.service", KUBEADM),
        ("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=--v=2\n"),
    ])
}

/// What two trees do not share.
fn differ(one: &Snapshot, other: &Snapshot) -> Vec<(String, Option<String>, Option<String>)> {
    let names = one.keys().chain(other.keys());
    let pair = |name: &String| (name.clone(), one.get(name).cloned(), other.get(name).cloned());
    names.map(pair).filter(|(_, one, other)| one != other).collect()
}

/// A kubelet that starts at this moment finds what its arguments name.
fn assert_could_start(tree: &Tree, number: usize) {
    let arguments = tree.read("/etc/default/kubelet").unwrap();
    let has = [CONFIG, BIN_DIR].map(|argument| arguments.contains(argument));
    assert_eq!(has[0], has[1], "call {number}");
    if has[0] {
        let providers = tree.read(PROVIDERS).unwrap_or_default();
        assert!(providers.contains(NAME), "call {number}: {providers}");
        let program = tree.path(&format!("/opt/{NAME}/bin/{NAME}"));
        let mode = fs::metadata(program).map(|metadata| metadata.permissions().mode());
        assert!(mode.is_ok_and(|mode| mode & 0o111 != 0), "call {number}");
    }
}

#[test]
fn a_killed_installation_is_put_back_or_goes_on() {
    let wanted = node();
    let before = wanted.snapshot();
    succeeds(wanted.install(&["--refresh-timer"]));
    let wanted = wanted.snapshot();
    let mut number = 1;
    loop {
        let tree = node();
        if !killed(&tree.install(&["--refresh-timer"]), number) {
            break;
        }
        assert_could_start(&tree, number);
        let go_on = number % 2 == 0;
        if go_on {
            succeeds(tree.install(&["--refresh-timer"]));
            assert!(
                tree.snapshot() == wanted,
                "call {number}: {:?}",
                differ(&tree.snapshot(), &wanted)
            );
        } else {
            let output = tree.command("uninstall").output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() || said.contains("nothing is recorded"), "{said}");
            assert!(
                tree.snapshot() == before,
                "call {number}: {:?}",
                differ(&tree.snapshot(), &before)
            );
        }
        number += stride();
    }
    assert!(number > 30, "{number} calls");
}

#[test]
fn a_killed_uninstallation_goes_on() {
    let mut number = 1;
    loop {
        let tree = node();
        let before = tree.snapshot();
        succeeds(tree.install(&["--refresh-timer"]));
        if !killed(&tree.command("uninstall"), number) {
            break;
        }
        assert_could_start(&tree, number);
        let output = tree.command("uninstall").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() || said.contains("nothing is recorded"), "{said}");
        assert!(
            tree.snapshot() == before,
            "call {number}: {:?}",
            differ(&tree.snapshot(), &before)
        );
        number += stride();
    }
    assert!(number > 20, "{number} calls");
}
