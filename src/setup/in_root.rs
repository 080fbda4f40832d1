//! Programs of a node whose files are below a folder of this process, as in a container that has the
//! node's root mounted.

use std::ffi::OsString;
use std::os::unix::fs::chroot;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::failure::{Exit, Failure};

/// The name by which this program calls itself to start one of the node's.
pub const NAME: &str = concat!(env!("CARGO_PKG_NAME"), "-in-root");

const FOLDERS: [&str; 4] = ["usr/sbin", "usr/bin", "sbin", "bin"];

/// A program of the node, by its name or path; none where the node does not have it.
#[must_use]
pub fn own(root: &Path, program: &str) -> Option<Command> {
    if root == Path::new("/") {
        return Some(Command::new(program));
    }
    // Its links count from that root.
    let is_there = |path: &Path| path.symlink_metadata().is_ok();
    let is_found = match program.strip_prefix('/') {
        Some(path) => is_there(&root.join(path)),
        None => FOLDERS.iter().any(|folder| is_there(&root.join(folder).join(program))),
    };
    is_found.then(|| {
        let mut command = Command::new("/proc/self/exe");
        command.arg0(NAME).arg(root).arg(program);
        command
    })
}

/// A program of the node, or where the node does not have it, that of this process.
#[must_use]
pub fn command(root: &Path, program: &str) -> Command {
    own(root, program).unwrap_or_else(|| Command::new(program))
}

/// Becomes a program of the node: the root, the program and its arguments. It comes back only if that
/// fails.
pub fn enter(arguments: &[OsString]) -> Failure {
    let [root, program, arguments @ ..] = arguments else {
        return Failure::new(Exit::Usage, format!("{NAME} is called by this program alone"));
    };
    let failure = |what: &OsString, error: std::io::Error| {
        Failure::new(Exit::Unexpected, format!("cannot enter {}: {error}", what.display()))
    };
    if let Err(error) = chroot(root).and_then(|()| std::env::set_current_dir("/")) {
        return failure(root, error).hint("it takes the capability SYS_CHROOT");
    }
    let error = Command::new(program)
        .args(arguments)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        // The root is that of the running system, whatever systemctl makes of the mount.
        .env("SYSTEMD_IGNORE_CHROOT", "1")
        .exec();
    failure(program, error)
}
