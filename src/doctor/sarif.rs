//! The mistakes of a configuration as code hosts show them, at their lines: SARIF 2.1.0.

use std::path::Path;

use serde::Serialize;

use crate::aliyun::signature::percent_encode;
use crate::config::yaml::Position;
use crate::config::{Config, ConfigError, Mistakes, Warning};
use crate::doctor::configuration::all_the_same;
use crate::program;
use crate::system::environment::Environment;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

#[derive(Serialize)]
struct Document {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    /// Columns count characters, not UTF-16 units.
    column_kind: &'static str,
    results: Vec<Finding>,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
struct Driver {
    name: &'static str,
    version: &'static str,
    rules: [Rule; 2],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: Kind,
    short_description: Text,
}

/// What is found.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// No pull works with it.
    Mistake,
    /// Pulls work anyway.
    Warning,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Error,
    Warning,
}

#[derive(Serialize)]
struct Text {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    rule_id: Kind,
    level: Level,
    message: Text,
    locations: Vec<Location>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: Physical,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Serialize)]
struct Artifact {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: usize,
    start_column: usize,
}

/// One document. `result` is that of reading the configuration.
#[must_use]
pub fn document(result: Result<&Config, &ConfigError>, environment: &Environment) -> String {
    let results = match result {
        Ok(config) => warnings(config),
        Err(error) => mistakes(error, environment),
    };
    let rule = |id, text: &str| Rule { id, short_description: Text { text: text.to_owned() } };
    let rules = [
        rule(Kind::Mistake, "The configuration cannot be used"),
        rule(Kind::Warning, "The configuration can be used, and somebody should know this"),
    ];
    let driver = Driver { name: program::PROGRAM, version: program::VERSION, rules };
    let run = Run { tool: Tool { driver }, column_kind: "unicodeCodePoints", results };
    let document = Document { schema: SCHEMA, version: "2.1.0", runs: [run] };
    serde_json::to_string_pretty(&document).map_or_else(|_| String::new(), |text| text + "\n")
}

fn warnings(config: &Config) -> Vec<Finding> {
    let path = config.path.as_deref();
    let found = |it: &Warning| finding(Kind::Warning, it.message.clone(), path, it.at);
    config.warnings.iter().map(found).collect()
}

fn mistakes(error: &ConfigError, environment: &Environment) -> Vec<Finding> {
    match error {
        ConfigError::Wrong(mistakes) => of(mistakes),
        ConfigError::Unreadable { path, .. } | ConfigError::Closed { path } => {
            vec![finding(Kind::Mistake, error.to_string(), Some(path), None)]
        }
        ConfigError::Distrusted { path, .. } => {
            let mut all = vec![finding(Kind::Mistake, error.to_string(), Some(path), None)];
            if let Some(Err(ConfigError::Wrong(mistakes))) = all_the_same(path, environment) {
                all.extend(of(&mistakes));
            }
            all
        }
    }
}

fn of(mistakes: &Mistakes) -> Vec<Finding> {
    let path = mistakes.path.as_deref();
    let in_file = mistakes.in_file.iter();
    let in_file = in_file.map(|it| finding(Kind::Mistake, it.message.clone(), path, Some(it.at)));
    let outside = mistakes.in_environment.iter();
    in_file.chain(outside.map(|it| finding(Kind::Mistake, it.to_string(), None, None))).collect()
}

fn finding(kind: Kind, text: String, path: Option<&Path>, at: Option<Position>) -> Finding {
    let level = match kind {
        Kind::Mistake => Level::Error,
        Kind::Warning => Level::Warning,
    };
    let region = at.map(|at| Region { start_line: at.line, start_column: at.column });
    let location = |path: &Path| Location {
        physical_location: Physical { artifact_location: Artifact { uri: uri(path) }, region },
    };
    let locations = path.map(location).into_iter().collect();
    Finding { rule_id: kind, level, message: Text { text }, locations }
}

/// A path as a URI reference: a relative one stays relative, to the root of the repository.
fn uri(path: &Path) -> String {
    let scheme = if path.is_absolute() { "file://" } else { "" };
    let parts = path.as_os_str().as_encoded_bytes().split(|byte| *byte == b'/');
    let parts: Vec<String> = parts.map(percent_encode).collect();
    format!("{scheme}{}", parts.join("/"))
}
