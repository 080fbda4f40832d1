//! Decides what an installation changes on a node, and that its kubelet would start afterwards with
//! everything that it had.

mod images;
mod providers;

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::kubelet::flags::{BIN_DIR, CONFIG, Flags};
use crate::kubelet::process::version_of;
use crate::kubelet::provider_config::{Provider, ProviderConfig};
use crate::kubelet::versions::{CREDENTIAL_PROVIDERS, Gate, Release, TOKENS};
use crate::program::{PROGRAM, PROGRAM_FOR_PODS};
use crate::render::{Pods, rbac};
use crate::setup::in_root;
use crate::setup::kubelet::{gates, obstacle, value};
use crate::setup::kubelet_arguments::Launch;
use crate::setup::mounts;
use crate::setup::options::{self, Options};
use crate::setup::outcome::{IN_PLACE, Outcome};
use crate::setup::refresh_timer;
use crate::setup::steps::{Change, unreadable};
use crate::setup::systemd::running_arguments;
use crate::setup::tree::{Entry, Tree};
use crate::setup::undo::{self, Record, What};

pub(super) use images::Removal;

/// The kubelet's file of providers where it has none yet.
const PROVIDERS: &str = "/etc/kubernetes/credential-provider-config.yaml";

/// A node as it is.
pub struct Node<'n> {
    pub(super) tree: &'n Tree,
    pub(super) options: &'n Options,
    pub(super) record: Record,
    pub(super) launch: Launch,
    release: Release,
    /// The kubelet's arguments by its files, but for those that are ours.
    foreign: Vec<String>,
    pub(super) running: Option<Vec<String>>,
}

/// What is to be done.
pub struct Plan {
    pub(super) changes: Vec<Change>,
    /// Images that are removed with the kubelet stopped.
    pub(super) images: Option<Removal>,
    /// Where the program will be.
    pub(super) program: String,
}

impl Plan {
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.images.is_none()
    }

    /// Whether the kubelet has to read something again.
    pub(super) fn is_kubelets(&self) -> bool {
        self.images.is_some()
            || self
                .changes
                .iter()
                .any(|change| matches!(change.what, What::Providers | What::Arguments))
    }
}

impl<'n> Node<'n> {
    pub(super) fn look(
        tree: &'n Tree,
        options: &'n Options,
        record: Record,
    ) -> Result<Self, Failure> {
        let launch = Launch::find(tree, options.is_live())?;
        let service = launch.service;
        let arguments = launch.arguments(tree).map_err(|error| {
            Failure::new(Exit::Usage, format!("cannot read what {service} runs: {error}")).hint(
                format!(
                    "add to the kubelet's command line by hand: {CONFIG}=FILE {BIN_DIR}=FOLDER"
                ),
            )
        })?;
        let ours = record.arguments();
        let foreign =
            arguments.iter().skip(1).filter(|flag| !ours.contains(flag)).cloned().collect();
        let release = release(tree, options, arguments.first().map_or("", String::as_str))?;
        let running = running_arguments(tree);
        Ok(Self { tree, options, record, launch, release, foreign, running })
    }

