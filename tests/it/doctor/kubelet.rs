//! How the kubelet is set up. It is played by a program of that name in a process namespace of its
//! own, which can also say its version.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use serde_json::Value as Json;
use simulation::kubelet::Exec;

use super::{WELL, check, lines};
use crate::node::{ACME, Node};
use crate::{PROGRAM, copied};

const NAME: &str = "aliyun-acr-credential-provider";

/// Says the version that the file beside it has, unless it has an environment; or waits.
const SOURCE: &str = r#"fn main() {
    let beside = std::env::current_exe().unwrap().with_file_name("version");
    if std::env::args().nth(1).as_deref() == Some("--version") {
        assert_eq!(std::env::vars_os().count(), 0);
        println!("Kubernetes v{}", std::fs::read_to_string(beside).unwrap());
    } else {
        std::thread::sleep(std::time::Duration::from_secs(60));
    }
}"#;

pub fn kubelet() -> &'static PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("kubelet");
        fs::create_dir_all(&folder).unwrap();
        let (source, binary) = (folder.join("kubelet.rs"), folder.join("kubelet"));
        fs::write(&source, SOURCE).unwrap();
        let built = Command::new("rustc").arg("-o").arg(&binary).arg(&source).status().unwrap();
        assert!(built.success());
        binary
    })
}

struct Machine {
    node: Node,
    bin: PathBuf,
    config: PathBuf,
    /// A variable of the kubelet's own, as a shell sets it.
    variable: String,
}

impl Machine {
    /// A node whose kubelet has this version, and a binary where it should be.
    fn new(version: &str) -> Self {
        let node = Node::new(WELL);
        let bin = node.folder.join("bin");
        fs::create_dir(&bin).unwrap();
        copied(PROGRAM, bin.join(NAME));
        copied(kubelet(), node.folder.join("kubelet"));
        fs::write(node.folder.join("version"), version).unwrap();
        let config = node.folder.join("provider.yaml");
        Self { node, bin, config, variable: String::new() }
    }

    /// Writes a provider as it should be, but for what is replaced.
    fn write(&self, replace: &[(&str, &str)]) {
        let text = format!(
            "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n  - name: {NAME}\n    apiVersion: credentialprovider.kubelet.k8s.io/v1\n    matchImages: [\"*.*.cr.aliyuncs.com\"]\n    defaultCacheDuration: 0s\n"
        );
        let replaced = replace.iter().fold(text, |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        });
        // Where nothing else is said, it reads what doctor reads.
        let says = replaced.contains("args:") || replaced.contains("env:");
        let config = self.node.config();
        let args = format!("    args: [--config, \"{}\"]\n", config.display());
        fs::write(&self.config, replaced + if says { "" } else { &args }).unwrap();
    }

    fn look_with(&self, flags: &str, image: &str) -> Json {
        check(&self.document(flags, image), "kubelet").clone()
    }

    fn document(&self, flags: &str, image: &str) -> Json {
        let script = format!(
            "{} '{}' {flags} & until grep -qx kubelet /proc/$!/comm; do sleep 0.05; done; '{PROGRAM}' --config '{}' doctor --json --image '{image}'; kill $!",
            self.variable,
            self.node.folder.join("kubelet").display(),
            self.node.config().display()
        );
        let mut exec = Exec::new("/usr/bin/unshare");
        exec.args = ["--pid", "--fork", "--mount-proc", "/bin/sh", "-c", &script]
            .map(str::to_owned)
            .to_vec();
        exec.config_env = vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())];
        let outcome = exec.run(&[]).unwrap();
        serde_json::from_slice(&outcome.stdout)
            .unwrap_or_else(|_| panic!("{}", outcome.stderr_text()))
    }

    fn look(&self) -> Json {
        self.look_at(ACME)
    }

    fn look_at(&self, host: &str) -> Json {
        let flags = format!(
            "--v=2 --image-credential-provider-config={} --image-credential-provider-bin-dir {}",
            self.config.display(),
            self.bin.display()
        );
        self.look_with(&flags, &format!("{host}/team/app:v1"))
    }

    /// What it says, which is a warning.
    fn says(&self, words: &str) {
        let check = self.look();
        assert_ne!(check["status"], "ok", "{words}: {check:#}");
        assert!(lines(&check, "details").contains(words), "{words}: {check:#}");
        assert!(!lines(&check, "remedies").is_empty(), "{words}: {check:#}");
    }

    fn look_with_more(&self, flags: &str) -> Json {
        let flags = format!(
            "{flags} --image-credential-provider-config={} --image-credential-provider-bin-dir={}",
            self.config.display(),
            self.bin.display()
        );
        self.look_with(&flags, &format!("{ACME}/team/app:v1"))
    }

    fn is_well(&self) {
        let check = self.look();
        assert_eq!(check["status"], "ok", "{check:#}");
    }
}

