//! RAM policy documents: permission policies, session policies and trust policies.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;

/// What a condition may ask about, e.g. `oidc:sub`; a key can have several values.
pub(super) type Context = BTreeMap<&'static str, Vec<String>>;

/// The answer of one or more policies. An explicit `Deny` wins over any `Allow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    ImplicitDeny,
    ExplicitDeny,
}

impl Verdict {
    fn of(effects: impl Iterator<Item = Effect>) -> Self {
        effects.fold(Self::ImplicitDeny, |verdict, effect| match (verdict, effect) {
            (Self::ExplicitDeny, _) | (_, Effect::Deny) => Self::ExplicitDeny,
            (_, Effect::Allow) => Self::Allowed,
        })
    }
}

/// A permission policy of a user or role, or the `Policy` parameter of AssumeRole.
#[derive(Clone, Debug)]
pub(super) struct PermissionPolicy {
    statements: Vec<Statement<Vec<String>>>,
}

impl PermissionPolicy {
    pub(super) fn parse(document: &Json) -> Result<Self, String> {
        let statements = parse(document, |raw| {
            if raw.principal.is_some() {
                return Err("a permission policy has no Principal".to_owned());
            }
            let resources = raw.resource.take().ok_or("Resource is missing")?.into_vec();
            match resources.iter().find(|it| it.as_str() != "*" && !it.starts_with("acs:")) {
                Some(odd) => Err(format!("`{odd}` is not a resource name")),
                None => Ok(resources),
            }
        })?;
        Ok(Self { statements })
    }

    /// What several policies of one identity say together.
    pub(super) fn decide<'a>(
        policies: impl IntoIterator<Item = &'a Self>,
        action: &str,
        resource: &str,
    ) -> Verdict {
        // No condition key is given to permission policies: a statement with a condition on one
        // (a source address, say) does not apply.
        let context = Context::new();
        Verdict::of(
            policies
                .into_iter()
                .flat_map(|policy| &policy.statements)
                .filter(|statement| statement.target.iter().any(|it| like(it, resource)))
                .filter(|statement| statement.applies(action, &context))
                .map(|statement| statement.effect),
        )
    }
}

/// Who may assume a role.
#[derive(Clone, Debug)]
pub(super) struct TrustPolicy {
    statements: Vec<Statement<Principals>>,
}

