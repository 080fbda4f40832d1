//! Takes back what was installed, by the record, and nothing else: first the kubelet's arguments
//! with a restart, then the configuration, at last the program.

use crate::config::SYSTEM_PATH;
use crate::failure::{Exit, Failure};
use crate::kubelet::flags::CONFIG;
use crate::program::PROGRAM;
use crate::setup::begin;
use crate::setup::kubelet::obstacle;
use crate::setup::kubelet_arguments::{Launch, is_own};
use crate::setup::options::Options;
use crate::setup::outcome::{Outcome, Shown};
use crate::setup::provider_file::{self, Added};
use crate::setup::refresh_timer;
use crate::setup::restart::{put_back, read_again};
use crate::setup::steps::{Change, Steps, lock, put_back_killed, unreadable};
use crate::setup::systemd::{Systemd, is_healthy, running_arguments};
use crate::setup::tree::{Entry, Tree};
use crate::setup::undo::{self, Changed, Record, State, What};
use crate::system::stop::Stop;

/// The order in which files go: at each moment a kubelet finds what its arguments name.
const ORDER: [What; 7] = [
    What::Arguments,
    What::Providers,
    What::Refresh,
    What::Configuration,
    What::SecondName,
    What::Previous,
    What::Program,
];

/// Uninstalls.
///
/// # Errors
///
/// What keeps it from being taken back; then everything is as it was.
pub fn run(options: &Options, stop: &Stop) -> Result<Outcome, Failure> {
    let tree = begin(options)?;
    let _lock = lock(&tree)?;
    let path = undo::path();
    let Some(mut record) = Record::read(&tree).map_err(unreadable(&path))? else {
        if undo::is_of_script(&tree) {
            let message = format!("{} has the record of an earlier install.sh", undo::FOLDER);
            return Err(Failure::new(Exit::Usage, message)
                .hint("uninstall with the uninstall.sh of that version"));
        }
        undo::forget(&tree);
        let message = format!("nothing is recorded in {}", undo::FOLDER);
        return Err(Failure::new(Exit::Usage, message)
            .hint("setup install has done nothing here, or it is undone"));
    };
    let mut outcome = Outcome::default();
    if record.unfinished.is_some() {
        outcome.say("a run was killed on this node; what it had begun is put back first");
        if options.dry_run {
            outcome.restart = record.unfinished.is_some_and(|unfinished| unfinished.restarted);
            outcome.state = "would uninstall";
            return Ok(outcome);
        }
        let was_restarted = put_back_killed(&tree, &mut record)?;
        if was_restarted && options.is_live() {
            read_again(&tree, options, stop)?;
        }
        if record == Record::default() {
            outcome.state = "uninstalled";
            return Ok(outcome);
        }
    }
    let node = Node { tree: &tree, record, launch: Launch::find(&tree, options.is_live()).ok() };
    let changes = node.plan(&mut outcome)?;
    outcome.restart =
        changes.iter().any(|change| matches!(change.what, What::Arguments | What::Providers));
    outcome.changes = changes.iter().map(|change| Shown::of(&tree, change)).collect();
    if options.dry_run {
        outcome.state = "would uninstall";
        return Ok(outcome);
    }
    node.apply(&changes, options, stop, outcome.restart)?;
    outcome.state = "uninstalled";
    Ok(outcome)
}

struct Node<'n> {
    tree: &'n Tree,
    record: Record,
    launch: Option<Launch>,
}

