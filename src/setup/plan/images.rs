//! Images of pods' hosts that every service account may start: said with each installation for pods,
//! and removed if that is asked for.

use std::collections::BTreeSet;

use crate::failure::{Exit, Failure};
use crate::kubelet::match_images::matches;
use crate::kubelet::node_images::{Image, Runtime};
use crate::kubelet::open_images::{OpenImage, closing_commands, open_images};
use crate::kubelet::process::{Kubelet, running};
use crate::kubelet::provider_config::Provider;
use crate::kubelet::pull_records::{Policy, PullRecords, Pulled};
use crate::kubelet::service::{Manager, Service};
use crate::kubelet::versions::PULL_RECORDS;
use crate::program::{PROGRAM, PROGRAM_FOR_PODS};
use crate::setup::kubelet::gates;
use crate::setup::outcome::Outcome;
use crate::setup::plan::Node;
use crate::setup::steps::{Change, unreadable};
use crate::setup::undo::What;

const ALL_ARE_OPEN: &str =
    "every service account starts an image that is on the node, also one that was pulled again";

/// Most images that are listed.
const MOST: usize = 20;

/// What is removed with the kubelet stopped.
pub struct Removal {
    runtime: Runtime,
    images: Vec<Image>,
    /// The kubelet's records of these images, and of those that keep other names.
    pub records: Vec<Change>,
}

impl Removal {
    /// The commands that do the same, for a person.
    pub fn commands(&self) -> Vec<String> {
        self.images.iter().map(|image| self.runtime.command(image)).collect()
    }

    /// Removes the images, and counts them.
    pub fn remove(&self, removed: &mut usize) -> Result<(), Failure> {
        let failed = |why: String| {
            Failure::new(Exit::Unexpected, format!("cannot remove an image: {why}")).hint(
                "if a container runs it, drain the node first (kubectl drain), then run this again",
            )
        };
        for image in &self.images {
            self.runtime.remove(image).map_err(|error| failed(error.to_string()))?;
            *removed += 1;
        }
        let left = self.runtime.list().map_err(|error| failed(error.to_string()))?;
        let is_left = |image: &&Image| left.iter().any(|other| other.id == image.id);
        match self.images.iter().find(is_left) {
            Some(image) => Err(failed(format!("{} is still there", image.id))),
            None => Ok(()),
        }
    }
}

