//! Our providers in an existing `CredentialProviderConfig`: put in, extended and taken out by positions.
//! What others wrote stays as it was.

use std::fmt::Write;
use std::ops::Range;

use crate::config::yaml::quoted;
use crate::kubelet::provider_config::{self, Provider, ProviderConfig, TokenAttributes};
use crate::kubelet::versions::{ApiVersion, PROTOCOL_GROUP};
use crate::setup::spans::{self, Kind, Node};

/// Why a file is not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsure {
    #[error("it is not a CredentialProviderConfig with a list of providers")]
    NoProviders,
    #[error("the provider {0} is there twice")]
    Twice(String),
    #[error("its form is not one that can be changed safely")]
    Form,
}

/// What was put into a file, so that it can be taken out again.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Added {
    /// Names of providers.
    pub providers: Vec<String>,
    /// Patterns: the name of their provider, a space and the pattern.
    pub patterns: Vec<String>,
}

/// The text of a new file with these providers.
#[must_use]
pub fn new(version: ApiVersion, providers: &[Provider]) -> String {
    provider_config::text(version, providers)
}

/// A file with these providers in it. Of what was put in before (`ours`), that which is not wanted
/// any more goes.
///
/// # Errors
///
/// A file that is not changed, since it could come out wrong.
pub fn merged(
    text: &str,
    version: ApiVersion,
    wanted: &[Provider],
    ours: &Added,
) -> Result<(String, Added), Unsure> {
    let gone = Added {
        providers: ours
            .providers
            .iter()
            .filter(|name| !wanted.iter().any(|provider| provider.name == **name))
            .cloned()
            .collect(),
        patterns: ours
            .patterns
            .iter()
            .filter(|pattern| !wanted.iter().any(|provider| has(provider, pattern)))
            .cloned()
            .collect(),
    };
    let mut file = File::read(text)?;
    let mut added = Added::default();
    for provider in wanted {
        let patterns = match file.provider(&provider.name)? {
            None => {
                file = file.with(version, provider)?;
                added.providers.push(provider.name.clone());
                provider.match_images.clone()
            }
            Some(node) => {
                if ours.providers.contains(&provider.name) {
                    added.providers.push(provider.name.clone());
                }
                let (new, patterns) = file.extended(&node, provider)?;
                file = new;
                patterns
            }
        };
        let kept = ours.patterns.iter().filter(|pattern| has(provider, pattern)).cloned();
        added.patterns.extend(kept.chain(noted(provider, &patterns)));
    }
    // A list must not be without patterns in between.
    file = File { text: taken_out(&file.text, &gone)? };
    check_others(text, &file.text, wanted, ours)?;
    // What cannot be taken out again is not put in.
    let back = taken_out(&file.text, &added)?;
    if ours.providers.is_empty() && ours.patterns.is_empty() && back != text {
        return Err(Unsure::Form);
    }
    Ok((file.text, added))
}

impl Added {
    /// All of these providers.
    #[must_use]
    pub fn all(providers: &[Provider]) -> Self {
        Self {
            providers: providers.iter().map(|provider| provider.name.clone()).collect(),
            patterns: providers.iter().flat_map(|p| noted(p, &p.match_images)).collect(),
        }
    }
}

/// Patterns behind the name of their provider.
fn noted(provider: &Provider, patterns: &[String]) -> Vec<String> {
    patterns.iter().map(|pattern| format!("{} {pattern}", provider.name)).collect()
}

/// Whether a provider has a pattern that is noted with its name.
fn has(provider: &Provider, noted: &str) -> bool {
    let of = noted.split_once(' ').filter(|(name, _)| *name == provider.name);
    of.is_some_and(|(_, pattern)| provider.match_images.iter().any(|known| known == pattern))
}

/// A file without what was put in.
///
/// # Errors
///
/// A file that is not changed, since it could come out wrong.
pub fn taken_out(text: &str, added: &Added) -> Result<String, Unsure> {
    let mut file = File { text: text.to_owned() };
    for name in &added.providers {
        file = file.without(name)?;
    }
    for noted in &added.patterns {
        if let Some((name, pattern)) = noted.split_once(' ') {
            file = file.without_pattern(name, pattern)?;
        }
    }
    Ok(file.text)
}

