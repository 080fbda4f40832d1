//! What would happen, and what is wrong: the stages of a pull one by one, for a person.
//!
//! Doctor reads and asks, and changes nothing. Each check has a file; `report` lists their names.

mod address;
pub mod cache;
mod check;
pub mod configuration;
mod disk;
mod endpoints;
mod entry;
pub mod json;
pub mod kubelet;
pub mod mirrors;
mod network;
mod oss;
mod pods;
pub mod pull;
mod registry;
mod remedy;
pub mod report;
pub mod run_history;
pub mod runtime;
pub mod sarif;
mod text;
