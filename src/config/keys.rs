//! Every key of the configuration, in one table.
//!
//! The reader, the hints for misspelt keys, `render config-map`, what of a value is shown, and the
//! table in `docs/configuration.md` come from here. A new key begins as a row; [`Section`] of
//! [`crate::config::file`] reads its value by its name, in `entry.rs` or `settings.rs`.

/// A key and what is known of it.
#[derive(Debug)]
pub struct Key {
    pub name: &'static str,
    pub whose: Whose,
    pub shape: Shape,
    /// What a value must look like, as a message says it behind `expected`.
    pub form: &'static str,
    /// For `docs/configuration.md`.
    pub meaning: &'static str,
    pub default: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The vendor's, with a meaning here.
    Vendor,
    /// Of this program alone.
    Ours,
    /// The vendor's; accepted so that the file can be used unchanged.
    Ignored,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    One,
    /// One value that no message repeats.
    Secret,
    /// A list, or a text with commas.
    List,
    /// Keys of its own, a list of them, or a text that holds either.
    Section,
    /// Nobody looks at the value.
    Any,
}

/// What becomes of a key that a section does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// Always a mistake: the section is ours, or its keys decide who may pull.
    Refused,
    /// A mistake if it resembles a known key or is one of another section. Otherwise a warning: the
    /// vendor may add keys.
    Tolerated,
}

/// Where keys stand.
#[derive(Debug)]
pub struct Section {
    /// As messages call it.
    pub name: &'static str,
    /// Where its keys belong, for a message about one that stands elsewhere.
    pub home: &'static str,
    pub example: &'static str,
    pub unknown: Unknown,
    pub keys: &'static [Key],
}

use Shape::{Any, List, One, Secret, Section as Keys};
use Unknown::{Refused, Tolerated};
use Whose::{Ignored, Ours, Vendor};

