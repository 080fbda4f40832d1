//! Every command and every option, in one table: the command line is read by it, and help, completions
//! and man page are written from it.

use std::fmt::Write;

use crate::program::PROGRAM;
use crate::setup::options::Action;

/// What a command line can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Provide,
    Refresh,
    Doctor,
    Render(What),
    Setup(Action),
    SetupDocker,
}

/// What can be rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    KubeletConfig,
    RamPolicy,
    Rbac,
    ConfigMap,
}

/// A row of the table.
pub struct Command {
    pub asked: Asked,
    /// As they are typed; none for what the kubelet runs.
    pub words: &'static [&'static str],
    /// What it does, in lines that fit the help.
    pub text: &'static str,
    pub options: &'static [Choice],
}

/// An option of a command.
#[derive(Debug)]
pub struct Choice {
    pub name: &'static str,
    /// What stands for its value in the help; none for an option without one.
    pub value: Option<&'static str>,
    pub may_repeat: bool,
    pub text: &'static str,
}

impl Choice {
    const fn flag(name: &'static str, text: &'static str) -> Self {
        Self { name, value: None, may_repeat: false, text }
    }

    const fn with(name: &'static str, value: &'static str, text: &'static str) -> Self {
        Self { name, value: Some(value), may_repeat: false, text }
    }
}

pub const CONFIG: Choice = Choice::with("config", "FILE", "the configuration file");
pub const IMAGE: Choice = Choice::with("image", "IMAGE", "follow a pull of this image");
pub const OSS: Choice =
    Choice::with("oss", "HOST", "the bucket that layers come from; auto: by the instance's id");
pub const CONFIG_ONLY: Choice =
    Choice::flag("config-only", "check the configuration alone and call nothing, for CI");
pub const VERBOSE: Choice = Choice::flag("verbose", "every detail of checks that passed, too");
pub const JSON: Choice = Choice::flag("json", "one JSON document, for programs");
pub const SARIF: Choice =
    Choice::flag("sarif", "with --config-only: one SARIF document, for code hosts");
pub const ROOT: Choice = Choice::with("root", "DIR", "the node's files are below DIR");
pub const KUBELET_VERSION: Choice =
    Choice::with("kubelet-version", "V", "the kubelet's version, such as 1.33");
pub const DIRECTORY: Choice = Choice::flag("directory", "for a folder of such files");
pub const SERVICE_ACCOUNTS: Choice = Choice::flag(
    "service-accounts",
    "a second provider gets pods' tokens (Kubernetes 1.33 and later)",
);
pub const CLOSE_IMAGES: Choice =
    Choice::flag("close-images", "removes images that every pod could start; stops the kubelet");
pub const SERVICE_ACCOUNT: Choice = Choice {
    name: "service-account",
    value: Some("NAMESPACE/NAME[=ROLE]"),
    may_repeat: true,
    text: "for this service account and role; may be repeated",
};
pub const ISSUER: Choice = Choice::with("issuer", "URL", "who issues the tokens of the cluster");
pub const DRY_RUN: Choice = Choice::flag("dry-run", "show the changes, and make none");
pub const INSTALLED_CONFIG: Choice =
    Choice::with("config", "FILE", "the configuration to put in place");
pub const BINARY: Choice =
    Choice::with("binary", "FILE", "the program to install, in place of this one");
pub const SHA256: Choice = Choice::with("sha256", "HEX", "what the program must have");
pub const MATCH_IMAGES: Choice = Choice::with(
    "match-images",
    "LIST",
    "patterns of images, with commas, in place of those of ACR",
);
pub const BIN_DIR: Choice =
    Choice::with("bin-dir", "DIR", "the folder for the program, if the kubelet has none yet");
pub const REFRESH_TIMER: Choice =
    Choice::flag("refresh-timer", "a systemd timer that renews logins before they end");
pub const RESTART: Choice =
    Choice::flag("restart", "with --root: the kubelet of the running system is this tree's");
pub const WATCH: Choice =
    Choice::with("watch", "SECONDS", "how long the kubelet must stay healthy (10)");
pub const UNINSTALL: Choice =
    Choice::flag("uninstall", "the node is wanted without what was installed");
pub const EVERY: Choice = Choice::with("every", "SECONDS", "how often the node is looked at (60)");
pub const READY: Choice = Choice::with("ready", "FILE", "is there while the node is as wanted");
pub const LEASE: Choice =
    Choice::with("lease", "URL", "a Lease of the cluster, taken before the kubelet is restarted");
pub const HOLDER: Choice = Choice::with("holder", "NAME", "with --lease: the name of this node");
pub const TOKEN: Choice =
    Choice::with("token", "FILE", "with --lease: the token; ca.crt is in the same folder");
pub const CLIENT_FILE: Choice =
    Choice::with("file", "FILE", "the client's file, in place of docker's config.json");
pub const UNDO: Choice = Choice::flag("undo", "take back what was put in, and nothing else");

