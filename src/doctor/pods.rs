//! Hosts that pods alone get a login for, each with a token of its own.

use crate::config::Config;
use crate::doctor::report::{Check, Name, Report};
use crate::doctor::{endpoints, entry, oss, registry};
use crate::failure::Failure;
use crate::pull::registry_instance::{Lookup, Target};
use crate::pull::selection::Claim;

/// The checks of a pull that nobody but a pod can make: only what needs no login.
pub(super) fn checks(
    claim: &Claim<'_>,
    oss: Option<&str>,
    config: &Config,
    lookup: &Lookup<'_, '_>,
    report: &mut Report,
) {
    let host = lookup.host;
    let entries = claim.entries();
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    let mut check = Check::new(Name::Entry);
    check.detail(format!("{host} is for pods with their own token, by {}", names.join(" or ")));
    for entry in &entries {
        entry::add_keys(entry, &mut check);
    }
    entry::add_others(config, &entries, lookup, &mut check);
    report.add(check);
    add_unfollowed(&[Name::Identity, Name::Role, Name::Token], report);
    // Which instance it is may take a login to know; each entry will do for its services.
    let target = Target::of_claim(claim);
    let entry = entries.first().copied();
    let Some(target) = target.or_else(|| entry.map(|entry| Target { entry, instance: None }))
    else {
        return;
    };
    report.add(endpoints::check(target.entry, lookup));
    report.add(registry::check(host, &target, lookup.node));
    report.checks.extend(oss::check(oss, &target, lookup));
}

/// Says that there is no identity where the kubelet sends the tokens of pods, which do not need it.
pub(super) fn without_token(failure: &Failure, report: &mut Report) {
    let mut check = Check::new(Name::Identity);
    check.warn(
        format!("static pods get no login: {}", failure.text()),
        "set podIdentity: required, if only pods with a token are to pull",
    );
    check.also(failure.hint.clone());
    report.add(check);
    add_unfollowed(&[Name::Role, Name::Token], report);
}

fn add_unfollowed(names: &[Name], report: &mut Report) {
    for name in names {
        report.add(Check::unfollowed(*name, "a pod's token decides, and doctor has none"));
    }
}