const fn key(
    name: &'static str,
    whose: Whose,
    shape: Shape,
    [form, meaning, default]: [&'static str; 3],
) -> Key {
    Key { name, whose, shape, form, meaning, default }
}

/// Names that are used in more than one file.
pub const REGISTRIES: &str = "acr-registry-info";
pub const SETTINGS_KEY: &str = "credential-provider";
pub const DATA: &str = "data";

#[rustfmt::skip]
pub static TOP: Section = Section {
    name: "the configuration",
    home: "at the top, beside `acr-registry-info`: indent it less",
    example: "tokenMode: auto",
    unknown: Tolerated,
    keys: &[
        key(REGISTRIES, Vendor, Keys, ["a list of registries, each beginning with `- `",
            "list of entries, or a text that holds the list. Left out: registries of the node's own account. Present but empty: Personal Edition of the node's region", "left out"]),
        key("tokenMode", Vendor, One, ["auto or workerRole",
            "`auto`: each entry's own identity. `workerRole`: the node's role only. `managedRole` is refused: it is not possible on a node", "`auto`"]),
        key("rrsa", Vendor, Keys, ["", "section, below", ""]),
        key("expiring-threshold", Vendor, One, ["a duration such as 15m",
            "a login in the node's cache is renewed once it has less than this left, or less than a third of its life", "`15m`"]),
        key(SETTINGS_KEY, Ours, Keys, ["", "section, below", ""]),
        key("service-account", Ignored, Any, ["", "**does not restrict who pulls**", ""]),
        key("watch-namespace", Ignored, Any, ["", "**does not restrict who pulls**", ""]),
        key("notify-email", Ignored, Any, ["", "", ""]),
        key("acr-api-version", Ignored, Any, ["", "", ""]),
        key("webhook-configuration", Ignored, Any, ["", "", ""]),
    ],
};

#[rustfmt::skip]
pub static RRSA: Section = Section {
    name: "rrsa",
    home: "into `rrsa` or `webhook-configuration`: indent it under that",
    example: "enable: true",
    unknown: Tolerated,
    keys: &[
        key("enable", Vendor, One, ["true or false", "must be `true` for entries with `rrsaRoleARN`", "`false`"]),
    ],
};

#[rustfmt::skip]
pub static ENTRY: Section = Section {
    name: "an entry of `acr-registry-info`",
    home: "into an entry of `acr-registry-info`: indent it under the entry's `- `",
    example: "regionId: cn-hangzhou",
    unknown: Refused,
    keys: &[
        key("instanceId", Vendor, List, ["`cri-` and letters, digits or hyphens",
            "one instance, or several separated by commas. Empty for Personal Edition", "empty"]),
        key("regionId", Vendor, One, ["a region id such as cn-hangzhou", "the region of the instance", "the node's region"]),
        key("domains", Vendor, List, ["a host name, with a port if images have one",
            "hosts, separated by commas, as images name them, with a port if images have one. Custom domains must be listed", "the hosts of the instance"]),
        key("mirrors", Ours, List, ["a host name, with a port if images have one",
            "hosts of mirrors, separated by commas: the entry's login also answers for requests that name one of them. Not for an entry with several instances", "none"]),
        key("assumeRoleARN", Vendor, One, ["`acs:ram::<account id>:role/<role name>`",
            "the role in the registry's account", "none: the identity itself"]),
        key("expireDuration", Vendor, One, ["whole seconds, 900 to 43200",
            "seconds, 900 to 43200: the length of the role session, and the longest time that the kubelet keeps an answer. Not above the role's maximum session duration", "3600"]),
        key("rrsaRoleARN", Vendor, One, ["`acs:ram::<account id>:role/<role name>`", "RRSA: the role in the cluster's account", ""]),
        key("rrsaOIDCProviderRoleARN", Vendor, One, ["`acs:ram::<account id>:oidc-provider/<provider name>`",
            "RRSA: the ARN of the cluster's OIDC provider", ""]),
        key("customAccessKey", Vendor, Secret, ["the id of an AccessKey: letters and digits", "the id of an AccessKey", ""]),
        key("customAccessKeySecret", Vendor, Secret, ["the secret of an AccessKey", "its secret", ""]),
        key("profile", Ours, One, ["the name of a profile", "a profile of the vendor's command line as identity: of the file in `ALIBABA_CLOUD_CONFIG_FILE`, else of `~/.aliyun/config.json`", ""]),
        key("externalId", Ours, One, ["2 to 1224 letters, digits or `_+=,.@:/-`", "the external id for AssumeRole", "none"]),
        key("roleSessionName", Ours, One, ["2 to 64 letters, digits or `.@-_`",
            "the session's name in the audit trail", "`aliyun-acr-credential-provider`"]),
        key("sessionPolicy", Ours, One, ["pull-only", "`pull-only`: the session can only pull from this instance", "none"]),
        key("podIdentity", Ours, One, ["auto, required or off",
            "for RRSA: `auto` uses the pod's token if there is one, `required` uses nothing else, `off` never uses it", "`auto`"]),
        key("allowedRoles", Ours, List, ["role names, `*` standing for any characters",
            "list of role names that the annotation `pod-identity.alibabacloud.com/role-name` may name. `*` stands for any characters", "none"]),
        key("podLoginLife", Ours, One, ["token or session",
            "how long the kubelet may keep a login that a pod's token obtained. `token`: no longer than the token lives. `session`: as long as the login lives, at most `expireDuration`", "`token`"]),
    ],
};

#[rustfmt::skip]
pub static SETTINGS: Section = Section {
    name: "credential-provider",
    home: "into `credential-provider`: indent it under that",
    example: "timeout: 25s",
    unknown: Refused,
    keys: &[
        key("endpoints", Ours, Keys, ["", "section, below", ""]),
        key("network", Ours, One, ["auto, vpc or internet",
            "`auto`: VPC hosts where they can resolve, then public hosts. `vpc`, `internet`: only those", "`auto`"]),
        key("caFile", Ours, One, ["an absolute path", "PEM file of CAs to trust in addition", ""]),
        key("oidcTokenFile", Ours, One, ["an absolute path", "the token for RRSA", "`/var/run/secrets/ack.alibabacloud.com/rrsa-tokens/token`"]),
        key("workerRoleName", Ours, One, ["a RAM role's name, not its ARN", "the name of the node's role; saves a call", "the attached role"]),
        key("metrics", Ours, One, ["an absolute path that ends in .prom", "a file for node_exporter's textfile collector; needs the cache", ""]),
        key("nodeRegion", Ours, One, ["a region id such as cn-hangzhou", "the node's region; saves a call. STS is called there", "from metadata"]),
        key("margin", Ours, One, ["a duration from 0s to 15m, such as 30s", "subtracted from a login's life, up to `15m`", "`30s`"]),
        key("cacheDir", Ours, One, ["an absolute path", "the folder of the node's cache, or `off`",
            "`/run/aliyun-acr-credential-provider`; for users `$XDG_RUNTIME_DIR/aliyun-acr-credential-provider`"]),
        key("timeout", Ours, One, ["a duration from 1s to 50s, such as 25s", "for the whole run, `1s` to `50s`", "`25s`; `50s` for a run that meets a used-up call limit"]),
        key("signature", Ours, One, ["v1 or acs3", "how calls are signed. `v1`: HMAC-SHA1. `acs3`: ACS3-HMAC-SHA256; change to it if the services refuse `v1`, or where SHA-1 is not allowed", "`v1`"]),
        key("clusterId", Ours, One, ["letters and digits", "makes the OIDC provider's ARN where an entry has none", ""]),
        key("accountId", Ours, One, ["an account id: digits only", "the account of roles that annotations name", "that of `rrsaRoleARN`"]),
    ],
};

#[rustfmt::skip]
pub static ENDPOINTS: Section = Section {
    name: "endpoints",
    home: "into `endpoints` of `credential-provider`: indent it under that",
    example: "sts: https://sts.cn-hangzhou.aliyuncs.com",
    unknown: Refused,
    keys: &[
        key("sts", Ours, One, ["", "base URL in place of the regional one: `https`, or `http` for loopback", "by region"]),
        key("cr", Ours, One, ["", "the same for the Container Registry API", "by region"]),
        key("metadata", Ours, One, ["", "the same for the metadata service, `http` allowed at its own address", "`http://100.100.100.200`"]),
        key("registry", Ours, One, ["", "the same for the registry's `/v2/` challenge", "the registry itself"]),
    ],
};

/// What a manifest has around `data`.
#[rustfmt::skip]
pub static MANIFEST: Section = Section {
    name: "the manifest",
    home: "at the top of the manifest: indent it less",
    example: "kind: ConfigMap",
    unknown: Tolerated,
    keys: &[
        key(DATA, Vendor, Keys, ["", "", ""]),
        key("apiVersion", Ignored, Any, ["", "", ""]),
        key("kind", Vendor, One, ["`ConfigMap`", "", ""]),
        key("metadata", Ignored, Any, ["", "", ""]),
        key("immutable", Ignored, Any, ["", "", ""]),
        key("binaryData", Ignored, Any, ["", "", ""]),
    ],
};

/// The sections of the file, as the documentation lists them.
pub static SECTIONS: [(&str, &Section); 5] = [
    ("top", &TOP),
    ("`rrsa`", &RRSA),
    ("entry", &ENTRY),
    ("`credential-provider`", &SETTINGS),
    ("`endpoints`", &ENDPOINTS),
];

/// From here on another key is unlikely to be as near as two edits, in characters.
const LONG_KEY: usize = 10;

impl Section {
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    pub fn names(&self) -> Vec<&'static str> {
        self.keys.iter().map(|key| key.name).collect()
    }

    fn has_one_like(&self, name: &str) -> bool {
        self.keys.iter().any(|key| resembles(key.name, name))
    }
}

