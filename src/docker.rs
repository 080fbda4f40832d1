//! The protocol of docker's credential helpers: what a client writes, and what it accepts.
//!
//! Source: `docker/docker-credential-helpers`, and what docker, podman, skopeo, buildah, crane and
//! oras do with each answer (docs/docker.md).

use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// What clients take for "no login here, continue without", word for word, on stdout and with exit
/// code 1. Any other text stops all of them but docker.
pub const NOT_FOUND: &str = "credentials not found in native keychain";

/// The one argument of a helper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Get,
    Store,
    Erase,
    List,
    /// For people, as other helpers have it.
    Version,
    Help,
}

impl Verb {
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "get" => Self::Get,
            "store" => Self::Store,
            "erase" => Self::Erase,
            "list" => Self::List,
            "version" | "--version" | "-v" | "-V" => Self::Version,
            "help" | "--help" | "-h" => Self::Help,
            _ => return None,
        })
    }
}

/// Which registry a client means.
#[derive(Debug, PartialEq, Eq)]
pub struct Server<'a> {
    /// As the client wrote it. Some clients take the answer's text for the registry's address.
    pub written: &'a str,
    /// `host[:port]` alone, in lower case: without a user's name, which can have a password with it.
    pub host: String,
}

/// Why the text on stdin does not name a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    #[error("nothing on stdin; expected the host of a registry")]
    Empty,
    #[error("the text on stdin does not name the host of a registry")]
    NoHost,
    #[error("the text on stdin is not the host of a registry: it is not UTF-8 text")]
    NotText,
    #[error(
        "the text on stdin is not the host of a registry: it has spaces or control characters in it"
    )]
    NotPrintable,
    #[error("the text on stdin is not what `store` gets: a JSON object with ServerURL")]
    NotStored,
}

impl<'a> Server<'a> {
    /// Reads what `get` is given: a host with or without scheme, port, path and line end.
    ///
    /// # Errors
    ///
    /// For a text without a host in it.
    pub fn read(text: &'a [u8]) -> Result<Self, ServerError> {
        let text = std::str::from_utf8(text).map_err(|_| ServerError::NotText)?;
        if text.trim().is_empty() { Err(ServerError::Empty) } else { Self::parse(text) }
    }

    fn parse(text: &'a str) -> Result<Self, ServerError> {
        let written = text.trim();
        if written.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(ServerError::NotPrintable);
        }
        let bare = written.split_once("://").map_or(written, |(_, behind)| behind);
        let authority = bare.split_once('/').map_or(bare, |(authority, _)| authority);
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        if host.is_empty() {
            return Err(ServerError::NoHost);
        }
        Ok(Self { written, host: host.to_ascii_lowercase() })
    }
}

/// What `store` is given. The login in it is not read.
#[derive(Debug, Deserialize)]
pub struct Stored {
    #[serde(rename = "ServerURL")]
    server: String,
}

impl Stored {
    /// Reads what `store` is given.
    ///
    /// # Errors
    ///
    /// For anything but an object that names the server. The text is not quoted: it holds a login.
    pub fn read(text: &[u8]) -> Result<Self, ServerError> {
        // serde would take an array for the fields in their order.
        let is_object = text.trim_ascii_start().starts_with(b"{");
        let stored = is_object.then(|| serde_json::from_slice(text).ok()).flatten();
        stored.ok_or(ServerError::NotStored)
    }

    /// # Errors
    ///
    /// For a text without a host in it.
    pub fn server(&self) -> Result<Server<'_>, ServerError> {
        Server::parse(&self.server)
    }
}

#[derive(Serialize)]
struct Credentials<'a> {
    #[serde(rename = "ServerURL")]
    server: &'a str,
    #[serde(rename = "Username")]
    user_name: &'a str,
    #[serde(rename = "Secret")]
    secret: &'a str,
}

/// The whole answer to `get`, as it goes to stdout.
pub fn credentials(server: &Server<'_>, user_name: &str, secret: &Secret) -> Secret {
    let credentials = Credentials { server: server.written, user_name, secret: secret.expose() };
    // Strings only: it cannot fail.
    let mut text = serde_json::to_string(&credentials).unwrap_or_default();
    text.push('\n');
    Secret::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_as_clients_write_them() {
        for (text, host) in [
            ("r.example.com", "r.example.com"),
            ("r.example.com\n", "r.example.com"),
            ("r.example.com\r\n", "r.example.com"),
            ("r.example.com:5000", "r.example.com:5000"),
            ("r.example.com:5000/ns/app", "r.example.com:5000"),
            ("https://r.example.com", "r.example.com"),
            ("https://r.example.com/", "r.example.com"),
            ("http://r.example.com:5000/v2/\n", "r.example.com:5000"),
            ("https://index.docker.io/v1/", "index.docker.io"),
            ("https://u:p@w@R.example.com:5000/v2/", "r.example.com:5000"),
            ("r.example.com/a@b", "r.example.com"),
        ] {
            let server = Server::read(text.as_bytes()).unwrap();
            assert_eq!((server.host.as_str(), server.written), (host, text.trim()));
        }
    }

    #[test]
    fn what_names_no_server() {
        for (text, error) in [
            (&b""[..], ServerError::Empty),
            (b" \n", ServerError::Empty),
            (b"https://", ServerError::NoHost),
            (b"/a", ServerError::NoHost),
            (b"u@/a", ServerError::NoHost),
            (b"a b", ServerError::NotPrintable),
            (b"a\nb", ServerError::NotPrintable),
            (b"a\0", ServerError::NotPrintable),
            (b"\xff", ServerError::NotText),
        ] {
            assert_eq!(Server::read(text), Err(error), "{text:?}");
        }
    }
}
