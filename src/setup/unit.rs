//! What systemd runs for a service: its unit, all drop-ins in their order, its variables and the
//! command line that comes of them.
//!
//! The rules are those of systemd 252 and 257: a drop-in hides those of the same name in folders of
//! less weight, a link to `/dev/null` or an empty file takes its place and says nothing, all are
//! read in the order of their names, and an empty assignment forgets what stood before it.

use std::collections::HashMap;
use std::io;
use std::ops::Range;

use crate::setup::env_file::{self, Comments};
use crate::setup::manager;
use crate::setup::tree::Tree;
use crate::setup::unit_files::{in_folders, is_mask, matching};
use crate::setup::unit_text::{Line, lines, plain, words};

/// Where units and drop-ins are, in the order of their weight.
const FOLDERS: [&str; 13] = [
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
];

/// The section of what a service runs.
pub const SERVICE: &str = "[Service]";

/// A service as systemd would load it.
#[derive(Debug, Clone)]
pub struct Unit {
    /// The unit and its drop-ins, in the order in which they are read.
    pub files: Vec<String>,
    pub command: Option<Command>,
    pub variables: Vec<Variable>,
    /// Those of `EnvironmentFile=`, patterns replaced by the files that they find.
    pub environment_files: Vec<String>,
    /// Names, or names with values, of `UnsetEnvironment=`. They count last.
    unset: Vec<String>,
    /// In the order in which they are read.
    assignments: Vec<Assignment>,
}

/// A line of a unit or drop-in as it stands there.
#[derive(Debug, Clone)]
pub struct Assignment {
    section: String,
    pub key: String,
    pub value: String,
    pub file: String,
}

/// The last `ExecStart=`.
#[derive(Debug, Clone)]
pub struct Command {
    /// As it stands there, lines that go on in one.
    pub text: String,
    words: Vec<String>,
}

/// An assignment of `Environment=`.
#[derive(Debug, Clone)]
pub struct Variable {
    pub name: String,
    pub value: String,
    pub file: String,
    /// Of the raw word in the file, name and quotes included.
    raw: Range<usize>,
}

/// Where the value of a variable that counts is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// In a file of `EnvironmentFile=`.
    File(String),
    /// In a unit or drop-in.
    Unit(String),
    /// In what systemd gives each service.
    Manager,
}

/// The unit file of a service, if there is one that is not masked.
#[must_use]
pub fn fragment(tree: &Tree, service: &str) -> Option<String> {
    unit_file(tree, service).filter(|path| !is_mask(tree, path))
}

/// Whether a service has a unit file that is a link to `/dev/null`.
#[must_use]
pub fn is_masked(tree: &Tree, service: &str) -> bool {
    unit_file(tree, service).is_some_and(|path| is_mask(tree, &path))
}

/// The first file of that name, in the order in which systemd looks.
fn unit_file(tree: &Tree, service: &str) -> Option<String> {
    let mut paths = FOLDERS.iter().map(|folder| format!("{folder}/{service}"));
    paths.find(|path| tree.exists(path))
}

impl Unit {
    /// Reads a service. `known` are the files that a running systemd names, where there is one;
    /// `without` is a drop-in that is left out.
    ///
    /// # Errors
    ///
    /// A file that is there and cannot be read.
    pub fn read(
        tree: &Tree,
        service: &str,
        known: Option<Vec<String>>,
        without: &str,
    ) -> io::Result<Option<Self>> {
        let mut files = match known {
            Some(files) => files,
            None => match fragment(tree, service) {
                Some(fragment) => [vec![fragment], drop_ins(tree, service)].concat(),
                None => return Ok(None),
            },
        };
        files.retain(|file| file != without);
        let mut unit = Self {
            files,
            command: None,
            variables: Vec::new(),
            environment_files: Vec::new(),
            unset: Vec::new(),
            assignments: Vec::new(),
        };
        for file in unit.files.clone() {
            let text = tree.text(&file)?.unwrap_or_default();
            unit.take(&file, &text, tree);
        }
        Ok(Some(unit))
    }

    fn take(&mut self, file: &str, text: &str, tree: &Tree) {
        for Line { section, key, value } in lines(text) {
            let plain = plain(&value);
            let (its_file, is_services) = (file.to_owned(), section == SERVICE);
            let its = Assignment { section, key, value: plain.clone(), file: its_file };
            self.assignments.push(its.clone());
            if !is_services {
                continue;
            }
            match its.key.as_str() {
                "ExecStart" if plain.is_empty() => self.command = None,
                "ExecStart" => {
                    let words = words(&value).into_iter().map(|word| word.text).collect();
                    self.command = Some(Command { text: plain, words });
                }
                "Environment" if plain.is_empty() => self.variables.clear(),
                "Environment" => {
                    for word in words(&value) {
                        if let Some((name, value)) = word.text.split_once('=') {
                            let (name, value) = (name.to_owned(), value.to_owned());
                            let file = file.to_owned();
                            self.variables.push(Variable { name, value, file, raw: word.raw });
                        }
                    }
                }
                "UnsetEnvironment" if plain.is_empty() => self.unset.clear(),
                "UnsetEnvironment" => {
                    self.unset.extend(words(&value).into_iter().map(|word| word.text));
                }
                "EnvironmentFile" if plain.is_empty() => self.environment_files.clear(),
                "EnvironmentFile" => {
                    let path = plain.strip_prefix('-').unwrap_or(&plain);
                    self.environment_files.extend(matching(tree, path));
                }
                _ => {}
            }
        }
    }

