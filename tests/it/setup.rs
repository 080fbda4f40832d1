//! A node is set up, and what was there comes back: tables of nodes, through the real binary.
//!
//! - [`docker`]: the files of clients, before and after.
//! - [`images`]: images that every service account may start, said and removed.
//! - [`live`]: with a kubelet that runs, restarts and dies, played by `tests/setup/fakes`.
//! - [`keep`]: kept as it is wanted, by a process that stays, one node after the other.
//! - [`killed`]: killed at every step that changes a file.
//! - [`mounts`]: with disks that are full, read-only or run no program, and on the system itself.
//! - [`more`]: what a table cannot say: several runs, modes, versions.

mod docker;
mod images;
mod keep;
mod killed;
mod live;
mod more;
mod mounts;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use serde::Deserialize;

use crate::{PROGRAM, TESTS};

const NAME: &str = "aliyun-acr-credential-provider";
const CONFIG: &str =
    "--image-credential-provider-config=/etc/kubernetes/credential-provider-config.yaml";
const BIN_DIR: &str = "--image-credential-provider-bin-dir=/opt/aliyun-acr-credential-provider/bin";
const PROVIDERS: &str = "/etc/kubernetes/credential-provider-config.yaml";

const CONFIGURATION: &str = "acr-registry-info:\n  - instanceId: cri-acmeacmeacme0001\n    regionId: cn-hangzhou\n    domains: acme-registry.cn-hangzhou.cr.aliyuncs.com,registry.acme.example:5000\n";

pub const KUBEADM: &str = "[Service]\nEnvironmentFile=-/etc/default/kubelet\nExecStart=/usr/bin/kubelet --kubeconfig=/etc/kubernetes/kubelet.conf $KUBELET_EXTRA_ARGS\n";

/// A tree of files, and what else a run needs.
pub struct Tree {
    root: PathBuf,
    beside: PathBuf,
}

impl Tree {
    fn new(files: &BTreeMap<String, Option<String>>) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let beside = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("setup-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&beside);
        let tree = Self { root: beside.join("root"), beside };
        fs::create_dir_all(tree.root.join("var/lib")).unwrap();
        fs::create_dir_all(tree.root.join("proc")).unwrap();
        for (path, text) in files {
            tree.write(path, text.as_deref().unwrap_or_default());
        }
        // The program's stand-in: the real one is large, and is copied by a test of its own.
        tree.beside("program", "#!/bin/sh\n", 0o755);
        tree.beside("config.yaml", CONFIGURATION, 0o600);
        tree
    }

    pub fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| ((*path).to_owned(), Some((*text).to_owned()));
        Self::new(&files.iter().map(file).collect())
    }

    fn beside(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.beside.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        path
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn write(&self, path: &str, text: &str) {
        let place = self.path(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        if let Some(target) = text.strip_prefix("-> ") {
            symlink(target, place).unwrap();
            return;
        }
        fs::write(&place, text).unwrap();
        let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
        fs::set_permissions(&place, PermissionsExt::from_mode(mode)).unwrap();
    }

    fn read(&self, path: &str) -> Option<String> {
        let place = self.path(path);
        match fs::read_link(&place) {
            Ok(target) => Some(format!("-> {}", target.display())),
            Err(_) => fs::read_to_string(place).ok(),
        }
    }

    /// Every file with its mode and content, links and folders.
    pub fn snapshot(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(&self.root).unwrap().display().to_string();
                if name == "proc" {
                    continue;
                }
                let metadata = fs::symlink_metadata(&path).unwrap();
                let mode = metadata.permissions().mode() & 0o7777;
                let what = if metadata.is_symlink() {
                    format!("-> {}", fs::read_link(&path).unwrap().display())
                } else if metadata.is_dir() {
                    folders.push(path);
                    format!("folder {mode:o}")
                } else {
                    format!("{mode:o} {}", String::from_utf8_lossy(&fs::read(&path).unwrap()))
                };
                all.insert(name, what);
            }
        }
        all
    }

    /// Every file and link by its path, without modes.
    fn files(&self) -> BTreeMap<String, String> {
        let paths = self.snapshot().into_iter().filter(|(_, what)| !what.starts_with("folder"));
        let paths = paths.map(|(path, _)| format!("/{path}"));
        paths.map(|path| (path.clone(), self.read(&path).unwrap())).collect()
    }

    pub fn command(&self, action: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(["setup", action, "--root"]).arg(&self.root);
        command
    }

    pub fn install(&self, options: &[&str]) -> Command {
        let mut command = self.command("install");
        command.arg("--binary").arg(self.beside.join("program"));
        command.arg("--config").arg(self.beside.join("config.yaml"));
        if !options.contains(&"--kubelet-version") {
            command.args(["--kubelet-version", "1.30"]);
        }
        command.args(options);
        command
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.beside);
        }
    }
}

