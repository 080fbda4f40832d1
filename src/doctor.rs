//! What would happen, and what is wrong: the stations of a pull one by one, for a person.
//!
//! It reads and asks, and changes nothing.

pub mod cache;
pub mod configuration;
mod endpoints;
mod entry;
mod invocation;
pub mod kubelet;
mod network;
mod oss;
mod pods;
mod provider_rules;
pub mod pull;
mod registry;
mod remedy;
pub mod report;
pub mod run_history;
mod token_modes;
