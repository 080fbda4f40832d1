//! The configuration file as written: which sections and keys it has, and where.
//!
//! The file is the `acr-configuration` `ConfigMap` of the vendor's helper in one of three forms:
//! the whole manifest, its `data` alone, or the same keys with real YAML in place of strings.
//! What the keys mean is decided in [`crate::config`]; here a mistake is only noted, so that all
//! of them can be told at once.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::config::diagnostics::mistakes::{self, Mistake};
use crate::config::diagnostics::notes::{MOST, Notes, quotable};
use crate::config::keys::{
    ENDPOINT_KEYS, ENTRY_KEYS, IGNORED_KEYS, LIST_KEYS, MANIFEST_KEYS, RRSA_KEYS, SETTINGS_KEYS,
    TOP_KEYS,
};
use crate::config::yaml::{Key, Lines, Node, Note, Position, Reading, Value, YamlError};

/// Our own settings may stand inside `data` or beside it.
const SETTINGS: &str = "credential-provider";

/// Most times that a file is read anew without the mistakes that hid the rest of it, and most that
/// is read of it in all, in bytes.
const MOST_MENDINGS: usize = 16;
const MOST_READ: usize = 2 * 1024 * 1024;

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
    pairs: Vec<(Key, Node)>,
    /// A key and its value have run together: what is missing for it need not be told as well.
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
///
/// A mistake that hides what stands behind it is noted, which makes the file unusable, and the rest
/// is read as if it were not there, so that all is told at once.
pub fn read(text: &str, notes: &mut Notes) -> File {
    let mut text = Cow::Borrowed(text);
    let mut blanks = HashMap::new();
    let (mut mendings, mut length) = (0, 0);
    loop {
        let (mut found, mut hiding) = (Notes::default(), Vec::new());
        let reading = Reading::new(&text, &blanks);
        let file = Reader { reading, notes: &mut found, hiding: &mut hiding }.file();
        for mistake in &hiding {
            notes.problem_of(|| mistake.note.clone());
        }
        length += text.len();
        let enough = mendings == MOST_MENDINGS || length > MOST_READ || notes.is_full();
        if hiding.is_empty() || enough {
            notes.append(found);
            return file;
        }
        text = Cow::Owned(mistakes::mended(&text, &hiding, &mut blanks));
        mendings += 1;
    }
}

impl Section {
    fn empty(at: Position) -> Self {
        Self { at, pairs: Vec::new(), run_together: false }
    }

    /// The value behind a key, of whatever kind.
    pub(super) fn node(&self, name: &str) -> Option<&Node> {
        self.pairs.iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    /// Whether the section can be understood as a whole.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        !self.run_together
    }

    /// Where a key stands, if it is there.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<Position> {
        self.pairs.iter().find(|(key, _)| key.name == name).map(|(key, _)| key.at)
    }

    /// The keys, each with its place.
    pub fn keys(&self) -> impl Iterator<Item = (&str, Position)> {
        self.pairs.iter().map(|(key, _)| (key.name.as_str(), key.at))
    }

    /// The text behind a key; an empty one counts as left out.
    pub fn text(&self, name: &str, notes: &mut Notes) -> Option<Written> {
        let node = self.node(name)?;
        match &node.value {
            Value::Null => None,
            Value::Scalar(scalar) => {
                Some(Written { at: node.at, text: scalar.text.trim().to_owned() })
                    .filter(|written| !written.text.is_empty())
            }
            Value::Sequence(_) | Value::Mapping(_) => {
                notes.problem(
                    node.at,
                    format!("`{name}` is {}; expected a single value", node.kind()),
                );
                None
            }
        }
    }

    /// The values behind a key: a text with commas in it, or a list.
    pub fn list(&self, name: &str, notes: &mut Notes) -> Vec<Written> {
        let Some(Node { value: Value::Sequence(items), .. }) = self.node(name) else {
            return self
                .text(name, notes)
                .map_or_else(Vec::new, |written| split(name, &written, notes));
        };
        let mut values = Vec::new();
        for item in items {
            match &item.value {
                Value::Scalar(scalar) if !scalar.text.trim().is_empty() => {
                    values.push(Written { at: item.at, text: scalar.text.trim().to_owned() });
                }
                Value::Scalar(_) => {
                    notes.problem(item.at, format!("an item of `{name}` is empty; take it away"));
                }
                _ => notes.problem(
                    item.at,
                    format!("an item of `{name}` is {}; expected a single value", item.kind()),
                ),
            }
        }
        values
    }

    /// `true` or `false` behind a key.
    pub fn flag(&self, name: &str, notes: &mut Notes) -> Option<bool> {
        let written = self.text(name, notes)?;
        match written.text.as_str() {
            "true" | "True" | "TRUE" => Some(true),
            "false" | "False" | "FALSE" => Some(false),
            other => {
                let other = quotable(other);
                notes.problem(written.at, format!("`{name}` is `{other}`; expected true or false"));
                None
            }
        }
    }
}

