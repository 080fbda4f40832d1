//! A report for programs and support tickets: one JSON document.

use serde::Serialize;

use crate::doctor::check::{Check, Line, Status};
use crate::system::text::one_line;

/// Of the form of the document; grows when a field changes its meaning or goes.
pub const VERSION: u32 = 2;

#[derive(Serialize)]
struct Json<'a> {
    version: u32,
    program: String,
    result: Status,
    exit: u8,
    images: &'a [String],
    checks: Vec<JsonCheck<'a>>,
}

#[derive(Serialize)]
struct JsonCheck<'a> {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    status: Status,
    details: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remedies: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<JsonProblem<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit: Option<u8>,
}

#[derive(Serialize)]
struct JsonProblem<'a> {
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'a str>,
    /// All of them, filled-in policies included.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    remedies: &'a [String],
}

/// Says of each check what the report says of it.
pub(super) fn document(images: &[String], checks: &[Check], result: Status, exit: u8) -> String {
    let document = Json {
        version: VERSION,
        program: crate::program::version(),
        result,
        exit,
        images,
        checks: checks.iter().map(Check::json).collect(),
    };
    // Strings and numbers only: it cannot fail. Within strings line ends are escaped.
    let text = serde_json::to_string_pretty(&document).unwrap_or_default();
    let lines: Vec<String> = text.split('\n').map(one_line).collect();
    lines.join("\n") + "\n"
}

impl Check {
    fn json(&self) -> JsonCheck<'_> {
        JsonCheck {
            name: self.name.text(),
            host: self.host.as_deref(),
            status: self.status,
            details: self.details(),
            remedies: self.remedies(),
            problems: self.lines.iter().filter_map(Line::problem).collect(),
            exit: Some(self.exit).filter(|exit| *exit != 0),
        }
    }
}

impl Line {
    fn problem(&self) -> Option<JsonProblem<'_>> {
        let remedies = self.remedies.as_ref()?;
        let remedy = remedies.first().map(String::as_str);
        Some(JsonProblem { what: self.texts.join("; "), remedy, remedies })
    }
}
