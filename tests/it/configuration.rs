//! `tests/configurations`: files that are refused, with what is said of them, and files that are
//! accepted, through the real program.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use simulation::kubelet::{Exec, Exit, Outcome, encode_request};

use crate::scenario::Run;
use crate::{PROGRAM, TESTS};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    about: String,
    config: String,
    /// Octal; 600 if left out.
    #[serde(default)]
    mode: Option<String>,
    /// The beginning of what the first line says behind the file's name.
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

fn cases<Case: for<'a> Deserialize<'a>>(name: &str) -> Vec<Case> {
    let text = fs::read_to_string(format!("{TESTS}/configurations/{name}.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
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
fn pull(path: &str) -> Outcome {
    let mut exec = Exec::new(PROGRAM);
    exec.args = ["--config", path].map(str::to_owned).to_vec();
    let version = "credentialprovider.kubelet.k8s.io/v1";
    exec.run(&encode_request(version, "docker.io/library/nginx", None, &BTreeMap::new())).unwrap()
}

/// `doctor` reads the same file.
fn doctor(path: &str) -> Outcome {
    let mut exec = Exec::new(PROGRAM);
    exec.args = ["doctor", "--config-only", "--config", path].map(str::to_owned).to_vec();
    exec.run(&[]).unwrap()
}

#[test]
fn refused() {
    let mut wrong = Vec::new();
    for (number, case) in cases::<Refused>("refused").iter().enumerate() {
        let path = written("refused", number, &case.config, case.mode.as_deref());
        let outcome = pull(&path);
        let stderr = outcome.stderr_text();
        let error = format!("error: configuration {path}:{}", case.error);
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
        if outcome.exit != Exit::Code(2) || !said || !silent || lines > 5 {
            wrong.push(format!(
                "{}:\n{stderr}expected\n{error}\n{}\n",
                case.about,
                case.also.join("\n")
            ));
        }
        let report = doctor(&path);
        let text = String::from_utf8_lossy(&report.stdout).into_owned();
        if report.exit != Exit::Code(2) || text.contains("hunter2") {
            wrong.push(format!("{}: doctor says\n{text}", case.about));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn accepted() {
    let mut wrong = Vec::new();
    for (number, case) in cases::<Accepted>("accepted").iter().enumerate() {
        if case.scenario.is_some() {
            wrong.extend(as_in_a_scenario(number, case));
            continue;
        }
        let path = written("accepted", number, &case.config, case.mode.as_deref());
        let outcome = pull(&path);
        let stderr = outcome.stderr_text();
        let said = match &case.warning {
            Some(warning) => stderr == format!("warning: {path}:{warning}\n"),
            None => stderr.is_empty(),
        };
        if outcome.exit != Exit::Code(0) || !said {
            wrong.push(format!("{}: {}\n{stderr}", case.about, outcome.exit));
        }
        let report = doctor(&path);
        if report.exit != Exit::Code(0) {
            let text = String::from_utf8_lossy(&report.stdout).into_owned();
            wrong.push(format!("{}: doctor says\n{text}", case.about));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn as_in_a_scenario(number: usize, case: &Accepted) -> Option<String> {
    let folder = Path::new(TESTS).join("scenarios").join(case.scenario.as_ref()?);
    let run = || {
        let run = Run::prepare(&folder, &format!("configurations/{number}"));
        run.with(&case.config, case.mode.as_deref(), case.warning.as_deref(), case.image.as_deref())
    };
    let mut wrong = run().go();
    wrong.extend(run().diagnosed(true));
    wrong.extend(run().diagnosed(false));
    (!wrong.is_empty()).then(|| format!("{}:\n{}", case.about, wrong.join("\n")))
}
