//! Hosts that pods alone get a login for, each with a token of its own.

use crate::config::Config;
use crate::doctor::entry;
use crate::doctor::report::{Check, Name};
use crate::failure::Failure;
use crate::pull::registry_instance::{Lookup, Target};
use crate::pull::selection::Claim;

/// Why nothing of a pod's own is checked.
pub(super) const UNFOLLOWED: &str = "a pod's token decides, and doctor has none";

/// The checks of a pull that nobody but a pod can make: only what needs no login. The result is what
/// the services are asked for.
pub(super) fn checks<'c>(
    claim: &Claim<'c>,
    config: &Config,
    lookup: &Lookup<'_, '_>,
    made: &mut Vec<Check>,
) -> Option<Target<'c>> {
    let host = lookup.host;
    let entries = claim.entries();
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    let mut check = Check::new(Name::ENTRY);
    check.detail(format!("{host} is for pods with their own token, by {}", names.join(" or ")));
    for entry in &entries {
        entry::add_keys(entry, &mut check);
    }
    entry::add_others(config, &entries, lookup, &mut check);
    made.push(check);
    add_unfollowed(&[Name::IDENTITY, Name::ROLE, Name::TOKEN], made);
    // Which instance it is may take a login to know; each entry will do for its services.
    let entry = entries.first().copied();
    Target::of_claim(claim).or_else(|| entry.map(|entry| Target { entry, instance: None }))
}

/// Says that there is no identity where the kubelet sends the tokens of pods, which do not need it.
pub(super) fn without_token(failure: &Failure, made: &mut Vec<Check>) {
    let mut check = Check::new(Name::IDENTITY);
    check.warn(
        format!("static pods get no login: {}", failure.text()),
        "set podIdentity: required, if only pods with a token are to pull",
    );
    check.also(failure.hint.clone());
    made.push(check);
    add_unfollowed(&[Name::ROLE, Name::TOKEN], made);
}

fn add_unfollowed(names: &[Name], made: &mut Vec<Check>) {
    made.extend(names.iter().map(|name| Check::unfollowed(*name, UNFOLLOWED)));
}
