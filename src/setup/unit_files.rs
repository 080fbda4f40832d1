//! Which files systemd finds: drop-ins in folders of different weight, what is masked, and what a
//! pattern fits.

use crate::setup::tree::{Entry, Tree};

/// The `*.conf` of folders in the order of their weight, as they are read.
#[must_use]
pub fn in_folders(tree: &Tree, folders: impl Iterator<Item = String>) -> Vec<String> {
    let mut found: Vec<(String, String)> = Vec::new();
    for folder in folders {
        for name in tree.names(&folder) {
            if name.strip_suffix(".conf").is_some()
                && !found.iter().any(|(known, _)| *known == name)
            {
                let path = format!("{folder}/{name}");
                found.push((name, path));
            }
        }
    }
    found.sort();
    found.into_iter().map(|(_, path)| path).filter(|path| !is_mask(tree, path)).collect()
}

/// A link to `/dev/null`, or an empty file.
#[must_use]
pub fn is_mask(tree: &Tree, path: &str) -> bool {
    match tree.entry(path) {
        Ok(Some(Entry::File { bytes, .. })) => bytes.is_empty(),
        Ok(Some(Entry::Link(_))) => matches!(tree.text(path), Ok(None)),
        _ => true,
    }
}

/// The files that a path with `*`, `?` or `[…]` in its last part finds, or the path itself.
#[must_use]
pub fn matching(tree: &Tree, path: &str) -> Vec<String> {
    let Some((folder, pattern)) = path.rsplit_once('/') else { return Vec::new() };
    if !pattern.contains(['*', '?', '[']) {
        return vec![path.to_owned()];
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let fits = |name: &String| {
        // A name that begins with a dot is found only by a pattern that does.
        name.starts_with('.') == pattern.starts_with(&['.'])
            && glob(&pattern, &name.chars().collect::<Vec<_>>())
    };
    tree.names(folder).into_iter().filter(fits).map(|name| format!("{folder}/{name}")).collect()
}

fn glob(pattern: &[char], name: &[char]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        (['*', rest @ ..], _) => {
            glob(rest, name) || name.split_first().is_some_and(|(_, name)| glob(pattern, name))
        }
        (['?', rest @ ..], [_, name @ ..]) => glob(rest, name),
        (['[', rest @ ..], [c, name @ ..]) => {
            let Some(end) = rest.iter().skip(1).position(|c| *c == ']') else { return false };
            let (class, rest) = rest.split_at(end + 1);
            let (negated, class) = match class {
                ['!' | '^', class @ ..] => (true, class),
                class => (false, class),
            };
            let in_range = |range: &[char]| matches!(range, [a, '-', z] if a <= c && c <= z);
            let hit = class.contains(c) || class.windows(3).any(in_range);
            hit != negated && glob(rest.get(1..).unwrap_or_default(), name)
        }
        ([p, rest @ ..], [c, name @ ..]) => p == c && glob(rest, name),
        _ => false,
    }
}