    pub(super) fn plan(&self, outcome: &mut Outcome) -> Result<Plan, Failure> {
        let (config_flag, known_config) = self.flag(CONFIG)?;
        let (bin_dir_flag, known_bin_dir) = self.flag(BIN_DIR)?;
        let asked = self.options.bin_dir.clone();
        let kept = |flag: &str| value(flag, self.record.arguments().as_slice(), None);
        let bin_dir = match &known_bin_dir {
            Some(known) => {
                if asked.as_ref().is_none_or(|asked| asked != known) && known != options::BIN_DIR {
                    outcome.say(format!("using the kubelet's own bin-dir {known}"));
                }
                known.clone()
            }
            None => asked.or(kept(BIN_DIR)?).unwrap_or_else(|| options::BIN_DIR.to_owned()),
        };
        let bin_dir = bin_dir.trim_end_matches('/').to_owned();
        let config = known_config.or(kept(CONFIG)?).unwrap_or_else(|| PROVIDERS.to_owned());
        let config = config.trim_end_matches('/').to_owned();
        for path in [&config, &bin_dir] {
            check_path(path)?;
        }
        let mut wanted = Vec::new();
        if config_flag {
            wanted.push(format!("{CONFIG}={config}"));
        }
        if bin_dir_flag {
            wanted.push(format!("{BIN_DIR}={bin_dir}"));
        }
        let file = self.providers_file(&config);
        let there = self.tree.text(&file).map_err(unreadable(&file))?;
        let before = ProviderConfig::of_text(&file, there.as_deref().unwrap_or_default()).providers;
        let (configuration, config_change) = self.configuration(&before)?;
        let pods = self.sends_tokens(&configuration, &before, outcome);
        self.add_gate(&CREDENTIAL_PROVIDERS, &mut wanted)?;
        if pods {
            self.add_gate(&TOKENS, &mut wanted)?;
            outcome.rbac = Some(rbac::render(&configuration, &Pods::default())?);
        }

        let program = format!("{bin_dir}/{PROGRAM}");
        let mut changes = self.program(&program)?;
        let name = format!("{bin_dir}/{PROGRAM_FOR_PODS}");
        if pods && !self.tree.exists(&name) {
            let link = Some(Entry::Link(PROGRAM.into()));
            changes.push(Change::new(name.clone(), What::SecondName, link));
        }
        changes.extend(config_change);
        let providers = self.wanted_providers(&configuration, pods, &before, outcome)?;
        let images = self.open_images(before.iter().chain(&providers), outcome)?;
        changes.extend(images.iter().flat_map(|removal| removal.records.clone()));
        changes.extend(self.merge(&file, there.as_deref(), &providers)?);
        changes.extend(self.place_arguments(&wanted)?);
        if !pods && self.record.file(&name).is_some() {
            changes.push(Change::new(name, What::SecondName, None));
        }
        if self.options.refresh_timer || self.record.of(What::Refresh).next().is_some() {
            changes.extend(self.refresh(&bin_dir, &configuration, &before)?);
        }
        changes.retain(|change| self.is_change(change));
        mounts::check(self.tree, &changes)?;
        let plan = Plan { changes, images, program };
        self.check(&plan, &wanted)?;
        Ok(plan)
    }

    /// Whether a flag is ours to set, and its value where somebody else has set it.
    fn flag(&self, name: &str) -> Result<(bool, Option<String>), Failure> {
        let running = self.running.as_deref();
        if let Some(value) = value(name, &self.foreign, running)? {
            return Ok((false, Some(value)));
        }
        // Set in a place that is not known here, unless it was us and something rewrote our place.
        let last = |arguments: &[String]| {
            let program = std::iter::once(String::new());
            Flags::of(program.chain(arguments.iter().cloned()).collect()).value(name)
        };
        let now = running.and_then(last);
        let is_ours = |value: &String| self.record.arguments().contains(&format!("{name}={value}"));
        match now {
            Some(value) if !is_ours(&value) => Ok((false, Some(value))),
            _ => Ok((true, None)),
        }
    }

    /// The gate as an argument, where the kubelet has it and it is off by default.
    fn add_gate(&self, gate: &Gate, wanted: &mut Vec<String>) -> Result<(), Failure> {
        let program = std::iter::once(String::new());
        let flags = Flags::of(program.chain(self.foreign.iter().cloned()).collect());
        if gates(self.tree, &flags).is_on(gate, self.release) {
            return Ok(());
        }
        let given = flags.values("--feature-gates").join(",");
        let is_set = given.split(',').any(|pair| {
            pair.trim().strip_prefix(gate.name).is_some_and(|rest| rest.starts_with('='))
        });
        if is_set || gate.by_default(self.release).is_some_and(|(_, is_on)| is_on) {
            let message = format!("the feature gate {} is set to false", gate.name);
            return Err(Failure::new(Exit::Usage, message).hint("take that away"));
        }
        wanted.push(format!("--feature-gates={}=true", gate.name));
        Ok(())
    }

