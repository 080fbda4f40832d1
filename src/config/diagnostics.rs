//! What is wrong with a configuration, at which line, in words.

pub mod bounds;
pub mod lines;
pub mod mistakes;
pub mod notes;
pub mod slips;
