//! What a reader is told to type: scripts and files that are there, options that they know.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use super::{Block, blocks, document, filled_in, root};
use crate::{PROGRAM, copied};

const NAME: &str = "aliyun-acr-credential-provider";

/// The folders whose files a command may name.
const OURS: [&str; 8] = [
    "benches/",
    "config/",
    "docs/",
    "fuzz/",
    "node-scripts/",
    "release/",
    "target/dist/",
    "tests/",
];

/// What `release/build.sh` makes.
fn dist() -> BTreeSet<String> {
    let script = fs::read_to_string(root().join("release/build.sh")).unwrap();
    for made in [
        "$NAME-oci.tar",
        "$NAME.intoto.json",
        "binary=$out/$NAME-linux-$1",
        "\"$binary.cdx.json\"",
        "THIRD-PARTY-LICENSES.txt",
    ] {
        assert!(script.contains(made), "release/build.sh makes other files: no {made}");
    }
    let mut files: BTreeSet<String> =
        ["SHA256SUMS", "THIRD-PARTY-LICENSES.txt", "RUST-STANDARD-LIBRARY-LICENSES.html"]
            .map(str::to_owned)
            .into();
    let version = env!("CARGO_PKG_VERSION");
    files.insert("SHA256SUMS.sig".to_owned());
    for arch in ["amd64", "arm64"] {
        files.insert(format!("{NAME}_{version}_{arch}.deb"));
    }
    for machine in ["x86_64", "aarch64"] {
        files.insert(format!("{NAME}-{version}-1.{machine}.rpm"));
    }
    for kind in ["1", "bash", "fish", "intoto.json"] {
        files.insert(format!("{NAME}.{kind}"));
    }
    files.insert(format!("_{NAME}"));
    files.insert(format!("{NAME}-oci.tar"));
    for arch in ["amd64", "arm64"] {
        files.insert(format!("{NAME}-linux-{arch}"));
        files.insert(format!("{NAME}-linux-{arch}.cdx.json"));
    }
    files
}

/// The commands of a block, each in one line, parts of a pipe apart, without comments.
fn commands(block: &Block) -> Vec<Vec<String>> {
    let text = block.text.replace("\\\n", " ").replace("|\n", "| ");
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let parts = lines.flat_map(|line| line.split(" | ")).flat_map(|line| line.split(" && "));
    let words = parts.map(|part| {
        let words = part.split_whitespace().take_while(|word| *word != "#");
        words
            .map(|word| word.trim_matches(['"', '\'', '(', ')', '$', '<', '>']).to_owned())
            .collect()
    });
    words.collect()
}

fn all_commands() -> Vec<(String, Vec<String>)> {
    let of = |block: Block| {
        let path = block.path.clone();
        commands(&block).into_iter().map(move |words| (path.clone(), words))
    };
    blocks("sh").into_iter().flat_map(of).collect()
}

/// A quote or a bracket that is open would leave a reader with a prompt that waits.
#[test]
fn every_block_is_shell() {
    for block in blocks("sh") {
        let read = Command::new("sh").args(["-nc", &block.text]).output().unwrap();
        let wrong = String::from_utf8_lossy(&read.stderr);
        assert!(read.status.success(), "{}: {wrong}\n{}", block.path, block.text);
    }
}

#[test]
fn files_of_ours_are_there() {
    let (dist, mut seen) = (dist(), 0);
    for (path, words) in all_commands() {
        for word in &words {
            let name = word.split_once('=').map_or(word.as_str(), |(_, value)| value);
            let name = name.trim_matches('"');
            if !OURS.iter().any(|folder| name.starts_with(folder)) {
                continue;
            }
            seen += 1;
            let there = match name.strip_prefix("target/dist/") {
                Some(file) => dist.contains(file),
                None => root().join(name).exists(),
            };
            assert!(there, "{path}: there is no {name}");
        }
    }
    assert!(seen > 30, "only {seen} files were found in commands");
}

/// Every file that install.md's table has, and no other.
#[test]
fn the_table_of_a_release_has_its_files() {
    let install = document("docs/install.md");
    let (_, table) = install.text.split_once("| file in `target/dist` |").unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    let named: BTreeSet<String> =
        cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect();
    assert_eq!(named, dist());
}

/// Whether a text names an option, and not only a longer one.
fn knows(text: &str, option: &str) -> bool {
    let goes_on = |rest: &str| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '-');
    text.split(option).skip(1).any(|rest| !goes_on(rest))
}

