//! What the program is called, and its version.

/// The program's file name. Credential providers are named by it.
pub const PROGRAM: &str = env!("CARGO_PKG_NAME");

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that a release was built from; other builds do not know theirs.
pub const COMMIT: Option<&str> = option_env!("ACR_CREDENTIAL_PROVIDER_COMMIT");

/// What the program was compiled for, as Rust names it.
#[must_use]
pub fn target() -> String {
    let library = if cfg!(target_env = "musl") { "musl" } else { "gnu" };
    format!("{}-unknown-{}-{library}", std::env::consts::ARCH, std::env::consts::OS)
}

/// Name, version, commit and target, in one line.
#[must_use]
pub fn version() -> String {
    let commit = COMMIT.map_or_else(String::new, |commit| format!("commit {commit}, "));
    format!("{PROGRAM} {VERSION} ({commit}{})", target())
}

/// The same binary under another name: a provider either gets service account tokens or not.
pub const PROGRAM_FOR_PODS: &str = concat!(env!("CARGO_PKG_NAME"), "-pods");