/// The names of all providers of a file.
#[must_use]
pub fn names(text: &str) -> Vec<String> {
    let providers = ProviderConfig::of_text("", text).providers;
    providers.into_iter().map(|provider| provider.name).collect()
}

/// What is there beside ours means the same as before.
fn check_others(
    before: &str,
    after: &str,
    wanted: &[Provider],
    gone: &Added,
) -> Result<(), Unsure> {
    let is_other = |provider: &Provider| {
        !wanted.iter().any(|ours| ours.name == provider.name)
            && !gone.providers.contains(&provider.name)
    };
    let others = |text: &str| {
        let providers = ProviderConfig::of_text("", text).providers.into_iter().filter(is_other);
        // Where they stand is another matter.
        let bare = |p: Provider| format!("{:?}", Provider { line: 0, lines: Vec::new(), ..p });
        providers.map(bare).collect::<Vec<_>>()
    };
    let all = names(after);
    let there =
        wanted.iter().all(|ours| all.iter().filter(|name| **name == ours.name).count() == 1);
    (there && others(before) == others(after)).then_some(()).ok_or(Unsure::Form)
}

/// A text and what is done to it.
#[derive(Debug)]
struct File {
    text: String,
}

impl File {
    fn read(text: &str) -> Result<Self, Unsure> {
        let file = Self { text: text.to_owned() };
        let document = file.document()?;
        if document.get("kind").and_then(Node::text) != Some("CredentialProviderConfig") {
            return Err(Unsure::NoProviders);
        }
        file.list().map(|_| file)
    }

    fn document(&self) -> Result<Node, Unsure> {
        spans::parse(&self.text).ok_or(Unsure::NoProviders)
    }

    /// The list of providers; what stands for it where there is none yet.
    fn list(&self) -> Result<Node, Unsure> {
        let list = self.document()?.get("providers").cloned().ok_or(Unsure::NoProviders)?;
        match &list.kind {
            Kind::Sequence { .. } => Ok(list),
            Kind::Scalar(text) if text.is_empty() || text == "~" || text == "null" => Ok(list),
            _ => Err(Unsure::Form),
        }
    }

