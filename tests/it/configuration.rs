//! `tests/configurations`: files that the program refuses, with its errors, and files that it
//! accepts.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use simulation::kubelet::{Exec, Exit, Outcome, encode_request};

use crate::scenario::{Run, in_parallel};
use crate::{PROGRAM, TESTS, with_warnings};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    about: String,
    config: String,
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Octal; 600 if left out.
    #[serde(default)]
    mode: Option<String>,
    /// The beginning of what the first line says behind the file's name. A mistake in the environment
    /// has no file.
    error: String,
    /// The beginnings of what the causes below it say.
    #[serde(default)]
    also: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Accepted {
    about: String,
    config: String,
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Octal; 600 if left out.
    #[serde(default)]
    mode: Option<String>,
    /// What the one warning says behind the file's name.
    #[serde(default)]
    warning: Option<String>,
    /// A scenario: with this configuration it ends the same, after the same calls.
    #[serde(default, rename = "as")]
    scenario: Option<String>,
    /// For another image than that scenario's.
    #[serde(default)]
    image: Option<String>,
}

/// The rows of a table, numbered, by what they are about.
fn cases<Case: DeserializeOwned>(
    table: &str,
    about: impl Fn(&Case) -> &str,
) -> Vec<(String, (usize, Case))> {
    let text = fs::read_to_string(format!("{TESTS}/configurations/{table}.yaml")).unwrap();
    let cases: Vec<Case> = serde_saphyr::from_str(&text).unwrap();
    let named = |(number, case)| (about(&case).to_owned(), (number, case));
    cases.into_iter().enumerate().map(named).collect()
}

/// A file for one case.
fn written(name: &str, number: usize, config: &str, mode: Option<&str>) -> String {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("configurations");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{name}-{number}.yaml"));
    let _ = fs::remove_file(&path);
    fs::write(&path, config).unwrap();
    let mode = u32::from_str_radix(mode.unwrap_or("600"), 8).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path.to_string_lossy().into_owned()
}

/// A pull from a foreign registry, for which the configuration is read and nothing else is done.
fn pull(path: &str, env: &BTreeMap<String, String>) -> Outcome {
    let mut exec = Exec::new(PROGRAM);
    exec.kubelet_env = with_warnings();
    exec.args = ["--config", path].map(str::to_owned).to_vec();
    exec.config_env = env.clone().into_iter().collect();
    let version = "credentialprovider.kubelet.k8s.io/v1";
    exec.run(&encode_request(version, "docker.io/library/nginx", None, &BTreeMap::new())).unwrap()
}

/// `doctor` reads the same file.
fn doctor(path: &str, env: &BTreeMap<String, String>) -> Outcome {
    let mut exec = Exec::new(PROGRAM);
    exec.args = ["doctor", "--config-only", "--config", path].map(str::to_owned).to_vec();
    exec.config_env = env.clone().into_iter().collect();
    exec.run(&[]).unwrap()
}

#[test]
fn refused() {
    let wrong = in_parallel(cases("refused", |case: &Refused| &case.about), |(number, case)| {
        let path = written("refused", *number, &case.config, case.mode.as_deref());
        let outcome = pull(&path, &case.env);
        let stderr = outcome.stderr_text();
        let error = match case.error.strip_prefix("environment: ") {
            Some(_) => format!("error: {}", case.error),
            None => format!("error: configuration {path}:{}", case.error),
        };
        let causes = stderr.lines().filter_map(|line| line.strip_prefix("caused by: "));
        let place = format!("{path}:");
        let causes: Vec<&str> =
            causes.map(|cause| cause.strip_prefix(&place).unwrap_or(cause)).collect();
        let also = causes.len() == case.also.len()
            && causes.iter().zip(&case.also).all(|(cause, also)| cause.starts_with(also));
        let last = stderr.lines().last().unwrap_or_default();
        let said = stderr.starts_with(&error) && also && last.starts_with("hint: ");
        let lines = stderr.lines().count();
        let silent = outcome.stdout.is_empty() && !stderr.contains("hunter2");
        let mut wrong = Vec::new();
        if outcome.exit != Exit::Code(2) || !said || !silent || lines > 5 {
            wrong.push(format!("{stderr}expected\n{error}\n{}\n", case.also.join("\n")));
        }
        let report = doctor(&path, &case.env);
        let text = String::from_utf8_lossy(&report.stdout).into_owned();
        if report.exit != Exit::Code(2) || text.contains("hunter2") {
            wrong.push(format!("doctor says\n{text}"));
        }
        wrong
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn accepted() {
    let wrong = in_parallel(cases("accepted", |case: &Accepted| &case.about), |(number, case)| {
        if let Some(scenario) = &case.scenario {
            return as_in_a_scenario(scenario, *number, case);
        }
        let path = written("accepted", *number, &case.config, case.mode.as_deref());
        let outcome = pull(&path, &case.env);
        let stderr = outcome.stderr_text();
        let said = match &case.warning {
            Some(warning) => stderr == format!("warning: {path}:{warning}\n"),
            None => stderr.is_empty(),
        };
        let mut wrong = Vec::new();
        if outcome.exit != Exit::Code(0) || !said {
            wrong.push(format!("{}\n{stderr}", outcome.exit));
        }
        let report = doctor(&path, &case.env);
        if report.exit != Exit::Code(0) {
            wrong.push(format!("doctor says\n{}", String::from_utf8_lossy(&report.stdout)));
        }
        wrong
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn as_in_a_scenario(scenario: &str, number: usize, case: &Accepted) -> Vec<String> {
    let folder = Path::new(TESTS).join("scenarios").join(scenario);
    let run = || {
        let run = Run::prepare(&folder, &format!("configurations/{number}"));
        let (mode, warning) = (case.mode.as_deref(), case.warning.as_deref());
        run.with(&case.config, mode, warning, case.image.as_deref())
    };
    let mut wrong = run().go();
    wrong.extend(run().diagnosed(true));
    wrong.extend(run().diagnosed(false));
    wrong
}
