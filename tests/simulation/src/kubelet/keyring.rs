//! Which logins the kubelet tries for an image, and in which order.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::response::{Credential, Response};
use super::url;

/// The usernames and passwords that `response` gives the pull of `image`, in the order tried.
///
/// None at all means an anonymous pull, if no other source has a login either; with one or more
/// there is no anonymous attempt, even if every login fails.
#[must_use]
pub fn credentials_for(response: &Response, image: &str) -> Vec<(String, String)> {
    let mut keyring = Keyring::default();
    if let Some(auth) = &response.auth {
        keyring.add(auth);
    }
    keyring.look_up(image)
}

/// keyring.go `BasicDockerKeyring`: the `auth` maps of all providers asked for one image, added in
/// the order of the kubelet's configuration.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    /// In reverse byte order, so that of two keys with one beginning the longer comes first.
    logins: BTreeMap<Reverse<String>, Vec<Credential>>,
}

impl Keyring {
    /// keyring.go `Add`. A key that is no URL is skipped and the others are kept. Two keys that
    /// come down to one keep their order here; in Go that order is left to chance.
    pub fn add(&mut self, auth: &BTreeMap<String, Credential>) {
        for (key, credential) in auth {
            if let Some(place) = normalise_key(key) {
                self.logins.entry(Reverse(place)).or_default().push(credential.clone());
            }
        }
    }

    /// keyring.go `Lookup`: every key that matches counts, not the best alone.
    #[must_use]
    pub fn look_up(&self, image: &str) -> Vec<(String, String)> {
        let matching =
            self.logins.iter().filter(|(key, _)| url::urls_match(&key.0, image) == Ok(true));
        let mut found: Vec<&Credential> = matching.flat_map(|(_, logins)| logins).collect();
        if found.is_empty() && is_docker_hub(image) {
            let fallback = self.logins.get(&Reverse(DOCKER_HUB_KEY.to_owned()));
            found = fallback.into_iter().flatten().collect();
        }
        let pair = |login: &Credential| (login.username.clone(), login.password.clone());
        found.into_iter().map(pair).collect()
    }
}

/// What Docker's own files call the Hub; image names say `docker.io`.
const DOCKER_HUB_KEY: &str = "index.docker.io";

/// Host and path of a key, without scheme and without the API's version in front of the path.
fn normalise_key(key: &str) -> Option<String> {
    let url = url::parse_key(key).ok()?;
    let path = String::from_utf8_lossy(&url.path);
    let without = |version: &str| path.strip_prefix(version).filter(|rest| rest.starts_with('/'));
    let path = without("/v1").or_else(|| without("/v2")).unwrap_or(&path);
    Some(if path == "/" { url.host } else { url.host + path })
}

/// keyring.go `isDefaultRegistryMatch`.
fn is_docker_hub(image: &str) -> bool {
    match image.split_once('/') {
        None => !image.is_empty(),
        Some(("docker.io" | "index.docker.io", _)) => true,
        Some((host, _)) => !host.is_empty() && !host.contains(['.', ':']),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of `keys` the kubelet uses for `image`, in order; each key is its own username.
    fn used(keys: &[&str], image: &str) -> Vec<String> {
        let login = |key: &str| Credential { username: key.to_owned(), password: "p".to_owned() };
        let auth = keys.iter().map(|key| ((*key).to_owned(), login(key))).collect();
        let mut keyring = Keyring::default();
        keyring.add(&auth);
        keyring.look_up(image).into_iter().map(|(username, _)| username).collect()
    }

    #[test]
    fn keys_match_with_scheme_version_and_globs() {
        for (key, image) in [
            ("https://hello.kubernetes.io", "hello.kubernetes.io"),
            ("http://hello.kubernetes.io", "hello.kubernetes.io"),
            ("hello.kubernetes.io/", "hello.kubernetes.io"),
            ("https://*.docker.io", "prefix.docker.io"),
            ("https://prefix.*.io", "prefix.docker.io"),
            ("https://prefix.docker.*", "prefix.docker.io"),
            ("https://*.docker.io/path", "prefix.docker.io/path"),
            ("https://prefix.*.io/path", "prefix.docker.io/path/subpath"),
            ("https://*.docker.io:8888", "prefix.docker.io:8888"),
            ("https://*.docker.io/path:1111", "prefix.docker.io/path:1111"),
            ("https://*.docker.io/v1/", "prefix.docker.io/path:1111"),
            ("https://*.docker.io/v2/", "prefix.docker.io/path:1111"),
            ("prefix.docker.io:1111", "prefix.docker.io:1111/path"),
            ("*.docker.io:1111", "prefix.docker.io:1111/path"),
            ("https://reg.io/v2/team", "reg.io/team"),
        ] {
            assert_eq!(used(&[key], &format!("{image}/foo/bar")), [key], "{image}");
        }
        for (key, image) in [
            ("https://hello.kubernetes.io", "world.mesos.org/foo/bar"),
            ("https://*.docker.com", "prefix.docker.io/foo"),
            ("https://suffix.*.io", "prefix.docker.io/foo"),
            ("https://prefix.docker.c*", "prefix.docker.io/foo"),
            ("https://prefix.*.io/path:1111", "prefix.docker.io/path/subpath:1111"),
            ("reg.io/v2", "reg.io/team"),
            ("reg.io/v3/", "reg.io/team"),
        ] {
            assert!(used(&[key], image).is_empty(), "{key} on {image}");
        }
    }

    #[test]
    fn every_matching_key_is_tried_longer_ones_first() {
        let keys = ["reg.io", "reg.io/team", "*.io", "reg.io/team/app", "other.io", "r*.io"];
        let expected = ["reg.io/team/app", "reg.io/team", "reg.io", "r*.io", "*.io"];
        assert_eq!(used(&keys, "reg.io/team/app"), expected);
        assert_eq!(
            used(&["bar.example.com/pong"], "bar.example.com/pongz"),
            ["bar.example.com/pong"]
        );
    }

    #[test]
    fn a_key_that_is_no_url_is_skipped() {
        assert_eq!(used(&["reg.io:x", "%zz", "reg.io"], "reg.io/a"), ["reg.io"]);
    }

    #[test]
    fn the_hub_key_is_used_only_if_nothing_matched() {
        for key in ["index.docker.io", "https://index.docker.io/v1/"] {
            assert_eq!(used(&[key], "docker.io/library/busybox"), [key]);
            assert_eq!(used(&[key, "docker.io"], "docker.io/library/busybox"), ["docker.io"]);
            assert!(used(&[key], "world.mesos.org/foo/bar").is_empty());
        }
        for (image, expected) in [
            ("foo", true),
            ("foo/bar", true),
            ("docker.io/foo/bar", true),
            ("index.docker.io/foo/bar", true),
            ("", false),
            ("/foo", false),
            ("registry.tld/foo/bar", false),
            ("registry:5000/foo/bar", false),
            ("myhostdocker.io/foo/bar", false),
        ] {
            assert_eq!(is_docker_hub(image), expected, "{image}");
        }
    }

    #[test]
    fn equal_keys_keep_the_order_of_the_providers() {
        let login = |name: &str| {
            let credential = Credential { username: name.to_owned(), password: String::new() };
            BTreeMap::from([("reg.io".to_owned(), credential)])
        };
        let mut keyring = Keyring::default();
        keyring.add(&login("first"));
        keyring.add(&login("second"));
        let names: Vec<_> = keyring.look_up("reg.io/a").into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["first", "second"]);
    }
}
