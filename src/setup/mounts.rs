//! Disks that cannot take what is to be put there: those that are read-only, and for the program those
//! that run none.

use std::io;

use rustix::fs::{StatVfsMountFlags, statvfs};

use crate::failure::{Exit, Failure};
use crate::kubelet::flags::BIN_DIR;
use crate::setup::steps::{Change, unreadable};
use crate::setup::tree::Tree;
use crate::setup::undo::What;

/// Asks before the first change, so that a dry run fails as well.
///
/// # Errors
///
/// The first change that its disk does not allow.
pub fn check(tree: &Tree, changes: &[Change]) -> Result<(), Failure> {
    for Change { path, what, .. } in changes {
        let flags = flags(tree, path).map_err(unreadable(path))?;
        let message = if flags.contains(StatVfsMountFlags::RDONLY) {
            format!("cannot write {path}: its disk is mounted read-only")
        } else if *what == What::Program && flags.contains(StatVfsMountFlags::NOEXEC) {
            format!("{path} would not run: its disk is mounted noexec")
        } else {
            continue;
        };
        let hint = if *what == What::Program {
            format!("give another folder: --bin-dir, or the kubelet's own {BIN_DIR}")
        } else {
            "mount it in another way".to_owned()
        };
        return Err(Failure::new(Exit::Usage, message).hint(hint));
    }
    Ok(())
}

/// Of the folder, which may still have to be made.
fn flags(tree: &Tree, path: &str) -> io::Result<StatVfsMountFlags> {
    let place = tree.place(path)?;
    let folder = place.ancestors().skip(1).find(|folder| folder.exists());
    Ok(statvfs(folder.unwrap_or(tree.root()))?.f_flag)
}
