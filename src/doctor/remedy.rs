//! The exact remedy: the policy that is missing, with the ARNs of this very configuration filled
//! in, and the line of the configuration that is in question.

use serde_json::Value;

use crate::aliyun::owner::Owner;
use crate::aliyun::ram_policy;
use crate::config::{Config, IdentitySource};
use crate::doctor::configuration;
use crate::failure::{Denied, Exit, Failure};
use crate::pull::identity::{self, Identity};
use crate::pull::node::Node;
use crate::pull::registry_instance::Target;
use crate::system::text::one_line;

/// What else helps beside the hint of the failure; none if nothing of the kind would.
#[must_use]
pub fn exact(
    failure: &Failure,
    caller: Option<&Identity>,
    target: &Target<'_>,
    config: &Config,
    node: &Node<'_>,
) -> Vec<String> {
    let mut remedies: Vec<String> = line(failure, target, config).into_iter().collect();
    if failure.exit == Exit::Identity && configuration::pods_alone(target.entry) {
        remedies.push(
            "to try a pod's token by hand, put it into a request as serviceAccountToken".to_owned(),
        );
    }
    if failure.denied.is_some() {
        remedies.extend(narrowed(failure, target, config));
    }
    // No permission helps against these.
    let beyond = [Denied::BySession, Denied::Strictly];
    if let Some(denied) = failure.denied.filter(|denied| !beyond.contains(denied)) {
        remedies.extend(match failure.exit {
            Exit::Identity => oidc_trust(target).into_iter().collect(),
            Exit::AssumeRole => assume(denied, caller, target, node),
            Exit::RegistryToken => vec![permission(caller, &ram_policy::pull())],
            _ => Vec::new(),
        });
    }
    remedies
}

/// What lets a login pull that is right otherwise.
#[must_use]
pub fn pull_right(caller: &Identity, target: &Target<'_>, config: &Config) -> Vec<String> {
    let narrowed = session_policy(target, config);
    narrowed.into_iter().chain([permission(Some(caller), &ram_policy::pull())]).collect()
}

fn session_policy(target: &Target<'_>, config: &Config) -> Option<String> {
    target.entry.written.has("sessionPolicy").then(|| {
        let place = configuration::place(config, target.entry, "sessionPolicy");
        format!(
            "see {place}sessionPolicy: it allows this session no more than a pull from its instance"
        )
    })
}

/// Where the value stands that the service did not like.
fn line(failure: &Failure, target: &Target<'_>, config: &Config) -> Option<String> {
    let entry = target.entry;
    let key = failure.key.as_deref()?;
    // An AccessKey of the environment stands in no line.
    entry.written.at?;
    // Nor does one of a profile.
    if let IdentitySource::Profile(_) = entry.identity {
        return None;
    }
    let place = configuration::place(config, entry, key);
    Some(if entry.written.has(key) {
        format!("compare {place}{key}")
    } else {
        format!("compare {place}{} has no {key}", entry.name)
    })
}

/// The line of the entry that may be what denies.
fn narrowed(failure: &Failure, target: &Target<'_>, config: &Config) -> Option<String> {
    let role = target.entry.role.as_ref()?;
    let place = |key| configuration::place(config, target.entry, key);
    match failure.exit {
        Exit::AssumeRole if matches!(failure.denied, Some(Denied::ByTrust | Denied::Unknown)) => {
            role.external_id.as_ref()?;
            Some(format!(
                "compare {}externalId with sts:ExternalId in the trust policy of {}",
                place("externalId"),
                role.arn
            ))
        }
        Exit::RegistryToken => session_policy(target, config),
        _ => None,
    }
}

fn permission(caller: Option<&Identity>, policy: &Value) -> String {
    let who = caller.map_or("the identity".to_owned(), |caller| caller.owner.to_string());
    format!("attach this policy to {who}:\n{}", ram_policy::text(policy))
}

fn trust(role: &str, policy: &Value) -> String {
    format!("add this statement to the trust policy of {role}:\n{}", ram_policy::text(policy))
}

fn assume(
    denied: Denied,
    caller: Option<&Identity>,
    target: &Target<'_>,
    node: &Node<'_>,
) -> Vec<String> {
    let Some(role) = &target.entry.role else { return Vec::new() };
    let mut remedies = Vec::new();
    if denied != Denied::ByPermission {
        let arn: Vec<String> = caller_arn(caller, target, node).into_iter().collect();
        let policy = ram_policy::trust(&arn, role.external_id.as_deref());
        remedies.push(trust(role.arn.as_str(), &policy));
    }
    if denied != Denied::ByTrust {
        remedies.push(permission(caller, &ram_policy::assume(&[&role.arn])));
    }
    remedies
}

/// The ARN of who asks.
fn caller_arn(caller: Option<&Identity>, target: &Target<'_>, node: &Node<'_>) -> Option<String> {
    let account = || {
        let account = node.metadata().ok().and_then(|metadata| metadata.account().ok());
        account.unwrap_or_else(|| "<account of this node>".to_owned())
    };
    let worker_role = caller.and_then(|caller| match &caller.owner {
        Owner::WorkerRole(name) => Some(name.as_str()),
        Owner::AccessKey(_) | Owner::Role(_) => None,
    });
    identity::principal(&target.entry.identity, account, worker_role)
}

/// What the token file itself says, where the service refused it.
#[must_use]
pub fn token_file(failure: &Failure, target: &Target<'_>) -> Option<String> {
    let IdentitySource::Oidc(oidc) = &target.entry.identity else { return None };
    let claims = identity::token_file_claims(oidc).filter(|_| failure.exit == Exit::Identity)?;
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    let ends = claims.expires.map(|at| at.to_string());
    Some(one_line(&format!(
        "the token in {}: audience {}, issuer {}, subject {}, ends {}",
        oidc.token_file.display(),
        claims.audience.join(", "),
        or_none(claims.issuer),
        or_none(claims.subject),
        or_none(ends),
    )))
}

fn oidc_trust(target: &Target<'_>) -> Option<String> {
    let IdentitySource::Oidc(oidc) = &target.entry.identity else { return None };
    let claims = identity::token_file_claims(oidc)?;
    let role = oidc.role.as_ref()?;
    let subjects: Vec<String> = claims.subject.into_iter().collect();
    let issuer = claims.issuer.unwrap_or_default();
    let policy = ram_policy::trust_oidc(&oidc.provider, &issuer, &subjects);
    Some(trust(role.as_str(), &policy))
}