/// The commands, in the order of the help.
pub const COMMANDS: [Command; 13] = [
    Command {
        asked: Asked::Provide,
        words: &[],
        text: "Reads a CredentialProviderRequest on stdin and answers on stdout, as the kubelet calls it.",
        options: &[CONFIG],
    },
    Command {
        asked: Asked::Refresh,
        words: &["refresh"],
        text: "Renews the logins in the node's cache that pulls have used in the last 24 hours and that have
less than expiring-threshold left, and says in one line which. For a systemd timer.",
        options: &[CONFIG],
    },
    Command {
        asked: Asked::Doctor,
        words: &["doctor"],
        text: "Follows a pull of the image, or of the configured hosts. Says what would happen and what is
wrong. Changes nothing.",
        options: &[CONFIG, IMAGE, OSS, CONFIG_ONLY, VERBOSE, JSON, SARIF, ROOT],
    },
    Command {
        asked: Asked::Render(What::KubeletConfig),
        words: &["render", "kubelet-config"],
        text: "Writes the kubelet's CredentialProviderConfig for the configured hosts.",
        options: &[CONFIG, KUBELET_VERSION, DIRECTORY, SERVICE_ACCOUNTS],
    },
    Command {
        asked: Asked::Render(What::RamPolicy),
        words: &["render", "ram-policy"],
        text: "Writes trust and permission policies of both accounts.",
        options: &[CONFIG, SERVICE_ACCOUNT, ISSUER],
    },
    Command {
        asked: Asked::Render(What::Rbac),
        words: &["render", "rbac"],
        text: "Writes what lets kubelets ask for tokens of any service account, or of those that are named, and
their trust policies. It replaces what it wrote before for the same namespaces.",
        options: &[CONFIG, SERVICE_ACCOUNT, ISSUER],
    },
    Command {
        asked: Asked::Render(What::ConfigMap),
        words: &["render", "config-map"],
        text: "Writes the ConfigMap of the vendor's helper.",
        options: &[CONFIG],
    },
    Command {
        asked: Asked::Setup(Action::Install),
        words: &["setup", "install"],
        text: "Installs this program on a node and makes its kubelet use it. Restarts the kubelet, and puts
everything back if it is not healthy then.",
        options: &[
            INSTALLED_CONFIG,
            DRY_RUN,
            BINARY,
            SHA256,
            MATCH_IMAGES,
            SERVICE_ACCOUNTS,
            CLOSE_IMAGES,
            REFRESH_TIMER,
            BIN_DIR,
            KUBELET_VERSION,
            WATCH,
            ROOT,
            RESTART,
            JSON,
        ],
    },
    Command {
        asked: Asked::Setup(Action::Uninstall),
        words: &["setup", "uninstall"],
        text: "Takes back what was installed, and nothing else.",
        options: &[DRY_RUN, WATCH, ROOT, RESTART, JSON],
    },
    Command {
        asked: Asked::Setup(Action::Status),
        words: &["setup", "status"],
        text: "Says what is installed, and what has changed since.",
        options: &[ROOT, RESTART, JSON],
    },
    Command {
        asked: Asked::Setup(Action::Keep),
        words: &["setup", "keep"],
        text: "For a DaemonSet: installs, looks again from time to time, and stays until SIGTERM. With --root the
programs of the node are those below DIR.",
        options: &[
            INSTALLED_CONFIG,
            UNINSTALL,
            MATCH_IMAGES,
            SERVICE_ACCOUNTS,
            REFRESH_TIMER,
            BIN_DIR,
            KUBELET_VERSION,
            WATCH,
            ROOT,
            EVERY,
            READY,
            LEASE,
            HOLDER,
            TOKEN,
        ],
    },
    Command {
        asked: Asked::Setup(Action::Ready),
        words: &["setup", "ready"],
        text: "For a readiness probe: exit code 0 if `setup keep` says that the node is as wanted.",
        options: &[READY],
    },
    Command {
        asked: Asked::SetupDocker,
        words: &["setup", "docker"],
        text: "Names the helper docker-credential-acr for the configured hosts under `credHelpers` in the file of
docker, podman or another client. Changes nothing else there.",
        options: &[CONFIG, CLIENT_FILE, UNDO, DRY_RUN],
    },
];

/// The options that every command has.
pub const HELP: Choice = Choice::flag("help", "this text; behind a command, its part of it");
pub const VERSION: Choice =
    Choice::flag("version", "version, commit and target; with --json as a document");

/// What the program is, in a line.
pub const SUMMARY: &str = "Kubelet credential provider for Alibaba Cloud Container Registry (ACR).";

/// What is not about one command.
pub const NOTES: &str = "\
The same program under the name docker-credential-acr is a credential helper for docker, podman and
similar clients: docker-credential-acr get | store | erase | list

Try it by hand:
  echo '{\"apiVersion\":\"credentialprovider.kubelet.k8s.io/v1\",\"kind\":\"CredentialProviderRequest\",
  \"image\":\"HOST/NAMESPACE/REPOSITORY\"}' | aliyun-acr-credential-provider --config FILE

Without --config the file is the one named by ACR_CREDENTIAL_PROVIDER_CONFIG, or else
/etc/aliyun-acr-credential-provider/config.yaml, or none: then registries of the node's own
account are answered. ACR_CREDENTIAL_PROVIDER_LOG is error, warn (default), info or debug.

Exit codes: 0 answered, 1 unexpected, 2 usage, request or configuration, 3 identity,
4 AssumeRole, 5 registry token, 6 out of time.
";

/// The help of one command, or of all.
#[must_use]
pub fn help(of: Option<Asked>) -> String {
    let mut text = format!("{SUMMARY}\n\nUsage: {PROGRAM} [COMMAND] [OPTION]...\n");
    for command in COMMANDS.iter().filter(|command| of.is_none_or(|of| of == command.asked)) {
        let words =
            if command.words.is_empty() { "(no command)" } else { &command.words.join(" ") };
        let _ = writeln!(text, "\n{words}");
        for line in command.text.lines() {
            let _ = writeln!(text, "  {line}");
        }
        for choice in command.options {
            describe(choice, &mut text);
        }
    }
    text.push_str("\nFor every command\n");
    describe(&HELP, &mut text);
    describe(&VERSION, &mut text);
    if of.is_none() {
        let _ = write!(text, "\n{NOTES}");
    }
    text
}

fn describe(choice: &Choice, text: &mut String) {
    let value = choice.value.map_or_else(String::new, |value| format!(" {value}"));
    let _ = writeln!(text, "    {:<31} {}", format!("--{}{value}", choice.name), choice.text);
}
