//! `domains` and `mirrors`: the hosts that an entry names. Those of `domains` are of the form and the
//! edition that the entry is for.

use crate::aliyun::endpoint::{self, DOMAIN, nearest_region};
use crate::aliyun::ids::Region;
use crate::aliyun::registry_host::{RegistryHost, is_host_and_port, may_be_personal, without_port};
use crate::config::diagnostics::lines::Position;
use crate::config::diagnostics::notes::{Note, Notes, quotable};
use crate::config::file::{Section, Written};

/// Most edits by which a mistyped domain is still taken for the vendor's.
const MOST_EDITS: usize = 2;

/// Reads the hosts of an entry, which has an `instanceId` unless it is for Personal Edition.
pub(super) fn read(
    section: &Section,
    is_personal: bool,
    region: Option<&Region>,
    notes: &mut Notes,
) -> Vec<String> {
    let hosts = listed("domains", section, notes, |host| wrong(host, is_personal));
    for (host, written) in &hosts {
        warn_of_slip(host, region, written, notes);
    }
    hosts.into_iter().map(|(host, _)| host).collect()
}

/// Reads the mirrors of an entry, which may have any name but one of the other edition.
pub(super) fn mirrors(section: &Section, is_personal: bool, notes: &mut Notes) -> Vec<String> {
    let wrong = |host: &str| {
        if is_personal { in_capitals(host) } else { wrong(host, is_personal) }
    };
    listed("mirrors", section, notes, wrong).into_iter().map(|(host, _)| host).collect()
}

/// Hosts of a list that are not `wrong`, each with its place.
fn listed(
    name: &str,
    section: &Section,
    notes: &mut Notes,
    wrong: impl Fn(&str) -> Option<String>,
) -> Vec<(String, Written)> {
    let mut hosts = Vec::new();
    for written in section.list(name, notes) {
        let parse = |text: &str| is_host_and_port(text).then(|| text.to_owned());
        let Some(host) = section.parsed(name, &written, notes, parse) else { continue };
        if let Some(wrong) = wrong(&host) {
            let message = format!("`{name}` has `{}`{wrong}", quotable(&host));
            notes.problem_of(|| Note { at: written.at, message });
            continue;
        }
        hosts.push((host, written));
    }
    hosts
}

/// What is wrong with a host that is not in lower case, to be put behind it.
fn in_capitals(host: &str) -> Option<String> {
    let lower = host.to_ascii_lowercase();
    (lower != host)
        .then(|| format!("; images name hosts in lower case: write `{}`", quotable(&lower)))
}

/// What is wrong with a host in this entry, to be put behind it.
fn wrong(host: &str, is_personal: bool) -> Option<String> {
    let in_capitals = in_capitals(host);
    if in_capitals.is_some() {
        return in_capitals;
    }
    match (may_be_personal(host), is_personal) {
        (false, true) => {
            Some(", which is not a Personal Edition host, but `instanceId` is left out".to_owned())
        }
        (true, false) => Some(
            ", a Personal Edition host, in an entry with `instanceId`: put it into an entry without"
                .to_owned(),
        ),
        _ => None,
    }
}

/// A host that is nearly of the vendor's form answers nothing as it is written.
fn warn_of_slip(host: &str, own_region: Option<&Region>, written: &Written, notes: &mut Notes) {
    if let Some(form) = RegistryHost::parse(without_port(host)) {
        warn_of_region("domains", form.region(), written.at, notes);
    }
    if let Some(nearest) = nearest(without_port(host), own_region) {
        let message = format!(
            "`domains` has `{}`, which is not a host of Container Registry; did you mean `{nearest}`?",
            quotable(host)
        );
        notes.warning(written.at, message);
    }
}

/// The region behind a key.
pub(super) fn region(section: &Section, key: &str, notes: &mut Notes) -> Option<Region> {
    let region = section.value(key, notes, Region::parse)?;
    if let Some(at) = section.given(key) {
        warn_of_region(key, &region, at, notes);
    }
    Some(region)
}

