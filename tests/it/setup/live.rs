//! A kubelet that is restarted: fakes play systemd and the kubelet, which dies
//! if its arguments name what is not there.

use std::env;
use std::fs;
use std::process::Command;

use super::{BIN_DIR, CONFIG, KUBEADM, NAME, PROVIDERS, Tree, fails, succeeds};
use crate::TESTS;

const UNIT: &str = "/usr/lib/systemd/system/kubelet.service";

pub(super) struct Machine(pub(super) Tree);

impl Machine {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let machine = Self(Tree::of(&[&[(UNIT, KUBEADM)], files].concat()));
        fs::create_dir_all(machine.0.beside.join("fake")).unwrap();
        machine.systemctl(&["restart", "kubelet"]);
        machine.set("log", "");
        machine
    }

    /// As a person on this node would run a command.
    pub(super) fn on(&self, mut command: Command) -> Command {
        let path = env::var("PATH").unwrap();
        command
            .env("PATH", format!("{TESTS}/setup/fakes:{path}"))
            .env("ROOT", &self.0.root)
            .env("FAKE", self.0.beside.join("fake"));
        command
    }

    pub(super) fn systemctl(&self, arguments: &[&str]) {
        let mut command = self.on(Command::new("systemctl"));
        assert!(command.args(arguments).status().unwrap().success());
    }

    pub(super) fn set(&self, name: &str, text: &str) {
        fs::write(self.0.beside.join("fake").join(name), text).unwrap();
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.beside.join("fake").join(name).exists()
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.0.beside.join("fake/log")).unwrap()
    }

    pub(super) fn arguments(&self) -> String {
        fs::read_to_string(self.0.path("/proc/100/cmdline")).unwrap().replace('\0', " ")
    }

    pub(super) fn install(&self, options: &[&str]) -> Command {
        self.on(self.0.install(&[options, &["--restart", "--watch", "0"]].concat()))
    }

    pub(super) fn uninstall(&self) -> Command {
        let mut command = self.on(self.0.command("uninstall"));
        command.args(["--restart", "--watch", "0"]);
        command
    }
}

#[test]
fn installed_and_taken_back_with_one_restart_each() {
    let machine = Machine::new(&[("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=--v=2\n")]);
    let before = machine.0.snapshot();
    succeeds(machine.install(&["--refresh-timer"]));
    assert!(machine.arguments().ends_with(&format!("--v=2 {CONFIG} {BIN_DIR}")));
    assert_eq!(machine.log().matches("restart kubelet\n").count(), 1);
    assert!(machine.log().contains(&format!("restart {NAME}-refresh.timer\n")));
    machine.set("log", "");
    assert!(succeeds(machine.install(&[])).contains("nothing to do"));
    assert_eq!(machine.log().matches("restart kubelet\n").count(), 0);
    succeeds(machine.uninstall());
    assert_eq!(machine.0.snapshot(), before);
    assert!(machine.arguments().ends_with("--v=2"));
    assert_eq!(machine.log().matches("restart kubelet\n").count(), 1);
    assert!(machine.log().contains(&format!("stop {NAME}-refresh.timer\n")));
    assert!(!machine.has("deaths"));
}

#[test]
fn a_kubelet_that_does_not_come_up_gets_back_what_it_had() {
    let machine = Machine::new(&[]);
    let (before, arguments) = (machine.0.snapshot(), machine.arguments());
    machine.set("dislikes-flags", "");
    let said = fails(machine.install(&[]), "is not healthy after its restart");
    assert!(said.contains("the kubelet is healthy again"), "{said}");
    assert_eq!((machine.0.snapshot(), machine.arguments()), (before, arguments));
}

#[test]
fn a_kubelet_that_loses_an_argument_gets_it_back() {
    let machine = Machine::new(&[]);
    let before = machine.0.snapshot();
    // As it was started by hand, which no file knows.
    let line = machine.0.path("/proc/100/cmdline");
    let text = fs::read_to_string(&line).unwrap();
    let text = format!("{}\0--node-ip=10.0.0.9", text.trim_end_matches('\0'));
    fs::write(&line, text).unwrap();
    fails(machine.install(&[]), "the kubelet has lost --node-ip=10.0.0.9");
    assert_eq!(machine.0.snapshot(), before);
    assert!(machine.has("kubelet-up"));
}

#[test]
fn a_kubelet_that_does_not_read_what_was_written_is_noticed() {
    // The fake does not know this folder.
    let control = "/etc/systemd/system.control/kubelet.service.d/50.conf";
    let machine = Machine::new(&[(control, "[Service]\nEnvironment=KUBELET_EXTRA_ARGS=--v=2\n")]);
    let before = machine.0.snapshot();
    fails(machine.install(&[]), "runs without the arguments that were written");
    assert_eq!(machine.0.snapshot(), before);
}

#[test]
fn a_kubelet_that_does_not_run_is_not_started() {
    let machine = Machine::new(&[]);
    fs::remove_file(machine.0.beside.join("fake/kubelet-up")).unwrap();
    fs::remove_dir_all(machine.0.path("/proc/100")).unwrap();
    let said = succeeds(machine.install(&[]));
    assert!(said.contains("it takes the arguments when it starts"), "{said}");
    assert!(!machine.log().contains("restart kubelet"));
}

#[test]
fn a_kubelet_that_does_not_come_up_without_us_keeps_us() {
    let machine = Machine::new(&[]);
    succeeds(machine.install(&[]));
    let before = machine.0.snapshot();
    machine.set("dislikes-no-flags", "0");
    fails(machine.uninstall(), "is not healthy after its restart");
    assert_eq!(machine.0.snapshot(), before);
    assert!(machine.has("kubelet-up") && machine.arguments().contains(BIN_DIR));
}

