//! What a simulated cloud is told to be: accounts, roles, instances, a node, and faults.
//!
//! Written as YAML. `world.yaml` beside the crate is the standard world and shows every kind of
//! thing; a scenario overlays it with the little that it changes. In an overlay a map is merged
//! key by key, `null` removes a key, and anything else (lists included) takes the place of what
//! was there. Things with names are maps by name, so that an overlay can reach one of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::fault::Fault;
use super::hop::Hop;

const STANDARD: &str = include_str!("../../world.yaml");

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Description {
    pub clock: ServiceClock,
    /// Serve sts, cr and registry over TLS, by a CA of the cloud's own. Metadata is always plain
    /// http, as in reality.
    pub tls: bool,
    /// The certificate that they present.
    pub certificate: Certificate,
    /// Also start one `cr` endpoint for each region that has an instance or a Personal registry.
    /// The plain `cr` endpoint takes the region from the Host header (`cr[-vpc].<region>.…`) and
    /// knows all regions when that says nothing, as with 127.0.0.1.
    pub cr_per_region: bool,
    /// By account id.
    pub accounts: BTreeMap<String, Account>,
    pub node: Node,
    pub metadata: Metadata,
    pub registry: Registry,
    pub throttle: Throttle,
    /// What goes wrong, by hop. Of the faults of one hop the first that names the call applies.
    pub faults: BTreeMap<Hop, Vec<Fault>>,
}

