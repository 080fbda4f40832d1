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

pub mod cli;
pub mod doctor;
pub mod provide;
pub mod refresh;
pub mod render;
pub mod shortcut;
pub mod trace;

pub mod config;
pub mod identity;
pub mod image;
pub mod instance;
pub mod kubelet;
pub mod registry;
pub mod registry_token;
pub mod role_chain;
pub mod selection;

pub mod aliyun;
pub mod cache;
pub mod http;
pub mod node;
pub mod retry;
pub mod tls;

pub mod error;
pub mod journal;
pub mod policies;
pub mod remedy;

pub mod clock;
pub mod duration;
pub mod environment;
pub mod freshness;
pub mod jwt;
pub mod machine;
pub mod match_images;
pub mod random;
pub mod secret;
pub mod trusted_file;
