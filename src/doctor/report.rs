//! What doctor found: checks as they end, and the verdict.

use std::io;

use crate::doctor::json;

pub use crate::doctor::check::{Check, Name, Status};
pub use crate::doctor::text::Text;

/// All checks.
#[derive(Default)]
pub struct Report<'o> {
    /// Whose pulls are followed: images, or hosts as they are configured.
    pub images: Vec<String>,
    checks: Vec<Check>,
    /// The registry that checks belong to from now on.
    pub host: Option<String>,
    /// The configuration is all that was asked for.
    pub is_of_configuration: bool,
    /// The configuration could not be used, so no pull was followed.
    pub has_no_pull: bool,
    /// What a person reads meanwhile.
    text: Option<Text<'o>>,
}

impl<'o> Report<'o> {
    /// One that is written as it comes.
    #[must_use]
    pub fn written(text: Text<'o>) -> Self {
        Self { text: Some(text), ..Self::default() }
    }

    pub fn add(&mut self, mut check: Check) {
        if check.more > 0 {
            check.detail(format!("and {} more", check.more));
        }
        check.host.clone_from(&self.host);
        if let Some(text) = &mut self.text {
            text.add(&check, self.images.len() > 1);
        }
        self.checks.push(check);
    }

    /// What comes next and may take a while, for who waits at a terminal.
    pub fn begin(&mut self, what: &str) {
        if let Some(text) = &mut self.text {
            text.begin(what);
        }
    }

    /// Writes the verdict, if the checks were written as they ended.
    ///
    /// # Errors
    ///
    /// When something of it could not be written.
    pub fn end(&mut self) -> io::Result<()> {
        let verdict = self.verdict();
        self.text.as_mut().map_or(Ok(()), |text| text.end(&verdict))
    }

    /// The exit code: that of the pull, and else of a kubelet that never makes one.
    #[must_use]
    pub fn exit(&self) -> u8 {
        let code = |is_pull: bool| {
            let checks =
                self.checks.iter().filter(|check| (check.name != Name::KUBELET) == is_pull);
            checks.map(|check| check.exit).find(|exit| *exit != 0)
        };
        code(true).or_else(|| code(false)).unwrap_or(0)
    }

    fn result(&self) -> Status {
        let worst = self.checks.iter().map(|check| check.status).max();
        worst.filter(|status| *status > Status::Skipped).unwrap_or(Status::Ok)
    }

    fn verdict(&self) -> String {
        let unfollowed = self.names(|check| check.is_unfollowed);
        let warned = self.names(|check| check.status == Status::Warning);
        let failed = self.names(|check| check.status == Status::Failed);
        let left_out = match (self.is_of_configuration, self.has_no_pull) {
            _ if !failed.is_empty() => "",
            (true, _) => "kubelet, pulls",
            (false, true) => "pulls",
            (false, false) => "",
        };
        let unfollowed = if left_out.is_empty() { unfollowed } else { left_out.to_owned() };
        let mut sentences = Vec::new();
        if !failed.is_empty() {
            sentences.push(format!("FAILED: {failed}, exit code {}.", self.exit()));
            sentences.push("The lines with `do:` say what to do.".to_owned());
        } else if self.exit() != 0 {
            sentences.push(format!("INCOMPLETE, exit code {}.", self.exit()));
        } else if self.is_of_configuration {
            sentences.push("The configuration is valid.".to_owned());
        } else if warned.is_empty() && unfollowed.is_empty() {
            sentences.push("All is well.".to_owned());
        } else {
            sentences.push("No check failed.".to_owned());
        }
        for (what, names) in [("Warnings", warned), ("Not checked", unfollowed)] {
            if !names.is_empty() {
                sentences.push(format!("{what}: {names}."));
            }
        }
        sentences.join(" ")
    }

    /// The names of some checks; with the registry where there are several.
    fn names(&self, which: impl Fn(&Check) -> bool) -> String {
        let mut names: Vec<String> = Vec::new();
        for check in self.checks.iter().filter(|check| which(check)) {
            let host = check.host.as_ref().filter(|_| self.images.len() > 1);
            let host = host.map_or(String::new(), |host| format!(" of {host}"));
            let name = format!("{}{host}", check.name.text());
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.join(", ")
    }

    /// For programs and support tickets: one JSON document.
    #[must_use]
    pub fn json(&self) -> String {
        json::document(&self.images, &self.checks, self.result(), self.exit())
    }
}
