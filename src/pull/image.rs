//! Which registry an image is pulled from.
//!
//! The kubelet sends the repository name alone: no tag, no digest, always a host
//! (`image_manager.go`). People who debug by hand type tags, digests and bare hosts.

use std::borrow::Cow;

/// Where images without a host come from.
pub const DOCKER_HUB: &str = "docker.io";

/// Why a text does not name an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    #[error("the request names no image")]
    Empty,
    #[error("the image name begins with a scheme; leave `{0}://` out")]
    Scheme(&'static str),
    #[error("the image name has spaces or control characters in it")]
    NotPrintable,
}

/// The registry's `host[:port]`, letter for letter as the image has it.
///
/// Follows the reference grammar of container images: what stands before the first slash is a
/// host if it has a dot, a colon or a capital letter or is `localhost`; other names belong to
/// Docker Hub.
///
/// # Errors
///
/// For texts that are not an image name. Any host is a result, however odd: an exact comparison
/// decides whether it is one of ours.
pub fn registry_host(image: &str) -> Result<&str, ImageError> {
    if image.is_empty() {
        return Err(ImageError::Empty);
    }
    if image.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(ImageError::NotPrintable);
    }
    for scheme in ["https", "http", "docker", "oci"] {
        if image.strip_prefix(scheme).is_some_and(|rest| rest.starts_with("://")) {
            return Err(ImageError::Scheme(scheme));
        }
    }
    let is_host = |first: &str| {
        first.contains(['.', ':']) || first.contains(char::is_uppercase) || first == "localhost"
    };
    match image.split_once('/') {
        Some((first, _)) if is_host(first) => Ok(first),
        Some(_) => Ok(DOCKER_HUB),
        None => {
            let name = image.split_once('@').map_or(image, |(name, _)| name);
            let (host, tag) = name.split_once(':').unwrap_or((name, ""));
            let port = !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_digit());
            match host.contains('.') || host == "localhost" {
                true if port => Ok(name),
                true => Ok(host),
                false => Ok(DOCKER_HUB),
            }
        }
    }
}

/// The image as the kubelet names it: with its host, without tag and digest.
#[must_use]
pub fn repository(image: &str) -> Cow<'_, str> {
    let image = image.split('@').next().unwrap_or(image);
    let tag = image.rfind(':').filter(|at| {
        let behind = image.get(at + 1..).unwrap_or_default();
        // Behind a host alone stands a port.
        !behind.contains('/')
            && (image.contains('/') || !behind.bytes().all(|b| b.is_ascii_digit()))
    });
    let name = tag.and_then(|at| image.get(..at)).unwrap_or(image);
    let host = registry_host(name).unwrap_or(name);
    match name.strip_prefix(host).filter(|rest| rest.is_empty() || rest.starts_with('/')) {
        Some(_) => name.into(),
        None if name.contains('/') => format!("{DOCKER_HUB}/{name}").into(),
        None => format!("{DOCKER_HUB}/library/{name}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for (image, host) in [
            ("r.example.com/a/b", "r.example.com"),
            ("r.example.com/a/b:v1@sha256:00", "r.example.com"),
            ("r.example.com:5000/a", "r.example.com:5000"),
            ("r.example.com", "r.example.com"),
            ("r.example.com:5000", "r.example.com:5000"),
            ("r.example.com:v1", "r.example.com"),
            ("r.example.com@sha256:00", "r.example.com"),
            ("localhost:5000/a", "localhost:5000"),
            ("localhost/a", "localhost"),
            ("Registry/a", "Registry"),
            ("nginx", "docker.io"),
            ("nginx:1.29", "docker.io"),
            ("library/nginx", "docker.io"),
            ("a.example@r.example.com/x", "a.example@r.example.com"),
        ] {
            assert_eq!(registry_host(image), Ok(host), "{image}");
        }
    }

    #[test]
    fn what_is_no_image() {
        assert_eq!(registry_host(""), Err(ImageError::Empty));
        for scheme in ["https", "http", "docker", "oci"] {
            let image = format!("{scheme}://r.example.com/a");
            assert_eq!(registry_host(&image), Err(ImageError::Scheme(scheme)));
        }
        assert_eq!(registry_host("r.example.com/a b"), Err(ImageError::NotPrintable));
        assert_eq!(registry_host("r.example.com\u{0}/a"), Err(ImageError::NotPrintable));
    }

    #[test]
    fn repositories() {
        for (image, expected) in [
            ("r.x.com/a/b:v1@sha256:00", "r.x.com/a/b"),
            ("r.x.com:5000/a", "r.x.com:5000/a"),
            ("r.x.com:5000", "r.x.com:5000"),
            ("r.x.com", "r.x.com"),
            ("localhost/a", "localhost/a"),
            ("nginx:1.29", "docker.io/library/nginx"),
            ("team/nginx", "docker.io/team/nginx"),
        ] {
            assert_eq!(repository(image), expected, "{image}");
        }
    }
}
