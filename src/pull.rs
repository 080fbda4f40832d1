//! From one image to one login: the stages in the order in which a pull meets them.

pub mod fast_path;
pub mod pipeline;

pub mod identity;
pub mod image;
pub mod known;
pub mod login_key;
pub mod registry_instance;
pub mod registry_token;
pub mod role_chain;
pub mod selection;

pub mod call_limit;
pub mod due;
pub mod metrics;
pub mod node;
mod overlap;
pub mod run_history;
mod shared;