/// A certificate of the cloud's own CA.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certificate {
    /// For all host names of the cloud, and valid now.
    #[default]
    Right,
    /// For a name that is none of the cloud's.
    OtherName,
    Expired,
    NotYetValid,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ServiceClock {
    /// How far the services are ahead of this machine (negative: behind).
    pub offset_seconds: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Account {
    /// AccessKeys of the account itself, by id: all rights, but no AssumeRole [meta].
    pub root_access_keys: BTreeMap<String, AccessKey>,
    /// RAM users, by name.
    pub users: BTreeMap<String, User>,
    /// RAM roles, by name.
    pub roles: BTreeMap<String, Role>,
    /// By name; ACK's is `ack-rrsa-<cluster id>`.
    pub oidc_providers: BTreeMap<String, OidcProvider>,
    /// Enterprise Edition instances, by id (`cri-…`).
    pub instances: BTreeMap<String, Instance>,
    /// Personal Edition, by region.
    pub personal: BTreeMap<String, Personal>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AccessKey {
    pub secret: String,
    #[serde(default = "yes")]
    pub active: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct User {
    /// By id.
    pub access_keys: BTreeMap<String, AccessKey>,
    /// Names of the vendor's own policies, e.g. `AliyunSTSAssumeRoleAccess`.
    pub system_policies: Vec<String>,
    /// Custom policies by name: RAM policy documents, as JSON or as YAML.
    pub policies: BTreeMap<String, Json>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Role {
    /// A RAM trust policy document.
    pub trust: Json,
    /// Seconds, 3600 (default) to 43200 [doc: ram, maximum session duration].
    #[serde(default = "one_hour")]
    pub max_session: u32,
    #[serde(default)]
    pub system_policies: Vec<String>,
    #[serde(default)]
    pub policies: BTreeMap<String, Json>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OidcProvider {
    pub issuer: String,
    /// Audiences that are let in.
    pub client_ids: Vec<String>,
    #[serde(default)]
    pub condition: ProviderCondition,
}

/// Whether STS can verify with a provider's keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderCondition {
    #[default]
    Working,
    /// The issuer's keys cannot be fetched.
    KeysUnreachable,
    /// The issuer's certificate is not the registered one.
    FingerprintMismatch,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Instance {
    pub name: String,
    pub region: String,
    #[serde(default = "running")]
    pub status: String,
    #[serde(default = "enterprise_advanced")]
    pub specification: String,
    /// The documents know two values of `TempUsername`, so that nobody should hard-code one [meta].
    #[serde(default = "temp_user")]
    pub user_name: String,
    #[serde(default)]
    pub custom_domains: Vec<String>,
    #[serde(default = "yes")]
    pub internet: bool,
    #[serde(default = "yes")]
    pub vpc: bool,
    /// A fifth field of the challenge's `service`, such as `2a` [harbor].
    #[serde(default)]
    pub challenge_suffix: Option<String>,
    /// The realm of the challenge is the registry's own host.
    #[serde(default)]
    pub takes_over_auth: bool,
    /// The one instance of its region that answers on the Personal Edition's host names [doc].
    #[serde(default)]
    pub answers_personal_hosts: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Personal {
    #[serde(default = "temp_user")]
    pub user_name: String,
}

/// The machine whose instance metadata is served.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Node {
    pub account: String,
    pub region: String,
    pub zone: String,
    pub instance_id: String,
    pub vpc_id: String,
    pub image_id: String,
    /// The attached role; `null`: none.
    pub role: Option<String>,
    /// Seconds that a credential of the role lives: 6 h [old:ecs].
    pub credential_life: u32,
    /// Seconds since the first credential was made. A new one is made 30 minutes before the
    /// end, so 19000 of 21600 leaves little more than 30 minutes when the cloud starts.
    pub credential_age: u32,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            account: String::new(),
            region: "cn-hangzhou".to_owned(),
            zone: "cn-hangzhou-k".to_owned(),
            instance_id: "i-bp1node0000000000001".to_owned(),
            vpc_id: "vpc-bp1cluster000000000001".to_owned(),
            image_id: "aliyun_3_x64_20G_container_optimized_alibase.vhd".to_owned(),
            role: None,
            credential_life: 21_600,
            credential_age: 0,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Metadata {
    pub mode: MetadataMode,
    /// `Code` of the role document; anything but `Success` is a failure [cgo]. Empty for a document
    /// without this field, as services behind a credentials URI give it [cgo].
    pub role_document_code: String,
    /// End texts with a newline, which clients must trim [art].
    pub trailing_newline: bool,
}

impl Default for Metadata {
    fn default() -> Self {
        let role_document_code = "Success".to_owned();
        Self { mode: MetadataMode::default(), role_document_code, trailing_newline: true }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MetadataMode {
    /// A token is given out and checked, but none is needed.
    #[default]
    Both,
    /// `HttpTokens=required`: without a token, 403.
    HardenedOnly,
    /// The token request is answered 404: an environment without hardened mode.
    NoTokenApi,
    /// The token request is answered 403.
    TokenForbidden,
    /// The token request is answered 405.
    TokenNotAllowed,
    /// The token request is answered 501.
    TokenNotImplemented,
    /// The token request is answered 200 with nothing in it.
    TokenEmpty,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Registry {
    /// The registry host to answer as when the Host header names none that is known.
    pub default_host: Option<String>,
    pub challenge: Challenge,
    /// Name this cloud's own registry endpoint as realm, so that a login can be tried.
    pub local_realm: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Challenge {
    #[default]
    Bearer,
    /// 401 without `WWW-Authenticate`.
    None,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Throttle {
    /// AssumeRole calls a second and account, users and roles together; the real limit is 100
    /// [doc: notice/ram20220829]. None: no limit.
    pub assume_role_per_second: Option<u32>,
}

impl Description {
    /// The world of `world.yaml`.
    pub fn standard() -> Self {
        Self::from_yaml(STANDARD).expect("world.yaml is a description")
    }

    pub fn from_yaml(yaml: &str) -> Result<Self, String> {
        serde_saphyr::from_str(yaml).map_err(|error| error.to_string())
    }

    /// This world, changed as the overlay says.
    pub fn overlaid(&self, yaml: &str) -> Result<Self, String> {
        self.merged(&serde_saphyr::from_str(yaml).map_err(|error| error.to_string())?)
    }

    /// As [`Description::overlaid`], for an overlay that was read as part of something else.
    pub fn merged(&self, overlay: &Json) -> Result<Self, String> {
        let mut world = serde_json::to_value(self).map_err(|error| error.to_string())?;
        merge(&mut world, overlay);
        serde_json::from_value(world).map_err(|error| error.to_string())
    }
}

/// JSON merge patch (RFC 7386).
fn merge(base: &mut Json, overlay: &Json) {
    match (base, overlay) {
        (Json::Object(base), Json::Object(overlay)) => {
            for (key, value) in overlay {
                if value.is_null() {
                    base.remove(key);
                } else {
                    merge(base.entry(key).or_insert(Json::Null), value);
                }
            }
        }
        (base, Json::Object(overlay)) => {
            *base = Json::Object(serde_json::Map::new());
            merge(base, &Json::Object(overlay.clone()));
        }
        (base, other) => *base = other.clone(),
    }
}

fn yes() -> bool {
    true
}

fn one_hour() -> u32 {
    3600
}

fn running() -> String {
    "RUNNING".to_owned()
}

fn enterprise_advanced() -> String {
    "Enterprise_Advanced".to_owned()
}

fn temp_user() -> String {
    "cr_temp_user".to_owned()
}
