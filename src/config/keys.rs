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

/// Whether any section has a key of this name.
pub fn is_known_key(name: &str) -> bool {
    let sections: [&[&str]; 5] =
        [&TOP_KEYS, &ENTRY_KEYS, &SETTINGS_KEYS, &ENDPOINT_KEYS, &RRSA_KEYS];
    sections.iter().any(|keys| keys.contains(&name))
}