fn said(output: &Output) -> String {
    format!(
        "exit {:?}\n{}{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[track_caller]
fn succeeds(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn fails(mut command: Command, text: &str) -> String {
    let output = command.output().unwrap();
    let said = said(&output);
    assert!(!output.status.success(), "no failure: {said}");
    assert!(said.contains(text), "not said: {text}\n{said}");
    said
}

/// A row of `tests/setup/nodes.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeCase {
    it: String,
    #[serde(default)]
    options: Vec<String>,
    config: Option<String>,
    before: BTreeMap<String, Option<String>>,
    #[serde(default)]
    after: BTreeMap<String, Option<String>>,
    says: Option<String>,
    refused: Option<String>,
}

fn filled(text: &str) -> String {
    let text = text.replace("BIN_DIR", BIN_DIR);
    // Not in words that only have it in them.
    text.replace("CONFIG BIN", &format!("{CONFIG} BIN"))
        .replace("CONFIG\\", &format!("{CONFIG}\\"))
        .replace("CONFIG\"", &format!("{CONFIG}\""))
        .replace("OURS\n", &format!("{ENTRY}\n"))
        .replace("CONFIG --image", &format!("{CONFIG} --image"))
        .replace("CONFIG afterwards", &format!("{CONFIG} afterwards"))
}

#[test]
fn nodes() {
    let table = fs::read_to_string(format!("{TESTS}/setup/nodes.yaml")).unwrap();
    let cases: Vec<NodeCase> = serde_saphyr::from_str(&table).unwrap();
    for case in cases {
        let tree = Tree::new(&case.before);
        if let Some(config) = &case.config {
            tree.beside("config.yaml", config, 0o600);
        }
        let before = tree.snapshot();
        let options: Vec<&str> = case.options.iter().map(String::as_str).collect();
        if let Some(refused) = &case.refused {
            fails(tree.install(&options), &filled(refused));
            assert_eq!(tree.snapshot(), before, "{}", case.it);
            continue;
        }
        let said = succeeds(tree.install(&options));
        if let Some(says) = &case.says {
            assert!(said.contains(says), "{}: {said}", case.it);
        }
        for (path, text) in &case.after {
            let wanted = text.as_deref().map(filled);
            assert_eq!(tree.read(path), wanted, "{}: {path}", case.it);
        }
        let after = tree.snapshot();
        let again = succeeds(tree.install(&options));
        assert!(again.contains("all is in place; nothing to do"), "{}: {again}", case.it);
        assert_eq!(tree.snapshot(), after, "{}: again", case.it);
        succeeds(tree.command("uninstall"));
        assert_eq!(tree.snapshot(), before, "{}: uninstalled", case.it);
        fails(tree.command("uninstall"), "nothing is recorded");
    }
}

/// A row of `tests/setup/providers.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderCase {
    it: String,
    before: String,
    after: Option<String>,
    refused: Option<String>,
}

const ENTRY: &str = "  - name: aliyun-acr-credential-provider\n    apiVersion: credentialprovider.kubelet.k8s.io/v1\n    matchImages:\n      - \"*.*.cr.aliyuncs.com\"\n      - \"*.distributed.*.cr.aliyuncs.com\"\n      - \"registry*.*.aliyuncs.com\"\n      - \"registry.acme.example:5000\"\n    defaultCacheDuration: 0s";
const JSON: &str = "{\"name\": \"aliyun-acr-credential-provider\", \"apiVersion\": \"credentialprovider.kubelet.k8s.io/v1\", \"matchImages\": [\"*.*.cr.aliyuncs.com\", \"*.distributed.*.cr.aliyuncs.com\", \"registry*.*.aliyuncs.com\", \"registry.acme.example:5000\"], \"defaultCacheDuration\": \"0s\"}";

#[test]
fn providers() {
    let table = fs::read_to_string(format!("{TESTS}/setup/providers.yaml")).unwrap();
    let cases: Vec<ProviderCase> = serde_saphyr::from_str(&table).unwrap();
    let unit = format!(
        "[Service]\nExecStart=/usr/bin/kubelet {CONFIG} --image-credential-provider-bin-dir=/srv/bin\n"
    );
    for case in cases {
        let tree = Tree::of(&[
            ("/etc/systemd/system/kubelet.service", &unit),
            ("/srv/bin/ecr", "#!/bin/sh\n"),
            ("/srv/bin/ecr-credential-provider", "#!/bin/sh\n"),
            ("/srv/bin/other-credential-provider", "#!/bin/sh\n"),
            ("/srv/bin/aliyun-acr-credential-provider", "#!/bin/sh\n# old\n"),
            (PROVIDERS, &case.before),
        ]);
        tree.write("/srv/acr.yaml", CONFIGURATION);
        let before = tree.snapshot();
        if let Some(refused) = &case.refused {
            fails(tree.install(&[]), refused);
            assert_eq!(tree.snapshot(), before, "{}", case.it);
            continue;
        }
        succeeds(tree.install(&[]));
        let after = case.after.unwrap().replace("OURS", ENTRY).replace("JSON", JSON);
        assert_eq!(tree.read(PROVIDERS), Some(after), "{}", case.it);
        assert!(succeeds(tree.install(&[])).contains("nothing to do"), "{}", case.it);
        succeeds(tree.command("uninstall"));
        assert_eq!(tree.snapshot(), before, "{}: uninstalled", case.it);
    }
}

/// A row of `tests/setup/since.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SinceCase {
    it: String,
    before: Option<BTreeMap<String, String>>,
    since: BTreeMap<String, Option<String>>,
    #[serde(default)]
    after: BTreeMap<String, Option<String>>,
    refused: Option<String>,
    says: Option<String>,
}

