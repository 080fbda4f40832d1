//! The kubelet's side of the credential provider protocol, simulated.
//!
//! Written from the kubelet's behaviour alone, not from the plugin it judges: a reader that shared
//! code or habits with the plugin would accept whatever the plugin writes. It has only what judges
//! an answer or a configuration of the kubelet. In the order of one pull:
//!
//! - [`config`]: the `CredentialProviderConfig` a kubelet of a given release starts with.
//! - [`image`]: the form in which the pod's image reaches the plugin.
//! - [`url`]: whether an image matches a `matchImages` pattern or an `auth` key.
//! - [`cache`]: what the kubelet still remembers, and for which other images.
//! - [`request`]: the exact bytes on the plugin's stdin.
//! - [`exec`]: the plugin as a process: arguments, environment, streams, one minute.
//! - [`response`]: how strictly stdout is read.
//! - [`provider`]: all of these in a row.
//! - [`images`]: the images of the node, who starts which, and whom the provider is asked for.
//!
//! Names in comments such as "plugin.go `ExecPlugin`" are functions of kubernetes/kubernetes,
//! `pkg/credentialprovider`, as of release 1.34 and later.

pub mod cache;
pub mod config;
pub mod duration;
pub mod exec;
pub mod image;
pub mod images;
pub mod provider;
pub mod request;
pub mod response;
pub mod url;

mod glob;
mod json;
mod strict;
mod type_meta;

pub use cache::{Cache, ServiceAccount};
pub use config::{Config, Kubelet, decode_config};
pub use duration::GoDuration;
pub use exec::{Exec, Exit, Failure, Outcome};
pub use image::{normalise_image, registry_of};
pub use images::{Images, PullPolicy, Start, Verification};
pub use provider::{Provider, Provision};
pub use request::encode_request;
pub use response::{CacheKeyType, Credential, Refusal, Response, decode_response};
pub use strict::Rule;
pub use url::urls_match;