/// A key of any section.
pub fn known(name: &str) -> Option<&'static Key> {
    let found = SECTIONS.iter().find_map(|(_, section)| section.key(name));
    found.or_else(|| MANIFEST.key(name).filter(|key| key.name == DATA))
}

/// Where a key of this name belongs, or one that resembles it; none for a key that a manifest may
/// have as well.
pub fn home(name: &str) -> Option<&'static str> {
    if resembles(DATA, name) {
        return Some(MANIFEST.home);
    }
    let mut sections = [&TOP, &ENTRY, &SETTINGS, &ENDPOINTS, &RRSA].into_iter();
    let home = sections.find(|section| section.has_one_like(name) && !MANIFEST.has_one_like(name));
    home.map(|section| section.home)
}

/// Whether a name is this key in another letter case, or with a slip where the key is too long for
/// that to be chance.
pub fn resembles(key: &str, name: &str) -> bool {
    let alike = key.len() >= LONG_KEY && key.len().abs_diff(name.len()) <= 2;
    key.eq_ignore_ascii_case(name) || (alike && strsim::osa_distance(key, name) <= 2)
}

/// The known key that was most likely meant. Exchanged neighbours count as one edit; letter case,
/// hyphens and underscores count as nothing.
pub fn nearest(known: &[&'static str], name: &str, most_edits: usize) -> Option<&'static str> {
    let letters = |text: &str| -> Vec<u8> {
        let letters = text.bytes().filter(|byte| !b"-_".contains(byte));
        letters.map(|byte| byte.to_ascii_lowercase()).collect()
    };
    let (length, wanted) = (name.chars().count(), letters(name));
    let distance = |known: &'static str| {
        // So many letters more or fewer are as many edits: what is much longer is not compared at all.
        let difference = known.len().abs_diff(length);
        if known.len() >= wanted.len() && difference <= 4 && letters(known) == wanted {
            return Some((0, known));
        }
        (difference <= most_edits).then(|| (strsim::osa_distance(known, name), known))
    };
    let nearest = known.iter().filter_map(|known| distance(known)).min();
    nearest.filter(|(distance, _)| *distance <= most_edits).map(|(_, known)| known)
}