impl Node<'_> {
    /// What is open, and what is removed for it. `providers` are those that the kubelet will have.
    pub(super) fn open_images<'p>(
        &self,
        providers: impl Iterator<Item = &'p Provider>,
        outcome: &mut Outcome,
    ) -> Result<Option<Removal>, Failure> {
        let is_ours = |provider: &&Provider| {
            [PROGRAM, PROGRAM_FOR_PODS].contains(&provider.name.as_str())
                && provider.tokens.is_some()
        };
        let patterns: Vec<&String> =
            providers.filter(is_ours).flat_map(|provider| &provider.match_images).collect();
        let is_asked = self.options.close_images;
        if patterns.is_empty() {
            return if is_asked {
                Err(refused("no provider gets tokens of pods; add --service-accounts"))
            } else {
                Ok(None)
            };
        }
        let kubelet = self.kubelet()?;
        let gates = gates(self.tree, &kubelet.flags);
        if !gates.is_on(&PULL_RECORDS, self.release) {
            let kept =
                format!("Kubernetes {} without the feature {}", self.release, PULL_RECORDS.name);
            return self.leave(&format!("{kept}: {ALL_ARE_OPEN}"), outcome);
        }
        let policy = match Policy::of(&kubelet) {
            Ok(Policy::NeverVerify) => {
                let policy = "imagePullCredentialsVerificationPolicy is NeverVerify";
                return self.leave(&format!("{policy}: {ALL_ARE_OPEN}"), outcome);
            }
            Ok(policy) => policy,
            Err(error) => {
                let why = format!(
                    "which images are open is not known: the kubelet's configuration: {error}"
                );
                return self.leave(&why, outcome);
            }
        };
        let records = match PullRecords::read(&kubelet) {
            Ok(records) => records,
            Err(error) => {
                let why =
                    format!("which images are open is not known: the kubelet's records: {error}");
                return self.leave(&why, outcome);
            }
        };
        // The runtime of a tree that is not the running system is another.
        let runtime = self.options.is_live().then(|| Runtime::images(&kubelet));
        let runtime = match runtime {
            Some(runtime) => runtime.map_err(|why| why.to_string()),
            None => Err("the system of this tree does not run".to_owned()),
        };
        let there = runtime.as_ref().map_or(&[][..], |(_, images)| images);
        let is_of_pods = |image: &str| patterns.iter().any(|pattern| matches(pattern, image));
        let open = open_images(records.as_ref(), there, &policy, is_of_pods);
        if let (Err(why), true) = (&runtime, self.options.is_live()) {
            outcome.say(format!("images without a record are not known: {why}"));
        }
        if open.is_empty() {
            return match runtime {
                Err(why) if is_asked => Err(refused(&why)),
                _ => Ok(None),
            };
        }
        outcome.notes.extend(lines(&open));
        let service = self.launch.service;
        if !is_asked {
            outcome.say("setup install --service-accounts --close-images removes them and their records with the kubelet stopped; pods pull them again");
            return Ok(None);
        }
        let by_hand = |why: &str| {
            let commands = closing_commands(
                &Service { name: service, manager: Manager::Systemd },
                &open,
                runtime.as_ref().ok(),
            );
            Failure::new(Exit::Usage, format!("--close-images: {why}; nothing was changed"))
                .hint(format!("by hand: {commands}"))
        };
        if !self.launch.is_visible() {
            return Err(by_hand(&format!("the container runtime ends with {service}")));
        }
        let (runtime, there) = runtime.as_ref().map_err(|why| by_hand(why))?;
        let mut removal =
            Removal { runtime: runtime.clone(), images: Vec::new(), records: Vec::new() };
        for image in &open {
            self.close(image, there, &mut removal, outcome)?;
        }
        removal.images.sort_by(|one, other| one.id.cmp(&other.id));
        removal.images.dedup_by(|one, other| one.id == other.id);
        outcome.images = removal.commands();
        Ok(Some(removal)
            .filter(|removal| !removal.images.is_empty() || !removal.records.is_empty()))
    }

    /// Where nothing can be closed: an error if that was asked for, else a note.
    fn leave(&self, why: &str, outcome: &mut Outcome) -> Result<Option<Removal>, Failure> {
        if self.options.close_images {
            return Err(refused(why));
        }
        outcome.say(why);
        Ok(None)
    }

    /// Adds what closes an image. One that has names of other hosts stays.
    fn close(
        &self,
        open: &OpenImage,
        there: &[Image],
        removal: &mut Removal,
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        let Some(path) = &open.record else {
            let image = there.iter().filter(|image| image.id == open.image_ref);
            if open.others.is_empty() {
                removal.images.extend(image.cloned());
            } else {
                outcome.say(format!(
                    "{} stays open: {} is the same image and would go with it; remove it by hand",
                    open.image_ref,
                    list(&open.others)
                ));
            }
            return Ok(());
        };
        let mut wanted = None;
        if open.others.is_empty() {
            let image = there.iter().filter(|image| image.id == open.image_ref);
            removal.images.extend(image.cloned());
        } else {
            // The record stays, without what pods call the image: their next start needs a login.
            let text = self.tree.text(path).map_err(unreadable(path))?.unwrap_or_default();
            let text = Pulled::without(&text, &open.names).unwrap_or_default();
            wanted = Some(self.like(path, text, 0o600)?);
            outcome.say(format!(
                "{} stays: {} is the same image; its record loses {}",
                open.image_ref,
                list(&open.others),
                list(&open.names)
            ));
        }
        removal.records.push(Change::new(path.clone(), What::PullRecord, wanted));
        Ok(())
    }

    /// The kubelet that runs, or that the files say will.
    fn kubelet(&self) -> Result<Kubelet, Failure> {
        if let Some(kubelet) = running(self.tree.root()) {
            return Ok(kubelet);
        }
        let service = self.launch.service;
        let line = self.launch.arguments(self.tree).map_err(unreadable(service))?;
        Ok(Kubelet::of_unit(self.tree.root(), line, Vec::new()))
    }
}

fn refused(why: &str) -> Failure {
    Failure::new(Exit::Usage, format!("--close-images: {why}"))
}

fn lines(open: &[OpenImage]) -> Vec<String> {
    let line = |image: &OpenImage| {
        let why = if image.record.is_some() {
            "a login of the node pulled it"
        } else {
            "no record, so it counts as preloaded"
        };
        format!("  {} ({}): {why}", list(&image.names), image.image_ref)
    };
    let first = format!(
        "images of pods' hosts that every service account may start from this node: {}",
        open.len()
    );
    let more = open.len().saturating_sub(MOST);
    let more = (more > 0).then(|| format!("  and {more} more"));
    std::iter::once(first).chain(open.iter().take(MOST).map(line)).chain(more).collect()
}

fn list(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
