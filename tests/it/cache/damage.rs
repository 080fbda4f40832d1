//! A cache that is not as it should be is a miss and a warning, never an answer and never a failure.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use serde_json::json;
use simulation::kubelet::Exec;

use crate::node::{ACME, Node, request};
use crate::{PROGRAM, with_warnings};

/// Somebody else on the machine.
const NOBODY: Option<u32> = Some(65_534);

/// Fills a cache, spoils the login, and sees that it is fetched again with a warning.
fn spoilt(spoil: impl Fn(&Path), says: &str) {
    let node = Node::new("{}");
    let first = node.pull(ACME);
    let [login] = &node.kept("login")[..] else { panic!("one login") };
    spoil(login);
    let pulled = node.pull(ACME);
    assert_ne!(pulled.password, first.password);
    assert!(pulled.warnings.contains(says), "{}", pulled.warnings);
    assert_eq!(pulled.warnings.lines().count(), 1, "{}", pulled.warnings);
    let again = node.pull(ACME);
    assert_eq!(
        (again.password, again.warnings.as_str()),
        (pulled.password, ""),
        "it is whole again"
    );
}

#[test]
fn a_damaged_file() {
    spoilt(
        |login| {
            let mut text = fs::read(login).unwrap();
            let middle = text.len() / 2;
            text[middle] ^= 1;
            fs::write(login, text).unwrap();
        },
        "damaged",
    );
}

#[test]
fn a_truncated_file() {
    for keep in [0, 1, 11, 12, 52, 53, 300] {
        spoilt(
            |login| {
                let text = fs::read(login).unwrap();
                fs::write(login, &text[..keep]).unwrap();
            },
            "damaged",
        );
    }
}

#[test]
fn a_file_of_another_version() {
    spoilt(
        |login| {
            let text = fs::read_to_string(login).unwrap();
            fs::write(login, text.replacen("acr-cache 1", "acr-cache 2", 1)).unwrap();
        },
        "damaged",
    );
}

#[test]
fn a_huge_file() {
    spoilt(|login| fs::write(login, vec![b' '; 1 << 20]).unwrap(), "damaged");
}

/// What would not be read is not written: else each pull would find it damaged.
#[test]
fn a_login_that_is_too_large() {
    // As large as an answer can be; what is kept of it has the host's name and a checksum besides.
    const LENGTH: usize = 256 * 1024 - 160;
    let login = json!({
        "IsSuccess": true,
        "TempUsername": "cr_temp_user",
        "AuthorizationToken": "p".repeat(LENGTH),
        "ExpireTime": 4_000_000_000_000_i64,
    });
    let answer = json!({"instead": {"answer": {"body": login.to_string()}}});
    let node = Node::new(&json!({"faults": {"get-authorization-token": [answer]}}).to_string());
    for _ in 0..2 {
        let outcome = node.ask(ACME);
        assert!(outcome.stdout.len() > LENGTH, "{outcome:?}");
        let told = outcome.stderr_text();
        assert!(told.contains("a file would take more than 256 KiB"), "{told}");
        assert!(!told.contains("damaged"), "{told}");
        assert!(node.kept("login").is_empty());
    }
}

#[test]
fn a_file_of_somebody_else() {
    spoilt(|login| chown(login, NOBODY, NOBODY).unwrap(), "belongs to user 65534");
}

#[test]
fn a_file_that_others_can_read() {
    spoilt(
        |login| fs::set_permissions(login, fs::Permissions::from_mode(0o644)).unwrap(),
        "others may",
    );
}

#[test]
fn a_symbolic_link_and_a_directory_in_place_of_a_file() {
    spoilt(
        |login| {
            let elsewhere = login.with_file_name("elsewhere");
            fs::rename(login, &elsewhere).unwrap();
            symlink(&elsewhere, login).unwrap();
        },
        "not a regular file",
    );
    let node = Node::new("{}");
    node.pull(ACME);
    let [login] = &node.kept("login")[..] else { panic!("one login") };
    fs::remove_file(login).unwrap();
    fs::create_dir(login).unwrap();
    assert!(node.pull(ACME).warnings.contains("not a regular file"));
}