/// Who asks to assume a role.
pub(super) enum Asker<'a> {
    /// The name of a RAM user or role, and the account it is in.
    Ram { name: &'a str, account: &'a str },
    /// The name of an OIDC provider.
    Federated { provider: &'a str },
    /// E.g. `ecs.aliyuncs.com`, for a role that is attached to an instance.
    Service { name: &'a str },
}

impl TrustPolicy {
    pub(super) fn parse(document: &Json) -> Result<Self, String> {
        let statements = parse(document, |raw| {
            if raw.resource.is_some() {
                return Err("a trust policy has no Resource".to_owned());
            }
            raw.principal.take().ok_or_else(|| "Principal is missing".to_owned())
        })?;
        Ok(Self { statements })
    }

    /// The action is always `sts:AssumeRole`, for OIDC as well: that is what the vendor's RRSA page
    /// has. Snippets with `sts:AssumeRoleWithOIDC` contradict it and grant nothing here.
    pub(super) fn decide(&self, asker: &Asker<'_>, context: &Context) -> Verdict {
        Verdict::of(
            self.statements
                .iter()
                .filter(|statement| statement.target.include(asker))
                .filter(|statement| statement.applies("sts:AssumeRole", context))
                .map(|statement| statement.effect),
        )
    }
}

#[derive(Clone, Debug)]
struct Statement<Target> {
    effect: Effect,
    actions: Actions,
    target: Target,
    conditions: Vec<Condition>,
}

impl<Target> Statement<Target> {
    fn applies(&self, action: &str, context: &Context) -> bool {
        let named = match &self.actions {
            Actions::Only(patterns) => patterns.iter().any(|it| like(it, action)),
            Actions::AllBut(patterns) => !patterns.iter().any(|it| like(it, action)),
        };
        named && self.conditions.iter().all(|condition| condition.holds(context))
    }
}

#[derive(Clone, Debug)]
enum Actions {
    Only(Vec<String>),
    AllBut(Vec<String>),
}

#[derive(Clone, Debug)]
struct Condition {
    operator: Operator,
    key: String,
    values: Vec<String>,
}

impl Condition {
    /// A key that the request does not have fulfils no condition.
    fn holds(&self, context: &Context) -> bool {
        let Some(actual) = context.get(self.key.as_str()) else { return false };
        let any = |matches: fn(&str, &str) -> bool| {
            actual.iter().any(|value| self.values.iter().any(|wanted| matches(wanted, value)))
        };
        match self.operator {
            Operator::Equals => any(|wanted, value| wanted == value),
            Operator::NotEquals => !any(|wanted, value| wanted == value),
            Operator::EqualsIgnoreCase => any(|wanted, value| wanted.eq_ignore_ascii_case(value)),
            Operator::Like => any(like),
            Operator::NotLike => !any(like),
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
enum Operator {
    #[serde(rename = "StringEquals")]
    Equals,
    #[serde(rename = "StringNotEquals")]
    NotEquals,
    #[serde(rename = "StringEqualsIgnoreCase")]
    EqualsIgnoreCase,
    #[serde(rename = "StringLike")]
    Like,
    #[serde(rename = "StringNotLike")]
    NotLike,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Principals {
    #[serde(rename = "RAM")]
    ram: Option<OneOrMany>,
    #[serde(rename = "Service")]
    service: Option<OneOrMany>,
    #[serde(rename = "Federated")]
    federated: Option<OneOrMany>,
}

impl Principals {
    fn include(&self, asker: &Asker<'_>) -> bool {
        let listed = |list: &Option<OneOrMany>, name: &str| {
            list.as_ref().is_some_and(|list| list.as_slice().iter().any(|it| it == name))
        };
        match asker {
            // Naming an account's root trusts whomever that account itself permits.
            Asker::Ram { name, account } => {
                listed(&self.ram, name) || listed(&self.ram, &format!("acs:ram::{account}:root"))
            }
            Asker::Federated { provider } => listed(&self.federated, provider),
            Asker::Service { name } => listed(&self.service, name),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct RawDocument {
    version: String,
    statement: Vec<RawStatement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct RawStatement {
    effect: Effect,
    action: Option<OneOrMany>,
    not_action: Option<OneOrMany>,
    resource: Option<OneOrMany>,
    principal: Option<Principals>,
    #[serde(default)]
    condition: BTreeMap<Operator, BTreeMap<String, OneOrMany>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

fn parse<Target>(
    document: &Json,
    target: impl Fn(&mut RawStatement) -> Result<Target, String>,
) -> Result<Vec<Statement<Target>>, String> {
    let raw = RawDocument::deserialize(document).map_err(|error| error.to_string())?;
    if raw.version != "1" {
        return Err(format!("Version is `{}`, must be `1`", raw.version));
    }
    raw.statement
        .into_iter()
        .map(|mut raw| {
            let target = target(&mut raw)?;
            let actions = match (raw.action, raw.not_action) {
                (Some(action), None) => Actions::Only(actions(action)?),
                (None, Some(action)) => Actions::AllBut(actions(action)?),
                _ => return Err("one of Action and NotAction is needed".to_owned()),
            };
            let conditions = raw
                .condition
                .into_iter()
                .flat_map(|(operator, keys)| {
                    keys.into_iter().map(move |(key, values)| Condition {
                        operator,
                        key,
                        values: values.into_vec(),
                    })
                })
                .collect();
            Ok(Statement { effect: raw.effect, actions, target, conditions })
        })
        .collect()
}

fn actions(raw: OneOrMany) -> Result<Vec<String>, String> {
    let actions = raw.into_vec();
    match actions.iter().find(|it| it.as_str() != "*" && !it.contains(':')) {
        Some(odd) => Err(format!("`{odd}` is not an action")),
        None => Ok(actions),
    }
}

/// Whether `text` fits a pattern in which `*` stands for any run of characters and `?` for one.
/// Upper and lower case differ: the stricter reading, since every documented policy keeps to one.
fn like(pattern: &str, text: &str) -> bool {
    let mut pattern_rest = pattern.chars();
    match pattern_rest.next() {
        None => text.is_empty(),
        Some('*') => {
            like(pattern_rest.as_str(), text)
                || text.char_indices().any(|(at, character)| {
                    like(pattern_rest.as_str(), &text[at + character.len_utf8()..])
                })
        }
        Some(wanted) => {
            let mut text_rest = text.chars();
            text_rest.next().is_some_and(|actual| wanted == '?' || wanted == actual)
                && like(pattern_rest.as_str(), text_rest.as_str())
        }
    }
}

#[cfg(test)]
mod tests;
