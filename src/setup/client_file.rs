//! `credHelpers` in the configuration of docker, podman and similar clients: put in and taken out by
//! positions, so that what others wrote stays as it was.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::setup::spans::{self, Kind, Node};

/// The key under which clients look a host's helper up.
const KEY: &str = "credHelpers";

/// What follows `docker-credential-` in the name that clients run.
pub const HELPER: &str = "acr";

/// Why a file is not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsure {
    #[error("it is not a JSON object (line {line}, column {column})")]
    NotJson { line: usize, column: usize },
    #[error("it has a key twice")]
    Twice,
    #[error("`{KEY}` is not an object")]
    NotAnObject,
    #[error("`{KEY}` names the helper {helper} for {host}")]
    Another { host: String, helper: String },
    #[error("its form is not one that can be changed safely")]
    Form,
}

/// What was put into a file, so that it can be taken out again.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Added {
    pub hosts: Vec<String>,
    /// The key itself was not there.
    pub key: bool,
    /// What stood between the braces of an object that had nothing in it.
    pub space: String,
}

/// A file with the helper for these hosts, and what of it is new.
///
/// # Errors
///
/// A file that is not changed, since it could come out wrong.
pub fn with(text: &str, hosts: &[String]) -> Result<(String, Added), Unsure> {
    let before = object(text)?;
    let named = helpers(&before)?;
    let mut added = Added::default();
    for host in hosts {
        match named.and_then(|named| named.get(host)) {
            None => added.hosts.push(host.clone()),
            Some(Json::String(helper)) if helper == HELPER => {}
            Some(helper) => {
                let helper = helper.as_str().unwrap_or_default().to_owned();
                return Err(Unsure::Another { host: host.clone(), helper });
            }
        }
    }
    if added.hosts.is_empty() {
        return Ok((text.to_owned(), added));
    }
    let root = root(text)?;
    let after = if let Some(key) = root.get(KEY) {
        let layout = Layout::of(text, &root).inner();
        let pairs: Vec<String> = added.hosts.iter().map(|host| pair(host)).collect();
        appended(text, key, &pairs, &layout, &mut added.space)?
    } else {
        added.key = true;
        let layout = Layout::of(text, &root);
        let inner = layout.inner();
        let pairs: Vec<String> =
            added.hosts.iter().map(|host| format!("{}{}", inner.before, pair(host))).collect();
        let object = format!("\"{KEY}\": {{{}{}}}", pairs.join(","), inner.end);
        appended(text, &root, &[object], &layout, &mut added.space)?
    };
    // What cannot be taken out again is not put in.
    let mut wanted = before.clone();
    if let Json::Object(named) = wanted.entry(KEY).or_insert_with(|| Json::Object(Map::new())) {
        named.extend(added.hosts.iter().map(|host| (host.clone(), HELPER.into())));
    }
    if object(&after)? != wanted || without(&after, &added)? != text {
        return Err(Unsure::Form);
    }
    Ok((after, added))
}

/// A file without what was put in.
///
/// # Errors
///
/// A file that is not changed, since it could come out wrong.
pub fn without(text: &str, added: &Added) -> Result<String, Unsure> {
    let mut wanted = object(text)?;
    helpers(&wanted)?;
    let mut after = text.to_owned();
    if let Some(Json::Object(named)) = wanted.get_mut(KEY) {
        for host in &added.hosts {
            if named.get(host).and_then(Json::as_str) == Some(HELPER) {
                named.remove(host);
                let root = root(&after)?;
                let key = root.get(KEY).ok_or(Unsure::Form)?;
                after = removed(&after, key, host, &added.space)?;
            }
        }
        if added.key && named.is_empty() {
            wanted.remove(KEY);
            after = removed(&after, &root(&after)?, KEY, &added.space)?;
        }
    }
    if object(&after)? == wanted { Ok(after) } else { Err(Unsure::Form) }
}

/// Whether a file names the helper for all of these hosts.
#[must_use]
pub fn has_all(text: &str, hosts: &[String]) -> bool {
    with(text, hosts).is_ok_and(|(_, added)| added.hosts.is_empty())
}

/// The hosts of these for which a file holds a login.
#[must_use]
pub fn logins<'h>(text: &str, hosts: &'h [String]) -> Vec<&'h str> {
    let object = object(text).unwrap_or_default();
    let auths = object.get("auths").and_then(Json::as_object);
    let is_kept = |host: &&String| {
        let mut logins = auths.into_iter().flatten();
        logins.any(|(address, login)| {
            host_of(address) == *host && login.as_object().is_some_and(|login| !login.is_empty())
        })
    };
    hosts.iter().filter(is_kept).map(String::as_str).collect()
}

/// As docker reads the address of a login.
fn host_of(address: &str) -> &str {
    let rest = ["https://", "http://"].iter().find_map(|scheme| address.strip_prefix(scheme));
    rest.unwrap_or(address).split('/').next().unwrap_or_default()
}

