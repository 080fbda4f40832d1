//! The integration tests, one binary.
//!
//! - [`ahead`]: ACR is connected to while STS answers, and what that costs.
//! - [`architecture`]: which file of `src/` may know which, and the map of the files.
//! - [`boot_time`]: runs a program as if the machine had been up for longer.
//! - [`cache`]: what a node keeps, many processes at once, outages, renewal ahead of time, kills.
//! - [`command_line`]: completions and man page, written from the table of commands.
//! - [`configuration`]: files that are refused or accepted, and what is said of them.
//! - [`docker_helper`]: each answer of the program to docker, podman and similar clients.
//! - [`documents`]: README and docs: links, commands, samples, translations.
//! - [`doctor`]: what it finds, and that what it says to do helps.
//! - [`faults`]: every fault at every hop, and the result that it must have.
//! - [`fleet`]: 5,000 nodes against the call limit of one account, simulated; writes the table of docs/scale.md.
//! - [`hosts_asked`]: endpoints, seen by a proxy that leads every name to the simulated cloud.
//! - [`kubelet_modes`]: what doctor says of a kubelet that runs both modes.
//! - [`metrics`]: the file for `node_exporter`, alert rules and dashboard.
//! - [`other_callers`]: programs other than the kubelet, played as their sources have it.
//! - [`pods`]: pods as identities of their own, many at once, and what is left of them on the node.
//! - [`process`]: no core dumps, no children, nothing left in memory, no file believed that others write.
//! - [`readme`]: what the pages say, held against the program.
//! - [`render`]: what it writes, read by those it is for.
//! - [`samples`]: every file in `config/`, read by its reader.
//! - [`scenario`]: runs each folder of `tests/scenarios` through the real binary, as a kubelet would,
//!   and through `doctor`.
//! - [`schema`]: `docs/doctor.schema.json`, against which every report is held.
//! - [`setup`]: nodes that are set up and put back, in every form of their files, killed at every step.
//! - [`corpus`]: `tests/hosts/corpus.tsv` against the host parser and through the binary.
//! - [`soak`]: pulls for as long as asked for, while everything fails at random.
//! - [`stages`]: the stages of a pull are the same for the kubelet and for doctor.
//! - [`supply_chain`]: crates counted and reasoned, lock file kept to, unsafe code forbidden.
//! - [`tables`]: the tables of `docs/` that the program's own tables write.
//! - [`threat_model`]: each claim of docs/threat-model.md names a test that exists.
//! - [`trace`]: what can be read afterwards.
//! - [`words`]: plain English: none of the former private words is left.
//! - [`vectors`]: signatures computed by the vendor's own SDK, and its list of endpoints.

// A test may stop at the first thing that is not as it should be, print, and read its environment.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::unwrap_used
)]

mod ahead;
mod architecture;
mod boot_time;
mod cache;
mod call_limit;
mod command_line;
mod configuration;
mod corpus;
mod docker_helper;
mod doctor;
mod documents;
mod faults;
mod fleet;
mod hosts_asked;
mod kubelet_modes;
mod metrics;
mod no_connection;
mod node;
mod other_callers;
mod pods;
mod process;
mod readme;
mod render;
mod samples;
mod scenario;
mod schema;
mod setup;
mod soak;
mod stages;
mod supply_chain;
mod tables;
mod threat_model;
mod trace;
mod vectors;
mod words;

use std::path::Path;
use std::process::Command;

/// Where the tests' data lies.
const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_aliyun-acr-credential-provider");

/// The log level at which an answer comes with its warnings on stderr; without one it has none there.
fn with_warnings() -> Vec<(String, String)> {
    vec![("ACR_CREDENTIAL_PROVIDER_LOG".to_owned(), "warn".to_owned())]
}

/// A copy of a program to run. It is made by another process: a thread that starts one here while a file is
/// open for writing hands that on for a moment, and what is open for writing cannot be run.
fn copied(program: impl AsRef<Path>, to: impl AsRef<Path>) {
    let made = Command::new("/bin/cp")
        .arg("--preserve=mode")
        .arg(program.as_ref())
        .arg(to.as_ref())
        .status()
        .unwrap();
    assert!(made.success(), "{}", to.as_ref().display());
}