/// What a process of a pod says of itself does not count.
#[test]
fn only_a_kubelet_of_this_machine_is_believed() {
    let machine = Machine::new(&[]);
    let pod = machine.0.path("/proc/50");
    fs::create_dir_all(&pod).unwrap();
    fs::write(pod.join("comm"), "kubelet\n").unwrap();
    fs::write(pod.join("cgroup"), "0::/kubepods.slice/pod1\n").unwrap();
    let line = "kubelet\0--image-credential-provider-config=/srv/x\0--image-credential-provider-bin-dir=/srv";
    fs::write(pod.join("cmdline"), line).unwrap();
    succeeds(machine.install(&[]));
    assert!(machine.arguments().contains(BIN_DIR));
}

#[test]
fn a_kubelet_that_is_stopped_stays_so() {
    let machine = Machine::new(&[]);
    let before = machine.0.snapshot();
    succeeds(machine.install(&[]));
    fs::remove_file(machine.0.beside.join("fake/kubelet-up")).unwrap();
    fs::remove_dir_all(machine.0.path("/proc/100")).unwrap();
    machine.set("log", "");
    succeeds(machine.uninstall());
    assert_eq!(machine.0.snapshot(), before);
    assert!(!machine.log().contains("restart kubelet"), "{}", machine.log());
}

#[test]
fn a_timer_that_systemd_does_not_know_does_not_keep_the_rest() {
    let machine = Machine::new(&[]);
    let before = machine.0.snapshot();
    succeeds(machine.install(&["--refresh-timer"]));
    machine.set("timer-unknown", "");
    succeeds(machine.uninstall());
    assert_eq!(machine.0.snapshot(), before);
}

#[test]
fn the_status_says_how_the_timer_is() {
    let machine = Machine::new(&[]);
    succeeds(machine.install(&["--refresh-timer"]));
    let status = || {
        let mut command = machine.on(machine.0.command("status"));
        command.arg("--restart");
        command
    };
    assert!(succeeds(status()).ends_with("\ninstalled\n"));
    machine.set("refresh-failed", "");
    fails(status(), &format!("the last refresh failed: journalctl -u {NAME}-refresh.service"));
    fs::remove_file(machine.0.beside.join("fake/timer-up")).unwrap();
    fails(status(), &format!("{NAME}-refresh.timer is not active"));
    let mut json = status();
    json.arg("--json");
    fails(json, "\"timer\": \"not-active\"");
    succeeds(machine.uninstall());
    fails(status(), "not installed");
}

impl Machine {
    /// Installed, but as a run leaves it that was killed before it could note that it was done.
    fn killed_behind_the_restart(&self) {
        succeeds(self.install(&[]));
        let file = |path: &str| format!("[\"{path}\", \"absent\"]");
        let files = [
            file(&format!("/opt/{NAME}/bin/{NAME}")),
            file(&format!("/etc/{NAME}/config.yaml")),
            file(PROVIDERS),
            file("/etc/default/kubelet"),
        ];
        let folders = format!(
            r#""/etc", "/etc/{NAME}", "/etc/default", "/etc/kubernetes", "/opt", "/opt/{NAME}", "/opt/{NAME}/bin""#
        );
        let record = format!(
            r#"{{"version": 1, "files": [], "folders": [], "unfinished": {{"files": [{}], "folders": [{folders}], "restarted": true}}}}"#,
            files.join(", ")
        );
        fs::write(self.0.path(&format!("/var/lib/{NAME}/undo.json")), record).unwrap();
    }
}

#[test]
fn a_run_that_was_killed_behind_the_restart_is_done_by_the_next_one() {
    let machine = Machine::new(&[]);
    let before = machine.0.snapshot();
    machine.killed_behind_the_restart();
    let shown = succeeds(machine.install(&["--dry-run"]));
    assert!(shown.contains("+KUBELET_EXTRA_ARGS="), "{shown}");
    succeeds(machine.install(&[]));
    assert!(machine.arguments().ends_with(&format!("{CONFIG} {BIN_DIR}")));
    assert!(succeeds(machine.install(&[])).contains("nothing to do"));
    succeeds(machine.uninstall());
    assert_eq!(machine.0.snapshot(), before);
}

#[test]
fn a_kubelet_that_died_of_a_run_that_was_killed_comes_back_with_the_next_one() {
    let machine = Machine::new(&[]);
    let before = machine.0.snapshot();
    machine.killed_behind_the_restart();
    fs::remove_file(machine.0.beside.join("fake/kubelet-up")).unwrap();
    fs::remove_dir_all(machine.0.path("/proc/100")).unwrap();
    machine.set("dislikes-flags", "");
    let said = fails(machine.install(&[]), "is not healthy after its restart");
    assert!(said.contains("the kubelet is healthy again"), "{said}");
    assert_eq!(machine.0.snapshot(), before);
    assert!(machine.has("kubelet-up"));
}

#[test]
fn a_kubelet_that_was_restarted_by_a_run_that_was_killed_is_restarted_by_the_uninstallation() {
    let machine = Machine::new(&[]);
    let before = machine.0.snapshot();
    machine.killed_behind_the_restart();
    assert!(machine.arguments().contains(CONFIG));
    succeeds(machine.uninstall());
    assert_eq!(machine.0.snapshot(), before);
    assert!(machine.has("kubelet-up") && !machine.arguments().contains(CONFIG));
}
