//! What a setup is asked for.

use std::path::PathBuf;

use crate::kubelet::versions::Release;

/// The folder for the program, unless the kubelet has one already.
pub const BIN_DIR: &str = concat!("/opt/", env!("CARGO_PKG_NAME"), "/bin");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Install,
    Uninstall,
    Status,
    /// Installs or uninstalls, and keeps the node so.
    Keep,
    /// Whether a `Keep` says that the node is as wanted.
    Ready,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Options {
    /// The tree to work on; this machine without it.
    pub root: Option<PathBuf>,
    /// The tree is that of the running system: its kubelet is restarted.
    pub restart: bool,
    pub dry_run: bool,
    pub json: bool,
    /// The configuration to install.
    pub config: Option<PathBuf>,
    /// The program to install; the running one without it.
    pub binary: Option<PathBuf>,
    /// What the program must have.
    pub sha256: Option<String>,
    pub match_images: Option<Vec<String>>,
    pub bin_dir: Option<String>,
    pub release: Option<Release>,
    pub refresh_timer: bool,
    pub service_accounts: bool,
    /// Images of pods that are open to every service account are removed.
    pub close_images: bool,
    /// How long the kubelet is watched after its restart, in seconds.
    pub watch: Option<u32>,
    pub keep: Keep,
}

/// What keeping a node needs beside that.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Keep {
    /// The node is wanted without what was installed.
    pub uninstall: bool,
    /// How often the node is looked at, in seconds.
    pub every: Option<u32>,
    /// The file that is there while the node is as wanted.
    pub ready: Option<PathBuf>,
    /// The URL of the Lease that is taken before the kubelet is restarted.
    pub lease: Option<String>,
    /// The name of this node.
    pub holder: Option<String>,
    /// The token for the Lease, with `ca.crt` beside it.
    pub token: Option<PathBuf>,
}

impl Options {
    /// Whether the kubelet of the running system is this tree's.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.root.is_none() || self.restart
    }

    #[must_use]
    pub fn watch(&self) -> u32 {
        self.watch.unwrap_or(10)
    }
}
