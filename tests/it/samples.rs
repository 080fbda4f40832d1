//! Everything in `config/` is read by the reader that it is for.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use simulation::cloud::Cloud;
use simulation::kubelet::{Exec, Exit, Kubelet, encode_request, urls_match};

use crate::corpus::hosts;
use crate::{PROGRAM, TESTS};

const V1: &str = "credentialprovider.kubelet.k8s.io/v1";

fn sample(name: &str) -> String {
    fs::read_to_string(format!("{TESTS}/../config/{name}")).unwrap()
}

fn names(folder: &str, ending: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(format!("{TESTS}/../config/{folder}"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(ending))
        .collect();
    names.sort();
    names
}

/// The annotated configurations are accepted, without a warning.
#[test]
fn configurations() {
    let configurations: Vec<String> =
        names("", ".yaml").into_iter().filter(|name| name.starts_with("config.")).collect();
    assert_eq!(configurations.len(), 4);
    for name in configurations {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(&name);
        fs::write(&path, sample(&name)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let mut exec = Exec::new(PROGRAM);
        exec.args = vec!["--config".into(), path.to_string_lossy().into_owned()];
        let request = encode_request(V1, "docker.io/library/nginx", None, &BTreeMap::new());
        let outcome = exec.run(&request).unwrap();
        assert_eq!(outcome.exit, Exit::Code(0), "{name}: {}", outcome.stderr_text());
        assert_eq!(outcome.stderr_text(), "", "{name}");
    }
}

/// Each kubelet version reads its file, and its patterns cover the registries they should.
#[test]
fn kubelet_configurations() {
    for (file, minors) in [("v1alpha1", 20..=23), ("v1beta1", 24..=25), ("v1", 26..=37)] {
        let text = sample(&format!("kubelet/credential-provider-config.{file}.yaml"));
        for minor in minors {
            let config = Kubelet::release(minor).decode_config(&text);
            let config = config.unwrap_or_else(|wrong| panic!("{file} for 1.{minor}: {wrong}"));
            let [provider] = &config.providers[..] else { panic!("one provider") };
            assert_eq!(provider.name, "aliyun-acr-credential-provider");
            for (host, class) in hosts() {
                let image = format!("{host}/team/app");
                let matched =
                    provider.match_images.iter().any(|p| urls_match(p, &image) == Ok(true));
                // Hosts with the label `distributed` have one label more; who has them adds a line.
                let wanted = class == "personal"
                    || (class == "enterprise" && !host.contains(".distributed."));
                if wanted || matches!(class.as_str(), "enterprise" | "personal-instance") {
                    assert_eq!(matched, wanted, "{file} for {host}");
                }
            }
        }
    }
}

/// The policies do in the simulated accounts what README says of them.
#[test]
fn ram_policies() {
    assert_eq!(names("ram", ".json").len(), 3);
    let policy = |name: &str| -> serde_json::Value {
        serde_json::from_str(&sample(&format!("ram/{name}"))).unwrap()
    };
    let worker = "KubernetesWorkerRole-3a1c5a0e-7b0e-4d3f-9c55-0c1f2e3d4a5b";
    let trust = policy("registry-trust-policy.json").to_string();
    let trust = trust.replace("KubernetesWorkerRole-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", worker);
    let overlay = serde_json::json!({
        "accounts": {
            "1000000000000001": {"roles": {"of-the-sample": {
                "trust": policy("cluster-rrsa-trust-policy.json"),
                "system-policies": ["AliyunSTSAssumeRoleAccess"],
            }}},
            "2000000000000002": {"roles": {"acr-puller": {
                "trust": serde_json::from_str::<serde_json::Value>(&trust).unwrap(),
                "policies": {"pull-images": policy("registry-pull-policy.json")},
            }}},
        },
    });
    let cloud = Cloud::with(&overlay.to_string());
    let provider =
        "acs:ram::1000000000000001:oidc-provider/ack-rrsa-c0000000000000000000000000000000a";
    let token =
        cloud.service_account_token(provider, "kube-system", "acr-credential-provider-token");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    fs::write(folder.join("sample-token"), token.mint()).unwrap();
    let rrsa = format!(
        "rrsaRoleARN: acs:ram::1000000000000001:role/of-the-sample\n    rrsaOIDCProviderRoleARN: {provider}"
    );
    let over = "assumeRoleARN: acs:ram::2000000000000002:role/acr-puller";
    // The worker role goes all the way; the RRSA role's own trust holds, and the registry's role
    // does not trust it.
    assert_eq!(login(&cloud, over), Exit::Code(0));
    assert_eq!(login(&cloud, &format!("{rrsa}\n    {over}")), Exit::Code(4));
    assert_eq!(cloud.violations(), vec![]);
}

fn login(cloud: &Cloud, identity: &str) -> Exit {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let config = folder.join("sample-policies.yaml");
    let text = format!(
        "rrsa: {{enable: true}}
acr-registry-info:
  - instanceId: cri-acmeprod00000001
    regionId: cn-hangzhou
    domains: acme-registry.cn-hangzhou.cr.aliyuncs.com
    {identity}
credential-provider:
  cacheDir: off
  oidcTokenFile: {}/sample-token
  endpoints: {{metadata: \"{}\", sts: \"{}\", cr: \"{}\"}}
",
        folder.display(),
        cloud.metadata_url(),
        cloud.sts_url(),
        cloud.cr_url(),
    );
    fs::write(&config, text).unwrap();
    let mut exec = Exec::new(PROGRAM);
    exec.args = vec!["--config".into(), config.to_string_lossy().into_owned()];
    let image = "acme-registry.cn-hangzhou.cr.aliyuncs.com/team/app";
    exec.run(&encode_request(V1, image, None, &BTreeMap::new())).unwrap().exit
}

/// The DaemonSet's script, run on a folder: the token arrives whole, for its owner alone.
#[test]
fn token_daemonset() {
    let text = sample("token-daemonset.yaml");
    let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(&text).unwrap();
    let [account, set] = &documents[..] else { panic!("a ServiceAccount and a DaemonSet") };
    let name = account["metadata"]["name"].as_str().unwrap();
    let pod = &set["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], name);
    let trust = sample("ram/cluster-rrsa-trust-policy.json");
    assert!(trust.contains(&format!("\"system:serviceaccount:kube-system:{name}\"")));
    let projected = &pod["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"];
    assert_eq!(projected["audience"], "sts.aliyuncs.com");
    let container = &pod["containers"][0];
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("daemonset");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("token")).unwrap();
    fs::create_dir_all(folder.join("node")).unwrap();
    fs::write(folder.join("token/token"), "e30.e30.sig").unwrap();
    let script = container["args"][0].as_str().unwrap();
    let once =
        script.replace("sleep 60", "break").replace("/token/", "token/").replace("/node/", "node/");
    let status = std::process::Command::new(container["command"][0].as_str().unwrap())
        .args([container["command"][1].as_str().unwrap(), &once])
        .current_dir(&folder)
        .status()
        .unwrap();
    assert!(status.success());
    let token = folder.join("node/token");
    assert_eq!(fs::read_to_string(&token).unwrap(), "e30.e30.sig");
    assert_eq!(fs::metadata(&token).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        fs::read_dir(folder.join("node")).unwrap().count(),
        1,
        "no half-written file is left"
    );
}
