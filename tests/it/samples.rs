//! Everything in `config/` is read by the reader that it is for, and used for what it is for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

mod accounts;
mod callers;
mod identities;
mod kubelet;
mod manifests;
mod monitoring;
mod pods;
mod readme;
mod setup_daemonset;

/// A file's reader panics if the file is not as it should be.
type Reader = fn(&str, &str);

/// Every file and its reader; the tests in the modules use them by the same names.
const SAMPLES: &[(&str, Reader)] = &[
    ("callers/credential-provider-config.json", callers::read_json),
    ("callers/docker-config.json", callers::read_docker_configuration),
    ("callers/kruise-config-map.yaml", callers::read_config_map),
    ("callers/kruise-values.yaml", callers::read_kruise_values),
    ("callers/noe-values.yaml", callers::read_noe_values),
    ("callers/nydus-snapshotter.toml", callers::read_nydus_configuration),
    ("callers/warm-metal-values.yaml", callers::read_warm_metal_values),
    ("cli/accounts.sh", accounts::read_script),
    ("config.access-key.yaml", identities::read_configuration),
    ("config.personal.yaml", identities::read_configuration),
    ("config.pod-identity.yaml", identities::read_configuration),
    ("config.rrsa.yaml", identities::read_configuration),
    ("config.worker-role.yaml", identities::read_configuration),
    ("deployment.yaml", manifests::read),
    ("kubelet/credential-provider-config.service-accounts.1.33.yaml", pods::read_configuration),
    ("kubelet/credential-provider-config.service-accounts.1.34.yaml", pods::read_configuration),
    ("kubelet/credential-provider-config.v1.yaml", kubelet::read_configuration),
    ("kubelet/credential-provider-config.v1alpha1.yaml", kubelet::read_configuration),
    ("kubelet/credential-provider-config.v1beta1.yaml", kubelet::read_configuration),
    ("monitoring/dashboard.json", monitoring::read),
    ("monitoring/node-problem-detector.json", monitoring::read),
    ("monitoring/rules.test.yaml", monitoring::read),
    ("monitoring/rules.yaml", monitoring::read),
    ("ram/cluster-assume-role-policy.json", identities::read_permissions),
    ("ram/cluster-pod-trust-policy.json", identities::read_trust),
    ("ram/cluster-rrsa-trust-policy.json", identities::read_trust),
    ("ram/cluster-rrsa-trust-policy.with-helper.json", identities::read_trust),
    ("ram/registry-pull-policy.json", identities::read_permissions),
    ("ram/registry-trust-policy.json", identities::read_trust),
    ("ram/registry-trust-policy.pods.json", identities::read_trust),
    ("ram/registry-trust-policy.rrsa.json", identities::read_trust),
    ("rbac.token-audience.yaml", pods::read_rights),
    ("setup-daemonset.yaml", setup_daemonset::read),
    ("teams/team-a.yaml", pods::read_team),
    ("teams/team-b.yaml", pods::read_team),
    ("teams/team-c.yaml", pods::read_team),
    ("terraform/cluster.tf", accounts::read_terraform),
    ("terraform/node-pool.tf", accounts::read_terraform),
    ("terraform/registry.tf", accounts::read_terraform),
    ("terraform/variables.tf", accounts::read_terraform),
    ("terraform/versions.tf", accounts::read_terraform),
    ("token-daemonset.yaml", manifests::read),
];

fn folder() -> PathBuf {
    Path::new(crate::TESTS).parent().unwrap().join("config")
}

fn sample(name: &str) -> String {
    assert!(SAMPLES.iter().any(|(known, _)| *known == name), "{name} has no reader");
    fs::read_to_string(folder().join(name)).unwrap()
}

/// A folder of the caller's own, empty.
fn scratch() -> PathBuf {
    static USED: AtomicUsize = AtomicUsize::new(0);
    let number = USED.fetch_add(1, Ordering::Relaxed);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("samples/{number}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn files(folder: &Path, under: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{under}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path(), &format!("{name}/"), found);
        } else {
            found.insert(name);
        }
    }
}

#[test]
fn every_file_is_read_by_its_reader() {
    let mut found = BTreeSet::new();
    files(&folder(), "", &mut found);
    let known: BTreeSet<String> = SAMPLES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(found, known, "a file without a reader, or a reader without a file");
    for (name, read) in SAMPLES {
        read(name, &sample(name));
    }
}
