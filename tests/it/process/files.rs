//! Files that decide what the program does are read only where nobody else can have written them,
//! and what is no file is not even opened.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use aliyun_acr_credential_provider::doctor::kubelet::Look;
use rustix::fs::{CWD, FileType, Mode, OFlags, makedev, mknodat};
use simulation::cloud::standard;
use simulation::kubelet::{Exec, Exit, Outcome};

use crate::node::{ACME, Node, request};
use crate::{PROGRAM, copied, with_warnings};

const NOBODY: Option<u32> = Some(65_534);

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A good configuration that something is done to, and what the first line then says.
fn refused(spoil: impl FnOnce(&Path), says: &str) {
    let node = Node::new("{}");
    spoil(&node.config());
    let outcome = node.ask(ACME);
    let stderr = outcome.stderr_text();
    let first = stderr.lines().next().unwrap_or_default();
    let path = node.config().display().to_string();
    assert_eq!(outcome.exit, Exit::Code(2), "{stderr}");
    assert!(first.starts_with(&format!("error: configuration `{path}` ")), "{stderr}");
    assert!(first.contains(says), "{stderr}expected {says}");
    assert!(outcome.stdout.is_empty());
    assert!(node.cloud.calls().is_empty(), "it was believed");
    mode(&node.folder, 0o755);
}

#[test]
fn a_configuration_that_others_can_write() {
    refused(
        |config| mode(config, 0o620),
        "is not used: it can be written by its group (mode 0620)",
    );
    refused(
        |config| mode(config, 0o602),
        "is not used: it can be written by everybody (mode 0602)",
    );
    refused(|config| chown(config, NOBODY, None).unwrap(), "is not used: it belongs to user 65534");
}

#[test]
fn a_configuration_in_a_folder_that_others_can_write() {
    let folder = |config: &Path| config.parent().unwrap().to_owned();
    refused(
        |config| mode(&folder(config), 0o777),
        "its folder can be written by everybody (mode 0777)",
    );
    refused(
        |config| mode(&folder(config), 0o775),
        "its folder can be written by its group (mode 0775)",
    );
    refused(
        |config| chown(folder(config), NOBODY, None).unwrap(),
        "its folder belongs to user 65534",
    );
}

#[test]
fn a_configuration_below_a_folder_that_everybody_can_write() {
    let node = Node::new("{}");
    let (upper, lower) = (node.folder.join("upper"), node.folder.join("upper/lower"));
    fs::create_dir_all(&lower).unwrap();
    let there = lower.join("config.yaml");
    fs::copy(node.config(), &there).unwrap();
    mode(&upper, 0o777);
    assert!(
        ask(&node, &there).stderr_text().contains("a folder above it can be written by everybody")
    );
    // As /tmp is: nobody can put another file into the place of mine.
    mode(&upper, 0o1777);
    assert_eq!(ask(&node, &there).exit, Exit::Code(0));
    mode(&lower, 0o1777);
    assert_eq!(ask(&node, &there).exit, Exit::Code(0));
}

/// As a `ConfigMap` is mounted, and as a folder on the way may be.
#[test]
fn a_configuration_that_is_a_link() {
    let node = Node::new("{}");
    let (day, data) = (node.folder.join("..2026_11_24"), node.folder.join("..data"));
    fs::create_dir(&day).unwrap();
    fs::rename(node.config(), day.join("config.yaml")).unwrap();
    symlink("..2026_11_24", &data).unwrap();
    symlink("..data/config.yaml", node.config()).unwrap();
    assert_eq!(ask(&node, &node.config()).exit, Exit::Code(0));
    let way = node.folder.join("way");
    symlink(&node.folder, &way).unwrap();
    assert_eq!(ask(&node, &way.join("config.yaml")).exit, Exit::Code(0));
}

