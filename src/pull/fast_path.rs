//! The login that costs next to nothing: a fresh login in the node's cache, found by the bytes
//! of the configuration before anything in them is understood.
//!
//! Whatever is uncertain here is left to the pipeline, which reads the configuration.

use std::path::{Path, PathBuf};

use crate::cache::{Access, Cache, Scope, place};
use crate::config::{CacheDir, MAX_FILE, Source, variables};
use crate::kubelet::exec_api::{self, Pod};
use crate::pull::known::KnownHost;
use crate::pull::registry_token::Login;
use crate::system::environment::Environment;
use crate::system::log::Journal;
use crate::system::trusted_file;

/// The form and the meaning of what is kept: every kind of value and every key. A person who changes one
/// of them writes another number, and an upgrade then fetches everything again. With the same number
/// an upgrade keeps the logins.
const FORM: &[u8] = b"1";

/// Everything that what is fetched depends on, beside the host: what is cached under one scope is
/// never seen under another.
pub fn scope(source: Option<&Source>, environment: &Environment, boot_id: &str) -> Scope {
    let (path, text, open) = source.map_or((&b""[..], "", false), |source| {
        (source.path.as_os_str().as_encoded_bytes(), source.text.as_str(), source.open_to_others)
    });
    let identity = variables::fingerprint(environment);
    // Another content of this file may be another identity.
    let profiles = variables::profiles(environment, text).map(|path| {
        trusted_file::read(&path, MAX_FILE).map(|contents| contents.bytes).unwrap_or_default()
    });
    let present = [u8::from(source.is_some()), u8::from(open)];
    Scope::new(
        &[path, identity.as_bytes()],
        &[
            FORM,
            boot_id.as_bytes(),
            &present,
            text.as_bytes(),
            identity.as_bytes(),
            profiles.as_deref().unwrap_or_default(),
        ],
    )
}

/// The login of a host, if the cache has a fresh one.
pub fn login(
    host: &str,
    pod: Pod<'_>,
    source: Option<&Source>,
    environment: &Environment,
    is_root: bool,
    scope: &Scope,
) -> Option<exec_api::Login> {
    // The pipeline reports what is wrong with the cache.
    let journal = Journal::default();
    let directory =
        directory(&guess(source.map_or("", |source| &source.text))?, environment, is_root)?;
    let cache = Cache::new(directory, scope.clone(), Access::Glance, &journal);
    from_cache(host, pod, &cache)
}

/// The login of a host from what a cache has, if that is fresh.
pub fn from_cache(host: &str, pod: Pod<'_>, cache: &Cache<'_>) -> Option<exec_api::Login> {
    if pod.token.is_some() {
        return None;
    }
    let known = cache.get_fresh::<Option<KnownHost>>(&KnownHost::key(host))?.value?;
    let kept = cache.get_fresh::<Login>(&known.login)?;
    let left = kept.left();
    Some(kept.value.answer(left))
}

/// The directory that the configuration means.
pub fn directory(
    configured: &CacheDir,
    environment: &Environment,
    is_root: bool,
) -> Option<PathBuf> {
    let configured = match configured {
        CacheDir::At(path) => Some(path.as_path()),
        CacheDir::Default => None,
    };
    place::directory(configured, is_root, variables::runtime_directory(environment))
}

/// What `cacheDir` most likely is. A wrong guess finds nothing: a file of this scope is written
/// only by a run that has read the same bytes, and into the right place.
fn guess(text: &str) -> Option<CacheDir> {
    let Some((_, behind)) = text.split_once("cacheDir") else { return Some(CacheDir::Default) };
    let value = behind.trim_start_matches(['"', '\'']).trim_start().strip_prefix(':')?;
    let value = value.trim_start_matches([' ', '"', '\'']);
    let end = value.find([' ', '"', '\'', ',', '}', '#', '\\', '\n', '\r']).unwrap_or(value.len());
    let path = Path::new(value.get(..end)?);
    path.is_absolute().then(|| CacheDir::At(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_what_is_written_plainly() {
        let at = |path: &str| Some(CacheDir::At(PathBuf::from(path)));
        assert_eq!(guess("acr-registry-info: []"), Some(CacheDir::Default));
        assert_eq!(guess("credential-provider:\n  cacheDir: /a/b-c # x\n"), at("/a/b-c"));
        assert_eq!(guess("credential-provider: {cacheDir: \"/a/b\", margin: 1s}"), at("/a/b"));
        assert_eq!(guess("{\"cacheDir\": \"/a\"}"), at("/a"));
        assert_eq!(guess("cacheDir: off"), None);
        assert_eq!(guess("cacheDir: a/b"), None);
        assert_eq!(guess("# cacheDir is left out"), None);
    }
}
