//! What keeps systemd from starting a unit: programs, files, folders and accounts that it names and that
//! are not there, conditions that do not hold, and lines that systemd refuses.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::doctor::kubelet::unstartable;
use crate::setup::tree::Tree;
use crate::setup::unit::{self, Assignment, SERVICE, Unit};
use crate::setup::unit_files;

/// Where systemd looks for a program without a path, unless `ExecSearchPath=` says otherwise.
const SEARCHED: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where kubelets are that systemd does not find by their name.
const ELSEWHERE: [&str; 3] = ["/opt/bin", "/opt/kubernetes/bin", "/usr/local/kubernetes/bin"];

const UNIT: &str = "[Unit]";

/// One reason why systemd does not start a unit, and what to do.
pub(super) struct Obstacle {
    pub what: String,
    pub remedy: String,
}

/// All that is seen in a unit's files and in what they name.
pub(super) fn obstacles(tree: &Tree, name: &str, unit: &Unit) -> Vec<Obstacle> {
    let looked = Looked { tree, name, unit };
    let all = looked.commands().into_iter().chain(looked.programs()).chain(looked.files());
    let all = all.chain(looked.folders()).chain(looked.accounts());
    all.chain(looked.conditions()).chain(looked.units()).collect()
}

struct Looked<'u> {
    tree: &'u Tree,
    name: &'u str,
    unit: &'u Unit,
}

