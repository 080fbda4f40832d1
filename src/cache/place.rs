//! Where the cache is.

use std::path::{Path, PathBuf};

const NAME: &str = "aliyun-acr-credential-provider";

/// The configured directory, else one in root's runtime directory, or in that of the user's session.
pub fn directory(
    configured: Option<&Path>,
    is_root: bool,
    runtime_directory: Option<&str>,
) -> Option<PathBuf> {
    let parent = if is_root { Some("/run") } else { runtime_directory };
    let default = || Some(parent.map(Path::new).filter(|it| it.is_absolute())?.join(NAME));
    configured.map(Path::to_owned).or_else(default)
}
