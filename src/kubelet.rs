//! The kubelet's side: what it asks and accepts, how it is configured and started.

pub mod exec_api;
pub mod flags;
pub mod match_images;
pub mod mistake;
pub mod node_images;
pub mod open_images;
pub mod process;
pub mod provider_config;
pub mod provider_rules;
pub mod pull_records;
pub mod service;
pub mod shell;
pub mod versions;
