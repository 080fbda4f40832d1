//! How large the release build is, and how much memory it takes on its longest way.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use simulation::cloud::{Cloud, standard};
use simulation::kubelet::encode_request;

use crate::PROGRAM;

const MIB: u64 = 1024 * 1024;

/// The stripped binary is at most 5 MiB.
#[test]
fn the_release_build_is_small() {
    let size = release_build().metadata().unwrap().len();
    println!("the binary has {size} bytes");
    assert!(size <= 5 * MIB, "the binary has {size} bytes");
}

/// A cold run over TLS with every hop takes at most 10 MiB.
///
/// `getrusage` would count what the test process had at the fork, so the kernel's high-water mark
/// is read while the program runs. The last answer is held back for a moment: by then everything is
/// loaded.
#[test]
fn a_cold_run_takes_little_memory() {
    let cloud = Cloud::with("{tls: true, faults: {get-authorization-token: [{delay-ms: 300}]}}");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (ca, config) = (folder.join("footprint-ca.pem"), folder.join("footprint.yaml"));
    fs::write(&ca, cloud.ca_pem().unwrap()).unwrap();
    let text = format!(
        "acr-registry-info:
  - instanceId: {},{}
    regionId: cn-hangzhou
    assumeRoleARN: {}
credential-provider:
  caFile: {}
  cacheDir: off
  endpoints: {{metadata: \"{}\", sts: \"{}\", cr: \"{}\", registry: \"{}\"}}
",
        standard::ACME,
        standard::FOO_REGISTRY,
        standard::PULLER,
        ca.display(),
        cloud.metadata_url(),
        cloud.sts_url(),
        cloud.cr_url(),
        cloud.registry_url(),
    );
    fs::write(&config, text).unwrap();
    let image = "acme-registry.cn-hangzhou.cr.aliyuncs.com/team/app";
    let version = "credentialprovider.kubelet.k8s.io/v1";
    let request = encode_request(version, image, None, &BTreeMap::new());
    let mut command = Command::new(release_build());
    command.arg("--config").arg(config).env_clear().stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(&request).unwrap();
    let mut kibibytes = 0;
    let status = loop {
        kibibytes = kibibytes.max(high_water_mark(child.id()).unwrap_or(0));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        thread::sleep(Duration::from_millis(1));
    };
    assert!(status.success(), "{status}");
    let hops = "challenge, metadata three times, AssumeRole, GetAuthorizationToken";
    assert_eq!(cloud.calls().len(), 6, "{hops}");
    println!("a cold run over TLS took {kibibytes} KiB");
    assert!((1..=10 * 1024).contains(&kibibytes), "a cold run took {kibibytes} KiB");
}

/// Most resident memory so far, in KiB.
fn high_water_mark(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

fn release_build() -> PathBuf {
    let target = Path::new(PROGRAM).parent().and_then(Path::parent).unwrap();
    let mut build = Command::new(env!("CARGO"));
    build.args([
        "build",
        "--quiet",
        "--release",
        "--locked",
        "--bin",
        "aliyun-acr-credential-provider",
    ]);
    build
        .args([
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
            "--target-dir",
        ])
        .arg(target);
    assert!(build.status().unwrap().success(), "the release build failed");
    target.join("release/aliyun-acr-credential-provider")
}
