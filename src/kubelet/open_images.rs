//! Images on a node that every service account may start: a login of the node pulled them, or they
//! have no record and count as preloaded.

use std::collections::BTreeSet;

use crate::kubelet::node_images::{Image, Runtime};
use crate::kubelet::pull_records::{Policy, PullRecords};
use crate::kubelet::service::Service;

/// An image of pods' hosts that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenImage {
    /// What the container runtime calls it.
    pub image_ref: String,
    /// What pods call it.
    pub names: BTreeSet<String>,
    /// What it is called at hosts that are not pods' alone.
    pub others: BTreeSet<String>,
    /// The kubelet's record of it; none where it counts as preloaded.
    pub record: Option<String>,
}

/// The open images among those that are recorded, and those that the runtime has. `is_of_pods` is
/// whether a name without tag and digest is of a host that pods alone get a login for.
pub fn open_images(
    records: Option<&PullRecords>,
    images: &[Image],
    policy: &Policy,
    is_of_pods: impl Fn(&str) -> bool,
) -> Vec<OpenImage> {
    let mut open = Vec::new();
    for pulled in records.into_iter().flat_map(|records| &records.pulled) {
        let mut credentials = pulled.credentials.iter();
        if credentials.any(|(name, by)| by.are_nodes() && is_of_pods(name)) {
            let known = images.iter().filter(|image| image.id == pulled.image_ref);
            let known = known.flat_map(|image| &image.names).map(|name| repository(name));
            let all = known.chain(pulled.credentials.keys().map(String::as_str));
            let (names, others) = all.map(str::to_owned).partition(|name| is_of_pods(name));
            let (image_ref, record) = (pulled.image_ref.clone(), Some(pulled.file.clone()));
            open.push(OpenImage { image_ref, names, others, record });
        }
    }
    if let Policy::NeverVerifyPreloadedImages = policy {
        let preloaded = unrecorded(records, images, is_of_pods);
        let is_new = |image: &OpenImage| open.iter().all(|one| one.image_ref != image.image_ref);
        let new: Vec<OpenImage> = preloaded.into_iter().filter(is_new).collect();
        open.extend(new);
    }
    open
}

/// The images of pods' hosts without a record that the kubelet finds.
pub fn unrecorded(
    records: Option<&PullRecords>,
    images: &[Image],
    is_of_pods: impl Fn(&str) -> bool,
) -> Vec<OpenImage> {
    let is_recorded =
        |image: &&Image| records.is_some_and(|records| records.has(&image.id, &image.names));
    let sorted = |image: &Image| {
        let all = image.names.iter().map(|name| repository(name).to_owned());
        let (names, others) = all.partition(|name| is_of_pods(name));
        OpenImage { image_ref: image.id.clone(), names, others, record: None }
    };
    let images = images.iter().filter(|image| !is_recorded(image)).map(sorted);
    images.filter(|image| !image.names.is_empty()).collect()
}

/// What closes images, for a person with a shell. `unit` is what starts the kubelet, and `runtime` has
/// the images that it has.
#[must_use]
pub fn closing_commands(
    service: &Service,
    open: &[OpenImage],
    runtime: Option<&(Runtime, Vec<Image>)>,
) -> String {
    let refs: Vec<&str> = open.iter().map(|image| image.image_ref.as_str()).collect();
    let files: Vec<&str> = open.iter().filter_map(|image| image.record.as_deref()).collect();
    let records =
        if files.is_empty() { String::new() } else { format!("rm {}; ", files.join(" ")) };
    let removal = match runtime {
        // It takes all names of an image.
        Some((runtime, images)) if !runtime.removes_by_id() => {
            let images = images.iter().filter(|image| refs.contains(&image.id.as_str()));
            images.map(|image| runtime.command(image)).collect::<Vec<_>>().join("; ")
        }
        _ => format!("crictl rmi {}", refs.join(" ")),
    };
    let (stop, start) = (service.command("stop"), service.command("start"));
    if service.name == "kubelet" {
        return format!("{stop}; {records}{removal}; {start}");
    }
    // The runtime ends with what starts the kubelet: nothing may pull while both run.
    format!(
        "kubectl drain NODE --ignore-daemonsets; {removal}; {stop}; {records}{start}; kubectl uncordon NODE"
    )
}

/// An image's name without tag and digest.
fn repository(name: &str) -> &str {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    }
}
