//! `tests/hosts/corpus.tsv`: every documented form of a registry host, and every spoof.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;

use aliyun_acr_credential_provider::aliyun::registry_host::RegistryHost;
use simulation::kubelet::{Exec, encode_request};

use crate::{PROGRAM, TESTS};

const V1: &str = "credentialprovider.kubelet.k8s.io/v1";

struct Row {
    host: String,
    class: String,
    region: String,
    name: String,
}

fn rows() -> Vec<Row> {
    let text = fs::read_to_string(format!("{TESTS}/hosts/corpus.tsv")).unwrap();
    let rows: Vec<Row> = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .filter(|line| !line.starts_with("host\t"))
        .map(|line| {
            let mut cells = line.split('\t');
            let mut cell = || cells.next().unwrap_or_else(|| panic!("too few cells: {line}"));
            Row {
                host: unescape(cell()),
                class: cell().into(),
                region: cell().into(),
                name: cell().into(),
            }
        })
        .collect();
    assert!(rows.len() > 400, "the corpus only grows");
    rows
}

/// All hosts of the corpus and what they are.
pub fn hosts() -> Vec<(String, String)> {
    rows().into_iter().map(|row| (row.host, row.class)).collect()
}

/// `\u{..}` as in Rust.
fn unescape(text: &str) -> String {
    let mut parts = text.split("\\u{");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_once('}').unwrap();
        plain.push(char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap());
        plain.push_str(rest);
    }
    plain
}

#[test]
fn hosts_are_what_the_corpus_says() {
    for row in rows() {
        let (class, region, name) = match RegistryHost::parse(&row.host) {
            Some(RegistryHost::Enterprise { name, region, .. }) => {
                ("enterprise", region.to_string(), name)
            }
            Some(RegistryHost::Personal { region, .. }) => {
                ("personal", region.to_string(), "-".to_owned())
            }
            Some(RegistryHost::PersonalInstance { region }) => {
                ("personal-instance", region.to_string(), row.name.clone())
            }
            Some(RegistryHost::System { region }) => ("system", region.to_string(), "-".to_owned()),
            None => ("foreign", "-".to_owned(), "-".to_owned()),
        };
        assert_eq!(
            (class, &region, &name),
            (row.class.as_str(), &row.region, &row.name),
            "{:?}",
            row.host
        );
    }
}

/// Through the binary, with an entry for the very instance that the spoofs pretend to be: none of
/// them is answered, and none makes a call, neither to a service nor through the proxy.
#[test]
fn no_foreign_host_is_answered() {
    let config = format!("{}/corpus-config.yaml", env!("CARGO_TARGET_TMPDIR"));
    let everybody = TcpListener::bind("127.0.0.1:0").unwrap();
    everybody.set_nonblocking(true).unwrap();
    let address = format!("http://{}", everybody.local_addr().unwrap());
    let called = || everybody.accept().is_ok();
    fs::write(
        &config,
        format!(
            "acr-registry-info:\n  - instanceId: cri-acme\n    regionId: cn-hangzhou\n  - regionId: cn-hangzhou\n\
             credential-provider:\n  cacheDir: off\n  timeout: 2s\n  endpoints: {{sts: \"{address}\", cr: \"{address}\", metadata: \"{address}\", registry: \"{address}\"}}\n"
        ),
    )
    .unwrap();
    let mut exec = Exec::new(PROGRAM);
    exec.args = vec!["--config".into(), config];
    exec.config_env = vec![("HTTPS_PROXY".to_owned(), address.clone())];
    let ours = "acme-registry.cn-hangzhou.cr.aliyuncs.com/team/app";
    exec.run(&encode_request(V1, ours, None, &BTreeMap::new())).unwrap();
    assert!(called(), "a call is seen");
    while called() {}
    let mut exits: BTreeMap<String, usize> = BTreeMap::new();
    // What has a slash in it cannot stand before the first slash of an image.
    let not_ours =
        |row: &&Row| matches!(row.class.as_str(), "foreign" | "system") && !row.host.contains('/');
    for row in rows().iter().filter(not_ours) {
        let request = encode_request(V1, &format!("{}/team/app", row.host), None, &BTreeMap::new());
        let outcome = exec.run(&request).unwrap();
        assert!(!called(), "{:?} made a call", row.host);
        match outcome.answer(V1) {
            Ok(answer) => assert!(answer.auth.is_none(), "{:?} was answered", row.host),
            Err(_) => assert!(
                outcome.stderr_text().starts_with("error: the image name"),
                "{:?}: {}",
                row.host,
                outcome.stderr_text()
            ),
        }
        *exits.entry(outcome.exit.to_string()).or_default() += 1;
    }
    assert!(exits.values().sum::<usize>() > 300, "{exits:?}");
}
