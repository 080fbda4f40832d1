//! The files of a node, changed so that its kubelet runs this program, and put back.
//!
//! [`install`] (by its [`plan`]) and [`uninstall`] decide first and then do: [`kubelet_arguments`] finds where the
//! kubelet's arguments stand ([`unit`] with [`unit_files`] and [`unit_text`], [`manager`], [`env_file`]), [`provider_file`] puts our providers beside
//! those of others, [`kubelet`] says what the kubelet would make of it, and [`steps`] changes all files or none,
//! by the record of [`undo`]. [`keep`] does so again and again, when its [`lease`] lets it. [`docker`] changes a client's file in a like way.

pub mod arguments_text;
pub mod client_file;
pub mod diff;
pub mod docker;
pub mod env_file;
pub mod in_root;
pub mod install;
pub mod keep;
pub mod kubelet;
pub mod kubelet_arguments;
pub mod lease;
pub mod manager;
pub mod mounts;
pub mod options;
pub mod outcome;
pub mod plan;
pub mod provider_file;
pub mod rancher;
pub mod refresh_timer;
pub mod restart;
pub mod snap;
pub mod spans;
pub mod status;
pub mod steps;
pub mod systemd;
pub mod tree;
pub mod undo;
pub mod uninstall;
pub mod unit;
pub mod unit_files;
pub mod unit_text;

use std::path::Path;

use rustix::process::geteuid;

use crate::failure::{Exit, Failure};
use crate::setup::options::Options;
use crate::setup::systemd::Systemd;
use crate::setup::tree::Tree;

/// Opens the tree, if this user may change it and its kubelet.
fn begin(options: &Options) -> Result<Tree, Failure> {
    if options.root.is_none() && !geteuid().is_root() {
        return Err(Failure::new(Exit::Usage, "only root can change the files of this machine")
            .hint("run this as root, or on a tree with --root"));
    }
    let root = options.root.as_deref().unwrap_or(Path::new("/"));
    let tree = Tree::new(root).map_err(|error| {
        Failure::new(Exit::Usage, format!("{} is not a folder: {error}", root.display()))
    })?;
    if options.is_live() && !Systemd::of(&tree).is_there() {
        return Err(Failure::new(Exit::Usage, "systemctl does not run here")
            .hint("--root / changes the files and leaves the restart of the kubelet to you"));
    }
    Ok(tree)
}