#[test]
fn the_running_kubelet_is_looked_at() {
    let machine = Machine::new("1.30.1-aliyun.1");
    machine.write(&[]);
    let check = machine.look_with("--v=2", ACME);
    assert!(
        lines(&check, "details")
            .contains("runs without --image-credential-provider-config and --image"),
        "{check:#}"
    );
    let check = machine.look();
    assert_eq!(check["status"], "ok", "{check:#}");
    let details = lines(&check, "details");
    assert!(details.contains("Kubernetes 1.30"), "{details}");
    assert!(details.contains(&format!("matchImages of {NAME} has {ACME}/team/app")), "{details}");
    machine.write(&[("*.*.cr", "*.cr")]);
    machine.says("matchImages has no pattern");
    machine.write(&[("*.*.cr", "https://*.*.cr")]);
    machine.says("provider.yaml:6: `https://*.*.cr.aliyuncs.com` in matchImages never matches");
    machine.write(&[("*.*.cr.aliyuncs.com", "*.*.cr.aliyuncs.com/*")]);
    machine.says("never matches");
    machine.write(&[(&format!("name: {NAME}"), "name: other")]);
    machine.says("has no provider aliyun");
    machine.write(&[(&format!("name: {NAME}"), "name: alyun-acr-credential-provider")]);
    let remedies = lines(&machine.look(), "remedies");
    assert!(remedies.contains("rename the provider alyun-acr-credential-provider"), "{remedies}");
    fs::remove_file(&machine.config).unwrap();
    machine.says("No such file");
}

#[test]
fn a_port_is_matched_as_the_kubelet_matches_it() {
    let machine = Machine::new("1.30.1");
    machine.write(&[]);
    let check = machine.look_at(&format!("{ACME}:8443"));
    assert!(lines(&check, "remedies").contains(&format!("add `{ACME}:8443`")), "{check:#}");
    machine.write(&[("*.*.cr.aliyuncs.com", "*.*.cr.aliyuncs.com:8443")]);
    let check = machine.look_at(&format!("{ACME}:8443"));
    let has = format!("matchImages of {NAME} has {ACME}:8443/team/app");
    assert!(lines(&check, "details").contains(&has), "{check:#}");
}

