//! Whose credentials ask, as messages name them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::aliyun::ids::{AccessKeyId, RoleArn};

/// The owner of credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Owner {
    /// Who has a configured AccessKey: the end of its id, where that is one for certain.
    AccessKey(Option<String>),
    /// The role of this instance, by its name.
    WorkerRole(String),
    /// A role that was assumed, by its ARN.
    Role(String),
}

impl Owner {
    /// What a policy names, in words where the account is not known.
    pub fn arn(&self) -> String {
        match self {
            Self::AccessKey(_) => "the ARN of the AccessKey's RAM user".to_owned(),
            Self::WorkerRole(name) => format!("the ARN of the worker role {name}"),
            Self::Role(arn) => arn.clone(),
        }
    }

    /// Who has an AccessKey. Enough of the id is kept to recognise it. Nothing is kept of
    /// what may be a secret in the id's place.
    pub fn of_access_key(id: &str) -> Self {
        Self::AccessKey(AccessKeyId::parse(id).and_then(|id| id.end().map(str::to_owned)))
    }
}

impl From<&RoleArn> for Owner {
    fn from(role: &RoleArn) -> Self {
        Self::Role(role.to_string())
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccessKey(Some(tail)) => write!(f, "the owner of AccessKey …{tail}"),
            Self::AccessKey(None) => f.write_str("the owner of the configured AccessKey"),
            Self::WorkerRole(name) => write!(f, "the worker role {name}"),
            Self::Role(arn) => f.write_str(arn),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_key_is_named_by_the_end_of_its_id_and_a_secret_not_at_all() {
        let named = |id| Owner::of_access_key(id).to_string();
        assert_eq!(named("LTAI5tFakeFakeFakeFake01"), "the owner of AccessKey …ke01");
        assert_eq!(named("STS.NFake02"), "the owner of AccessKey …ke02");
        for other in ["MadeUpB3pullTk9Dw2Mv7Qz4Xc6Ln0", "x", ""] {
            assert_eq!(named(other), "the owner of the configured AccessKey");
        }
    }
}