    fn provider(&self, name: &str) -> Result<Option<Node>, Unsure> {
        let list = self.list()?;
        let mut found =
            list.items().iter().filter(|item| item.get("name").and_then(Node::text) == Some(name));
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => Err(Unsure::Twice(name.to_owned())),
            (found, _) => Ok(found.cloned()),
        }
    }

    fn with(&self, version: ApiVersion, provider: &Provider) -> Result<Self, Unsure> {
        let list = self.list()?;
        match (&list.kind, list.items().last()) {
            (Kind::Sequence { in_brackets: true, .. }, ending) => {
                let json = in_one_line(version, provider);
                Ok(self.behind_item(&list, ending, &json))
            }
            (Kind::Sequence { .. }, Some(ending)) => {
                let column = self.column(list.span.start);
                let lead = self.lead(ending, column)?;
                let text = in_lines(version, provider, &format!("{}{lead}", spaces(column)));
                Ok(self.line_behind(ending.span.end, &text))
            }
            // Nothing behind the key: the list begins in the next line.
            (Kind::Scalar(text), _) if text.is_empty() => {
                let document = self.document()?;
                let key = document.pairs().iter().find(|(key, _)| key.text() == Some("providers"));
                let end = key.map(|(key, _)| key.span.end).ok_or(Unsure::Form)?;
                Ok(self.line_behind(end, &in_lines(version, provider, "  - ")))
            }
            _ => Err(Unsure::Form),
        }
    }

    /// Our own entry with the patterns that it lacks, and which those are. What else it has stays.
    fn extended(&self, node: &Node, wanted: &Provider) -> Result<(Self, Vec<String>), Unsure> {
        let mut file = Self { text: self.text.clone() };
        let images = node.get("matchImages");
        let has = |pattern: &&String| {
            let items = images.map(Node::items).unwrap_or_default();
            items.iter().any(|item| item.text() == Some(pattern))
        };
        let missing: Vec<String> =
            wanted.match_images.iter().filter(|pattern| !has(pattern)).cloned().collect();
        if !missing.is_empty() {
            file = file.with_patterns(node, &missing)?;
        }
        let again = |file: &Self| file.provider(&wanted.name)?.ok_or(Unsure::Form);
        if node.get("apiVersion").is_none() {
            let version = wanted.api_version.unwrap_or(ApiVersion::V1);
            file =
                file.with_key(&again(&file)?, "apiVersion", &format!("{PROTOCOL_GROUP}{version}"))?;
        }
        if node.get("defaultCacheDuration").is_none() {
            file = file.with_key(&again(&file)?, "defaultCacheDuration", "0s")?;
        }
        match (&wanted.tokens, node.get("tokenAttributes")) {
            (Some(tokens), Some(there)) => file = file.for_release(there, tokens, &again)?,
            (Some(tokens), None) => {
                let text = tokens_in_one_line(tokens);
                file = file.with_key_of(&again(&file)?, "tokenAttributes", &text)?;
            }
            (None, _) => {}
        }
        Ok((file, missing))
    }

    /// `cacheType` came with Kubernetes 1.34, which requires what 1.33 refuses.
    fn for_release(
        self,
        there: &Node,
        wanted: &TokenAttributes,
        again: &impl Fn(&Self) -> Result<Node, Unsure>,
    ) -> Result<Self, Unsure> {
        let provider = again(&self)?;
        let now = provider.get("tokenAttributes").ok_or(Unsure::Form)?;
        match (&wanted.cache_type, there.get("cacheType")) {
            (Some(cache_type), None) => self.with_key(now, "cacheType", cache_type),
            (None, Some(_)) => self.without_key(now, "cacheType"),
            _ => Ok(self),
        }
    }

    fn with_patterns(&self, provider: &Node, patterns: &[String]) -> Result<Self, Unsure> {
        let list: Vec<String> = patterns.iter().map(|pattern| quoted(pattern)).collect();
        let Some(images) = provider.get("matchImages") else {
            return self.with_key_of(provider, "matchImages", &format!("[{}]", list.join(", ")));
        };
        match (&images.kind, images.items().last()) {
            (Kind::Sequence { in_brackets: true, .. }, ending) => {
                Ok(self.behind_item(images, ending, &list.join(", ")))
            }
            (Kind::Sequence { .. }, Some(ending)) => {
                let indent = spaces(self.column(images.span.start));
                let lines: Vec<String> =
                    list.iter().map(|pattern| format!("{indent}- {pattern}")).collect();
                Ok(self.line_behind(ending.span.end, &lines.join("\n")))
            }
            // The list of somebody else: ours becomes one of its own.
            (Kind::Alias(_), _) => {
                let there = images.items().iter().filter_map(Node::text).map(quoted);
                let all: Vec<String> = there.chain(list).collect();
                Ok(self.replaced(images.span.clone(), &format!("[{}]", all.join(", "))))
            }
            _ => Err(Unsure::Form),
        }
    }

    /// A mapping with one more key, whose value is a text without quotes.
    fn with_key(&self, mapping: &Node, key: &str, value: &str) -> Result<Self, Unsure> {
        let Kind::Mapping { in_braces, .. } = &mapping.kind else { return Err(Unsure::Form) };
        let value = if *in_braces { quoted(value) } else { value.to_owned() };
        self.with_key_of(mapping, key, &value)
    }

    /// The same with a value that is written as it goes into the file.
    fn with_key_of(&self, mapping: &Node, key: &str, value: &str) -> Result<Self, Unsure> {
        let Kind::Mapping { in_braces, pairs } = &mapping.kind else { return Err(Unsure::Form) };
        let (_, ending) = pairs.last().ok_or(Unsure::Form)?;
        if *in_braces {
            let pair = format!(", {}: {value}", quoted(key));
            return Ok(self.replaced(ending.span.end..ending.span.end, &pair));
        }
        let (first, _) = pairs.first().ok_or(Unsure::Form)?;
        let indent = spaces(self.column(first.span.start));
        let end = pairs.iter().map(|(key, value)| value.span.end.max(key.span.end)).max();
        Ok(self.line_behind(end.ok_or(Unsure::Form)?, &format!("{indent}{key}: {value}")))
    }

    fn without_key(&self, mapping: &Node, name: &str) -> Result<Self, Unsure> {
        let Kind::Mapping { in_braces, pairs } = &mapping.kind else { return Err(Unsure::Form) };
        let spans: Vec<Range<usize>> =
            pairs.iter().map(|(key, value)| key.span.start..value.span.end).collect();
        let at = pairs.iter().position(|(key, _)| key.text() == Some(name)).ok_or(Unsure::Form)?;
        if *in_braces { self.without_item(&spans, at) } else { self.without_lines(&spans, at) }
    }

    fn without(&self, name: &str) -> Result<Self, Unsure> {
        let same = || Ok(Self { text: self.text.clone() });
        if self.provider(name)?.is_none() {
            return same();
        }
        let list = self.list()?;
        let at = list
            .items()
            .iter()
            .position(|item| item.get("name").and_then(Node::text) == Some(name));
        let Some(at) = at else { return same() };
        self.without_of(&list, at)
    }

    fn without_pattern(&self, name: &str, pattern: &str) -> Result<Self, Unsure> {
        let same = || Ok(Self { text: self.text.clone() });
        let Some(provider) = self.provider(name)? else { return same() };
        let Some(images) = provider.get("matchImages") else { return same() };
        let at = images.items().iter().position(|item| item.text() == Some(pattern));
        match at {
            Some(at) => self.without_of(images, at),
            None => same(),
        }
    }

    fn without_of(&self, list: &Node, at: usize) -> Result<Self, Unsure> {
        let Kind::Sequence { in_brackets, items } = &list.kind else { return Err(Unsure::Form) };
        let mut spans: Vec<Range<usize>> = items.iter().map(|item| item.span.clone()).collect();
        if *in_brackets {
            return self.without_item(&spans, at);
        }
        let column = self.column(list.span.start);
        for span in &mut spans {
            span.start = self.dash(span.start, column).ok_or(Unsure::Form)?;
        }
        self.without_lines(&spans, at)
    }

    /// Without an item between commas, and one of the commas.
    fn without_item(&self, spans: &[Range<usize>], at: usize) -> Result<Self, Unsure> {
        let own = spans.get(at).ok_or(Unsure::Form)?;
        let before = at.checked_sub(1).and_then(|before| spans.get(before));
        let gone = match (before, spans.get(at + 1)) {
            (Some(before), _) => before.end..own.end,
            (None, Some(next)) => own.start..next.start,
            (None, None) => own.clone(),
        };
        Ok(self.replaced(gone, ""))
    }

    /// Without the lines of an item that begins in a line of its own.
    fn without_lines(&self, spans: &[Range<usize>], at: usize) -> Result<Self, Unsure> {
        let own = spans.get(at).ok_or(Unsure::Form)?;
        let start = self.line_start(own.start);
        let lead = self.text.get(start..own.start).ok_or(Unsure::Form)?;
        if !lead.trim().is_empty() {
            return Err(Unsure::Form);
        }
        let end = self.line_end(own.end);
        let newline = |text: &str| {
            ["\r\n", "\n"].into_iter().find(|newline| text == *newline).map_or(0, str::len)
        };
        let behind = self.text.get(end..).unwrap_or_default();
        let behind = behind.find('\n').and_then(|at| behind.get(..=at)).map_or(0, newline);
        if behind > 0 {
            return Ok(self.replaced(start..end + behind, ""));
        }
        // The last line has no newline: then the one before it had none.
        let before = self.text.get(..start).unwrap_or_default();
        let before = ["\r\n", "\n"].into_iter().find(|newline| before.ends_with(newline));
        Ok(self.replaced(start - before.map_or(0, str::len)..end, ""))
    }

    /// One more item in brackets, at the distance of the one before it.
    fn behind_item(&self, list: &Node, ending: Option<&Node>, item: &str) -> Self {
        let Some(ending) = ending else {
            let start = list.span.start + 1;
            return self.replaced(start..start, item);
        };
        let before = self.text.get(..ending.span.start).unwrap_or_default();
        let gap = before.get(before.trim_end().len()..).unwrap_or_default();
        // `[a, b]` has its space behind the comma, `[ a ]` and lines have it behind the bracket.
        let is_first = list.items().len() == 1;
        let gap = if is_first && gap.is_empty() && !self.is_minified() { " " } else { gap };
        self.replaced(ending.span.end..ending.span.end, &format!(",{gap}{item}"))
    }

    fn is_minified(&self) -> bool {
        self.text.contains("\",\"")
    }

    /// One more line, or several, behind the line in which a place is.
    fn line_behind(&self, place: usize, lines: &str) -> Self {
        let end = self.line_end(place);
        let is_crlf = self.text.contains("\r\n");
        let lines = if is_crlf { lines.replace('\n', "\r\n") } else { lines.to_owned() };
        let newline = if is_crlf { "\r\n" } else { "\n" };
        self.replaced(end..end, &format!("{newline}{lines}"))
    }

    fn replaced(&self, span: Range<usize>, with: &str) -> Self {
        let mut text = self.text.clone();
        text.replace_range(span, with);
        Self { text }
    }

    /// What stands between the dash of an item's line and the item, dash included.
    fn lead(&self, item: &Node, column: usize) -> Result<String, Unsure> {
        let dash = self.dash(item.span.start, column).ok_or(Unsure::Form)?;
        let lead = self.text.get(dash..item.span.start).ok_or(Unsure::Form)?;
        let is_short = lead.strip_prefix('-').is_some_and(|rest| {
            !rest.is_empty() && rest.chars().all(|c| c == ' ') && !self.is_in_braces(item)
        });
        Ok(if is_short { lead.to_owned() } else { "- ".to_owned() })
    }

    fn is_in_braces(&self, item: &Node) -> bool {
        self.text.get(item.span.start..).is_some_and(|text| text.starts_with('{'))
    }

    /// The dash in this column that an item stands behind.
    fn dash(&self, item: usize, column: usize) -> Option<usize> {
        let mut start = self.line_start(item);
        loop {
            let line = self.text.get(start..)?;
            let dash = line.strip_prefix(&*spaces(column));
            if dash.is_some_and(|rest| rest.starts_with('-')) {
                return Some(start + column);
            }
            start = self.line_start(start.checked_sub(1)?);
        }
    }

    fn column(&self, place: usize) -> usize {
        place - self.line_start(place)
    }

    fn line_start(&self, place: usize) -> usize {
        self.text.get(..place).and_then(|text| text.rfind('\n')).map_or(0, |at| at + 1)
    }

    /// Where the line ends, before its newline.
    fn line_end(&self, place: usize) -> usize {
        // The reader puts the end of some mappings behind that of the text.
        let place = place.min(self.text.len());
        let rest = self.text.get(place..).unwrap_or_default();
        let line = rest.split('\n').next().unwrap_or_default();
        place + line.trim_end_matches('\r').len()
    }
}