#[test]
fn what_others_have_changed_since() {
    let table = fs::read_to_string(format!("{TESTS}/setup/since.yaml")).unwrap();
    let cases: Vec<SinceCase> = serde_saphyr::from_str(&table).unwrap();
    let arguments = ("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=\"--a --b\"\n");
    let kubeadm = [("/usr/lib/systemd/system/kubelet.service", KUBEADM), arguments];
    let kubeadm = kubeadm.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
    for case in cases {
        let before = case.before.as_ref().unwrap_or(&kubeadm);
        let file = |(path, text): (&String, &String)| (path.clone(), Some(filled(text)));
        let tree = Tree::new(&before.iter().map(file).collect());
        let before = tree.files();
        succeeds(tree.install(&[]));
        for (path, text) in &case.since {
            let _ = fs::remove_file(tree.path(path));
            if let Some(text) = text {
                tree.write(path, &filled(text));
            }
        }
        if let Some(refused) = &case.refused {
            let since = tree.snapshot();
            fails(tree.command("uninstall"), refused);
            assert_eq!(tree.snapshot(), since, "{}", case.it);
            continue;
        }
        let said = succeeds(tree.command("uninstall"));
        if let Some(says) = &case.says {
            assert!(said.contains(says), "{}: {said}", case.it);
        }
        let mut wanted = before;
        for (path, text) in &case.after {
            wanted.remove(path);
            wanted.extend(text.as_ref().map(|text| (path.clone(), filled(text))));
        }
        assert_eq!(tree.files(), wanted, "{}", case.it);
    }
}

