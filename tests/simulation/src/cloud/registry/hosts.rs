//! The host names of registries and of their realms, as documented and as seen.

use super::super::description::Instance;
use super::super::world::{Located, World};

/// What a host name stands for.
pub(in super::super) enum Named<'a> {
    Enterprise(Located<'a>),
    Personal { region: String },
}

pub(in super::super) fn system(instance: &Instance, vpc: bool) -> String {
    let vpc = if vpc { "-vpc" } else { "" };
    format!("{}-registry{vpc}.{}.cr.aliyuncs.com", instance.name, instance.region)
}

pub(in super::super) fn resolve<'a>(world: &'a World, host: &str) -> Option<Named<'a>> {
    let answers = |located: &Located<'_>| {
        let instance = located.instance;
        host == system(instance, false)
            || host == system(instance, true)
            || instance.custom_domains.iter().any(|domain| domain == host)
    };
    if let Some(located) = world.instances().find(answers) {
        return Some(Named::Enterprise(located));
    }
    let region = personal_region(host)?;
    let stands_in = |located: &Located<'_>| {
        located.instance.answers_personal_hosts && located.instance.region == region
    };
    Some(match world.instances().find(stands_in) {
        Some(located) => Named::Enterprise(located),
        None => Named::Personal { region },
    })
}

/// `registry[-intl][-vpc|-internal].<region>.aliyuncs.com`, and since 2024-09-09
/// `crpi-<id>[-vpc].<region>.personal.cr.aliyuncs.com`.
fn personal_region(host: &str) -> Option<String> {
    let labels: Vec<&str> = host.strip_suffix(".aliyuncs.com")?.split('.').collect();
    match labels[..] {
        [
            "registry" | "registry-vpc" | "registry-internal" | "registry-intl"
            | "registry-intl-vpc",
            region,
        ] => Some(region.to_owned()),
        [name, region, "personal", "cr"] if name.starts_with("crpi-") => Some(region.to_owned()),
        _ => None,
    }
}

/// The realm is to be read, not computed: it can be the registry itself, and for a `crpi-` host the
/// auth service of another region (seen: Beijing's registry, Hangzhou's realm).
pub(super) fn realm(host: &str, named: &Named<'_>) -> String {
    let vpc = if host.contains("-vpc.") { "-vpc" } else { "" };
    match named {
        Named::Enterprise(located) if located.instance.takes_over_auth => {
            format!("https://{host}/auth")
        }
        Named::Enterprise(located) => {
            format!("https://dockerauth-ee{vpc}.{}.aliyuncs.com/auth", located.instance.region)
        }
        Named::Personal { .. } if host.starts_with("crpi-") => {
            "https://dockerauth.cn-hangzhou.aliyuncs.com/auth".to_owned()
        }
        Named::Personal { region } => format!("https://dockerauth{vpc}.{region}.aliyuncs.com/auth"),
    }
}
