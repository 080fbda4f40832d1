//! The tables of `docs/` that the program's own tables write. With `BLESS=1` they are written.

use std::fs;

use aliyun_acr_credential_provider::config::keys::{SECTIONS, Whose};
use aliyun_acr_credential_provider::config::variables::{Counts, VARIABLES};

use crate::TESTS;

/// Holds what stands between two marks of a page against a table.
fn held(page: &str, name: &str, table: &str) {
    let path = format!("{TESTS}/../docs/{page}");
    let text = fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- {name}:begin -->\n"), format!("<!-- {name}:end -->"));
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{page}: no {begin}"));
    let (shown, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{page}: no {end}"));
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, format!("{before}{begin}{table}{end}{after}")).unwrap();
    } else {
        assert_eq!(shown, table, "{page}; BLESS=1 cargo test --test it tables writes it");
    }
}

/// A row of Markdown, whose cells keep their bars.
fn row(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | ")).replace("|  |", "| |")
}

#[test]
fn the_keys_of_the_configuration() {
    let mut table =
        row(&["section", "key", "whose", "meaning", "default"]) + "|---|---|---|---|---|\n";
    for (place, section) in &SECTIONS {
        for key in section.keys {
            let whose = match key.whose {
                Whose::Vendor => "vendor",
                Whose::Ours => "ours",
                Whose::Ignored => "ignored",
            };
            let name = format!("`{}`", key.name);
            table += &row(&[place, &name, whose, key.meaning, key.default]);
        }
    }
    held("configuration.md", "keys", &table);
}

#[test]
fn the_environment_variables() {
    let mut table = row(&["variable", "meaning", "form", "counts"]) + "|---|---|---|---|\n";
    for variable in &VARIABLES {
        let name = format!("`{}`", variable.name);
        let counts = match variable.counts {
            Counts::Always => "always".to_owned(),
            Counts::Unless(key) => format!("unless `{key}` is given"),
            Counts::WithoutEntries => "where no entry is configured".to_owned(),
            Counts::WithProxy => "with a proxy".to_owned(),
            Counts::SetupDocker => "for `setup docker`".to_owned(),
        };
        table += &row(&[&name, variable.meaning, variable.form, &counts]);
    }
    held("variables.md", "variables", &table);
}
