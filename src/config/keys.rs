//! The keys that each section of the configuration knows.

/// Keys with a meaning here, or accepted so that the vendor's file can be used unchanged.
pub const TOP_KEYS: [&str; 10] = [
    "acr-registry-info",
    "tokenMode",
    "rrsa",
    "expiring-threshold",
    "credential-provider",
    "service-account",
    "watch-namespace",
    "notify-email",
    "acr-api-version",
    "webhook-configuration",
];
/// Those of them that mean nothing on a node.
pub const IGNORED_KEYS: [&str; 5] = [
    "service-account",
    "watch-namespace",
    "notify-email",
    "acr-api-version",
    "webhook-configuration",
];
/// What else a manifest has; none of it matters here.
pub const MANIFEST_KEYS: [&str; 5] = ["apiVersion", "kind", "metadata", "immutable", "binaryData"];
/// Of an entry in `acr-registry-info`.
pub const ENTRY_KEYS: [&str; 14] = [
    "instanceId",
    "regionId",
    "domains",
    "assumeRoleARN",
    "expireDuration",
    "rrsaRoleARN",
    "rrsaOIDCProviderRoleARN",
    "customAccessKey",
    "customAccessKeySecret",
    "externalId",
    "roleSessionName",
    "sessionPolicy",
    "podIdentity",
    "allowedRoles",
];
/// Those of them that have several values: a text with commas in it, or a list.
pub const LIST_KEYS: [&str; 3] = ["instanceId", "domains", "allowedRoles"];
pub const RRSA_KEYS: [&str; 1] = ["enable"];
/// Of `credential-provider`.
pub const SETTINGS_KEYS: [&str; 11] = [
    "endpoints",
    "network",
    "caFile",
    "oidcTokenFile",
    "workerRoleName",
    "nodeRegion",
    "margin",
    "cacheDir",
    "timeout",
    "clusterId",
    "accountId",
];
/// Of `credential-provider.endpoints`.
pub const ENDPOINT_KEYS: [&str; 4] = ["sts", "cr", "metadata", "registry"];

/// From here on no other key is likely to be as near as two edits, in characters.
const LONG_KEY: usize = 10;

/// Where each section's keys belong, in words for people.
const SECTIONS: [(&str, &[&str]); 6] = [
    ("at the top, beside `acr-registry-info`: indent it less", &TOP_KEYS),
    ("at the top of the manifest: indent it less", &["data"]),
    ("into an entry of `acr-registry-info`: indent it under the entry's `- `", &ENTRY_KEYS),
    ("into `credential-provider`: indent it under that", &SETTINGS_KEYS),
    ("into `endpoints` of `credential-provider`: indent it under that", &ENDPOINT_KEYS),
    ("into `rrsa` or `webhook-configuration`: indent it under that", &RRSA_KEYS),
];

/// Whether any section has a key of this name.
pub fn is_known_key(name: &str) -> bool {
    SECTIONS.iter().any(|(_, keys)| keys.contains(&name))
}

/// Where a key of this name belongs, or of one that resembles it; nowhere for one that a manifest may
/// have as well.
pub fn home(name: &str) -> Option<&'static str> {
    let has = |keys: &[&str]| keys.iter().any(|key| resembles(key, name));
    let found = SECTIONS.iter().find(|(_, keys)| has(keys) && !has(&MANIFEST_KEYS));
    found.map(|(home, _)| *home)
}

/// Whether a name is this key in another letter case, or with a slip where the key is too long for
/// that to be chance.
pub fn resembles(key: &str, name: &str) -> bool {
    let alike = key.len() >= LONG_KEY && key.len().abs_diff(name.len()) <= 2;
    key.eq_ignore_ascii_case(name) || (alike && strsim::osa_distance(key, name) <= 2)
}
