//! The exact policy that is missing, with the ARNs of this very configuration filled in.

use crate::config::IdentitySource;
use crate::error::{Exit, Failure};
use crate::identity::{self, Identity};
use crate::instance::Target;
use crate::node::Node;
use crate::policies;

/// Policies to add, each with where it belongs; none if nothing of the kind would help.
#[must_use]
pub fn policies(
    failure: &Failure,
    caller: Option<&Identity>,
    target: &Target<'_>,
    node: &Node<'_>,
) -> Vec<String> {
    let denied = failure.code.as_deref().is_some_and(|code| {
        ["NoPermission", "NoPrivilege", "Forbidden"].iter().any(|word| code.contains(word))
    });
    if !denied {
        return Vec::new();
    }
    match failure.exit {
        Exit::Identity => oidc_trust(target).into_iter().collect(),
        Exit::AssumeRole => assume(caller, target, node),
        Exit::RegistryToken => {
            let who = caller.map_or("the identity", |caller| caller.owner.as_str());
            vec![format!("policy for {who}:\n{}", policies::text(&policies::pull()))]
        }
        _ => Vec::new(),
    }
}

fn assume(caller: Option<&Identity>, target: &Target<'_>, node: &Node<'_>) -> Vec<String> {
    let Some(role) = &target.entry.role else { return Vec::new() };
    let mut remedies = Vec::new();
    if let Some(arn) = caller_arn(caller, target, node) {
        let trust = policies::trust(&[arn], role.external_id.as_deref());
        remedies.push(format!("trust policy of {}:\n{}", role.arn, policies::text(&trust)));
    }
    let who = caller.map_or("the identity", |caller| caller.owner.as_str());
    let allow = policies::assume(&[&role.arn]);
    remedies.push(format!("policy for {who}:\n{}", policies::text(&allow)));
    remedies
}

/// The ARN of the role that asks, where it is a role's.
fn caller_arn(caller: Option<&Identity>, target: &Target<'_>, node: &Node<'_>) -> Option<String> {
    match &target.entry.identity {
        IdentitySource::AccessKey(_) => None,
        IdentitySource::Oidc(oidc) => oidc.role.as_ref().map(ToString::to_string),
        IdentitySource::WorkerRole => {
            let name = caller?.owner.rsplit(' ').next()?.to_owned();
            let account = node.metadata().ok()?.account().ok()?;
            Some(format!("acs:ram::{account}:role/{name}"))
        }
    }
}

fn oidc_trust(target: &Target<'_>) -> Option<String> {
    let IdentitySource::Oidc(oidc) = &target.entry.identity else { return None };
    let claims = identity::token_file_claims(oidc)?;
    let role = oidc.role.as_ref()?;
    let subjects: Vec<String> = claims.subject.into_iter().collect();
    let issuer = claims.issuer.unwrap_or_default();
    let trust = policies::trust_oidc(&oidc.provider, &issuer, &subjects);
    Some(format!("trust policy of {role}:\n{}", policies::text(&trust)))
}
