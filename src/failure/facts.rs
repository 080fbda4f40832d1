//! What is known of a call, to name the real thing in a message.

use crate::aliyun::Hop;
use crate::aliyun::ids::{OidcProviderArn, Region, RoleArn};
use crate::aliyun::owner::Owner;

/// A call: the hop, who asked, and for what.
#[derive(Debug, Clone)]
pub struct Facts {
    pub hop: Hop,
    pub caller: Option<Owner>,
    role: Option<String>,
    /// An instance by its id, or by its name where the id is looked for.
    instance: Option<String>,
    region: Option<String>,
    provider: Option<String>,
    /// Whom an OIDC token stands for, as its claims say.
    subject: Option<String>,
    /// The firmware says that this machine is an ECS instance.
    pub on_cloud_node: bool,
}

impl Facts {
    /// A call of which nothing more is known.
    pub fn of(hop: Hop) -> Self {
        Self {
            hop,
            caller: None,
            role: None,
            instance: None,
            region: None,
            provider: None,
            subject: None,
            on_cloud_node: false,
        }
    }

    pub fn metadata(hop: Hop, on_cloud_node: bool) -> Self {
        Self { on_cloud_node, ..Self::of(hop) }
    }

    pub fn assume_role(role: &RoleArn, caller: &Owner) -> Self {
        Self {
            role: Some(role.to_string()),
            caller: Some(caller.clone()),
            ..Self::of(Hop::AssumeRole)
        }
    }

    pub fn assume_role_with_oidc(
        role: &RoleArn,
        provider: &OidcProviderArn,
        subject: Option<String>,
    ) -> Self {
        Self {
            role: Some(role.to_string()),
            provider: Some(provider.to_string()),
            subject,
            ..Self::of(Hop::AssumeRoleWithOidc)
        }
    }

    /// A call of Container Registry. `instance` is what it is about, if it is about one.
    pub fn registry(
        hop: Hop,
        caller: &Owner,
        instance: Option<&str>,
        region: Option<&Region>,
    ) -> Self {
        Self {
            caller: Some(caller.clone()),
            instance: instance.map(str::to_owned),
            region: region.map(ToString::to_string),
            ..Self::of(hop)
        }
    }

    /// Such as `AssumeRole of acs:ram::1:role/puller by the worker role R`.
    pub fn call(&self) -> String {
        let of = self.role.as_ref().or(self.instance.as_ref());
        let of = of.map_or(String::new(), |of| format!(" of {of}"));
        let by = self.caller.as_ref().map_or(String::new(), |caller| format!(" by {caller}"));
        format!("{}{of}{by}", self.hop)
    }

    /// It is an AccessKey that asks, and not a role.
    pub fn by_access_key(&self) -> bool {
        matches!(self.caller, Some(Owner::AccessKey(_)))
    }

    /// Puts what is known into a text, and general words for the rest.
    pub fn fill(&self, text: &str) -> String {
        let caller = self.caller.as_ref().map(ToString::to_string);
        let arn = self.caller.as_ref().map(Owner::arn);
        let parts = [
            ("{role}", &self.role, "the role"),
            ("{caller}", &caller, "the caller"),
            ("{caller's ARN}", &arn, "the caller's ARN"),
            ("{instance}", &self.instance, "the instance"),
            ("{region}", &self.region, "this region"),
            ("{provider}", &self.provider, "the OIDC provider"),
            ("{subject}", &self.subject, "the token's subject"),
        ];
        parts.iter().fold(text.to_owned(), |text, (name, value, otherwise)| {
            text.replace(name, value.as_deref().unwrap_or(otherwise))
        })
    }
}