    /// The files in which the kubelet's arguments stand.
    fn place_arguments(&self, wanted: &[String]) -> Result<Vec<Change>, Failure> {
        let ours = self.record.arguments();
        let mut changes = Vec::new();
        let mut place = String::new();
        if !wanted.is_empty() {
            let placed = self.launch.place(self.tree, wanted, &ours)?;
            self.check_no_link(&placed.path)?;
            let entry = self.like(&placed.path, placed.text, 0o644)?;
            let mut change = Change::new(placed.path.clone(), What::Arguments, Some(entry));
            change.added = wanted.to_vec();
            if let (Some(variable), Some(known)) =
                (&placed.variable, self.record.file(&placed.path))
                && !self.is_as_left(&placed.path)?
            {
                let text =
                    self.launch.taken_out(self.tree, &placed.path, variable, &known.added)?;
                change.rebased = Some(text);
            }
            change.variable = placed.variable;
            place = placed.path;
            changes.push(change);
        }
        // Where they were before, and are not any more.
        for known in self.record.of(What::Arguments).filter(|known| known.path != place) {
            let wanted = match &known.variable {
                Some(name) if self.tree.exists(&known.path) => {
                    let text = self.launch.taken_out(self.tree, &known.path, name, &known.added)?;
                    Some(self.like(&known.path, text, 0o644)?)
                }
                _ => None,
            };
            changes.push(Change::new(known.path.clone(), What::Arguments, wanted));
        }
        Ok(changes)
    }

    fn program(&self, path: &str) -> Result<Vec<Change>, Failure> {
        let source = self.options.binary.as_deref().unwrap_or(Path::new("/proc/self/exe"));
        let shown = source.display().to_string();
        let bytes = fs::read(source).map_err(unreadable(&shown))?;
        let sum = undo::sha256(&bytes);
        if let Some(asked) = self.options.sha256.as_ref().filter(|asked| **asked != sum) {
            let message = format!("{shown} has SHA-256 {sum}, not {asked}; it is not installed");
            return Err(Failure::new(Exit::Usage, message));
        }
        self.check_no_link(path)?;
        let there = self.tree.entry(path).map_err(unreadable(path))?;
        let wanted = Some(Entry::file(bytes, 0o755));
        let mut changes = Vec::new();
        if let Some(Entry::File { bytes, .. }) = there
            && undo::sha256(&bytes) != sum
        {
            let previous = Some(Entry::file(bytes, 0o755));
            changes.push(Change::new(format!("{path}.prev"), What::Previous, previous));
        }
        changes.push(Change::new(path, What::Program, wanted));
        Ok(changes)
    }

    fn refresh(
        &self,
        bin_dir: &str,
        config: &Config,
        before: &[Provider],
    ) -> Result<Vec<Change>, Failure> {
        let service = self.launch.service;
        let mut variables = self.launch.environment(self.tree).map_err(unreadable(service))?;
        let own = before.iter().find(|provider| provider.name == PROGRAM);
        for (name, value) in own.map(|own| own.variables.clone()).unwrap_or_default() {
            variables.retain(|(known, _)| *known != name);
            variables.push((name, value));
        }
        let arguments = own_arguments(before);
        Ok(refresh_timer::changes(bin_dir, &config.settings, &arguments, &variables))
    }

    /// A text with the mode and the owner that the file has.
    fn like(&self, path: &str, text: String, mode: u32) -> Result<Entry, Failure> {
        Ok(match self.tree.entry(path).map_err(unreadable(path))? {
            Some(Entry::File { mode, owner, .. }) => {
                Entry::File { bytes: text.into_bytes(), mode, owner }
            }
            _ => Entry::file(text, mode),
        })
    }

    fn check_no_link(&self, path: &str) -> Result<(), Failure> {
        match self.tree.entry(path).map_err(unreadable(path))? {
            Some(Entry::Link(_)) => {
                let message = format!("{path} is a symbolic link");
                Err(Failure::new(Exit::Usage, message).hint("put a file in its place"))
            }
            _ => Ok(()),
        }
    }

    /// Whether nobody has changed a file since the last run.
    fn is_as_left(&self, path: &str) -> Result<bool, Failure> {
        let entry = self.tree.entry(path).map_err(unreadable(path))?;
        Ok(self.record.file(path).is_some_and(|known| known.after.has_content_of(entry.as_ref())))
    }

