//! One run of the program on a cloud with a fault.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value as Json, json};
use simulation::cloud::{Call, Cloud, Description, Service};
use simulation::kubelet::{Exec, GoDuration, Outcome, encode_request};

use super::case::{Case, When};
use super::table::{Fault, Journey, Tables};
use crate::boot_time::BootTime;
use crate::{PROGRAM, with_warnings};

pub(super) const V1: &str = "credentialprovider.kubelet.k8s.io/v1";

/// The provider of the cluster's tokens in the standard world, and whose token lies on the node.
const OIDC_PROVIDER: &str =
    "acs:ram::1000000000000001:oidc-provider/ack-rrsa-c0000000000000000000000000000000a";
const SERVICE_ACCOUNT: (&str, &str) = ("kube-system", "aliyun-acr-credential-helper");

/// Time for a first try to be made and refused, and far too little for all of them.
const MOMENT: Duration = Duration::from_millis(100);

/// The result of a run.
pub(super) struct Ran<'t> {
    pub(super) journey: &'t Journey,
    pub(super) timeout: Duration,
    pub(super) cloud: Cloud,
    pub(super) outcome: Outcome,
    /// What the cloud saw of this run.
    pub(super) calls: Vec<Call>,
    /// The password of the login that the node had before.
    pub(super) old: Option<String>,
}

/// A cloud and a node before anything is run.
struct Scene<'t> {
    signature: &'static str,
    journey: &'t Journey,
    fault: &'t Fault,
    timeout: &'t str,
    cloud: Cloud,
    folder: PathBuf,
}

/// One run on a cold node.
pub(super) fn cold<'t>(case: &Case<'_>, tables: &'t Tables) -> Ran<'t> {
    let fault = &tables.faults[case.fault];
    if !(case.when == When::Once && case.fault == "refused") {
        let scene = Scene::set(case, tables, |world| {
            overlaid(&overlaid(&world, &fault.world), &trouble(case, fault))
        });
        let outcome = scene.exec("off").run(&scene.request()).unwrap();
        return scene.end(outcome);
    }
    // What is refused is not seen and cannot be counted, so a port that refuses at first is opened
    // by hand. On a busy machine that can be too early; the program tells whether it was.
    let service = case.place().service().unwrap();
    for moments in 1..=10 {
        let scene = Scene::set(case, tables, |world| world);
        let mut exec = scene.exec("off");
        exec.config_env.push(("ACR_CREDENTIAL_PROVIDER_LOG".to_owned(), "info".to_owned()));
        let mut outcome = while_a_port_opens(&scene.cloud, service, MOMENT * moments, || {
            exec.run(&scene.request()).unwrap()
        });
        let stderr = outcome.stderr_text();
        if stderr.contains("connection refused") {
            let told = stderr.lines().filter(|line| !line.starts_with("info: "));
            outcome.stderr = told.collect::<Vec<_>>().join("\n").into_bytes();
            return scene.end(outcome);
        }
    }
    panic!("the port was always open before anybody came");
}

/// A run that fills the node's cache while nothing fails, and one with the fault when that login
/// is old.
pub(super) fn with_an_old_login<'t>(
    case: &Case<'_>,
    tables: &'t Tables,
    boot_time: &BootTime,
) -> Ran<'t> {
    let age = case.when.login_age().unwrap();
    // This machine's wall clock cannot be moved. So the services begin in the past and have
    // arrived in the present, as far as they ever do, when the fault comes.
    let scene = Scene::set(case, tables, |world| {
        let mut world = overlaid(&world, &tables.faults[case.fault].world);
        world.clock.offset_seconds -= i64::from(age);
        world
    });
    let cache = scene.folder.join("cache");
    fs::DirBuilder::new().mode(0o700).create(&cache).unwrap();
    let mut exec = scene.exec(cache.to_str().unwrap());
    let filled = exec.run(&scene.request()).unwrap();
    let answer = filled.answer(V1).unwrap_or_else(|why| panic!("no login without fault: {why}"));
    let login = answer.auth.unwrap().into_values().next().unwrap();

    scene.cloud.advance(age.into());
    scene.cloud.change(&trouble(case, scene.fault).to_string()).unwrap();
    // A kubelet renews it long before its hour is over.
    scene.write_token();
    let before = scene.cloud.calls().len();
    boot_time.advance(&mut exec, age);
    let outcome = exec.run(&scene.request()).unwrap();
    let mut ran = scene.end(outcome);
    ran.calls.drain(..before);
    Ran { old: Some(login.password), ..ran }
}

impl<'t> Scene<'t> {
    fn set(
        case: &Case<'_>,
        tables: &'t Tables,
        change: impl FnOnce(Description) -> Description,
    ) -> Self {
        let (journey, fault) = (&tables.journeys[case.hop], &tables.faults[case.fault]);
        let world = overlaid(&Description::standard(), &journey.cloud);
        let timeout = match case.when {
            When::Always | When::Ended => &fault.timeout.always,
            When::Once => &fault.timeout.once,
            When::Due | When::Ending => &fault.timeout.renewal,
        };
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults");
        let folder = folder.join(case.name().replace(' ', "-"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let cloud = Cloud::start(&change(world)).unwrap();
        Self { signature: case.signature, journey, fault, timeout, cloud, folder }
    }

    fn request(&self) -> Vec<u8> {
        encode_request(V1, &self.journey.image, None, &BTreeMap::new())
    }

    fn exec(&self, cache: &str) -> Exec {
        let Self { journey, timeout, cloud, folder, .. } = self;
        let mut config = journey.config.clone();
        config["credential-provider"] = json!({
            "timeout": timeout,
            "signature": self.signature,
            "cacheDir": cache,
            "oidcTokenFile": self.write_token(),
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
        exec.kubelet_env = with_warnings();
        exec.args = vec!["--config".to_owned(), path.to_string_lossy().into_owned()];
        exec.config_env.extend(journey.env.iter().map(|(name, value)| {
            (name.clone(), value.replace("${metadata}", &cloud.metadata_url()))
        }));
        exec
    }

    fn write_token(&self) -> PathBuf {
        let (namespace, name) = SERVICE_ACCOUNT;
        let token = self.cloud.service_account_token(OIDC_PROVIDER, namespace, name).mint();
        let path = self.folder.join("token");
        fs::write(&path, token).unwrap();
        path
    }

    fn end(self, outcome: Outcome) -> Ran<'t> {
        let Self { journey, timeout, cloud, .. } = self;
        let timeout = GoDuration::parse(timeout).unwrap().nanoseconds();
        let timeout = Duration::from_nanos(timeout.try_into().unwrap());
        Ran { journey, timeout, calls: cloud.calls(), cloud, outcome, old: None }
    }
}

/// What a fault does to the hop.
fn trouble(case: &Case<'_>, fault: &Fault) -> Json {
    let Some(at_the_hop) = &fault.hop else { return json!({}) };
    let mut at_the_hop = at_the_hop.clone();
    if case.when == When::Once {
        at_the_hop["calls"] = json!(1);
    }
    json!({"faults": {case.hop: [at_the_hop]}})
}

fn overlaid(world: &Description, overlay: &Json) -> Description {
    if overlay.is_null() { world.clone() } else { world.merged(overlay).unwrap() }
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
