//! The configuration file as written: which sections and keys it has, and where.
//!
//! The file is the `acr-configuration` `ConfigMap` of the vendor's helper in one of three forms:
//! the whole manifest, its `data` alone, or the same keys with real YAML in place of strings.
//! What the keys mean is decided elsewhere. Here a mistake is only noted, so that all of them can be
//! reported at once.

use crate::aliyun::ids::InstanceId;
use crate::aliyun::registry_host::RegistryHost;
use crate::config::diagnostics::lines::Position;
use crate::config::diagnostics::mistakes;
use crate::config::diagnostics::notes::{Note, Notes, quotable};
use crate::config::form::{is_placeholder, not_of_form};
use crate::config::keys::{
    self, DATA, ENDPOINTS, ENTRY, MANIFEST, REGISTRIES, RRSA, SETTINGS, SETTINGS_KEY, Shape, TOP,
    Unknown, Whose,
};
use crate::config::node::{Key, Node, Value};
use crate::config::yaml::{Reading, YamlError};

/// A text and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub at: Position,
    pub text: String,
}

/// A mapping whose keys have been checked.
#[derive(Debug, Clone)]
pub struct Section {
    pub at: Position,
    known: &'static keys::Section,
    pairs: Vec<(Key, Node)>,
    /// A key and its value have run together: what is missing for it need not be reported as well.
    run_together: bool,
}

/// The whole file.
#[derive(Debug)]
pub struct File {
    pub top: Section,
    /// None when `acr-registry-info` is left out, empty when it is present and empty.
    pub entries: Option<Vec<Section>>,
    pub rrsa: Section,
    pub settings: Section,
    pub endpoints: Section,
}

/// Reads the file's text; mistakes go into `notes`, and what could be read is returned.
pub fn read(text: &str, notes: &mut Notes) -> File {
    Reader { reading: Reading::new(text), notes }.file()
}

impl Section {
    fn empty(known: &'static keys::Section) -> Self {
        Self { at: Position::START, known, pairs: Vec::new(), run_together: false }
    }

