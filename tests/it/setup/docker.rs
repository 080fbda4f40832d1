//! `setup docker`: the files of clients before and after, `tests/client-files/table.yaml`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;

use super::{Tree, fails, succeeds};
use crate::{PROGRAM, TESTS};

const CONFIGURATION: &str = "acr-registry-info:\n  - instanceId: cri-acmeacmeacme0001\n    regionId: cn-hangzhou\n    domains: acme.example:5000\n    mirrors: mirror.example\n";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    file: String,
    before: String,
    after: Option<String>,
    refused: Option<String>,
    /// Why there is nothing to undo.
    undo: Option<String>,
}

/// The home of a user.
struct Home(Tree);

impl Home {
    fn new() -> Self {
        let tree = Tree::of(&[]);
        tree.beside("config.yaml", CONFIGURATION, 0o600);
        Self(tree)
    }

    fn file(&self) -> PathBuf {
        self.0.path(".docker/config.json")
    }

    fn with(text: &str) -> Self {
        let home = Self::new();
        home.0.write(".docker/config.json", text);
        fs::set_permissions(home.file(), PermissionsExt::from_mode(0o640)).unwrap();
        home
    }

    fn setup(&self, options: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.env_clear().env("HOME", &self.0.root).args(["setup", "docker"]).args(options);
        if !options.contains(&"--undo") {
            command.arg("--config").arg(self.0.beside.join("config.yaml"));
        }
        command
    }

    fn text(&self) -> Option<String> {
        fs::read_to_string(self.file()).ok()
    }
}

#[test]
fn each_client_file_is_changed_and_put_back() {
    let text = fs::read_to_string(format!("{TESTS}/client-files/table.yaml")).unwrap();
    let rows: Vec<Row> = serde_saphyr::from_str(&text).unwrap();
    for row in &rows {
        let (home, name) = (Home::with(&row.before), &row.file);
        let before = home.0.snapshot();
        let Some(after) = &row.after else {
            let said = fails(home.setup(&[]), "exit Some(2)");
            let why = row.refused.as_deref().unwrap();
            assert!(said.contains(why), "{name}: {said}");
            assert!(!said.contains("hunter2") && home.0.snapshot() == before, "{name}");
            continue;
        };
        let shown = succeeds(home.setup(&["--dry-run"]));
        assert_eq!(home.0.snapshot(), before, "{name}");
        for secret in ["hunter2", "dTpodW50ZXIy"] {
            assert!(!shown.contains(secret), "{name}: {shown}");
        }
        assert_eq!(shown.contains("\n+"), *after != row.before, "{name}: {shown}");
        for _ in 0..2 {
            succeeds(home.setup(&[]));
            assert_eq!(home.text().as_ref(), Some(after), "{name}");
        }
        assert_eq!(fs::metadata(home.file()).unwrap().permissions().mode() & 0o777, 0o640);
        if let Some(why) = &row.undo {
            assert!(fails(home.setup(&["--undo"]), "exit Some(2)").contains(why), "{name}");
        } else {
            succeeds(home.setup(&["--undo", "--dry-run"]));
            assert_eq!(home.text().as_ref(), Some(after), "{name}");
            succeeds(home.setup(&["--undo"]));
        }
        assert_eq!(home.0.snapshot(), before, "{name}");
    }
}

#[test]
fn a_file_that_is_not_there_is_made_and_removed() {
    let home = Home::new();
    let before = home.0.snapshot();
    succeeds(home.setup(&["--dry-run"]));
    assert_eq!(home.0.snapshot(), before);
    succeeds(home.setup(&[]));
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(home.file()), mode(home.0.path(".docker"))), (0o600, 0o700));
    assert!(home.text().unwrap().contains("\"acme.example:5000\": \"acr\""));
    succeeds(home.setup(&["--undo"]));
    assert_eq!(home.0.snapshot(), before);
}

