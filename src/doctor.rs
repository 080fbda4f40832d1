//! What would happen, and what is wrong: the stations of a pull one by one, for a person.
//!
//! It reads and asks, and changes nothing.

pub mod cache;
pub mod configuration;
pub mod kubelet;
mod modes;
mod network;
mod pods;
mod remedy;
pub mod report;
pub mod runs;
pub mod walk;
