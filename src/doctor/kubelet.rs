//! How the kubelet of this machine is set up: does it run this program for an image, and how?

mod binary;
mod images;
mod invocation;
mod log;
mod pulled_images;
mod start;
mod token_modes;
mod unit;
mod unstartable;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::doctor::report::{Check, Name};
use crate::kubelet::flags::{BIN_DIR, CONFIG};
use crate::kubelet::match_images::{BOTH_LOGINS, first_overlap};
use crate::kubelet::mistake::Finding;
use crate::kubelet::process::Kubelet;
use crate::kubelet::provider_config::{Provider, ProviderConfig};
use crate::kubelet::provider_rules;
use crate::program::PROGRAM;

use start::Start;

pub use invocation::{Invocation, ReadArguments};

/// The flag of the kubelet's own configuration.
const OWN_CONFIG: &str = "--config";

/// The kubelet as far as it is seen.
pub struct Look {
    start: Start,
    /// The values of both flags.
    file: Option<String>,
    bin_dir: Option<String>,
    /// The providers that are this program.
    ours: Vec<Provider>,
    others: Vec<Provider>,
    /// What is wrong with the form of its configuration.
    findings: Vec<Finding>,
    read_arguments: ReadArguments,
}

impl Look {
    /// The kubelet's files and `proc` are below `root`.
    #[must_use]
    pub fn at(root: &Path, read_arguments: ReadArguments) -> Self {
        let start = Start::find(root);
        let kubelet = &start.kubelet;
        let flag = |name| kubelet.as_ref().and_then(|kubelet| kubelet.flags.value(name));
        let (file, bin_dir) = (flag(CONFIG), flag(BIN_DIR));
        let (mut config, mut folder) = (ProviderConfig::default(), PathBuf::new());
        if let (Some(kubelet), Some(file), Some(bin_dir)) = (kubelet, &file, &bin_dir) {
            config = ProviderConfig::read(file, kubelet);
            folder = kubelet.path(bin_dir);
        }
        let is_ours = |provider: &Provider| token_modes::is_ours(provider, &folder);
        let (ours, others) = config.providers.into_iter().partition(is_ours);
        let findings = config.findings;
        Self { start, file, bin_dir, ours, others, findings, read_arguments }
    }

    /// How the kubelet runs the program for an image, or for any.
    #[must_use]
    pub fn invocation(&self, image: Option<&str>) -> Option<Invocation> {
        let provider = self.provider(image)?;
        Invocation::of(provider, self.start.kubelet.as_ref()?, self.read_arguments)
    }

    fn provider(&self, image: Option<&str>) -> Option<&Provider> {
        let hit = image.and_then(|image| images::providers(&self.ours, image).first().copied());
        hit.or(self.ours.first())
    }

    /// Whether the program answers requests with the arguments that the kubelet gives it.
    #[must_use]
    pub fn is_answered(&self, image: Option<&str>) -> bool {
        let provider = self.provider(image);
        provider.is_none_or(|provider| (self.read_arguments)(&provider.arguments).is_ok())
    }

    /// Whether the kubelet's file is one that could not be read: it says which configuration counts.
    #[must_use]
    pub fn hides_arguments(&self) -> bool {
        self.ours.is_empty() && self.others.is_empty() && !self.findings.is_empty()
    }

    /// When the kubelet started, in seconds since 1970, if it runs.
    #[must_use]
    pub fn since(&self) -> Option<i64> {
        self.start.kubelet.as_ref()?.started
    }

    /// What shows the kubelet's log.
    #[must_use]
    pub fn log(&self) -> String {
        self.start.service.log()
    }

    /// What starts the kubelet again, which then keeps no login.
    #[must_use]
    pub fn restart(&self) -> String {
        self.start.service.command("restart")
    }

    /// Whether the kubelet asks for an image with a pod's token.
    #[must_use]
    pub fn sends_tokens(&self, image: &str) -> bool {
        images::providers(&self.ours, image).iter().any(|provider| provider.tokens.is_some())
    }

    /// Who may start the images that are on the node; none where the tokens of pods decide nothing.
    #[must_use]
    pub fn pulled_images(&self, config: &Config) -> Option<Check> {
        pulled_images::check(self.start.kubelet.as_ref()?, &self.ours, &self.start.service, config)
    }

