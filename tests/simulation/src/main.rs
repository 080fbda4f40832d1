//! A simulated Alibaba Cloud for tests that are no Rust: runs until its standard input ends.
//!
//! ```text
//! simulated-cloud [--world FILE] [--overlay FILE] [--token-file PATH] [--calls-file PATH]
//!                 [--registry-dir PATH]
//! ```
//!
//! - stdout gets one line of JSON: the URLs `metadata`, `sts`, `cr`, `registry`, and with
//!   `tls: true` the path `ca` of the authority's certificate.
//! - `--world` is a description in place of the standard world; `--overlay` changes a part of it.
//! - `--token-file` gets a token of the service account `kube-system/aliyun-acr-credential-helper`,
//!   by the first OIDC provider of the world.
//! - `--calls-file` gets the calls when all is over, one to a line.
//! - `--registry-dir` gets what a real registry needs to stand in for this one: `server.pem`, the
//!   certificate of all host names with its key (needs `tls: true`), and `realm.pem`, the
//!   certificate by which it knows the realm's tokens.
//!
//! A line on standard input is a command, and gets a line of JSON on stdout: `advance SECONDS` lets
//! time pass for the services, `calls` lists the calls so far.
//!
//! Violations are told on stderr at the end, and make the exit code 1.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value as Json, json};
use simulation::cloud::{Cloud, Description};

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("simulated-cloud: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether there were no violations.
fn run() -> Result<bool, Failure> {
    let arguments = Arguments::read()?;
    let description = arguments.description()?;
    let cloud = Cloud::start(&description)?;
    if let Some(path) = &arguments.token_file {
        let provider =
            first_oidc_provider(&description).ok_or("this world has no OIDC provider")?;
        let token =
            cloud.service_account_token(&provider, "kube-system", "aliyun-acr-credential-helper");
        fs::write(path, token.mint())?;
    }
    if let Some(folder) = &arguments.registry_dir {
        let server = cloud.server_pem().ok_or("--registry-dir needs a world with `tls: true`")?;
        fs::write(folder.join("server.pem"), server)?;
        fs::write(folder.join("realm.pem"), cloud.realm_pem())?;
    }
    let ca = Certificate::write(&cloud)?;
    let line = json!({
        "metadata": cloud.metadata_url(),
        "sts": cloud.sts_url(),
        "cr": cloud.cr_url(),
        "registry": cloud.registry_url(),
        "ca": ca.as_ref().map(|certificate| &certificate.path),
    });
    println!("{line}");
    for command in io::stdin().lines() {
        println!("{}", obey(&cloud, &command?)?);
    }
    if let Some(path) = &arguments.calls_file {
        let lines: String = cloud.call_lines().iter().map(|line| format!("{line}\n")).collect();
        fs::write(path, lines)?;
    }
    let violations = cloud.violations();
    for violation in &violations {
        eprintln!("violation: {violation}");
    }
    Ok(violations.is_empty())
}

fn obey(cloud: &Cloud, command: &str) -> Result<Json, Failure> {
    let words: Vec<&str> = command.split_whitespace().collect();
    match words[..] {
        ["advance", seconds] => {
            cloud.advance(seconds.parse()?);
            Ok(json!({"now": cloud.now().to_string()}))
        }
        ["calls"] => Ok(json!({"calls": cloud.call_lines()})),
        _ => Err(format!("unknown command `{command}`").into()),
    }
}

#[derive(Default)]
struct Arguments {
    world: Option<PathBuf>,
    overlay: Option<PathBuf>,
    token_file: Option<PathBuf>,
    calls_file: Option<PathBuf>,
    registry_dir: Option<PathBuf>,
}

impl Arguments {
    #[expect(clippy::disallowed_methods, reason = "the arguments of a program of its own")]
    fn read() -> Result<Self, Failure> {
        let mut arguments = Self::default();
        let mut words = std::env::args_os().skip(1);
        while let Some(word) = words.next() {
            let place = match word.to_str() {
                Some("--world") => &mut arguments.world,
                Some("--overlay") => &mut arguments.overlay,
                Some("--token-file") => &mut arguments.token_file,
                Some("--calls-file") => &mut arguments.calls_file,
                Some("--registry-dir") => &mut arguments.registry_dir,
                _ => return Err(format!("unknown argument {}", word.display()).into()),
            };
            let value = words.next().ok_or_else(|| format!("{} needs a value", word.display()))?;
            *place = Some(value.into());
        }
        Ok(arguments)
    }

    fn description(&self) -> Result<Description, Failure> {
        let world = match &self.world {
            Some(path) => Description::from_yaml(&read(path)?)?,
            None => Description::standard(),
        };
        match &self.overlay {
            Some(path) => Ok(world.overlaid(&read(path)?)?),
            None => Ok(world),
        }
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn first_oidc_provider(description: &Description) -> Option<String> {
    description.accounts.iter().find_map(|(account, contents)| {
        let name = contents.oidc_providers.keys().next()?;
        Some(format!("acs:ram::{account}:oidc-provider/{name}"))
    })
}

/// The authority's certificate in a file, for as long as the cloud runs.
struct Certificate {
    path: PathBuf,
}

impl Certificate {
    fn write(cloud: &Cloud) -> io::Result<Option<Self>> {
        let Some(pem) = cloud.ca_pem() else { return Ok(None) };
        let path = std::env::temp_dir().join(format!("simulated-cloud-{}.pem", std::process::id()));
        fs::write(&path, pem)?;
        Ok(Some(Self { path }))
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        // Another that removed it before has done the same.
        drop(fs::remove_file(&self.path));
    }
}