/// The hosts of the configuration, however it has them.
#[test]
fn hosts_of_the_configuration_in_each_form() {
    for text in [
        "acr-registry-info:\n  - instanceId: cri-acmeacmeacme0001\n    regionId: cn-hangzhou\n    domains: >-\n      hub.example.com,\n      img.example.com\n",
        "data:\n  acr-registry-info: \"- instanceId: cri-acmeacmeacme0001\\n  regionId: cn-hangzhou\\n  domains: hub.example.com,img.example.com\\n\"\n",
        "{\"data\": {\"acr-registry-info\": \"- instanceId: cri-acmeacmeacme0001\\n  regionId: cn-hangzhou\\n  domains: 'hub.example.com,img.example.com'\\n\"}}",
    ] {
        let tree = Tree::of(&[("/usr/lib/systemd/system/kubelet.service", KUBEADM)]);
        tree.beside("config.yaml", text, 0o600);
        succeeds(tree.install(&[]));
        let file = tree.read(PROVIDERS).unwrap();
        for host in ["hub.example.com", "img.example.com"] {
            assert!(file.contains(&format!("      - \"{host}\"\n")), "{text}\n{file}");
        }
    }
}

/// A dry run changes nothing, and fails for whatever the run would fail for.
#[test]
fn dry_run() {
    let tree = Tree::of(&[("/usr/lib/systemd/system/kubelet.service", KUBEADM)]);
    let secret = format!(
        "{CONFIGURATION}    customAccessKey: LTAI5tabcdefghijkl\n    customAccessKeySecret: sEcReTsEcReTsEcReTsEcReTsEcReT\n"
    );
    tree.beside("config.yaml", &secret, 0o600);
    let before = tree.snapshot();
    let shown = succeeds(tree.install(&["--dry-run"]));
    for text in
        ["+++ /etc/default/kubelet", "+KUBELET_EXTRA_ARGS=", "the kubelet would be restarted"]
    {
        assert!(shown.contains(text), "{shown}");
    }
    assert!(!shown.contains("sEcReT"), "{shown}");
    let json = succeeds(tree.install(&["--dry-run", "--json"]));
    assert!(!json.contains("sEcReT"), "{json}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["restart"], true);
    fails(tree.install(&["--dry-run", "--sha256", &"0".repeat(64)]), "it is not installed");
    tree.beside("config.yaml", "broken: true\nacr-registry-info: [{domain: x}]\n", 0o600);
    fails(tree.install(&["--dry-run"]), "domain");
    assert_eq!(tree.snapshot(), before);
}

/// Without `--binary` the program puts itself in place, and it works there.
#[test]
fn itself() {
    let tree = Tree::of(&[("/usr/lib/systemd/system/kubelet.service", KUBEADM)]);
    let mut command = tree.command("install");
    command.args(["--kubelet-version", "1.30", "--config"]).arg(tree.beside.join("config.yaml"));
    succeeds(command);
    let program = tree.path(&format!("/opt/{NAME}/bin/{NAME}"));
    let output = Command::new(program).arg("--version").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).starts_with(NAME));
    assert!(succeeds(tree.command("status")).ends_with("installed\n"));
}