#[test]
fn the_binary_is_looked_at() {
    let machine = Machine::new("1.30.1");
    machine.write(&[]);
    let binary = machine.bin.join(NAME);
    let mode = |mode| fs::set_permissions(&binary, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    machine.says("is not executable");
    mode(0o777);
    machine.says("can be changed by other users");
    fs::rename(&binary, machine.bin.join(format!("{NAME}-linux-amd64"))).unwrap();
    machine.says("does not exist");
    assert!(lines(&machine.look(), "remedies").contains("ln -s aliyun"));
    // Another name that leads to this program is this program.
    copied(PROGRAM, &binary);
    symlink(&binary, machine.bin.join("acr")).unwrap();
    machine.write(&[(&format!("name: {NAME}"), "name: acr")]);
    machine.is_well();
}

#[test]
fn what_the_kubelet_would_refuse_is_told() {
    let machine = Machine::new("1.30.1");
    machine.write(&[("    defaultCacheDuration: 0s\n", "")]);
    machine.says("defaultCacheDuration is missing");
    machine.write(&[("defaultCacheDuration: 0s", "defaultCacheDuration: 0s\n    timeout: 5s")]);
    machine.says("provider.yaml:8: unknown key `timeout`");
    machine
        .write(&[("credentialprovider.kubelet.k8s.io/v1", "credentialprovider.kubelet.k8s.io/v2")]);
    machine.says("provider.yaml:5: apiVersion is `credentialprovider.kubelet.k8s.io/v2`");
    machine.write(&[("kubelet.config.k8s.io/v1", "kubelet.config.k8s.io/v2")]);
    machine.says("provider.yaml:1: apiVersion is `kubelet.config.k8s.io/v2`");
    machine.write(&[(
        "providers:",
        "providers:\n  - name: aliyun-acr-credential-provider\n   bad: x",
    )]);
    machine.says("the file is not YAML");
    let old = Machine::new("1.25.16");
    old.write(&[]);
    old.says("apiVersion v1 came with Kubernetes 1.26; this kubelet is 1.25");
}

/// The one program that is ever run. It says its version only if nothing of the environment gets to it,
/// and it is not run where somebody else than root could have put it there.
#[test]
fn a_kubelet_is_asked_for_its_version_only_if_it_is_roots() {
    let machine = Machine::new("1.34.1");
    machine.write(&[]);
    let told = || lines(&machine.look(), "details").contains("Kubernetes 1.34");
    assert!(told());
    let binary = machine.node.folder.join("kubelet");
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o775)).unwrap();
    assert!(!told(), "its group can write it");
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o757)).unwrap();
    assert!(!told(), "everybody can write it");
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(told());
    std::os::unix::fs::chown(&binary, Some(65534), None).unwrap();
    assert!(!told(), "it is somebody else's");
}

/// What belongs into `tokenAttributes` is another thing in each of three ranges of versions.
#[test]
fn token_attributes_are_those_of_the_version() {
    let tokens = |cache_type: &str| {
        format!(
            "defaultCacheDuration: 0s\n    tokenAttributes:\n      serviceAccountTokenAudience: sts.aliyuncs.com\n{cache_type}      requireServiceAccount: true\n"
        )
    };
    let (with, without) = (tokens("      cacheType: ServiceAccount\n"), tokens(""));
    for (version, text, says) in [
        ("1.32.9", &without, Some("Kubernetes 1.32 does not know tokenAttributes")),
        ("1.33.5", &with, Some("Kubernetes 1.33 does not know cacheType")),
        ("1.33.5", &without, Some("is off, and tokenAttributes needs it")),
        ("1.34.1", &without, Some("cacheType is missing")),
        ("1.34.1", &with, None),
        ("1.36.3", &with, None),
    ] {
        let machine = Machine::new(version);
        machine.write(&[("defaultCacheDuration: 0s\n", text)]);
        match says {
            Some(says) => machine.says(says),
            None => machine.is_well(),
        }
    }
    let machine = Machine::new("1.34.1");
    let other = with.replace("sts.aliyuncs.com", "api");
    machine.write(&[("defaultCacheDuration: 0s\n", &other)]);
    machine.says("serviceAccountTokenAudience is `api`");
    let bare = with.replace("      requireServiceAccount: true\n", "");
    machine.write(&[("defaultCacheDuration: 0s\n", &bare)]);
    machine.says("requireServiceAccount is missing");
    machine.write(&[("defaultCacheDuration: 0s\n", &with.replace(": true\n", ": ~\n"))]);
    machine.says("requireServiceAccount is missing");
}

