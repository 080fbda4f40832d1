//! Installs the program on a node: what was decided is done, and put back if the kubelet does not like
//! it.

use std::process::{Command, Stdio};

use crate::config::SYSTEM_PATH;
use crate::failure::{Exit, Failure};
use crate::kubelet::flags::{BIN_DIR, CONFIG};
use crate::setup::begin;
use crate::setup::options::Options;
use crate::setup::outcome::{Outcome, Shown};
use crate::setup::plan::{Node, Plan};
use crate::setup::refresh_timer;
use crate::setup::restart::{put_back, read_again};
use crate::setup::steps::{Change, Steps, drop_copies, lock, put_back_killed, unreadable};
use crate::setup::systemd::{Systemd, is_healthy, running_arguments};
use crate::setup::tree::Tree;
use crate::setup::undo::{self, Record, What};
use crate::system::stop::Stop;

/// Installs.
///
/// # Errors
///
/// What keeps it from being installed; then everything is as it was.
pub fn run(options: &Options, stop: &Stop) -> Result<Outcome, Failure> {
    let mut tree = begin(options)?;
    let _lock = lock(&tree)?;
    let mut record = read_record(&tree)?;
    let mut outcome = Outcome::default();
    let mut is_stale = false;
    if let Some(unfinished) = record.unfinished.clone() {
        outcome.say("a run was killed on this node; what it had begun is put back first");
        if options.dry_run {
            for (path, state) in &unfinished.files {
                let entry = undo::copy(&tree, &undo::meanwhile(path), state);
                tree.lay(path, entry.map_err(unreadable(path))?).map_err(unreadable(path))?;
            }
            let own = undo::path();
            let before = tree.entry(&undo::meanwhile(&own)).map_err(unreadable(&own))?;
            tree.lay(&own, before).map_err(unreadable(&own))?;
            record = read_record(&tree)?;
            is_stale = unfinished.restarted;
        } else {
            let was_restarted = put_back_killed(&tree, &mut record)?;
            if was_restarted && options.is_live() {
                read_again(&tree, options, stop)?;
            }
        }
    } else if !options.dry_run {
        // Of a run that was killed when all was done.
        drop_copies(&tree);
    }
    let mut node = Node::look(&tree, options, record)?;
    // The run would restart the kubelet first, so what it has now does not count.
    node.running = node.running.filter(|_| !is_stale);
    let plan = node.plan(&mut outcome)?;
    outcome.restart = plan.is_kubelets() || is_stale;
    if plan.is_empty() {
        return node.in_place(outcome);
    }
    outcome.changes = plan.changes.iter().map(|change| Shown::of(&tree, change)).collect();
    if options.dry_run {
        outcome.state = "would install";
        return Ok(outcome);
    }
    node.apply(&plan, stop, &mut outcome)?;
    outcome.state = "installed";
    Ok(outcome)
}

fn read_record(tree: &Tree) -> Result<Record, Failure> {
    let path = undo::path();
    let record = Record::read(tree).map_err(unreadable(&path))?;
    if record.is_none() && undo::is_of_script(tree) {
        return Err(Failure::new(
            Exit::Usage,
            format!("{} has the record of an earlier install.sh", undo::FOLDER),
        )
        .hint("uninstall with the uninstall.sh of that version first"));
    }
    Ok(record.unwrap_or_default())
}

