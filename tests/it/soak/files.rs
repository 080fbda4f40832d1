//! The files of a node: set up, set up again, and put back, with processes that are killed meanwhile.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use super::judge::Table;
use crate::fleet::chance::Chance;
use crate::setup::{KUBEADM, Tree};

pub struct Files {
    tree: Tree,
    before: BTreeMap<String, String>,
    /// What an installation leaves, once there was one.
    installed: Option<BTreeMap<String, String>>,
}

impl Files {
    pub fn new() -> Self {
        let tree = Tree::of(&[
            ("/usr/lib/systemd/system/kubelet.service", KUBEADM),
            ("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=--v=2\n"),
        ]);
        let before = tree.snapshot();
        Self { tree, before, installed: None }
    }

    /// `setup install` or `setup uninstall`. Half of them follow one that was killed.
    pub fn change(&mut self, chance: &mut Chance, table: &mut Table) {
        let is_install = chance.one_in(2);
        let command = || {
            if is_install {
                self.tree.install(&["--refresh-timer"])
            } else {
                self.tree.command("uninstall")
            }
        };
        if chance.one_in(2) {
            let mut command = command();
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = command.spawn().unwrap();
            thread::sleep(Duration::from_millis(chance.of(30) as u64));
            child.kill().unwrap();
            child.wait().unwrap();
            table.killed += 1;
        }
        let output = command().output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        table.set_up += 1;
        let nothing_is_there = !is_install && stderr.contains("nothing is recorded");
        if !output.status.success() && !nothing_is_there {
            table.wrong.push(format!("setup ended with {}\n{stderr}", output.status));
        }
        let after = self.tree.snapshot();
        let wanted = if is_install { self.installed.as_ref() } else { Some(&self.before) };
        if wanted.is_some_and(|wanted| *wanted != after) {
            table.wrong.push(format!("setup (install: {is_install}) left other files: {after:#?}"));
        }
        if is_install {
            self.installed.get_or_insert(after);
        }
    }
}
