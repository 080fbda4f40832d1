//! How a service says no.

use serde_json::{Value as Json, json};

use super::identity::Denial;

/// An error answer of an API, before it is put into an envelope.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) access_denied_detail: Option<Json>,
}

impl Failure {
    pub(super) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), access_denied_detail: None }
    }

    pub(super) fn missing(parameter: &str) -> Self {
        let message = format!(
            "The input parameter \"{parameter}\" that is mandatory for processing this request is not supplied."
        );
        Self::new(400, "MissingParameter", message)
    }

    pub(super) fn invalid(parameter: &str, message: impl Into<String>) -> Self {
        Self::new(400, &format!("InvalidParameter.{parameter}"), message)
    }

    /// The refusal of STS for a missing permission, a missing trust and the root account alike
    /// [meta].
    pub(super) fn no_permission() -> Self {
        let message = "You are not authorized to do this action. You should be authorized by RAM.";
        Self::new(403, "NoPermission", message)
    }

    /// The refusal of Container Registry [meta].
    pub(super) fn no_privilege() -> Self {
        Self::new(403, "NoPrivilege", "Access denied for this user.")
    }

    pub(super) fn because(mut self, denial: &Denial) -> Self {
        self.access_denied_detail = Some(denial.detail());
        self
    }

    /// The envelope that all APIs of the vendor share.
    pub(super) fn envelope(&self, product: &str, host: &str, request_id: &str) -> Json {
        let code = &self.code;
        let mut envelope = json!({
            "RequestId": request_id,
            "HostId": host,
            "Code": code,
            "Message": self.message,
            "Recommend": format!(
                "https://api.aliyun.com/troubleshoot?q={code}&product={product}&requestId={request_id}"
            ),
        });
        if let Some(detail) = &self.access_denied_detail {
            envelope["AccessDeniedDetail"] = detail.clone();
        }
        envelope
    }
}