fn split(name: &str, written: &Written, notes: &mut Notes) -> Vec<Written> {
    let mut values = Vec::new();
    for part in written.text.split(',').map(str::trim) {
        if part.is_empty() {
            notes.problem(
                written.at,
                format!("`{name}` has nothing between two commas or at an end"),
            );
        } else {
            values.push(Written { at: written.at, text: part.to_owned() });
        }
    }
    values
}

/// What becomes of a key that is not known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unknown {
    /// Always an error: the section is ours, or its keys decide who may pull.
    Refused,
    /// An error if it resembles a known key or is one of another section, else a warning: the vendor
    /// may add keys.
    Tolerated,
}

struct Reader<'a> {
    reading: Reading<'a>,
    notes: &'a mut Notes,
    /// Mistakes that hide what else is wrong, and that can be mended.
    hiding: &'a mut Vec<Mistake>,
}

impl Reader<'_> {
    fn file(mut self) -> File {
        let (top, beside) = self.top();
        if let (Some(first), Some(second)) = (top.position(SETTINGS), beside.position(SETTINGS)) {
            let message = format!("`{SETTINGS}` is given a second time; the first is at {first}");
            self.notes.problem(second, message);
        }
        let settings = top.node(SETTINGS).or_else(|| beside.node(SETTINGS)).cloned();
        let settings =
            self.section(settings, "credential-provider", &SETTINGS_KEYS, Unknown::Refused);
        let endpoints = settings.node("endpoints").cloned();
        let endpoints = self.section(endpoints, "endpoints", &ENDPOINT_KEYS, Unknown::Refused);
        let rrsa = self.section(top.node("rrsa").cloned(), "rrsa", &RRSA_KEYS, Unknown::Tolerated);
        let entries = top.node("acr-registry-info").cloned().map(|node| self.entries(node));
        File { top, entries, rrsa, settings, endpoints }
    }

    /// Notes a mistake, if there is still room for it.
    fn mistake(&mut self, find: impl FnOnce(&Lines<'_>) -> Mistake) {
        if self.notes.is_full() {
            self.notes.problems.more += 1;
            return;
        }
        let mistake = find(&self.reading.lines);
        let line = mistake.note.at.line;
        if mistake.meant.is_none() || self.hiding.len() == MOST {
            self.notes.problem_of(|| mistake.note);
        } else if !self.hiding.iter().any(|known| known.note.at.line == line) {
            self.hiding.push(mistake);
        }
    }

    /// The section that holds the vendor's keys, and what stands beside it in a manifest.
    fn top(&mut self) -> (Section, Section) {
        let start = Position { line: 1, column: 1 };
        let document = match self.reading.document(self.notes) {
            Ok(document) => document,
            Err(error) => {
                self.mistake(|lines| mistakes::unreadable(lines, error));
                return (Section::empty(start), Section::empty(start));
            }
        };
        let Some(document) = document else {
            return (Section::empty(start), Section::empty(start));
        };
        let mut document = self.mapping(document, "the configuration");
        self.kind(&document);
        let Some(data) = document.node("data").cloned() else {
            // `data` is known too, so that one that is misspelt is not taken for a key to come.
            let mut known = [&TOP_KEYS[..], &["data"]].concat();
            if document.position("kind").is_some() && document.position("apiVersion").is_some() {
                known.extend(MANIFEST_KEYS);
            }
            self.check(&mut document, "the configuration", &known, Unknown::Tolerated);
            return (document, Section::empty(start));
        };
        self.manifest(&mut document);
        (self.section(Some(data), "data", &TOP_KEYS, Unknown::Tolerated), document)
    }

    /// Another manifest has another meaning, even where it has keys of ours.
    fn kind(&mut self, document: &Section) {
        let kind = document.text("kind", self.notes).filter(|kind| kind.text != "ConfigMap");
        if let Some(kind) = kind {
            let message = format!(
                "this is a manifest of kind `{}`; expected `ConfigMap`",
                quotable(&kind.text)
            );
            self.notes.problem(kind.at, message);
        }
    }

    fn manifest(&mut self, document: &mut Section) {
        for (key, _) in &document.pairs {
            if TOP_KEYS.contains(&key.name.as_str()) && key.name != "credential-provider" {
                self.notes.problem(
                    key.at,
                    format!("`{}` stands beside `data`; it belongs inside it", key.name),
                );
            }
        }
        let known = [&MANIFEST_KEYS[..], &TOP_KEYS[..], &["data"]].concat();
        self.check(document, "the manifest", &known, Unknown::Tolerated);
    }

    fn entries(&mut self, node: Node) -> Vec<Section> {
        let Some(node) = self.real(node) else {
            return Vec::new();
        };
        let Value::Sequence(items) = node.value else {
            self.wrong_kind(
                &node,
                "`acr-registry-info`",
                "a list of registries, each beginning with `- `",
            );
            return Vec::new();
        };
        let what = "an entry of `acr-registry-info`";
        let mut entries = Vec::new();
        for item in items {
            if matches!(item.value, Value::Null) {
                self.notes.problem(item.at, format!("{what} is nothing; take the `-` away"));
                continue;
            }
            let entry = self.section(Some(item), what, &ENTRY_KEYS, Unknown::Refused);
            if let Err(error) = self.count(&entry) {
                self.mistake(|lines| mistakes::unreadable(lines, error));
                break;
            }
            entries.push(entry);
        }
        entries
    }

    /// Counts what an entry's lists have as text with commas, which is one value to YAML.
    fn count(&mut self, entry: &Section) -> Result<(), YamlError> {
        for node in LIST_KEYS.iter().filter_map(|name| entry.node(name)) {
            if let Value::Scalar(scalar) = &node.value {
                self.reading.count(scalar.text.matches(',').count(), node.at)?;
            }
        }
        Ok(())
    }

    fn section(
        &mut self,
        node: Option<Node>,
        what: &str,
        known: &[&str],
        unknown: Unknown,
    ) -> Section {
        let start = Position { line: 1, column: 1 };
        let Some(node) = node.and_then(|node| self.real(node)) else {
            return Section::empty(start);
        };
        let mut section = self.mapping(node, what);
        self.check(&mut section, what, known, unknown);
        section
    }

    /// The value itself, or the YAML in it when it is a string; none for nothing.
    fn real(&mut self, node: Node) -> Option<Node> {
        let Value::Scalar(scalar) = &node.value else {
            return Some(node).filter(|node| !matches!(node.value, Value::Null));
        };
        match self.reading.text(scalar, self.notes) {
            Ok(inner) => inner.filter(|node| !matches!(node.value, Value::Null)),
            Err(error) => {
                self.mistake(|lines| mistakes::unreadable(lines, error));
                None
            }
        }
    }

    fn mapping(&mut self, node: Node, what: &str) -> Section {
        let at = node.at;
        match node.value {
            Value::Mapping(pairs) => Section { at, pairs, run_together: false },
            Value::Null => Section::empty(at),
            _ => {
                let example = match what {
                    "rrsa" => "enable: true",
                    "endpoints" => "sts: https://sts.cn-hangzhou.aliyuncs.com",
                    "credential-provider" => "timeout: 25s",
                    _ => "regionId: cn-hangzhou",
                };
                self.wrong_kind(&node, what, &format!("keys with values, such as `{example}`"));
                Section::empty(at)
            }
        }
    }

    fn wrong_kind(&mut self, node: &Node, what: &str, expected: &str) {
        self.mistake(|lines| {
            let line = node.at.line;
            let slip = mistakes::missing_blank(lines, line).or_else(|| mistakes::slip(lines, line));
            slip.unwrap_or_else(|| {
                let message = format!("{what} is {}; expected {expected}", node.kind());
                Mistake { note: Note { at: node.at, message }, meant: None }
            })
        });
    }

    fn check(&mut self, section: &mut Section, what: &str, known: &[&str], unknown: Unknown) {
        for (key, node) in &section.pairs {
            self.swallowed(key, node);
            if known.contains(&key.name.as_str()) {
                continue;
            }
            if let Some(blank) = mistakes::blank_in_key(key) {
                self.notes.problem_of(|| blank);
                section.run_together = true;
                continue;
            }
            if self.notes.is_full() && unknown == Unknown::Refused {
                // Not compared with known keys for words that nobody reads.
                self.notes.problems.more += 1;
                continue;
            }
            if let Some(elsewhere) = mistakes::out_of_place(key, known) {
                self.notes.problem_of(|| elsewhere);
                continue;
            }
            let name = mistakes::shown(&key.name);
            let most_edits = if unknown == Unknown::Refused { 4 } else { 2 };
            let message = format!("unknown key `{name}` in {what}");
            match mistakes::nearest(known, &key.name, most_edits) {
                Some(nearest) => {
                    self.notes.problem(key.at, format!("{message}; did you mean `{nearest}`?"));
                }
                None if unknown == Unknown::Refused => {
                    self.notes
                        .problem(key.at, format!("{message}; known are {}", known.join(", ")));
                }
                None => self.notes.warning(key.at, format!("{message} is ignored")),
            }
        }
    }

    /// Keys of the top that are indented below one which means nothing here would mean nothing, too.
    fn swallowed(&mut self, key: &Key, node: &Node) {
        let Value::Mapping(pairs) = &node.value else { return };
        let name = key.name.as_str();
        if !MANIFEST_KEYS.contains(&name) && !IGNORED_KEYS.contains(&name) {
            return;
        }
        for (key, _) in pairs {
            if (key.name == "data" || TOP_KEYS.contains(&key.name.as_str()))
                && let Some(elsewhere) = mistakes::out_of_place(key, &[])
            {
                self.notes.problem_of(|| elsewhere);
            }
        }
    }
}
