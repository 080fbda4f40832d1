//! The wire: the only files that know reqwest and rustls, and when to try again.

pub mod ahead;
pub mod http;
pub mod retry;
pub mod tls;
