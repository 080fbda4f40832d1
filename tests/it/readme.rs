//! README says what the program does: its table of errors is the program's own.

use std::fmt::Write;
use std::fs;

use aliyun_acr_credential_provider::aliyun::Hop;
use aliyun_acr_credential_provider::aliyun::refusal::Refusal;
use aliyun_acr_credential_provider::remedy::{self, REMEDIES};

use crate::TESTS;

const BEGIN: &str = "<!-- errors: written from src/remedy.rs by a test -->\n";
const END: &str = "<!-- end of errors -->";

/// With `BLESS=1` the table is written instead of compared.
#[test]
fn the_table_of_errors_is_the_programs_own() {
    let path = format!("{TESTS}/../README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("the table's beginning");
    let (table, after) = rest.split_once(END).expect("the table's end");
    let wanted = errors();
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(table, wanted, "run BLESS=1 cargo test --test it readme");
}

fn errors() -> String {
    let mut table = String::from("| code | from | cause | what to do |\n|---|---|---|---|\n");
    let plain = |text: &str| text.replace(['{', '}'], "*").replace('|', "\\|");
    for remedy in REMEDIES {
        let hops: Vec<&str> = remedy.hops.iter().map(|hop| hop.name()).collect();
        let hops = if hops.is_empty() { "any".to_owned() } else { hops.join(", ") };
        let (cause, action) = (plain(remedy.cause), plain(remedy.remedy));
        let policy =
            remedy.policy.map_or_else(String::new, |policy| format!(", denied by {policy}"));
        let message = remedy.message.map_or_else(String::new, |words| format!(" \"{words} …\""));
        writeln!(table, "| `{}`{message}{policy} | {hops} | {cause} | {action} |", remedy.code)
            .unwrap();
    }
    table
}

/// No entry is hidden behind an earlier one.
#[test]
fn every_error_can_be_met() {
    for remedy in REMEDIES {
        let refusal = Refusal {
            status: 403,
            code: remedy.code.trim_end_matches('*').to_owned(),
            message: remedy.message.map(str::to_owned),
            request_id: None,
            is_bare: false,
            policy_type: remedy.policy.map(str::to_owned),
            same_string_to_sign: None,
        };
        let hops = if remedy.hops.is_empty() { &[Hop::ListInstance] } else { remedy.hops };
        for hop in hops {
            let found = remedy::find(*hop, &refusal).unwrap();
            assert!(
                std::ptr::eq(found, remedy),
                "{} at {hop} is taken for {}",
                remedy.code,
                found.cause
            );
        }
    }
}
