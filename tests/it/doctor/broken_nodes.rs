//! The table of broken nodes, `tests/broken-nodes/*.yaml`: each is staged in namespaces of its own, with
//! a kubelet that a program of that name plays, and doctor has to name the check, what is wrong and
//! what to do, as text and as JSON.
//!
//! `NODE=words` runs the rows with these words in their names, and prints their reports.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use serde::Deserialize;
use serde_json::Value as Json;
use simulation::kubelet::Exec;

use super::kubelet::kubelet;
use super::names::{Answer, Names};
use super::{WELL, check, lines};
use crate::node::{ACME, Node};
use crate::{PROGRAM, TESTS};

/// Doctors that run at the same time: most of them wait for a network.
const AT_ONCE: usize = 4;

/// For the shells of rows.
const FUNCTIONS: &str = r##"
endpoint() { sed -i "s#$1: \"[^\"]*\"#$1: \"$2\"#" $config; }
hosts() { printf '127.0.0.1 localhost\n%s\n' "$1" > $node/hosts; mount --bind $node/hosts /etc/hosts; }
kernel_log() {
    echo "audit: type=1400 audit($(date +%s).000:99): $1" > $node/kernel.log
    printf '#!/bin/sh\ncase "$*" in *-k*) cat %s ;; esac\n' $node/kernel.log > $node/journalctl
    chmod 755 $node/journalctl
    mount --bind $node/journalctl /usr/bin/journalctl
}
"##;

/// Runs the first remedy.
const FOLLOW: &str = r"
$program doctor DOCTOR | sed -n 's/^ *do: //p' | head -n 1 > $node/remedy.sh || true
sh $node/remedy.sh
$program doctor DOCTOR || true
";

/// Behind the report as text, before that as JSON.
const THEN: &str = "\n---- as JSON\n";

/// Behind that, before the report once a remedy was followed.
const FOLLOWED: &str = "\n---- followed\n";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    node: String,
    /// How the cloud differs from the standard one.
    #[serde(default = "well")]
    cloud: String,
    /// What `credential-provider` has beside the endpoints.
    #[serde(default)]
    settings: String,
    /// The entries, where they are not the usual one.
    entries: Option<String>,
    /// What names lead to; all others do not exist.
    resolver: Option<BTreeMap<String, Answer>>,
    /// Run before doctor, with the variables of [`script`].
    #[serde(default)]
    shell: String,
    /// Run once the kubelet runs.
    #[serde(default)]
    after: String,
    /// The kubelet's arguments; `none` where none runs.
    kubelet: Option<String>,
    /// Variables of the kubelet's, as a shell sets them.
    #[serde(default)]
    environment: String,
    /// Doctor's own, where it does not follow a pull of the usual image.
    doctor: Option<String>,
    /// A network of its own, in which nothing but loopback is there.
    #[serde(default)]
    is_alone: bool,
    /// What starts doctor, where it is not root.
    #[serde(default)]
    by: String,
    check: String,
    status: String,
    /// Words of what is wrong.
    says: Vec<String>,
    /// Words of what to do.
    #[serde(default)]
    #[serde(rename = "do")]
    remedies: Vec<String>,
    /// Words that stand nowhere.
    #[serde(default)]
    not: Vec<String>,
    exit: i32,
    /// Words of the last line.
    verdict: String,
    /// Words of the last line once the first remedy was run as a command, exactly as it is written.
    followed: Option<String>,
}

fn well() -> String {
    WELL.to_owned()
}

