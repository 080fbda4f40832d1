//! What is configured: the file and the environment, checked once.
//!
//! `keys` and `variables` list what there is; `source` finds the file, `yaml` and `file` read it,
//! `entry`, `identity` and `settings` say what it means, and `resolved` puts that together.

mod credentials_uri;
mod diagnostics;
mod entry;
mod error;
mod file;
mod form;
mod hosts;
mod identity;
pub mod keys;
mod node;
mod resolved;
mod settings;
mod source;
pub mod variables;
pub mod yaml;

pub use credentials_uri::CredentialsUri;
pub use entry::{Entry, EntryKeys, Scope, session_name};
pub use error::{ConfigError, Mistakes, Warning};
pub use identity::{IdentitySource, Oidc, PodIdentity, PodLoginLife, Profile, TokenMode};
pub use resolved::{Config, Written};
pub use settings::{CacheDir, Endpoints, LONGEST_TIMEOUT, Settings, check_base_url};
pub use source::{MAX_FILE, SYSTEM_PATH, Source};
pub use variables::CONFIG_FILE as PATH_VARIABLE;
