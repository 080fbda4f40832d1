//! A whole look-up, with a shell script in the plugin's place.

use std::fs;
use std::path::PathBuf;

use super::super::config::Kubelet;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A kubelet with one provider: `/bin/sh` running `script` behind a configuration.
struct Node {
    directory: PathBuf,
    provider: Provider,
}

impl Node {
    /// The script's runs are counted. It finds the answer's beginning in `$HEAD`.
    fn new(name: &str, script: &str, token_attributes: &str) -> Self {
        let directory = std::env::temp_dir();
        let directory = directory.join(format!("kubelet-provider-{}-{name}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let script = format!("echo run >> {}/runs; {script}", directory.display());
        let head = r#"{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderResponse","#;
        // JSON strings are YAML strings too.
        let config = format!(
            "apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
  - name: sh
    matchImages: [reg.example, \"*.reg.example\"]
    defaultCacheDuration: 60s
    apiVersion: credentialprovider.kubelet.k8s.io/v1
    args: [\"-c\", {}]
    env: [{{name: HEAD, value: {}}}]
{token_attributes}",
            serde_json::to_string(&script).unwrap(),
            serde_json::to_string(head).unwrap(),
        );
        let mut config = Kubelet::release(34).decode_config(&config).unwrap();
        let path = ("PATH".to_owned(), "/usr/bin:/bin".to_owned());
        let provider = config.providers.remove(0);
        let provider = Provider::register(provider, Path::new("/bin"), vec![path]);
        Self { directory, provider: provider.unwrap() }
    }

    fn provide(&mut self, image: &str, seconds: u32) -> Provision {
        self.provider.provide(image, None, SECOND * seconds)
    }

    fn runs(&self) -> usize {
        let runs = fs::read_to_string(self.directory.join("runs"));
        runs.map_or(0, |runs| runs.lines().count())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A script that answers for the registry of all images here.
const ANSWER: &str = r#"cat >/dev/null; echo "$HEAD"'"cacheKeyType":"Registry",
    "auth":{"reg.example":{"username":"u","password":"p"}}}'"#;

const TOKEN_ATTRIBUTES: &str = "    tokenAttributes:
      serviceAccountTokenAudience: aud
      cacheType: ServiceAccount
      requireServiceAccount: true
      requiredServiceAccountAnnotationKeys: [a/role]
      optionalServiceAccountAnnotationKeys: [a/team]
";

fn account(name: &str, annotations: &[(&str, &str)]) -> ServiceAccount {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    ServiceAccount {
        namespace: "ns".to_owned(),
        name: name.to_owned(),
        uid: format!("uid-{name}"),
        annotations: annotations.iter().map(owned).collect(),
        token: format!("token-{name}"),
    }
}

/// What the pull logs in with.
fn login(provision: &Provision) -> Vec<(String, String)> {
    let (Provision::Cached { auth } | Provision::Answered { auth }) = provision else {
        return Vec::new();
    };
    auth.values().map(|login| (login.username.clone(), login.password.clone())).collect()
}

fn pair(username: &str, password: &str) -> Vec<(String, String)> {
    vec![(username.to_owned(), password.to_owned())]
}

#[test]
fn one_run_serves_the_registry_until_its_time_is_up() {
    let mut node = Node::new("registry", ANSWER, "");
    let first = node.provide("reg.example/a", 0);
    assert!(matches!(first, Provision::Answered { .. }), "{first:?}");
    assert_eq!(login(&first), pair("u", "p"));
    let second = node.provide("reg.example/b", 60);
    assert!(matches!(second, Provision::Cached { .. }), "{second:?}");
    assert_eq!(login(&second), pair("u", "p"));
    assert_eq!(node.runs(), 1);
    assert!(matches!(node.provide("reg.example/a", 61), Provision::Answered { .. }));
    assert_eq!(node.runs(), 2);
}

#[test]
fn images_that_do_not_match_are_not_asked_about() {
    let mut node = Node::new("match", ANSWER, "");
    for image in ["other.example/a", "reg.example:443/a", "a.b.reg.example/a"] {
        assert_eq!(node.provide(image, 0), Provision::NotMatched);
    }
    assert_eq!(node.runs(), 0);
}

#[test]
fn failures_are_logged_and_not_remembered() {
    let mut node = Node::new("failure", "echo 'error: no role' >&2; exit 3", "");
    for expected_runs in [1, 2] {
        let log = "Failed getting credential from external registry credential provider: \
                   error execing credential provider plugin sh for image reg.example/a: \
                   exit status 3: error: no role\n"
            .to_owned();
        assert_eq!(node.provide("reg.example/a", 0), Provision::Failed { log });
        assert_eq!(node.runs(), expected_runs);
    }
}

#[test]
fn answers_that_are_refused_are_not_remembered() {
    let mut node = Node::new("refused", r#"echo "$HEAD"'"cacheKeyType":"Token"}'"#, "");
    for expected_runs in [1, 2] {
        let provision = node.provide("reg.example/a", 0);
        assert!(matches!(provision, Provision::Failed { .. }), "{provision:?}");
        assert!(login(&provision).is_empty());
        assert_eq!(node.runs(), expected_runs);
    }
}

#[test]
fn service_account_mode_passes_configured_annotations_alone() {
    let script = r#"request=$(cat); case $request in
        *'"serviceAccountToken":"token-one","serviceAccountAnnotations":{"a/role":"r"}}') ;;
        *) exit 1 ;;
        esac; echo "$HEAD"'"cacheKeyType":"Registry"}'"#;
    let mut node = Node::new("annotations", script, TOKEN_ATTRIBUTES);
    let one = account("one", &[("a/role", "r"), ("other", "x")]);
    let provision = node.provider.provide("reg.example/a", Some(&one), Duration::ZERO);
    assert!(matches!(provision, Provision::Answered { .. }), "{provision:?}");
}

#[test]
fn service_account_mode_skips_pods_that_have_not_opted_in() {
    let mut node = Node::new("skip", ANSWER, TOKEN_ATTRIBUTES);
    assert!(matches!(node.provide("reg.example/a", 0), Provision::Skipped { .. }));
    let plain = account("plain", &[("a/team", "t")]);
    let provision = node.provider.provide("reg.example/a", Some(&plain), Duration::ZERO);
    let reason = "required annotation a/role not found".to_owned();
    assert_eq!(provision, Provision::Skipped { reason });
    assert_eq!(node.runs(), 0);
}

#[test]
fn a_pod_without_account_is_served_without_a_token_if_none_is_required() {
    let attributes = TOKEN_ATTRIBUTES
        .replace("requireServiceAccount: true", "requireServiceAccount: false")
        .replace("      requiredServiceAccountAnnotationKeys: [a/role]\n", "");
    let script =
        format!("grep -q serviceAccount && exit 1; {}", ANSWER.replace("cat >/dev/null; ", ""));
    let mut node = Node::new("optional", &script, &attributes);
    assert!(matches!(node.provide("reg.example/a", 0), Provision::Answered { .. }));
}

#[test]
fn accounts_have_their_own_entries() {
    let mut node = Node::new("accounts", ANSWER, TOKEN_ATTRIBUTES);
    let [one, two] = ["one", "two"].map(|name| account(name, &[("a/role", "r")]));
    for (account, expected_runs) in [(&one, 1), (&one, 1), (&two, 2), (&one, 2)] {
        node.provider.provide("reg.example/a", Some(account), Duration::ZERO);
        assert_eq!(node.runs(), expected_runs);
    }
}

#[test]
fn the_token_is_no_password() {
    let script = r#"echo "$HEAD"'"cacheKeyType":"Image",
        "auth":{"reg.example":{"username":"u","password":"token-one"}}}'"#;
    let mut node = Node::new("echo", script, TOKEN_ATTRIBUTES);
    let one = account("one", &[("a/role", "r")]);
    let provision = node.provider.provide("reg.example/a", Some(&one), Duration::ZERO);
    assert!(matches!(provision, Provision::Failed { .. }), "{provision:?}");

    let attributes = TOKEN_ATTRIBUTES.replace("cacheType: ServiceAccount", "cacheType: Token");
    let mut node = Node::new("echo-token", script, &attributes);
    let provision = node.provider.provide("reg.example/a", Some(&one), Duration::ZERO);
    assert_eq!(login(&provision), pair("u", "token-one"));
}

#[test]
fn a_kubelet_does_not_start_without_the_binary() {
    let config = |name: &str| ProviderConfig {
        name: name.to_owned(),
        match_images: vec![],
        default_cache_duration: super::super::GoDuration::ZERO,
        api_version: String::new(),
        args: vec![],
        env: vec![],
        token_attributes: None,
    };
    let register =
        |bin_dir: &str, name: &str| Provider::register(config(name), Path::new(bin_dir), vec![]);
    assert!(register("/bin", "no-such-plugin").is_err());
    assert!(register("/etc", "passwd").is_err());
    assert!(register("/", "bin").is_err());
    assert!(register("/bin", "sh").is_ok());
}