/// What others have done since stays.
#[test]
fn changes_of_others_stay() {
    let unit = ("/usr/lib/systemd/system/kubelet.service", KUBEADM);
    // An argument, and a second installation that must not forget it.
    let tree = Tree::of(&[unit, ("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=\"--v=2\"\n")]);
    succeeds(tree.install(&[]));
    let text = tree.read("/etc/default/kubelet").unwrap().replace("--v=2", "--v=2 --max-pods=9");
    tree.write("/etc/default/kubelet", &text);
    succeeds(tree.install(&["--bin-dir", "/opt/elsewhere"]));
    succeeds(tree.command("uninstall"));
    let kept = "KUBELET_EXTRA_ARGS=\"--v=2 --max-pods=9\"\n";
    assert_eq!(tree.read("/etc/default/kubelet").as_deref(), Some(kept));
    // A provider: the arguments stay for it.
    let tree = Tree::of(&[unit]);
    succeeds(tree.install(&[]));
    let other = "  - name: ecr\n    matchImages: [x.example]\n    defaultCacheDuration: 1h\n    apiVersion: credentialprovider.kubelet.k8s.io/v1\n";
    tree.write(PROVIDERS, &(tree.read(PROVIDERS).unwrap() + other));
    tree.write(&format!("/opt/{NAME}/bin/ecr"), "#!/bin/sh\n");
    let said = succeeds(tree.command("uninstall"));
    assert!(said.contains("other providers since"), "{said}");
    let kept = format!(
        "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n{other}"
    );
    assert_eq!(tree.read(PROVIDERS), Some(kept));
    assert!(tree.read("/etc/default/kubelet").unwrap().contains(BIN_DIR));
    // A configuration.
    let tree = Tree::of(&[unit]);
    succeeds(tree.install(&[]));
    let own = format!("/etc/{NAME}/config.yaml");
    tree.write(&own, "# edited\n");
    let said = succeeds(tree.command("uninstall"));
    assert!(said.contains("config.yaml.edited"), "{said}");
    assert_eq!(tree.read(&own), None);
    assert_eq!(tree.read(&format!("{own}.edited")).as_deref(), Some("# edited\n"));
}

/// Where a kubelet would miss what goes, nothing goes.
#[test]
fn a_kubelet_that_needs_us_keeps_us() {
    let unit = ("/usr/lib/systemd/system/kubelet.service", KUBEADM);
    let tree = Tree::of(&[unit]);
    succeeds(tree.install(&[]));
    let drop_in = "/etc/systemd/system/kubelet.service.d/20.conf";
    let line = format!(
        "[Service]\nExecStart=\nExecStart=/usr/bin/kubelet {CONFIG} {BIN_DIR} $KUBELET_EXTRA_ARGS\n"
    );
    tree.write(drop_in, &line);
    let before = tree.snapshot();
    fails(tree.command("uninstall"), "the kubelet would not start without");
    assert_eq!(tree.snapshot(), before);
    fs::remove_file(tree.path(drop_in)).unwrap();
    succeeds(tree.command("uninstall"));
}

/// Patterns that are not wanted any more go, those of others stay.
#[test]
fn a_changed_configuration_changes_the_patterns() {
    let tree = Tree::of(&[("/usr/lib/systemd/system/kubelet.service", KUBEADM)]);
    succeeds(tree.install(&["--match-images", "a.example,b.example"]));
    succeeds(tree.install(&["--match-images", "b.example,c.example"]));
    let file = tree.read(PROVIDERS).unwrap();
    assert!(!file.contains("a.example") && file.contains("c.example"), "{file}");
    for wrong in [
        "bad pattern",
        "https://r.example",
        "r.example:*",
        "r.example/*",
        "[a.example",
        "a.example,",
    ] {
        fails(tree.install(&["--match-images", wrong]), "not a pattern");
    }
}

/// Only one run at a time.
#[test]
fn one_at_a_time() {
    let tree = Tree::of(&[("/usr/lib/systemd/system/kubelet.service", KUBEADM)]);
    let folder = fs::File::open(tree.path("/var/lib")).unwrap();
    folder.lock().unwrap();
    for action in ["install", "uninstall"] {
        fails(tree.command(action), "another run is at work");
    }
    folder.unlock().unwrap();
    succeeds(tree.install(&[]));
}
