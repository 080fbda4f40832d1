//! With somebody else's rights it does nothing at all.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::node::{ACME, Node, request};
use crate::{PROGRAM, copied};

const NOBODY: u32 = 65_534;

/// A copy that its owner has given his rights away with, where everybody can run it.
fn copy(name: &str, owner: u32, mode: u32) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("acr-rights-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let copy = folder.join(name);
    copied(PROGRAM, &copy);
    chown(&copy, Some(owner), Some(owner)).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(mode)).unwrap();
    copy
}

fn run_as(user: u32, program: &Path, config: &Path) -> Output {
    let mut command = Command::new(program);
    command.arg("--config").arg(config).env_clear().current_dir("/").uid(user).gid(user);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(&request(ACME));
    child.wait_with_output().unwrap()
}

#[test]
fn with_somebody_elses_rights_it_does_nothing() {
    let node = Node::new("{}");
    let root_s = copy("setuid-root", 0, 0o4755);
    let root_g = copy("setgid-root", 0, 0o2755);
    let users = copy("setuid-nobody", NOBODY, 0o4755);
    for (user, program) in [(NOBODY, &root_s), (NOBODY, &root_g), (0, &users)] {
        let output = run_as(user, program, &node.config());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{}: {stderr}", program.display());
        assert!(stderr.starts_with("error: started with another user's rights"), "{stderr}");
        assert!(output.stdout.is_empty());
    }
    assert!(node.cloud.calls().is_empty());
    // As it is meant to be run, the same copy answers.
    let plain = copy("plain", 0, 0o755);
    assert_eq!(run_as(0, &plain, &node.config()).status.code(), Some(0));
    fs::remove_dir_all(plain.parent().unwrap()).unwrap();
}
