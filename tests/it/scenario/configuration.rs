//! The configuration that a run is given: a standard one with what is different here, or one whole.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value as Json;

use super::Scenario;
use crate::TESTS;

/// `tests/configurations/standard/<name>.yaml` with the scenario's `entry` and `settings`.
pub(super) fn standard(name: &str, scenario: &Scenario) -> String {
    let path = format!("{TESTS}/configurations/standard/{name}.yaml");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let (entry, settings) =
        text.split_once("credential-provider:\n").expect("the settings come last");
    let entry = changed(entry, "    ", &scenario.entry);
    let settings = changed(settings, "  ", &scenario.settings);
    format!("{entry}credential-provider:\n{settings}")
}

/// Lines with one key each, which begin at a depth. A new value replaces the line of its key or comes
/// last, so that lines keep their numbers; null removes the line.
fn changed(text: &str, depth: &str, changes: &BTreeMap<String, Json>) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (key, value) in changes {
        let is_here = |line: &String| {
            line.get(depth.len()..).is_some_and(|rest| rest.starts_with(&format!("{key}: ")))
        };
        match (lines.iter().position(is_here), value) {
            (Some(at), Json::Null) => drop(lines.remove(at)),
            (None, Json::Null) => panic!("there is no {key} to remove"),
            (Some(at), value) => lines[at].replace_range(depth.len().., &format!("{key}: {value}")),
            (None, value) => lines.push(format!("{depth}{key}: {value}")),
        }
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

/// Each run has a cache of its own. The setting is appended where `credential-provider` comes last.
/// Other scenarios have it in their file if they get as far as the cache.
pub(super) fn with_own_cache(config: &str) -> String {
    let top = |line: &&str| line.starts_with(|c: char| c.is_ascii_alphabetic());
    let last = config.lines().rfind(top);
    let comes_last = last.is_some_and(|line| line.starts_with("credential-provider:"));
    if config.contains("cacheDir") || !comes_last {
        return config.to_owned();
    }
    let spaces = config.lines().last().map_or(0, |line| line.len() - line.trim_start().len());
    let indent = " ".repeat(spaces.min(2));
    format!("{}\n{indent}cacheDir: ${{dir}}/own-cache\n", config.trim_end())
}
