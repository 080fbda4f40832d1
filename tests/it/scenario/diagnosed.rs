//! `doctor --image` in every scenario: it ends as the pull does, says why, gives away no secret and
//! leaves no file behind.
//!
//! `doctor` does not read requests, so malformed requests are left out. It does not have a pod's
//! token, so the exit code is not compared where the token decides.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::{Run, folders, in_parallel};
use crate::schema;

/// The exit codes of the contract.
const EXITS: [i32; 7] = [0, 1, 2, 3, 4, 5, 6];

#[test]
fn doctor_in_every_scenario() {
    let folders = folders();
    let count = folders.len();
    let failures = in_parallel(folders, |folder| {
        let mut wrong = Run::prepare(folder, "doctor").diagnosed(true);
        wrong.extend(Run::prepare(folder, "doctor").diagnosed(false));
        wrong
    });
    assert!(
        failures.is_empty(),
        "{} of {count} scenarios failed:\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}

impl Run {
    /// Runs doctor; what is wrong comes back.
    pub fn diagnosed(&self, json: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        let (exec, request) = self.exec();
        let Ok(request) = serde_json::from_str::<Json>(&request) else { return wrong };
        let Some(image) = request["image"].as_str() else { return wrong };
        let mut exec = exec;
        exec.args.extend(["doctor", "--image", image].map(str::to_owned));
        if json {
            exec.args.push("--json".to_owned());
        }
        let before = tree(&self.dir);
        let outcome = exec.run(&[]).unwrap();
        if tree(&self.dir) != before {
            wrong.push("it changed something".to_owned());
        }
        let (stdout, stderr) = (String::from_utf8_lossy(&outcome.stdout), outcome.stderr_text());
        for leak in self.cloud.leaks(&format!("{stdout}{stderr}")) {
            wrong.push(format!("it gives away {:?} of {}", leak.secret.kind, leak.secret.of));
        }
        let exit = match outcome.exit {
            simulation::kubelet::Exit::Code(code) => code,
            ref other => return vec![format!("{other}")],
        };
        if stdout.is_empty() {
            // Arguments that mean nothing.
            if exit != 2 || !stderr.starts_with("error: ") {
                wrong.push(format!("exit {exit}, nothing on stdout: {stderr}"));
            }
            return wrong;
        }
        let name = self.folder.file_name().unwrap().to_string_lossy();
        let elsewhere = request["serviceAccountToken"].is_string()
            || name.starts_with("config-request-")
            || name.starts_with("pod-token-");
        let expected = i32::from(self.scenario.expect.exit);
        // The program answers without the registry; a pull does not end well without it.
        let without_registry = expected == 0 && exit == 5 && is_registry_failed(&stdout);
        let differs = exit != expected && !elsewhere && !without_registry;
        if !EXITS.contains(&exit) || differs {
            wrong.push(format!("exit {exit}, and a pull has {expected}:\n{stdout}"));
        }
        if stderr
            .lines()
            .any(|line| !line.starts_with("warning: environment: ACR_CREDENTIAL_PROVIDER_LOG"))
        {
            wrong.push(format!("stderr: {stderr}"));
        }
        if json {
            wrong.extend(document(&stdout, exit));
        } else if stdout.contains('\u{1b}') {
            wrong.push("colour where there is no terminal".to_owned());
        }
        wrong
    }
}

/// Whether the check of the registry failed, by a report in either form.
fn is_registry_failed(report: &str) -> bool {
    let Ok(document) = serde_json::from_str::<Json>(report) else {
        return report.contains("\nFAILED  registry ");
    };
    let checks = document["checks"].as_array().unwrap();
    checks.iter().any(|check| check["name"] == "registry" && check["status"] == "failed")
}

/// What is wrong with a report as such.
fn document(text: &str, exit: i32) -> Vec<String> {
    let document: Json = match serde_json::from_str(text) {
        Ok(document) => document,
        Err(error) => return vec![format!("no JSON: {error}\n{text}")],
    };
    let mut wrong = schema::differences(&document);
    let checks = document["checks"].as_array().unwrap();
    let failed = |check: &&Json| check["status"] == "failed";
    let first = checks.iter().find(failed);
    if document["exit"] != exit || (exit == 0) != first.is_none() {
        wrong.push(format!("exit {exit} is not that of a failed check:\n{text}"));
    }
    if let Some(first) = first {
        if first["exit"] != exit {
            wrong.push(format!("exit {exit} is not that of the first failed check:\n{text}"));
        }
        if first["remedies"].as_array().is_none_or(Vec::is_empty) {
            wrong.push(format!("it fails without a remedy:\n{text}"));
        }
    }
    wrong
}

/// Every file below a folder: mode, time of the last change and contents.
fn tree(folder: &Path) -> BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        let contents = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        if metadata.is_dir() {
            files.extend(tree(&path));
        }
        files.insert(path, (metadata.mode(), metadata.mtime(), metadata.mtime_nsec(), contents));
    }
    files
}
