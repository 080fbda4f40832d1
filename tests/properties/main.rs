//! What must hold for every input, tried with thousands of generated ones and held against a second
//! path that has nothing in common with the program's: another library, the simulated kubelet, or a
//! rule written another way. `PROPTEST_CASES=100000` tries more.
//!
//! A binary of its own, and small, so that every change of the program is soon tried against it.
//!
//! - [`freshness`]: `cacheDuration` is never negative, nor past anything that ends.
//! - [`hosts`]: no host is the vendor's that is not under its domain.
//! - [`patterns`]: `matchImages` as the kubelet reads it.
//! - [`redact`]: what is taken out of a service's words is what the plain way takes out.
//! - [`rendered`]: what `render` writes reads back the same.
//! - [`setup`]: a node's files keep every byte of others.
//! - [`signature`]: percent-encoding and signatures, by other libraries.

// A test may stop at the first thing that is not as it should be, and read its environment.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used
)]

mod freshness;
mod hosts;
mod patterns;
mod redact;
mod rendered;
mod setup;
mod signature;

use proptest::test_runner::Config;

/// A failure is printed with its smallest input, which then becomes a test: there is no file of them.
fn config() -> Config {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|number| number.parse().ok());
    Config { cases: asked.unwrap_or(500), failure_persistence: None, ..Config::default() }
}