    fn is_change(&self, change: &Change) -> bool {
        match (self.tree.entry(&change.path), &change.wanted) {
            (
                Ok(Some(Entry::File { bytes, mode, .. })),
                Some(Entry::File { bytes: new, mode: new_mode, .. }),
            ) => bytes != *new || mode != *new_mode,
            (Ok(there), wanted) => there != *wanted,
            (Err(_), _) => true,
        }
    }

    /// What the kubelet would run and read afterwards.
    fn check(&self, plan: &Plan, wanted: &[String]) -> Result<(), Failure> {
        let mut after = self.tree.clone();
        for change in &plan.changes {
            let laid = after.lay(&change.path, change.wanted.clone());
            laid.map_err(unreadable(&change.path))?;
        }
        let launch = self.launch.clone().by_files();
        let arguments = launch.arguments(&after).map_err(unreadable(launch.service))?;
        let lost = self.foreign.iter().chain(wanted).find(|flag| !arguments.contains(flag));
        if let Some(lost) = lost {
            let message = format!("{} would not have {lost} afterwards", self.launch.service);
            return Err(Failure::new(Exit::Usage, message)
                .caused_by("another file sets its arguments again")
                .hint(format!("add to the kubelet's command line by hand: {}", wanted.join(" "))));
        }
        // What only the running kubelet shows is in none of the files.
        let shown = self.running.clone().unwrap_or_default();
        let all = if Flags::of(arguments.clone()).value(CONFIG).is_some() {
            arguments
        } else {
            std::iter::once(String::new()).chain(shown).collect()
        };
        match obstacle(&after, &all, Some(self.release)) {
            None => Ok(()),
            Some(why) => Err(Failure::new(
                Exit::Usage,
                format!("the kubelet would not start: {why}; nothing was changed"),
            )),
        }
    }

    pub(super) fn in_place(&self, mut outcome: Outcome) -> Result<Outcome, Failure> {
        let runs_without = self
            .running
            .as_ref()
            .is_some_and(|running| !running.iter().any(|flag| flag.starts_with(CONFIG)));
        if self.options.is_live() && self.launch.is_visible() && runs_without {
            return Err(Failure::new(
                Exit::Usage,
                "the kubelet runs without the arguments that are written",
            )
            .hint("restart it, and see what its unit reads"));
        }
        outcome.state = IN_PLACE;
        Ok(outcome)
    }
}

/// The arguments that the kubelet gives the program in its own configuration.
fn own_arguments(providers: &[Provider]) -> Vec<String> {
    let own = providers.iter().find(|provider| provider.name == PROGRAM);
    own.map(|own| own.arguments.clone()).unwrap_or_default()
}

fn check_path(path: &str) -> Result<(), Failure> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._/+@:-".contains(c);
    if path.starts_with('/') && path.chars().all(fits) {
        return Ok(());
    }
    let message = format!("`{path}` is not an absolute path that the kubelet's arguments can hold");
    Err(Failure::new(Exit::Usage, message))
}

/// The version of the kubelet: as given, or as its program says.
fn release(tree: &Tree, options: &Options, program: &str) -> Result<Release, Failure> {
    if let Some(release) = options.release {
        return Ok(release);
    }
    let place = tree.place(program).ok().filter(|place| place.is_file());
    let asked = place.as_ref().and_then(|place| version_of(place).ok());
    let said = asked.or_else(|| {
        // One that needs libraries runs only where they are.
        let name = if place.is_some() { program } else { "kubelet" };
        let mut command = in_root::command(tree.root(), name);
        let output = command.arg("--version").stdin(Stdio::null());
        let output = options.is_live().then(|| output.output().ok()).flatten()?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    });
    let Some(said) = said else {
        return Err(Failure::new(Exit::Usage, "cannot ask the kubelet for its version")
            .hint("give --kubelet-version, such as 1.30"));
    };
    said.split_whitespace().find_map(Release::parse).ok_or_else(|| {
        let message = format!("`{}` has no credential providers", said.trim());
        Failure::new(Exit::Usage, message)
            .hint(format!("Kubernetes {} is the first that has them", Release::FIRST))
    })
}