    /// What counts of a key's assignments in a section such as `[Unit]`: an empty one forgets those
    /// before it.
    #[must_use]
    pub fn values(&self, section: &str, key: &str) -> Vec<&Assignment> {
        let mut all = Vec::new();
        let is_its = |line: &&Assignment| line.section == section && line.key == key;
        for line in self.assignments.iter().filter(is_its) {
            if line.value.is_empty() { all.clear() } else { all.push(line) }
        }
        all
    }

    /// The conditions that count: all keys that begin with `Condition` or `Assert`. An empty one
    /// forgets those of all keys.
    #[must_use]
    pub fn conditions(&self, kind: &str) -> Vec<&Assignment> {
        let mut all = Vec::new();
        for line in self.assignments.iter().filter(|line| line.key.starts_with(kind)) {
            if line.value.is_empty() { all.clear() } else { all.push(line) }
        }
        all
    }

    /// The variables that the service gets, and where each is set: those of systemd first, and files
    /// after the unit's own.
    ///
    /// # Errors
    ///
    /// A file that is there and cannot be read.
    pub fn environment(
        &self,
        tree: &Tree,
        comments: Comments,
    ) -> io::Result<HashMap<String, (String, Setting)>> {
        let names = self.values(SERVICE, "PassEnvironment");
        let passed = manager::passed(tree, names.iter().flat_map(|line| line.value.split(' ')));
        let given = manager::variables(tree)?.into_iter().chain(passed);
        let mut all: HashMap<_, _> =
            given.map(|(name, value)| (name, (value, Setting::Manager))).collect();
        for Variable { name, value, file, .. } in &self.variables {
            all.insert(name.clone(), (value.clone(), Setting::Unit(file.clone())));
        }
        for file in &self.environment_files {
            let text = tree.text(file)?.unwrap_or_default();
            for assignment in env_file::read(&text, comments) {
                let setting = Setting::File(file.clone());
                all.insert(assignment.name, (assignment.value, setting));
            }
        }
        for unset in &self.unset {
            match unset.split_once('=') {
                None => drop(all.remove(unset)),
                Some((name, value)) => all.retain(|known: &String, (set, _): &mut (String, _)| {
                    known != name || set != value
                }),
            }
        }
        Ok(all)
    }

    /// The last assignment of a variable in a unit or drop-in.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.iter().rfind(|variable| variable.name == name)
    }

    /// The command line with its variables put in, as the process gets it.
    ///
    /// # Errors
    ///
    /// A file that is there and cannot be read.
    pub fn arguments(&self, tree: &Tree, comments: Comments) -> io::Result<Vec<String>> {
        let Some(command) = &self.command else { return Ok(Vec::new()) };
        let environment = self.environment(tree, comments)?;
        let value = |name: &str| environment.get(name).map_or("", |(value, _)| value.as_str());
        let mut all = Vec::new();
        for (number, word) in command.words.iter().enumerate() {
            match whole_variable(word) {
                Some(name) if command.is_expanded() => {
                    let raw: Vec<_> = value(name).chars().enumerate().collect();
                    all.extend(words(&raw).into_iter().map(|word| word.text));
                }
                _ if number == 0 => all.push(command.program().to_owned()),
                _ if command.is_expanded() => all.push(in_braces(word, value)),
                _ => all.push(word.clone()),
            }
        }
        Ok(all)
    }
}

impl Variable {
    /// The file's text with another raw word in the place of this one.
    #[must_use]
    pub fn replaced(&self, text: &str, with: impl FnOnce(&str) -> String) -> Option<String> {
        let old = text.get(self.raw.clone())?;
        let new = with(old);
        let mut text = text.to_owned();
        text.replace_range(self.raw.clone(), &new);
        Some(text)
    }
}

impl Command {
    /// What is run, without the marks that systemd takes before it.
    #[must_use]
    pub fn program(&self) -> &str {
        self.words
            .first()
            .map_or("", |word| word.trim_start_matches(['-', '@', '+', '!', ':', '|']))
    }

    /// The variables that stand as words of their own, whose values become arguments.
    #[must_use]
    pub fn variables(&self) -> Vec<&str> {
        if !self.is_expanded() {
            return Vec::new();
        }
        self.words.iter().filter_map(|word| whole_variable(word)).collect()
    }

    fn is_expanded(&self) -> bool {
        let marks = self.words.first().map_or("", String::as_str);
        let end = marks.find(|c| !"-@+!:|".contains(c)).unwrap_or(marks.len());
        !marks.get(..end).unwrap_or_default().contains(':')
    }
}

