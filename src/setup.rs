//! The files of a node, changed so that its kubelet runs this program, and put back.

pub mod arguments_text;
pub mod env_file;
pub mod provider_file;
pub mod spans;
pub mod tree;
pub mod unit;