    /// The value behind a key, of whatever kind.
    pub(super) fn node(&self, name: &str) -> Option<&Node> {
        self.pairs.iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    /// Whether the section can be understood as a whole.
    pub fn is_readable(&self) -> bool {
        !self.run_together
    }

    /// Where a key stands, if it is there.
    pub fn position(&self, name: &str) -> Option<Position> {
        self.keys().find(|(key, _)| *key == name).map(|(_, at)| at)
    }

    /// Where the value behind a key stands, if there is one; an empty text counts as left out.
    pub fn given(&self, name: &str) -> Option<Position> {
        let node = self.node(name)?;
        let is_empty = match &node.value {
            Value::Null => true,
            Value::Scalar(scalar) => scalar.text.trim().is_empty(),
            Value::Sequence(_) | Value::Mapping(_) => false,
        };
        (!is_empty).then_some(node.at)
    }

    /// The keys, each with its place.
    pub fn keys(&self) -> impl Iterator<Item = (&str, Position)> {
        self.pairs.iter().map(|(key, _)| (key.name.as_str(), key.at))
    }

    /// The text behind a key; an empty one counts as left out.
    pub fn text(&self, name: &str, notes: &mut Notes) -> Option<Written> {
        debug_assert!(self.known.key(name).is_some(), "{name} stands in keys.rs");
        let at = self.given(name)?;
        let node = self.node(name)?;
        match &node.value {
            Value::Null => None,
            Value::Scalar(scalar) => Some(Written { at, text: scalar.text.trim().to_owned() }),
            Value::Sequence(_) | Value::Mapping(_) => {
                let message = format!("`{name}` is {}; expected a single value", node.kind());
                notes.problem(at, message);
                None
            }
        }
    }

    /// The value behind a key, if it has the form that `parse` knows.
    pub fn value<T>(
        &self,
        name: &str,
        notes: &mut Notes,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let written = self.text(name, notes)?;
        self.parsed(name, &written, notes, parse)
    }

    /// A text behind a key, if it has the form that `parse` knows.
    pub fn parsed<T>(
        &self,
        name: &str,
        written: &Written,
        notes: &mut Notes,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = parse(&written.text).filter(|_| !is_placeholder(&written.text));
        if value.is_none() {
            notes.problem_of(|| Note { at: written.at, message: self.wrong(name, &written.text) });
        }
        value
    }

    /// Says that a value does not have the form of its key.
    fn wrong(&self, name: &str, text: &str) -> String {
        let Some(key) = self.known.key(name) else { return String::new() };
        let is = match key.shape {
            Shape::Secret => None,
            Shape::List => Some("has"),
            _ => Some("is"),
        };
        not_of_form(&format!("`{name}`"), is, text, key.form)
    }

    /// The values behind a key: a text with commas in it, or a list.
    pub fn list(&self, name: &str, notes: &mut Notes) -> Vec<Written> {
        let Some(Node { value: Value::Sequence(items), .. }) = self.node(name) else {
            let written = self.text(name, notes);
            return written.map_or_else(Vec::new, |written| split(name, &written, notes));
        };
        let mut values = Vec::new();
        for item in items {
            match &item.value {
                Value::Scalar(scalar) if !scalar.text.trim().is_empty() => {
                    values.push(Written { at: item.at, text: scalar.text.trim().to_owned() });
                }
                Value::Scalar(_) => {
                    notes.problem(item.at, format!("an item of `{name}` is empty; delete it"));
                }
                _ => notes.problem(
                    item.at,
                    format!("an item of `{name}` is {}; expected a single value", item.kind()),
                ),
            }
        }
        values
    }

    /// Those of the values behind a key that have the form that `parse` knows.
    pub fn values<T>(
        &self,
        name: &str,
        notes: &mut Notes,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let written = self.list(name, notes);
        written.iter().filter_map(|written| self.parsed(name, written, notes, &parse)).collect()
    }
}

fn split(name: &str, written: &Written, notes: &mut Notes) -> Vec<Written> {
    let mut values = Vec::new();
    for part in written.text.split(',').map(str::trim) {
        if part.is_empty() {
            let message = format!("`{name}` has nothing between two commas or at an end");
            notes.problem(written.at, message);
        } else {
            values.push(Written { at: written.at, text: part.to_owned() });
        }
    }
    values
}

struct Reader<'a> {
    reading: Reading<'a>,
    notes: &'a mut Notes,
}