#[test]
fn a_folder_of_configurations_is_read_as_the_kubelet_reads_it() {
    let mut machine = Machine::new("1.34.1");
    machine.write(&[]);
    let folder = machine.node.folder.join("providers");
    fs::create_dir(&folder).unwrap();
    fs::copy(&machine.config, folder.join("acr.yaml")).unwrap();
    fs::write(folder.join("README"), "not read").unwrap();
    machine.config.clone_from(&folder);
    machine.is_well();
    fs::write(machine.node.folder.join("version"), "1.33.0").unwrap();
    machine.says("Kubernetes 1.33 does not read a folder");
    fs::write(machine.node.folder.join("version"), "1.34.1").unwrap();
    fs::copy(folder.join("acr.yaml"), folder.join("again.yml")).unwrap();
    machine.says("again.yml:4: two providers have the name");
    fs::write(folder.join("again.yml"), "kind: Other\n").unwrap();
    machine.says("again.yml:1: kind is `Other`");
}

#[test]
fn a_file_that_the_kubelet_has_not_read_yet_is_told() {
    let machine = Machine::new("1.30.1");
    machine.write(&[]);
    machine.is_well();
    let later = SystemTime::now() + Duration::from_secs(300);
    fs::File::options().write(true).open(&machine.config).unwrap().set_modified(later).unwrap();
    machine.says("is newer than the running kubelet");
}

/// The node's login would rescue a pod that was refused.
#[test]
fn both_modes_for_the_same_images_fail() {
    let machine = Machine::new("1.34.1");
    machine.write(&[]);
    let both = fs::read_to_string(&machine.config).unwrap()
        + "  - name: aliyun-acr-credential-provider-pods\n    apiVersion: credentialprovider.kubelet.k8s.io/v1\n    matchImages: [\"acme-*.cn-hangzhou.cr.aliyuncs.com\"]\n    defaultCacheDuration: 0s\n    tokenAttributes: {serviceAccountTokenAudience: sts.aliyuncs.com, cacheType: ServiceAccount, requireServiceAccount: true}\n";
    fs::write(&machine.config, both).unwrap();
    copied(PROGRAM, machine.bin.join("aliyun-acr-credential-provider-pods"));
    let check = machine.look();
    assert_eq!(check["status"], "failed", "{check:#}");
    assert!(lines(&check, "details").contains("match the same images"), "{check:#}");
}

