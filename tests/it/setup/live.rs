//! A kubelet that is restarted: the fakes of the scripts' tests play systemd and the kubelet, which dies
//! if its arguments name what is not there.

use std::env;
use std::fs;
use std::process::Command;

use super::{BIN_DIR, CONFIG, KUBEADM, NAME, Tree, fails, succeeds};
use crate::TESTS;

const UNIT: &str = "/usr/lib/systemd/system/kubelet.service";

struct Machine(Tree);

impl Machine {
    fn new(files: &[(&str, &str)]) -> Self {
        let machine = Self(Tree::of(&[&[(UNIT, KUBEADM)], files].concat()));
        fs::create_dir_all(machine.0.beside.join("fake")).unwrap();
        machine.systemctl(&["restart", "kubelet"]);
        machine.set("log", "");
        machine
    }

    /// As whoever changes this node would run a command.
    fn on(&self, mut command: Command) -> Command {
        let path = env::var("PATH").unwrap();
        command
            .env("PATH", format!("{TESTS}/node-scripts/fakes:{path}"))
            .env("ROOT", &self.0.root)
            .env("FAKE", self.0.beside.join("fake"));
        command
    }

    fn systemctl(&self, arguments: &[&str]) {
        let mut command = self.on(Command::new("systemctl"));
        assert!(command.args(arguments).status().unwrap().success());
    }

    fn set(&self, name: &str, text: &str) {
        fs::write(self.0.beside.join("fake").join(name), text).unwrap();
    }

    fn has(&self, name: &str) -> bool {
        self.0.beside.join("fake").join(name).exists()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.0.beside.join("fake/log")).unwrap()
    }

    fn arguments(&self) -> String {
        fs::read_to_string(self.0.path("/proc/100/cmdline")).unwrap().replace('\0', " ")
    }

    fn install(&self, options: &[&str]) -> Command {
        self.on(self.0.install(&[options, &["--restart", "--watch", "0"]].concat()))
    }

    fn uninstall(&self) -> Command {
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
