//! Which hosts are taken for the vendor's registries, and which entry is taken for a host.

use aliyun_acr_credential_provider::aliyun::ids::Region;
use aliyun_acr_credential_provider::aliyun::registry_host::RegistryHost;
use aliyun_acr_credential_provider::config::{Config, Entry};
use aliyun_acr_credential_provider::failure::{Exit, Failure};
use aliyun_acr_credential_provider::pull::image::registry_host;
use aliyun_acr_credential_provider::pull::selection::{Claim, claim};
use aliyun_acr_credential_provider::system::environment::Environment;
use proptest::prelude::*;
use simulation::kubelet::{normalise_image, registry_of};

/// What names under the vendor's domain are made of, and what spoofs of them are.
const PARTS: [&str; 28] = [
    "acme-registry",
    "acme-registry-vpc",
    "acme-registry-internal",
    "acme-registry-intl-vpc",
    "registry",
    "registry-vpc",
    "registry-intl",
    "registry-internal",
    "crpi-acme1",
    "crpi-acme1-vpc",
    "registry-cn-hangzhou",
    "registry-cn-hangzhou-vpc",
    "cn-hangzhou",
    "us-east-1",
    "cn-beijing-finance-1",
    "cr",
    "ack",
    "personal",
    "distributed",
    "aliyuncs",
    "com",
    "aliyuncs.com",
    "cr.aliyuncs.com",
    "cn-hangzhou.cr.aliyuncs.com",
    "evil",
    "Aliyuncs",
    "-",
    "",
];

/// A host of the vendor's, of any form.
fn genuine() -> impl Strategy<Value = String> {
    let variant =
        prop::sample::select(vec!["", "-vpc", "-internal", "-intl", "-intl-vpc", "-intl-internal"]);
    let region = prop::sample::select(vec!["cn-hangzhou", "us-east-1", "cn-beijing-finance-1"]);
    let name = prop_oneof!["[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", "[a-z0-9]{35,40}"];
    (name, variant, region, 0..5).prop_map(|(name, variant, region, form)| match form {
        0 => format!("{name}-registry{variant}.{region}.cr.aliyuncs.com"),
        1 => format!("{name}-registry{variant}.distributed.{region}.cr.aliyuncs.com"),
        2 => format!("registry{variant}.{region}.aliyuncs.com"),
        3 => format!("crpi-{}.{region}.personal.cr.aliyuncs.com", name.replace('-', "")),
        _ => format!("registry-{region}.ack.aliyuncs.com"),
    })
}

/// One with a character more, fewer, or another.
fn spoilt() -> impl Strategy<Value = String> {
    let odd = prop_oneof![
        any::<char>(),
        prop::sample::select(vec!['.', '-', '@', ':', '/', '\\', '\0', '\n', 'A', '%'])
    ];
    (genuine(), any::<prop::sample::Index>(), odd, 0..6).prop_map(|(host, at, odd, how)| {
        let mut characters: Vec<char> = host.chars().collect();
        let at = at.index(characters.len());
        match how {
            0 => characters.insert(at, odd),
            1 => characters[at] = odd,
            2 => drop(characters.remove(at)),
            3 => characters.push(odd),
            4 => characters[at] = characters[at].to_ascii_uppercase(),
            // Longer than a label may be.
            _ => characters.splice(0..0, "x".repeat(60).chars()).for_each(drop),
        }
        characters.into_iter().collect()
    })
}

/// One whose parts are each right, or now and then nearly so.
fn nearly() -> impl Strategy<Value = String> {
    let part = |right: &[&'static str], wrong: &[&'static str]| prop_oneof![3 => prop::sample::select(right.to_vec()), 1 => prop::sample::select(wrong.to_vec())];
    let first = part(
        &["acme-registry", "registry", "crpi-a1"],
        &["-registry", "a--registry", "crpi-", "crpi-a-1", "acme"],
    );
    let variant = part(&["", "-vpc"], &["-evil", "x", "-vpc-vpc", "-registry", "-cn-hangzhou"]);
    let region =
        part(&[".cn-hangzhou", ".us-east-1"], &[".cn", ".CN-x", ".cn-", ".oss-cn-a", ".c1-a", ""]);
    let middle = part(&["", "", ".distributed"], &[".personal", ".x", "."]);
    let tail = part(
        &[
            "cr.aliyuncs.com",
            "cr.aliyuncs.com",
            "personal.cr.aliyuncs.com",
            "aliyuncs.com",
            "ack.aliyuncs.com",
        ],
        &[
            "cr.aliyuncs.com.evil",
            "cr.evil.com",
            "crx.aliyuncs.com",
            "aliyuncs.com.cn",
            "cr.aliyuncs.com.",
        ],
    );
    (first, variant, middle, region, tail).prop_map(|(first, variant, middle, region, tail)| {
        format!("{first}{variant}{middle}{region}.{tail}")
    })
}

fn host() -> impl Strategy<Value = String> {
    let parts = prop::collection::vec(prop::sample::select(PARTS.to_vec()), 1..7);
    prop_oneof![
        parts.prop_map(|parts| parts.join(".")),
        genuine(),
        spoilt(),
        nearly(),
        any::<String>()
    ]
}

