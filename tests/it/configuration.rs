//! `tests/configurations`: files that are refused, with what is said of them, and files that are
//! accepted, through the real program.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde::Deserialize;
use simulation::kubelet::{Exec, Exit, Outcome, encode_request};

use crate::{PROGRAM, TESTS};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    about: String,
    config: String,
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Octal; 600 if left out.
    #[serde(default)]
    mode: Option<String>,
    /// What stands behind the file's name in the first line; a mistake in the environment has no file.
    #[serde(default)]
    error: Option<String>,
    /// What stands behind it in a later line.
    #[serde(default)]
    also: Option<String>,
    #[serde(default)]
    warning: Option<String>,
}

fn cases(name: &str) -> Vec<Case> {
    let text = fs::read_to_string(format!("{TESTS}/configurations/{name}.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

fn run(name: &str, number: usize, case: &Case) -> (String, Outcome) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("configurations");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{name}-{number}.yaml"));
    let _ = fs::remove_file(&path);
    fs::write(&path, &case.config).unwrap();
    let mode = u32::from_str_radix(case.mode.as_deref().unwrap_or("600"), 8).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    let path = path.to_string_lossy().into_owned();
    let mut exec = Exec::new(PROGRAM);
    exec.args = vec!["--config".into(), path.clone()];
    exec.config_env = case.env.clone().into_iter().collect();
    let version = "credentialprovider.kubelet.k8s.io/v1";
    let request = encode_request(version, "docker.io/library/nginx", None, &BTreeMap::new());
    (path, exec.run(&request).unwrap())
}

#[test]
fn refused() {
    let mut wrong = Vec::new();
    for (number, case) in cases("refused").iter().enumerate() {
        let (path, outcome) = run("refused", number, case);
        let stderr = outcome.stderr_text();
        let placed = |text: &String, before: &str| {
            let in_file = !text.starts_with("environment: ");
            if in_file { format!("{before}{path}:{text}") } else { text.clone() }
        };
        let error = format!("error: {}", placed(case.error.as_ref().unwrap(), "configuration "));
        let also = case.also.as_ref().map(|also| format!("\ncaused by: {}", placed(also, "")));
        let said = stderr.starts_with(&error) && also.is_none_or(|also| stderr.contains(&also));
        let lines = stderr.lines().count();
        let silent = outcome.stdout.is_empty() && !stderr.contains("hunter2");
        if outcome.exit != Exit::Code(2) || !said || !silent || lines > 5 {
            wrong.push(format!("{}:\n{stderr}expected\n{error}\n", case.about));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn accepted() {
    let mut wrong = Vec::new();
    for (number, case) in cases("accepted").iter().enumerate() {
        let (path, outcome) = run("accepted", number, case);
        let stderr = outcome.stderr_text();
        let said = match &case.warning {
            Some(warning) => stderr == format!("warning: {path}:{warning}\n"),
            None => stderr.is_empty(),
        };
        if outcome.exit != Exit::Code(0) || !said {
            wrong.push(format!("{}: {}\n{stderr}", case.about, outcome.exit));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
