//! Disks that are full, read-only or run no program, and the system itself: in a mount namespace, where
//! folders of a tree lie over those of this machine.

use std::process::Command;

use super::{KUBEADM, NAME, Tree, fails, succeeds};
use crate::TESTS;

const UNIT: &str = "/etc/systemd/system/kubelet.service";

fn node() -> Tree {
    Tree::of(&[(UNIT, KUBEADM), ("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=--v=2\n")])
}

/// A command in a namespace of its own, after what prepares that; the tree is `$ROOT`.
fn inside(tree: &Tree, prepare: &str, command: &Command) -> Command {
    let mut inside = Command::new("unshare");
    inside.args(["-rm", "sh", "-ec", &format!("{prepare}\n\"$@\""), "inside"]);
    inside.arg(command.get_program()).args(command.get_args());
    inside.env("ROOT", &tree.root).env("BESIDE", &tree.beside);
    inside
}

#[test]
fn a_disk_that_does_not_take_the_program_is_refused_by_name_before_anything_is_changed() {
    let tree = node();
    std::fs::create_dir(tree.path("/opt")).unwrap();
    let before = tree.snapshot();
    for (option, text) in [
        ("noexec", format!("/opt/{NAME}/bin/{NAME} would not run: its disk is mounted noexec")),
        ("ro", format!("cannot write /opt/{NAME}/bin/{NAME}: its disk is mounted read-only")),
    ] {
        let mount = format!("mount -t tmpfs -o {option} none \"$ROOT/opt\"");
        for dry_run in [&["--dry-run"][..], &[]] {
            fails(inside(&tree, &mount, &tree.install(dry_run)), &text);
            assert_eq!(tree.snapshot(), before);
        }
        succeeds(inside(&tree, &mount, &tree.install(&["--bin-dir", "/srv/bin", "--dry-run"])));
    }
}

/// With room for so many blocks more: what was there is back, or all is done. What is left over of a run
/// that could not even put back is put back by the next one.
#[test]
fn a_disk_that_is_full_at_any_step() {
    let files = "find . -path ./proc -prune -o ! -name fill -printf '%P %y %m %l\\n' -type f -exec sha256sum {} + | sort";
    // On one disk, and with one for `/etc` alone, to which nothing can be moved from the other.
    let apart = "mkdir etc && mount -t tmpfs -o size=160k none etc";
    for (action, disks, fill) in [
        ("install", "true", "fill"),
        ("uninstall", "true", "fill"),
        ("install", apart, "etc/fill"),
        ("uninstall", apart, "etc/fill"),
    ] {
        let tree = node();
        let command = if action == "install" {
            tree.install(&["--refresh-timer"])
        } else {
            tree.command(action)
        };
        let first = if action == "install" {
            String::new()
        } else {
            quoted(&tree.install(&["--refresh-timer"]))
        };
        let prepare = format!(
            "cp -a \"$ROOT\" \"$BESIDE/copy\"
            mount -t tmpfs -o size=400k none \"$ROOT\"
            cd \"$ROOT\"
            refused=0
            for room in $(seq 0 40) done; do
                umount etc 2>/dev/null || true
                find . -mindepth 1 -delete
                {disks}
                cp -a \"$BESIDE/copy/.\" .
                {first} >/dev/null
                {files} >\"$BESIDE/before\"
                dd if=/dev/zero of={fill} bs=4096 2>/dev/null || true
                [ $room = done ] && rm {fill} || truncate -s -$((room * 4096)) {fill}
                code=0
                \"$@\" >\"$BESIDE/said\" 2>&1 || code=$?
                rm -f {fill}
                {files} >\"$BESIDE/after\"
                if [ $code != 0 ]; then
                    refused=$((refused + 1))
                    grep -q 'No space left on device' \"$BESIDE/said\"
                    diff \"$BESIDE/before\" \"$BESIDE/after\" || {{ echo \"room $room\"; cat \"$BESIDE/said\"; exit 1; }}
                else
                    cat \"$BESIDE/after\" >>\"$BESIDE/done\"
                    mv \"$BESIDE/after\" \"$BESIDE/all\"
                    echo >\"$BESIDE/said\"
                fi
            done
            echo \"$refused refused\"
            [ $code = 0 ] && [ $refused -gt 0 ]
            # Each that was done did the same.
            [ $(sort -u \"$BESIDE/done\" | wc -l) = $(sort -u \"$BESIDE/all\" | wc -l) ]
            set -- true"
        );
        succeeds(inside(&tree, &prepare, &command));
    }
}

/// A command as a shell takes it.
fn quoted(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    words.join(" ")
}

/// Without `--root`: every file gets its label when it is in its place, and again when it is put back.
#[test]
fn on_the_system_itself() {
    let tree = node();
    std::fs::create_dir(tree.path("/opt")).unwrap();
    tree.write("/bin/restorecon", "#!/bin/sh\n[ -e \"$1\" ] && echo \"$*\" >>\"$FAKE/labelled\"\n");
    tree.beside("labels", "", 0o644);
    let before = tree.snapshot();
    let folders = "mkdir -p \"$BESIDE/fake\"
        cp \"$ROOT/bin/restorecon\" \"$BESIDE/fake\"
        for d in etc opt var/lib proc; do mount --bind \"$ROOT/$d\" \"/$d\"; done
        FAKE=$BESIDE/fake PATH=$FAKES:$BESIDE/fake:$PATH ROOT=
        export FAKE PATH ROOT
        systemctl restart kubelet";
    let live = |action: &str, prepare: &str| {
        let mut command = Command::new(crate::PROGRAM);
        command.args(["setup", action, "--watch", "0"]);
        if action == "install" {
            command.arg("--binary").arg(tree.beside.join("program"));
            command.arg("--config").arg(tree.beside.join("config.yaml"));
            command.args(["--kubelet-version", "1.30", "--refresh-timer"]);
        }
        let mut inside = inside(&tree, &format!("{folders}\n{prepare}"), &command);
        inside.env("FAKES", format!("{TESTS}/setup/fakes"));
        inside
    };
    let labelled = |path: &str| {
        let text = std::fs::read_to_string(tree.beside.join("fake/labelled")).unwrap();
        text.lines().filter(|line| *line == path).count()
    };
    fails(live("install", "true >\"$FAKE/dislikes-flags\""), "the kubelet is healthy again");
    assert_eq!(tree.snapshot(), before);
    assert_eq!(labelled("/etc/default/kubelet"), 2);
    succeeds(live("install", "rm \"$FAKE/dislikes-flags\" \"$FAKE/labelled\""));
    for path in [
        format!("/opt/{NAME}/bin/{NAME}"),
        format!("/etc/{NAME}/config.yaml"),
        format!("/etc/systemd/system/{NAME}-refresh.service"),
        "/etc/kubernetes/credential-provider-config.yaml".to_owned(),
        "/etc/default/kubelet".to_owned(),
    ] {
        assert!(labelled(&path) > 0, "{path}");
    }
    assert!(succeeds(live("install", "")).contains("nothing to do"));
    succeeds(live("uninstall", "rm \"$FAKE/labelled\""));
    assert_eq!(labelled("/etc/default/kubelet"), 1);
    assert_eq!(tree.snapshot(), before);
}