/// docker writes the whole file again at each login.
#[test]
fn what_the_client_wrote_since_stays() {
    let home = Home::new();
    succeeds(home.setup(&[]));
    let rewritten = "{\"auths\":{\"quay.io\":{\"auth\":\"eDp5\"}},\"credHelpers\":{\"acme.example:5000\":\"acr\",\"ghcr.io\":\"gh\",\"mirror.example\":\"acr\"}}";
    fs::write(home.file(), rewritten).unwrap();
    succeeds(home.setup(&["--undo"]));
    let left = "{\"auths\":{\"quay.io\":{\"auth\":\"eDp5\"}},\"credHelpers\":{\"ghcr.io\":\"gh\"}}";
    assert_eq!(home.text().as_deref(), Some(left));
    assert!(fails(home.setup(&["--undo"]), "exit Some(2)").contains("nothing is recorded"));
}

#[test]
fn a_host_that_is_not_configured_any_more_goes() {
    let home = Home::with("{\"auths\":{}}");
    succeeds(home.setup(&[]));
    let text = CONFIGURATION.replace("    mirrors: mirror.example\n", "");
    home.0.beside("config.yaml", &text, 0o600);
    succeeds(home.setup(&[]));
    let left = "{\"auths\":{},\"credHelpers\": {\"acme.example:5000\": \"acr\"}}";
    assert_eq!(home.text().as_deref(), Some(left));
    succeeds(home.setup(&["--undo"]));
    assert_eq!(home.text().as_deref(), Some("{\"auths\":{}}"));
}

#[test]
fn podmans_file_is_named_and_a_link_stays_one() {
    let home = Home::with("{}");
    let link = home.0.path("auth.json");
    symlink(home.file(), &link).unwrap();
    let file = link.display().to_string();
    succeeds(home.setup(&["--file", &file]));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(home.text().unwrap().contains("mirror.example"));
    succeeds(home.setup(&["--file", &file, "--undo"]));
    assert_eq!(home.text().as_deref(), Some("{}"));
}

#[test]
fn a_file_that_others_can_write_is_refused() {
    let home = Home::with("{}");
    fs::set_permissions(home.file(), PermissionsExt::from_mode(0o666)).unwrap();
    assert!(fails(home.setup(&[]), "exit Some(2)").contains("can be written by everybody"));
    assert_eq!(home.text().as_deref(), Some("{}"));
}

#[test]
fn what_is_undone_where_the_file_is_another_by_now() {
    let undone = |text: Option<&str>| {
        let home = Home::with("{}");
        succeeds(home.setup(&[]));
        match text {
            Some(text) => fs::write(home.file(), text).unwrap(),
            None => fs::remove_file(home.file()).unwrap(),
        }
        home
    };
    let home = undone(None);
    assert!(succeeds(home.setup(&["--undo"])).contains("is not there any more"));
    let home = undone(Some("\n"));
    succeeds(home.setup(&["--undo"]));
    assert_eq!(home.text().as_deref(), Some("\n"));
    let home = undone(Some("{"));
    let said = fails(home.setup(&["--undo"]), "exit Some(2)");
    assert!(said.contains("hint: repair the file first"), "{said}");
    let record = home.0.path(".docker/config.json.aliyun-acr-credential-provider");
    fs::write(record, "nonsense").unwrap();
    let said = fails(home.setup(&["--undo"]), "exit Some(2)");
    assert!(said.contains("is not a record of `setup docker`"), "{said}");
}

#[test]
fn a_person_reads_what_is_left_to_do() {
    let home = Home::with("{\"auths\":{\"mirror.example\":{\"auth\":\"eDp5\"}}}");
    let said = succeeds(home.setup(&[]));
    assert!(said.contains("note: the file has a login for mirror.example"), "{said}");
    assert!(said.contains("note: docker-credential-acr is not on PATH"), "{said}");
    // docker finds it by these addresses as well.
    for address in ["https://mirror.example", "http://mirror.example/v2/", "mirror.example/v1/"] {
        let home = Home::with(&format!("{{\"auths\":{{\"{address}\":{{\"auth\":\"eDp5\"}}}}}}"));
        let said = succeeds(home.setup(&[]));
        assert!(
            said.contains("note: the file has a login for mirror.example"),
            "{address}: {said}"
        );
    }
    let text = CONFIGURATION.replace("    domains: acme.example:5000\n", "");
    let text = text.replace("    mirrors: mirror.example\n", "");
    home.0.beside("config.yaml", &text, 0o600);
    assert!(fails(home.setup(&[]), "exit Some(2)").contains("does not name a host"));
}
