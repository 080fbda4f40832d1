//! RAM policies of both accounts, with real ARNs in them: the statements of the vendor's page on
//! pulling images across accounts, as narrow as this program needs them.

use serde_json::{Value, json};

use crate::aliyun::ids::{OidcProviderArn, RoleArn};
use crate::aliyun::sts::AUDIENCE;

/// The actions of a pull.
const PULL: [&str; 3] =
    ["cr:GetAuthorizationToken", "cr:ListInstanceEndpoint", "cr:PullRepository"];

/// In place of an AccessKey's owner: nothing here knows the account of its user.
pub const KEY_ACCOUNT: &str = "acs:ram::<account of the AccessKey's user>:root";

/// In place of whom a credentials URI gives credentials of, which it does not say.
pub const URI_OWNER: &str = "acs:ram::<account>:role/<role behind the credentials URI>";

/// Whether it stands for somebody whose ARN is not known.
pub fn is_stand_in(principal: &str) -> bool {
    [KEY_ACCOUNT, URI_OWNER].contains(&principal)
}

/// The trust policy of the role in the registry's account: these roles may assume it.
pub fn trust(roles: &[String], external_id: Option<&str>) -> Value {
    let mut statement = json!({
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"RAM": roles},
    });
    if let (Some(id), Value::Object(fields)) = (external_id, &mut statement) {
        fields.insert("Condition".to_owned(), json!({"StringEquals": {"sts:ExternalId": id}}));
    }
    policy(&statement)
}

/// The trust policy of an RRSA role: these service accounts of the cluster may assume it.
pub fn trust_oidc(provider: &OidcProviderArn, issuer: &str, subjects: &[String]) -> Value {
    let mut equals = json!({"oidc:aud": AUDIENCE, "oidc:sub": subjects});
    if let Value::Object(fields) = &mut equals
        && !issuer.is_empty()
    {
        fields.insert("oidc:iss".to_owned(), json!(issuer));
    }
    policy(&json!({
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Federated": [provider.as_str()]},
        "Condition": {"StringEquals": equals},
    }))
}

/// Whether a policy lets tokens in of whatever issuer.
#[must_use]
pub fn lacks_issuer(policy: &Value) -> bool {
    let statements = policy.get("Statement").and_then(Value::as_array).into_iter().flatten();
    let equals = |statement: &Value| statement.pointer("/Condition/StringEquals").cloned();
    statements
        .filter_map(equals)
        .any(|equals| equals.get("oidc:sub").is_some() && equals.get("oidc:iss").is_none())
}

/// What the first identity needs: to assume these roles.
pub fn assume(roles: &[&RoleArn]) -> Value {
    let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    policy(&json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": roles}))
}

/// What the last role, or the AccessKey's user, needs: to pull. The first two actions know no
/// resource but `*`, and the vendor's page gives all three so.
pub fn pull() -> Value {
    policy(&json!({"Effect": "Allow", "Action": PULL, "Resource": "*"}))
}

/// Adds another policy's statements that a policy has not.
pub fn add(policy: &mut Value, other: &Value) {
    let statements = policy.get_mut("Statement").and_then(Value::as_array_mut);
    if let (Some(all), Some(more)) = (statements, other.get("Statement").and_then(Value::as_array))
    {
        let new: Vec<Value> = more.iter().filter(|one| !all.contains(one)).cloned().collect();
        all.extend(new);
    }
}

fn policy(statement: &Value) -> Value {
    json!({"Version": "1", "Statement": [statement]})
}

/// In the form that is pasted into the console.
pub fn text(policy: &Value) -> String {
    // Strings only: it cannot fail.
    serde_json::to_string_pretty(policy).unwrap_or_default()
}
