//! What the logs of this machine have about credential providers, and about a program that was denied.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::kubelet::process::{is_roots, output_of};
use crate::program::PROGRAM;

/// Lines that are shown.
const MOST: usize = 3;
/// Of a line that is shown, in characters.
const WIDTH: usize = 300;
/// The end of a log that is read, in bytes.
const END: u64 = 256 * 1024;

/// Of a program's name the kernel keeps so many characters.
const COMM: usize = 15;

const JOURNALCTL: [&str; 2] = ["/usr/bin/journalctl", "/bin/journalctl"];

/// Where kubelets log that do not log to journald.
const FILES: [&str; 3] =
    ["var/lib/rancher/rke2/agent/logs/kubelet.log", "var/log/k3s.log", "var/log/kubelet.log"];

/// Where auditd writes denials, which then are not in the kernel's log.
const AUDIT: &str = "var/log/audit/audit.log";

/// Words of the lines that are about credential providers.
const ABOUT: [&str; 3] = ["credential provider", "credential-provider", "cri auth plugins"];

/// The last lines about credential providers.
pub(super) fn last_lines(root: &Path, unit: &str) -> Vec<String> {
    let journal = journalctl(root, &["-u", unit]).map(|text| about(&text)).unwrap_or_default();
    if !journal.is_empty() {
        return journal;
    }
    let files = FILES.iter().filter_map(|file| end_of(&root.join(file)));
    files.map(|text| about(&text)).find(|lines| !lines.is_empty()).unwrap_or_default()
}

/// A line in which SELinux or AppArmor denied something.
pub(super) struct Denial {
    pub line: String,
    /// In seconds since 1970.
    pub at: Option<i64>,
    pub by: Denier,
}

pub(super) enum Denier {
    SeLinux,
    /// The profile, if the line names it.
    AppArmor(Option<String>),
}

impl Denial {
    fn of(line: &str) -> Option<Self> {
        // In permissive mode SELinux only notes what it would deny.
        let is_only_noted = line.contains("permissive=1");
        let by = if line.contains("avc:") && line.contains("denied") && !is_only_noted {
            Denier::SeLinux
        } else if line.contains("apparmor=\"DENIED\"") {
            let profile = line.split_once(" profile=\"").and_then(|(_, rest)| rest.split_once('"'));
            Denier::AppArmor(profile.map(|(profile, _)| profile.to_owned()))
        } else {
            return None;
        };
        let at = line.split_once("audit(").and_then(|(_, rest)| rest.split_once('.'));
        Some(Self { line: shown(line), at: at.and_then(|(at, _)| at.parse().ok()), by })
    }
}

/// The last denial about a program since this start of the machine.
pub(super) fn denial(root: &Path, program: &str) -> Option<Denial> {
    last_denial(root, |line| line.contains(program))
}

/// The last denial of a file to this program since this start of the machine. SELinux names the file
/// without its folder.
pub(super) fn denial_to_us(root: &Path, file: &Path) -> Option<Denial> {
    let us = format!("comm=\"{}\"", PROGRAM.get(..COMM).unwrap_or(PROGRAM));
    let name = file.file_name().unwrap_or_default().display();
    let names = [format!(" name=\"{name}\""), format!(" name=\"{}\"", file.display())];
    let is_meant = |line: &str| line.contains(&us) && names.iter().any(|name| line.contains(name));
    last_denial(root, is_meant)
}

fn last_denial(root: &Path, is_meant: impl Fn(&str) -> bool) -> Option<Denial> {
    let kernel = journalctl(root, &["-k", "-b"]).unwrap_or_default();
    let audit = end_of(&root.join(AUDIT)).unwrap_or_default();
    let lines = audit.lines().chain(kernel.lines()).filter(|line| is_meant(line));
    lines.filter_map(Denial::of).max_by_key(|denial| denial.at)
}

/// Of the journal of this machine.
fn journalctl(root: &Path, which: &[&str]) -> Option<String> {
    if root != Path::new("/") {
        return None;
    }
    let binary = JOURNALCTL.iter().map(PathBuf::from).find(|path| is_roots(path))?;
    let arguments = [which, &["-o", "cat", "-n", "1000", "--no-pager", "-q"]].concat();
    output_of(&binary, &arguments, END).ok()
}

fn end_of(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok().filter(std::fs::Metadata::is_file)?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END))).ok()?;
    let mut bytes = Vec::new();
    file.take(END).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn about(text: &str) -> Vec<String> {
    let is_about = |line: &str| {
        let line = line.to_lowercase();
        ABOUT.iter().any(|words| line.contains(words))
    };
    last(text, is_about, MOST)
}

fn last(text: &str, is_meant: impl Fn(&str) -> bool, most: usize) -> Vec<String> {
    let mut lines: Vec<&str> =
        text.lines().rev().filter(|line| is_meant(line)).take(most).collect();
    lines.reverse();
    lines.into_iter().map(shown).collect()
}

fn shown(line: &str) -> String {
    masked(line).chars().take(WIDTH).collect()
}

/// A log is other people's: what looks like a key, a token or a password is left out.
fn masked(line: &str) -> String {
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || "+/=_.-".contains(c);
    let mut text = String::new();
    let mut after_name = false;
    for part in line.split_inclusive(|c: char| !is_of_word(c)) {
        let word = part.trim_end_matches(|c: char| !is_of_word(c));
        let rest = part.get(word.len()..).unwrap_or_default();
        let hides = after_name && !word.is_empty() || looks_secret(word);
        text.push_str(if hides { "[…]" } else { word });
        text.push_str(rest);
        if !word.is_empty() {
            after_name = names_secret(word);
        }
    }
    text
}

fn names_secret(word: &str) -> bool {
    let word = word.to_lowercase();
    ["password", "passwd", "secret", "token"]
        .iter()
        .any(|name| word.trim_end_matches('=').ends_with(name))
}

/// Long, and of small and capital letters and digits without a break, as keys and tokens are.
fn looks_secret(word: &str) -> bool {
    let value = word
        .rsplit_once('=')
        .map_or(word, |(_, value)| if value.is_empty() { word } else { value });
    let named = word.split_once('=').is_some_and(|(name, _)| names_secret(name));
    let longest = value.split(['.', '-', '/']).max_by_key(|part| part.len()).unwrap_or_default();
    let has = |is: fn(&char) -> bool| longest.chars().any(|c| is(&c));
    let is_mixed =
        has(char::is_ascii_lowercase) && has(char::is_ascii_uppercase) && has(char::is_ascii_digit);
    named || longest.len() >= 20 && is_mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_others_are_left_out() {
        for (line, expected) in [
            (
                "err=\"error: no login for a.b.com: NoPermission\"",
                "err=\"error: no login for a.b.com: NoPermission\"",
            ),
            ("password=hunter2 x", "[…] x"),
            ("\"password\": \"hunter2\", x", "\"password\": \"[…]\", x"),
            ("plugin eyJhbGciOiJSUzI1NiIsImtpZCI6IiJ9.eyJpc3Mi ends", "plugin […] ends"),
            (
                "acme-registry.cn-hangzhou.cr.aliyuncs.com/team/app",
                "acme-registry.cn-hangzhou.cr.aliyuncs.com/team/app",
            ),
            ("id 7B3A9C1E-52D4-4F0B-9E57-0D6A1B2C3D4E", "id 7B3A9C1E-52D4-4F0B-9E57-0D6A1B2C3D4E"),
        ] {
            assert_eq!(masked(line), expected);
        }
    }
}
