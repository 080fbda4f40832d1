//! `docs/threat-model.md`: each claim names what shows it, and all of that exists.

use std::fs;
use std::path::Path;

use crate::TESTS;

/// The claims: cells of the tables that have a column `shown by`.
fn claims(document: &str) -> Vec<(String, Vec<String>)> {
    let mut claims = Vec::new();
    let mut in_table = false;
    for line in document.lines() {
        let cells: Vec<&str> = line.split(" | ").collect();
        match (line.starts_with('|'), line.ends_with("| shown by |")) {
            (true, true) => in_table = true,
            (false, _) => in_table = false,
            (true, false) if in_table && !line.starts_with("|---") => {
                let shown = cells.last().unwrap().trim_end_matches(" |");
                let names = shown.split("`, `").map(|name| name.trim_matches('`').to_owned());
                claims.push((cells[0].trim_start_matches("| ").to_owned(), names.collect()));
            }
            _ => {}
        }
    }
    claims
}

/// Why there is no such check.
fn missing(name: &str) -> Option<String> {
    let root = Path::new(TESTS).parent().unwrap();
    if let Some(folder) = name.strip_prefix("scenario ") {
        let there = root.join("tests/scenarios").join(folder).join("scenario.yaml").is_file();
        return (!there).then(|| format!("no scenario `{folder}`"));
    }
    let Some(path) = name.strip_prefix("it::") else {
        return (!root.join(name).is_file()).then(|| format!("no file `{name}`"));
    };
    let (modules, test) = path.rsplit_once("::").unwrap();
    let file = root.join("tests/it").join(modules.replace("::", "/")).with_extension("rs");
    let Ok(source) = fs::read_to_string(&file) else {
        return Some(format!("no file for `{name}`"));
    };
    let lines: Vec<&str> = source.lines().collect();
    let is_test = |at: usize| lines[at] == format!("fn {test}() {{") && lines[at - 1] == "#[test]";
    (!(1..lines.len()).any(is_test)).then(|| format!("no test `{name}`"))
}

#[test]
fn every_claim_names_what_shows_it() {
    let document = fs::read_to_string(format!("{TESTS}/../docs/threat-model.md")).unwrap();
    let claims = claims(&document);
    assert!(claims.len() > 40, "only {} claims were found", claims.len());
    let mut wrong = Vec::new();
    for (claim, names) in &claims {
        wrong.extend(
            names.iter().filter_map(|name| missing(name)).map(|why| format!("{claim}: {why}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_does_not_exist_is_noticed() {
    let wrong = [
        "scenario no-such-thing",
        "it::process::cores::no_such_test",
        "it::nowhere::x",
        "tests/no-such-check",
        "it::node::request",
    ];
    for name in wrong {
        assert!(missing(name).is_some(), "{name}");
    }
    let table = "| threat | what holds it off | shown by |\n|---|---|---|\n| a | b | `x`, `scenario y` |\n| c | d | nothing |\n";
    let found = claims(table);
    assert_eq!(found[0], ("a".to_owned(), vec!["x".to_owned(), "scenario y".to_owned()]));
    assert!(missing(&found[1].1[0]).is_some());
}