/// The lines of a file for a person: values other than names of helpers can be logins.
#[must_use]
pub fn masked(text: &str) -> Vec<String> {
    let Ok(root) = root(text) else { return Vec::new() };
    let mut values = Vec::new();
    for (key, value) in root.pairs() {
        if key.text() != Some(KEY) {
            scalars(value, &mut values);
        }
    }
    let mut shown = text.to_owned();
    for span in values.into_iter().rev() {
        shown.replace_range(span, "\"***\"");
    }
    shown.lines().map(str::to_owned).collect()
}

fn scalars(node: &Node, spans: &mut Vec<Range<usize>>) {
    match &node.kind {
        Kind::Mapping { pairs, .. } => pairs.iter().for_each(|(_, value)| scalars(value, spans)),
        Kind::Sequence { items, .. } => items.iter().for_each(|item| scalars(item, spans)),
        Kind::Scalar(_) | Kind::Alias(_) => spans.push(node.span.clone()),
    }
}

fn object(text: &str) -> Result<Map<String, Json>, Unsure> {
    // Its own words can quote a login.
    serde_json::from_str(text)
        .map_err(|error| Unsure::NotJson { line: error.line(), column: error.column() })
}

fn helpers(object: &Map<String, Json>) -> Result<Option<&Map<String, Json>>, Unsure> {
    let named = object.get(KEY);
    named.map(|named| named.as_object().ok_or(Unsure::NotAnObject)).transpose()
}

/// The object with the places of its values; refused where a key is there twice.
fn root(text: &str) -> Result<Node, Unsure> {
    let root = spans::parse(text).ok_or(Unsure::Form)?;
    let keys = |node: &Node, name: &str| {
        node.pairs().iter().filter(|(key, _)| key.text() == Some(name)).count()
    };
    let is_once = |node: &Node| {
        node.pairs().iter().all(|(key, _)| keys(node, key.text().unwrap_or_default()) == 1)
    };
    if is_once(&root) && root.get(KEY).is_none_or(is_once) { Ok(root) } else { Err(Unsure::Twice) }
}

fn pair(host: &str) -> String {
    // A configured host has no character that JSON escapes.
    format!("\"{host}\": \"{HELPER}\"")
}

/// What stands before a key of an object, and before its closing brace.
struct Layout {
    before: String,
    end: String,
    /// One step of indentation; empty where all is in one line.
    step: String,
}

impl Layout {
    /// As the outermost object has it; as docker writes it where that has nothing in it.
    fn of(text: &str, root: &Node) -> Self {
        let Some((first, _)) = root.pairs().first() else {
            let [before, end, step] = ["\n\t", "\n", "\t"].map(str::to_owned);
            return Self { before, end, step };
        };
        let before = text.get(root.span.start + 1..first.span.start).unwrap_or_default();
        let (end, step) = before.rsplit_once('\n').map_or(("", ""), |(_, step)| ("\n", step));
        Self { before: before.to_owned(), end: end.to_owned(), step: step.to_owned() }
    }

    /// That of an object within.
    fn inner(&self) -> Self {
        let Self { step, .. } = self;
        if self.end.is_empty() {
            let step = String::new();
            return Self { before: String::new(), end: String::new(), step };
        }
        Self { before: format!("\n{step}{step}"), end: format!("\n{step}"), step: step.clone() }
    }
}

/// An object with these pairs behind its last one.
fn appended(
    text: &str,
    object: &Node,
    pairs: &[String],
    layout: &Layout,
    space: &mut String,
) -> Result<String, Unsure> {
    let mut after = text.to_owned();
    let inside = object.span.start + 1..object.span.end.saturating_sub(1);
    if let (Some((first, _)), Some((_, last))) = (object.pairs().first(), object.pairs().last()) {
        let between = format!(",{}", text.get(inside.start..first.span.start).ok_or(Unsure::Form)?);
        after.insert_str(last.span.end, &format!("{between}{}", pairs.join(&between)));
    } else {
        text.get(inside.clone()).ok_or(Unsure::Form)?.clone_into(space);
        let Layout { before, end, .. } = layout;
        let between = format!(",{before}");
        after.replace_range(inside, &format!("{before}{}{end}", pairs.join(&between)));
    }
    Ok(after)
}

/// An object without a pair; with this between its braces where it was the only one.
fn removed(text: &str, object: &Node, name: &str, space: &str) -> Result<String, Unsure> {
    let pairs = object.pairs();
    let at = pairs.iter().position(|(key, _)| key.text() == Some(name)).ok_or(Unsure::Form)?;
    let before = at.checked_sub(1).and_then(|before| pairs.get(before));
    let next = pairs.get(at + 1);
    let (span, left) = match (before, pairs.get(at), next) {
        (Some((_, before)), Some((_, value)), _) => (before.span.end..value.span.end, ""),
        (None, Some((key, _)), Some((next, _))) => (key.span.start..next.span.start, ""),
        _ => (object.span.start + 1..object.span.end.saturating_sub(1), space),
    };
    let mut after = text.to_owned();
    text.get(span.clone()).ok_or(Unsure::Form)?;
    after.replace_range(span, left);
    Ok(after)
}