/// Each step of the way is looked at.
#[test]
fn a_link_that_others_could_have_led_elsewhere() {
    let linked = |spoil: &dyn Fn(&Path, &Path, &Path), says: &str| {
        let spoil = |config: &Path| {
            let elsewhere = config.with_file_name("elsewhere");
            fs::create_dir(&elsewhere).unwrap();
            let (link, real) = (elsewhere.join("link.yaml"), config.with_file_name("real.yaml"));
            fs::rename(config, &real).unwrap();
            symlink(&real, &link).unwrap();
            symlink(&link, config).unwrap();
            spoil(config, &link, &real);
        };
        refused(spoil, says);
    };
    let folder = |path: &Path| path.parent().unwrap().to_owned();
    linked(&|config, _, _| lchown(config, NOBODY, None).unwrap(), "config.yaml` belongs to");
    linked(&|_, link, _| lchown(link, NOBODY, None).unwrap(), "link.yaml` belongs to");
    linked(
        &|_, link, _| mode(&folder(link), 0o777),
        "link.yaml` can be written by everybody (mode 0777)",
    );
    linked(
        &|_, link, _| chown(folder(link), NOBODY, None).unwrap(),
        "link.yaml` belongs to user 65534",
    );
    linked(&|_, _, real| mode(real, 0o620), "real.yaml`, can be written by its group");
}

#[test]
fn a_configuration_that_is_a_link_to_itself() {
    refused(
        |config| {
            fs::remove_file(config).unwrap();
            symlink(config, config).unwrap();
        },
        "cannot be read: Too many levels of symbolic links",
    );
}

/// At the place where it is looked for unasked: taken for none, it would let other hosts be answered
/// by the node's own identity.
#[test]
fn a_configuration_that_is_a_link_to_nowhere() {
    let in_etc = |script: &str| {
        let folder = "/etc/aliyun-acr-credential-provider";
        let script = format!("mount -t tmpfs none /etc; {script}; exec '{PROGRAM}'");
        let mut exec = Exec::new("/usr/bin/unshare");
        exec.args = ["--mount", "/bin/sh", "-c", &script.replace("FOLDER", folder)]
            .map(str::to_owned)
            .to_vec();
        exec.kubelet_env = with_warnings();
        exec.config_env = vec![("PATH".to_owned(), "/usr/sbin:/usr/bin:/sbin:/bin".to_owned())];
        exec.run(&request("quay.io")).unwrap()
    };
    let link = in_etc("mkdir FOLDER; ln -s /nowhere FOLDER/config.yaml");
    assert_eq!(link.exit, Exit::Code(2), "{}", link.stderr_text());
    assert!(
        link.stderr_text().contains("leads to `/nowhere`, and `/nowhere` does not exist"),
        "{}",
        link.stderr_text()
    );
    // One of a near name is not read, and not ignored in silence either.
    let near = in_etc("mkdir FOLDER; touch FOLDER/config.yml");
    let says = "warning: /etc/aliyun-acr-credential-provider/config.yml is not read";
    assert!(near.stderr_text().starts_with(says), "{}", near.stderr_text());
    for none in ["true", "mkdir FOLDER", "touch FOLDER"] {
        let outcome = in_etc(none);
        assert_eq!((outcome.exit, outcome.stderr_text().as_str()), (Exit::Code(0), ""), "{none}");
    }
}

/// The same for a user's own file, and where the folder cannot be looked into.
#[test]
fn a_users_configuration_that_is_a_link_to_nowhere_or_out_of_reach() {
    let node = Node::new("{}");
    let home = std::env::temp_dir().join(format!("acr-home-{}", std::process::id()));
    let folder = home.join("aliyun-acr-credential-provider");
    fs::create_dir_all(&folder).unwrap();
    mode(&home, 0o755);
    let config = folder.join("config.yaml");
    // Where everybody can run it.
    let program = home.join("program");
    copied(PROGRAM, &program);
    let ask = || {
        let mut command = Command::new(&program);
        command.env_clear().env("HOME", "/").env("XDG_CONFIG_HOME", &home).uid(65_534).gid(65_534);
        answer(&mut command)
    };
    assert_eq!(ask(), (Some(0), String::new()), "none there");
    symlink("/nowhere", &config).unwrap();
    let (code, stderr) = ask();
    assert!(code == Some(2) && stderr.contains("leads to `/nowhere`"), "{stderr}");
    fs::remove_file(&config).unwrap();
    fs::copy(node.config(), &config).unwrap();
    mode(&folder, 0o700);
    let (code, stderr) = ask();
    assert!(code == Some(2) && stderr.contains("cannot be read by this user"), "{stderr}");
    fs::remove_dir_all(home).unwrap();
}