    /// `images` are what the kubelet should ask for. The configuration, where it can be read, says
    /// what the program then does.
    #[must_use]
    pub fn check(&self, images: &[String], config: Option<&Config>) -> Check {
        let mut check = Check::new(Name::KUBELET);
        self.start.check(self.bin_dir.as_deref(), &mut check);
        let Some(kubelet) = &self.start.kubelet else { return check };
        if kubelet.environment().is_none() {
            check.warn(
                "this user cannot see the environment of the kubelet, so a pull may end otherwise than the checks",
                "run doctor as root",
            );
        }
        more_than_one(kubelet, &mut check);
        // k3s and k0s have a --config of another kind.
        let is_kubelets = self.start.service.name == "kubelet";
        let own_file = kubelet.flags.value(OWN_CONFIG).filter(|_| is_kubelets);
        if let Some(own_file) = own_file.filter(|file| is_gone(&kubelet.path(file))) {
            check.refuse(
                format!("the kubelet's own configuration {own_file} does not exist: the kubelet does not start"),
                format!("put {own_file} there (kubeadm join writes /var/lib/kubelet/config.yaml), or correct --config"),
            );
        }
        let (Some(file), Some(bin_dir)) = (&self.file, &self.bin_dir) else {
            let flags = [(CONFIG, &self.file), (BIN_DIR, &self.bin_dir)];
            let missing = flags.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| *name);
            let missing: Vec<&str> = missing.collect();
            if self.start.may_have_more {
                let name = self.start.service.name;
                check.warn(
                    format!("neither the files of {name} nor its process show {}", missing.join(" and ")),
                    format!("see the kubelet's arguments: {} | grep 'Running kubelet'; or set them as kubelet-arg in /etc/rancher/k3s/config.yaml", self.log()),
                );
                return check;
            }
            check.refuse(
                format!("the kubelet runs without {}, so it never runs this program", missing.join(" and ")),
                "add the flags and restart the kubelet (on an ACK node in /etc/kubernetes/kubelet-customized-args.conf)",
            );
            return check;
        };
        let (ours, others) = (&self.ours, &self.others);
        let release = kubelet.release.map(|release| format!("Kubernetes {release}"));
        let names = ours.iter().map(|provider| {
            let mode = if provider.tokens.is_some() { " with service account tokens" } else { "" };
            format!("{}{mode}", provider.name)
        });
        let summary: Vec<String> = release.into_iter().chain(names).collect();
        check.detail(format!("{} in {file}", summary.join(", ")));
        if let Some(label) = kubelet.label() {
            confined(&label, bin_dir, &mut check);
        }
        self.mistakes(kubelet, &mut check);
        if ours.is_empty() && !others.is_empty() {
            none_is_ours(file, bin_dir, others, kubelet, &mut check);
        }
        for provider in ours {
            binary::check(bin_dir, provider, true, kubelet, &mut check);
            invocation::check(provider, config, kubelet, self.read_arguments, &mut check);
            token_modes::audience(provider, &mut check);
        }
        for provider in others {
            binary::check(bin_dir, provider, false, kubelet, &mut check);
        }
        if let Some(path) = config.and_then(|config| config.path.as_deref()) {
            unstartable::unreadable(kubelet.root(), path, &mut check);
        }
        for image in images.iter().filter(|_| !ours.is_empty()) {
            images::check(ours, image, config, &mut check);
            if let Some(config) = config {
                token_modes::served(image, &images::providers(ours, image), config, &mut check);
            }
        }
        since_its_start(ours, kubelet, self.restart(), &mut check);
        apart(ours, others, &mut check);
        check
    }

    /// What is wrong with the kubelet's configuration. One provider that it refuses is enough for it
    /// not to start; what only keeps a provider from being run matters for ours alone.
    fn mistakes(&self, kubelet: &Kubelet, check: &mut Check) {
        let gates = kubelet.feature_gates();
        let rules = |provider| provider_rules::check(provider, kubelet.release, &gates);
        let others = self.others.iter().flat_map(rules);
        let others = others.filter(|finding| finding.mistake.stops_the_kubelet());
        let found: Vec<Finding> = self.ours.iter().flat_map(rules).chain(others).collect();
        let mut stops = false;
        for finding in self.findings.iter().chain(&found) {
            let (what, remedy) = (finding.to_string(), finding.remedy());
            stops |= finding.mistake.stops_the_kubelet();
            if finding.mistake.fails_pulls() {
                check.refuse(what, remedy);
            } else {
                check.warn(what, remedy);
            }
        }
        if stops {
            check.detail("The kubelet does not start again with this configuration.");
        }
    }
}

