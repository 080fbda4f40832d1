//! The kubelet's side: what it asks and accepts, how it is configured and started.

pub mod exec_api;
pub mod match_images;
pub mod process;
pub mod provider_config;

pub use crate::system::go_duration;
