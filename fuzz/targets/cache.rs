//! Files in the node's cache, as somebody could leave them who can write there: the first character
//! says which file and whether its checksum is right, the rest is its contents.
//!
//! An answer that comes from them is one the kubelet takes, for the host that was asked about, for
//! no longer than was left.

#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use aliyun_acr_credential_provider::cache::{Access, Cache, Key, Kind, Made};
use aliyun_acr_credential_provider::kubelet::exec_api::{self, Request};
use aliyun_acr_credential_provider::pull::fast_path;
use aliyun_acr_credential_provider::pull::run_history;
use aliyun_acr_credential_provider::system::clock::since_boot;
use aliyun_acr_credential_provider::system::environment::Environment;
use aliyun_acr_credential_provider::system::go_duration;
use aliyun_acr_credential_provider::system::log::Journal;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

const HOST: &str = "acme-registry.cn-hangzhou.cr.aliyuncs.com";
const LIFE: Duration = Duration::from_secs(3600);

struct Place {
    directory: PathBuf,
    host: (PathBuf, Vec<u8>),
    login: (PathBuf, Vec<u8>),
    request: Request,
}

/// A cache as the program leaves it.
static PLACE: LazyLock<Place> = LazyLock::new(|| {
    let directory = std::env::temp_dir().join(format!("fuzz-cache-{}", std::process::id()));
    let journal = Journal::default();
    let cache = Cache::new(directory.clone(), scope(), Access::Pull, &journal);
    let login = Key::new(Kind::Login, &["fuzz"]);
    let known = json!({"entry": "entry 1 (line 2)", "instance": "cri-acme", "login": login});
    cache.put(&Key::new(Kind::Host, &[HOST]), made(known));
    let value = json!({
        "user_name": "cr_temp_user",
        "password": "fuzz-password",
        // So that it is the login's end that counts.
        "expire_duration": 43_200,
        "margin": {"secs": 30, "nanos": 0},
        "host": HOST,
    });
    cache.put(&login, made(value));
    let find = |kind: &str| {
        let files = fs::read_dir(&directory)
            .expect("the cache is there")
            .map(|file| file.expect("a file").path());
        let mut files = files.filter(|file| file.extension().is_none());
        let file =
            files.find(|file| file.to_string_lossy().contains(&format!("-{kind}-"))).expect(kind);
        let contents = fs::read(&file).expect("a file");
        (file, contents)
    };
    let (host, login) = (find("host"), find("login"));
    let request = format!(
        r#"{{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"{HOST}/a"}}"#
    );
    let request = exec_api::read_request(request.as_bytes()).expect("a request");
    Place { directory, host, login, request }
});

fn scope() -> aliyun_acr_credential_provider::cache::Scope {
    fast_path::scope(None, &Environment::default(), "boot")
}

fn made(value: Value) -> Made<Value> {
    let now = since_boot();
    Made { value, fresh_until: now + LIFE, until: now + 2 * LIFE }
}

fuzz_target!(|input: &[u8]| {
    let Some((which, text)) = input.split_first() else { return };
    let place = &*PLACE;
    let journal = Journal::default();
    let (changed, other) = match which & 1 {
        0 => (&place.host, &place.login),
        _ => (&place.login, &place.host),
    };
    let contents = match which & 2 {
        0 => text.to_vec(),
        // Fuzzing does not find a checksum by itself.
        _ => [b"acr-cache 1 ", checksum(text).as_bytes(), b"\n", text].concat(),
    };
    fs::write(&changed.0, &contents).expect("the cache can be written");
    let login = if which & 1 == 0 { &place.login.1 } else { &contents };
    let login = body(login);
    let begun = since_boot();
    let cache = Cache::new(place.directory.clone(), scope(), Access::Glance, &journal);
    if let Some(served) = fast_path::from_cache(HOST, place.request.pod(), &cache) {
        let answer = exec_api::response(&place.request, Some((HOST, &served)));
        let answer: Value = serde_json::from_str(answer.expose()).expect("JSON");
        assert_eq!(answer["cacheKeyType"], "Registry");
        let auth = answer["auth"].as_object().expect("auth");
        assert!(
            auth.len() == 1
                && auth[HOST]["username"].is_string()
                && auth[HOST]["password"].is_string()
        );
        let told = answer["cacheDuration"].as_str().and_then(go_duration::parse_go);
        let told = told.unwrap_or_else(|| panic!("{answer}"));
        if let Some(until) = login["until"].as_u64() {
            let left = Duration::from_millis(until).saturating_sub(begun);
            assert!(told <= left, "{answer}, and {left:?} are left");
        }
        if let Some(most) = login["value"]["expire_duration"].as_u64() {
            assert!(told.as_secs() <= most, "{answer}, and {most} s are asked for");
        }
    }
    let _: Vec<_> = cache.logins::<Value>();
    let _ = run_history::runs(&cache);
    fs::write(&changed.0, &changed.1).expect("the cache can be written");
    assert!(other.0.is_file(), "nothing else was touched");
});

/// A file's contents behind its first line, if this type holds them.
fn body(contents: &[u8]) -> Value {
    let at = contents.iter().position(|b| *b == b'\n').map_or(0, |end| end + 1);
    serde_json::from_slice(&contents[at..]).unwrap_or_default()
}

/// SHA-1 as FIPS 180-4 has it, in hexadecimal.
fn checksum(text: &[u8]) -> String {
    let mut state: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    let mut padded = text.to_vec();
    padded.push(0x80);
    padded
        .resize(padded.len().next_multiple_of(64) + if padded.len() % 64 > 56 { 64 } else { 0 }, 0);
    let end = padded.len() - 8;
    padded[end..].copy_from_slice(&(text.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks(64) {
        let mut words: Vec<u32> = block
            .chunks(4)
            .map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]))
            .collect();
        for t in 16..80 {
            words
                .push((words[t - 3] ^ words[t - 8] ^ words[t - 14] ^ words[t - 16]).rotate_left(1));
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (t, word) in words.iter().enumerate() {
            let (mixed, constant) = match t {
                0..20 => (b & c | !b & d, 0x5a82_7999),
                20..40 => (b ^ c ^ d, 0x6ed9_eba1),
                40..60 => (b & c | b & d | c & d, 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6u32),
            };
            let next = a
                .rotate_left(5)
                .wrapping_add(mixed)
                .wrapping_add(e)
                .wrapping_add(*word)
                .wrapping_add(constant);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (sum, part) in state.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(part);
        }
    }
    state.iter().map(|word| format!("{word:08x}")).collect()
}
