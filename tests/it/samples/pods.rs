//! The files for pods that pull as themselves, together: a kubelet in service account mode runs
//! the program under both of its names, with the samples' configuration, rights and policies.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value as Json, json};
use simulation::cloud::{Cloud, Hop};
use simulation::kubelet::config::{Config, ProviderConfig};
use simulation::kubelet::{
    Credential, Exec, Images, Kubelet, Provider, Provision, PullPolicy, ServiceAccount, Start,
    Verification,
};

use super::identities::{CLUSTER, INSTANCE, PROVIDER, REGISTRY, filled_in, value};
use super::{sample, scratch};
use crate::render::service_accounts::lets_nodes_ask;
use crate::{PROGRAM, copied};

const IMAGE: &str = "acme-registry.cn-hangzhou.cr.aliyuncs.com/team/app";
const HOST: &str = "acme-registry.cn-hangzhou.cr.aliyuncs.com";
const ROLE_NAME: &str = "pod-identity.alibabacloud.com/role-name";

/// The newest release that is known of.
const NEXT: u32 = 37;

/// Every release that a file is for takes it, and no other release with service account mode.
pub fn read_configuration(name: &str, text: &str) {
    let is_for_1_33 = name.ends_with(".1.33.yaml");
    for minor in 32..=NEXT {
        let kubelet = Kubelet::release(minor).with_service_account_tokens(true);
        let config = kubelet.decode_config(text);
        assert_eq!(config.is_ok(), minor >= 33 && (minor == 33) == is_for_1_33, "1.{minor}");
    }
    let delivered = Kubelet::release(33).decode_config(text);
    assert!(delivered.is_err(), "1.33 as delivered has its gate off");
    assert_eq!(text.contains("--feature-gates=KubeletServiceAccountToken"), is_for_1_33);
}

pub fn read_rights(_name: &str, text: &str) {
    assert!(lets_nodes_ask(text, "sts.aliyuncs.com", "team", "any"));
    assert!(!lets_nodes_ask(text, "vault", "team", "any"));
}

/// A team's accounts name its role, and nodes may ask for the tokens of these accounts alone, by what
/// the program writes.
pub fn read_team(name: &str, text: &str) {
    let team = name.trim_start_matches("teams/").trim_end_matches(".yaml");
    let documents: Vec<Json> = serde_saphyr::from_multiple(text).unwrap();
    let of = |kind: &str| -> Vec<&Json> {
        documents.iter().filter(|document| document["kind"] == kind).collect()
    };
    let accounts = of("ServiceAccount");
    assert_eq!(accounts.len() + 2, documents.len(), "{name}");
    let mut arguments = vec!["rbac".to_owned()];
    for account in &accounts {
        let metadata = &account["metadata"];
        assert_eq!(account["apiVersion"], "v1");
        assert_eq!(metadata["namespace"], team);
        assert_eq!(metadata["annotations"], json!({ROLE_NAME: format!("{team}-puller")}));
        let account = format!("{team}/{}", metadata["name"].as_str().unwrap());
        arguments.extend(["--service-account".to_owned(), account]);
    }
    let path = scratch().join("config.yaml");
    fs::write(&path, filled_in("config.pod-identity.yaml")).unwrap();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let written = without_comments(&render(&path, &arguments));
    let role = text.find("apiVersion: rbac").unwrap();
    assert_eq!(without_comments(&text[role..]), written, "{name}");
}

fn render(config: &Path, arguments: &[&str]) -> String {
    let mut exec = Exec::new(PROGRAM);
    let config = ["--config", config.to_str().unwrap(), "render"];
    exec.args = config.iter().chain(arguments).map(|word| (*word).to_owned()).collect();
    let outcome = exec.run(&[]).unwrap();
    assert_eq!(outcome.stderr_text(), "");
    String::from_utf8(outcome.stdout).unwrap()
}

