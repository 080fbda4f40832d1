//! The integration tests, one binary.
//!
//! - [`scenario`]: runs each folder of `tests/scenarios` through the real binary, as a kubelet would.
//! - [`corpus`]: `tests/hosts/corpus.tsv` against the host parser and through the binary.
//! - [`vectors`]: signatures computed by the vendor's own SDK, and its list of endpoints.

mod corpus;
mod scenario;
mod vectors;

/// Where the tests' data lies.
const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_aliyun-acr-credential-provider");