/// `$NAME` alone, which is split at its spaces.
fn whole_variable(word: &str) -> Option<&str> {
    let name = word.strip_prefix('$')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!name.is_empty() && name.chars().all(is_name)).then_some(name)
}

/// `${NAME}` anywhere in a word, which stays one; `$$` is a dollar.
fn in_braces<'v>(word: &str, value: impl Fn(&str) -> &'v str) -> String {
    let mut text = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            text.push('$');
            rest = after;
        } else if let Some((name, after)) =
            after.strip_prefix('{').and_then(|after| after.split_once('}'))
        {
            text.push_str(value(name));
            rest = after;
        } else {
            text.push('$');
            rest = after;
        }
    }
    text + rest
}

/// The drop-ins of a service, and those of all services.
fn drop_ins(tree: &Tree, service: &str) -> Vec<String> {
    let of = |name: &str| FOLDERS.map(|folder| format!("{folder}/{name}.d"));
    in_folders(tree, of(service).into_iter().chain(of("service")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::tree::Entry;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::new(std::path::Path::new("/proc/self/fdinfo")).unwrap();
        for (path, text) in files {
            let entry = match text.strip_prefix("-> ") {
                Some(target) => Entry::Link(target.into()),
                None => Entry::file(*text, 0o644),
            };
            tree.lay(path, Some(entry)).unwrap();
        }
        tree
    }

    fn arguments(files: &[(&str, &str)]) -> Vec<String> {
        let tree = tree(files);
        let unit = Unit::read(&tree, "kubelet.service", None, "").unwrap().unwrap();
        unit.arguments(&tree, Comments::End).unwrap()
    }

    const UNIT: &str = "/usr/lib/systemd/system/kubelet.service";

    #[test]
    fn words_of_a_command_line() {
        let line = "[Unit]\nExecStart=/no\n[Service]\nEnvironment=\"A=--a  --b\" B=c\\x\n\
                    ExecStart = -/k 'one two' $A ${A} x${B}y $$A \\\n  # a comment\n  \"t\\\"u\" $NONE\n";
        assert_eq!(
            arguments(&[(UNIT, line)]),
            ["/k", "one two", "--a", "--b", "--a  --b", "xc\\xy", "$A", "t\"u"]
        );
    }

    #[test]
    fn drop_ins_in_their_order() {
        let unit = "[Service]\nExecStart=/k $A $B\nEnvironment=A=unit\n";
        let all = "/etc/systemd/system/service.d/50-all.conf";
        let own = "/run/systemd/system/kubelet.service.d/50-all.conf";
        let control = "/etc/systemd/system.control/kubelet.service.d/60.conf";
        let a = |value: &str| format!("[Service]\nEnvironment=A={value}\n");
        assert_eq!(arguments(&[(UNIT, unit), (all, &a("all"))]), ["/k", "all"]);
        assert_eq!(arguments(&[(UNIT, unit), (all, &a("all")), (own, &a("own"))]), ["/k", "own"]);
        assert_eq!(arguments(&[(UNIT, unit), (own, &a("own")), (control, &a("c"))]), ["/k", "c"]);
        assert_eq!(
            arguments(&[(UNIT, unit), (all, &a("all")), (own, "-> /dev/null")]),
            ["/k", "unit"]
        );
        assert_eq!(arguments(&[(UNIT, unit), (all, &a("all")), (own, "")]), ["/k", "unit"]);
    }

    #[test]
    fn files_patterns_and_resets() {
        let unit = "[Service]\nExecStart=/k $A\nEnvironment=A=unit\nEnvironmentFile=-/etc/d/k*\n";
        let one = ("/etc/d/k1", "A=one\n");
        let two = ("/etc/d/k2", "A = two three\n");
        assert_eq!(
            arguments(&[(UNIT, unit), one, two, ("/etc/d/x", "A=x\n")]),
            ["/k", "two", "three"]
        );
        let reset =
            ("/etc/systemd/system/kubelet.service.d/9.conf", "[Service]\nEnvironmentFile=\n");
        assert_eq!(arguments(&[(UNIT, unit), one, two, reset]), ["/k", "unit"]);
        let masked = ("/etc/systemd/system/kubelet.service", "-> /dev/null");
        let tree = tree(&[(UNIT, unit), masked]);
        assert!(Unit::read(&tree, "kubelet.service", None, "").unwrap().is_none());
    }

    #[test]
    fn an_assignment_is_found_in_the_file() {
        let text = "[Service]\nEnvironment=\"X=y\" \\\n  'A=--a --b'\n";
        let tree = tree(&[(UNIT, text)]);
        let unit = Unit::read(&tree, "kubelet.service", None, "").unwrap().unwrap();
        let new = unit.variable("A").unwrap().replaced(text, |raw| format!("<{raw}>")).unwrap();
        assert_eq!(new, "[Service]\nEnvironment=\"X=y\" \\\n  <'A=--a --b'>\n");
    }
}
