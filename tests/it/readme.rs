//! README says what the program does: its table of errors is the program's own.

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

const BEGIN: &str = "<!-- errors: written from src/failure/service_codes.rs by a test -->\n";
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
        let policy = remedy.policy.as_ref();
        let policy = policy.map_or_else(String::new, |policy| format!(", denied by {policy}"));
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
            policy_type: remedy.policy.clone(),
            same_string_to_sign: None,
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

fn readme() -> String {
    fs::read_to_string(format!("{TESTS}/../README.md")).unwrap()
}

/// Code blocks of a language, without their indentation.
fn blocks(language: &str) -> Vec<String> {
    let (mut blocks, mut open) = (Vec::new(), None);
    for line in readme().lines() {
        let bare = line.trim_start();
        match &mut open {
            None if bare == format!("```{language}") => {
                open = Some((line.len() - bare.len(), String::new()));
            }
            Some((_, _)) if bare == "```" => blocks.push(open.take().unwrap().1),
            Some((indent, block)) => {
                *block += line.get(*indent..).unwrap_or_default();
                block.push('\n');
            }
            None => {}
        }
    }
    blocks
}

/// Puts something of the right form where a reader puts what is theirs.
fn filled(text: &str) -> String {
    let text = text.replace("cri-xxxxxxxxxxxxxxxx", "cri-acmeprod00000001");
    let text = text.replace("LTAI5t…", "LTAI5tExample").replace(": …", ": example");
    let mut parts = text.split('<');
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| {
        text + "1000000000000001" + part.split_once('>').map_or(part, |(_, rest)| rest)
    })
}

/// Whoever copies one, in any language, has something that is read.
#[test]
fn configurations_and_policies_are_read() {
    let configurations: Vec<String> =
        blocks("yaml").into_iter().filter(|text| text.contains("acr-registry-info")).collect();
    assert!(configurations.len() >= 5, "{}", configurations.len());
    for text in configurations {
        let config = Config::resolve(None, &filled(&text), false, &Environment::default());
        let config = config.unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(config.warnings, Vec::<String>::new(), "{text}");
    }
    let policies: Vec<Json> = blocks("json")
        .iter()
        .map(|text| serde_json::from_str(&filled(text)).unwrap_or_else(|e| panic!("{e}\n{text}")))
        .collect();
    let pull = policies.iter().filter(|policy| policy.to_string().contains("cr:PullRepository"));
    let pull: Vec<&Json> = pull.collect();
    assert_eq!(pull.len(), 3, "English, Japanese, Chinese");
    assert!(pull.iter().all(|policy| *policy == pull[0]));
}

/// As the place where it is read makes them: lower case, no punctuation, hyphens for blanks.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c) || *c == 'ー';
    heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}

#[test]
fn links_lead_somewhere() {
    let readme = readme();
    let mut code = false;
    let mut anchors = Vec::new();
    for line in readme.lines() {
        code ^= line.trim_start().starts_with("```");
        if !code && line.starts_with('#') {
            anchors.push(anchor(line.trim_start_matches('#').trim()));
        }
    }
    for link in readme.split("](").skip(1) {
        let link = link.split(')').next().unwrap();
        match link.strip_prefix('#') {
            Some(place) => {
                assert!(anchors.iter().any(|known| known == place), "{link} {anchors:?}");
            }
            None if link.starts_with("https://") => {}
            None => {
                let file = link.split('#').next().unwrap();
                assert!(fs::exists(format!("{TESTS}/../{file}")).unwrap(), "{link}");
            }
        }
    }
}

/// Fields of a report that README does not name are not documented for people.
#[test]
fn every_field_of_a_report_is_named() {
    let text = fs::read_to_string(format!("{TESTS}/../docs/doctor.schema.json")).unwrap();
    let schema: Json = serde_json::from_str(&text).unwrap();
    let readme = readme();
    let of = |place: &str| schema.pointer(place).unwrap().as_object().unwrap().clone();
    let station = "/properties/stations/items/properties";
    let problem = "/properties/stations/items/properties/problems/items/properties";
    for (name, _) in ["/properties", station, problem].into_iter().flat_map(of) {
        let named =
            readme.contains(&format!("`{name}`")) || readme.contains(&format!("\"{name}\""));
        assert!(named, "{name}");
    }
    let stations = schema.pointer(&format!("{station}/name/enum")).unwrap().as_array().unwrap();
    for station in stations.iter().map(|name| name.as_str().unwrap()) {
        let named = readme.contains(&format!("| {station} |")) || station == "image";
        assert!(named, "{station}");
    }
}
