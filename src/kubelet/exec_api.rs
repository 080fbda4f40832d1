//! The kubelet's exec plugin protocol: what it sends, and what it accepts.
//!
//! Source: `k8s.io/kubelet/pkg/apis/credentialprovider`, and `plugin.go` for how it is read. The
//! three versions differ in name alone, but for two fields that v1 gained in Kubernetes 1.33.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::kubelet::versions::{ApiVersion, PROTOCOL_GROUP};
use crate::secret::Secret;
use crate::system::go_duration;

const KIND: &str = "CredentialProviderRequest";

/// What the kubelet asks. Fields that a later version may add are ignored.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    api_version: String,
    /// Repository name, normalised, without tag and digest.
    #[serde(default)]
    pub image: String,
    /// A token of the pod's service account; v1 from Kubernetes 1.33, and only if configured.
    #[serde(default)]
    service_account_token: Option<Secret>,
    /// Those annotations of the service account that the kubelet's configuration names.
    #[serde(default)]
    service_account_annotations: Option<BTreeMap<String, String>>,
}

/// The pod that an image is pulled for, as far as the request says.
#[derive(Debug, Default, Clone, Copy)]
pub struct Pod<'a> {
    pub token: Option<&'a Secret>,
    pub annotations: Option<&'a BTreeMap<String, String>>,
    /// The protocol, where it is one without tokens.
    pub without_tokens: Option<WithoutTokens<'a>>,
}

/// A protocol in which no request has a token.
#[derive(Debug, Clone, Copy)]
pub enum WithoutTokens<'a> {
    /// The kubelet's, in this version.
    Version(&'a str),
    /// That of docker's credential helpers.
    Docker,
}

/// The login for a host, as the kubelet takes it.
#[derive(Debug)]
pub struct Login {
    pub user_name: String,
    pub password: Secret,
    /// Seconds that the kubelet may keep it.
    pub cache_seconds: u64,
}

impl Request {
    /// What the request says of the pod.
    pub fn pod(&self) -> Pod<'_> {
        Pod {
            token: self.service_account_token.as_ref().filter(|token| !token.is_empty()),
            annotations: self.service_account_annotations.as_ref(),
            without_tokens: Some(self.api_version.as_str())
                .filter(|version| {
                    ApiVersion::parse(version, PROTOCOL_GROUP) != Some(ApiVersion::V1)
                })
                .map(WithoutTokens::Version),
        }
    }
}

/// Why the text on stdin is not a request.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("nothing on stdin; expected a {KIND} in JSON")]
    Empty,
    #[error("the text on stdin is not a {KIND} in JSON: {0}")]
    Json(String),
    #[error("the request on stdin has {0}; expected kind `{KIND}`")]
    Kind(String),
    #[error("the request on stdin has {0}; expected {PROTOCOL_GROUP} with v1, v1beta1 or v1alpha1")]
    Version(String),
}

/// Reads a request.
///
/// # Errors
///
/// Anything but one JSON object of the right kind and one of the three versions.
pub fn read_request(text: &[u8]) -> Result<Request, RequestError> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(RequestError::Empty);
    }
    // serde_json does not look at the bytes of strings that it skips.
    let text = std::str::from_utf8(text)
        .map_err(|_| RequestError::Json("it is not UTF-8 text".to_owned()))?;
    // serde would take an array for the fields in their order.
    if !text.trim_ascii_start().starts_with('{') {
        let what = match text.chars().next() {
            Some('\u{feff}') => "it begins with a byte order mark",
            Some('\0') => "it begins with a NUL byte, as UTF-16 does, and not with UTF-8 text",
            _ => "it is not an object",
        };
        return Err(RequestError::Json(what.to_owned()));
    }
    let request: Request =
        serde_json::from_str(text).map_err(|error| RequestError::Json(place(&error)))?;
    if request.kind != KIND {
        return Err(RequestError::Kind(field("kind", &request.kind)));
    }
    if ApiVersion::parse(&request.api_version, PROTOCOL_GROUP).is_none() {
        return Err(RequestError::Version(field("apiVersion", &request.api_version)));
    }
    Ok(request)
}

/// Says where and what kind of mistake, without quoting: the request may hold a token.
fn place(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => "a field has the wrong type or is there twice",
        _ => "it is not well formed",
    };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

/// What a field has, for a message.
fn field(name: &str, text: &str) -> String {
    if text.is_empty() {
        return format!("no {name}");
    }
    let shown: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
    format!("{name} `{shown}`")
}

/// Fields in the kubelet's order; it decodes strictly, so there is no other.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    kind: &'static str,
    api_version: &'a str,
    cache_key_type: &'static str,
    cache_duration: String,
    auth: Option<BTreeMap<&'a str, Auth<'a>>>,
}

#[derive(Serialize)]
struct Auth<'a> {
    username: &'a str,
    password: &'a str,
}

/// The whole answer, as it goes to stdout.
///
/// With a login it covers every image of the registry's host. Without one it makes the kubelet
/// ask again for each image, and pull anonymously or with other credentials.
pub fn response(request: &Request, login: Option<(&str, &Login)>) -> Secret {
    let (cache_key_type, seconds) = match login {
        Some((_, login)) => ("Registry", login.cache_seconds),
        None => ("Image", 0),
    };
    let auth = login.map(|(host, login)| {
        let auth = Auth { username: &login.user_name, password: login.password.expose() };
        BTreeMap::from([(host, auth)])
    });
    let response = Response {
        kind: "CredentialProviderResponse",
        api_version: &request.api_version,
        cache_key_type,
        cache_duration: go_duration::format_go(seconds),
        auth,
    };
    // Strings and numbers only: it cannot fail, and the kubelet takes an empty text for an error.
    let mut text = serde_json::to_string(&response).unwrap_or_default();
    text.push('\n');
    Secret::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_as_no_text_of_ours_does_is_told() {
        for (begin, what) in [
            (&b"\xef\xbb\xbf{}"[..], "byte order mark"),
            (b"\xff\xfe{\0}\0", "not UTF-8"),
            (b"\xfe\xff\0{\0}", "not UTF-8"),
            (b"\0{\0}", "NUL byte"),
            (b"{\0}\0", "not well formed"),
            (b" []", "not an object"),
        ] {
            let error = read_request(begin).unwrap_err().to_string();
            assert!(error.contains(what), "{begin:?}: {error}");
        }
    }

    #[test]
    fn a_request_is_text_also_where_it_is_skipped() {
        let request = |other: &[u8]| {
            let (before, after) = (
                &br#"{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","other":""#[..],
                &br#""}"#[..],
            );
            read_request(&[before, other, after].concat())
        };
        assert!(request("é".as_bytes()).is_ok());
        assert!(
            matches!(request(b"\xff"), Err(RequestError::Json(what)) if what.contains("UTF-8"))
        );
    }
}