impl Node<'_> {
    fn apply(&self, plan: &Plan, stop: &Stop, outcome: &mut Outcome) -> Result<(), Failure> {
        let live = self.options.is_live();
        let service = self.launch.service;
        let systemd = Systemd::of(self.tree).watching(self.options.watch(), stop);
        let is_running = live && systemd.is_active(service);
        let says_health = is_running && is_healthy();
        let mut steps = Steps::begin(self.tree, self.record.clone(), &plan.changes, stop)?;
        let mut removed = 0;
        let mut done = || {
            let is_early = |change: &&Change| {
                !matches!(change.what, What::Providers | What::Arguments | What::Refresh)
                    && change.wanted.is_some()
            };
            let is_record = |change: &&Change| change.what == What::PullRecord;
            let (records, others): (Vec<&Change>, Vec<&Change>) =
                plan.changes.iter().partition(is_record);
            let (early, late): (Vec<&Change>, Vec<&Change>) =
                others.into_iter().partition(is_early);
            let owned = |changes: Vec<&Change>| changes.into_iter().cloned().collect::<Vec<_>>();
            steps.make(&owned(early))?;
            self.prove(&plan.program)?;
            if let Some(images) = &plan.images {
                if is_running {
                    steps.restarting()?;
                    systemd.halt(service)?;
                }
                // Records go last: an image without one counts as preloaded, which is open.
                images.remove(&mut removed)?;
                steps.make(&owned(records))?;
            }
            steps.make(&owned(late))?;
            if !live {
                return Ok(());
            }
            systemd.reload()?;
            if outcome.restart && is_running {
                steps.restarting()?;
                systemd.restart(service)?;
                systemd.comes_up(service, says_health)?;
                self.compare()?;
            } else if outcome.restart {
                outcome.say("the kubelet is not running; it takes the arguments when it starts");
            }
            if plan.changes.iter().any(|change| change.what == What::Refresh) {
                systemd.restart(&refresh_timer::name())?;
            }
            Ok(())
        };
        let done = done().and_then(|()| steps.installed(&plan.changes));
        done.map_err(|failure| {
            let failure = put_back(steps, service, &systemd, says_health, failure);
            match removed {
                0 => failure,
                _ => failure
                    .caused_by(format!("images removed before: {removed}; pods pull them again")),
            }
        })
    }

    /// The program runs where it is now, and takes the configuration.
    fn prove(&self, program: &str) -> Result<(), Failure> {
        let place = self.tree.place(program).map_err(unreadable(program))?;
        let config = self.tree.place(SYSTEM_PATH).map_err(unreadable(SYSTEM_PATH))?;
        let mut runs = vec![vec!["--version".into()]];
        if config.exists() {
            let config = config.into_os_string();
            runs.push(vec!["--config".into(), config, "doctor".into(), "--config-only".into()]);
        }
        for arguments in runs {
            let output = Command::new(&place)
                .args(arguments)
                .env_clear()
                .stdin(Stdio::null())
                .output()
                .map_err(|error| {
                    Failure::new(Exit::Usage, format!("{program} does not run: {error}"))
                        .hint("see that it is for this machine and its folder not mounted noexec")
                })?;
            if !output.status.success() {
                let said = [output.stdout, output.stderr].concat();
                let said = String::from_utf8_lossy(&said).into_owned();
                let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
                return Err(Failure::new(
                    Exit::Usage,
                    format!("{program} refuses the configuration: {}", line.trim()),
                ));
            }
        }
        Ok(())
    }

    /// Every argument that the kubelet had is there again, and ours are.
    fn compare(&self) -> Result<(), Failure> {
        if !self.launch.is_visible() {
            return Ok(());
        }
        let Some(now) = running_arguments(self.tree) else { return Ok(()) };
        let ours = self.record.arguments();
        let is_theirs = |flag: &&String| !flag.is_empty() && !ours.contains(flag);
        let before = self.running.iter().flatten().filter(is_theirs);
        let missing: Vec<&str> =
            before.filter(|flag| !now.contains(flag)).map(String::as_str).collect();
        if !missing.is_empty() {
            let message = format!("the kubelet has lost {}", missing.join(" "));
            return Err(Failure::new(Exit::Unexpected, message));
        }
        if [CONFIG, BIN_DIR].iter().all(|flag| now.iter().any(|word| word.starts_with(flag))) {
            return Ok(());
        }
        Err(Failure::new(Exit::Usage, "the kubelet runs without the arguments that were written")
            .hint("see what its unit reads: systemctl cat kubelet"))
    }
}
