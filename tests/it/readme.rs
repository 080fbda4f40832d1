//! The pages say what the program does: their table of errors is the program's own.

use std::fmt::Write;
use std::fs;

use aliyun_acr_credential_provider::aliyun::Hop;
use aliyun_acr_credential_provider::aliyun::owner::Owner;
use aliyun_acr_credential_provider::aliyun::refusal::Refusal;
use aliyun_acr_credential_provider::config::Config;
use aliyun_acr_credential_provider::failure::facts::Facts;
use aliyun_acr_credential_provider::failure::service_codes::{self, Code, REMEDIES};
use aliyun_acr_credential_provider::system::environment::Environment;

use serde_json::Value as Json;

use crate::TESTS;
use crate::documents::{Block, document, filled_in};

const BEGIN: &str = "<!-- errors:begin -->\n";
const END: &str = "<!-- errors:end -->";

/// With `BLESS=1` the table is written instead of compared.
#[test]
fn the_table_of_errors_is_the_programs_own() {
    let path = format!("{TESTS}/../docs/errors.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the table's beginning");
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
        let caller = if remedy.by_access_key { " of an AccessKey" } else { "" };
        writeln!(
            table,
            "| `{}`{caller}{message}{policy} | {hops} | {cause} | {action} |",
            remedy.code
        )
        .unwrap();
    }
    table
}

/// No entry is hidden behind an earlier one.
#[test]
fn every_error_can_be_met() {
    for remedy in REMEDIES {
        let (Code::Is(code) | Code::Begins(code)) = remedy.code;
        let refusal = Refusal {
            status: 403,
            code: code.to_owned(),
            message: remedy.message.map(str::to_owned),
            request_id: None,
            of_service: true,
            is_success: None,
            policy_type: remedy.policy.cloned(),
            denied_explicitly: false,
            same_text_signed: None,
            limited_for: None,
        };
        let caller = remedy.by_access_key.then(|| Owner::of_access_key("LTAI0001"));
        let hops = if remedy.hops.is_empty() { &[Hop::ListInstance] } else { remedy.hops };
        for hop in hops {
            let mut facts = Facts::of(*hop);
            facts.caller.clone_from(&caller);
            let found = service_codes::find(&facts, &refusal).unwrap();
            assert!(
                std::ptr::eq(found, remedy),
                "{} at {hop} is taken for {}",
                remedy.code,
                found.cause
            );
        }
    }
}

/// A reader who copies one, in any language, has something that works.
#[test]
fn configurations_and_policies_are_read() {
    let configurations = filled_in("yaml");
    assert!(configurations.len() >= 8, "{}", configurations.len());
    for Block { path, text, .. } in configurations {
        let config = Config::resolve(None, &text, false, &Environment::default());
        let config = config.unwrap_or_else(|error| panic!("{path}: {error}\n{text}"));
        let warnings: Vec<String> = config.warning_lines().collect();
        assert!(warnings.is_empty(), "{path}: {warnings:?}: {text}");
    }
    let policies: Vec<Json> = filled_in("json")
        .iter()
        .map(|Block { path, text, .. }| {
            serde_json::from_str(text).unwrap_or_else(|e| panic!("{path}: {e}\n{text}"))
        })
        .collect();
    let pull = policies.iter().filter(|policy| policy.to_string().contains("cr:PullRepository"));
    let pull: Vec<&Json> = pull.collect();
    assert!(pull.len() >= 4, "{}", pull.len());
    assert!(pull.iter().all(|policy| *policy == pull[0]));
}

/// Fields of a report that no page names are not documented for people.
#[test]
fn every_field_of_a_report_is_named() {
    let text = fs::read_to_string(format!("{TESTS}/../docs/doctor.schema.json")).unwrap();
    let schema: Json = serde_json::from_str(&text).unwrap();
    let page = document("docs/troubleshooting.md").text;
    let of = |place: &str| schema.pointer(place).unwrap().as_object().unwrap().clone();
    let check = "/properties/checks/items/properties";
    let problem = "/properties/checks/items/properties/problems/items/properties";
    for (name, _) in ["/properties", check, problem].into_iter().flat_map(of) {
        let named = page.contains(&format!("`{name}`")) || page.contains(&format!("\"{name}\""));
        assert!(named, "{name}");
    }
    let checks = schema.pointer(&format!("{check}/name/enum")).unwrap().as_array().unwrap();
    for check in checks.iter().map(|name| name.as_str().unwrap()) {
        let named = page.contains(&format!("| {check} |")) || check == "image";
        assert!(named, "{check}");
    }
}
