//! README and `docs/`: what they link to is there, what they tell a reader to type exists, and what
//! they show is what the program prints.

mod commands;
mod samples;
mod translations;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::TESTS;

/// One page.
pub struct Document {
    /// From the repository's root.
    pub path: String,
    pub text: String,
}

/// A fenced block, without the indentation of the list that it is in.
pub struct Block {
    pub path: String,
    pub language: String,
    pub text: String,
}

pub const READMES: [&str; 3] = ["README.md", "README.ja.md", "README.zh-CN.md"];

pub fn root() -> PathBuf {
    Path::new(TESTS).parent().unwrap().to_path_buf()
}

pub fn document(path: &str) -> Document {
    let text = fs::read_to_string(root().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"));
    Document { path: path.to_owned(), text }
}

/// Every page that a user reads.
pub fn all() -> Vec<Document> {
    let mut paths: Vec<String> = READMES.map(str::to_owned).to_vec();
    paths.extend(["SECURITY.md", "CHANGELOG.md"].map(str::to_owned));
    for folder in ["docs", "docs/identities"] {
        let files = fs::read_dir(root().join(folder)).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let pages = names.filter(|name| Path::new(name).extension().is_some_and(|it| it == "md"));
        paths.extend(pages.map(|name| format!("{folder}/{name}")));
    }
    assert!(paths.len() > 20, "{paths:?}");
    paths.iter().map(|path| document(path)).collect()
}

/// The blocks of one language in all pages.
pub fn blocks(language: &str) -> Vec<Block> {
    let blocks = all().into_iter().flat_map(|document| document.blocks());
    blocks.filter(|block| block.language == language).collect()
}

/// What stands for the reader's own values in the pages, and what the samples or the tests have.
const PLACEHOLDERS: [(&str, &str); 8] = [
    ("<account A>", "1000000000000001"),
    ("<account B>", "2000000000000002"),
    ("KubernetesWorkerRole-…", "KubernetesWorkerRole-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"),
    ("<cluster id>", "c0000000000000000000000000000000a"),
    (
        "<the OIDC provider's URL>",
        "https://oidc-ack-cn-hangzhou.oss-cn-hangzhou.aliyuncs.com/c0000000000000000000000000000000a",
    ),
    ("cri-xxxxxxxxxxxxxxxx", "cri-acmeprod00000001"),
    ("LTAI5tXXXXXXXXXXXXXXXXXX", "LTAI5tImagePullerOfB0001"),
    ("XXXXXXXXXXXXXXXXXXXXXXXXXXXXXX", "MadeUpB3pullTk9Dw2Mv7Qz4Xc6Ln0"),
];

/// The blocks of one language in all pages, with values in the reader's place.
pub fn filled_in(language: &str) -> Vec<Block> {
    let fill = |block: Block| {
        let text = PLACEHOLDERS.iter().fold(block.text, |text, (from, to)| text.replace(from, to));
        Block { text, ..block }
    };
    blocks(language).into_iter().map(fill).collect()
}

impl Document {
    pub fn blocks(&self) -> Vec<Block> {
        let mut found = Vec::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            let Some((indentation, language)) = line.split_once("```") else { continue };
            if !indentation.trim().is_empty() {
                continue;
            }
            let block = lines.by_ref().take_while(|line| line.trim() != "```");
            let block = block.map(|line| line.strip_prefix(indentation).unwrap_or(line));
            let text: String = block.flat_map(|line| [line, "\n"]).collect();
            let (path, language) = (self.path.clone(), language.to_owned());
            found.push(Block { path, language, text });
        }
        found
    }

    /// The lines outside of fenced blocks.
    fn prose(&self) -> impl Iterator<Item = &str> {
        let mut code = false;
        self.text.lines().filter(move |line| {
            let fence = line.trim_start().starts_with("```");
            code ^= fence;
            !code && !fence
        })
    }

    /// How deep each heading is, and its text.
    fn headings(&self) -> Vec<(usize, &str)> {
        let headings = self.prose().filter(|line| line.starts_with('#'));
        let parted = headings.map(|line| {
            let text = line.trim_start_matches('#');
            (line.len() - text.len(), text.trim())
        });
        parted.collect()
    }

    /// Where its links lead, as written.
    fn links(&self) -> Vec<&str> {
        let links = self.prose().flat_map(|line| line.split("](").skip(1));
        links.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target).collect()
    }

    fn anchors(&self) -> BTreeSet<String> {
        self.headings().into_iter().map(|(_, text)| anchor(text)).collect()
    }
}

/// As the place where pages are read makes them: lower case, no punctuation, hyphens for spaces.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_', 'ー'].contains(c);
    heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}

#[test]
fn readmes_are_short() {
    for document in READMES.map(document) {
        let lines = document.text.lines().count();
        assert!(lines <= 200, "{} has {lines} lines", document.path);
        for (at, line) in document.text.lines().enumerate() {
            let columns = line.chars().count();
            assert!(columns <= 120, "{}:{} has {columns} columns", document.path, at + 1);
        }
    }
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for document in all() {
        let folder = root().join(&document.path).parent().unwrap().to_path_buf();
        for link in document.links() {
            seen += 1;
            if link.starts_with("https://") {
                continue;
            }
            let (file, place) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if file.is_empty() { root().join(&document.path) } else { folder.join(file) };
            let found = match fs::canonicalize(&target) {
                Ok(path) if place.is_empty() => path.exists(),
                Ok(path) => {
                    let text = fs::read_to_string(path).unwrap();
                    Document { path: file.to_owned(), text }.anchors().contains(place)
                }
                Err(_) => false,
            };
            if !found {
                wrong.push(format!("{}: {link}", document.path));
            }
        }
    }
    assert!(seen > 150, "only {seen} links were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A page that nobody can come to from README.
#[test]
fn every_page_is_linked_to() {
    let pages = all();
    let linked: BTreeSet<PathBuf> = pages
        .iter()
        .flat_map(|page| {
            let folder = root().join(&page.path).parent().unwrap().to_path_buf();
            let files = page.links().into_iter().filter_map(|link| link.split('#').next());
            let files = files.filter(|file| !file.is_empty() && !file.contains("://"));
            files
                .filter_map(move |file| fs::canonicalize(folder.join(file)).ok())
                .collect::<Vec<_>>()
        })
        .collect();
    for page in pages {
        let path = fs::canonicalize(root().join(&page.path)).unwrap();
        assert!(linked.contains(&path), "no page links to {}", page.path);
    }
}

#[test]
fn what_is_wrong_is_noticed() {
    let page = Document {
        path: "page.md".to_owned(),
        text: "# A `b`, c\n\n[x](y.md#z)\n\n```sh\n# no heading [n](o.md)\n```\n".to_owned(),
    };
    assert_eq!(page.headings(), [(1, "A `b`, c")]);
    assert_eq!(page.links(), ["y.md#z"]);
    assert_eq!(page.anchors().into_iter().collect::<Vec<_>>(), ["a-b-c"]);
    assert_eq!(page.blocks()[0].text, "# no heading [n](o.md)\n");
    assert_eq!(anchor("日本語: クイックスタート"), "日本語-クイックスタート");
}
