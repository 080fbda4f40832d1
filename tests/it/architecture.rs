//! Which file of `src/` may know which: one table, held against every `use crate::` line; and
//! CONTRIBUTING's map, written from the modules' own first lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::TESTS;

/// A folder (or a file at the top) of `src/`, what it may know, and why no more. A name without
/// `::` stands for the whole folder.
struct Rule {
    folder: &'static str,
    may_know: &'static [&'static str],
    reason: &'static str,
}

const RULES: &[Rule] = &[
    Rule { folder: "program", may_know: &[], reason: "a name knows nothing" },
    Rule { folder: "secret", may_know: &[], reason: "a type that everything uses knows nothing" },
    Rule {
        folder: "system",
        may_know: &["secret"],
        reason: "the machine below knows nothing of what runs on it",
    },
    Rule {
        folder: "net",
        may_know: &["secret", "system"],
        reason: "the wire carries bytes; it knows neither services nor configuration",
    },
    Rule {
        folder: "cache",
        may_know: &["secret", "system"],
        reason: "what a node keeps is opaque to the cache: no cloud, no configuration, no kubelet",
    },
    Rule {
        folder: "aliyun",
        may_know: &["secret", "system", "net"],
        reason: "the cloud is the same for every configuration and every caller",
    },
    Rule {
        folder: "config",
        may_know: &["secret", "system", "aliyun"],
        reason: "what is configured does not depend on what is done with it",
    },
    Rule {
        folder: "kubelet",
        may_know: &["secret", "system", "config::yaml", "config::diagnostics"],
        reason: "the kubelet's side is a protocol and files, not our pull",
    },
    Rule {
        folder: "docker",
        may_know: &["secret"],
        reason: "docker's protocol is texts in and out, not our pull",
    },
    Rule {
        folder: "failure",
        may_know: &["secret", "system", "net", "aliyun", "config"],
        reason: "failures put the errors of the layers below into words",
    },
    Rule {
        folder: "pull",
        may_know: &[
            "secret",
            "system",
            "net",
            "cache",
            "aliyun",
            "config",
            "failure",
            "kubelet::exec_api",
        ],
        reason: "a pull knows the kubelet's request alone, and no command",
    },
    Rule {
        folder: "render",
        may_know: &["secret", "system", "aliyun", "config", "kubelet", "failure", "pull"],
        reason: "files for others are written from the configuration, without calls",
    },
    Rule {
        folder: "doctor",
        may_know: &[
            "secret",
            "system",
            "net",
            "cache",
            "aliyun",
            "config",
            "kubelet",
            "failure",
            "pull",
            "render",
            "setup::kubelet_arguments",
            "setup::rancher",
            "setup::tree",
            "setup::unit",
            "setup::unit_files",
        ],
        reason: "doctor looks at everything below the commands, and is not a command",
    },
    Rule {
        folder: "setup",
        may_know: &["secret", "system", "net", "config", "kubelet", "failure", "render"],
        reason: "a node's files are changed by its configuration and its kubelet; a cluster's Lease is its one call",
    },
    Rule {
        folder: "app",
        may_know: &[
            "secret", "system", "net", "cache", "aliyun", "config", "kubelet", "docker", "failure",
            "pull", "render", "doctor", "setup",
        ],
        reason: "commands know everything; nothing knows them",
    },
];

/// A file of `src/`, its module's name and what it imports.
struct File {
    path: String,
    module: String,
    lines: Vec<(usize, String)>,
}

