//! Kubelet credential provider for Alibaba Cloud Container Registry.
//!
//! The modules in the order in which a request meets them:
//!
//! 1. [`app`]: the commands. Each opens configuration, environment, cache and clients in one call.
//! 2. [`kubelet`]: what is asked, and how it is answered. [`docker`]: the same for docker and similar clients.
//!    [`config`]: what is configured.
//! 3. [`pull`]: from one image to one login. [`doctor`] follows the same stages and reports what it
//!    finds, [`render`] writes files for others.
//! 4. [`cache`]: what a node keeps. [`aliyun`]: the cloud. [`net`]: the wire.
//! 5. [`failure`]: what a person reads when it fails. [`system`]: the machine below.

#![forbid(unsafe_code)]

pub mod app;

pub mod doctor;
pub mod render;
pub mod setup;

pub mod pull;

pub mod config;
pub mod docker;
pub mod kubelet;

pub mod aliyun;
pub mod cache;
pub mod net;

pub mod failure;
pub mod program;
pub mod secret;
pub mod system;
