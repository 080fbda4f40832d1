//! A client's file that `setup docker` changes. What is changed differs by the helper's names alone, and
//! comes back to the same bytes; a client that writes the file again in between loses nothing.

#![no_main]

use aliyun_acr_credential_provider::setup::client_file::{self, HELPER};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

const HOSTS: [&str; 3] =
    ["acme-registry.cn-hangzhou.cr.aliyuncs.com", "img.example.com", "img.example.com:5000"];

fuzz_target!(|text: &str| {
    // How many hosts.
    let count = text.bytes().next().map_or(0, |first| usize::from(first % 3)) + 1;
    let hosts: Vec<String> = HOSTS.iter().take(count).map(|host| (*host).to_owned()).collect();
    let text = text.get(1..).unwrap_or_default();
    let before = serde_json::from_str::<Map<String, Value>>(text);
    for line in client_file::masked(text) {
        let Ok(before) = &before else { continue };
        let logins = before.get("auths").and_then(Value::as_object).into_iter().flatten();
        for login in logins.filter_map(|(_, login)| login["auth"].as_str()) {
            // A name may have the same text as a login.
            let is_long = login.len() >= 16 && text.matches(login).count() == 1;
            assert!(!is_long || !line.contains(login), "{line}");
        }
    }
    let Ok((after, added)) = client_file::with(text, &hosts) else { return };
    let before = before.expect("an object");
    assert_eq!(client_file::without(&after, &added).as_deref(), Ok(text));
    assert!(client_file::has_all(&after, &hosts));
    let (again, nothing) = client_file::with(&after, &hosts).expect("it was changed before");
    assert!(again == after && nothing.hosts.is_empty() && !nothing.key);
    // In other words: the same object with these names in it.
    let mut wanted = before.clone();
    let helpers = wanted.entry("credHelpers").or_insert_with(|| Map::new().into());
    for host in &hosts {
        helpers[host] = HELPER.into();
    }
    let changed: Map<String, Value> = serde_json::from_str(&after).expect("JSON");
    assert_eq!(changed, wanted);
    // A client writes the whole file in a form of its own.
    let again = serde_json::to_string_pretty(&changed).expect("JSON");
    if let Ok(without) = client_file::without(&again, &added) {
        let without: Map<String, Value> = serde_json::from_str(&without).expect("JSON");
        assert_eq!(without, before);
    }
});
