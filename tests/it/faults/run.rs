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

/// A port that refuses the first try opens once no call has come for so long: time for that try to
/// have been made, and far too little for all of them.
const MOMENT: Duration = Duration::from_millis(100);

/// What came of a run.
pub(super) struct Ran<'t> {
    pub(super) journey: &'t Journey,
    pub(super) timeout: Duration,
    pub(super) cloud: Cloud,
    pub(super) outcome: Outcome,
}

pub(super) fn run<'t>(case: &Case<'_>, tables: &'t Tables) -> Ran<'t> {
    let journey = &tables.journeys[case.hop];
    let fault = &tables.faults[case.fault];
    // What is refused is not seen, so refusals cannot be counted: the port is opened by hand.
    let late = (case.once && case.fault == "refused").then(|| case.place().service().unwrap());
    let mut world = overlaid(&Description::standard(), &journey.cloud);
    if late.is_none() {
        world = overlaid(&world, &trouble(case, fault));
    }
    let cloud = Cloud::start(&world).unwrap();
    let timeout = if case.once { &fault.timeout.once } else { &fault.timeout.always };
    let exec = exec(case, journey, &cloud, timeout);
    let request = encode_request(V1, &journey.image, None, &BTreeMap::new());
    let outcome = match late {
        Some(service) => while_a_port_opens(&cloud, service, || exec.run(&request).unwrap()),
        None => exec.run(&request).unwrap(),
    };
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

fn while_a_port_opens(cloud: &Cloud, service: Service, act: impl FnOnce() -> Outcome) -> Outcome {
    cloud.take_down(service).unwrap();
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut calls = usize::MAX;
            while calls != cloud.calls().len() && !ended.load(Ordering::SeqCst) {
                calls = cloud.calls().len();
                thread::sleep(MOMENT);
            }
            cloud.bring_up(service).unwrap();
        });
        let outcome = act();
        ended.store(true, Ordering::SeqCst);
        outcome
    })
}
