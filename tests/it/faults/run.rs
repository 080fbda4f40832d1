//! One run of the program on a cloud with a fault.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value as Json, json};
use simulation::cloud::{Cloud, Description, Service};
use simulation::kubelet::{Exec, GoDuration, Outcome, encode_request};

use super::table::{Case, Fault, Journey, Tables};
use crate::PROGRAM;

pub(super) const V1: &str = "credentialprovider.kubelet.k8s.io/v1";

/// The provider of the cluster's tokens in the standard world, and whose token lies on the node.
const OIDC_PROVIDER: &str =
    "acs:ram::1000000000000001:oidc-provider/ack-rrsa-c0000000000000000000000000000000a";
const SERVICE_ACCOUNT: (&str, &str) = ("kube-system", "aliyun-acr-credential-helper");

/// Time for a first try to be made and refused, and far too little for all of them.
const MOMENT: Duration = Duration::from_millis(100);

/// What came of a run.
pub(super) struct Ran<'t> {
    pub(super) journey: &'t Journey,
    pub(super) timeout: Duration,
    pub(super) cloud: Cloud,
    pub(super) outcome: Outcome,
}

pub(super) fn run<'t>(case: &Case<'_>, tables: &'t Tables) -> Ran<'t> {
    if !(case.once && case.fault == "refused") {
        let fault = &tables.faults[case.fault];
        return on_a_cloud(case, tables, &trouble(case, fault), |_, exec, request| {
            exec.run(request).unwrap()
        });
    }
    // What is refused is not seen and cannot be counted, so a port that refuses at first is opened
    // by hand. On a busy machine that can be too early; the program tells whether it was.
    let service = case.place().service().unwrap();
    for moments in 1..=10 {
        let mut ran = on_a_cloud(case, tables, &Json::Null, |cloud, exec, request| {
            exec.config_env.push(("ACR_CREDENTIAL_PROVIDER_LOG".to_owned(), "info".to_owned()));
            while_a_port_opens(cloud, service, MOMENT * moments, || exec.run(request).unwrap())
        });
        let stderr = ran.outcome.stderr_text();
        if stderr.contains("Connection refused") {
            let told = stderr.lines().filter(|line| !line.starts_with("info: "));
            ran.outcome.stderr = told.collect::<Vec<_>>().join("\n").into_bytes();
            return ran;
        }
    }
    panic!("the port was always open before anybody came");
}

fn on_a_cloud<'t>(
    case: &Case<'_>,
    tables: &'t Tables,
    trouble: &Json,
    act: impl FnOnce(&Cloud, &mut Exec, &[u8]) -> Outcome,
) -> Ran<'t> {
    let journey = &tables.journeys[case.hop];
    let world = overlaid(&Description::standard(), &journey.cloud);
    let cloud = Cloud::start(&overlaid(&world, trouble)).unwrap();
    let timeout = &tables.faults[case.fault].timeout;
    let timeout = if case.once { &timeout.once } else { &timeout.always };
    let mut exec = exec(case, journey, &cloud, timeout);
    let request = encode_request(V1, &journey.image, None, &BTreeMap::new());
    let outcome = act(&cloud, &mut exec, &request);
    let timeout = GoDuration::parse(timeout).unwrap().nanoseconds();
    let timeout = Duration::from_nanos(timeout.try_into().unwrap());
    Ran { journey, timeout, cloud, outcome }
}

/// What a fault changes about the world.
fn trouble(case: &Case<'_>, fault: &Fault) -> Json {
    let mut world = fault.world.clone();
    if let Some(at_the_hop) = &fault.hop {
        let mut at_the_hop = at_the_hop.clone();
        if case.once {
            at_the_hop["calls"] = json!(1);
        }
        world["faults"] = json!({case.hop: [at_the_hop]});
    }
    world
}

fn overlaid(world: &Description, overlay: &Json) -> Description {
    if overlay.is_null() { world.clone() } else { world.merged(overlay).unwrap() }
}

fn exec(case: &Case<'_>, journey: &Journey, cloud: &Cloud, timeout: &str) -> Exec {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("faults");
    let folder = folder.join(case.name().replace(' ', "-"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let token = folder.join("token");
    let (namespace, name) = SERVICE_ACCOUNT;
    fs::write(&token, cloud.service_account_token(OIDC_PROVIDER, namespace, name).mint()).unwrap();
    let mut config = journey.config.clone();
    config["credential-provider"] = json!({
        "timeout": timeout,
        "cacheDir": "off",
        "oidcTokenFile": token,
        "endpoints": {
            "metadata": cloud.metadata_url(),
            "sts": cloud.sts_url(),
            "cr": cloud.cr_url(),
            "registry": cloud.registry_url(),
        },
    });
    let path = folder.join("config.yaml");
    fs::write(&path, config.to_string()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let mut exec = Exec::new(PROGRAM);
    exec.args = vec!["--config".to_owned(), path.to_string_lossy().into_owned()];
    exec
}

/// Refuses connections until no call has come for a moment.
fn while_a_port_opens(
    cloud: &Cloud,
    service: Service,
    moment: Duration,
    act: impl FnOnce() -> Outcome,
) -> Outcome {
    cloud.take_down(service).unwrap();
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut calls = usize::MAX;
            while calls != cloud.calls().len() && !ended.load(Ordering::SeqCst) {
                calls = cloud.calls().len();
                thread::sleep(moment);
            }
            cloud.bring_up(service).unwrap();
        });
        let outcome = act();
        ended.store(true, Ordering::SeqCst);
        outcome
    })
}