#[test]
fn no_file_knows_what_it_may_not() {
    let files = files();
    let modules: BTreeSet<&str> = files.iter().map(|file| file.module.as_str()).collect();
    let mut wrong = String::new();
    for file in &files {
        let folder = file.module.split("::").next().unwrap();
        let rule = RULES.iter().find(|rule| rule.folder == folder);
        let rule = rule.unwrap_or_else(|| panic!("{} is in no folder of the table", file.path));
        for (number, path) in &file.lines {
            let target = module_of(path, &modules).unwrap_or(path);
            let below = |name: &str| target == name || target.starts_with(&format!("{name}::"));
            let is_own = below(folder) || below("program");
            if !is_own && !rule.may_know.iter().any(|allowed| below(allowed)) {
                let at = format!("{}:{number}", file.path);
                writeln!(wrong, "{at}: {folder} may not know {target}: {}", rule.reason).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn no_files_know_each_other_in_a_circle() {
    let files = files();
    let modules: BTreeSet<&str> = files.iter().map(|file| file.module.as_str()).collect();
    let arrows: BTreeMap<&str, BTreeSet<&str>> = files
        .iter()
        .map(|file| {
            let known = file.lines.iter().filter_map(|(_, path)| module_of(path, &modules));
            (file.module.as_str(), known.filter(|known| *known != file.module).collect())
        })
        .collect();
    let reach = |from: &str| {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut open: Vec<&str> = arrows[from].iter().copied().collect();
        while let Some(next) = open.pop() {
            if seen.insert(next) {
                open.extend(arrows[next].iter());
            }
        }
        seen
    };
    let circles: Vec<&str> =
        arrows.keys().copied().filter(|module| reach(module).contains(module)).collect();
    assert!(circles.is_empty(), "in a circle: {}", circles.join(", "));
}

/// The table would be worth nothing if it did not see the arrows.
#[test]
fn imports_are_seen_in_every_form() {
    let text = "use crate::a::{self, b::{C, d}, e};\npub use f::G;\nlet x = crate::h::i(1);\n\
                // crate::comment::x\n#[cfg(test)]\nmod tests { use crate::tests_only; }\n";
    let seen: Vec<String> = imports(text, "root").into_iter().map(|(_, path)| path).collect();
    assert_eq!(seen, ["a", "a::b::C", "a::b::d", "a::e", "root::f::G", "h::i"]);
}

#[test]
fn the_process_is_one_page() {
    let main = fs::read_to_string(format!("{TESTS}/../src/main.rs")).unwrap();
    assert!(main.lines().count() <= 120, "src/main.rs: {} lines", main.lines().count());
}

const BEGIN: &str = "<!-- map:begin, written from the first lines of the modules by a test -->\n";
const END: &str = "<!-- map:end -->";

/// With `BLESS=1` the map is written instead of compared.
#[test]
fn the_map_is_the_modules_own() {
    let path = format!("{TESTS}/../CONTRIBUTING.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the map's beginning");
    let (map, after) = rest.split_once(END).expect("the map's end");
    let wanted = written_map();
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(map, wanted, "run BLESS=1 cargo test --test it architecture");
}

fn written_map() -> String {
    let mut folders: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for file in files() {
        let text = fs::read_to_string(format!("{TESTS}/../src/{}", file.path)).unwrap();
        let (folder, name) = match file.path.split_once('/') {
            Some((folder, name)) => (folder.to_owned(), name.to_owned()),
            None => (file.module.clone(), String::new()),
        };
        folders.entry(folder).or_default().push((name, first_sentence(&file.path, &text)));
    }
    let mut map = String::new();
    for rule in RULES.iter().rev() {
        let Some(entries) = folders.get(rule.folder) else { continue };
        let own = entries.iter().find(|(name, _)| name.is_empty());
        let own = own.map_or("", |(_, sentence)| sentence.as_str());
        writeln!(map, "### `src/{}`\n\n{own}\n", rule.folder).unwrap();
        let rows: Vec<_> = entries.iter().filter(|(name, _)| !name.is_empty()).collect();
        if !rows.is_empty() {
            map.push_str("| file | subject |\n|---|---|\n");
            for (name, sentence) in rows {
                writeln!(map, "| `{name}` | {sentence} |").unwrap();
            }
            map.push('\n');
        }
    }
    map
}

/// The first sentence of a module's own documentation.
fn first_sentence(path: &str, text: &str) -> String {
    let lines = text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let paragraph: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
    let paragraph = paragraph.join(" ");
    assert!(!paragraph.is_empty(), "src/{path} does not say what it is");
    let end = paragraph.find(". ").map_or(paragraph.len(), |at| at + 1);
    paragraph[..end].replace('|', "\\|")
}

fn files() -> Vec<File> {
    let root = format!("{TESTS}/../src");
    let mut files = Vec::new();
    collect(Path::new(&root), "", &mut files);
    files.retain(|file| !matches!(file.path.as_str(), "lib.rs" | "main.rs"));
    assert!(files.len() > 50, "src/ was not read");
    files
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<File>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()).collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{prefix}{name}");
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), &format!("{path}/"), files);
        } else if let Some(stem) = path.strip_suffix(".rs") {
            let module = stem.replace('/', "::");
            let text = fs::read_to_string(entry.path()).unwrap();
            let lines = imports(&text, &module);
            files.push(File { path, module, lines });
        }
    }
}