fn spaces(number: usize) -> String {
    " ".repeat(number)
}

/// A provider as lines of a list. `lead` is what stands before its first key.
fn in_lines(version: ApiVersion, provider: &Provider, lead: &str) -> String {
    let rest = spaces(lead.len());
    // The writer's own lines are indented by four.
    let text = provider_config::text(version, std::slice::from_ref(provider));
    let lines = text.lines().skip(3).enumerate().map(|(number, line)| {
        let line = line.get(4..).unwrap_or_default();
        if number == 0 { format!("{lead}{line}") } else { format!("{rest}{line}") }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A provider in one line, as YAML and JSON both read it.
#[must_use]
pub fn in_one_line(version: ApiVersion, provider: &Provider) -> String {
    let list =
        |texts: &[String]| texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ");
    let mut text = format!(
        "{{\"name\": {}, \"apiVersion\": {}, \"matchImages\": [{}], \"defaultCacheDuration\": \"0s\"",
        quoted(&provider.name),
        quoted(&format!("{PROTOCOL_GROUP}{version}")),
        list(&provider.match_images)
    );
    if !provider.arguments.is_empty() {
        let _ = write!(text, ", \"args\": [{}]", list(&provider.arguments));
    }
    if let Some(tokens) = &provider.tokens {
        let _ = write!(text, ", \"tokenAttributes\": {}", tokens_in_one_line(tokens));
    }
    text + "}"
}

fn tokens_in_one_line(tokens: &TokenAttributes) -> String {
    let mut text = format!("{{\"serviceAccountTokenAudience\": {}", quoted(&tokens.audience));
    if let Some(cache_type) = &tokens.cache_type {
        let _ = write!(text, ", \"cacheType\": {}", quoted(cache_type));
    }
    let _ = write!(text, ", \"requireServiceAccount\": {}", tokens.require_account);
    for (list, keys) in [("required", &tokens.required_keys), ("optional", &tokens.optional_keys)] {
        if !keys.is_empty() {
            let keys: Vec<String> = keys.iter().map(|key| quoted(key)).collect();
            let _ = write!(text, ", \"{list}ServiceAccountAnnotationKeys\": [{}]", keys.join(", "));
        }
    }
    text + "}"
}

#[cfg(test)]
mod tests {
    use std::ops::Add;

    use super::*;

    fn ours(patterns: &[&str]) -> Provider {
        let match_images = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        Provider { name: "ours".to_owned(), match_images, ..Provider::default() }
    }

    const HEAD: &str = "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\n";

    fn merge(text: &str, patterns: &[&str]) -> Result<(String, Added), Unsure> {
        merged(text, ApiVersion::V1, &[ours(patterns)], &Added::default())
    }

    #[track_caller]
    fn becomes(before: &str, after: &str) {
        let (text, added) = merge(before, &["h.example"]).unwrap();
        assert_eq!(text, after);
        assert_eq!(taken_out(&text, &added).unwrap(), before, "taken out again");
        let again = merged(&text, ApiVersion::V1, &[ours(&["h.example"])], &added).unwrap();
        assert_eq!(again, (text, added), "merged again");
    }

    const OTHER: &str = "name: other\n    matchImages: ['o.example']\n    defaultCacheDuration: 1h\n    apiVersion: credentialprovider.kubelet.k8s.io/v1\n";
    const ENTRY: &str = "name: ours\n    apiVersion: credentialprovider.kubelet.k8s.io/v1\n    matchImages:\n      - \"h.example\"\n    defaultCacheDuration: 0s\n";

    #[test]
    fn an_item_that_the_reader_ends_behind_the_text_is_no_trouble() {
        let text = "kind: CredentialProviderConfig\nproviders:\n  -\n    name: ecr\n    env:\n      - {name: T,TEX value: \"a: b\"}  :\n#Ad cOther\n\n";
        if let Ok((new, added)) = merged(text, ApiVersion::V1, &[], &Added::default()) {
            assert_eq!(taken_out(&new, &added).unwrap(), text);
        }
        let ours = [Provider { name: "ours".to_owned(), ..Provider::default() }];
        if let Ok((new, added)) = merged(text, ApiVersion::V1, &ours, &Added::default()) {
            assert_eq!(taken_out(&new, &added).unwrap(), text);
        }
    }

    #[test]
    fn behind_others_in_each_form() {
        let list = format!("{HEAD}providers:\n  - {OTHER}");
        becomes(&list, &format!("{list}  - {ENTRY}"));
        let top = format!("# mine\n---\n{list}");
        becomes(&top, &format!("{top}  - {ENTRY}"));
        for end in ["---\n", "...\n", "---\nkind: Other\n", "# the end\n"] {
            becomes(&format!("{list}{end}"), &format!("{list}  - {ENTRY}{end}"));
        }
        let dash = format!("{HEAD}providers:\n  -\n    {OTHER}");
        becomes(&dash, &format!("{dash}  - {ENTRY}"));
        let anchor = format!("{HEAD}providers:\n  - &a\n    {OTHER}");
        becomes(&anchor, &format!("{anchor}  - {ENTRY}"));
        let crlf = list.replace('\n', "\r\n");
        becomes(&crlf, &format!("{list}  - {ENTRY}").replace('\n', "\r\n"));
        let end = "# the end\r\n---\r\n";
        becomes(
            &format!("{crlf}{end}"),
            &format!("{list}  - {ENTRY}").replace('\n', "\r\n").add(end),
        );
        let cut = list.trim_end();
        becomes(cut, format!("{list}  - {ENTRY}").trim_end());
    }

    #[test]
    fn between_brackets() {
        let one = "{\"name\": \"ours\", \"apiVersion\": \"credentialprovider.kubelet.k8s.io/v1\", \"matchImages\": [\"h.example\"], \"defaultCacheDuration\": \"0s\"}";
        let other = "{name: other, matchImages: [o.example], defaultCacheDuration: 1h, apiVersion: credentialprovider.kubelet.k8s.io/v1}";
        becomes(
            &format!("{HEAD}providers: [{other}]\n"),
            &format!("{HEAD}providers: [{other}, {one}]\n"),
        );
        becomes(
            &format!("{HEAD}providers: [\n  {other}\n]\n"),
            &format!("{HEAD}providers: [\n  {other},\n  {one}\n]\n"),
        );
        becomes(&format!("{HEAD}providers: []\n"), &format!("{HEAD}providers: [{one}]\n"));
    }

    #[test]
    fn an_entry_made_by_hand_is_extended() {
        let list = format!(
            "{HEAD}providers:\n  - name: ours # mine\n    matchImages: [hub.example.com]\n    args: [--config, /srv/acr.yaml]\n    defaultCacheDuration: 1h\n    apiVersion: credentialprovider.kubelet.k8s.io/v1\n"
        );
        becomes(&list, &list.replace("[hub.example.com]", "[hub.example.com, \"h.example\"]"));
        let lines = list.replace(" [hub.example.com]", "\n    - hub.example.com # x\n    # y");
        becomes(&lines, &lines.replace("# x\n", "# x\n    - \"h.example\"\n"));
    }

    #[test]
    fn what_was_added_and_is_not_wanted_goes() {
        let list = format!(
            "{HEAD}providers:\n  - name: ours\n    matchImages: [hub.example.com]\n    defaultCacheDuration: 1h\n    apiVersion: credentialprovider.kubelet.k8s.io/v1\n"
        );
        let (first, added) = merge(&list, &["a.example"]).unwrap();
        let (second, added) =
            merged(&first, ApiVersion::V1, &[ours(&["b.example"])], &added).unwrap();
        assert!(second.contains("[hub.example.com, \"b.example\"]"), "{second}");
        assert_eq!(taken_out(&second, &added).unwrap(), list);
    }

    #[test]
    fn refused() {
        for (text, why) in [
            ("", Unsure::NoProviders),
            ("kind: Other\nproviders: []\n", Unsure::NoProviders),
            ("kind: CredentialProviderConfig\n", Unsure::NoProviders),
            ("kind: CredentialProviderConfig\nproviders: x\n", Unsure::Form),
            (
                "kind: CredentialProviderConfig\nproviders: [{name: ours}, {name: ours}]\n",
                Unsure::Twice("ours".to_owned()),
            ),
        ] {
            assert_eq!(merge(text, &["h.example"]).map(|_| ()), Err(why), "{text}");
        }
    }
}
