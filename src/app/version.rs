//! What this build is, for programs.

use serde::Serialize;

use crate::doctor::json;
use crate::program;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Build {
    name: &'static str,
    version: &'static str,
    /// Null for a build that is not a release.
    commit: Option<&'static str>,
    target: String,
    license: &'static str,
    /// Of the form of `doctor --json`.
    doctor_json: u32,
}

/// One JSON document.
#[must_use]
pub fn document() -> String {
    let build = Build {
        name: program::PROGRAM,
        version: program::VERSION,
        commit: program::COMMIT,
        target: program::target(),
        license: env!("CARGO_PKG_LICENSE"),
        doctor_json: json::VERSION,
    };
    let text = serde_json::to_string_pretty(&build);
    text.map_or_else(|_| String::new(), |text| text + "\n")
}
