//! The environment variables that count, taken once by `main` and handed on as a value.

use std::collections::HashMap;
use std::ffi::OsString;

/// How the names of the vendor's variables begin.
pub const VENDORS: &str = "ALIBABA_CLOUD_";

/// A snapshot of the process environment.
///
/// The kubelet hands on its own environment plus the `env` of its provider configuration;
/// `HOME` and `PATH` may be missing (kubernetes/kubernetes#102750).
#[derive(Debug, Default, Clone)]
pub struct Environment(HashMap<String, String>);

impl Environment {
    /// Variables whose name is not UTF-8 are none of ours. A value that is not stays, with its wrong
    /// bytes replaced, so that it is refused where it is used and not taken for one that is not set.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        };
        Self(variables.into_iter().filter_map(text).collect())
    }

    /// A variable that is set to something; an empty one counts as not set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// Whether a variable's value is what was set, with no byte replaced.
    #[must_use]
    pub fn is_text(&self, name: &str) -> bool {
        !self.get(name).is_some_and(|value| value.contains(char::REPLACEMENT_CHARACTER))
    }

    /// `true` in any letter case, as the vendor's own libraries read their switches.
    #[must_use]
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The vendor's variables in one text, for telling two environments apart.
    ///
    /// A temporary AccessKey is left out: it changes while its owner stays the same. That there is
    /// one is told, and nothing is kept for who uses it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        const KEY: [&str; 3] = [
            "ALIBABA_CLOUD_ACCESS_KEY_ID",
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
            "ALIBABA_CLOUD_SECURITY_TOKEN",
        ];
        let temporary = self.get(KEY[2]).is_some();
        let mut variables: Vec<(&str, &str)> = self
            .0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| name.starts_with(VENDORS))
            .map(|(name, value)| match self.get(name) {
                Some(_) if temporary && KEY.contains(&name) => (name, "temporary"),
                _ => (name, value),
            })
            .collect();
        variables.sort_unstable();
        format!("{variables:?}")
    }

    /// The first of several spellings, such as `HTTPS_PROXY` and `https_proxy`.
    #[must_use]
    pub fn any(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name))
    }
}
