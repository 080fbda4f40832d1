//! The variables that systemd itself gives the services that it starts: `DefaultEnvironment=` of its
//! own configuration, and what a service asks for of its environment by `PassEnvironment=`.

use std::io;

use crate::setup::tree::Tree;
use crate::setup::unit_files::in_folders;
use crate::setup::unit_text::{lines, plain, words};

/// Where its configuration is, in the order of their weight.
const FOLDERS: [&str; 5] =
    ["/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd", "/lib/systemd"];

/// systemd's own environment.
const ENVIRONMENT: &str = "/proc/1/environ";

/// What each service gets.
///
/// # Errors
///
/// A file that is there and cannot be read.
pub fn variables(tree: &Tree) -> io::Result<Vec<(String, String)>> {
    let mut main = FOLDERS.iter().map(|folder| format!("{folder}/system.conf"));
    let main = main.find(|path| tree.exists(path));
    let folders = FOLDERS.iter().map(|folder| format!("{folder}/system.conf.d"));
    let mut all = Vec::new();
    for file in main.into_iter().chain(in_folders(tree, folders)) {
        let text = tree.text(&file)?.unwrap_or_default();
        for line in lines(&text).iter().filter(|line| line.key == "DefaultEnvironment") {
            if plain(&line.value).is_empty() {
                all.clear();
            }
            all.extend(words(&line.value).iter().filter_map(|word| pair(&word.text)));
        }
    }
    Ok(all)
}

/// What systemd has of these names. It is not known to who may not see its environment.
pub(super) fn passed<'n>(
    tree: &Tree,
    names: impl Iterator<Item = &'n str>,
) -> Vec<(String, String)> {
    let text = tree.text(ENVIRONMENT).ok().flatten().unwrap_or_default();
    let all: Vec<(String, String)> = text.split('\0').filter_map(pair).collect();
    names.flat_map(|name| all.iter().filter(move |(known, _)| known == name)).cloned().collect()
}

fn pair(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    Some((name.to_owned(), value.to_owned()))
}
