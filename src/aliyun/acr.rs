//! Container Registry: Enterprise Edition (RPC, 2018-12-01) and Personal Edition (ROA, 2016-06-07).

use std::cell::RefCell;

use jiff::Timestamp;
use jiff::fmt::strtime;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::aliyun::call::{CallError, Network, Patience};
use crate::aliyun::endpoint::Endpoint;
use crate::aliyun::ids::InstanceId;
use crate::aliyun::refusal::{Sent, word};
use crate::aliyun::rpc::{self, Action, Answer};
use crate::aliyun::signature::{Scheme, acs3, v1};
use crate::aliyun::{Credentials, Hop, redact};
use crate::net::http::{Method, Request};
use crate::secret::Secret;
use crate::system::random;

const ENTERPRISE_VERSION: &str = "2018-12-01";
const PERSONAL_VERSION: &str = "2016-06-07";

/// Instances that one page of `ListInstance` holds, and pages that are read before giving up.
const PAGE_SIZE: usize = 30;
const MAX_PAGES: usize = 50;

/// A login for the registry, as the service issued it.
#[derive(Debug)]
pub struct Login {
    pub user_name: String,
    pub password: Secret,
    /// When it ends, by the service's clock.
    pub expires: Timestamp,
    /// What the service's clock said when it issued the login.
    pub issued: Option<Timestamp>,
}

/// The answer of `GetAuthorizationToken`.
#[derive(Deserialize)]
pub struct EnterpriseToken {
    /// Every answer of this API has it; `false` was read as a refusal before.
    #[serde(rename = "IsSuccess")]
    _is_success: bool,
    #[serde(rename = "TempUsername")]
    user_name: String,
    #[serde(rename = "AuthorizationToken")]
    password: Secret,
    #[serde(rename = "ExpireTime", deserialize_with = "epoch_milliseconds")]
    expires: Timestamp,
}

/// The answer of `GET /tokens`.
#[derive(Deserialize)]
pub struct PersonalAnswer {
    data: PersonalToken,
}

#[derive(Deserialize)]
struct PersonalToken {
    #[serde(rename = "tempUserName")]
    user_name: String,
    #[serde(rename = "authorizationToken")]
    password: Secret,
    #[serde(rename = "expireDate", deserialize_with = "epoch_milliseconds")]
    expires: Timestamp,
}

/// One page of `ListInstance`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct InstancePage {
    /// An empty list has it, and an answer of another API does not.
    #[serde(rename = "IsSuccess")]
    _is_success: bool,
    instances: Option<Vec<Instance>>,
    total_count: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    instance_id: String,
    instance_name: String,
}

/// The answer of `ListInstanceEndpoint`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct InstanceEndpoints {
    #[serde(rename = "IsSuccess")]
    _is_success: bool,
    /// Empty where neither the Internet nor the VPC endpoint is switched on.
    endpoints: Vec<InstanceEndpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InstanceEndpoint {
    domains: Option<Vec<Domain>>,
}

#[derive(Deserialize)]
struct Domain {
    #[serde(rename = "Domain")]
    domain: Option<String>,
}

impl From<Answer<EnterpriseToken>> for Login {
    fn from(Answer { value, date }: Answer<EnterpriseToken>) -> Self {
        let EnterpriseToken { user_name, password, expires, .. } = value;
        Self { user_name, password, expires, issued: date }
    }
}

impl From<Answer<PersonalAnswer>> for Login {
    fn from(Answer { value, date }: Answer<PersonalAnswer>) -> Self {
        let PersonalToken { user_name, password, expires } = value.data;
        Self { user_name, password, expires, issued: date }
    }
}

impl InstancePage {
    /// The id of the instance with exactly this name, as the service wrote it.
    pub fn id_of(&self, name: &str) -> Option<&str> {
        let mut instances = self.instances.iter().flatten();
        instances.find(|it| it.instance_name == name).map(|it| it.instance_id.as_str())
    }
}

impl InstanceEndpoints {
    /// The hosts of all its endpoints.
    pub fn domains(self) -> Vec<String> {
        let domains = self.endpoints.into_iter().filter_map(|endpoint| endpoint.domains);
        domains.flatten().filter_map(|domain| domain.domain).collect()
    }
}

/// `GetAuthorizationToken`: a login for one Enterprise Edition instance.
///
/// With temporary credentials it lives as long as they do, else one hour.
///
/// # Errors
///
/// See [`CallError`].
pub fn authorization_token(
    network: &Network<'_>,
    endpoint: &Endpoint,
    caller: &Credentials,
    instance: &InstanceId,
) -> Result<Login, CallError> {
    let action = enterprise(Hop::GetAuthorizationToken, vec![("InstanceId", instance.as_str())]);
    rpc::call::<EnterpriseToken>(network, endpoint, &action, Some(caller)).map(Login::from)
}