/// Every path below the crate that the program's own part of a file names, with its line. What a
/// table of contents hands on (`pub use child::Name`) is an arrow to the child.
fn imports(text: &str, module: &str) -> Vec<(usize, String)> {
    let own = text.split("#[cfg(test)]").next().unwrap();
    let mut found = Vec::new();
    let mut statement: Option<(usize, String)> = None;
    for (number, line) in own.lines().enumerate() {
        let line = line.trim();
        if line.starts_with("//") {
            continue;
        }
        let begins =
            ["use ", "pub use ", "pub(crate) use "].iter().any(|use_| line.starts_with(use_));
        if statement.is_none() && begins {
            statement = Some((number + 1, String::new()));
        }
        let Some((at, so_far)) = &mut statement else {
            for (at, _) in line.match_indices("crate::") {
                let rest = &line[at + "crate::".len()..];
                let end = rest.find(|c: char| !c.is_alphanumeric() && !"_:".contains(c));
                let path = rest[..end.unwrap_or(rest.len())].trim_end_matches(':');
                found.push((number + 1, path.to_owned()));
            }
            continue;
        };
        so_far.push_str(line);
        if line.ends_with(';') {
            let (_, tree) = so_far.split_once("use ").unwrap();
            let mut paths = Vec::new();
            flatten("", tree.trim_end_matches(';'), &mut paths);
            let outer = module.rsplit_once("::").map_or("", |(outer, _)| outer);
            for path in paths {
                let path = path.trim_end_matches("::self");
                let path = path.split(" as ").next().unwrap().trim();
                let path = match path.split_once("::") {
                    Some(("crate", rest)) => Some(rest.to_owned()),
                    Some(("super", rest)) => Some(format!("{outer}::{rest}")),
                    Some(("self", rest)) => Some(format!("{module}::{rest}")),
                    // A child that is handed on.
                    Some((child, _)) if so_far.starts_with("pub") && !child.is_empty() => {
                        Some(format!("{module}::{path}"))
                    }
                    _ => None,
                };
                found.extend(path.map(|path| (*at, path)));
            }
            statement = None;
        }
    }
    found
}

/// The single paths of a `use` tree.
fn flatten(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((head, rest)) = tree.split_once('{') else {
        paths.push(format!("{prefix}{tree}"));
        return;
    };
    let inner = rest.strip_suffix('}').expect("braces that close");
    let (mut depth, mut start) = (0, 0);
    let prefix = format!("{prefix}{head}");
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !inner[start..at].trim().is_empty() {
                    flatten(&prefix, &inner[start..at], paths);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// The file that a path leads to.
fn module_of<'m>(path: &str, modules: &BTreeSet<&'m str>) -> Option<&'m str> {
    let mut path = path;
    loop {
        if let Some(module) = modules.get(path) {
            return Some(module);
        }
        path = path.rsplit_once("::")?.0;
    }
}