/// The forms once more, from their left end: what is not of this grammar is not the vendor's.
fn may_be_a_registry(host: &str) -> bool {
    let Some(front) = host.strip_suffix(".aliyuncs.com") else { return false };
    let label = |text: &str| {
        !text.is_empty()
            && text.len() <= 63
            && text.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'))
            && !text.starts_with('-')
            && !text.ends_with('-')
    };
    if host.len() > 253 || !front.split('.').all(label) {
        return false;
    }
    let region = |text: &str| {
        let words: Vec<&str> = text.split('-').collect();
        let country = words[0].len() == 2 && words[0].chars().all(|c| c.is_ascii_lowercase());
        words.len() > 1 && country && words.iter().all(|word| !word.is_empty())
    };
    let variant = |text: &str| {
        matches!(text, "" | "-vpc" | "-internal" | "-intl" | "-intl-vpc" | "-intl-internal")
    };
    let front: Vec<&str> = front.split('.').collect();
    match front[..] {
        [first, place, "personal", "cr"] => {
            let id = first.strip_suffix("-vpc").unwrap_or(first).strip_prefix("crpi-");
            region(place) && id.is_some_and(|id| !id.is_empty() && !id.contains('-'))
        }
        [first, place, "cr"] | [first, "distributed", place, "cr"] => {
            // The last `-registry` ends the instance's name.
            let cut = first.rfind("-registry");
            region(place)
                && cut.is_some_and(|cut| {
                    cut > 0 && !first[..cut].ends_with('-') && variant(&first[cut + 9..])
                })
        }
        [first, "ack"] => {
            let place = first.strip_prefix("registry-").unwrap_or_default();
            region(place.strip_suffix("-vpc").unwrap_or(place))
        }
        [first, place] => region(place) && first.strip_prefix("registry").is_some_and(variant),
        _ => false,
    }
}

fn entries(text: &str) -> Vec<Entry> {
    Config::resolve(None, text, false, &Environment::default()).unwrap().entries
}

fn here() -> Result<Region, Failure> {
    let none = || Failure::new(Exit::Unexpected, "it is a region");
    Region::parse("cn-hangzhou").ok_or_else(none)
}

proptest! {
    #![proptest_config(super::config())]

    #[test]
    fn a_host_is_the_vendors_exactly_if_it_is_of_the_grammar(host in host()) {
        prop_assert_eq!(RegistryHost::parse(&host).is_some(), may_be_a_registry(&host), "{:?}", host);
    }

    #[test]
    fn every_genuine_host_is_known(host in genuine()) {
        prop_assert!(RegistryHost::parse(&host).is_some(), "{:?}", host);
    }

    /// Whatever the entries, a host that none names and that is not under the vendor's domain has none.
    #[test]
    fn no_entry_takes_a_host_that_is_neither_named_nor_the_vendors(host in host()) {
        let entries = entries(
            "acr-registry-info:\n- instanceId: cri-a\n- instanceId: cri-b\n  regionId: us-east-1\n- {regionId: cn-hangzhou}\n\
             - instanceId: cri-c\n  domains: img.example.com,registry.example.com:5000\n",
        );
        let form = RegistryHost::parse(&host);
        let named = ["img.example.com", "registry.example.com:5000"].contains(&host.as_str());
        if let Ok(claim) = claim(&entries, &host, form.as_ref(), here) {
            let claimed = !matches!(claim, Claim::None);
            prop_assert!(!claimed || named || host.ends_with(".aliyuncs.com"), "{:?} {:?}", host, claim);
        }
    }

    /// Without configuration, too.
    #[test]
    fn without_entries_only_instances_are_asked_for(host in host()) {
        let entries = entries("");
        let form = RegistryHost::parse(&host);
        if let Ok(Claim::ByName(_, name)) = claim(&entries, &host, form.as_ref(), here) {
            let instance = host.starts_with(&format!("{name}-registry"));
            prop_assert!(instance && host.ends_with(".cr.aliyuncs.com"), "{:?} {:?}", host, name);
        }
    }

    /// A name in `domains` is exactly that host, with its port.
    #[test]
    fn a_named_host_is_itself_alone(one in "[ab]{1,2}\\.test(:[12])?", other in "[abA]{1,3}\\.test(:[12]{1,2})?\\.?") {
        let entries = entries(&format!("acr-registry-info:\n- instanceId: cri-a\n  domains: \"{one}\"\n"));
        for host in [&one, &other] {
            let claim = claim(&entries, host, RegistryHost::parse(host).as_ref(), here).unwrap();
            prop_assert_eq!(matches!(claim, Claim::Entry(_)), *host == one, "{:?}", host);
        }
    }

    /// The host is the one that the kubelet will look the answer up under.
    #[test]
    fn the_host_of_an_image_is_the_kubelets(host in host(), repository in "[a-z]{1,4}(/[a-z]{1,4})?", tag in "(:[a-z0-9]{1,4})?") {
        let image = format!("{host}/{repository}{tag}");
        if let Ok(normal) = normalise_image(&image) {
            prop_assert_eq!(registry_host(&normal).unwrap(), registry_of(&normal));
        }
    }
}
