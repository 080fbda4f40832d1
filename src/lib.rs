//! Kubelet credential provider for Alibaba Cloud Container Registry.
//!
//! The modules in the order in which a request meets them:
//!
//! 1. [`kubelet`] reads the request, [`image`] finds the registry's host in it, [`registry`] says
//!    what kind of host that is.
//! 2. [`config`] says what is configured, [`selection`] which entry covers the host, [`instance`]
//!    which instance is behind it.
//! 3. [`identity`] establishes who asks, [`role_chain`] assumes the role in the registry's account,
//!    [`registry_token`] gets the login.
//! 4. [`provide`] is that way as a whole; only it knows the stations. [`shortcut`] answers from
//!    the node's cache without going it, [`refresh`] goes it ahead of time.
//!
//! [`doctor`] goes the same way and tells what it finds, [`render`] writes files for others.
//!
//! Below them: [`node`] is the machine they run on, [`aliyun`] the cloud, [`http`] the wire,
//! [`cache`] what the machine keeps from one run to the next.
//! [`error`] and [`remedy`] are what a person reads when it fails.

#![forbid(unsafe_code)]

pub mod app;

pub mod doctor;
pub mod render;
pub mod setup;

pub mod pull;

pub mod config;
pub mod kubelet;

pub mod aliyun;
pub mod cache;
pub mod net;

pub mod failure;
pub mod secret;
pub mod system;

/// The program's file name. Credential providers are named by it.
pub const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// Name and version.
pub const VERSION: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));

/// The same binary under another name: a provider either gets service account tokens or not.
pub const PROGRAM_FOR_PODS: &str = concat!(env!("CARGO_PKG_NAME"), "-pods");
