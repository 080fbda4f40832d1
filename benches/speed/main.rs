//! How fast and how small the program is, beside `/bin/true` and another cloud's helper.
//!
//! ```text
//! cargo bench --bench speed [-- [--binary FILE] [--against REV] [SECTION…]]
//! ```
//!
//! Without `--binary` the static binary is built by `release/build.sh`. With `--against` so is that of an
//! earlier commit, by its own script, to be run beside it. The sections are `cache`,
//! `memory`, `cold` and `distance`; without any, all are run. What is compared is run in turn on
//! the same machine, and limits are on ratios, so that a slow or busy machine is no excuse. Exits
//! with 1 when a limit does not hold, or could not be looked at.
//!
//! Needs `docker-credential-ecr-login` (Debian and Ubuntu: `amazon-ecr-credential-helper`).
//! Everything talks to loopback.

// A benchmark talks to the person in front of it.
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::print_stderr)]

mod cold;
mod distance;
mod ecr;
mod from_cache;
mod link;
mod memory;
mod origin;
mod peak_memory;
mod process;
mod report;
mod subject;

use std::env;
use std::error::Error;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

use crate::ecr::Ecr;
use crate::report::Report;
use crate::subject::Subject;

const SECTIONS: [&str; 4] = ["cache", "memory", "cold", "distance"];

fn main() -> Result<(), Box<dyn Error>> {
    let mut binary = None;
    let mut against = None;
    let mut sections = Vec::new();
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Cargo says so to every benchmark.
            "--bench" => {}
            "--binary" => binary = Some(arguments.next().ok_or("--binary FILE")?.into()),
            "--against" => against = Some(arguments.next().ok_or("--against REV")?),
            name if SECTIONS.contains(&name) => sections.push(argument),
            other => return Err(format!("`{other}` is none of {SECTIONS:?}").into()),
        }
    }
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let binary: PathBuf = binary.map_or_else(|| build(top, top), Ok)?;
    let earlier = against.map(|revision| build_of(top, &revision)).transpose()?;
    let wanted = |name: &str| sections.is_empty() || sections.iter().any(|section| section == name);

    let folder = Scratch::new()?;
    let subject = Subject::new(binary, folder.path())?;
    let ecr = Ecr::start(folder.path(), &env::var("PATH").unwrap_or_default())?;
    let mut report = Report::default();
    println!("{} ({} bytes)", subject.binary.display(), fs::metadata(&subject.binary)?.len());
    if wanted("cache") {
        let noop = noop(folder.path())?;
        from_cache::measure(&mut report, &subject, ecr.as_ref(), &noop, earlier.as_deref())?;
    }
    if wanted("memory") {
        memory::measure(&mut report, &subject)?;
    }
    if wanted("cold") {
        cold::measure(&mut report, &subject, ecr.as_ref())?;
    }
    if wanted("distance") {
        distance::measure(&mut report, &subject)?;
    }
    let violations = subject.cloud.violations();
    report.holds("nothing that a good client never does", violations.is_empty(), &{
        let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
        format!("{} violations {}", lines.len(), lines.first().map_or("", String::as_str))
    });
    let good = report.close();
    drop(folder);
    exit(i32::from(!good))
}

/// A static program that only exits.
fn noop(folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let (source, noop) = (folder.join("noop.rs"), folder.join("noop"));
    fs::write(&source, "fn main() {}")?;
    let target = format!("{}-unknown-linux-musl", env::consts::ARCH);
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition=2024", "-Copt-level=s", "-Cpanic=abort", "-Cstrip=symbols"]);
    let status = rustc.args(["--target", &target, "-o"]).arg(&noop).arg(&source).status()?;
    if status.success() { Ok(noop) } else { Err(format!("rustc: {status}").into()) }
}

/// The binary of an earlier commit.
fn build_of(top: &Path, revision: &str) -> Result<PathBuf, Box<dyn Error>> {
    let git = |arguments: &[&str]| Command::new("git").current_dir(top).args(arguments).output();
    let commit = git(&["rev-parse", "--verify", &format!("{revision}^{{commit}}")])?;
    if !commit.status.success() {
        return Err(format!("`{revision}` is not a commit").into());
    }
    let commit = String::from_utf8(commit.stdout)?.trim().to_owned();
    let source = top.join("target/speed").join(&commit);
    if !source.exists() {
        fs::create_dir_all(&source)?;
        let archive = source.join("source.tar");
        let packed = git(&["archive", "--output", &archive.to_string_lossy(), &commit])?;
        let unpacked =
            Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&source).status()?;
        if !packed.status.success() || !unpacked.success() {
            return Err(format!("the source of {commit} cannot be had").into());
        }
    }
    build(top, &source)
}

/// The binary as it is released, for this machine, from the source in a folder.
fn build(top: &Path, source: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let arch = match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => return Err(format!("there is no release for {other}").into()),
    };
    let out = source.join("target/speed");
    let mut build = Command::new(source.join("release/build.sh"));
    // What cargo tells a benchmark is not meant for another build.
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO") && name != "CARGO_HOME" {
            build.env_remove(name);
        }
    }
    build.args(["--arch", arch, "--tools"]).arg(top.join("target/tools"));
    // What is not in a git clone has no time of its own.
    build.env("SOURCE_DATE_EPOCH", "0");
    let status = build.arg("--out").arg(&out).status()?;
    if !status.success() {
        return Err(format!("release/build.sh: {status}").into());
    }
    Ok(out.join(format!("aliyun-acr-credential-provider-linux-{arch}")))
}

/// A folder in memory where the machine has one, as a node's cache is; gone at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Self> {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { env::temp_dir() };
        let folder = parent.join(format!("speed-{}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self(folder))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left behind at worst.
        let _ = fs::remove_dir_all(&self.0);
    }
}
