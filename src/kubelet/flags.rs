//! The kubelet's arguments, and the feature gates that they and its own configuration file set.

use std::collections::HashMap;

use crate::config::yaml::{self, Value};
use crate::kubelet::versions::{Gate, Release};

pub const CONFIG: &str = "--image-credential-provider-config";
pub const BIN_DIR: &str = "--image-credential-provider-bin-dir";
/// The kubelet's own configuration file.
pub const OWN_CONFIG: &str = "--config";
/// The folder of files that change it.
pub const OWN_CONFIG_DIR: &str = "--config-dir";
const FEATURE_GATES: &str = "--feature-gates";

/// The arguments of a running kubelet.
pub struct Flags(Vec<String>);

impl Flags {
    /// As `/proc/PID/cmdline` has them.
    pub fn new(line: &[u8]) -> Self {
        let line = line.strip_suffix(b"\0").unwrap_or(line);
        let arguments = line.split(|b| *b == 0);
        Self(arguments.map(|part| String::from_utf8_lossy(part).into_owned()).collect())
    }

    /// Of a command line that somebody put together, the program's name first.
    pub fn of(arguments: Vec<String>) -> Self {
        Self(arguments)
    }

    #[must_use]
    pub fn program(&self) -> Option<&str> {
        self.0.first().map(String::as_str)
    }

    /// All arguments behind the program's name.
    pub fn arguments(&self) -> &[String] {
        self.0.get(1..).unwrap_or_default()
    }

    /// The value of `--name=value` or `--name value`; the last one counts.
    pub fn value(&self, name: &str) -> Option<String> {
        self.values(name).pop().filter(|value| !value.is_empty())
    }

    /// Every value of a flag, in their order.
    pub fn values(&self, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut arguments = self.0.iter();
        while let Some(argument) = arguments.next() {
            // The kubelet takes `_` for `-` in names (WordSepNormalizeFunc of component-base).
            match argument.split_once('=') {
                Some((flag, value)) if is_of_name(flag, name) => found.push(value.to_owned()),
                None if is_of_name(argument, name) => found.extend(arguments.next().cloned()),
                _ => {}
            }
        }
        found
    }
}

/// The feature gates that somebody has set.
#[derive(Default)]
pub struct FeatureGates(HashMap<String, bool>);

impl FeatureGates {
    /// `file` is the text of the kubelet's own configuration; a flag counts more.
    pub fn new(file: Option<&str>, flags: &Flags) -> Self {
        let mut set = HashMap::new();
        let document = file.and_then(|text| yaml::parse(text).ok().flatten());
        let gates = document.as_ref().and_then(|document| document.get("featureGates"));
        for (key, node) in gates.map(yaml::Node::pairs).unwrap_or_default() {
            if let Value::Scalar(scalar) = &node.value {
                set.insert(key.name.clone(), scalar.text == "true");
            }
        }
        // The flag may be given more than once.
        let given = flags.values(FEATURE_GATES).join(",");
        for (name, value) in given.split(',').filter_map(|pair| pair.split_once('=')) {
            let is_on = ["1", "t", "T", "true", "True", "TRUE"].contains(&value.trim());
            set.insert(name.trim().to_owned(), is_on);
        }
        Self(set)
    }

    pub fn is_on(&self, gate: &Gate, release: Release) -> bool {
        let Some((all, by_default)) = gate.by_default(release) else { return true };
        *self.0.get(gate.name).or_else(|| self.0.get(all)).unwrap_or(&by_default)
    }
}
fn is_of_name(flag: &str, name: &str) -> bool {
    flag == name || flag.contains('_') && flag.replace('_', "-") == name
}