/// One that was left running starts pods, too, by files of its own.
fn more_than_one(kubelet: &Kubelet, check: &mut Check) {
    let others = kubelet.others();
    let (Some(number), false) = (kubelet.process(), others.is_empty()) else { return };
    let others: Vec<String> = others.iter().map(u32::to_string).collect();
    check.warn(
        format!("more than one kubelet runs: this report is of process {number}, and not of {}", others.join(", ")),
        format!("see who started them, and stop the one that is left over: ps -o pid,ppid,lstart,args -p {number},{}", others.join(",")),
    );
}

/// Not one that may not be seen.
fn is_gone(path: &Path) -> bool {
    path.try_exists().is_ok_and(|is_there| !is_there)
}

/// Doctor itself starts the binary outside the profile of the kubelet.
fn confined(label: &str, bin_dir: &str, check: &mut Check) {
    let said = format!("SELinux or AppArmor: the kubelet runs as {label}");
    let Some(profile) = label.strip_suffix(" (enforce)") else { return check.detail(said) };
    check.warn(
        format!("AppArmor confines the kubelet by the profile {profile}: whether the profile lets the kubelet start {bin_dir}/{PROGRAM} is not checked"),
        format!("journalctl -k | grep DENIED | grep -F {PROGRAM}; if there is a line, aa-complain {profile}, or allow {bin_dir}/{PROGRAM} in the profile"),
    );
}

fn none_is_ours(
    config: &str,
    bin_dir: &str,
    providers: &[Provider],
    kubelet: &Kubelet,
    check: &mut Check,
) {
    let names: Vec<&str> = providers.iter().map(|provider| provider.name.as_str()).collect();
    let nearest = names.iter().find(|name| strsim::levenshtein(name, PROGRAM) <= 4);
    let binary = kubelet.path(&format!("{bin_dir}/{PROGRAM}")).exists();
    let remedy = match (nearest, binary) {
        (Some(nearest), true) => {
            format!("rename the provider {nearest} to {PROGRAM}, the binary's file name")
        }
        _ => format!("add the output of `{PROGRAM} render kubelet-config` to {config}"),
    };
    check.refuse(format!("{config} has no provider {PROGRAM}, only {}", names.join(", ")), remedy);
}

/// The kubelet reads its file when it starts, and not again.
fn since_its_start(ours: &[Provider], kubelet: &Kubelet, restart: String, check: &mut Check) {
    let Some(started) = kubelet.started else { return };
    let changed = |provider: &&Provider| {
        fs::metadata(kubelet.path(&provider.file)).is_ok_and(|file| file.mtime() > started)
    };
    if let Some(provider) = ours.iter().find(changed) {
        check.warn(
            format!("{} is newer than the running kubelet, which has not read it", provider.file),
            restart,
        );
    }
}

/// Fails where a provider of ours that gets tokens and one that gets none match the same images;
/// for a provider of others a warning, for whose logins these are is not known here.
fn apart(ours: &[Provider], others: &[Provider], check: &mut Check) {
    let patterns = |providers: &[Provider], with_tokens: bool| -> Vec<(String, String)> {
        let of_mode = providers.iter().filter(|provider| provider.tokens.is_some() == with_tokens);
        let each = |provider: &Provider| {
            let name = provider.name.clone();
            let patterns = provider.match_images.clone();
            patterns.into_iter().map(move |pattern| (name.clone(), pattern))
        };
        of_mode.flat_map(each).collect()
    };
    let pods = patterns(ours, true);
    if let Some([(name, pattern), (other_name, other)]) =
        first_overlap(&pods, &patterns(ours, false))
    {
        check.refuse(
            format!("`{pattern}` of {name}, with service account tokens, and `{other}` of {other_name}, without, match the same images: {BOTH_LOGINS}"),
            "let no image match both matchImages, as `render kubelet-config --service-accounts` does",
        );
    }
    let theirs = [patterns(others, false), patterns(others, true)].concat();
    if let Some([(name, pattern), (other_name, other)]) = first_overlap(&pods, &theirs) {
        check.warn(
            format!("`{pattern}` of {name}, with service account tokens, and `{other}` of {other_name}, another program, match the same images"),
            format!("remove the images from matchImages of {other_name}, if its logins must not serve pods that are refused here"),
        );
    }
}
