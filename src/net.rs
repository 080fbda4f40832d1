//! The wire: the only files that know reqwest and rustls, and when to try again.

pub mod ahead;
pub mod congestion;
pub mod error;
pub mod http;
pub mod origin;
pub mod proxy;
pub mod retry;
pub mod tls;
