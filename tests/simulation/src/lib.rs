//! The two sides the credential provider stands between, simulated.
//!
//! - [`cloud`]: an Alibaba Cloud on loopback that verifies what the real one verifies.
//! - [`kubelet`]: how strictly the kubelet reads an answer, and how it matches images.

pub mod cloud;
pub mod kubelet;
