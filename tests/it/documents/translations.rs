//! The translations of README say what README says: the same headings, blocks and links.

use std::collections::BTreeSet;

use super::{Document, READMES, document};

fn levels(document: &Document) -> Vec<usize> {
    document.headings().into_iter().map(|(level, _)| level).collect()
}

fn blocks(document: &Document) -> Vec<(String, String)> {
    document.blocks().into_iter().map(|block| (block.language, block.text)).collect()
}

/// But for those to the other languages.
fn links(document: &Document) -> BTreeSet<String> {
    let links = document.links().into_iter().filter(|link| !READMES.contains(link));
    links.map(str::to_owned).collect()
}

fn rows(document: &Document) -> usize {
    document.text.lines().filter(|line| line.starts_with('|')).count()
}

#[test]
fn translations_are_whole() {
    let english = document(READMES[0]);
    for translation in READMES[1..].iter().map(|path| document(path)) {
        let path = &translation.path;
        assert_eq!(levels(&translation), levels(&english), "headings of {path}");
        assert_eq!(blocks(&translation), blocks(&english), "blocks of {path}");
        assert_eq!(links(&translation), links(&english), "links of {path}");
        assert_eq!(rows(&translation), rows(&english), "rows of tables of {path}");
    }
}

#[test]
fn each_language_links_to_the_others() {
    for document in READMES.map(document) {
        let others = READMES.iter().filter(|path| **path != document.path);
        for other in others {
            assert!(document.links().contains(other), "{} has no link to {other}", document.path);
        }
    }
}
