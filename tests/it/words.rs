//! The words of the trade: none of the project's former private words is left in what people read.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::TESTS;

/// A private word, what is written instead, and the phrases that hold it and are plain English.
struct Word {
    private: &'static str,
    instead: &'static str,
    but: &'static [&'static str],
}

const WORDS: &[Word] = &[
    Word {
        private: "is no",
        instead: "is not a",
        but: &[
            "there is no",
            "is no longer",
            "is no older",
            "is no later",
            "is no more",
            "is no less",
        ],
    },
    Word {
        private: "are no",
        instead: "are not",
        but: &["there are no", "are no longer", "are no more"],
    },
    Word { private: "is none of", instead: "is not one of", but: &[] },
    Word { private: "told", instead: "reported, says", but: &[] },
    Word { private: "tells", instead: "says, reports", but: &[] },
    Word { private: "blank", instead: "space", but: &[] },
    Word { private: "blanks", instead: "spaces", but: &[] },
    Word { private: "way back", instead: "rollback, roll back", but: &[] },
    Word { private: "station", instead: "stage, check", but: &[] },
    Word { private: "stations", instead: "stages, checks", but: &[] },
    Word { private: "in vain", instead: "fails again", but: &[] },
    Word { private: "for good", instead: "permanently", but: &[] },
    Word { private: "people's words", instead: "readable", but: &[] },
    Word { private: "passed over", instead: "ignored", but: &[] },
    Word { private: "has not both", instead: "is missing", but: &[] },
    Word { private: "let it name", instead: "add … to", but: &[] },
    Word { private: "whoever", instead: "anyone who", but: &[] },
    Word { private: "to the letter", instead: "exactly, unchanged", but: &[] },
    Word { private: "for want of", instead: "without", but: &[] },
    Word { private: "came of", instead: "the result of", but: &[] },
    Word { private: "anew", instead: "again", but: &[] },
    Word { private: "and its like", instead: "and similar clients", but: &[] },
];

/// Lines that may hold a word, with the reason.
const ALLOWED: &[(&str, &str, &str)] = &[];

#[test]
fn none_of_the_private_words_is_left() {
    let root = Path::new(TESTS).parent().unwrap();
    let mut files = Vec::new();
    for place in ["src", "docs", "node-scripts", "config"] {
        collect(&root.join(place), &mut files);
    }
    for page in ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"] {
        files.push(root.join(page));
    }
    assert!(files.len() > 100, "the files were not found");
    let mut left = String::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let name = file.strip_prefix(root).unwrap().display().to_string();
        for (number, line) in text.lines().enumerate() {
            for Word { private: word, instead, but } in WORDS {
                let allowed =
                    ALLOWED.iter().any(|(path, part, _)| *path == name && line.contains(part));
                if !allowed && has(line, word, but) {
                    let at = format!("{name}:{}", number + 1);
                    writeln!(left, "{at}: `{word}`, write: {instead}\n    {}", line.trim())
                        .unwrap();
                }
            }
        }
    }
    assert!(left.is_empty(), "{} lines\n{left}", left.lines().count() / 2);
}

#[test]
fn a_word_is_found_as_a_word() {
    assert!(has("This is no host.", "is no", &["there is no"]));
    assert!(!has("There is no host.", "is no", &["there is no"]));
    assert!(!has("This is nothing.", "is no", &[]));
    assert!(!has("the workstation", "station", &[]));
    assert!(has("Told by the service", "told", &[]));
}

fn has(line: &str, word: &str, but: &[&str]) -> bool {
    let mut line = line.to_lowercase();
    for phrase in but {
        line = line.replace(phrase, "");
    }
    line.match_indices(word).any(|(at, _)| {
        let inside =
            |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-');
        !inside(line[..at].chars().next_back()) && !inside(line[at + word.len()..].chars().next())
    })
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