/// Before it is made, and with what is to be told of it.
fn bad_directory(make: impl Fn(&Path), says: &str) {
    let node = Node::new("{}");
    make(&node.cache());
    let (first, second) = (node.pull(ACME), node.pull(ACME));
    assert_ne!(first.password, second.password, "nothing was kept");
    assert!(first.warnings.contains(says), "{}", first.warnings);
    assert_eq!(first.warnings.lines().count(), 1, "{}", first.warnings);
}

#[test]
fn a_directory_that_is_none_or_a_link() {
    bad_directory(|cache| fs::write(cache, "x").unwrap(), "not a directory");
    bad_directory(
        |cache| {
            fs::create_dir(cache.with_extension("real")).unwrap();
            symlink(cache.with_extension("real"), cache).unwrap();
        },
        "symbolic link",
    );
}

#[test]
fn a_directory_of_somebody_else_or_open_to_others() {
    bad_directory(
        |cache| {
            fs::create_dir(cache).unwrap();
            chown(cache, NOBODY, NOBODY).unwrap();
        },
        "belongs to user 65534",
    );
    bad_directory(
        |cache| {
            fs::create_dir(cache).unwrap();
            fs::set_permissions(cache, fs::Permissions::from_mode(0o1777)).unwrap();
        },
        "others may write to it (mode 1777)",
    );
}

#[test]
fn a_directory_that_others_can_only_read_is_closed() {
    let node = Node::new("{}");
    fs::create_dir(node.cache()).unwrap();
    fs::set_permissions(node.cache(), fs::Permissions::from_mode(0o755)).unwrap();
    let first = node.pull(ACME);
    assert_eq!((node.pull(ACME).password, first.warnings.as_str()), (first.password, ""));
    assert_eq!(fs::metadata(node.cache()).unwrap().permissions().mode() & 0o777, 0o700);
}

/// Closed, `/run` or `/var/lib` would be lost to everybody else on the node.
#[test]
fn a_directory_that_others_use_too_is_left_as_it_is() {
    for others in ["socket", ".hidden", "0123456789ab", "0123456789ag-x"] {
        bad_directory(
            |cache| {
                fs::create_dir(cache).unwrap();
                fs::write(cache.join(others), "").unwrap();
                fs::set_permissions(cache, fs::Permissions::from_mode(0o755)).unwrap();
            },
            "others may look into it (mode 0755), and it holds files of other programs; set cacheDir to a directory of its own",
        );
    }
    let node = Node::new("{}");
    fs::create_dir(node.cache()).unwrap();
    fs::write(node.cache().join("socket"), "").unwrap();
    fs::set_permissions(node.cache(), fs::Permissions::from_mode(0o755)).unwrap();
    node.pull(ACME);
    node.exec(&["refresh"]).run(&[]).unwrap();
    assert_eq!(fs::metadata(node.cache()).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(fs::read_dir(node.cache()).unwrap().count(), 1, "and nothing is put there");
    // What is the program's own alone is closed, whichever part opened it.
    let node = Node::new("{}");
    let first = node.pull(ACME);
    fs::set_permissions(node.cache(), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(node.pull(ACME).password, first.password);
    assert_eq!(fs::metadata(node.cache()).unwrap().permissions().mode() & 0o777, 0o700);
}

/// In a mount namespace of its own, so that the machine sees nothing of it.
fn mounted(options: &str, says: &str, warnings: usize) {
    let node = Node::new("{}");
    fs::create_dir(node.cache()).unwrap();
    let mut exec = Exec::new("/usr/bin/unshare");
    let script = format!(
        "mount -t tmpfs -o mode=700,{options} none '{}' && exec '{PROGRAM}' --config '{}'",
        node.cache().display(),
        node.config().display()
    );
    exec.args = ["--mount", "/bin/sh", "-c", &script].map(str::to_owned).to_vec();
    exec.kubelet_env = with_warnings();
    exec.config_env = vec![("PATH".to_owned(), "/usr/sbin:/usr/bin:/sbin:/bin".to_owned())];
    let outcome = exec.run(&request(ACME)).unwrap();
    let pulled = node.pulled(ACME, &outcome);
    assert!(pulled.warnings.contains(says), "{}", pulled.warnings);
    assert_eq!(pulled.warnings.lines().count(), warnings, "{}", pulled.warnings);
}

/// Neither locks nor files have room.
#[test]
fn a_full_disk() {
    mounted("nr_inodes=4,size=64k", "No space left on device", 2);
}

#[test]
fn a_read_only_disk() {
    mounted("ro", "Read-only file system", 1);
}