#[test]
fn each_broken_node_is_understood() {
    let rows = rows();
    let all = rows.len();
    let asked = std::env::var("NODE").ok();
    let is_asked = |row: &Row| asked.as_ref().is_none_or(|words| row.node.contains(words));
    let queue = Mutex::new(rows.into_iter().filter(is_asked).collect::<Vec<_>>());
    let wrong = Mutex::new(String::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(row) = { queue.lock().unwrap().pop() } {
                    if let Err(why) = stage(&row, asked.is_some()) {
                        writeln!(wrong.lock().unwrap(), "== {}: {why}\n", row.node).unwrap();
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(all >= 60, "only {all} broken nodes");
}

fn rows() -> Vec<Row> {
    let mut files: Vec<_> = fs::read_dir(Path::new(TESTS).join("broken-nodes"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    files.sort();
    let read = |path| {
        let text = fs::read_to_string(&path).unwrap();
        serde_saphyr::from_str::<Vec<Row>>(&text).unwrap_or_else(|e| panic!("{e}"))
    };
    files.into_iter().flat_map(read).collect()
}

/// Builds the node, runs doctor twice, and says what is not as the row has it.
fn stage(row: &Row, prints: bool) -> Result<(), String> {
    let mut node = Node::new(&row.cloud);
    node.settings += &row.settings;
    let usual = crate::node::entry(
        ACME,
        simulation::cloud::standard::ACME,
        simulation::cloud::standard::PULLER,
    );
    node.configure(row.entries.as_ref().unwrap_or(&usual));
    node.machine(&node.folder.join("provider.yaml"), &node.config());
    fs::remove_dir_all(node.folder.join("machine")).unwrap();
    crate::copied(kubelet(), node.folder.join("kubelet"));
    fs::write(node.folder.join("version"), "1.34.1").unwrap();
    if let Some(pem) = node.cloud.ca_pem() {
        fs::write(node.folder.join("ca.pem"), pem).unwrap();
    }
    let names = row.resolver.as_ref().map(|names| Names::new(names.clone()));
    let resolver = names.as_ref().map_or(String::new(), |names| {
        fs::write(node.folder.join("resolv.conf"), names.resolv_conf()).unwrap();
        "mount --bind $node/resolv.conf /etc/resolv.conf".to_owned()
    });
    // It accepts connections, and that is all.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let listener = TcpListener::bind(silent).unwrap();
    fs::write(node.folder.join("stage.sh"), script(row, &resolver, &node, silent)).unwrap();
    let mut exec = Exec::new("/usr/bin/unshare");
    let net = if row.is_alone { "--net" } else { "--mount" };
    let stage = node.folder.join("stage.sh").display().to_string();
    exec.args = ["--mount", net, "--pid", "--fork", "--mount-proc", "/bin/sh", "-eu", &stage]
        .map(str::to_owned)
        .to_vec();
    exec.config_env = vec![("PATH".to_owned(), "/usr/sbin:/usr/bin:/sbin:/bin".to_owned())];
    let outcome = exec.run(&[]).unwrap();
    drop(listener);
    let output = String::from_utf8_lossy(&outcome.stdout).into_owned();
    if prints {
        println!("== {}\n{output}{}", row.node, outcome.stderr_text());
    }
    if !node.cloud.leaks(&output).is_empty() {
        return Err(format!("a secret in\n{output}"));
    }
    let held = output
        .split_once(THEN)
        .and_then(|(text, rest)| Some((text, rest.split_once(FOLLOWED)?)))
        .ok_or_else(|| "no report".to_owned())
        .and_then(|(text, (json, followed))| {
            held(row, text, json)?;
            let last = followed.lines().last().unwrap_or_default();
            match &row.followed {
                Some(words) if !last.contains(words) => Err(format!("`{words}`, once followed")),
                _ => Ok(()),
            }
        });
    held.map_err(|why| format!("{why}\n{output}{}", outcome.stderr_text()))
}

/// What the node does: with its variables the row's own shell, the kubelet, and doctor twice.
fn script(row: &Row, resolver: &str, node: &Node, silent: SocketAddr) -> String {
    let folder = node.folder.display();
    let flags = row.kubelet.clone().unwrap_or_else(|| {
        "--image-credential-provider-config=$provider --image-credential-provider-bin-dir=$bin"
            .to_owned()
    });
    let kubelet = match flags.as_str() {
        "none" => String::new(),
        flags => format!(
            "env {} $kubelet {flags} >/dev/null 2>&1 & pid=$!\nuntil grep -qx kubelet /proc/$pid/comm; do sleep 0.02; done",
            row.environment
        ),
    };
    let doctor = row.doctor.as_deref().unwrap_or("--image $host/team/app:v1");
    let (config, cache) = (node.config().display().to_string(), node.cache().display().to_string());
    format!(
        "node={folder} bin={folder}/bin provider={folder}/provider.yaml config={config} cache={cache}\n\
         program={PROGRAM} name=aliyun-acr-credential-provider host={ACME} kubelet={folder}/kubelet\n\
         silent={silent}\n{FUNCTIONS}\
         mount --make-rprivate /\nip link set lo up 2>/dev/null || true\n\
         {resolver}\n{}\n{kubelet}\n{}\n\
         {} $program doctor {doctor} && code=0 || code=$?\n\
         printf '{}'\n\
         {} $program doctor {doctor} --json || true\n\
         printf '\\n%s\\n' '---- followed'\n{}\n\
         test -z \"${{pid:-}}\" || kill $pid || true\nexit $code\n",
        row.shell,
        row.after,
        row.by,
        THEN.replace('\n', "\\n").replacen("----", "\\055---", 1),
        row.by,
        if row.followed.is_some() { FOLLOW.replace("DOCTOR", doctor) } else { String::new() }
    )
}

fn held(row: &Row, text: &str, json: &str) -> Result<(), String> {
    let document: Json = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let named = document["checks"].as_array().ok_or("no checks")?;
    if !named.iter().any(|check| check["name"] == row.check.as_str()) {
        return Err(format!("no check {}", row.check));
    }
    let found = check(&document, &row.check);
    if found["status"] != row.status.as_str() {
        return Err(format!("{} is {}, not {}", row.check, found["status"], row.status));
    }
    if document["exit"] != row.exit {
        return Err(format!("exit code {}, not {}", document["exit"], row.exit));
    }
    for (key, wanted) in [("details", &row.says), ("remedies", &row.remedies)] {
        let there = lines(found, key);
        if let Some(words) = wanted.iter().find(|words| !there.contains(words.as_str())) {
            return Err(format!("`{words}` is not in {key}"));
        }
    }
    if let Some(words) = row.not.iter().find(|words| text.contains(*words) || json.contains(*words))
    {
        return Err(format!("`{words}` is there"));
    }
    let last = text.lines().last().unwrap_or_default();
    if !last.contains(&row.verdict) {
        return Err(format!("`{}` is not in the last line", row.verdict));
    }
    let is_long = text.lines().count() > 14 || text.lines().any(|line| line.chars().count() > 100);
    if row.verdict == "All is well." && is_long {
        return Err("a good day takes at most 14 lines of 100 columns".to_owned());
    }
    agree(text, named)
}

/// What is bad in one is bad in the other, with the same remedies, each once.
fn agree(text: &str, checks: &[Json]) -> Result<(), String> {
    for check in checks {
        let mark = match check["status"].as_str() {
            Some("failed") => "FAILED",
            Some("warning") => "warning",
            Some("skipped") => "--",
            _ => "ok",
        };
        let name = check["name"].as_str().unwrap();
        let is_there = |line: &str| {
            let rest = line.strip_prefix(&format!("{mark:7} "));
            rest.is_some_and(|rest| rest.starts_with(name) || rest.contains(&format!(", {name}")))
        };
        if !text.lines().any(is_there) {
            return Err(format!("the text does not have {name} as {mark}"));
        }
        for remedy in check["remedies"].as_array().into_iter().flatten() {
            let first = remedy.as_str().unwrap().lines().next().unwrap();
            let count = text.lines().filter(|line| line.trim_start() == format!("do: {first}"));
            let has = |check: &&Json| {
                check["remedies"].as_array().is_some_and(|all| all.contains(remedy))
            };
            if count.count() != checks.iter().filter(has).count() {
                return Err(format!("the text does not have `do: {first}` once for each check"));
            }
        }
    }
    Ok(())
}
