//! `ALIBABA_CLOUD_CREDENTIALS_URI`: where a service on this machine, or one behind TLS, gives
//! temporary credentials.

use crate::config::settings::check_base_url;
use crate::secret::Secret;

/// Where to ask.
#[derive(Debug, Clone)]
pub struct CredentialsUri {
    /// Scheme and host; over plain http this machine alone, because the answer is a credential.
    pub base_url: String,
    /// Path and query, in which a service may want to see a secret.
    pub path: Secret,
}

impl CredentialsUri {
    /// None for what credentials must not come from: plain http from elsewhere, a user name or
    /// password in the URI, a fragment.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, path) = rest.split_at_checked(end)?;
        let base_url = check_base_url(&format!("{scheme}://{host}"), false).ok()?;
        let fits = path.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        let slash = if path.starts_with('/') { "" } else { "/" };
        fits.then(|| Self { base_url, path: Secret::new(format!("{slash}{path}")) })
    }
}

#[cfg(test)]
mod tests {
    use super::CredentialsUri;

    #[test]
    fn where_credentials_may_come_from() {
        for (text, base_url, path) in [
            ("http://127.0.0.1:6666/?user=a", "http://127.0.0.1:6666", "/?user=a"),
            ("http://localhost:6666", "http://localhost:6666", "/"),
            ("http://[::1]/a?b", "http://[::1]", "/a?b"),
            ("https://broker.example?a=b/c", "https://broker.example", "/?a=b/c"),
        ] {
            let uri = CredentialsUri::parse(text).unwrap();
            assert_eq!((uri.base_url.as_str(), uri.path.expose()), (base_url, path), "{text}");
            assert!(!format!("{uri:?}").contains("user"));
        }
        for text in [
            "",
            "127.0.0.1:6666",
            "http://10.0.0.1/",
            "http://broker.example/",
            "http://user:word@127.0.0.1/",
            "https://user@broker.example/",
            "https://broker.example/#a",
            "https://broker.example/a b",
            "file:///etc/passwd",
            "https:///a",
        ] {
            assert!(CredentialsUri::parse(text).is_none(), "{text}");
        }
    }
}
