//! How the kubelet of this machine is set up: would it run this program for an image?

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::doctor::invocation;
use crate::doctor::pods;
use crate::doctor::report::Station;
use crate::doctor::token_modes;
use crate::kubelet::match_images::matches;
use crate::kubelet::process::{Kubelet, running};
use crate::kubelet::provider_config::{self, Provider};
use crate::system::environment::Environment;

const NAME: &str = "kubelet";
pub(super) const PROGRAM: &str = "aliyun-acr-credential-provider";
const CONFIG_FLAG: &str = "--image-credential-provider-config";
const BIN_DIR_FLAG: &str = "--image-credential-provider-bin-dir";

/// What there is to say of the kubelet.
pub struct Found {
    pub station: Station,
    /// The images that the kubelet asks for with a pod's token.
    pub with_tokens: Vec<String>,
}

/// Looks at the kubelet, whose files and `proc` are below `root`. `images` are what should match,
/// and the configuration, where it can be read, what the program would do when it is asked, in this
/// environment.
#[must_use]
pub fn look(
    root: &Path,
    images: &[String],
    config: Option<&Config>,
    environment: &Environment,
) -> Found {
    let mut with_tokens = Vec::new();
    let station = station(root, images, config, environment, &mut with_tokens);
    Found { station, with_tokens }
}

fn station(
    root: &Path,
    images: &[String],
    config: Option<&Config>,
    environment: &Environment,
    with_tokens: &mut Vec<String>,
) -> Station {
    let Some(kubelet) = running(root) else {
        return Station::skipped(NAME, "no kubelet runs on this machine, or it is not to be seen");
    };
    let mut station = Station::new(NAME);
    let (file, bin_dir) = (kubelet.flag(CONFIG_FLAG), kubelet.flag(BIN_DIR_FLAG));
    let (Some(file), Some(bin_dir)) = (file, bin_dir) else {
        station.warn(
            format!("the running kubelet has not both {CONFIG_FLAG} and {BIN_DIR_FLAG}: it never runs this program"),
            "add both flags and restart the kubelet (on ACK nodes in /etc/kubernetes/kubelet-customized-args.conf); README, \"A real node in five minutes\"",
        );
        return station;
    };
    if let Some(minor) = kubelet.minor {
        station.tell(format!("Kubernetes 1.{minor}"));
    }
    let providers = match provider_config::read(&file, &kubelet) {
        Ok(providers) => providers,
        Err(why) => {
            station.warn(
                format!("{file}: {why}"),
                "correct the file: a kubelet that is restarted now would not start, or, where others can write it, run what they say as root",
            );
            return station;
        }
    };
    let folder = kubelet.path(&bin_dir);
    let is_ours = |provider: &&Provider| token_modes::is_ours(provider, &folder);
    let (ours, others): (Vec<&Provider>, Vec<&Provider>) = providers.iter().partition(is_ours);
    if ours.is_empty() {
        none_is_ours(&file, &bin_dir, &providers, &kubelet, &mut station);
        return station;
    }
    for provider in &ours {
        let mode = if provider.tokens.is_some() { ", with service account tokens" } else { "" };
        station
            .tell(format!("{}: {}, {}{mode}", provider.file, provider.name, provider.api_version));
        binary(&bin_dir, &provider.name, &kubelet, &mut station);
        provider.check(true, &kubelet, &mut station);
        invocation::check(provider, config, &kubelet, &mut station);
        invocation::variables(provider, environment, &mut station);
    }
    // One that it refuses is enough for it not to start.
    for provider in &others {
        binary(&bin_dir, &provider.name, &kubelet, &mut station);
        provider.check(false, &kubelet, &mut station);
    }
    for image in images {
        let hits = hit(&ours, image, &mut station);
        if hits.iter().any(|provider| provider.tokens.is_some()) {
            with_tokens.push(image.clone());
        }
        if let Some(config) = config {
            pods::served(image, &hits, config, &mut station);
        }
    }
    since_its_start(&ours, &kubelet, &mut station);
    token_modes::apart(&ours, &others, &mut station);
    station
}

