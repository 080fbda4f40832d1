//! What is wrong with a configuration: why it cannot be used, and what to know of one that can be.

use std::fmt;
use std::path::PathBuf;

use crate::config::diagnostics::lines::Position;
use crate::config::diagnostics::notes::Note;
use crate::config::variables::VariableError;

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// `remedy` is what mends it, where that is known.
    #[error("configuration `{}` cannot be read: {detail}", path.display())]
    Unreadable { path: PathBuf, detail: String, remedy: Option<String> },
    #[error("configuration `{}` cannot be read by this user", path.display())]
    Closed { path: PathBuf },
    /// Others could have written it.
    #[error("configuration `{}` is not used: {detail}", path.display())]
    Distrusted { path: PathBuf, detail: String },
    #[error("{0}")]
    Wrong(Mistakes),
}

/// Something that keeps nobody from a login.
#[derive(Debug)]
pub struct Warning {
    /// Its place in the file, if it is about the file.
    pub at: Option<Position>,
    pub message: String,
    /// The command that mends it, if there is one.
    pub remedy: Option<String>,
}

/// What is wrong in the file, and then in the environment.
#[derive(Debug)]
pub struct Mistakes {
    pub path: Option<PathBuf>,
    pub in_file: Vec<Note>,
    /// How many more the file has, which are not kept.
    pub more: usize,
    pub in_environment: Vec<VariableError>,
}

impl Mistakes {
    /// Each mistake in a line with its place, and what to do.
    pub fn all(&self) -> impl Iterator<Item = (String, &'static str)> {
        let path = self.path.as_deref().unwrap_or("".as_ref()).display();
        let in_file = self.in_file.iter().map(move |Note { at, message }| {
            (format!("{path}:{at}: {message}"), "correct the lines named above")
        });
        in_file.chain(self.in_environment.iter().map(|it| (it.to_string(), it.remedy())))
    }

    /// What to do about the first.
    pub fn remedy(&self) -> &'static str {
        match (self.in_file.is_empty(), self.in_environment.first()) {
            (true, Some(variable)) => variable.remedy(),
            _ => "correct the file; the next pull reads it again, without a restart of the kubelet",
        }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.in_file.is_empty() {
            f.write_str("configuration ")?;
        }
        f.write_str(&self.all().next().map(|(first, _)| first).unwrap_or_default())
    }
}
