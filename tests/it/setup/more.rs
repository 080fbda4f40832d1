//! Several runs on one node, versions, modes and roots.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::process::{Command, Output, Stdio};

use super::{
    BIN_DIR, CONFIG, CONFIGURATION, KUBEADM, NAME, PROVIDERS, Tree, fails, filled, said, succeeds,
};
use crate::PROGRAM;

const UNIT: (&str, &str) = ("/usr/lib/systemd/system/kubelet.service", KUBEADM);
const ARGUMENTS: &str = "/etc/default/kubelet";
const ACK: (&str, &str) = (
    "/etc/systemd/system/kubelet.service",
    "[Service]\nEnvironmentFile=-/etc/kubernetes/kubelet-customized-args.conf\nExecStart=/usr/bin/kubelet $KUBELET_CUSTOMIZED_ARGS\n",
);

fn program() -> String {
    format!("/opt/{NAME}/bin/{NAME}")
}

fn own_config() -> String {
    format!("/etc/{NAME}/config.yaml")
}

/// Each run is done whole, or says that another one is at work.
#[test]
fn runs_that_begin_at_once() {
    let tree = Tree::of(&[UNIT, (ARGUMENTS, "KUBELET_EXTRA_ARGS=--v=2\n")]);
    let before = tree.snapshot();
    let at_once = |commands: Vec<Command>| {
        let run = |mut command: Command| {
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let runs: Vec<_> = commands.into_iter().map(run).collect();
        let outputs = runs.into_iter().map(|run| run.wait_with_output().unwrap());
        let failed = |output: &Output| !output.status.success();
        let (failed, done): (Vec<_>, Vec<_>) = outputs.partition(failed);
        for output in &failed {
            let said = said(output);
            let is_known = ["another run is at work", "nothing is recorded"];
            assert!(is_known.iter().any(|known| said.contains(known)), "{said}");
        }
        assert!(!done.is_empty());
    };
    at_once((0..8).map(|_| tree.install(&[])).collect());
    assert!(succeeds(tree.command("status")).ends_with("\ninstalled\n"));
    at_once((0..8).map(|_| tree.command("uninstall")).collect());
    assert_eq!(tree.snapshot(), before);
    let both = (0..4).flat_map(|_| [tree.install(&[]), tree.command("uninstall")]);
    at_once(both.collect());
    let _ = tree.command("uninstall").output().unwrap();
    assert_eq!(tree.snapshot(), before);
}

#[test]
fn each_version_of_the_kubelet_gets_its_own_form() {
    for (version, api, has_gate) in [
        ("v1.20.4-aliyun.1", "v1alpha1", true),
        ("v1.23.17", "v1alpha1", true),
        ("v1.24.0", "v1beta1", false),
        ("v1.25.16", "v1beta1", false),
        ("v1.26.0", "v1", false),
        ("v1.31.1-aliyun.1", "v1", false),
        ("v1.36.0-rc.1+build.7", "v1", false),
    ] {
        let tree = Tree::of(&[UNIT]);
        succeeds(tree.install(&["--kubelet-version", version]));
        let file = tree.read(PROVIDERS).unwrap();
        assert!(file.contains(&format!("apiVersion: kubelet.config.k8s.io/{api}\n")), "{file}");
        let own = format!("    apiVersion: credentialprovider.kubelet.k8s.io/{api}\n");
        assert!(file.contains(&own), "{file}");
        let gate = "--feature-gates=KubeletCredentialProviders=true";
        assert_eq!(tree.read(ARGUMENTS).unwrap().contains(gate), has_gate, "{version}");
    }
}

/// A kubelet that does not know the gate does not start with it.
#[test]
fn the_feature_gate_goes_with_the_upgrade_that_ends_it() {
    let plain =
        ("/etc/systemd/system/kubelet.service", "[Service]\nExecStart=/usr/bin/kubelet --a\n");
    let drop_in = format!("/etc/systemd/system/kubelet.service.d/99-{NAME}.conf");
    for (unit, place) in [(UNIT, ARGUMENTS), (plain, &drop_in)] {
        let tree = Tree::of(&[unit]);
        let before = tree.snapshot();
        succeeds(tree.install(&["--kubelet-version", "1.23.1"]));
        assert!(tree.read(place).unwrap().contains("feature-gates"));
        for version in ["1.24.1", "1.26.1", "1.34.0"] {
            succeeds(tree.install(&["--kubelet-version", version]));
            let text = tree.read(place).unwrap();
            assert!(text.contains(CONFIG) && !text.contains("feature-gates"), "{text}");
        }
        succeeds(tree.command("uninstall"));
        assert_eq!(tree.snapshot(), before);
    }
}

#[test]
fn the_kubelet_of_a_tree_says_its_version() {
    let tree = Tree::of(&[UNIT]);
    let install = || {
        let mut command = tree.command("install");
        command.arg("--binary").arg(tree.beside.join("program"));
        command
    };
    fails(install(), "cannot ask the kubelet for its version");
    tree.write("/usr/bin/kubelet", "#!/bin/sh\necho Kubernetes v1.25.3\n");
    succeeds(install());
    assert!(tree.read(PROVIDERS).unwrap().contains("v1beta1"));
    tree.write("/usr/bin/kubelet", "#!/bin/sh\necho Kubernetes v1.19.9\n");
    fails(install(), "`Kubernetes v1.19.9` has no credential providers");
}

#[test]
fn without_a_configuration_none_is_made() {
    let tree = Tree::of(&[UNIT]);
    let before = tree.snapshot();
    let mut command = tree.command("install");
    command.arg("--binary").arg(tree.beside.join("program")).args(["--kubelet-version", "1.30"]);
    succeeds(command);
    assert_eq!(tree.read(&own_config()), None);
    assert!(tree.read(ARGUMENTS).unwrap().contains(CONFIG));
    succeeds(tree.command("uninstall"));
    assert_eq!(tree.snapshot(), before);
}

#[test]
fn a_configuration_that_is_there_already_is_used_and_kept() {
    let tree = Tree::of(&[UNIT, (&own_config(), CONFIGURATION)]);
    let before = tree.snapshot();
    let install = || {
        let mut command = tree.command("install");
        command.arg("--binary").arg(tree.beside.join("program"));
        command.args(["--kubelet-version", "1.30"]);
        command
    };
    succeeds(install());
    assert!(tree.read(PROVIDERS).unwrap().contains("registry.acme.example:5000"));
    tree.write(&own_config(), "broken: true\nacr-registry-info: [{domain: x}]\n");
    fails(install(), "domain");
    tree.write(&own_config(), CONFIGURATION);
    succeeds(tree.command("uninstall"));
    assert_eq!(tree.snapshot(), before);
}

#[test]
fn a_given_configuration_is_for_root_alone() {
    let tree = Tree::of(&[UNIT]);
    succeeds(tree.install(&[]));
    let place = tree.path(&own_config());
    fs::set_permissions(&place, PermissionsExt::from_mode(0o644)).unwrap();
    succeeds(tree.install(&[]));
    assert_eq!(fs::metadata(place).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn modes_and_owners_of_others_stay() {
    let tree = Tree::of(&[UNIT, (ARGUMENTS, "KUBELET_EXTRA_ARGS=--v=2\n")]);
    let place = tree.path(ARGUMENTS);
    fs::set_permissions(&place, PermissionsExt::from_mode(0o640)).unwrap();
    // Root alone can give a file away.
    let is_root = chown(&place, Some(12), Some(34)).is_ok();
    succeeds(tree.install(&[]));
    let metadata = fs::metadata(place).unwrap();
    assert_eq!(metadata.mode() & 0o777, 0o640);
    if is_root {
        assert_eq!((metadata.uid(), metadata.gid()), (12, 34));
    }
}

#[test]
fn an_upgrade_keeps_the_program_that_it_replaces_and_restarts_nothing() {
    let tree = Tree::of(&[UNIT]);
    let before = tree.snapshot();
    succeeds(tree.install(&[]));
    tree.beside("program", "#!/bin/sh\n# 2\n", 0o755);
    let shown = succeeds(tree.install(&["--dry-run"]));
    assert!(shown.contains("the kubelet would not be restarted"), "{shown}");
    succeeds(tree.install(&[]));
    assert_eq!(tree.read(&program()).as_deref(), Some("#!/bin/sh\n# 2\n"));
    let previous = format!("{}.prev", program());
    assert_eq!(tree.read(&previous).as_deref(), Some("#!/bin/sh\n"));
    // After several versions and configurations nothing of them is left.
    succeeds(tree.install(&["--match-images", "a.example", "--refresh-timer"]));
    tree.beside("program", "#!/bin/sh\n# 3\n", 0o755);
    tree.beside("config.yaml", &CONFIGURATION.replace("acme", "renamed"), 0o600);
    succeeds(tree.install(&[]));
    succeeds(tree.command("uninstall"));
    assert_eq!(tree.snapshot(), before);
}

#[test]
fn a_program_that_comes_back_can_be_written_by_its_owner_alone() {
    let tree = Tree::of(&[UNIT, (&program(), "#!/bin/sh\n# old\n")]);
    let place = tree.path(&program());
    fs::set_permissions(&place, PermissionsExt::from_mode(0o777)).unwrap();
    succeeds(tree.install(&[]));
    succeeds(tree.command("uninstall"));
    assert_eq!(fs::metadata(place).unwrap().mode() & 0o777, 0o755);
}

#[test]
fn what_others_have_thrown_out_comes_back_with_the_next_run() {
    let tree = Tree::of(&[UNIT, (ARGUMENTS, "KUBELET_EXTRA_ARGS=--v=2\n")]);
    let before = tree.snapshot();
    succeeds(tree.install(&[]));
    let installed = tree.read(ARGUMENTS);
    tree.write(ARGUMENTS, "KUBELET_EXTRA_ARGS=--v=2\n");
    succeeds(tree.install(&[]));
    assert_eq!(tree.read(ARGUMENTS), installed);
    succeeds(tree.command("uninstall"));
    assert_eq!(tree.snapshot(), before);
}

#[test]
fn arguments_that_a_unit_gets_later_reach_the_kubelet_with_the_next_run() {
    let unit = "/etc/systemd/system/kubelet.service";
    let drop_in = format!("/etc/systemd/system/kubelet.service.d/99-{NAME}.conf");
    let tree = Tree::of(&[(unit, "[Service]\nExecStart=/usr/bin/kubelet --a\n")]);
    succeeds(tree.install(&["--bin-dir", "/opt/other"]));
    tree.write(unit, "[Service]\nExecStart=/usr/bin/kubelet --a --max-pods=110\n");
    succeeds(tree.install(&[]));
    let text = tree.read(&drop_in).unwrap();
    let wanted =
        format!("--a --max-pods=110 {CONFIG} --image-credential-provider-bin-dir=/opt/other\n");
    assert!(text.ends_with(&wanted), "{text}");
    assert!(succeeds(tree.install(&[])).contains("nothing to do"));
}

/// Another file sets the variable since: there they count now.
#[test]
fn arguments_move_to_where_they_count() {
    let drop_in = "/etc/systemd/system/kubelet.service.d/20.conf";
    let text = "[Service]\nEnvironment=\"KUBELET_EXTRA_ARGS=--v=2\"\n";
    let tree = Tree::of(&[UNIT, (drop_in, text)]);
    succeeds(tree.install(&[]));
    assert!(tree.read(drop_in).unwrap().contains(CONFIG));
    tree.write(ARGUMENTS, "KUBELET_EXTRA_ARGS=--node-ip=192.0.2.1\n");
    succeeds(tree.install(&[]));
    let wanted = format!("KUBELET_EXTRA_ARGS=\"--node-ip=192.0.2.1 {CONFIG} {BIN_DIR}\"\n");
    assert_eq!(tree.read(ARGUMENTS), Some(wanted));
    assert_eq!(tree.read(drop_in).as_deref(), Some(text));
}

#[test]
fn one_argument_that_is_set_gets_the_other() {
    let arguments = "/etc/kubernetes/kubelet-customized-args.conf";
    let one = "--image-credential-provider-bin-dir=/srv/bin";
    let tree = Tree::of(&[ACK, (arguments, &format!("KUBELET_CUSTOMIZED_ARGS=\"{one}\"\n"))]);
    succeeds(tree.install(&[]));
    let wanted = format!("KUBELET_CUSTOMIZED_ARGS=\"{one} {CONFIG}\"\n");
    assert_eq!(tree.read(arguments), Some(wanted));
}

#[test]
fn of_two_configurations_that_the_kubelet_had_both_are_undone() {
    let arguments = "/etc/kubernetes/kubelet-customized-args.conf";
    let others = "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n  - name: ecr\n    matchImages: [x.example]\n    defaultCacheDuration: 12h\n    apiVersion: credentialprovider.kubelet.k8s.io/v1\n";
    let tree = Tree::of(&[ACK, ("/srv/p.yaml", others), ("/srv/bin/ecr", "#!/bin/sh\n")]);
    succeeds(tree.install(&[]));
    let moved = "KUBELET_CUSTOMIZED_ARGS=\"--image-credential-provider-config=/srv/p.yaml --image-credential-provider-bin-dir=/srv/bin\"\n";
    tree.write(arguments, moved);
    succeeds(tree.install(&[]));
    assert!(tree.read("/srv/p.yaml").unwrap().contains(NAME));
    succeeds(tree.command("uninstall"));
    assert_eq!(tree.read("/srv/p.yaml").as_deref(), Some(others));
    assert_eq!(tree.read(PROVIDERS), None);
    assert_eq!(tree.read(arguments).as_deref(), Some(moved));
    assert!(!tree.files().keys().any(|path| path.ends_with(NAME)), "{:?}", tree.files());
}

#[test]
fn any_root_and_any_umask() {
    let snapshots: Vec<_> = ["root", "a root", "relative", "link"]
        .into_iter()
        .flat_map(|form| ["000", "022", "077"].map(|umask| (form, umask)))
        .map(|(form, umask)| {
            let tree = Tree::of(&[UNIT]);
            let root = tree.beside.join(form);
            match form {
                "root" => {}
                "link" => symlink(&tree.root, &root).unwrap(),
                _ => fs::rename(&tree.root, &root).unwrap(),
            }
            let root = if form == "relative" { form.into() } else { root };
            for said in ["installed", "nothing to do"] {
                let mut command = Command::new("sh");
                command.args([
                    "-c",
                    "umask \"$0\"; exec \"$@\"",
                    umask,
                    PROGRAM,
                    "setup",
                    "install",
                ]);
                command.arg("--root").arg(&root).arg("--binary").arg(tree.beside.join("program"));
                command.arg("--config").arg(tree.beside.join("config.yaml"));
                command.args(["--kubelet-version", "1.30", "--refresh-timer"]);
                command.current_dir(&tree.beside);
                assert!(succeeds(command).contains(said), "{form} {umask}");
            }
            if !tree.root.exists() {
                fs::rename(tree.beside.join(form), &tree.root).unwrap();
            }
            tree.snapshot()
        })
        .collect();
    assert!(snapshots.iter().all(|snapshot| *snapshot == snapshots[0]));
}

/// Whatever form a configuration has, and beside what a changed line stands.
#[test]
fn a_dry_run_shows_no_secret() {
    let id = "LTAI5tabcdefghijkl";
    let secret = "sEcReTsEcReTsEcReTsEcReTsEcReT";
    let entry = "instanceId: cri-acmeacmeacme0001\\n  regionId: cn-hangzhou\\n  domains: a-registry.cn-hangzhou.cr.aliyuncs.com";
    for text in [
        format!(
            "acr-registry-info:\n- {}\n  customAccessKey: {id}\n  customAccessKeySecret: \"{secret}\"\n",
            entry.replace("\\n", "\n")
        ),
        format!(
            "acr-registry-info:\n- {}\n  customAccessKey: {id}\n  customAccessKeySecret: >-\n    {secret}\n",
            entry.replace("\\n", "\n")
        ),
        format!(
            "acr-registry-info:\n- {}\n  ? customAccessKey\n  : {id}\n  ? customAccessKeySecret\n  : {secret}\n",
            entry.replace("\\n", "\n")
        ),
        format!(
            "data:\n  acr-registry-info: \"- {entry}\\n  customAccessKey: {id}\\n  customAccessKeySecret: {secret}\\n\"\n"
        ),
        format!(
            "{{\"data\": {{\"acr-registry-info\": \"- {entry}\\n  customAccessKey: {id}\\n  customAccessKeySecret: {secret}\\n\"}}}}\n"
        ),
        format!(
            "acr-registry-info: [{{instanceId: cri-acmeacmeacme0001, regionId: cn-hangzhou, customAccessKey: {id}, customAccessKeySecret:\n  {secret}}}]\n"
        ),
    ] {
        let tree = Tree::of(&[
            UNIT,
            (
                ARGUMENTS,
                &format!(
                    "HTTPS_PROXY=http://user:{secret}@proxy:3128\nALIBABA_CLOUD_ACCESS_KEY_SECRET={secret}\nKUBELET_EXTRA_ARGS=--authentication-token-webhook=true\n"
                ),
            ),
            (
                PROVIDERS,
                &format!(
                    "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n  - name: ecr\n    matchImages: [x.example]\n    defaultCacheDuration: 12h\n    apiVersion: credentialprovider.kubelet.k8s.io/v1\n    env:\n      - name: OTHER_TOKEN\n        value: {secret}\n"
                ),
            ),
            (&format!("/opt/{NAME}/bin/ecr"), "#!/bin/sh\n"),
        ]);
        tree.beside("config.yaml", &text, 0o600);
        for options in [&["--dry-run"][..], &["--dry-run", "--json"]] {
            let shown = succeeds(tree.install(options));
            assert!(shown.contains("--authentication-token-webhook=true"), "{shown}");
            assert!(!shown.contains("sEcReT") && !shown.contains("LTAI"), "{text}\n{shown}");
        }
        // Nor of a file that is refused.
        tree.write(
            PROVIDERS,
            &format!("kind: X\nproviders: [{{name: x, env: [{{value: {secret}}}]}}]\n"),
        );
        let said = fails(tree.install(&["--dry-run"]), "cannot merge");
        assert!(!said.contains("sEcReT"), "{said}");
    }
}

#[test]
fn the_timer_may_write_to_the_cache_and_nothing_else() {
    let service = format!("/etc/systemd/system/{NAME}-refresh.service");
    for (text, wanted) in [
        (
            "credential-provider:\n  # cacheDir: /elsewhere\n  cacheDir: \"/var/cache/acr\" # ours\n",
            "-/var/cache/acr",
        ),
        ("credential-provider: {cacheDir: '/var/cache/acr', margin: 30s}\n", "-/var/cache/acr"),
        ("data:\n  credential-provider: |\n    cacheDir: /var/cache/acr\n", "-/var/cache/acr"),
        (
            "data:\n  credential-provider: \"margin: 30s\\ncacheDir: /var/cache/acr\\n\"\n",
            "-/var/cache/acr",
        ),
        ("{\"credential-provider\":{\"cacheDir\":\"/var/cache/acr\"}}\n", "-/var/cache/acr"),
        // systemd takes what stands behind a % for something else.
        ("credential-provider: {cacheDir: /var/cache/acr%n}\n", "-/var/cache/acr%%n"),
        ("credential-provider:\n  cacheDir: off\n", ""),
        ("credential-provider: {}\n", ""),
    ] {
        let tree = Tree::of(&[UNIT]);
        tree.beside("config.yaml", text, 0o600);
        succeeds(tree.install(&["--refresh-timer"]));
        let unit = tree.read(&service).unwrap();
        assert!(unit.contains(&format!("\nReadWritePaths={wanted}\n")), "{text}{unit}");
    }
}

#[test]
fn systemd_takes_the_units_as_they_are() {
    let proxy = "/etc/systemd/system/kubelet.service.d/http-proxy.conf";
    let tree = Tree::of(&[UNIT, (proxy, "[Service]\nEnvironment=\"NO_PROXY=a b%%\\\"c\"\n")]);
    succeeds(tree.install(&["--refresh-timer"]));
    let place = |ending: &str| tree.path(&format!("/etc/systemd/system/{NAME}-refresh.{ending}"));
    // It wants the program to be there.
    let root = format!("ExecStart={}/opt", tree.root.display());
    let text = fs::read_to_string(place("service")).unwrap().replace("ExecStart=/opt", &root);
    let verify = |text: &str| {
        fs::write(place("service"), text).unwrap();
        let mut command = Command::new("systemd-analyze");
        command.arg("verify").args([place("service"), place("timer")]);
        let output = command.output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let said = verify(&text);
    assert!(!said.contains(NAME), "{said}");
    let said = verify(&format!("{text}ProtectSystem=strictly\n"));
    assert!(said.contains(NAME), "a mistake is not noticed: {said}");
}

/// A file that was rendered for tokens of pods needs no more.
#[test]
fn what_was_rendered_for_pods_stays() {
    let tree = Tree::of(&[UNIT]);
    let config = "rrsa: {enable: true}\nacr-registry-info:\n  - instanceId: cri-acmeacmeacme0001\n    regionId: cn-hangzhou\n    domains: acme-registry.cn-hangzhou.cr.aliyuncs.com\n    rrsaRoleARN: acs:ram::1234567890123456:role/puller\n    rrsaOIDCProviderRoleARN: acs:ram::1234567890123456:oidc-provider/ack-rrsa-c1\n    podIdentity: required\n";
    let path = tree.beside("config.yaml", config, 0o600);
    let mut render = Command::new(PROGRAM);
    render.arg("--config").arg(path).args(["render", "kubelet-config", "--service-accounts"]);
    render.args(["--kubelet-version", "1.34"]);
    let rendered = succeeds(render);
    tree.write(PROVIDERS, &rendered);
    tree.write(ARGUMENTS, &filled("KUBELET_EXTRA_ARGS=\"CONFIG BIN_DIR\"\n"));
    let before = tree.snapshot();
    let said = succeeds(tree.install(&["--kubelet-version", "1.34"]));
    assert!(!said.contains("warning"), "{said}");
    assert_eq!(tree.read(PROVIDERS), Some(rendered));
    assert!(succeeds(tree.install(&["--kubelet-version", "1.34"])).contains("nothing to do"));
    // The kubelet's own file names the program, so it stays where somebody else wrote that file.
    fails(tree.command("uninstall"), "the kubelet would not start without");
    fs::remove_file(tree.path(ARGUMENTS)).unwrap();
    succeeds(tree.command("uninstall"));
    tree.write(ARGUMENTS, &filled("KUBELET_EXTRA_ARGS=\"CONFIG BIN_DIR\"\n"));
    assert_eq!(tree.snapshot(), before);
}

#[test]
fn the_status_names_what_has_become_of_it() {
    let tree = Tree::of(&[UNIT]);
    fails(tree.command("status"), "not installed");
    succeeds(tree.install(&[]));
    tree.beside("program", "#!/bin/sh\n# 2\n", 0o755);
    succeeds(tree.install(&[]));
    assert!(succeeds(tree.command("status")).ends_with("\ninstalled\n"));
    // The running kubelet has none of the arguments.
    tree.write("/proc/100/comm", "kubelet\n");
    tree.write("/proc/100/cmdline", "/usr/bin/kubelet\0--v=2\0");
    fails(tree.command("status"), &format!("the running kubelet does not have {CONFIG}"));
    fs::remove_dir_all(tree.path("/proc/100")).unwrap();
    tree.write(&program(), "#!/bin/sh\n# 3\n");
    fails(tree.command("status"), &format!("{}: changed since", program()));
    fs::remove_file(tree.path(&program())).unwrap();
    fails(tree.command("status"), &format!("{}: changed since", program()));
    let record = tree.path(&format!("/var/lib/{NAME}/undo.json"));
    let text = fs::read_to_string(&record).unwrap();
    let unfinished =
        "\"unfinished\": {\"files\": [], \"folders\": [], \"restarted\": false},\n  \"version\"";
    fs::write(record, text.replacen("\"version\"", unfinished, 1)).unwrap();
    fails(tree.command("status"), "a run was killed; run it again");
}