/// The kubelet wants two names for the two modes, and a copy may have any.
#[test]
fn a_copy_under_another_name_is_this_program_too() {
    const TOKENS: &str = "    tokenAttributes: {serviceAccountTokenAudience: sts.aliyuncs.com, cacheType: ServiceAccount, requireServiceAccount: true}\n";
    let machine = Machine::new("1.34.1");
    copied(PROGRAM, machine.bin.join("acr"));
    machine.write(&[]);
    let first = fs::read_to_string(&machine.config).unwrap();
    let second = "  - name: acr\n    apiVersion: credentialprovider.kubelet.k8s.io/v1\n    matchImages: [\"acme-*.cn-hangzhou.cr.aliyuncs.com\"]\n    defaultCacheDuration: 0s\n";
    for both in [format!("{first}{second}{TOKENS}"), format!("{first}{TOKENS}{second}")] {
        fs::write(&machine.config, both).unwrap();
        let check = machine.look();
        assert_eq!(check["status"], "failed", "{check:#}");
        assert!(lines(&check, "details").contains("match the same images"), "{check:#}");
    }
    // Who asks for tokens of this audience is no stranger, whatever the binary is.
    fs::write(machine.bin.join("acr"), "another version").unwrap();
    fs::set_permissions(machine.bin.join("acr"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(&machine.config, format!("{first}{second}{TOKENS}")).unwrap();
    assert_eq!(machine.look()["status"], "failed");
    fs::write(&machine.config, format!("{first}{second}")).unwrap();
    machine.is_well();
}

/// A gate may be switched on by a flag, also by one of several, or in the kubelet's own file.
#[test]
fn a_feature_gate_is_missed_only_where_it_is_off() {
    let tokens = "defaultCacheDuration: 0s\n    tokenAttributes:\n      serviceAccountTokenAudience: sts.aliyuncs.com\n      requireServiceAccount: true\n";
    let old = ("kubelet.k8s.io/v1", "kubelet.k8s.io/v1alpha1");
    let old_file = ("kubelet.config.k8s.io/v1\n", "kubelet.config.k8s.io/v1alpha1\n");
    for (version, replace, gate) in [
        (
            "1.33.5",
            vec![("defaultCacheDuration: 0s\n", tokens)],
            "KubeletServiceAccountTokenForCredentialProviders",
        ),
        ("1.22.3", vec![old, old_file], "KubeletCredentialProviders"),
    ] {
        let machine = Machine::new(version);
        machine.write(&replace);
        let file = machine.node.folder.join("kubelet.yaml");
        fs::write(&file, format!("featureGates:\n  {gate}: true\n")).unwrap();
        for (flags, is_on) in [
            ("--v=2".to_owned(), false),
            (format!("--feature-gates={gate}=false"), false),
            (format!("--feature-gates=A=true,{gate}=true,B=false"), true),
            (format!("--feature-gates {gate}=true --feature-gates A=true"), true),
            (format!("--config={}", file.display()), true),
            (format!("--config={} --feature-gates={gate}=false", file.display()), false),
        ] {
            let check = machine.look_with_more(&flags);
            let told = lines(&check, "details").contains("is off, and");
            assert_eq!(told, !is_on, "{flags}: {check:#}");
        }
    }
}

#[test]
fn values_with_which_no_kubelet_starts_are_told() {
    let machine = Machine::new("1.34.1");
    let tokens = |more: &str| {
        format!(
            "defaultCacheDuration: 0s\n    tokenAttributes:\n      serviceAccountTokenAudience: sts.aliyuncs.com\n      cacheType: ServiceAccount\n{more}"
        )
    };
    let keys = "      requiredServiceAccountAnnotationKeys: [a/b]\n";
    let duration = "defaultCacheDuration: 0s\n";
    for (from, to, says) in [
        (duration, "defaultCacheDuration: 1d\n", "provider.yaml:7: defaultCacheDuration is `1d`"),
        (duration, "defaultCacheDuration: 3600\n", "defaultCacheDuration is `3600`"),
        (
            duration,
            "defaultCacheDuration: 0s\n    args: --config=/x\n",
            "provider.yaml:8: args is not a list of texts",
        ),
        ("[\"*.*.cr.aliyuncs.com\"]", "[]", "provider.yaml:6: matchImages is missing"),
        (
            duration,
            &tokens("      requireServiceAccount: maybe\n"),
            "requireServiceAccount is `maybe`",
        ),
        (
            duration,
            &tokens("      requireServiceAccount: \"true\"\n"),
            "requireServiceAccount is `\"true\"`",
        ),
        (
            duration,
            &tokens(&format!("      requireServiceAccount: false\n{keys}")),
            "needs requireServiceAccount: true",
        ),
    ] {
        machine.write(&[(from, to)]);
        machine.says(says);
        let details = lines(&machine.look(), "details");
        assert!(details.contains("The kubelet does not start again"), "{details}");
    }
    machine.write(&[(duration, &tokens(&format!("      requireServiceAccount: true\n{keys}")))]);
    machine.is_well();
    machine.write(&[(duration, "defaultCacheDuration: 1.5h\n")]);
    machine.is_well();
    let twice = "    defaultCacheDuration: 0s\n  - name: aliyun-acr-credential-provider\n";
    machine.write(&[("    defaultCacheDuration: 0s\n", twice)]);
    machine.says("provider.yaml:8: two providers have the name");
}

/// What doctor says of one file says nothing of a kubelet that reads another.
#[test]
fn another_configuration_of_the_kubelets_is_told() {
    let mut machine = Machine::new("1.34.1");
    let own = machine.node.config().display().to_string();
    let duration = "defaultCacheDuration: 0s\n";
    let with = |machine: &Machine, more: &str| {
        machine.write(&[(duration, &format!("{duration}{more}"))]);
    };
    with(&machine, "    args: [\"--config\", \"/etc/other.yaml\"]\n");
    machine.says(&format!("is /etc/other.yaml; doctor reads {own}"));
    let variable = |path: &str| {
        format!("    env: [{{name: ACR_CREDENTIAL_PROVIDER_CONFIG, value: {path}}}]\n")
    };
    with(&machine, &variable("/etc/other.yaml"));
    machine.says("is /etc/other.yaml; doctor reads");
    with(&machine, "    args: [get]\n");
    machine.says("provider.yaml:8: args: ");
    with(&machine, "    args: [doctor]\n");
    machine.says("provider.yaml:8: args: the program answers no request");
    with(&machine, "    args:\n");
    machine.says("is none; doctor reads");
    for well in [
        format!("    args: [\"--config={own}\"]\n"),
        variable(&own),
        // The argument counts.
        format!("    args: [\"--config={own}\"]\n{}", variable("/etc/other.yaml")),
    ] {
        with(&machine, &well);
        machine.is_well();
    }
    // What the kubelet has itself it hands on, unless the provider says otherwise.
    machine.variable = format!("ACR_CREDENTIAL_PROVIDER_CONFIG='{own}'");
    with(&machine, "    args:\n");
    machine.is_well();
    with(&machine, &variable("/etc/other.yaml"));
    machine.says("is /etc/other.yaml; doctor reads");
    machine.variable = "ACR_CREDENTIAL_PROVIDER_CONFIG=/etc/other.yaml".to_owned();
    with(&machine, "    args:\n");
    machine.says("is /etc/other.yaml; doctor reads");
}

/// Any problem of the file, be it another provider's, keeps the kubelet from starting.
#[test]
fn what_strict_kubelets_refuse_is_told() {
    let machine = Machine::new("1.34.1");
    let duration = "defaultCacheDuration: 0s\n";
    let images = "[\"*.*.cr.aliyuncs.com\"]";
    let tokens = |keys: &str| {
        format!(
            "{duration}    tokenAttributes:\n      serviceAccountTokenAudience: sts.aliyuncs.com\n      cacheType: ServiceAccount\n      requireServiceAccount: true\n{keys}"
        )
    };
    let twice = "      requiredServiceAccountAnnotationKeys: [a/b]\n      optionalServiceAccountAnnotationKeys: [a/b]\n";
    let other = |more: &str| {
        format!("{duration}  - name: ecr\n    matchImages: [\"*.ecr.aws\"]\n    args: []\n{more}")
    };
    let api = "    apiVersion: credentialprovider.kubelet.k8s.io/v1\n";
    for (from, to, says) in [
        (
            images,
            "[\"%invalid%\", \"*.*.cr.aliyuncs.com\"]",
            "`%invalid%` in matchImages is not a URL",
        ),
        (images, "[\"*.x:*\", \"*.*.cr.aliyuncs.com\"]", "`*.x:*` in matchImages is not a URL"),
        (duration, &tokens(twice), "the annotation key `a/b` is listed twice"),
        (
            duration,
            &tokens("      optionalServiceAccountAnnotationKeys: [\"a b\"]\n"),
            "`a b` is not an annotation key",
        ),
        (
            duration,
            &format!("{duration}    env: {{A: b}}\n"),
            "provider.yaml:8: env has an item that is not",
        ),
        (
            duration,
            &format!("{duration}    env: [{{name: A, value: b, extra: c}}]\n"),
            "env has an item that is not",
        ),
        (
            duration,
            &format!("{duration}    env: [{{name: A, value: 1}}]\n"),
            "env has an item that is not",
        ),
        (duration, &other(&format!("{api}    {duration}")), "bin/ecr does not exist"),
        (duration, &other(api), "defaultCacheDuration is missing"),
        (duration, &other(&format!("    {duration}")), "apiVersion is ``"),
        (duration, &other(&format!("{api}    {duration}    foo: 1\n")), "unknown key `foo`"),
    ] {
        machine.write(&[(from, to)]);
        machine.says(says);
    }
    machine.write(&[(duration, "defaultCacheDuration: \"0\"\n")]);
    machine.is_well();
    machine.write(&[(duration, &tokens(""))]);
    machine.is_well();
    let gate = "KubeletServiceAccountTokenForCredentialProviders";
    for (flags, is_off) in [
        (format!("--feature-gates={gate}=false"), true),
        ("--feature-gates=AllBeta=false".to_owned(), true),
        (format!("--feature-gates=AllBeta=false,{gate}=true"), false),
    ] {
        let check = machine.look_with_more(&flags);
        let told = lines(&check, "details").contains("is off, and");
        assert_eq!(told, is_off, "{flags}: {check:#}");
    }
}

/// The pull that is followed is the kubelet's: with what its provider sets, and without what is set
/// here alone.
#[test]
fn a_pull_has_the_kubelets_environment() {
    let mut machine = Machine::new("1.34.1");
    let own = machine.node.config().display().to_string();
    let duration = "defaultCacheDuration: 0s\n";
    let with = |machine: &Machine, variables: &str| {
        let args = format!("{duration}    args: [--config, \"{own}\"]\n    env:\n{variables}");
        machine.write(&[(duration, &args)]);
    };
    let flags = format!(
        "--image-credential-provider-config={} --image-credential-provider-bin-dir={}",
        machine.config.display(),
        machine.bin.display()
    );
    let identity = |machine: &Machine| {
        let document = machine.document(&flags, ACME);
        assert!(!document.to_string().contains("s3cret"), "{document:#}");
        check(&document, "identity").clone()
    };
    with(&machine, "    - {name: ALIBABA_CLOUD_ECS_METADATA_DISABLED, value: \"true\"}\n");
    let failed = identity(&machine);
    assert_eq!(failed["status"], "failed", "{failed:#}");
    with(
        &machine,
        "    - {name: HOME, value: s3cret}\n    - {name: ALIBABA_CLOUD_ECS_METADATA_DISABLED, value: \"\"}\n",
    );
    machine.is_well();
    machine.variable = "ALIBABA_CLOUD_ECS_METADATA_DISABLED=true".to_owned();
    assert_eq!(identity(&machine)["status"], "ok");
    with(&machine, "    - {name: A, value: s3cret}\n");
    assert_eq!(identity(&machine)["status"], "failed", "the kubelet's own");
}

/// The binary is started as the kubelet starts it.
#[test]
fn a_binary_that_cannot_be_started_is_found() {
    let machine = Machine::new("1.34.1");
    machine.write(&[]);
    let binary = machine.bin.join(NAME);
    let write = |text: &[u8]| {
        fs::remove_file(&binary).unwrap();
        fs::write(&binary, text).unwrap();
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    };
    for (text, what, remedy) in [
        (&b"\x7fELF of another machine"[..], "cannot be started", "the build for this machine"),
        (b"#!/lib/ld-other.so\n", "loader or interpreter /lib/ld-other.so is not", "static build"),
        (b"#!/bin/sh\necho other 1.0\n", "is not aliyun-acr-credential-provider", "correct the"),
        (b"#!/bin/sh\necho aliyun-acr-credential-provider 0.0.1\n", "0.0.1, and this is", "doctor"),
    ] {
        write(text);
        machine.says(what);
        let remedies = lines(&machine.look(), "remedies");
        assert!(remedies.contains(remedy), "{remedies}");
    }
}
