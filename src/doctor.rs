//! What would happen, and what is wrong: the stations of a pull one by one, for a person.
//!
//! It reads and asks, and changes nothing.

pub mod cache;
pub mod configuration;
mod endpoints;
mod entry;
mod invocation;
pub mod kubelet;
mod kubelet_process;
mod modes;
mod network;
mod pods;
mod provider_config;
mod provider_rules;
mod registry;
mod remedy;
pub mod report;
pub mod runs;
mod storage;
pub mod walk;