/// A region of the right form that resembles one that exists.
fn warn_of_region(key: &str, region: &Region, at: Position, notes: &mut Notes) {
    if let Some(nearest) = nearest_region(region) {
        let region = quotable(region.as_str());
        let message = format!(
            "`{key}` has the region `{region}`, which is not known; did you mean `{nearest}`?"
        );
        notes.warning(at, message);
    }
}

/// The host of a known form that was most likely meant, if this one has none and resembles one. Where
/// it has no region, the entry's own is taken.
fn nearest(host: &str, own_region: Option<&Region>) -> Option<String> {
    if RegistryHost::parse(host).is_some() || host == "registry.aliyuncs.com" {
        return None;
    }
    let labels: Vec<&str> = host.split('.').collect();
    let [first, .., domain, top] = labels.as_slice() else { return None };
    let domain = format!("{domain}.{top}");
    if strsim::osa_distance(&domain, DOMAIN) > MOST_EDITS {
        return None;
    }
    let region = labels.iter().find_map(|label| Region::parse(label));
    // The country is left out: it is looked for between the name and the domain.
    let short = || labels.iter().skip(1).find_map(|label| endpoint::region_of_place(label));
    let region = region.map(|region| region.to_string()).or_else(|| short().map(str::to_owned));
    let region = region.or_else(|| own_region.map(Region::to_string))?;
    let is_slip = |word: &str| strsim::osa_distance(word, "registry") <= MOST_EDITS;
    let is_vpc = |word: &str| strsim::osa_distance(word, "vpc") == 1;
    let mut is_behind = false;
    let meant = |word| match word {
        word if is_slip(word) => {
            is_behind = true;
            "registry"
        }
        word if is_behind && is_vpc(word) => "vpc",
        word => word,
    };
    let first = first.split('-').map(meant).collect::<Vec<_>>().join("-");
    let candidates = [
        format!("{first}.{region}.cr.{DOMAIN}"),
        format!("{first}.{region}.{DOMAIN}"),
        format!("{first}-registry.{region}.cr.{DOMAIN}"),
    ];
    candidates.into_iter().find(|candidate| RegistryHost::parse(candidate).is_some())
}

#[cfg(test)]
mod tests {
    use super::nearest;
    use crate::aliyun::ids::Region;

    #[test]
    fn mistyped_hosts_have_a_nearest_form() {
        let host = "acme-registry.cn-hangzhou.cr.aliyuncs.com";
        for mistyped in [
            "acme-registry.cn-hangzhou.aliyuncs.com",
            "acme-registy.cn-hangzhou.cr.aliyuncs.com",
            "acme-registry.cn-hangzhou.cr.aliyun.com",
            "acme-registry.cn-hangzhou.cr.aliyunc.com",
            "acme.cn-hangzhou.cr.aliyuncs.com",
            "acme-registry.cr.cn-hangzhou.aliyuncs.com",
            "acme-registry.hangzhou.cr.aliyuncs.com",
            "acme-registry.hangzhou.aliyuncs.com",
        ] {
            assert_eq!(nearest(mistyped, None).as_deref(), Some(host), "{mistyped}");
        }
        let personal = nearest("registry-vpc.cn-hangzhou.cr.aliyuncs.com", None);
        assert_eq!(personal.as_deref(), Some("registry-vpc.cn-hangzhou.aliyuncs.com"));
        for host in [host, "registry.aliyuncs.com", "img.example.com", "img.cn-hangzhou.example"] {
            assert_eq!(nearest(host, None), None, "{host}");
        }
        let region = Region::parse("cn-hangzhou").unwrap();
        for mistyped in ["acme-registry.cr.aliyuncs.com", "acme-registry.aliyuncs.com"] {
            assert_eq!(nearest(mistyped, Some(&region)).as_deref(), Some(host), "{mistyped}");
            assert_eq!(nearest(mistyped, None), None, "{mistyped}");
        }
        assert_eq!(nearest("img.example.com", Some(&region)), None);
    }
}