impl Looked<'_> {
    /// A type of which systemd takes one command alone has more.
    fn commands(&self) -> Option<Obstacle> {
        let kind = self.last("Type").map_or("simple", |line| line.value.as_str());
        let starts = self.unit.values(SERVICE, "ExecStart");
        let name = self.name;
        let (before, last) = match starts.as_slice() {
            [] => {
                return Some(Obstacle {
                    what: format!("{name}.service has no ExecStart=: systemd does not start it"),
                    remedy: format!(
                        "remove the empty `ExecStart=`, or put the kubelet's command behind it: systemctl cat {name} | grep -F ExecStart"
                    ),
                });
            }
            [.., before, last] if kind != "oneshot" => (before, last),
            _ => return None,
        };
        let file = &last.file;
        let remedy = if before.file == *file {
            format!("delete all ExecStart= but one in {file}; systemctl daemon-reload")
        } else {
            // What is in the place of the first one begins with an assignment that forgets others.
            format!(
                "sed -i '0,/^ *ExecStart *=/s//ExecStart=\\nExecStart=/' {file}; systemctl daemon-reload"
            )
        };
        Some(Obstacle {
            what: format!(
                "{name}.service has ExecStart= {} times, in {} and in {file}, with Type={kind}, which may have one: systemd does not start it",
                starts.len(),
                before.file
            ),
            remedy,
        })
    }

    /// Of all commands without whose success the unit does not start.
    fn programs(&self) -> Vec<Obstacle> {
        let keys = ["ExecCondition", "ExecStartPre", "ExecStart", "ExecStartPost"];
        let mut found = Vec::new();
        for line in keys.into_iter().flat_map(|key| self.unit.values(SERVICE, key)) {
            let word = line.value.split_whitespace().next().unwrap_or_default().replace('"', "");
            let program = word.trim_start_matches(['-', '@', '+', '!', ':', '|']);
            let marks = word.strip_suffix(program).unwrap_or_default();
            let may_fail = marks.contains('-') && line.key != "ExecStart";
            if !may_fail && !program.contains(['%', '$', '\'']) && !program.is_empty() {
                found.extend(self.program(&line.key, program));
            }
        }
        found
    }

    fn program(&self, key: &str, program: &str) -> Option<Obstacle> {
        if !program.starts_with('/') {
            return self.named(key, program);
        }
        let name = self.name;
        let Some(path) = self.tree.target(program) else { return Some(self.missing(program)) };
        let found = fs::metadata(&path).ok()?;
        if found.is_file() && found.mode() & 0o111 == 0 {
            return Some(Obstacle {
                what: format!("{name}.service starts {program}, which is not executable"),
                remedy: format!("chmod 0755 {program}"),
            });
        }
        let (what, remedy) = unstartable::by_form(self.tree.root(), &path, program)?;
        Some(Obstacle { what: format!("{name}.service: {what}"), remedy })
    }

    /// A program without a path.
    fn named(&self, key: &str, program: &str) -> Option<Obstacle> {
        let searched = self.last("ExecSearchPath").map_or(SEARCHED, |line| line.value.as_str());
        let is_in = |folder: &&str| self.tree.target(&format!("{folder}/{program}")).is_some();
        if !program.contains('/') && searched.split(':').any(|folder| is_in(&folder)) {
            return None;
        }
        let remedy = match ELSEWHERE.iter().find(|folder| is_in(folder)) {
            Some(folder) if !program.contains('/') => {
                format!("ln -s {folder}/{program} /usr/local/bin/{program}")
            }
            _ => format!(
                "give {program} with its whole path: systemctl cat {} | grep -F {program}",
                self.name
            ),
        };
        let what = format!(
            "{}.service: {key}= starts {program}, which systemd does not find in {searched}",
            self.name
        );
        Some(Obstacle { what, remedy })
    }

    /// Files without the mark that makes them optional, and the folders of logs.
    fn files(&self) -> Vec<Obstacle> {
        let mut found = Vec::new();
        for line in self.unit.values(SERVICE, "EnvironmentFile") {
            let path = line.value.trim_matches('"');
            let is_there = || {
                unit_files::matching(self.tree, path)
                    .iter()
                    .any(|file| self.tree.target(file).is_some())
            };
            if is_plain(path) && !is_there() {
                found.push(self.missing(path));
            }
        }
        for line in ["StandardOutput", "StandardError"].into_iter().filter_map(|key| self.last(key))
        {
            let file = ["append:", "file:", "truncate:"]
                .iter()
                .find_map(|form| line.value.strip_prefix(form));
            let folder = file.and_then(|file| file.rsplit_once('/')).map(|(folder, _)| folder);
            if let Some(folder) =
                folder.filter(|folder| is_plain(folder) && !self.is_folder(folder))
            {
                found.push(self.no_folder(&line.key, folder));
            }
        }
        found
    }

    /// Folders without the mark that makes them optional.
    fn folders(&self) -> Vec<Obstacle> {
        let mut found = Vec::new();
        if let Some(line) = self.last("WorkingDirectory")
            && is_plain(&line.value)
            && !self.is_folder(&line.value)
        {
            found.push(self.no_folder(&line.key, &line.value));
        }
        for line in ["ReadWritePaths", "ReadOnlyPaths"]
            .into_iter()
            .flat_map(|key| self.unit.values(SERVICE, key))
        {
            let paths = line.value.split_whitespace();
            // `+` counts from the service's own root, which is the machine's.
            let paths = paths.map(|path| path.strip_prefix('+').unwrap_or(path));
            let missing = paths.filter(|path| is_plain(path) && self.tree.target(path).is_none());
            found.extend(missing.map(|path| self.missing(path)));
        }
        found
    }

    fn is_folder(&self, path: &str) -> bool {
        self.tree.target(path).is_some_and(|place| place.is_dir())
    }

    fn no_folder(&self, key: &str, folder: &str) -> Obstacle {
        let what = format!(
            "{}.service: {key}= needs the folder {folder}, which is not there: systemd does not start it",
            self.name
        );
        Obstacle { what, remedy: format!("mkdir -p {folder}") }
    }

    /// The user and the group that the service runs as.
    fn accounts(&self) -> Vec<Obstacle> {
        if self.last("DynamicUser").is_some_and(|line| is_yes(&line.value)) {
            return Vec::new();
        }
        let named =
            [("User", "passwd", "useradd --system"), ("Group", "group", "groupadd --system")];
        let missing = |(key, table, adds): (&str, &str, &str)| {
            let account = self.last(key)?.value.as_str();
            let is_name = !account.contains('%') && account.parse::<u32>().is_err();
            if account.is_empty() || !is_name || self.may_have(table, account) {
                return None;
            }
            let name = self.name;
            let what = format!(
                "{name}.service: {key}={account}, which /etc/{table} does not have: systemd does not start it"
            );
            let remedy = format!(
                "{adds} {account}, or remove the line, so that root runs it: systemctl cat {name} | grep -F {key}="
            );
            Some(Obstacle { what, remedy })
        };
        named.into_iter().filter_map(missing).collect()
    }

    /// Whether a table of accounts has a name, or may have it from elsewhere than its file.
    fn may_have(&self, table: &str, account: &str) -> bool {
        let text = |path: &str| self.tree.text(path).ok().flatten().unwrap_or_default();
        let sources = text("/etc/nsswitch.conf");
        let of_table =
            |line: &str| line.trim().strip_prefix(table)?.strip_prefix(':').map(str::to_owned);
        let sources = sources.lines().find_map(of_table).unwrap_or_default();
        let is_seen = |source: &str| ["files", "compat", "systemd"].contains(&source);
        let is_there = |line: &str| line.split(':').next() == Some(account);
        !sources.split_whitespace().all(is_seen)
            || text(&format!("/etc/{table}")).lines().any(is_there)
    }

    /// Those about files. Of conditions with `|`, one that holds is enough.
    fn conditions(&self) -> Vec<Obstacle> {
        let mut found = Vec::new();
        for kind in ["Condition", "Assert"] {
            let lines = self.unit.conditions(kind);
            let (either, each): (Vec<_>, Vec<_>) =
                lines.into_iter().partition(|line| line.value.starts_with('|'));
            found.extend(each.into_iter().filter(|line| self.holds(kind, line) == Some(false)));
            if either.iter().all(|line| self.holds(kind, line) == Some(false)) {
                found.extend(either.into_iter().next());
            }
        }
        found.into_iter().map(|line| self.unmet(line)).collect()
    }

    /// None for a condition that is not about files.
    fn holds(&self, kind: &str, line: &Assignment) -> Option<bool> {
        let value = line.value.trim_start_matches(['|', ' ']);
        let (is_negated, path) =
            value.strip_prefix('!').map_or((false, value), |rest| (true, rest.trim()));
        if !is_plain(path) {
            return None;
        }
        let target = self.tree.target(path);
        let found = target.as_ref().and_then(|place| fs::metadata(place).ok());
        let holds = match line.key.strip_prefix(kind)? {
            "PathExists" => target.is_some(),
            "PathExistsGlob" => unit_files::matching(self.tree, path)
                .iter()
                .any(|file| self.tree.target(file).is_some()),
            "PathIsDirectory" => found.is_some_and(|found| found.is_dir()),
            "FileNotEmpty" => found.is_some_and(|found| found.is_file() && found.len() > 0),
            "FileIsExecutable" => {
                found.is_some_and(|found| found.is_file() && found.mode() & 0o111 != 0)
            }
            "DirectoryNotEmpty" => !self.tree.names(path).is_empty(),
            _ => return None,
        };
        Some(holds != is_negated)
    }

    fn unmet(&self, line: &Assignment) -> Obstacle {
        let (name, Assignment { key, value, file, .. }) = (self.name, line);
        let path = value.trim_start_matches(['|', '!', ' ']);
        let remedy = if value.contains('!') {
            format!("mv {path} {path}.away; systemctl start {name}")
        } else if key.ends_with("IsDirectory") {
            format!("mkdir -p {path}; systemctl start {name}")
        } else {
            format!(
                "put {path} there, or correct the line that names it: systemctl cat {name} | grep -F {path}"
            )
        };
        let what =
            format!("{name}.service: {key}={value} in {file} is false: systemd does not start it");
        Obstacle { what, remedy }
    }

    /// Services that have to run with it.
    fn units(&self) -> Vec<Obstacle> {
        let needed = ["Requires", "Requisite", "BindsTo"].into_iter();
        let lines = needed.flat_map(|key| self.unit.values(UNIT, key));
        let named = lines.flat_map(|line| line.value.split_whitespace());
        let named = named.filter(|named| named.strip_suffix(".service").is_some());
        let named = named.filter(|named| !named.contains(['@', '%']));
        let missing = named.filter(|named| unit::fragment(self.tree, named).is_none());
        let name = self.name;
        let obstacle = |named: &str| {
            let (state, remedy) = if unit::is_masked(self.tree, named) {
                ("is masked", format!("systemctl unmask {named}; systemctl start {name}"))
            } else {
                (
                    "does not exist",
                    format!(
                        "install {named}, or remove it from the line: systemctl cat {name} | grep -F {named}"
                    ),
                )
            };
            let what =
                format!("{name}.service needs {named}, which {state}: systemd does not start it");
            Obstacle { what, remedy }
        };
        missing.map(obstacle).collect()
    }

    fn last(&self, key: &str) -> Option<&Assignment> {
        self.unit.values(SERVICE, key).pop()
    }

    fn missing(&self, path: &str) -> Obstacle {
        let name = self.name;
        Obstacle {
            what: format!(
                "{name}.service needs {path}, which is not there: systemd does not start it"
            ),
            remedy: format!(
                "put {path} there, or correct the line that names it: systemctl cat {name} | grep -F {path}"
            ),
        }
    }
}

/// What systemd takes for yes.
fn is_yes(value: &str) -> bool {
    ["1", "yes", "y", "true", "t", "on"].contains(&value.to_ascii_lowercase().as_str())
}

/// A whole path that systemd takes as it stands, and without the `-` that makes it optional.
fn is_plain(path: &str) -> bool {
    path.starts_with('/') && !path.contains('%')
}
