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
use crate::setup::tree::{Entry, Tree};

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
        };
        for file in unit.files.clone() {
            let text = tree.text(&file)?.unwrap_or_default();
            unit.take(&file, &text, tree);
        }
        Ok(Some(unit))
    }

    fn take(&mut self, file: &str, text: &str, tree: &Tree) {
        for Line { key, value } in service_lines(text) {
            let plain = plain(&value);
            match key.as_str() {
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

    /// The variables that the service gets, and where each is set: files come after the unit's own.
    ///
    /// # Errors
    ///
    /// A file that is there and cannot be read.
    pub fn environment(
        &self,
        tree: &Tree,
        comments: Comments,
    ) -> io::Result<HashMap<String, (String, Setting)>> {
        let mut all = HashMap::new();
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
    let mut found: Vec<(String, String)> = Vec::new();
    for folder in of(service).into_iter().chain(of("service")) {
        for name in tree.names(&folder) {
            if name.strip_suffix(".conf").is_some()
                && !found.iter().any(|(known, _)| *known == name)
            {
                let path = format!("{folder}/{name}");
                found.push((name, path));
            }
        }
    }
    found.sort();
    found.into_iter().map(|(_, path)| path).filter(|path| !is_mask(tree, path)).collect()
}

fn is_mask(tree: &Tree, path: &str) -> bool {
    match tree.entry(path) {
        Ok(Some(Entry::File { bytes, .. })) => bytes.is_empty(),
        Ok(Some(Entry::Link(_))) => matches!(tree.text(path), Ok(None)),
        _ => true,
    }
}

/// The files that a path with `*`, `?` or `[…]` in its last part finds, or the path itself.
pub fn matching(tree: &Tree, path: &str) -> Vec<String> {
    let Some((folder, pattern)) = path.rsplit_once('/') else { return Vec::new() };
    if !pattern.contains(['*', '?', '[']) {
        return vec![path.to_owned()];
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let fits = |name: &String| {
        // A name that begins with a dot is found only by a pattern that does.
        name.starts_with('.') == pattern.starts_with(&['.'])
            && glob(&pattern, &name.chars().collect::<Vec<_>>())
    };
    tree.names(folder).into_iter().filter(fits).map(|name| format!("{folder}/{name}")).collect()
}

fn glob(pattern: &[char], name: &[char]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        (['*', rest @ ..], _) => {
            glob(rest, name) || name.split_first().is_some_and(|(_, name)| glob(pattern, name))
        }
        (['?', rest @ ..], [_, name @ ..]) => glob(rest, name),
        (['[', rest @ ..], [c, name @ ..]) => {
            let Some(end) = rest.iter().skip(1).position(|c| *c == ']') else { return false };
            let (class, rest) = rest.split_at(end + 1);
            let (negated, class) = match class {
                ['!' | '^', class @ ..] => (true, class),
                class => (false, class),
            };
            let in_range = |range: &[char]| matches!(range, [a, '-', z] if a <= c && c <= z);
            let hit = class.contains(c) || class.windows(3).any(in_range);
            hit != negated && glob(rest.get(1..).unwrap_or_default(), name)
        }
        ([p, rest @ ..], [c, name @ ..]) => p == c && glob(rest, name),
        _ => false,
    }
}

/// Characters and where each begins in the file.
type Placed = Vec<(usize, char)>;

/// An assignment of `[Service]`, lines that go on in one.
struct Line {
    key: String,
    value: Placed,
}

fn service_lines(text: &str) -> Vec<Line> {
    let mut all = Vec::new();
    let mut in_service = false;
    let mut line: Placed = Vec::new();
    let mut start = 0;
    for raw in text.split_inclusive('\n') {
        let content = raw.trim_end_matches(['\n', '\r']);
        let indent = content.len() - content.trim_start().len();
        let content = content.trim_start();
        let from = start + indent;
        start += raw.len();
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        line.extend(content.char_indices().map(|(at, c)| (from + at, c)));
        let backslashes = content.chars().rev().take_while(|c| *c == '\\').count();
        if backslashes % 2 == 1 {
            if let Some(last) = line.last_mut() {
                last.1 = ' ';
            }
            continue;
        }
        let whole = std::mem::take(&mut line);
        take_line(&whole, &mut in_service, &mut all);
    }
    take_line(&line, &mut in_service, &mut all);
    all
}

fn take_line(line: &Placed, in_service: &mut bool, all: &mut Vec<Line>) {
    let text = plain(line);
    if text.starts_with('[') {
        *in_service = text == "[Service]";
        return;
    }
    let Some(equals) = line.iter().position(|(_, c)| *c == '=') else { return };
    if !*in_service {
        return;
    }
    let (key, value) = line.split_at(equals);
    let value = value.iter().skip(1).copied().skip_while(|(_, c)| c.is_whitespace()).collect();
    all.push(Line { key: plain(key), value });
}

/// A line's text without spaces at its ends.
fn plain(line: &[(usize, char)]) -> String {
    line.iter().map(|(_, c)| *c).collect::<String>().trim().to_owned()
}

struct Word {
    text: String,
    raw: Range<usize>,
}

/// Words with their quotes and escapes taken off, wherever in a word those stand.
fn words(line: &[(usize, char)]) -> Vec<Word> {
    let mut all: Vec<Word> = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote = None;
    let mut rest = line.iter().copied();
    while let Some((at, c)) = rest.next() {
        if quote.is_none() && c.is_whitespace() {
            all.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_with(|| Word { text: String::new(), raw: at..at });
        word.raw.end = at + c.len_utf8();
        match c {
            '"' | '\'' if quote.is_none() => quote = Some(c),
            _ if quote == Some(c) => quote = None,
            '\\' => {
                let Some((at, escaped)) = rest.next() else { break };
                word.raw.end = at + escaped.len_utf8();
                match escaped {
                    'n' => word.text.push('\n'),
                    't' => word.text.push('\t'),
                    's' => word.text.push(' '),
                    '\\' | '"' | '\'' | ' ' => word.text.push(escaped),
                    other => word.text.extend(['\\', other]),
                }
            }
            c => word.text.push(c),
        }
    }
    all.extend(word);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

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
