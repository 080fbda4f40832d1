//! The machine below the program. Time, environment and randomness are read here and nowhere else.

pub mod clock;
pub mod environment;
pub mod firmware;
pub mod go_duration;
pub mod log;
pub mod random;
pub mod stop;
pub mod text;
pub mod trusted_file;