/// What cannot be read as text is not as if it were not set: that would be another identity.
#[test]
fn variables_that_are_no_text() {
    for (name, says) in [
        (
            "ACR_CREDENTIAL_PROVIDER_CONFIG",
            "configuration `/\u{fffd}` cannot be read: ACR_CREDENTIAL_PROVIDER_CONFIG is not UTF-8 text",
        ),
        (
            "ALIBABA_CLOUD_ACCESS_KEY_ID",
            "environment: ALIBABA_CLOUD_ACCESS_KEY_ID is not UTF-8 text",
        ),
        (
            "ALIBABA_CLOUD_SECURITY_TOKEN",
            "environment: ALIBABA_CLOUD_SECURITY_TOKEN is not UTF-8 text",
        ),
    ] {
        let (code, stderr) =
            answer(Command::new(PROGRAM).env_clear().env(name, OsStr::from_bytes(b"/\xff")));
        assert_eq!(code, Some(2), "{name}: {stderr}");
        assert!(stderr.starts_with(&format!("error: {says}\n")), "{stderr}");
    }
}

/// To a request for an image that is nobody's here; the environment is what `command` has been given.
fn answer(command: &mut Command) -> (Option<i32>, String) {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.current_dir("/").spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(&request("quay.io"));
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Opened, the one would block for ever and the other be read without end.
#[test]
fn a_configuration_that_is_a_pipe_or_a_device() {
    refused(
        |config| {
            fs::remove_file(config).unwrap();
            mknodat(CWD, config, FileType::Fifo, Mode::RUSR, 0).unwrap();
        },
        "cannot be read: not a regular file",
    );
    refused(
        |config| {
            fs::remove_file(config).unwrap();
            // /dev/zero
            mknodat(CWD, config, FileType::CharacterDevice, Mode::RUSR, makedev(1, 5)).unwrap();
        },
        "cannot be read: not a regular file",
    );
}

#[test]
fn a_configuration_of_a_mebibyte_is_read_and_one_byte_more_is_not() {
    let size = |config: &Path, bytes: usize| {
        let mut text = fs::read_to_string(config).unwrap();
        let rest = bytes - text.len() - 3;
        writeln!(text, "# {}", "x".repeat(rest)).unwrap();
        assert_eq!(text.len(), bytes);
        fs::write(config, text).unwrap();
    };
    let node = Node::new("{}");
    size(&node.config(), 1 << 20);
    node.pull(ACME);
    refused(|config| size(config, (1 << 20) + 1), "cannot be read: larger than 1 MiB");
}

fn ask(node: &Node, config: &Path) -> Outcome {
    let mut exec = node.exec(&[]);
    let at = exec.args.iter().position(|argument| argument == "--config").unwrap();
    exec.args[at + 1] = config.display().to_string();
    exec.run(&request(ACME)).unwrap()
}

/// A node that is someone by a token file, which is somewhere.
fn with_token(at: impl FnOnce(&Node) -> PathBuf) -> (Node, PathBuf) {
    let mut node = Node::new("{}");
    let path = at(&node);
    writeln!(node.settings, "  oidcTokenFile: {}", path.display()).unwrap();
    node.configure_all(&format!(
        "rrsa: {{enable: true}}\nacr-registry-info:\n  - instanceId: {}\n    regionId: cn-hangzhou\n    domains: {ACME}\n    rrsaRoleARN: {}\n    rrsaOIDCProviderRoleARN: {}\n    assumeRoleARN: {}\n",
        standard::ACME,
        standard::RRSA_ROLE,
        standard::OIDC_PROVIDER,
        standard::PULLER
    ));
    (node, path)
}

fn write_token(node: &Node, path: &Path) {
    let (namespace, name) = ("kube-system", "aliyun-acr-credential-helper");
    let token = node.cloud.service_account_token(standard::OIDC_PROVIDER, namespace, name).mint();
    fs::write(path, token).unwrap();
    mode(path, 0o600);
}

/// As the kubelet lays it: `token` leads by `..data` to the folder of the day, and the folder that
/// holds them all is open to everybody, but sticky.
#[test]
fn a_token_in_a_projected_volume() {
    let (node, path) = with_token(|node| node.folder.join("volume/token"));
    let volume = path.parent().unwrap();
    fs::create_dir_all(volume.join("..2026_11_24")).unwrap();
    mode(volume, 0o1777);
    write_token(&node, &volume.join("..2026_11_24/token"));
    symlink("..2026_11_24", volume.join("..data")).unwrap();
    symlink("..data/token", &path).unwrap();
    node.pull(ACME);
}

fn token_refused(spoil: impl FnOnce(&Node, &Path), says: &str) {
    let (node, path) = with_token(|node| node.folder.join("token"));
    write_token(&node, &path);
    spoil(&node, &path);
    let (code, first) = node.refused(ACME);
    let expected = format!("OIDC token file {}", path.display());
    assert_eq!(code, 3, "{first}");
    assert!(first.contains(&expected) && first.contains(says), "{first}");
    assert!(node.cloud.calls().is_empty(), "it was believed");
}

#[test]
fn a_token_that_others_could_have_put_there() {
    token_refused(|_, path| mode(path, 0o622), "it can be written by everybody (mode 0622)");
    token_refused(|_, path| chown(path, NOBODY, None).unwrap(), "it belongs to user 65534");
    token_refused(
        |_, path| {
            let other = path.with_file_name("other");
            fs::rename(path, &other).unwrap();
            chown(&other, NOBODY, None).unwrap();
            symlink(&other, path).unwrap();
        },
        "other`, belongs to user 65534",
    );
}

#[test]
fn a_token_that_is_empty_a_pipe_or_too_large() {
    token_refused(|_, path| fs::write(path, "").unwrap(), "holds 0 characters");
    token_refused(|_, path| fs::write(path, vec![b'x'; 65_537]).unwrap(), "larger than 64 KiB");
    token_refused(
        |_, path| {
            fs::remove_file(path).unwrap();
            mknodat(CWD, path, FileType::Fifo, Mode::RUSR, 0).unwrap();
        },
        "not a regular file",
    );
}

/// Whether somebody opens the pipe while `run` does: who writes into a pipe waits for that.
fn opened(pipe: &Path, run: impl FnOnce()) -> bool {
    let (sender, receiver) = channel();
    let writer = pipe.to_owned();
    thread::spawn(move || {
        let _ = fs::OpenOptions::new().write(true).open(writer);
        let _ = sender.send(());
    });
    thread::sleep(Duration::from_millis(100));
    run();
    let opened = receiver.recv_timeout(Duration::from_millis(500)).is_ok();
    if !opened {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        drop(rustix::fs::open(pipe, flags, Mode::empty()).unwrap());
        receiver.recv_timeout(Duration::from_secs(60)).unwrap();
    }
    opened
}

/// Opening alone may do something: a tape is wound back, and who waits at a pipe goes on.
#[test]
fn what_is_no_file_is_not_opened() {
    let pipe = |path: &Path| mknodat(CWD, path, FileType::Fifo, Mode::RUSR, 0).unwrap();
    let node = Node::new("{}");
    fs::remove_file(node.config()).unwrap();
    pipe(&node.config());
    assert!(!opened(&node.config(), || assert_eq!(node.ask(ACME).exit, Exit::Code(2))));
    let (node, token) = with_token(|node| node.folder.join("token"));
    pipe(&token);
    assert!(!opened(&token, || assert_eq!(node.ask(ACME).exit, Exit::Code(3))));
    // The check can fail.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    assert!(opened(&token, || drop(rustix::fs::open(&token, flags, Mode::empty()).unwrap())));
}

/// Anyone who can write a CA file can read what TLS protects.
#[test]
fn a_ca_file_of_the_environment_that_others_can_write() {
    let mut node = Node::new("{tls: true}");
    let ca = node.folder.join("ca.pem");
    fs::write(&ca, node.cloud.ca_pem().unwrap()).unwrap();
    node.settings = "  cacheDir: off\n".to_owned();
    node.configure(&crate::node::entry(ACME, standard::ACME, standard::PULLER));
    node.set("SSL_CERT_FILE", &ca.display().to_string());
    node.pull(ACME);
    mode(&ca, 0o664);
    let (code, first) = node.refused(ACME);
    assert_eq!(code, 2, "{first}");
    assert!(first.contains("it can be written by its group (mode 0664)"), "{first}");
    mode(&ca, 0o644);
    chown(&ca, NOBODY, None).unwrap();
    let (code, first) = node.refused(ACME);
    assert_eq!(code, 2, "{first}");
    assert!(first.contains("it belongs to user 65534"), "{first}");
}

#[test]
fn a_ca_file_that_others_can_write() {
    let mut node = Node::new("{tls: true}");
    let ca = node.folder.join("ca.pem");
    fs::write(&ca, node.cloud.ca_pem().unwrap()).unwrap();
    // A failure is kept for a moment, too.
    node.settings = format!("  cacheDir: off\n  caFile: {}\n", ca.display());
    node.configure(&crate::node::entry(ACME, standard::ACME, standard::PULLER));
    mode(&ca, 0o646);
    let (code, first) = node.refused(ACME);
    assert_eq!(code, 2, "{first}");
    assert!(first.contains("it can be written by everybody (mode 0646)"), "{first}");
    // Links are followed: the bundles of some distributions are links.
    mode(&ca, 0o644);
    let real = node.folder.join("bundle.pem");
    fs::rename(&ca, &real).unwrap();
    symlink(&real, &ca).unwrap();
    node.pull(ACME);
}

/// Everybody can call a process `kubelet`, and lead root's doctor to a file by its arguments.
#[test]
fn a_kubelet_that_somebody_else_runs() {
    let node = Node::new("{}");
    let process = kubelet(&node);
    let look = || looked_at(&node);
    assert!(look().contains("/somewhere/provider.yaml"), "{}", look());
    let unseen = "this user sees no kubelet process";
    let group = process.join("cgroup");
    fs::write(&group, "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-1.scope\n").unwrap();
    assert!(look().starts_with(unseen), "one of a pod: {}", look());
    fs::write(&group, "0::/system.slice/kubelet.service\n").unwrap();
    assert!(look().contains("/somewhere/provider.yaml"), "{}", look());
    chown(&process, NOBODY, None).unwrap();
    assert!(look().starts_with(unseen), "another user's: {}", look());
}

/// Of a kubelet in a container, which root's doctor sees as well: its files are not this machine's.
#[test]
fn a_kubelets_file_that_is_not_to_be_read() {
    let node = Node::new("{}");
    let process = kubelet(&node);
    let folder = process.join("root/somewhere");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("provider.yaml");
    let look = || looked_at(&node);
    let text = "secret-of-another: x\n";
    fs::write(&file, text).unwrap();
    assert!(look().contains("kind is ``"), "{}", look());
    mode(&file, 0o646);
    assert!(look().contains("it can be written by everybody (mode 0646)"), "{}", look());
    chown(&file, NOBODY, None).unwrap();
    assert!(look().contains("it belongs to user 65534"), "{}", look());
    flags(&process, "large.yaml");
    fs::write(folder.join("large.yaml"), "# a\n".repeat(300_000)).unwrap();
    assert!(look().contains("larger than 1 MiB"), "{}", look());
    // In a folder of such files a pipe is met as well: it would be waited for without end.
    let pipes = folder.join("pipes");
    fs::create_dir(&pipes).unwrap();
    mknodat(CWD, pipes.join("a.yaml"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    flags(&process, "pipes");
    assert!(look().contains("not a regular file"), "{}", look());
}

fn looked_at(node: &Node) -> String {
    Look::at(&node.folder, |_| Ok(None)).check(&[], None).details().concat()
}

/// A process that says it is the kubelet, below the node's folder.
fn kubelet(node: &Node) -> PathBuf {
    let process = node.folder.join("proc/1");
    fs::create_dir_all(&process).unwrap();
    fs::write(process.join("comm"), "kubelet\n").unwrap();
    flags(&process, "provider.yaml");
    process
}

/// Leads it to a file.
fn flags(process: &Path, file: &str) {
    let flags = [format!("config=/somewhere/{file}"), "bin-dir=/somewhere".to_owned()];
    let flags = flags.map(|flag| format!("kubelet\0--image-credential-provider-{flag}\0"));
    fs::write(process.join("cmdline"), flags.concat()).unwrap();
}