/// `ListInstanceEndpoint`: the hosts that an instance answers on, custom domains included. None
/// where no endpoint of the instance is switched on.
///
/// # Errors
///
/// See [`CallError`].
pub fn instance_domains(
    network: &Network<'_>,
    endpoint: &Endpoint,
    caller: &Credentials,
    instance: &InstanceId,
) -> Result<Vec<String>, CallError> {
    let parameters =
        vec![("InstanceId", instance.as_str()), ("ModuleName", "Registry"), ("Summary", "true")];
    let action = enterprise(Hop::ListInstanceEndpoint, parameters);
    let answer: Answer<InstanceEndpoints> = rpc::call(network, endpoint, &action, Some(caller))?;
    Ok(answer.value.domains())
}

/// `ListInstance`: the id of the instance with exactly this name in the endpoint's region.
///
/// The service's own filter by name is deprecated and not known to be exact, so all pages are
/// read and names compared here.
///
/// # Errors
///
/// See [`CallError`].
pub fn instance_named(
    network: &Network<'_>,
    endpoint: &Endpoint,
    caller: &Credentials,
    name: &str,
) -> Result<Option<InstanceId>, CallError> {
    let page_size = PAGE_SIZE.to_string();
    let mut seen = 0;
    for page in 1..=MAX_PAGES {
        let page = page.to_string();
        let parameters = vec![("PageNo", page.as_str()), ("PageSize", page_size.as_str())];
        let action = enterprise(Hop::ListInstance, parameters);
        let answer: Answer<InstancePage> = rpc::call(network, endpoint, &action, Some(caller))?;
        let page = answer.value;
        if let Some(id) = page.id_of(name) {
            let id = Some(id).filter(|id| redact::is_clear(id, &caller.secrets()));
            return Ok(id.and_then(InstanceId::parse));
        }
        let count = page.instances.map_or(0, |instances| instances.len());
        seen += count;
        if count == 0 || seen >= page.total_count.unwrap_or(0) {
            break;
        }
    }
    Ok(None)
}

/// `GET /tokens`: a login for the caller's Personal Edition registry in the endpoint's region.
///
/// # Errors
///
/// See [`CallError`].
pub fn personal_token(
    network: &Network<'_>,
    endpoint: &Endpoint,
    caller: &Credentials,
) -> Result<Login, CallError> {
    let signed = RefCell::new(String::new());
    let secrets = caller.secrets();
    let answer: Answer<PersonalAnswer> = network.call(
        Hop::PersonalTokens,
        endpoint,
        Patience::FULL,
        |candidate, timeout| {
            let now = network.clock.now();
            let (headers, echo) = match network.signature {
                Scheme::V1 => roa_headers(now, caller, "GET", "/tokens"),
                Scheme::Acs3 => {
                    let call = acs3::Call {
                        method: "GET",
                        host: candidate.host(),
                        path: "/tokens",
                        action: Hop::GetAuthorizationToken.name(),
                        version: PERSONAL_VERSION,
                        body: "",
                    };
                    let signed = call.sign(caller, now, random::nonce());
                    (signed.headers, signed.digest)
                }
            };
            signed.replace(echo);
            Request {
                method: Method::Get,
                url: format!("{}/tokens", candidate.url),
                headers,
                body: None,
                timeout,
                route: candidate.route(),
            }
        },
        |response| {
            let signed = signed.borrow();
            rpc::judge(response, &Sent { secrets: secrets.clone(), echo: Some(&signed) })
        },
    )?;
    Ok(answer.into())
}

fn enterprise<'a>(hop: Hop, parameters: Vec<(&'static str, &'a str)>) -> Action<'a> {
    let patience = Patience::FULL;
    Action { hop, version: ENTERPRISE_VERSION, patience, parameters, secrets: vec![] }
}

fn roa_headers(
    now: Timestamp,
    caller: &Credentials,
    method: &str,
    path: &str,
) -> (Vec<(&'static str, String)>, String) {
    let date = strtime::format("%a, %d %b %Y %H:%M:%S GMT", now).unwrap_or_default();
    let mut headers = vec![
        ("accept", "application/json".to_owned()),
        ("date", date),
        ("x-acs-version", PERSONAL_VERSION.to_owned()),
        ("x-acs-signature-method", "HMAC-SHA1".to_owned()),
        ("x-acs-signature-version", "1.0".to_owned()),
        ("x-acs-signature-nonce", random::nonce()),
    ];
    if let Some(token) = &caller.security_token {
        headers.push(("x-acs-security-token", token.expose().to_owned()));
    }
    let borrowed: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let text = v1::roa_string_to_sign(method, path, &[], &borrowed);
    let signature = v1::roa_signature(caller.access_key_secret.expose(), &text);
    headers.push(("authorization", format!("acs {}:{signature}", caller.access_key_id)));
    (headers, text)
}

/// Milliseconds since 1970, as a number or as digits in a string.
fn epoch_milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    word(&Value::deserialize(deserializer)?)
        .and_then(|text| text.parse().ok())
        .and_then(|number| Timestamp::from_millisecond(number).ok())
        .ok_or_else(|| serde::de::Error::custom("expected milliseconds since 1970"))
}
