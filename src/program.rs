//! What the program is called, and its version.

/// The program's file name. Credential providers are named by it.
pub const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// Name and version.
pub const VERSION: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));

/// The same binary under another name: a provider either gets service account tokens or not.
pub const PROGRAM_FOR_PODS: &str = concat!(env!("CARGO_PKG_NAME"), "-pods");
