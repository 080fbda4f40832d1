//! GetAuthorizationToken, ListInstance, ListInstanceEndpoint.

use serde_json::{Value as Json, json};

use super::super::backend::Backend;
use super::super::failure::Failure;
use super::super::gateway::Admitted;
use super::super::hop::Hop;
use super::super::identity::Identity;
use super::super::parameters::Parameters;
use super::super::registry::hosts;
use super::super::world::{Located, World};
use super::login::Place;

pub(super) fn answer(backend: &Backend, admitted: &Admitted) -> Result<Json, Failure> {
    let Some(caller) = &admitted.caller else { return Err(Failure::no_privilege()) };
    let world = backend.world();
    let call = Call { world: &world, caller, region: admitted.region.as_deref() };
    let mut answer = match admitted.hop {
        Hop::ListInstance => call.list_instance(&admitted.parameters)?,
        Hop::ListInstanceEndpoint => call.list_instance_endpoint(&admitted.parameters)?,
        _ => call.get_authorization_token(backend, &admitted.parameters)?,
    };
    answer["Code"] = "success".into();
    answer["IsSuccess"] = true.into();
    Ok(answer)
}

struct Call<'a> {
    world: &'a World,
    caller: &'a Identity,
    region: Option<&'a str>,
}

impl<'a> Call<'a> {
    /// The right cannot be bound to a resource [doc]: a policy that names an instance does not
    /// give it.
    fn get_authorization_token(
        &self,
        backend: &Backend,
        parameters: &Parameters,
    ) -> Result<Json, Failure> {
        let id = instance_id(parameters)?;
        self.authorize("cr:GetAuthorizationToken", "*")?;
        let located = self.own_instance(id)?;
        let place = Place::Enterprise { instance: located.id.to_owned() };
        let login = backend.logins.issue(backend, self.caller, &located.instance.user_name, place);
        Ok(json!({
            "TempUsername": login.user,
            "AuthorizationToken": login.password,
            "ExpireTime": login.expires.as_millisecond(),
        }))
    }

    fn list_instance_endpoint(&self, parameters: &Parameters) -> Result<Json, Failure> {
        let id = instance_id(parameters)?;
        let module = parameters.get("ModuleName").unwrap_or("Registry");
        if !matches!(module, "Registry" | "Chart") {
            return Err(Failure::invalid("ModuleName", "ModuleName is Registry or Chart."));
        }
        let with_acl = parameters.get("Summary") != Some("true");
        // Foreign and unknown instances are refused alike, else one could probe for them.
        let located = self.own_instance(id)?;
        let region = &located.instance.region;
        let resource = format!("acs:cr:{region}:{}:instance/{id}", located.account);
        self.authorize("cr:ListInstanceEndpoint", &resource)?;
        let endpoints: Vec<Json> =
            [("internet", located.instance.internet), ("vpc", located.instance.vpc)]
                .into_iter()
                // The list is empty where neither is switched on.
                .filter(|_| located.instance.internet || located.instance.vpc)
                .map(|(kind, enabled)| endpoint(located, kind, enabled, with_acl))
                .collect();
        Ok(json!({"Endpoints": endpoints}))
    }

    /// The name filter is deliberately no more than a prefix: it is deprecated, and clients are
    /// told not to trust it but to compare, and to page [dcah].
    fn list_instance(&self, parameters: &Parameters) -> Result<Json, Failure> {
        let account = self.caller.account();
        let region = self.region.unwrap_or("*");
        self.authorize("cr:ListInstance", &format!("acs:cr:{region}:{account}:instance/*"))?;
        let page = number(parameters, "PageNo", 1)?;
        let size = number(parameters, "PageSize", 30)?;
        let prefix = parameters.get("InstanceName").unwrap_or_default();
        let status = parameters.get("InstanceStatus");
        let matching: Vec<Located<'_>> = self
            .world
            .instances()
            .filter(|located| located.account == account)
            .filter(|located| self.region.is_none_or(|region| located.instance.region == region))
            .filter(|located| located.instance.name.starts_with(prefix))
            .filter(|located| status.is_none_or(|status| located.instance.status == status))
            .collect();
        let shown: Vec<Json> =
            matching.iter().skip((page - 1) * size).take(size).map(|it| listed(*it)).collect();
        Ok(json!({
            "Instances": shown,
            "TotalCount": matching.len(),
            "PageNo": page,
            "PageSize": size,
        }))
    }

    fn authorize(&self, action: &str, resource: &str) -> Result<(), Failure> {
        self.caller
            .authorize(self.world, action, resource)
            .map_err(|denial| Failure::no_privilege().because(&denial))
    }

    /// The code for an instance that is not there, or not in this account, is not known.
    /// NoPrivilege is the only refusal that the metadata lists [meta].
    fn own_instance(&self, id: &str) -> Result<Located<'a>, Failure> {
        self.world
            .instance(id)
            .filter(|located| located.account == self.caller.account())
            .filter(|located| self.region.is_none_or(|region| located.instance.region == region))
            .ok_or_else(Failure::no_privilege)
    }
}

fn instance_id(parameters: &Parameters) -> Result<&str, Failure> {
    parameters.get("InstanceId").ok_or_else(|| Failure::missing("InstanceId"))
}

fn number(parameters: &Parameters, name: &str, default: usize) -> Result<usize, Failure> {
    let Some(text) = parameters.get(name) else { return Ok(default) };
    match text.parse() {
        Ok(number) if (1..=100).contains(&number) || (name == "PageNo" && number > 0) => Ok(number),
        _ => Err(Failure::invalid(name, format!("The parameter {name} is not valid."))),
    }
}

/// Times are strings here (in GetInstance they are numbers) [meta].
fn listed(located: Located<'_>) -> Json {
    json!({
        "InstanceId": located.id,
        "InstanceName": located.instance.name,
        "InstanceStatus": located.instance.status,
        "InstanceSpecification": located.instance.specification,
        "RegionId": located.instance.region,
        "ResourceGroupId": "rg-acfm00000000000",
        "CreateTime": "1571886398000",
        "ModifiedTime": "1571926856000",
    })
}

fn endpoint(located: Located<'_>, kind: &str, enabled: bool, with_acl: bool) -> Json {
    let system = hosts::system(located.instance, kind == "vpc");
    let mut domains = vec![json!({"Type": "SYSTEM", "Domain": system})];
    for domain in &located.instance.custom_domains {
        domains.push(json!({"Type": "USER", "Domain": domain}));
    }
    let mut endpoint = json!({
        "EndpointType": kind,
        "Enable": enabled,
        "AclEnable": kind == "internet",
        "Status": if enabled { "RUNNING" } else { "STOPPED" },
        "Domains": domains,
        "LinkedVpcs": if kind == "vpc" { json!([{"VpcId": "vpc-bp1registry00000000001"}]) } else { json!([]) },
    });
    if with_acl {
        endpoint["AclEntries"] = json!([{"Entry": "203.0.113.0/24"}]);
    }
    endpoint
}
