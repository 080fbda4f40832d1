//! The form in which a pod's image reaches a plugin.
//!
//! The kubelet parses the name with the distribution project's reference parser and passes on the
//! normalised repository alone (`image_manager.go`, `makeLookupPullCredentialsFunc`), so a plugin never
//! sees a tag, a digest, a scheme, or a host that the parser does not let through.

use std::error::Error;
use std::fmt;

/// A name that is not an image reference. The pod gets `InvalidImageName`; no plugin is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct BadImageName {
    pub name: String,
    pub problem: &'static str,
}

impl fmt::Display for BadImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "couldn't parse image name {:?}: {}", self.name, self.problem)
    }
}

impl Error for BadImageName {}

/// `host[:port]/path` for a name as written in a pod, with Docker Hub's host and its `library`
/// filled in: `reference.ParseNormalizedNamed`, then `Name()`.
pub fn normalise_image(name: &str) -> Result<String, BadImageName> {
    let bad = |problem| BadImageName { name: name.to_owned(), problem };
    if name.len() == 64 && name.bytes().all(is_lower_hex) {
        return Err(bad("64 hexadecimal digits are an image id, not a name"));
    }
    let (host, remainder) = split_host(name);
    let (remainder, digest) = match remainder.split_once('@') {
        Some((remainder, digest)) => (remainder, Some(digest)),
        None => (remainder, None),
    };
    let (path, tag) = match remainder.split_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (remainder, None),
    };
    let path = if host == DOCKER_HUB && !path.contains('/') {
        format!("library/{path}")
    } else {
        path.to_owned()
    };
    if !is_host(host) {
        return Err(bad("invalid host"));
    }
    if !path.split('/').all(is_path_component) {
        return Err(bad("invalid path; a repository is in lower case"));
    }
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err(bad("invalid tag"));
    }
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return Err(bad("invalid digest"));
    }
    let repository = format!("{host}/{path}");
    if repository.len() > 255 {
        return Err(bad("longer than 255 characters"));
    }
    Ok(repository)
}

/// plugin.go `parseRegistry`: host and port, everything before the first slash.
#[must_use]
pub fn registry_of(image: &str) -> &str {
    image.split('/').next().unwrap_or(image)
}

const DOCKER_HUB: &str = "docker.io";

/// `splitDockerDomain`: the first part is a host only if it looks like one.
fn split_host(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some(("index.docker.io", rest)) => (DOCKER_HUB, rest),
        Some((first, rest)) if looks_like_host(first) => (first, rest),
        _ => (DOCKER_HUB, name),
    }
}

fn looks_like_host(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.chars().any(char::is_uppercase)
}

fn is_host(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        let in_address = |byte: u8| byte.is_ascii_hexdigit() || byte == b':';
        let port_is_fine = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return !address.is_empty() && address.bytes().all(in_address) && port_is_fine;
    }
    match host.split_once(':') {
        Some((host, port)) => host.split('.').all(is_host_label) && is_port(port),
        None => host.split('.').all(is_host_label),
    }
}

fn is_host_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !label.is_empty()
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_port(port: &str) -> bool {
    !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// Runs of lower-case letters and digits, joined by one of `.`, `_`, `__` or any number of `-`.
fn is_path_component(component: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let joints = component.split(is_word).filter(|joint| !joint.is_empty());
    let is_joint =
        |joint: &str| matches!(joint, "." | "_" | "__") || joint.bytes().all(|byte| byte == b'-');
    component.starts_with(is_word)
        && component.ends_with(is_word)
        && joints.into_iter().all(is_joint)
}

fn is_tag(tag: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=128).contains(&tag.len()) && tag.bytes().all(inner) && !tag.starts_with(['.', '-'])
}

fn is_digest(digest: &str) -> bool {
    let (length, hex) = match digest.split_once(':') {
        Some(("sha256", hex)) => (64, hex),
        Some(("sha384", hex)) => (96, hex),
        Some(("sha512", hex)) => (128, hex),
        _ => return false,
    };
    hex.len() == length && hex.bytes().all(is_lower_hex)
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (name, expected) in [
            ("root", "docker.io/library/root"),
            ("root:tag", "docker.io/library/root"),
            ("root@DIGEST", "docker.io/library/root"),
            ("user/repo", "docker.io/user/repo"),
            ("user/repo:tag", "docker.io/user/repo"),
            ("user/repo@DIGEST", "docker.io/user/repo"),
            ("repo:tag@DIGEST", "docker.io/library/repo"),
            ("docker.io/busybox", "docker.io/library/busybox"),
            ("index.docker.io/user/repo", "docker.io/user/repo"),
            ("index.docker.io/busybox:1", "docker.io/library/busybox"),
            ("url:5000/repo", "url:5000/repo"),
            ("url:5000/repo:tag", "url:5000/repo"),
            ("url:5000/repo@DIGEST", "url:5000/repo"),
            ("url:5000/repo:tag@DIGEST", "url:5000/repo"),
            ("localhost/repo", "localhost/repo"),
            ("Host/repo", "Host/repo"),
            ("[::1]:5000/repo:tag", "[::1]:5000/repo"),
            ("a.example/b/c/d:v1.2_3-4", "a.example/b/c/d"),
            ("a.example/b__c/d.e/f---g", "a.example/b__c/d.e/f---g"),
            (
                "demo-registry-vpc.cn-hangzhou.cr.aliyuncs.com/ns/app:1",
                "demo-registry-vpc.cn-hangzhou.cr.aliyuncs.com/ns/app",
            ),
        ] {
            let name = name.replace("DIGEST", &digest);
            assert_eq!(normalise_image(&name).as_deref(), Ok(expected), "{name}");
        }
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for name in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "Repo",
            "a.example/Repo",
            "a.example/-b",
            "a.example/b-",
            "a.example/b..c",
            "a.example/b___c",
            "a.example/b:",
            "a.example/b:-x",
            "a.example/b:a/b",
            "a.example/b@sha256:abc",
            "a.example/b@md5:00000000000000000000000000000000",
            "https://a.example/b",
            "user@a.example/b",
            "a.example:/b",
            "a.example:x/b",
            "a_b.example/c",
            "a..example/b",
            ".a.example/b",
            "a.example./b",
            "-a.example/b",
            "a.exam\u{440}le/b",
            "a.example/b c",
            "a.example/b?c",
            "a.example/b#c",
            "a.example/b%20",
            "a\0.example/b",
        ] {
            assert!(normalise_image(name).is_err(), "{name:?}");
        }
        assert!(normalise_image(&"a".repeat(64)).is_err());
        assert!(normalise_image(&format!("a.example/{}", "b".repeat(245))).is_ok());
        assert!(normalise_image(&format!("a.example/{}", "b".repeat(246))).is_err());
        assert!(normalise_image(&format!("a/b:{}", "c".repeat(129))).is_err());
    }

    #[test]
    fn the_registry_is_what_precedes_the_first_slash() {
        for (image, registry) in [
            ("url:5000/a/b", "url:5000"),
            ("docker.io/library/a", "docker.io"),
            ("bare.example", "bare.example"),
        ] {
            assert_eq!(registry_of(image), registry);
        }
    }
}