impl Reader<'_> {
    fn file(mut self) -> File {
        let (top, beside) = self.top();
        // Our own settings may stand inside `data` or beside it.
        if let (Some(first), Some(second)) =
            (top.position(SETTINGS_KEY), beside.position(SETTINGS_KEY))
        {
            let message =
                format!("`{SETTINGS_KEY}` is given a second time; the first is at {first}");
            self.notes.problem(second, message);
        }
        let settings = top.node(SETTINGS_KEY).or_else(|| beside.node(SETTINGS_KEY));
        let settings = self.section(settings.cloned(), &SETTINGS);
        let endpoints = self.section(settings.node("endpoints").cloned(), &ENDPOINTS);
        let rrsa = self.section(top.node("rrsa").cloned(), &RRSA);
        let entries = top.node(REGISTRIES).cloned().map(|node| self.entries(node));
        File { top, entries, rrsa, settings, endpoints }
    }

    fn unreadable(&mut self, error: YamlError) {
        let lines = &self.reading.lines;
        self.notes.problem_of(|| mistakes::unreadable(lines, error));
    }

    /// The section that holds the vendor's keys, and what stands beside it in a manifest.
    fn top(&mut self) -> (Section, Section) {
        let document = self.reading.document(self.notes).unwrap_or_else(|error| {
            self.unreadable(error);
            None
        });
        let Some(document) = document else {
            return (Section::empty(&TOP), Section::empty(&MANIFEST));
        };
        let mut document = self.mapping(document, &TOP);
        let text_of = |name: &str| document.node(name).map(Node::as_text);
        // Another manifest has another meaning, even where it has keys of ours.
        if let Some(kind) = text_of("kind").filter(|kind| !kind.is_empty() && kind != "ConfigMap") {
            let at = document.node("kind").map_or(document.at, |node| node.at);
            let kind = quotable(&kind);
            let message = format!("this is a manifest of kind `{kind}`; expected `ConfigMap`");
            self.notes.problem(at, message);
        }
        let is_manifest = text_of("kind").is_some() && text_of("apiVersion").is_some();
        let Some(data) = document.node(DATA).cloned() else {
            // `data` is known too, so that one that is misspelt is not taken for a key to come.
            let known = if is_manifest { MANIFEST.names() } else { vec![DATA] };
            self.check(&mut document, &[TOP.names(), known].concat());
            return (document, Section::empty(&MANIFEST));
        };
        for (name, at) in document.keys() {
            if TOP.key(name).is_some() && name != SETTINGS_KEY {
                let message = format!("`{name}` stands beside `data`; it belongs inside it");
                self.notes.problem(at, message);
            }
        }
        document.known = &MANIFEST;
        self.check(&mut document, &[MANIFEST.names(), TOP.names()].concat());
        let mut top = match self.real(data) {
            Some(node) => self.mapping(node, &TOP),
            None => Section::empty(&TOP),
        };
        self.check(&mut top, &TOP.names());
        (top, document)
    }

    fn entries(&mut self, node: Node) -> Vec<Section> {
        let Some(node) = self.real(node) else {
            return Vec::new();
        };
        let Value::Sequence(items) = node.value else {
            let expected = TOP.key(REGISTRIES).map_or("", |key| key.form);
            self.wrong_kind(&node, &format!("`{REGISTRIES}`"), expected);
            return Vec::new();
        };
        let mut entries = Vec::new();
        for item in items {
            if matches!(item.value, Value::Null) {
                let message = format!("{} is nothing; delete the `-`", ENTRY.name);
                self.notes.problem(item.at, message);
                continue;
            }
            let entry = self.section(Some(item), &ENTRY);
            if let Err(error) = self.count(&entry) {
                self.unreadable(error);
                break;
            }
            entries.push(entry);
        }
        entries
    }

    /// Counts what an entry's lists have as text with commas, which is one value to YAML.
    fn count(&mut self, entry: &Section) -> Result<(), YamlError> {
        let lists = ENTRY.keys.iter().filter(|key| key.shape == Shape::List);
        for node in lists.filter_map(|key| entry.node(key.name)) {
            if let Value::Scalar(scalar) = &node.value {
                self.reading.count(scalar.text.matches(',').count(), node.at)?;
            }
        }
        Ok(())
    }

    fn section(&mut self, node: Option<Node>, known: &'static keys::Section) -> Section {
        let Some(node) = node.and_then(|node| self.real(node)) else {
            return Section::empty(known);
        };
        let mut section = self.mapping(node, known);
        self.check(&mut section, &known.names());
        section
    }

    /// The value itself, or the YAML in it when it is a string; none for nothing.
    fn real(&mut self, node: Node) -> Option<Node> {
        let real = match &node.value {
            Value::Scalar(scalar) => self.reading.text(scalar, self.notes),
            _ => Ok(Some(node)),
        };
        let real = real.unwrap_or_else(|error| {
            self.unreadable(error);
            None
        });
        real.filter(|node| !matches!(node.value, Value::Null))
    }

    fn mapping(&mut self, node: Node, known: &'static keys::Section) -> Section {
        let at = node.at;
        match node.value {
            Value::Mapping(pairs) => Section { at, known, pairs, run_together: false },
            Value::Null => Section { at, ..Section::empty(known) },
            _ => {
                let expected = format!("keys with values, such as `{}`", known.example);
                self.wrong_kind(&node, known.name, &expected);
                Section { at, ..Section::empty(known) }
            }
        }
    }

    fn wrong_kind(&mut self, node: &Node, what: &str, expected: &str) {
        let lines = &self.reading.lines;
        self.notes.problem_of(|| {
            mistakes::slip(lines, node.at.line, false).unwrap_or_else(|| {
                let message = format!("{what} is {}; expected {expected}", node.kind());
                Note { at: node.at, message }
            })
        });
    }

    fn check(&mut self, section: &mut Section, known: &[&'static str]) {
        let is_listed = section.position(REGISTRIES).is_some();
        for (key, node) in &section.pairs {
            self.swallowed(key, node);
            if known.contains(&key.name.as_str()) {
                continue;
            }
            if self.notes.is_full() && section.known.unknown == Unknown::Refused {
                // Not compared with known keys for words that nobody reads.
                self.notes.problems.more += 1;
                continue;
            }
            if let Some(note) = mistakes::run_together(key) {
                self.notes.problem_of(|| note);
                section.run_together = true;
            } else if !is_listed && is_list_of_others(key, node, section.known) {
                self.unknown(key, node, section.known, known, is_listed);
            } else if let Some(note) = mistakes::out_of_place(key, known) {
                self.notes.problem_of(|| note);
            } else {
                self.unknown(key, node, section.known, known, is_listed);
            }
        }
    }

    fn unknown(
        &mut self,
        key: &Key,
        node: &Node,
        own: &keys::Section,
        known: &[&'static str],
        is_listed: bool,
    ) {
        let is_refused = own.unknown == Unknown::Refused;
        let message = format!("unknown key `{}` in {}", mistakes::shown(&key.name), own.name);
        match keys::nearest(known, &key.name, if is_refused { 4 } else { 2 }) {
            Some(nearest) => {
                self.notes.problem(key.at, format!("{message}; did you mean `{nearest}`?"));
            }
            None if is_refused => {
                self.notes.problem(key.at, format!("{message}; known are {}", known.join(", ")));
            }
            // Ignored, its registries would be taken for those of the node's own account.
            None if !is_listed && holds_registries(node) => {
                let message =
                    format!("{message}; it holds registries: did you mean `{REGISTRIES}`?");
                self.notes.problem(key.at, message);
            }
            None => self.notes.warning(key.at, format!("{message} is ignored")),
        }
    }

    /// Keys of the top that are indented below an ignored key would be ignored, too.
    fn swallowed(&mut self, key: &Key, node: &Node) {
        let Value::Mapping(pairs) = &node.value else { return };
        let keys = [TOP.key(&key.name), MANIFEST.key(&key.name)];
        if !keys.into_iter().flatten().any(|key| key.whose == Whose::Ignored) {
            return;
        }
        for (key, _) in pairs {
            if (key.name == DATA || TOP.key(&key.name).is_some())
                && let Some(note) = mistakes::out_of_place(key, &[])
            {
                self.notes.problem_of(|| note);
            }
        }
    }
}

/// Whether a key is the top's that is not known and has registries below it. It may resemble a key of
/// an entry, as `instances` does.
fn is_list_of_others(key: &Key, node: &Node, section: &keys::Section) -> bool {
    let is_list = matches!(node.value, Value::Sequence(_) | Value::Mapping(_));
    let is_tops = section.unknown != Unknown::Refused;
    is_tops && is_list && keys::known(&key.name).is_none() && holds_registries(node)
}

/// Whether a value has keys of entries, ids of instances or hosts: in a list, by itself, or as text.
fn holds_registries(node: &Node) -> bool {
    let is_entry_key = |name: &str| {
        let is_key = name != "regionId" && ENTRY.key(name).is_some();
        is_key || InstanceId::parse(name).is_some() || RegistryHost::parse(name).is_some()
    };
    match &node.value {
        Value::Null => false,
        Value::Sequence(items) => items.iter().any(holds_registries),
        Value::Mapping(pairs) => {
            pairs.iter().any(|(key, value)| is_entry_key(&key.name) || holds_registries(value))
        }
        Value::Scalar(scalar) => scalar.text.split(['\n', ',', '{']).any(|part| {
            let name = part.split(':').next().unwrap_or_default();
            is_entry_key(name.trim_matches([' ', '-', '[', '"', '\'']))
        }),
    }
}