#[test]
fn options_are_known() {
    let help = Command::new(PROGRAM).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let mut seen = 0;
    for (path, words) in all_commands() {
        let file = |word: &String| word.rsplit('/').next().unwrap().to_owned();
        let Some(at) = words.iter().position(|word| {
            word.starts_with("node-scripts/")
                || word.starts_with("release/")
                || [NAME, &format!("{NAME}-linux-amd64")].contains(&file(word).as_str())
                    && !word.contains('=')
        }) else {
            continue;
        };
        let program = &words[at];
        let is_script = program.starts_with("node-scripts/") || program.starts_with("release/");
        let script = || fs::read_to_string(root().join(program)).unwrap();
        let known = if is_script { script() } else { help.clone() };
        for option in words[at..].iter().filter(|word| word.starts_with("--")) {
            let option = option.split('=').next().unwrap();
            seen += 1;
            assert!(knows(&known, option), "{path}: {program} does not know {option}");
        }
    }
    assert!(seen > 30, "only {seen} options were found");
}

/// README's block is run as it stands, on a tree in place of the node: but for the last line, which
/// wants a kubelet that runs.
#[test]
fn the_block_that_installs_installs() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("documents-install");
    let _ = fs::remove_dir_all(&folder);
    let dist = folder.join("target/dist");
    fs::create_dir_all(&dist).unwrap();
    let readme = document("README.md");
    let of = |language: &str, with: &str| {
        let blocks = readme.blocks().into_iter();
        let mut found = blocks.filter(|it| it.language == language && it.text.contains(with));
        found.next().unwrap().text
    };
    copied(PROGRAM, dist.join(format!("{NAME}-linux-amd64")));
    let config = filled_in("yaml").into_iter().find(|block| block.path == readme.path).unwrap();
    fs::write(folder.join("config.yaml"), config.text).unwrap();
    symlink(root().join("node-scripts"), folder.join("node-scripts")).unwrap();
    let block = of("sh", "install.sh")
        .replace(&format!("/opt/{NAME}/bin/{NAME} doctor\n"), "")
        .replace("install.sh ", "install.sh --root tree --kubelet-version 1.30 ");
    let script = format!(
        "cp -R '{}' tree\n(cd target/dist && sha256sum -- {NAME}-* >SHA256SUMS)\n{block}",
        root().join("tests/node-scripts/tree").display()
    );
    let run = |script: &str| {
        let output =
            Command::new("sh").args(["-euc", script]).current_dir(&folder).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let (success, text) = run(&script);
    assert!(success, "{text}");
    assert!(text.contains("would install") && text.trim_end().ends_with("installed"), "{text}");
    let tree = folder.join("tree");
    for file in [format!("opt/{NAME}/bin/{NAME}"), format!("etc/{NAME}/config.yaml")] {
        assert!(tree.join(&file).is_file(), "{file}: {text}");
    }
    let (success, text) = run("node-scripts/uninstall.sh --root tree");
    assert!(success, "{text}");
    assert!(!tree.join(format!("opt/{NAME}")).exists(), "{text}");
}

/// What the page of an identity says of its configuration is what is seen.
#[test]
fn the_configurations_of_identities_are_well() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("documents-config");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("config.yaml");
    let mut seen = 0;
    for block in filled_in("yaml") {
        if !block.path.starts_with("docs/identities/") {
            continue;
        }
        seen += 1;
        fs::write(&path, &block.text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let arguments = ["--config", path.to_str().unwrap(), "doctor", "--config-only"];
        let output = Command::new(PROGRAM).args(arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}: {text}", block.path);
        let page = document(&block.path).text;
        let is_valid = "The configuration is valid. Not checked: kubelet, pulls.";
        let is_valid = text.lines().last() == Some(is_valid);
        let warned = page.contains("A warning reminds you of the AccessKey.");
        assert!(is_valid != warned, "{}: {text}", block.path);
    }
    assert!(seen >= 5, "only {seen} configurations");
}

#[test]
fn what_is_wrong_is_noticed() {
    assert!(knows("[--dry-run]", "--dry-run") && !knows("[--dry-run]", "--dry"));
    let text = "a/b \\\n  --c=d | e 'f' # g\n".to_owned();
    let block = Block { path: String::new(), language: String::new(), text };
    assert_eq!(commands(&block), [vec!["a/b", "--c=d"], vec!["e", "f"]]);
}
