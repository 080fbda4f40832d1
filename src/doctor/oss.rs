//! The bucket that layers come from.

use crate::aliyun::call::Network;
use crate::aliyun::challenge;
use crate::doctor::network::{LOOK_AT_THE_NAME, OSS_BY_PRIVATE_LINK, Outcome, Probe, question};
use crate::doctor::report::{Check, Name};
use crate::pull::registry_instance::{Lookup, Target};

const NAME: Name = Name("storage");

/// What a person says who wants to see the instance's own bucket in any case.
const AUTO: &str = "auto";

/// Without `oss` this is the instance's own bucket. None if that name leads nowhere:
/// routing rules may put another host in its place.
#[must_use]
pub fn check(oss: Option<&str>, target: &Target<'_>, lookup: &Lookup<'_, '_>) -> Option<Check> {
    let node = lookup.node;
    let mut check = Check::new(NAME);
    let named = oss.filter(|oss| *oss != AUTO).map(str::to_owned);
    // Where the registry's address is overridden its own names mean nothing.
    let is_real = oss.is_some() || node.settings.endpoints.registry.is_none();
    let own = || bucket(target, lookup).filter(|_| is_real);
    let Some(bucket) = named.or_else(own) else {
        oss?;
        check.warn(
            format!("the name {} does not say which bucket has the layers", lookup.host),
            "name the bucket's host with --oss (see the instance in the console)",
        );
        return Some(check);
    };
    let url = format!("https://{bucket}");
    let probe = Probe::of(&url, node.network.http.routes());
    if oss.is_none() && probe.address.is_none() {
        return None;
    }
    let remedy = if probe.is_vpc_service() { OSS_BY_PRIVATE_LINK } else { LOOK_AT_THE_NAME };
    let network = Network { deadline: &question(), ..node.network };
    if let Outcome::NotItself(_) = &probe.outcome {
        check.warn(format!("the bucket does not answer as itself: {}", probe.line()), remedy);
    } else if probe.add_to("", OSS_BY_PRIVATE_LINK, &mut check)
        && let Err(error) = challenge::knock(&network, &url)
    {
        // A server with the bucket's certificate is the bucket. What it answers to a stranger does not matter.
        check.warn(format!("{bucket} does not answer as itself: {error}"), remedy);
    }
    Some(check)
}

/// As Enterprise Edition names it. Hosts within a VPC lead to the bucket's internal host; a custom
/// domain does not say whether it is one.
fn bucket(target: &Target<'_>, lookup: &Lookup<'_, '_>) -> Option<String> {
    let form = lookup.form?;
    let instance = target.instance.as_ref()?;
    let region = lookup.known_region(target.entry)?;
    let internal = if form.is_inside() { "-internal" } else { "" };
    Some(format!("{instance}-registry.oss-{region}{internal}.aliyuncs.com"))
}