impl Node<'_> {
    fn plan(&self, outcome: &mut Outcome) -> Result<Vec<Change>, Failure> {
        let mut changes = Vec::new();
        let mut others_stay = false;
        for what in ORDER {
            for known in self.record.of(what) {
                let there = self.tree.entry(&known.path).map_err(unreadable(&known.path))?;
                // What was there before is nobody's change either.
                let is_known = [&known.after, &known.before]
                    .iter()
                    .any(|state| state.has_content_of(there.as_ref()));
                let wanted = match (what, &there) {
                    // Somebody has removed it since: it stays away.
                    (What::Arguments | What::Providers, None) => None,
                    _ if is_known => self.original(known)?,
                    (What::Arguments, Some(there)) if !is_own(&known.path) => {
                        self.without_arguments(known, there)?
                    }
                    (What::Providers, Some(there)) => {
                        let (wanted, has_others) = self.without_providers(known, there)?;
                        others_stay |= has_others;
                        wanted
                    }
                    (What::Configuration, Some(there)) => {
                        let kept = format!("{SYSTEM_PATH}.edited");
                        outcome.say(format!(
                            "{SYSTEM_PATH} was changed since it was installed; that is kept as {kept}"
                        ));
                        changes.push(Change::new(kept, what, Some(there.clone())));
                        self.original(known)?
                    }
                    _ => self.original(known)?,
                };
                if wanted != there {
                    changes.push(Change::new(known.path.clone(), what, wanted));
                }
            }
        }
        if others_stay {
            outcome.say("there are other providers since; the kubelet's arguments stay for them");
            changes.retain(|change| change.what != What::Arguments);
        }
        self.check(&changes)?;
        Ok(changes)
    }

    /// The file as it was before the first run.
    fn original(&self, known: &Changed) -> Result<Option<Entry>, Failure> {
        let copy = undo::original(&known.path);
        let entry = undo::copy(self.tree, &copy, &known.before).map_err(unreadable(&copy))?;
        Ok(match entry {
            // What root runs nobody else may write, whatever was there.
            Some(Entry::File { bytes, mode, owner }) if known.what == What::Program => {
                Some(Entry::File { bytes, mode: mode & !0o022, owner })
            }
            entry => entry,
        })
    }

    fn without_arguments(&self, known: &Changed, there: &Entry) -> Result<Option<Entry>, Failure> {
        let (Some(launch), Some(variable)) = (&self.launch, &known.variable) else {
            let message = format!("{} has changed since, and is not ours", known.path);
            return Err(Failure::new(Exit::Usage, message)
                .hint(format!("take out by hand: {}", known.added.join(" "))));
        };
        let text = launch.taken_out(self.tree, &known.path, variable, &known.added)?;
        let is_empty = text.lines().all(|line| {
            let line = line.trim();
            let rest = line.strip_prefix(variable.as_str()).map(str::trim_start);
            line.is_empty() || rest.is_some_and(|rest| ["=", "=\"\"", "=''"].contains(&rest))
        });
        if known.before == State::Absent && is_empty {
            return Ok(None);
        }
        Ok(Some(like(there, text)))
    }

    /// The file without our providers, and whether others have put theirs into it since.
    fn without_providers(
        &self,
        known: &Changed,
        there: &Entry,
    ) -> Result<(Option<Entry>, bool), Failure> {
        let added = Added { providers: known.added.clone(), patterns: known.patterns.clone() };
        let unsure = |why: String| {
            let message =
                format!("{} is no longer in a form that can be edited safely: {why}", known.path);
            Failure::new(Exit::Usage, message)
                .hint(format!("take {PROGRAM} out of it by hand and run this again"))
        };
        let text = self.tree.text(&known.path).map_err(|error| unsure(error.to_string()))?;
        let text = text.unwrap_or_default();
        let taken = provider_file::taken_out(&text, &added);
        let text = taken.map_err(|why| unsure(why.to_string()))?;
        let names = provider_file::names(&text);
        let original = self.original(known)?;
        if let Some(Entry::File { bytes, .. }) = &original
            && *bytes == text.as_bytes()
        {
            return Ok((original, false));
        }
        if names.is_empty() && known.before == State::Absent {
            return Ok((None, false));
        }
        let is_named = self.record.arguments().iter().any(|flag| {
            let config = flag.strip_prefix(CONFIG).and_then(|rest| rest.strip_prefix('='));
            config.is_some_and(|config| known.path.starts_with(config))
        });
        Ok((Some(like(there, text)), !names.is_empty() && is_named))
    }

    /// The tree as it would be.
    fn after(&self, changes: &[Change]) -> Result<Tree, Failure> {
        let mut after = self.tree.clone();
        for Change { path, wanted, .. } in changes {
            after.lay(path, wanted.clone()).map_err(unreadable(path))?;
        }
        Ok(after)
    }

    /// The kubelet would start without us.
    fn check(&self, changes: &[Change]) -> Result<(), Failure> {
        let Some(launch) = &self.launch else { return Ok(()) };
        let launch = launch.clone().by_files();
        let after = self.after(changes)?;
        let arguments = launch.arguments(&after).map_err(unreadable(launch.service))?;
        obstacle(&after, &arguments, None).map_or(Ok(()), |why| Err(missed(&why)))
    }

    fn apply(
        &self,
        changes: &[Change],
        options: &Options,
        stop: &Stop,
        restart: bool,
    ) -> Result<(), Failure> {
        let live = options.is_live();
        let service = self.launch.as_ref().map_or("kubelet", |launch| launch.service);
        let systemd = Systemd::of(self.tree).watching(options.watch(), stop);
        let is_running = live && systemd.is_active(service);
        let says_health = is_running && is_healthy();
        let after = self.after(changes)?;
        let mut steps = Steps::begin(self.tree, self.record.clone(), changes, stop)?;
        let mut done = || {
            let is_kubelets =
                |change: &&Change| matches!(change.what, What::Arguments | What::Providers);
            let (first, rest): (Vec<&Change>, Vec<&Change>) = changes.iter().partition(is_kubelets);
            let owned = |changes: Vec<&Change>| changes.into_iter().cloned().collect::<Vec<_>>();
            steps.make(&owned(first))?;
            if live {
                systemd.reload()?;
            }
            if restart && is_running {
                steps.restarting()?;
                systemd.restart(service)?;
                systemd.comes_up(service, says_health)?;
                // What only the running kubelet shows may still lead to us.
                let now = running_arguments(self.tree).unwrap_or_default();
                let now: Vec<String> = std::iter::once(String::new()).chain(now).collect();
                if let Some(why) = obstacle(&after, &now, None) {
                    return Err(missed(&why));
                }
            }
            if live && self.record.of(What::Refresh).next().is_some() {
                systemd.stop(&refresh_timer::name());
            }
            steps.make(&owned(rest))
        };
        match done() {
            Ok(()) => {
                steps.uninstalled();
                if live {
                    systemd.reload()?;
                }
                Ok(())
            }
            Err(failure) => Err(put_back(steps, service, &systemd, says_health, failure)),
        }
    }
}

fn missed(why: &str) -> Failure {
    Failure::new(Exit::Usage, format!("the kubelet would not start without {PROGRAM}: {why}")).hint(
        "somebody else has set its arguments or providers; change those first, then run this again",
    )
}

/// A text with the mode and the owner of a file.
fn like(there: &Entry, text: String) -> Entry {
    match there {
        Entry::File { mode, owner, .. } => {
            Entry::File { bytes: text.into_bytes(), mode: *mode, owner: *owner }
        }
        Entry::Link(_) => Entry::file(text, 0o644),
    }
}