fn none_is_ours(
    config: &str,
    bin_dir: &str,
    providers: &[Provider],
    kubelet: &Kubelet,
    station: &mut Station,
) {
    let names: Vec<&str> = providers.iter().map(|provider| provider.name.as_str()).collect();
    let nearest = names.iter().find(|name| strsim::levenshtein(name, PROGRAM) <= 4);
    let binary = kubelet.path(&format!("{bin_dir}/{PROGRAM}")).exists();
    let remedy = match (nearest, binary) {
        (Some(nearest), true) => format!(
            "name the provider {PROGRAM} in place of {nearest}: it must be the binary's file name"
        ),
        _ => format!(
            "add what `{PROGRAM} render kubelet-config` writes; the provider's name must be the binary's file name in {bin_dir}"
        ),
    };
    station.warn(
        format!("{config} has no provider named {PROGRAM}, only {}", names.join(", ")),
        remedy,
    );
}

/// The kubelet reads its file when it starts, and not again.
fn since_its_start(ours: &[&Provider], kubelet: &Kubelet, station: &mut Station) {
    let Some(started) = kubelet.started else { return };
    let changed = |provider: &&&Provider| {
        fs::metadata(kubelet.path(&provider.file)).is_ok_and(|file| file.mtime() > started)
    };
    if let Some(provider) = ours.iter().find(changed) {
        station.warn(
            format!(
                "{} was changed after the kubelet was started, which has not read it",
                provider.file
            ),
            "restart the kubelet: systemctl restart kubelet",
        );
    }
}

/// The image as the kubelet names it, which knows short names of Docker Hub.
fn in_full(image: &str) -> String {
    let first = image.split_once('/').map(|(first, _)| first);
    let has_host = |first: &str| first.contains(['.', ':']) || first == "localhost";
    match first {
        Some(first) if has_host(first) => image.to_owned(),
        Some(_) => format!("docker.io/{image}"),
        // A host alone is one that the configuration names.
        None if image.contains(['.', ':']) => image.to_owned(),
        None => format!("docker.io/library/{image}"),
    }
}

/// The providers that the kubelet runs for an image.
fn hit<'p>(ours: &[&'p Provider], image: &str, station: &mut Station) -> Vec<&'p Provider> {
    let image = &in_full(image);
    // The kubelet asks without tag and digest; for a host alone any path will do.
    let (host, path) = image.split_at(image.find('/').unwrap_or(image.len()));
    let path = path.split('@').next().unwrap_or(path);
    let tag = path.rfind(':').filter(|at| !path.get(*at..).unwrap_or_default().contains('/'));
    let path = tag.and_then(|at| path.get(..at)).unwrap_or(path);
    let fits = |pattern: &String| match path {
        "" => matches(pattern.split('/').next().unwrap_or(pattern), host),
        path => matches(pattern, &format!("{host}{path}")),
    };
    let hits = |provider: &&Provider| provider.match_images.iter().any(fits);
    let found: Vec<&Provider> = ours.iter().copied().filter(hits).collect();
    if let Some(provider) = found.first() {
        station.tell(format!("matchImages of {} has {image}", provider.name));
    } else {
        let places: Vec<&str> = ours.iter().map(|provider| provider.file.as_str()).collect();
        station.warn(
            format!("matchImages has no pattern for {host}{path}: the kubelet never asks for it"),
            format!(
                "add `{host}` to matchImages in {} (`*` stands for one label or a part of one; a port must be the same) and restart the kubelet",
                places.join(" or ")
            ),
        );
    }
    found
}

fn binary(bin_dir: &str, name: &str, kubelet: &Kubelet, station: &mut Station) {
    let told = PathBuf::from(format!("{bin_dir}/{name}"));
    let told = told.display();
    match fs::metadata(kubelet.path(&format!("{bin_dir}/{name}"))) {
        Ok(metadata) if !metadata.is_file() => station.warn(
            format!("{told} is no file"),
            "put the binary there: a kubelet that is restarted now would not start",
        ),
        Ok(metadata) if metadata.permissions().mode() & 0o111 == 0 => station.warn(
            format!("{told} is not executable"),
            format!("chmod 0755 {told}: a kubelet that is restarted now would not start"),
        ),
        Ok(metadata) if metadata.permissions().mode() & 0o022 != 0 => station.warn(
            format!(
                "{told} can be written by others than its owner, and the kubelet runs it as root"
            ),
            format!("chmod 0755 {told}"),
        ),
        Ok(_) => {}
        Err(error) => station.warn(
            format!("{told}: {error}"),
            "put the binary there: a kubelet that is restarted now would not start",
        ),
    }
}
