//! The process environment, taken once by `main` and handed on as a value. Which variables count, and
//! in which form, is said in `config/variables.rs`.

use std::ffi::OsString;

/// A snapshot of the process environment.
///
/// The kubelet hands on its own environment plus the `env` of its provider configuration;
/// `HOME` and `PATH` may be missing (kubernetes/kubernetes#102750).
///
/// A list: the kubelet has some twenty variables, and a run looks for few of them.
#[derive(Debug, Default, Clone)]
pub struct Environment(Vec<(String, String)>);

impl Environment {
    /// A variable whose name is not UTF-8 is ignored. A value that is not UTF-8 stays, with its wrong
    /// bytes replaced, so that it is refused where it is used and not taken for one that is not set.
    /// Of two of a name the later counts.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        };
        let mut all: Vec<(String, String)> = Vec::new();
        for (name, value) in variables.into_iter().filter_map(text) {
            match all.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = value,
                None => all.push((name, value)),
            }
        }
        Self(all)
    }

    /// A variable that is set to something; an empty one counts as not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        Some(value.trim()).filter(|value| !value.is_empty())
    }

    /// All variables, with their values as they are.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether a variable's value is what was set, with no byte replaced.
    pub fn is_text(&self, name: &str) -> bool {
        !self.get(name).is_some_and(|value| value.contains(char::REPLACEMENT_CHARACTER))
    }
}