fn without_comments(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

fn decoded(text: &str, minor: u32) -> Config {
    Kubelet::release(minor).with_service_account_tokens(true).decode_config(text).unwrap()
}

fn kubelet_sample(minor: u32) -> Config {
    let minor = minor.min(34);
    let name = format!("kubelet/credential-provider-config.service-accounts.1.{minor}.yaml");
    decoded(&sample(&name), minor)
}

/// The samples are what the program itself writes for the sample of its configuration.
#[test]
fn the_program_writes_the_same() {
    let path = scratch().join("config.yaml");
    fs::write(&path, filled_in("config.pod-identity.yaml")).unwrap();
    let render = |arguments: &[&str]| render(&path, arguments);
    for minor in 33..=NEXT {
        let version = format!("1.{minor}");
        let text = render(&["kubelet-config", "--service-accounts", "--kubelet-version", &version]);
        let mut rendered = decoded(&text, minor);
        for provider in &mut rendered.providers {
            assert_eq!(provider.args[0], "--config");
            provider.args.clear();
        }
        assert_eq!(rendered, kubelet_sample(minor), "1.{minor}");
    }
    let rights = sample("rbac.token-audience.yaml");
    assert_eq!(without_comments(&render(&["rbac"])), without_comments(&rights));
}

/// A node with the program under both names.
struct Node {
    cloud: Cloud,
    providers: Vec<Provider>,
}

impl Node {
    fn new(minor: u32) -> Self {
        let trust = value("ram/cluster-pod-trust-policy.json");
        let assume = json!({"the-sample": value("ram/cluster-assume-role-policy.json")});
        let of_pods = json!({"system-policies": [], "policies": assume, "trust": trust});
        let pull = json!({"pull-images": value("ram/registry-pull-policy.json")});
        let cloud = Cloud::with(
            &json!({"accounts": {
                CLUSTER: {"roles": {"acr-pods": of_pods, "team-a-puller": of_pods}},
                REGISTRY: {"roles": {"acr-puller": {
                    "policies": pull, "trust": value("ram/registry-trust-policy.pods.json"),
                }}},
            }})
            .to_string(),
        );
        let folder = scratch();
        let path = folder.join("config.yaml");
        let text = format!(
            "{}credential-provider:\n  cacheDir: {}/cache\n  endpoints: {{metadata: \"{}\", sts: \"{}\", cr: \"{}\"}}\n",
            filled_in("config.pod-identity.yaml"),
            folder.display(),
            cloud.metadata_url(),
            cloud.sts_url(),
            cloud.cr_url(),
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        copied(PROGRAM, folder.join("aliyun-acr-credential-provider"));
        symlink(
            "aliyun-acr-credential-provider",
            folder.join("aliyun-acr-credential-provider-pods"),
        )
        .unwrap();
        let register = |provider| register(provider, &path, &folder);
        let providers = kubelet_sample(minor).providers.into_iter().map(register).collect();
        Self { cloud, providers }
    }

    fn account(&self, namespace: &str, name: &str, role: Option<&str>) -> ServiceAccount {
        let annotations = role.map(|role| (ROLE_NAME.to_owned(), role.to_owned()));
        ServiceAccount {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: format!("uid-{namespace}-{name}"),
            annotations: annotations.into_iter().collect::<BTreeMap<_, _>>(),
            token: self.cloud.service_account_token(PROVIDER, namespace, name).mint(),
        }
    }

    /// What each provider that has the image in its list comes to.
    fn pull(&mut self, account: Option<&ServiceAccount>) -> Vec<Provision> {
        let provide = |provider: &mut Provider| provider.provide(IMAGE, account, Duration::ZERO);
        let all = self.providers.iter_mut().map(provide);
        all.filter(|provision| *provision != Provision::NotMatched).collect()
    }

    fn exchanged(&self) -> usize {
        self.cloud.calls().iter().filter(|call| call.hop == Hop::AssumeRoleWithOidc).count()
    }
}

fn register(mut provider: ProviderConfig, config: &Path, folder: &Path) -> Provider {
    provider.args = vec!["--config".to_owned(), config.to_str().unwrap().to_owned()];
    Provider::register(provider, folder, Vec::new()).unwrap()
}

#[test]
fn each_pod_pulls_as_itself_or_not_at_all() {
    for minor in 33..=34 {
        let mut node = Node::new(minor);
        let [plain, annotated, stranger, greedy] = [
            node.account("team-a", "app", None),
            node.account("team-a", "jobs", Some("team-a-puller")),
            node.account("team-b", "app", None),
            node.account("team-a", "app", Some("acr-pods")),
        ];
        let mut passwords = Vec::new();
        for account in [&plain, &annotated] {
            let [Provision::Answered { auth }] = &node.pull(Some(account))[..] else {
                panic!("one provider answers for {account:?}")
            };
            let login = &auth[HOST];
            node.cloud
                .login_allows_pull(&login.username, &login.password, INSTANCE, "team/app")
                .unwrap();
            passwords.push(login.password.clone());
        }
        assert_ne!(passwords[0], passwords[1]);
        let roles: Vec<String> = node.cloud.call_lines();
        assert!(
            roles[0].contains("role/acr-pods by system:serviceaccount:team-a:app"),
            "{roles:?}"
        );
        assert!(
            roles.iter().any(
                |call| call.contains("role/team-a-puller by system:serviceaccount:team-a:jobs")
            ),
            "{roles:?}"
        );

        // Again: from the kubelet's own cache, to the same service account alone.
        let again = node.account("team-a", "app", None);
        let [Provision::Cached { auth }] = &node.pull(Some(&again))[..] else { panic!("cached") };
        assert_eq!(auth[HOST].password, passwords[0]);
        assert_eq!(node.exchanged(), 2);

        // Whom the trust policy, allowedRoles or the missing token keeps out, nobody rescues.
        let stranger = node.pull(Some(&stranger));
        let greedy = node.pull(Some(&greedy));
        let static_pod = node.pull(None);
        for (provisions, says) in [
            (stranger, "AuthenticationFail.NoPermission"),
            (greedy, "which `allowedRoles` does not have"),
            (static_pod, "static pod"),
        ] {
            let [Provision::Failed { log }] = &provisions[..] else { panic!("{provisions:?}") };
            assert!(log.contains(says), "{log}");
        }
        assert_eq!(node.exchanged(), 3, "the stranger's");
        assert_eq!(node.cloud.violations(), []);
    }
}

/// What the tables of docs/identities/pod-identity.md say of images on the node.
#[test]
fn who_starts_an_image_that_is_on_the_node() {
    use PullPolicy::{Always, IfNotPresent, Never};
    use Verification::{AlwaysVerify, NeverVerify, NeverVerifyPreloadedImages};

    let mut node = Node::new(34);
    let ours = node.account("team-a", "app", None);
    let stranger = node.account("team-b", "app", None);
    // What the start comes to, and whether a provider was asked for it.
    let mut start = |images: &mut Images, policy, account: &ServiceAccount| {
        let Node { cloud, providers } = &mut node;
        let pulls = |login: &Credential| {
            cloud.login_allows_pull(&login.username, &login.password, INSTANCE, "team/app").is_ok()
        };
        let (start, asked) =
            images.start(IMAGE, policy, Some(account), providers, Duration::ZERO, pulls);
        (start, !asked.is_empty())
    };

    // The node's login pulled it: open to all, and no provider is asked.
    for verification in [NeverVerifyPreloadedImages, AlwaysVerify] {
        let mut images = Images::new(verification);
        images.pulled_by_node(IMAGE);
        assert_eq!(start(&mut images, IfNotPresent, &stranger), (Start::Present, false));
        assert_eq!(start(&mut images, Always, &stranger), (Start::NotPulled, true));

        // Pulled again under the old record it is as open.
        images.remove_image(IMAGE);
        assert_eq!(start(&mut images, IfNotPresent, &ours), (Start::Pulled, true));
        assert_eq!(start(&mut images, IfNotPresent, &stranger), (Start::Present, false));

        // Without its record it counts as preloaded.
        images.remove_record(IMAGE);
        let expected = if verification == AlwaysVerify {
            (Start::NotPulled, true)
        } else {
            (Start::Present, false)
        };
        assert_eq!(start(&mut images, IfNotPresent, &stranger), expected);

        // Both removed: closed, and asked for at each start.
        images.remove_image(IMAGE);
        assert_eq!(start(&mut images, IfNotPresent, &stranger), (Start::NotPulled, true));
        assert_eq!(start(&mut images, IfNotPresent, &ours), (Start::Pulled, true));
        assert_eq!(start(&mut images, IfNotPresent, &ours), (Start::Present, true));
        assert_eq!(start(&mut images, IfNotPresent, &stranger), (Start::NotPulled, true));
        assert_eq!(start(&mut images, Never, &stranger), (Start::NeverPulled, true));
        assert_eq!(start(&mut images, Never, &ours), (Start::Present, true));

        // Deleted and created again it is another account, whose login has to pull once.
        let again = ServiceAccount { uid: "another".to_owned(), ..ours.clone() };
        assert_eq!(start(&mut images, IfNotPresent, &again), (Start::Pulled, true));
        images.verification = NeverVerify;
        assert_eq!(start(&mut images, IfNotPresent, &stranger), (Start::Present, false));
    }
}
